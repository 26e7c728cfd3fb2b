"""A ladder from its first run to its statement: who goes on and why, killed and resumed, and what a newcomer gets wrong."""

from __future__ import annotations

import json
import random
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from helpers import counted, kill_session, ledger_of, rows_of, says, start_cli, wait_until, write

TRAIN = """\
import random
from pathlib import Path


def train(seed, shift=0.0, size=10):
    if shift == 0.07 and not Path("mended").exists():
        raise RuntimeError("out of memory")
    draw = random.Random(f"{seed} {shift}")
    return round(10_000 * (0.94 + shift / 100 + draw.gauss(0, 0.001))), 10_000
"""
BASE = 'trainer = "../train.py"\nclaim = "accurate"\ntarget = 0.93\ninvocations = 1\nseeds = 6\nstage = "final"\n'
SWEEP = 'question = "Which shift?"\nextends = "base"\ncontrol = "base"\ninvocations = 1\n[sweep.grid]\nshift = '
SIZES = ("--sizes", "4,8,16")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "train.py", TRAIN)
    write(tmp_path, "experiments/base.toml", BASE)
    write(tmp_path, "experiments/sweep.toml", SWEEP + "[-0.3, 0.0, 0.05, 0.1, 0.5, 0.3]\n")
    write(tmp_path, "experiments/two.toml", SWEEP + "[0.3, -0.3]\n")
    write(tmp_path, "experiments/ill.toml", SWEEP + "[0.3, 0.07]\n")
    write(tmp_path, "experiments/one.toml", SWEEP + "[0.3]\n")
    return tmp_path


def document(done: Any) -> dict[str, Any]:
    says(done, 0)
    out: dict[str, Any] = json.loads(done.stdout)
    return out


def decisions(folder: Path, store: str) -> list[dict[str, Any]]:
    return [e for e in ledger_of(folder, store) if e["event"] == "stage-decision"]


def test_one_of_six_is_decided_on_fresh_seeds(cli_inside, folder) -> None:
    found = document(cli_inside("ladder", "sweep", *SIZES, "--json"))
    assert found["finalists"] == ["shift=0.5"] and found["verdict"] == "pass"
    screen, confirm = found["stages"]
    assert [a["arm"] for a in screen["arms"] if a["kept"]] == ["shift=0.5", "shift=0.3"]
    reasons = {a["arm"]: a["reason"] for a in screen["arms"] if not a["kept"]}
    assert set(reasons) == {"shift=-0.3", "shift=0.0", "shift=0.05", "shift=0.1"}
    assert "A/A" in reasons["shift=0.0"] and reasons["shift=-0.3"].startswith("NOT MORE ACCURATE")
    assert [(a["n"], a["kept"]) for a in confirm["arms"]] == [(12, True), (12, False)], "ranked on all runs so far"
    rows = counted(rows_of(folder, "sweep"))
    assert {(r["stage"], r["arm"]) for r in rows if r["stage"] != "screen"} == {
        ("confirm", "base"), ("confirm", "shift=0.5"), ("confirm", "shift=0.3"), ("final", "base"), ("final", "shift=0.5"),
    }  # fmt: skip
    seeds = {stage: {r["seed"] for r in rows if r["stage"] == stage} for stage in ("screen", "confirm", "final")}
    assert [len(s) for s in seeds.values()] == [4, 8, 16] and len(set.union(*seeds.values())) == 28
    assert found["runs_spent"] == len(rows) == 7 * 4 + 3 * 8 + 2 * 16
    assert found["final"]["comparisons"][0]["candidate"]["n"] == 16, "the fresh runs alone are judged"
    assert found["anchor"] is None


def test_its_plan_and_decisions_are_written_down_once_and_nothing_is_done_twice(cli_inside, folder) -> None:
    first = document(cli_inside("ladder", "two", *SIZES, "--json"))
    plan = json.loads((folder / "results/two/experiment.json").read_text())["ladder"]
    assert plan == first["ladder"] and plan["sizes"] == [4, 8, 16] and plan["rule"].startswith("accurate: ")
    events = [e["event"] for e in ledger_of(folder, "two")]
    assert events[0] == "ladder" and events[1] == "campaign", "the plan stands before the first run"
    assert events.count("stage-decision") == 2
    before = (folder / "results/two/runs.csv").read_bytes()
    assert document(cli_inside("ladder", "two", *SIZES, "--json")) == first
    assert (folder / "results/two/runs.csv").read_bytes() == before
    assert [e["event"] for e in ledger_of(folder, "two")] == events
    shown = cli_inside("show", "two").stdout
    assert "stage-decision  screen: shift=0.3 went on after 4 runs each; dropped: shift=-0.3 (" in shown
    assert "ladder  4,8,16 runs an arm" in shown


