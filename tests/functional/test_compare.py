"""`harness compare` on stores: which runs it takes, what it prints, and how it ends."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from frames import codes, pair
from helpers import says, write

from harness import ExperimentLogger, compare, load
from harness.logger import row_of
from harness.model.run import COLUMNS, RunRecord

Cli = Callable[..., subprocess.CompletedProcess[str]]
PROMISE = {"claim": "faster", "target": 0.96, "margin_pp": 0.2, "alpha": 0.05}


def store(folder: Path, name: str, *arms: pd.DataFrame, roles: dict[str, str] | None = None, **promise: Any) -> None:
    """A store as a campaign leaves it: rows, and a description with the arms' roles and the promise."""
    roles = roles or {"control": "control", "candidate": "candidate"}
    data = pd.concat(arms, ignore_index=True).assign(experiment=name)
    data["run_id"] = [f"{name}.{i}" for i in range(len(data))]
    known = [{"name": arm, "role": roles.get(arm, "")} for arm in dict.fromkeys(data["arm"])]
    with ExperimentLogger(name, results=folder / "results") as logger:
        logger.describe({"name": name, "arms": known, **PROMISE, **promise})
        logger.write_rows([row_of(_record(row)) for row in data.to_dict("records")])


def _record(row: dict[str, Any]) -> RunRecord:
    known = {k: v for k, v in row.items() if k in COLUMNS and v != "" and v == v and v is not None}
    return RunRecord(**known)


