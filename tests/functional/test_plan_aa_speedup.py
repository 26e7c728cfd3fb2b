"""`plan`, `aa` and `speedup`: the figures of the published tables, and honest answers where there are none."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.cli import run_cli


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    """Exit code and JSON of a command."""
    code = run_cli([*arguments, "--json"])
    out = capsys.readouterr().out
    return code, json.loads(out) if out else None


def write_runs(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def imported(capsys: pytest.CaptureFixture[str], name: str, rows: list[dict[str, Any]]) -> None:
    """`rows` as the store `name` under the current folder."""
    write_runs(Path(f"{name}.csv"), rows)
    assert run_cli(["import", f"{name}.csv", "--as", name]) == 0
    capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "seeds"),
    [
        (["--difference-pp", "0.03", "--sd-pp", "0.15"], 429),
        (["--difference-pp", "0.05", "--sd-pp", "0.15"], 155),
        (["--difference-pp", "0.03", "--sd-pp", "0.16"], 488),
        (["--difference-pp", "0.02", "--sd-pp", "0.15", "--control-runs", "1000"], 930),
        (["--difference-pp", "0.03", "--sd-pp", "0.15", "--control-runs", "1000"], 273),
        (["--difference-pp", "0.03", "--sd-pp", "0.15", "--alpha", "0.025", "--control-runs", "1000"], 357),
    ],
)
def test_seeds_for_a_difference(capsys: pytest.CaptureFixture[str], arguments: list[str], seeds: int) -> None:
    code, plan = answer(capsys, "plan", *arguments)
    assert code == 0
    assert plan["seeds"] == seeds


def test_an_unreachable_difference_is_null_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    code, plan = answer(capsys, "plan", "--difference-pp", "0.01", "--sd-pp", "0.15", "--control-runs", "1000")
    assert (code, plan["seeds"]) == (0, None)
    assert "unreachable with 1000 control runs" in plan["reason"]
    assert plan["floor_pp"] == pytest.approx(0.0139, abs=5e-5)


@pytest.mark.parametrize(("seeds", "bar"), [("25", 0.088), ("200", 0.031), ("1000", 0.014)])
def test_the_difference_that_given_seeds_show(capsys: pytest.CaptureFixture[str], seeds: str, bar: float) -> None:
    _, plan = answer(capsys, "plan", "--seeds", seeds, "--sd-pp", "0.15")
    assert plan["detectable_against_bar_pp"] == pytest.approx(bar, abs=5e-4)
    assert plan["detectable_pp"] == pytest.approx(math.sqrt(2) * plan["detectable_against_bar_pp"])


def test_the_bounds_of_a_sequential_plan(capsys: pytest.CaptureFixture[str]) -> None:
    _, plan = answer(capsys, "plan", "--looks", "5", "--alpha", "0.025")
    assert plan["boundaries"] == pytest.approx([4.8769, 3.3570, 2.6803, 2.2898, 2.0310], abs=5e-5)
    _, plan = answer(capsys, "plan", "--looks", "5", "--alpha", "0.05")
    assert plan["boundaries"] == pytest.approx([4.2292, 2.8881, 2.2981, 1.9618, 1.7397], abs=5e-5)
    assert plan["futility"] == pytest.approx([-1.040, -0.233, 0.454, 1.082, 1.740], abs=6e-4)


def test_the_ways_to_an_answer_are_priced(capsys: pytest.CaptureFixture[str]) -> None:
    """155 seeds an arm of two arms; five looks expect .63 of them without an effect, .75 with it, 1.116 at most."""
    _, found = answer(capsys, "plan", "--difference-pp", "0.05", "--sd-pp", "0.15")
    ways = {way["design"]: way for way in found["designs"]}
    assert set(ways) == {"fixed", "until-decided"} and found["recommended"] == "until-decided"
    assert ways["fixed"]["most"] == 310 and ways["fixed"]["hours_most"] is None
    shares = [ways["until-decided"][key] / 310 for key in ("no_effect", "full_effect", "most")]
    assert shares == pytest.approx([0.63, 0.75, 1.116], abs=0.01)


def test_a_plan_without_a_question_says_what_can_be_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["plan"]) == 2
    assert "--difference-pp D" in capsys.readouterr().err
    assert run_cli(["plan", "--difference-pp", "0.1"]) == 2
    assert "--sd-pp S" in capsys.readouterr().err


# --- aa -----------------------------------------------------------------------------------------------------


def interleaved(
    invocations: int, blocks: int, *, process_sd: float, arm_sd: float = 0.0, seed: int = 1
) -> list[dict[str, Any]]:
    """Two arms that do the same, with a process effect and an arm-by-process effect on time."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(invocations):
        start = rng.normal(0, process_sd)
        own = rng.normal(0, arm_sd, size=2)
        for b in range(blocks):
            for k, arm in enumerate(("control", "same")):
                time = 4 * math.exp(start + own[k] + rng.normal(0, 0.001))
                correct = 9400 + round(15 * rng.normal())
                rows.append({"arm": arm, "seed": i * blocks + b, "correct": correct, "total": 10000, "time_s": time,
                             "invocation": i, "block": b})  # fmt: skip
    return rows