def test_compare_says_the_same_of_the_finalist(cli_inside, folder) -> None:
    found = document(cli_inside("ladder", "sweep", *SIZES, "--keep", "4,1", "--json"))
    compared = json.loads(cli_inside("compare", "sweep", "--json").stdout)["comparisons"]
    (last,) = [one for one in compared if one["candidate"]["name"] == "shift=0.5"]
    own = found["final"]["comparisons"][0]
    assert (last["verdict"], last["headline"]) == (own["verdict"], own["headline"])
    assert last["accuracy"] == own["accuracy"]


def test_a_store_named_like_the_control_stands_beside(cli_inside, folder) -> None:
    says(cli_inside("run", "base", "-q"), 0)
    done = cli_inside("ladder", "two", *SIZES, "-q")
    says(done, 0)
    assert "against all 22 runs of base, the frozen ones with the interleaved: shift=0.3 " in done.stdout
    assert "naive read-out: the best mean of 2 arms at 4 runs was shift=0.3 at" in done.stdout
    assert "tried 2 arms in 60 runs (32 of candidates, 28 of the control)" in done.stdout


def test_what_was_run_besides_decides_nothing(cli_inside, folder) -> None:
    """More screening runs of a stage that has ended: the ladder stays where it was."""
    first = document(cli_inside("ladder", "two", *SIZES, "--json"))
    says(cli_inside("run", "two", "--stage", "screen", "--seeds", 9, "-q"), 0)
    again = document(cli_inside("ladder", "two", *SIZES, "--json"))
    assert again["stages"] == first["stages"] and again["ladder"] == first["ladder"]


def test_rows_that_were_changed_are_noticed(cli_inside, folder) -> None:
    document(cli_inside("ladder", "two", *SIZES, "--json"))
    path = folder / "results/two/runs.csv"
    lines = path.read_text().splitlines()
    names = lines[0].split(",")
    correct, accuracy, arm = (names.index(n) for n in ("correct", "accuracy", "arm"))
    changed = []
    for line in lines[1:]:
        cells = line.split(",")
        if cells[arm] == "shift=0.3" and cells[correct]:
            cells[correct], cells[accuracy] = "9000", "0.9"
        changed.append(",".join(cells))
    path.write_text("\n".join([lines[0], *changed]) + "\n")
    says(cli_inside("ladder", "two", *SIZES, "-q"), 4, "says that after stage screen ['shift=0.3'] went on", "now say")


def test_runs_that_cannot_be_had_stop_it_and_it_goes_on_once_they_can(cli_inside, folder) -> None:
    done = cli_inside("ladder", "ill", *SIZES, "-q")
    says(done, 5, "shift=0.07: 4 of 4 missing", "out of memory", "the same command again")
    assert not decisions(folder, "ill") and {r["stage"] for r in rows_of(folder, "ill")} == {"screen"}
    write(folder, "mended", "")
    assert document(cli_inside("ladder", "ill", *SIZES, "--json"))["finalists"] == ["shift=0.3"]


def test_an_arm_that_can_never_run_is_left_out_by_name(cli_inside, folder) -> None:
    """Screening lacks its runs: the ladder goes on without it, says so at its end, and remembers it."""
    says(cli_inside("ladder", "ill", *SIZES, "-q"), 5, "--without shift=0.07")
    says(cli_inside("ladder", "ill", *SIZES, "-q", "--without", "shift=0.7"), 2, "Did you mean 'shift=0.07'?")
    done = cli_inside("ladder", "ill", *SIZES, "-q", "--without", "shift=0.07")
    says(done, 0)
    assert "shift=0.07 was left out by hand (--without) at stage screen" in done.stdout
    again = document(cli_inside("ladder", "ill", *SIZES, "--json"))
    assert again["finalists"] == ["shift=0.3"] and again["verdict"] == "pass"
    assert again["left_out"] == [{"arm": "shift=0.07", "stage": "screen"}]
    assert [e["arm"] for e in ledger_of(folder, "ill") if e["event"] == "left-out"] == ["shift=0.07"]


def test_a_ladder_is_not_left_without_any_arm(cli_inside, folder) -> None:
    says(
        cli_inside("ladder", "two", *SIZES, "-q", "--without", "shift=0.3", "--without", "shift=-0.3"),
        2,
        "no other arm",
    )


def test_an_arm_whose_runs_are_there_cannot_be_left_out_afterwards(cli_inside, folder) -> None:
    first = document(cli_inside("ladder", "two", *SIZES, "--json"))
    again = cli_inside("ladder", "two", *SIZES, "--without", "shift=0.3")
    assert "shift=0.3" in first["finalists"] and "was left out" not in again.stdout
    assert "final: the runs of shift=0.3 are all there" in again.stderr