def answer(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The JSON of a comparison that was printed; its first one is under "one"."""
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document | {"one": document["comparisons"][0]}


def frozen(a: pd.DataFrame) -> pd.DataFrame:
    """The control's configuration at another time, on other seeds."""
    return a.assign(seed=a["seed"] + 500, invocation="old" + a["invocation"])


# --- which runs ---------------------------------------------------------------------------------------------


def test_a_store_is_compared_with_its_own_control(cli_inside: Cli, tmp_path: Path) -> None:
    store(tmp_path, "final", *pair())
    document = answer(cli_inside("compare", "final", "--json"))
    assert document["one"]["verdict"] == "pass"
    assert {k: document[k] for k in PROMISE} == PROMISE
    assert (document["control"]["name"], document["one"]["candidate"]["name"]) == ("control", "candidate")


def test_a_frozen_control_counts_for_accuracy_and_its_blocks_for_time(cli_inside: Cli, tmp_path: Path) -> None:
    a, b = pair()
    store(tmp_path, "baseline", frozen(a).assign(arm="baseline"), roles={"baseline": "control"})
    store(tmp_path, "final", a.assign(arm="baseline"), b, roles={"baseline": "control", "candidate": "candidate"})
    document = answer(cli_inside("compare", "baseline", "final", "--json"))
    one = document["one"]
    assert (one["control"]["n"], one["control"]["n_time"]) == (50, 25)
    assert (one["candidate"]["n"], one["candidate"]["n_time"]) == (25, 25)
    assert (document["control"]["n"], document["control"]["n_time"]) == (50, 50)
    assert (one["verdict"], len(document["comparisons"]), codes(one)) == ("pass", 1, {})


def test_a_control_of_another_configuration_lends_no_runs(cli_inside: Cli, tmp_path: Path) -> None:
    a, b = pair()
    store(tmp_path, "baseline", frozen(a).assign(arm="baseline", config_hash="other"))
    store(tmp_path, "final", a, b)
    one = answer(cli_inside("compare", "baseline", "final", "--json"))["one"]
    assert (one["control"]["n"], one["time"]["design"]) == (25, "separate")
    assert codes(one)["not-interleaved"] == "refuse"


def test_a_run_that_stands_in_two_stores_counts_once(cli_inside: Cli, tmp_path: Path) -> None:
    a, b = pair()
    store(tmp_path, "baseline", a.head(10).assign(arm="control"))
    store(tmp_path, "final", a, b)
    one = answer(cli_inside("compare", "baseline", "final", "--json"))["one"]
    assert one["control"]["n"] == 25
    assert one["control"]["excluded"]["the same seed of the same configuration in another store"] == 10


def test_names_of_stores_and_arms(cli_inside: Cli, tmp_path: Path) -> None:
    a, b = pair()
    store(tmp_path, "sweep", a, b, b.assign(arm="third", seed=b["seed"]))
    store(tmp_path, "other", b.assign(arm="third", seed=b["seed"] + 900))
    named = answer(cli_inside("compare", "sweep:control", "sweep:third", "--json"))
    assert [one["candidate"]["name"] for one in named["comparisons"]] == ["third"]
    assert [c["candidate"]["name"] for c in answer(cli_inside("compare", "sweep", "--json"))["comparisons"]] == [
        "candidate",
        "third",
    ]
    says(cli_inside("compare", "sweep", "third"), 2, "arm of several stores", "sweep:third", "other:third")
    says(cli_inside("compare", "sweep", "sweep:candidate", "candidate"), 2, "named twice")
    says(cli_inside("compare", "other"), 2, "single arm", "Name a candidate")
    says(cli_inside("compare", "sweep:control", "sweep:control"), 2, "same runs", "EXPERIMENT:ARM")


def test_arms_of_one_name_are_told_apart_by_their_store(cli_inside: Cli, tmp_path: Path) -> None:
    a, b = pair()
    store(tmp_path, "monday", a.assign(arm="train"))
    store(tmp_path, "tuesday", frozen(b).assign(arm="train"))
    store(tmp_path, "sweep", b.assign(arm="third", seed=b["seed"] + 900))
    one = answer(cli_inside("compare", "monday", "tuesday", "sweep", "--json"))
    names = [one["control"]["name"], *(c["candidate"]["name"] for c in one["comparisons"])]
    assert names == ["monday:train", "tuesday:train", "third"], "only what clashes is named in full"
    printed = cli_inside("compare", "monday", "tuesday").stdout
    assert "monday:train and tuesday:train share no blocks" in printed
    ledger = (tmp_path / "results/tuesday/ledger.jsonl").read_text()
    assert '"arm": "train"' in ledger and "tuesday:train" not in ledger, "in its own store an arm has its own name"
    assert cli_inside("compare", "monday", "tuesday", "--json").stdout.count('"peeked"') == 0


def test_dataframes_of_one_arm_are_told_apart() -> None:
    a, b = pair()
    a, b = a.assign(arm="train", experiment="monday"), b.assign(arm="train", experiment="tuesday")
    assert named_in(compare(a, b)) == ["monday:train", "tuesday:train"]
    assert named_in(compare(a, b.assign(experiment="monday"))) == ["control", "candidate"]


def named_in(judged: Any) -> list[str]:
    return [judged.control.name, *(one.candidate.name for one in judged.comparisons)]


def test_an_arm_without_a_completed_run_cannot_be_judged(cli_inside: Cli, tmp_path: Path) -> None:
    a, b = pair(6)
    failed = b.assign(status=["crashed"] * 3 + ["timeout"] * 2 + ["completed"], warmup=[False] * 5 + [True])
    store(tmp_path, "final", a, failed)
    words = (
        "no completed runs of candidate (3 crashed, 2 timed out, 1 warm-ups)",
        "results/final/runs.csv",
        "harness run",
    )
    says(cli_inside("compare", "final"), 4, *words)
    says(cli_inside("compare", "final:candidate", "final:control"), 4, *words)
    says(cli_inside("aa", "final:candidate"), 4, *words)
    store(tmp_path, "sweep", a, failed, b.assign(arm="third", seed=b["seed"]))
    assert len(answer(cli_inside("compare", "sweep", "--json"))["comparisons"]) == 2, "the others can be judged"


def test_a_stage_without_runs_says_so(cli_inside: Cli, tmp_path: Path) -> None:
    store(tmp_path, "final", *pair())
    words = ("no completed runs of candidate", "25 of another stage than final")
    says(cli_inside("compare", "final", "--stage", "final"), 4, *words)


def test_the_latest_stage_counts_and_an_earlier_one_can_be_asked_for(cli_inside: Cli, tmp_path: Path) -> None:
    a, b = pair()
    early = [f.assign(stage="screen", seed=f["seed"] + 500, invocation="s" + f["invocation"]) for f in (a, b)]
    store(tmp_path, "sweep", *early, a, b)
    one = answer(cli_inside("compare", "sweep", "--json"))["one"]
    assert (one["candidate"]["n"], one["control"]["n"], one["verdict"]) == (25, 25, "pass"), "those of a stage chose it"
    screen = answer(cli_inside("compare", "sweep", "--stage", "screen", "--json"))["one"]
    assert (screen["candidate"]["n"], screen["verdict"]) == (25, "inconclusive")
    assert screen["more_runs"] > 0 and "screening-sample" in codes(screen)


def test_the_same_seed_twice_in_a_store_refuses_everything(cli_inside: Cli, tmp_path: Path) -> None:
    a, b = pair()
    store(tmp_path, "twice", a, pd.concat([b, b.head(1)]))
    one = answer(cli_inside("compare", "twice", "--json"))["one"]
    assert one["verdict"] == "refused"
    assert all(
        one["accuracy"][k]["decision"] == "refused" for k in ("bar", "noninferiority", "superiority", "equivalence")
    )
    assert one["headline"].startswith("REFUSED: duplicate-seeds")


# --- imports ------------------------------------------------------------------------------------------------


def imported(cli: Cli, folder: Path, name: str, data: pd.DataFrame) -> None:
    data.drop(columns=["run_id", "experiment"], errors="ignore").to_csv(folder / f"{name}.csv", index=False)
    done = cli("import", f"{name}.csv", "--as", name)
    assert done.returncode == 0, done.stderr


def test_arms_of_one_file_are_interleaved_and_those_of_two_are_not(cli_inside: Cli, tmp_path: Path) -> None:
    """The block keys of both files are equal; that they ran together is not known."""
    a, b = pair()
    imported(cli_inside, tmp_path, "together", pd.concat([a, b]))
    imported(cli_inside, tmp_path, "old", a)
    imported(cli_inside, tmp_path, "new", b)
    asked = ("--target", "96%", "--margin-pp", "0.2", "--json")
    assert answer(cli_inside("compare", "together", *asked))["one"]["verdict"] == "pass"
    one = answer(cli_inside("compare", "old", "new", *asked))["one"]
    assert (one["time"]["design"], one["verdict"]) == ("separate", "refused")
    assert codes(one) == {"not-interleaved": "refuse"}


def test_what_an_import_does_not_know_is_not_claimed(cli_inside: Cli, tmp_path: Path) -> None:
    a, b = pair()
    for name, frame in (("old", a), ("new", b)):
        imported(cli_inside, tmp_path, name, frame[["seed", "correct", "total", "time_s"]])
    one = answer(cli_inside("compare", "old", "new", "--claim", "no-regression", "--margin-pp", "0.2", "--json"))["one"]
    assert (one["time"]["design"], one["verdict"]) == ("unknown", "pass")
    assert "columns 'invocation' and 'block'" in one["findings"][0]["message"]


# --- what is asked ------------------------------------------------------------------------------------------


def test_the_command_line_stands_above_the_experiment(cli_inside: Cli, tmp_path: Path) -> None:
    store(tmp_path, "final", *pair(), max_slowdown=0.05)
    asked = (
        "--claim",
        "no-regression",
        "--target",
        "0.97",
        "--margin-pp",
        "0.3",
        "--max-slowdown",
        "1%",
        "--alpha",
        "0.01",
    )
    document = answer(cli_inside("compare", "final", *asked, "--json"))
    assert document["claim"] == "no-regression"
    assert [document[k] for k in ("target", "margin_pp", "max_slowdown", "alpha")] == [0.97, 0.3, 0.01, 0.01]
    assert document["one"]["time"]["noninferiority"]["margin"] == pytest.approx(1 / 1.01)


@pytest.mark.parametrize("command", ["compare", "gate", "plan"])
def test_the_help_says_whose_alpha_holds(cli_inside: Cli, tmp_path: Path, command: str) -> None:
    store(tmp_path, "final", *pair(), alpha=0.01)
    assert answer(cli_inside("compare", "final", "--json"))["alpha"] == 0.01
    shown = " ".join(cli_inside(command, "--help").stdout.split())
    assert "One-sided error rate. [default: the experiment's, else .05]" in shown.replace("0.05", ".05")


def test_experiments_that_promise_differently_are_compared_under_a_stated_promise(
    cli_inside: Cli, tmp_path: Path
) -> None:
    a, b = pair()
    store(tmp_path, "one", a, b, margin_pp=0.2)
    store(tmp_path, "two", b.assign(arm="second", seed=b["seed"] + 500), margin_pp=0.4)
    says(cli_inside("compare", "one:control", "one:candidate", "two"), 2, "'margin_pp'", "--margin-pp VALUE")
    document = answer(cli_inside("compare", "one:control", "one:candidate", "two", "--margin-pp", "0.3", "--json"))
    assert (document["margin_pp"], len(document["comparisons"])) == (0.3, 2)


@pytest.mark.parametrize(
    ("options", "words"),
    [(("--claim", "quicker"), "quicker"), (("--target", "94"), "94%"), (("--alpha", "0"), "alpha"),
     (("--margin-pp", "-1"), "margin-pp"), (("--max-slowdown", "much"), "1%"), (("--stage", "last"), "last")],
)  # fmt: skip
def test_options_that_cannot_be_are_usage_errors(
    cli_inside: Cli, tmp_path: Path, options: tuple[str, str], words: str
) -> None:
    says(cli_inside("compare", "final", *options), 2, words)


# --- what it prints -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("speedup", "split"), [(1.25, False), (0.9, False), (1.25, True)], ids=["pass", "fail", "refused"]
)
def test_a_judgement_that_was_printed_ends_in_0(cli_inside: Cli, tmp_path: Path, speedup: float, split: bool) -> None:
    a, b = pair(speedup=speedup)
    store(tmp_path, "final", a, b.assign(invocation="q") if split else b)
    done = cli_inside("compare", "final")
    word = {"pass": "FASTER AND NOT WORSE:", "fail": "NOT FASTER:", "refused": "REFUSED"}
    assert done.returncode == 0 and done.stderr == ""
    assert word["refused" if split else "pass" if speedup > 1 else "fail"] in done.stdout
    assert "25" in done.stdout and "96.5" in done.stdout


