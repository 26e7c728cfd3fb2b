"""What a seed, a plan and a re-run promise."""

from __future__ import annotations

import json

from helpers import RANGED, TRAIN, counted, rows_of, says, write

ARMS = 'trainer = "ranged.py"\ninvocations = 2\n[[arms]]\nname = "a"\n[[arms]]\nname = "b"\n[arms.config]\nepochs = 3\n'


def results(rows):
    return {(row["arm"], row["seed"]): (row["correct"], row["accuracy"]) for row in counted(rows)}


def test_a_seed_gives_its_result_alone_together_and_in_another_order(cli_inside, tmp_path):
    write(tmp_path, "ranged.py", RANGED)
    write(tmp_path, "arms.toml", ARMS)
    says(cli_inside("run", "arms.toml", "--seeds", 6), 0)
    together = results(rows_of(tmp_path, "arms"))
    says(cli_inside("run", "arms.toml", "--seeds", 6, "--arm", "a", "--results", "alone", "--set", "invocations=3"), 0)
    alone = results(rows_of(tmp_path, "arms", "alone"))
    says(cli_inside("run", "arms.toml", "--seeds", 6, "--results", "other", "--workers", 2), 0)
    assert len(together) == 12 and results(rows_of(tmp_path, "arms", "other")) == together
    assert alone == {key: value for key, value in together.items() if key[0] == "a"}
    assert len(set(together.values())) > 6, "the results tell the seeds apart"


def seeds_of(rows):
    return {row["seed"] for row in rows}


def test_seeds_are_disjoint_between_stages_experiments_and_warm_ups(cli_inside, tmp_path):
    write(tmp_path, "train.py", TRAIN)
    for arguments in (["--stage", "screen"], ["--stage", "confirm"], ["--as", "second"]):
        says(cli_inside("run", "train.py", "--seeds", 3, "--set", "invocations=1", *arguments), 0)
    rows, second = rows_of(tmp_path, "train"), rows_of(tmp_path, "second")
    stages = [seeds_of(r for r in counted(rows) if r["stage"] == stage) for stage in ("screen", "confirm")]
    groups = [
        *stages,
        seeds_of(counted(second)),
        *(seeds_of(r for r in w if r["warmup"] == "true") for w in (rows, second)),
    ]
    assert [len(group) for group in groups] == [3, 3, 3, 2, 1]
    assert len(set().union(*groups)) == 12
    assert max(map(int, set().union(*groups))) < 2**31


def test_the_root_seed_decides_the_plan(cli_inside, tmp_path):
    write(tmp_path, "ranged.py", RANGED)
    write(tmp_path, "arms.toml", ARMS)

    def order(*arguments):
        says(cli_inside("run", "arms.toml", "--seeds", 8, "--set", "invocations=1", *arguments), 0)
        rows = counted(rows_of(tmp_path, "arms", arguments[-1]))
        return [(row["arm"], row["seed"]) for row in rows]

    first, again = order("--results", "one"), order("--results", "two")
    other = order("--set", "seed_root=7", "--results", "three")
    assert first == again
    assert {seed for _, seed in first}.isdisjoint(seed for _, seed in other)
    assert [arm for arm, _ in first] != [arm for arm, _ in other]


def test_a_dry_run_shows_the_plan_and_runs_nothing(cli_inside, tmp_path):
    write(tmp_path, "ranged.py", RANGED)
    write(tmp_path, "arms.toml", ARMS + '[[arms]]\nname = "twin"\n')
    done = cli_inside("run", "arms.toml", "--seeds", 7, "--dry-run", "--json")
    says(done, 0)
    plan = json.loads(done.stdout)
    assert [(a["name"], a["role"], a["config"]["epochs"]) for a in plan["arms"]] == [
        ("a", "control", 2), ("b", "candidate", 3), ("twin", "candidate", 2),
    ]  # fmt: skip
    assert (plan["blocks"], plan["invocations"], plan["runs"], plan["warmups"]) == (7, 2, 21, 6)
    assert plan["hours"] is None and not (tmp_path / "results").exists()
    text = cli_inside("run", "arms.toml", "--dry-run")
    assert "twin has the control's configuration: a built-in A/A" in " ".join(text.stdout.split())
    assert not (tmp_path / "results").exists()


def test_json_is_the_only_thing_on_standard_output(cli, tmp_path):
    write(tmp_path, "ranged.py", "print('hello from the trainer')\n" + RANGED)
    write(tmp_path, "arms.toml", ARMS)
    done = cli("run", "arms.toml", "--seeds", 2, "--json", "--json-file", "out.json")
    says(done, 0)
    document = json.loads(done.stdout)
    assert document["completed"] == {"a": 2, "b": 2} and document["comparison"]["schema"] == 1
    assert json.loads((tmp_path / "out.json").read_text()) == document
