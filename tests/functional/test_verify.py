"""`harness verify`: a store that can be trusted passes, and every kind of damage is named with its line."""

from __future__ import annotations

import csv
import io
import json

import pytest
from helpers import RANGED, run_cli, says, shared, write

ARMS = 'trainer = "ranged.py"\ninvocations = 1\n[[arms]]\nname = "a"\n[[arms]]\nname = "b"\n[arms.config]\nepochs = 3\n'


@pytest.fixture
def store(tmp_path, tmp_path_factory):
    """A store of two arms and three seeds, copied into the test's own folder."""

    def make(folder):
        write(folder, "ranged.py", RANGED)
        write(folder, "arms.toml", ARMS)
        return run_cli("run", "arms.toml", "--seeds", 3, cwd=folder)

    folder, done = shared(tmp_path_factory, "verified", make)
    says(done, 0)
    for path in folder.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            target = tmp_path / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes().replace(str(folder).encode(), str(tmp_path).encode()))
    return tmp_path / "results/arms"


def change(store, line, column, value):
    """Change one cell; `value` may be a function of the table's rows."""
    path = store / "runs.csv"
    header, *body = csv.reader(io.StringIO(path.read_text()))
    rows = [dict(zip(header, cells, strict=True)) for cells in body]
    rows[line - 2][column] = value(rows) if callable(value) else value
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, header, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def test_a_sound_store(cli, store):
    done = cli("verify", "arms", "--json")
    says(done, 0)
    report = json.loads(done.stdout)
    assert report["sound"] and report["rows"] == 8 and report["problems"] == []
    assert report["rerun"]["equal"] and report["rerun"]["stored"] == report["rerun"]["now"]
    text = cli("verify", "arms", "--run", report["rerun"]["run_id"])
    assert "no problems" in text.stdout and "the same to the last bit" in text.stdout


DAMAGE = {
    "run id twice": (6, "run_id", lambda rows: rows[2]["run_id"], ["line 6", "stands already in line 4"]),
    "no run id": (6, "run_id", "", ["line 6", "run id is empty"]),
    "text for a number": (5, "time_s", "fast", ["line 5", "'time_s'", "'fast'", "a number"]),
    "half a seed": (5, "seed", "1.5", ["line 5", "'seed'", "'1.5'", "a whole number"]),
    "accuracy is not correct/total": (7, "accuracy", "0.5", ["line 7", "accuracy 0.5 is not correct/total"]),
    "more correct than there are": (7, "correct", "1001", ["line 7", "correct is 1001 of total 1000"]),
    "unknown status": (7, "status", "done", ["line 7", "column 'status' holds 'done'", "completed, crashed, timeout"]),
    "another configuration": (7, "config_hash", "abc", ["line 7", "configuration abc", "not the one in experiment"]),
    "one run twice": (9, "replicate", lambda rows: twin(rows), ["line 9", "replicate", "stands already in line"]),
}


def twin(rows):
    last = rows[-1]
    return next(
        r["replicate"] for r in rows if r["arm"] == last["arm"] and r["replicate"] not in ("", last["replicate"])
    )


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_named(case, cli_inside, store):
    line, column, value, words = DAMAGE[case]
    change(store, line, column, value)
    done = cli_inside("verify", "arms", "--no-rerun")
    says(done, 4)
    problems = done.stdout.splitlines()
    assert "1 problem" in problems[0] and "1 problems" not in problems[0]
    for word in words:
        assert word in problems[1], done.stdout


def test_files_beside_the_rows(cli_inside, store):
    (environment,) = (store / "environments").glob("*.json")
    environment.unlink()
    write(store, "patches/0000.patch", "not the content")
    done = cli_inside("verify", "arms", "--json")
    says(done, 4)
    problems = json.loads(done.stdout)["problems"]
    assert len(problems) == 2
    assert f"environments/{environment.name} is missing" in problems[0] and "0000.patch" in problems[1]


def test_a_result_that_cannot_be_made_again(cli, store):
    """A stored result that another run of its seed does not give is a problem, not a success."""
    rows = list(csv.DictReader(io.StringIO((store / "runs.csv").read_text())))
    line, row = next((n, r) for n, r in enumerate(rows, 2) if r["warmup"] == "false")
    other = int(row["correct"]) - 1
    change(store, line, "correct", str(other))
    change(store, line, "accuracy", repr(other / 1000))
    done = cli("verify", "arms", "--run", row["run_id"])
    says(done, 4)
    assert f"stored {other}/1000, now {other + 1}/1000: NOT the same" in done.stdout


def test_what_cannot_be_run_again_is_said(cli, store, tmp_path):
    with (tmp_path / "ranged.py").open("a") as file:
        file.write("# a remark\n")
    done = cli("verify", "arms")
    says(done, 0)
    assert "was not made again: the trainer's code has changed since" in done.stdout
    says(cli("verify", "arms", "--run", "nobody.7"), 4, "no completed run 'nobody.7'")
    (tmp_path / "ranged.py").unlink()
    done = cli("verify", "arms")
    says(done, 0)
    assert "was not made again" in done.stdout and "ranged.py" in done.stdout


def test_a_torn_line_is_a_problem(cli_inside, store):
    with (store / "runs.csv").open("a") as file:
        file.write("abc.9,arms,a")
    done = cli_inside("verify", "arms", "--no-rerun")
    says(done, 4)
    assert "the last line is unfinished (12 bytes)" in done.stdout


def test_missing_stores(cli_inside, tmp_path):
    says(cli_inside("verify", "arms"), 4, "no store 'arms'", "holds no runs")
    write(tmp_path, "results/arms/runs.csv", "run_id,arm\n")
    says(cli_inside("verify", "arms"), 4, "holds no run yet")


def test_a_trainer_that_its_seed_does_not_decide(cli, tmp_path):
    """Twice the same of a million would be a rare chance."""
    draws = "random.SystemRandom().randrange(10**6), 10**6"
    write(tmp_path, "train.py", f"import random\n\n\ndef train(seed):\n    return {draws}\n")
    says(cli("run", "train.py", "--seeds", 1), 0)
    done = cli("verify", "train")
    says(done, 4)
    assert "NOT the same" in done.stdout


@pytest.mark.parametrize("kept", [True, False])
def test_a_store_of_failed_runs_is_as_it_was_written(cli_inside, tmp_path, kept) -> None:
    """Their environment is kept as that of others is; a store that was written without it is not damaged."""
    write(tmp_path, "bad.py", "def train(seed):\n    raise ValueError('no data yet')\n")
    says(cli_inside("run", "bad.py", "--seeds", 2, "-q"), 5)
    environments = list((tmp_path / "results/bad/environments").glob("*.json"))
    assert len(environments) == 1
    if not kept:
        environments[0].unlink()
    done = cli_inside("verify", "bad")
    says(done, 0)
    assert "no problems" in done.stdout and "no run was made again: no attempt completed" in done.stdout