def test_the_table_names_what_is_shared_and_claims_nothing_where_nothing_differs(
    cli_inside: Cli, tmp_path: Path
) -> None:
    a, b = pair()
    store(tmp_path, "final", a, b.assign(lane="shared"))
    text = cli_inside("compare", "final").stdout
    assert "5 invocations" not in text and "target 96 %" in text and "margin 0.20 pp" in text
    line = next(line for line in text.splitlines() if line.startswith("candidate ") and "pp [" in line)
    assert "~" in line and "refused ¹" in line
    assert "¹ shared-lane:" in text and "→ For time, run again" in text


def test_every_run_that_does_not_count_is_named_with_its_arm(cli_inside: Cli, tmp_path: Path) -> None:
    a, b = pair(30)
    b.loc[:3, "time_s"] = np.nan
    b.loc[4, "lane"] = "shared"
    a.loc[[7, 8], "status"] = "crashed"
    third = b.assign(
        arm="third", time_s=b["time_s"].fillna(0.2), lane="exclusive", status=["timeout"] + 29 * ["completed"]
    )
    store(tmp_path, "final", a, b, third)
    done = cli_inside("compare", "final")
    says(done, 0)
    assert "not counted: 2 crashed or timed out (of control)" in done.stdout
    assert "2 outside complete blocks, 1 times of the shared lane, 4 without a time (of candidate)" in done.stdout
    assert "1 crashed or timed out, 2 outside complete blocks (of third)" in done.stdout


