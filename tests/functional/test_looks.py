"""Looking is written down: a test that is repeated while the runs grow is noticed."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from frames import codes, judged, pair
from helpers import TRAIN, ledger_of, write

import harness


def looks(folder, store: str) -> list[tuple[object, object]]:
    return [(e["arm"], e["n"]) for e in ledger_of(folder, store) if e["event"] == "look"]


def test_a_comparison_repeated_on_a_growing_store_is_noticed(cli_inside, tmp_path) -> None:
    write(tmp_path, "old.py", TRAIN)
    write(tmp_path, "new.py", TRAIN + "\n# another version\n")
    cli_inside("run", "old.py", "new.py", "--seeds", "5", "-q")
    assert looks(tmp_path, "old-vs-new") == [("new", 5)], "the verdict that a run prints is a look"
    again = cli_inside("compare", "old", "new", "--margin-pp", "1")
    assert looks(tmp_path, "old-vs-new") == [("new", 5)], "looking again at the same runs is no further look"
    assert "peeked" not in again.stdout
    grown = cli_inside("run", "old.py", "new.py", "--seeds", "8", "-q")
    assert "peeked" in grown.stdout
    assert "at 5 runs, and now at 8" in grown.stdout
    assert looks(tmp_path, "old-vs-new") == [("new", 5), ("new", 8)]


def test_fresh_seeds_of_another_stage_are_not_peeked_at(cli_inside, tmp_path) -> None:
    write(tmp_path, "old.py", TRAIN)
    write(tmp_path, "new.py", TRAIN + "\n# another version\n")
    cli_inside("run", "old.py", "new.py", "--seeds", "5", "--stage", "screen", "-q")
    confirmed = cli_inside("run", "old.py", "new.py", "--seeds", "12", "--stage", "confirm", "-q")
    assert "peeked" not in confirmed.stdout


def agreeing(n: int, r: float, seed: int = 3):
    """Two arms of `n` shared seeds whose accuracies correlate by about `r`."""
    rng = np.random.default_rng(seed)
    a, b = pair(n=n)
    shared, own = rng.normal(size=n), rng.normal(size=n)
    for frame, z in ((a, shared), (b, r * shared + np.sqrt(1 - r * r) * own)):
        frame["correct"] = np.round(9400 + 15 * z).astype(int)
        frame["total"] = 10_000
        if "accuracy" in frame.columns:
            del frame["accuracy"]
        frame["seed"] = np.arange(n)
    return a, b


@pytest.mark.parametrize(
    ("n", "r", "method"),
    [
        (200, 0.8, "paired t, agreeing seeds"),
        (200, 0.0, "welch"),
        (90, 0.8, "welch"),  # too few pairs to know a correlation
    ],
)
def test_seeds_pair_only_where_they_provably_agree(n: int, r: float, method: str) -> None:
    a, b = agreeing(n, r)
    assert judged(a, b, margin_pp=0.1)["accuracy"]["difference_pp"]["method"] == method


def test_a_control_with_runs_of_its_own_is_not_paired() -> None:
    a, b = agreeing(200, 0.8)
    extra = a.assign(seed=a["seed"] + 1000, invocation="elsewhere", run_id=[f"x{i}" for i in range(len(a))])
    import pandas as pd

    whole = pd.concat([a, extra], ignore_index=True)
    one = harness.compare(whole, b, margin_pp=0.1).as_dict()["comparisons"][0]
    assert one["accuracy"]["difference_pp"]["method"] == "welch"
    assert "peeked" not in codes(one)


def re_rolls(cli_inside, *names: str) -> list[str]:
    found = json.loads(cli_inside("compare", *names, "--margin-pp", "1", "--json").stdout)["comparisons"][0]["findings"]
    return [one["message"] for one in found if one["code"] == "re-rolled"]


def test_asking_again_on_other_seeds_is_noticed(cli_inside, tmp_path) -> None:
    write(tmp_path, "old.py", TRAIN)
    write(tmp_path, "new.py", TRAIN + "\n# another version\n")
    cli_inside("run", "old.py", "new.py", "--seeds", "3", "-q", "--as", "first")
    assert re_rolls(cli_inside, "first") == []
    cli_inside("run", "old.py", "new.py", "--seeds", "3", "-q", "--as", "second")
    (said,) = re_rolls(cli_inside, "second")
    assert "first:new" in said
    write(tmp_path, "new.py", TRAIN + "\n# yet another version\n")
    cli_inside("run", "old.py", "new.py", "--seeds", "3", "-q", "--as", "third")
    assert re_rolls(cli_inside, "third") == [], "other code is another try, not the same one again"


def test_an_arm_of_the_controls_own_configuration_is_no_re_roll(cli_inside, tmp_path) -> None:
    text = 'trainer = "digits"\ncontrol = "base"\nseeds = 2\n[config]\nepochs = 2\n'
    write(tmp_path, "same.toml", text + '[[arms]]\nname = "base"\n[[arms]]\nname = "again"\n')
    for store in ("first", "second"):
        cli_inside("run", "same.toml", "-q", "--as", store)
    assert re_rolls(cli_inside, "second") == []


def test_a_second_stage_is_a_second_try(cli_inside, tmp_path) -> None:
    """Confirmed twice, on fresh seeds each time: two chances of a pass, told by `compare` and counted in the ledger."""
    write(tmp_path, "old.py", TRAIN)
    write(tmp_path, "new.py", TRAIN + "\n# another version\n")
    for stage in ("screen", "confirm", "final"):
        cli_inside("run", "old.py", "new.py", "--seeds", "3", "--stage", stage, "-q")
        found = re_rolls(cli_inside, "old-vs-new")
        assert [*found, ""][0].count("stage confirm of old-vs-new") == (stage == "final"), stage
    family = json.loads(cli_inside("show", "old-vs-new", "--json").stdout)["family"]
    assert [one["stage"] for one in family["tries"]] == ["confirm", "final"]


def test_a_control_that_grows_alone_is_noticed(cli_inside, tmp_path) -> None:
    """The candidate's runs are the same; the control's are more, of the same store."""
    write(tmp_path, "old.py", TRAIN)
    write(tmp_path, "new.py", TRAIN + "\n# another version\n")
    cli_inside("run", "old.py", "new.py", "--seeds", "5", "-q")
    path = tmp_path / "results/old-vs-new/runs.csv"
    lines = path.read_text().splitlines()
    header = lines[0].split(",")
    last = next(line for line in reversed(lines) if line.split(",")[header.index("arm")] == "old").split(",")
    for key, value in (("run_id", "extra"), ("seed", "987654"), ("replicate", "77"), ("block", "77")):
        last[header.index(key)] = value
    path.write_text("\n".join([*lines, ",".join(last)]) + "\n")
    shown = cli_inside("compare", "old-vs-new", "--margin-pp", "1").stdout
    assert "peeked" in shown and "now with more of the control" in shown


def advice(cli_inside, code: str, *names: object) -> str:
    found = json.loads(cli_inside("compare", *names, "--json").stdout)["comparisons"][0]["findings"]
    return next((one["advice"] for one in found if one["code"] == code), "")


@pytest.mark.parametrize(
    ("stage", "way"), [("screen", "--stage confirm"), ("confirm", "--stage final"), ("final", "--as NAME")]
)
def test_the_advice_names_fresh_seeds_from_where_one_stands(cli_inside, tmp_path, stage, way) -> None:
    write(tmp_path, "old.py", TRAIN)
    write(tmp_path, "new.py", TRAIN + "\n# another version\n")
    promise = ("--set", "margin_pp=1", "--set", "claim=no-regression")
    run = ("run", "old.py", "new.py", "--stage", stage, *promise, "--as", "pair", "-q")
    first = cli_inside(*run, "--seeds", 3)
    assert f"fresh seeds ({way})" in first.stdout, "the headline of an open question"
    assert f"`harness run ... {way} --seeds N`" in advice(cli_inside, "low-power", "pair")
    cli_inside(*run, "--seeds", 4)
    assert f"`harness run ... {way} --until-decided`" in advice(cli_inside, "peeked", "pair")


def test_what_the_advice_says_is_counted_as_it_says(cli_inside, tmp_path) -> None:
    """Inconclusive, then fresh seeds by a plan: no `peeked`, one further try, told with the command that counts it."""
    write(tmp_path, "old.py", TRAIN)
    write(tmp_path, "new.py", TRAIN + "\n# another version\n")
    run = ("run", "old.py", "new.py", "--set", "margin_pp=1", "--set", "claim=no-regression", "-q")
    for seeds in (3, 4):
        cli_inside(*run, "--seeds", seeds)
    done = cli_inside(*run, "--stage", "final", "--until-decided", "--seeds", 20)
    assert done.returncode == 0 and "peeked" not in done.stdout and "re-rolled" in done.stdout
    said = advice(cli_inside, "re-rolled", "old-vs-new")
    assert "`harness show old-vs-new`" in said and "tops up" not in said
    family = json.loads(cli_inside("show", "old-vs-new", "--json").stdout)["family"]
    assert [one["stage"] for one in family["tries"]] == ["confirm", "final"]


def test_a_copy_of_a_store_is_no_further_try(cli_inside, tmp_path) -> None:
    write(tmp_path, "old.py", TRAIN)
    write(tmp_path, "new.py", TRAIN + "\n# another version\n")
    cli_inside("run", "old.py", "new.py", "--seeds", "3", "-q", "--as", "first")
    shutil.copytree(tmp_path / "results/first", tmp_path / "results/copy")
    assert re_rolls(cli_inside, "first") == [] == re_rolls(cli_inside, "copy")
    for name, other in (("first", "copy"), ("copy", "first")):
        family = json.loads(cli_inside("show", name, "--json").stdout)["family"]
        assert [one["store"] for one in family["tries"]] == [name] and family["copies"] == [f"{other}:new"]
    assert "counted once: copy:new" not in cli_inside("show", "first").stdout, "a single try has no table"
    cli_inside("run", "old.py", "new.py", "--seeds", "5", "-q", "--as", "copy")
    assert [said.count("copy:new") for said in re_rolls(cli_inside, "first")] == [1], "it has runs of its own now"


def test_a_run_judges_the_stage_that_it_ran(cli_inside, tmp_path) -> None:
    write(tmp_path, "old.py", TRAIN)
    write(tmp_path, "new.py", TRAIN + "\n# another version\n")
    run = ("run", "old.py", "new.py", "--set", "margin_pp=1", "--json")
    cli_inside(*run, "--stage", "final", "--seeds", 4)
    for seeds in (3, 3, 5):
        (found,) = json.loads(cli_inside(*run, "--stage", "confirm", "--seeds", seeds).stdout)["comparison"][
            "comparisons"
        ]
        assert (found["candidate"]["n"], found["control"]["n"]) == (seeds, seeds)
        assert found["candidate"]["excluded"]["of another stage than confirm"] == 4
    last = json.loads(cli_inside("compare", "old-vs-new", "--json").stdout)["comparisons"][0]
    assert last["candidate"]["n"] == 4, "elsewhere the furthest stage counts"
