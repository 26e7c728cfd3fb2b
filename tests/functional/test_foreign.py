"""Other people's functions, scripts and programs, none of which knows of the harness."""

from __future__ import annotations

import json

import pytest
from helpers import TRAIN, counted, rows_of, run_cli, says, shared, write

RETURNS = """\
def accuracy(seed):
    return 0.9


def pair(seed):
    return 90, 100


def mapping(seed):
    return {"correct": 900, "total": 1000, "loss": 0.5, "steps": 12, "epochs": 1.5, "grad_norm": 2.5}
"""


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """`harness run old.py new.py` at 25 seeds."""

    def make(folder):
        write(folder, "old.py", TRAIN)
        write(folder, "new.py", TRAIN.replace("< 0.9", "< 0.901"))
        return run_cli("run", "old.py", "new.py", "--seeds", 25, "--json", cwd=folder)

    folder, done = shared(tmp_path_factory, "two", make)
    says(done, 0)
    return json.loads(done.stdout), rows_of(folder, "old-vs-new")


def test_two_scripts_are_interleaved(two):
    document, rows = two
    assert [(arm["name"], arm["role"]) for arm in document["arms"]] == [("old", "control"), ("new", "candidate")]
    assert document["completed"] == {"old": 25, "new": 25}
    blocks: dict[str, list[dict[str, str]]] = {}
    for row in counted(rows):
        blocks.setdefault(row["block"], []).append(row)
    assert len(blocks) == 25
    orders = []
    for block in blocks.values():
        assert sorted(row["arm"] for row in block) == ["new", "old"]
        assert len({row["seed"] for row in block}) == 1
        assert len({row["invocation"] for row in block}) == 1
        assert [row["position"] for row in block] == ["0", "1"], "rows stand in the order of running"
        assert block[0]["ended_at"] <= block[1]["started_at"], "one at a time"
        orders.append(block[0]["arm"])
    assert 4 <= orders.count("old") <= 21, "the order is randomised over blocks"
    assert len({row["seed"] for row in counted(rows)}) == 25


def test_every_arm_is_warmed_up_once_in_each_of_at_least_five_invocations(two):
    _, rows = two
    invocations = {row["invocation"] for row in counted(rows)}
    assert len(invocations) >= 5
    warm = [row for row in rows if row["warmup"] == "true"]
    assert sorted((row["invocation"], row["arm"]) for row in warm) == sorted(
        (invocation, arm) for invocation in invocations for arm in ("new", "old")
    )
    assert not {row["seed"] for row in warm} & {row["seed"] for row in counted(rows)}
    for invocation in invocations:
        mine = [row for row in rows if row["invocation"] == invocation]
        assert [row["warmup"] for row in mine] == ["true"] * 2 + ["false"] * (len(mine) - 2), "before the first run"


def test_what_a_row_knows(two):
    _, rows = two
    for row in rows:
        assert row["experiment"] == "old-vs-new" and row["lane"] == "exclusive" and row["stage"] == "confirm"
        assert row["clock"] == "the whole call of the user's function"
        assert 0 <= float(row["time_s"]) < 5 and row["started_at"] <= row["ended_at"] and row["ended_at"].endswith("Z")
        assert int(row["total"]) == 1000 and float(row["accuracy"]) == int(row["correct"]) / 1000
        assert row["compute_hash"] == "", "a function does not say what its work depends on"
        assert all(row[key] for key in ("code_hash", "config_hash", "host", "cpu", "python", "environment"))
    assert len({row["code_hash"] for row in rows}) == 2
    assert len({row["config_hash"] for row in rows}) == 1


def test_what_a_function_may_return(cli_inside, tmp_path):
    write(tmp_path, "returns.py", RETURNS)
    says(cli_inside("run", "returns.py:accuracy", "returns.py:pair", "--seeds", 1), 0)
    rows = counted(rows_of(tmp_path, "returns-accuracy-vs-returns-pair"))
    found = {row["arm"]: (row["correct"], row["total"], row["accuracy"]) for row in rows}
    assert found == {"returns-accuracy": ("", "", "0.9"), "returns-pair": ("90", "100", "0.9")}

    says(cli_inside("run", "returns.py:mapping", "--seeds", 1), 0)
    (row,) = counted(rows_of(tmp_path, "returns"))
    assert [row[k] for k in ("correct", "total", "loss", "steps", "epochs")] == ["900", "1000", "0.5", "12", "1.5"]
    metrics = (tmp_path / "results/returns/metrics.csv").read_text().splitlines()
    assert metrics == ["run_id,metric,unit,step,value", f"{row['run_id']},grad_norm,,,2.5"]