def test_a_status_that_means_nothing_is_told_as_what_it_is(cli_inside: Cli, tmp_path: Path) -> None:
    a, b = pair()
    a["status"] = "completed"
    a.loc[[7, 8], "status"] = "complet", "?"
    a.loc[3, "status"] = "timeout"
    store(tmp_path, "sweep", a, b)
    done = cli_inside("compare", "sweep", "--margin-pp", "0.2")
    assert "1 crashed or timed out, 2 with an unreadable status (of control)" in done.stdout
    assert "1 attempt of control crashed or timed out" in done.stdout
    assert (
        "2 attempts of control have a status that is none of completed, crashed, timeout ('?', 'complet')"
        in done.stdout
    )
    assert "3 failed attempts" in cli_inside("show", "sweep").stdout


def test_control_runs_that_one_candidate_cannot_use_are_named_beside_it(cli_inside: Cli, tmp_path: Path) -> None:
    a, b = pair()
    older = frozen(a).assign(torch="2.8.0", environment="e0")
    store(tmp_path, "final", a, older, b, b.assign(arm="third", torch="2.8.0", environment="e0", invocation="x"))
    printed = cli_inside("compare", "final").stdout
    assert (
        "not counted: 25 of another device or library version (of control beside candidate, control beside third)"
        in printed
    )