def test_where_no_arm_is_left_it_ends(cli_inside, folder) -> None:
    write(folder, "experiments/bad.toml", SWEEP + "[-0.4, -0.3, 0.0]\n")
    done = cli_inside("ladder", "bad", *SIZES, "-q")
    says(done, 0)
    assert "No arm is left" in done.stdout and done.stdout.count("dropped: NOT MORE ACCURATE") == 2
    assert {r["stage"] for r in rows_of(folder, "bad")} == {"screen"}


def test_the_plan_is_shown_before_a_run_is_spent(cli_inside, folder) -> None:
    found = document(cli_inside("ladder", "sweep", *SIZES, "--dry-run", "--json"))
    assert [(s["stage"], s["arms"], s["runs"], s["keep"]) for s in found["stages"]] == [
        ("screen", 6, 28, "1/3"), ("confirm", 2, 24, "1"), ("final", 1, 32, None),
    ]  # fmt: skip
    assert found["runs"] == 84 and not (folder / "results").exists()
    shown = cli_inside("ladder", "sweep", *SIZES, "--dry-run").stdout
    assert (
        "84 runs still to make" in shown
        and "4 runs each of 6 arms and the control: 28 to make; the best 2 go on" in shown
    )


def test_no_clock_can_call_the_same_work_faster(cli_inside, folder) -> None:
    done = cli_inside(
        "ladder", "digits-lr-end", "--set", "claim=faster", "--dry-run",
        "--experiments", Path(__file__).parents[2] / "experiments",
    )  # fmt: skip
    says(done, 0, "no arm can be faster", "--set claim=accurate")
    shorter = cli_inside(
        "ladder", "digits-short", "--dry-run", "--experiments", Path(__file__).parents[2] / "experiments"
    )
    assert "can be faster" not in says(shorter, 0)


# --- mistakes -----------------------------------------------------------------------------------------------


def test_a_plan_that_changes_on_the_way_is_refused(cli_inside, folder) -> None:
    document(cli_inside("ladder", "two", *SIZES, "--json"))
    says(
        cli_inside("ladder", "two", "--sizes", "4,8,32"), 2,
        "was begun with sizes 4,8,16, now 4,8,32", "give the plan that it was begun with", "--as NAME",
    )  # fmt: skip
    says(cli_inside("ladder", "two", *SIZES, "--keep", "2,1"), 2, "was begun with keep 1/3,1, now 2,1")
    says(cli_inside("ladder", "two", *SIZES, "--set", "claim=faster"), 2, "was begun with rule accurate: ")
    says(cli_inside("ladder", "two", "--sizes", "4,8,32", "--dry-run"), 2, "was begun with sizes")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("sweeep",), ("Unknown experiment 'sweeep'. Did you mean 'sweep'?",)),
        (("sweep", "--sizes", "x"), ("--sizes: 'x' is no number of runs", "25,200,1000")),
        (("base",), ("base has the single arm 'base', and a ladder chooses among several", "control = ")),
        (("one",), ("the single candidate 'shift=0.3'", "harness run one --stage final --seeds 1000")),
        (("sweep", "--arm", "shift=0.1"), ("the single candidate 'shift=0.1'",)),
        (("sweep", "two"), ("one experiment at a time; found sweep, two",)),
        (("train.py",), ("the single arm 'train'", "name several Python files")),
    ],
)
def test_what_a_newcomer_gets_wrong(cli_inside, folder, arguments, words) -> None:
    says(cli_inside("ladder", *arguments), 2, *words)
    assert not (folder / "results").exists()


def test_a_control_that_is_nowhere(cli_inside, folder) -> None:
    write(folder, "experiments/lost.toml", SWEEP.replace('control = "base"', 'control = "bse"') + "[0.1, 0.2]\n")
    says(
        cli_inside("ladder", "lost"),
        2,
        "key 'control': 'bse' is neither an arm of this experiment nor an experiment",
        "'base'",
    )


def test_a_margin_that_nobody_stated_is_told_before_the_runs(cli_inside, folder) -> None:
    write(folder, "experiments/quick.toml", 'claim = "faster"\n' + SWEEP + "[0.1, 0.2]\n")
    says(cli_inside("ladder", "quick", "--dry-run"), 0, "claim 'faster' needs a margin", "--set margin_pp=0.05")
    assert "margin" not in says(cli_inside("ladder", "quick", "--dry-run", "--set", "margin_pp=0.1"), 0)