def test_false_alarms_stay_near_alpha(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    imported(capsys, "x", interleaved(12, 20, process_sd=0.01, arm_sd=0.003))
    code, report = answer(capsys, "aa", "x", "--margin-pp", "0.1")
    assert code == 0
    alarms = {alarm["name"]: alarm for alarm in report["alarms"]}
    for name in ("accuracy", "time"):
        assert alarms[name]["ci95"][0] <= 0.06, f"{name}: {alarms[name]}"
        assert alarms[name]["rate"] > 0.02, "a test that never alarms is no test"
    assert alarms["verdict faster"]["rate"] <= alarms["time"]["rate"]


def test_an_unclustered_analysis_would_fail_the_same_test() -> None:
    """The swap of whole invocations is what shows it: by runs, the same data alarm far too often."""
    from harness.comparison.aa import swap_labels

    rows = interleaved(12, 20, process_sd=0.01, arm_sd=0.005)
    d = np.log([r["time_s"] for r in rows if r["arm"] == "control"]) - np.log(
        [r["time_s"] for r in rows if r["arm"] == "same"]
    )
    starts = np.array([r["invocation"] for r in rows if r["arm"] == "control"])
    clustered = swap_labels(d, starts, alpha=0.05, repeats=5000, rng=np.random.default_rng(0))
    assert clustered is not None
    rng, n = np.random.default_rng(0), d.size
    flipped = d * rng.choice((1.0, -1.0), size=(5000, 12))[:, starts]
    by_runs = flipped.mean(axis=1) / (flipped.std(axis=1, ddof=1) / math.sqrt(n)) > 1.652
    assert clustered.mean() < 0.065
    assert by_runs.mean() > 0.25


def test_too_few_invocations_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    imported(capsys, "x", interleaved(5, 10, process_sd=0.01))
    _, report = answer(capsys, "aa", "x")
    time = next(alarm for alarm in report["alarms"] if alarm["name"] == "time")
    assert time["rate"] is None
    assert "too few invocations: 5" in time["reason"] and "--set invocations=6 --as NAME" in time["reason"]


def test_the_remedy_for_too_few_invocations_is_one(cli_inside, tmp_path: Path) -> None:
    text = 'trainer = "digits"\nclaim = "time-only"\nseeds = 20\n[config]\nepochs = 0.1\n'
    (tmp_path / "same.toml").write_text(text + '[[arms]]\nname = "base"\n[[arms]]\nname = "again"\n')
    for extra, known in (((), False), (("--set", "invocations=6", "--as", "six"), True)):
        assert cli_inside("run", "same.toml", *extra, "-q").returncode == 0
        alarms = json.loads(cli_inside("aa", extra[-1] if extra else "same", "--json").stdout)["alarms"]
        assert [alarm["rate"] is not None for alarm in alarms[1:]] == [known, known], alarms


@pytest.mark.parametrize("claim", ["faster", "accurate", "time-only", "no-regression"])
def test_the_verdict_is_that_of_the_experiments_own_claim(cli_inside, tmp_path: Path, claim: str) -> None:
    write_runs(tmp_path / "runs.csv", interleaved(7, 10, process_sd=0.01))
    assert cli_inside("import", "runs.csv", "--as", "x").returncode == 0
    description = tmp_path / "results/x/experiment.json"
    description.write_text(json.dumps(json.loads(description.read_text()) | {"claim": claim, "margin_pp": 0.1}))
    accuracy, time, verdict = json.loads(cli_inside("aa", "x", "--json").stdout)["alarms"]
    assert verdict["name"] == f"verdict {claim}" and verdict["name"] in cli_inside("aa", "x").stdout
    like = {"accurate": accuracy, "time-only": time}.get(claim)
    if like is not None:
        assert (verdict["rate"], verdict["ci95"]) == (like["rate"], like["ci95"])
    if claim == "no-regression":
        assert verdict["rate"] is None and "is true" in verdict["reason"]


def test_an_answer_says_what_was_shuffled_and_what_its_interval_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_runs(tmp_path / "runs.csv", interleaved(7, 10, process_sd=0.01))
    run_cli(["import", "runs.csv", "--as", "x"])
    capsys.readouterr()
    assert run_cli(["aa", "x"]) == 0
    text = capsys.readouterr().out
    assert (
        "shuffled, so that nothing differs: the runs of control over two halves (accuracy), the labels of the arms"
        in text
    )
    assert "in brackets: 95 % Monte-Carlo interval of the rate over such shuffles of these runs" in text
    assert "all 128 patterns" in text, "2^7 swaps are fewer than the repeats: each is tried once"
    _, report = answer(capsys, "aa", "x")
    assert "whole process starts" in report["shuffled"]
    assert "Monte-Carlo" in report["interval"]
    accuracy, time = report["alarms"][:2]
    assert (accuracy["exhaustive"], time["exhaustive"]) == (False, True)
    assert accuracy["ci95"][0] < accuracy["rate"] < accuracy["ci95"][1]
    assert time["ci95"] == [time["rate"]] * 2, "an exact rate has no Monte-Carlo error"
    assert time["rate"] == time["false_alarms"] / 128


# --- speedup ------------------------------------------------------------------------------------------------


def sweep(name: str, factor: float, *, invocation: str, seed: int) -> list[dict[str, Any]]:
    """Error falls as time to the power -.55; `factor` scales the time at equal accuracy."""
    rng = np.random.default_rng(seed)
    rows = []
    for steps in (440, 455, 470, 485, 500):
        time = steps * 0.0087 * factor
        error = 0.06 * (time / 4.1) ** -0.55 * factor**0.55
        for i in range(100):
            correct = round(10000 * (1 - error + 0.0015 * rng.normal()))
            rows.append({"arm": f"{name}-{steps}", "seed": i, "correct": correct, "total": 10000, "time_s": time, "steps": steps,
                         "invocation": f"{invocation}{i % 5}", "block": i})  # fmt: skip
    return rows


def test_the_speed_up_at_equal_accuracy_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = sweep("a", 1.0, invocation="p", seed=1) + sweep("b", 1 / 1.03, invocation="p", seed=2)
    for arm in ("a", "b"):
        imported(capsys, arm, [row for row in rows if row["arm"].startswith(arm)])
    code, found = answer(capsys, "speedup", "a", "b", "--target", "0.94")
    assert code == 0
    assert found["axis"] == "steps", "two imports share no process starts: their seconds cannot be compared"
    assert found["speedup"]["ci95"][0] <= 1.0 <= found["speedup"]["ci95"][1], "per step both learn alike"
    code, beyond = answer(capsys, "speedup", "a", "b", "--target", "0.99")
    assert (code, beyond["speedup"]["value"]) == (0, None)
    assert "nothing is extrapolated" in beyond["speedup"]["reason"]


def test_a_speed_up_needs_a_target_and_three_lengths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = interleaved(5, 10, process_sd=0.01)
    imported(capsys, "x", rows)
    imported(capsys, "y", rows)
    assert run_cli(["speedup", "x", "y"]) == 2
    assert "--target" in capsys.readouterr().err
    _, found = answer(capsys, "speedup", "x", "y", "--target", "0.94")
    assert found["speedup"]["value"] is None
    assert "at least 3 are needed" in found["speedup"]["reason"]
    assert [gone["reason"] for gone in found["control"]["left_out"]] == ["the steps of its runs are not known"] * 2


def test_without_configurations_a_control_of_both_imports_is_a_point_of_neither(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    sides = {name: sweep(name, 1.0, invocation="p", seed=i) for i, name in enumerate("ab")}
    for name, rows in sides.items():
        for row in rows:
            own = row["steps"] != 470
            row["config_hash"] = f"{name}{row['steps']}" if own else "anchor"
            row["arm"] = row["arm"] if own else "anchor"
    for name, rows in sides.items():
        imported(capsys, name, rows)
    capsys.readouterr()
    _, found = answer(capsys, "speedup", "a", "b", "--target", "0.94")
    for side in ("control", "candidate"):
        assert "anchor" not in [p["arm"] for p in found[side]["points"]]
        assert [gone["arm"] for gone in found[side]["left_out"]] == ["anchor"]
        assert "stands in both sweeps" in found[side]["left_out"][0]["reason"]
    assert sum("no configurations are stored" in note for note in found["notes"]) == 2