def test_a_finding_about_both_arms_is_told_of_both(cli_inside: Cli, tmp_path: Path) -> None:
    a, b = pair(30)
    a.loc[[7, 8], "status"], b.loc[:2, "status"] = "crashed", "timeout"
    store(tmp_path, "final", a, b)
    printed = cli_inside("compare", "final").stdout
    assert "2 attempts of control crashed or timed out" in printed
    assert "3 attempts of candidate crashed or timed out" in printed
    assert printed.count("Find the cause") == 1, "one advice is enough"


def test_where_nothing_is_wrong_nothing_is_advised(cli_inside: Cli, tmp_path: Path) -> None:
    a, b = pair()
    same = {"config_hash": "config", "compute_hash": ""}
    store(tmp_path, "final", a.assign(**same), b.assign(**same, code_hash="other"))
    printed = cli_inside("compare", "final").stdout
    assert "code-mismatch: The arms ran different code" in printed and "→" not in printed


def test_json_stands_alone_on_standard_output_and_in_its_file(cli: Cli, tmp_path: Path) -> None:
    store(tmp_path, "final", *pair())
    done = cli("compare", "final", "--json", "--json-file", "out.json", "--markdown", "out.md")
    assert json.loads(done.stdout) == json.loads((tmp_path / "out.json").read_text())
    markdown = (tmp_path / "out.md").read_text()
    assert markdown.startswith("**candidate**: FASTER AND NOT WORSE") and "| control | 25 |" in markdown
    plain = cli("compare", "final", "--json-file", "again.json")
    assert "FASTER" in plain.stdout and (tmp_path / "again.json").read_text() == (tmp_path / "out.json").read_text()


def test_python_and_the_command_give_the_same_document(cli_inside: Cli, tmp_path: Path) -> None:
    a, b = pair()
    store(tmp_path, "final", a, b)
    document = json.loads(cli_inside("compare", "final", "--json").stdout)
    results = tmp_path / "results"
    assert compare("final", results=results).as_dict() == document
    data = load("final", results=results)
    arms = [data[data["arm"] == name] for name in ("control", "candidate")]
    assert compare(*arms, **PROMISE).as_dict() == document
    assert "FASTER AND NOT WORSE" in repr(compare("final", results=results))


# --- stores that cannot be read -----------------------------------------------------------------------------


def test_a_missing_store_ends_in_4_with_the_nearest_name(cli: Cli, cli_inside: Cli, tmp_path: Path) -> None:
    says(cli("compare", "baseline", "final"), 4, "no store 'baseline'", "holds no runs")
    store(tmp_path, "baseline", pair()[0])
    says(cli_inside("compare", "baseline", "final"), 4, "no store 'final'", "baseline")
    says(cli_inside("compare", "baselin", "final"), 4, "Did you mean 'baseline'?")
    says(cli_inside("compare", "baseline:contrl", "baseline"), 4, "no arm 'contrl'", "Did you mean 'control'?")


DAMAGE: dict[str, tuple[Callable[[str], str], str]] = {
    "empty": (lambda text: "", "is empty"),
    "header only": (lambda text: text.splitlines()[0] + "\n", "holds no run yet"),
    "a cell of text": (lambda text: text.replace(",10000,", ",many,", 1), "'many'"),
    "a field too few": (lambda text: text.replace(",completed,", ",", 1), "fields"),
    "a percentage": (lambda text: _percent(text), "between 0 and 1"),
}