def test_runs_that_were_seen_before_the_plan_are_not_fresh(cli_inside, folder) -> None:
    says(cli_inside("run", "two", "--stage", "screen", "--seeds", 4, "-q"), 0)
    says(cli_inside("ladder", "two", *SIZES, "--dry-run"), 0)
    says(cli_inside("run", "two", "--stage", "final", "--seeds", 3, "-q"), 0)
    says(cli_inside("ladder", "two", *SIZES), 2, "holds runs of stage final that no ladder planned", "--as NAME")


def test_a_plan_can_stand_in_the_experiment(cli_inside, folder) -> None:
    text = SWEEP + '[0.3, -0.3, 0.1]\n[ladder]\nsizes = [4, 10]\nkeep = ["2/3"]\n'
    write(folder, "experiments/own.toml", text)
    found = document(cli_inside("ladder", "own", "--dry-run", "--json"))
    assert [(s["stage"], s["runs_per_arm"], s["arms"]) for s in found["stages"]] == [("screen", 4, 3), ("final", 10, 2)]
    write(folder, "experiments/own.toml", text.replace("sizes", "size"))
    says(cli_inside("ladder", "own"), 2, "own.toml: [ladder]: unknown key 'size'. Did you mean 'sizes'?")
    write(folder, "experiments/own.toml", text.replace("[4, 10]", "[4, 1]"))
    says(cli_inside("ladder", "own"), 2, "own.toml: [ladder]: 1 runs an arm; allowed is 2 to")


def test_a_run_of_the_same_experiment_begins_no_ladder(cli_inside, folder) -> None:
    write(folder, "experiments/own.toml", SWEEP + "[0.3, -0.3]\n[ladder]\nsizes = [4, 10]\n")
    says(cli_inside("run", "own", "--seeds", 2, "-q"), 0)
    assert "ladder" not in json.loads((folder / "results/own/experiment.json").read_text())


def test_two_finalists_share_the_level(cli_inside, folder) -> None:
    found = document(cli_inside("ladder", "sweep", *SIZES, "--keep", "3,2", "--json"))
    assert len(found["finalists"]) == 2 and found["verdict"] is None
    assert [one["selection"]["k"] for one in found["final"]["comparisons"]] == [2, 2]


# --- killed -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_as_if_it_had_not_been(cli, tmp_path) -> None:
    """The digits, really trained: two kills of the whole process group, and the same seeds, accuracies and decisions."""
    root = Path(__file__).resolve().parents[2]
    command = (
        "ladder",
        "digits-lr-end",
        "--sizes",
        "5,10,30",
        "--set",
        "claim=accurate",
        "--experiments",
        root / "experiments",
        "--json",
    )
    whole, killed = (tmp_path / name for name in ("whole", "killed"))
    for folder in (whole, killed):
        folder.mkdir()
    shutil.copytree(root / "results/digits-baseline", killed / "results/digits-baseline")
    shutil.copytree(root / "results/digits-baseline", whole / "results/digits-baseline")
    untouched = cli(*command, "--results", whole / "results", timeout=600)
    says(untouched, 0)
    choose, met = random.Random(5), 0
    path = killed / "results/digits-lr-end/runs.csv"
    for rows_at_least in (choose.randrange(2, 45), choose.randrange(55, 110)):
        process = start_cli(*command, cwd=killed)
        assert wait_until(lambda n=rows_at_least: path.exists() and path.read_bytes().count(b"\n") > n, 120)
        time.sleep(choose.uniform(0, 0.3))
        met += process.poll() is None
        kill_session(process)
        assert path.read_bytes().endswith(b"\n"), "a row is torn"
    assert met == 2, "a kill met nothing: this test tests nothing"
    resumed = cli(*command, "--results", killed / "results", timeout=600)
    says(resumed, 0)
    assert _results(killed) == _results(whole)
    ours, theirs = (json.loads(done.stdout) for done in (resumed, untouched))
    assert ours["finalists"] == theirs["finalists"] and ours["headline"] == theirs["headline"]
    assert ours["naive"] == theirs["naive"]
    kept = [[(e["stage"], e["kept"]) for e in decisions(folder, "digits-lr-end")] for folder in (killed, whole)]
    assert kept[0] == kept[1] and len(kept[0]) == 2


def _results(folder: Path) -> dict[tuple[str, ...], str]:
    """The right answers of each run by arm, stage, replicate and seed."""
    rows = counted(rows_of(folder, "digits-lr-end"))
    out = {tuple(row[k] for k in ("arm", "stage", "replicate", "seed")): row["correct"] for row in rows}
    assert len(out) == len(rows) == 125, "a run is there twice, or missing"
    return out