def test_keys_of_a_function_are_its_parameters(cli_inside, tmp_path):
    write(tmp_path, "train.py", "def train(seed, lr=0.1, steps=10):\n    return lr * steps / 10\n")
    says(cli_inside("run", "train.py", "--seeds", 1, "--set", "lr=0.25", "--set", "steps=20"), 0)
    (row,) = counted(rows_of(tmp_path, "train"))
    assert row["accuracy"] == "0.5"
    says(cli_inside("run", "train.py", "--seeds", 1, "--set", "lr=0.5"), 2, "another configuration", "--as NAME")
    says(cli_inside("run", "train.py", "--seeds", 1, "--set", "rate=0.5"), 2, "no key 'rate'", "Allowed: lr, steps")


def test_changed_code_needs_a_store_of_its_own(cli, tmp_path):
    write(tmp_path, "train.py", TRAIN)
    says(cli("run", "train.py", "--seeds", 1), 0)
    before = (tmp_path / "results/train/runs.csv").read_bytes()
    write(tmp_path, "train.py", TRAIN.replace("1000)), 1000", "1000)) - 1, 1000"))
    says(cli("run", "train.py", "--seeds", 2), 2, "another version of its code", "harness run old.py new.py")
    assert (tmp_path / "results/train/runs.csv").read_bytes() == before
    says(cli("run", "train.py", "--seeds", 1, "--as", "second"), 0)
    assert len(counted(rows_of(tmp_path, "second"))) == 1


def test_a_script_without_a_function_runs_as_a_command(cli_inside, tmp_path):
    source = (
        "import argparse, json\n"
        "parser = argparse.ArgumentParser()\n"
        "parser.add_argument('--seed', type=int)\n"
        "parser.add_argument('--lr', type=float, default=0.5)\n"
        "given = parser.parse_args()\n"
        "print('epoch 1')\n"
        "print(json.dumps({'correct': given.seed % 7, 'total': 10, 'loss': given.lr}))\n"
        "print()\n"
    )
    write(tmp_path, "script.py", source)
    says(cli_inside("run", "script.py", "--seeds", 2, "--set", "lr=0.25", "--set", "invocations=1"), 0)
    rows = counted(rows_of(tmp_path, "script"))
    assert len(rows) == 2
    for row in rows:
        assert (int(row["correct"]), row["total"], row["loss"]) == (int(row["seed"]) % 7, "10", "0.25")
        assert row["clock"] == "the whole process, from its start to its end"
        assert float(row["time_s"]) > 0.005


def test_a_command_in_a_toml(cli_inside, tmp_path):
    write(
        tmp_path,
        "shell.toml",
        'trainer = "command"\ninvocations = 1\n[config]\nlr = 0.1\n'
        """argv = ["sh", "-c", 'echo $HARNESS_SEED "{{own}}" ${HOME:+home} >> seen; echo "{\\"accuracy\\": {lr}, \\"loss\\": {seed}}"']\n"""
        '[[arms]]\nname = "low"\n[[arms]]\nname = "high"\n[arms.config]\nlr = 0.75\n',
    )
    says(cli_inside("run", "shell.toml", "--seeds", 2), 0)
    rows = counted(rows_of(tmp_path, "shell"))
    assert sorted((row["arm"], row["accuracy"]) for row in rows) == [("high", "0.75")] * 2 + [("low", "0.1")] * 2
    assert all(float(row["loss"]) == int(row["seed"]) for row in rows)
    seen = (tmp_path / "seen").read_text().splitlines()
    assert len(seen) == 6 and all(line.endswith(" {own} home") for line in seen), "a program's own braces stay"
    assert {line.split()[0] for line in seen} >= {row["seed"] for row in rows}


def test_a_file_whose_train_takes_no_seed_runs_as_a_program_only_where_that_is_meant(cli_inside, tmp_path):
    write(tmp_path, "train.py", "def train(lr=0.1):\n    return lr\n\n\nRESULT = 0.5\n")
    words = ("train.py", "'train' has no parameter 'seed'", "its parameters: lr", "harness run train.py:__main__")
    says(cli_inside("run", "train.py", "--seeds", 1), 2, *words)
    write(tmp_path, "guarded.py", 'def train():\n    return 0.5\n\n\nif __name__ == "__main__":\n    print(train())\n')
    shown = cli_inside("run", "guarded.py", "--seeds", 1, "--dry-run")
    says(shown, 0)
    assert "guarded.py runs as a program, once a run: its function 'train' has no parameter 'seed'" in shown.stdout
    write(tmp_path, "both.py", "def train(seed):\n    return 0.25\n\n\nprint(0.75)\n")
    says(cli_inside("run", "both.py:__main__", "--seeds", 1), 0)
    assert counted(rows_of(tmp_path, "both"))[0]["accuracy"] == "0.75"