def _percent(text: str) -> str:
    lines = text.splitlines()
    at = {name: lines[0].split(",").index(name) for name in ("correct", "total", "accuracy")}
    cells = lines[1].split(",")
    cells[at["correct"]] = cells[at["total"]] = ""
    cells[at["accuracy"]] = "96.5"
    return "\n".join([lines[0], ",".join(cells), *lines[2:], ""])


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_store_ends_in_4(cli_inside: Cli, tmp_path: Path, kind: str) -> None:
    damage, words = DAMAGE[kind]
    store(tmp_path, "final", *pair())
    path = tmp_path / "results" / "final" / "runs.csv"
    path.write_text(damage(path.read_text()))
    says(cli_inside("compare", "final"), 4, "runs.csv", words)


def test_a_damaged_description_ends_in_4(cli_inside: Cli, tmp_path: Path) -> None:
    store(tmp_path, "final", *pair())
    write(tmp_path, "results/final/experiment.json", "{")
    says(cli_inside("compare", "final"), 4, "experiment.json")


def test_a_damaged_description_beside_says_how_to_leave_it_aside(cli_inside: Cli, tmp_path: Path) -> None:
    store(tmp_path, "final", *pair())
    write(tmp_path, "results/broken/runs.csv", "run_id,arm,seed,accuracy\n")
    write(tmp_path, "results/broken/experiment.json", '{"name": ')
    says(cli_inside("compare", "control", "candidate"), 4, "results/broken/experiment.json", "STORE:control")
    says(cli_inside("compare", "final:control", "final:candidate"), 0)


def test_a_torn_last_line_is_left_out(cli_inside: Cli, tmp_path: Path) -> None:
    store(tmp_path, "final", *pair())
    path = tmp_path / "results" / "final" / "runs.csv"
    path.write_bytes(path.read_bytes()[:-20])
    one = answer(cli_inside("compare", "final", "--json"))["one"]
    assert one["candidate"]["n"] == 24 and one["verdict"] == "pass"


def test_a_thousand_runs_against_a_thousand_take_a_second_or_two(cli: Cli, tmp_path: Path) -> None:
    store(tmp_path, "final", *pair(1000, invocations=20))
    one = answer(cli("compare", "final", "--json", timeout=20.0))["one"]
    assert (one["control"]["n"], one["time"]["invocations"]) == (1000, 20)
    assert np.isfinite(one["time"]["speedup"]["value"])


# --- arms that were asked for the same epochs ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "made", "fires"),
    [
        (({"epochs": 100}, {"epochs": 100}), (24, 38), True),
        (({"epochs": 100}, {"epochs": 100}), (38, 24), True),
        (({"epochs": 24}, {"epochs": 38}), (24, 38), False),  # the length is the change
        (({"epochs": 100, "steps": 0}, {"epochs": 100, "steps": 0}), (24, 38), True),
        (
            ({"epochs": 9.9, "steps": 400}, {"epochs": 9.9, "steps": 400}),
            (9.9, 12.0),
            False,
        ),  # steps decide, the batch differs
        (({"epochs": 9.9}, {"epochs": 9.9}), (9.917, 9.906), False),  # whole steps of another batch
        (({}, {}), (24, 38), False),
    ],
)
def test_arms_asked_for_the_same_epochs_that_made_others_are_not_compared_in_time(
    cli_inside: Cli, tmp_path: Path, asked: tuple[dict[str, Any], ...], made: tuple[float, ...], fires: bool
) -> None:
    """A trick that ended early after 24 epochs beside one that ended after 38: what was measured is when they stopped."""
    arms = [
        {"name": name, "role": name, "config": config}
        for name, config in zip(("control", "candidate"), asked, strict=True)
    ]
    frames = [frame.assign(epochs=float(epochs)) for frame, epochs in zip(pair(), made, strict=True)]
    store(tmp_path, "tricks", *frames, arms=arms)
    one = answer(cli_inside("compare", "tricks", "--json"))["one"]
    assert ("unequal-training" in codes(one)) == fires
    assert (one["time"]["decision"]["decision"] == "refused") == fires
