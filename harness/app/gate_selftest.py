"""What `gate gate.toml --self-test` does: regressions planted into copies of the stored runs must turn this gate red."""

from __future__ import annotations

import csv
import math
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.app.gate_file import (
    CheckResult,
    FileReport,
    GateOptions,
    Measured,
    asked_of,
    check_statement,
    judged_check,
    measured,
    report_of,
)
from harness.app.judging import judge_question, question_of
from harness.errors import IncompleteError, StoreError

if TYPE_CHECKING:
    from harness.comparison.layers import Layer
    from harness.gatefile import Check, GateFile

SHIFT_MARGINS = 4
LEAST_SHIFT_PP = 0.05
"""Of a margin of nearly nothing, four times it would be nothing."""
SLOWER = 1.10
MOST_COMMITS = 50
"""A loss of this size that creep does not see within so many commits is not seen."""


@dataclass(frozen=True)
class Plant:
    """A regression: points of accuracy lost, and the factor by which every time is longer."""

    words: str
    lost_pp: float = 0.0
    slower: float = 1.0


def self_test(gate: GateFile, options: GateOptions) -> FileReport:
    """Each check with each regression planted: `pass` where the gate turned red, `fail` where it did not."""
    for check in gate.checks:
        check_statement(check, options)
    results = []
    for check in gate.checks:
        try:
            runs = measured(check, options, gate)
            results.append(CheckResult(check.name, tuple(_layers(check, runs, gate, options)), stores=runs.names))
        except (StoreError, IncompleteError) as problem:
            results.append(CheckResult(check.name, problem=str(problem)))
    return report_of(gate, results, replace(options, on_inconclusive="fail"))


def _layers(check: Check, runs: Measured, gate: GateFile, options: GateOptions) -> Iterator[Layer]:
    question = question_of(runs.names, options.results, asked_of(check))
    promise = judge_question(question, options.results, asked_of(check), default_claim="no-regression").promise
    lost = max(SHIFT_MARGINS * (promise.margin_pp or 0.0), LEAST_SHIFT_PP)
    slow = promise.max_slowdown
    arms = [(sample.store, sample.arm) for sample in question.candidates]
    stores = {question.control.rows.source, *(store for store, _ in arms)} | {
        name.partition(":")[0] for name in runs.names
    }
    for words, plant in _plants(lost, slow):
        with tempfile.TemporaryDirectory(prefix="harness-self-test-") as scratch:
            folder = Path(scratch)
            _copied(options.results, folder / "results", stores)
            for store, arm in arms:
                planted(folder / "results" / store / "runs.csv", arm, plant)
            trial = _trial(check, gate, folder / "history.jsonl")
            stored = replace(check, run=False)
            place = replace(options, results=folder / "results")
            yield from _turned_red(stored, runs, trial, place, words, plant)


def _trial(check: Check, gate: GateFile, history: Path) -> GateFile:
    """The gate with a history of its own, which begins at the check's anchor."""
    from harness.anchors import anchor_record, append_history, read_baselines

    baseline = read_baselines(gate.baseline).get(check.name) if "creep" in check.layers else None
    if baseline is not None:
        append_history(history, anchor_record(check.name, baseline))
    return replace(gate, history=history)


def _plants(lost: float, slow: float | None) -> Iterator[tuple[str, Plant]]:
    yield "accuracy", Plant(f"accuracy {lost:g} pp lower", lost_pp=lost)
    if slow is not None:
        factor = max(SLOWER, 1 + 2 * slow)
        yield "time", Plant(f"time × {factor:g}", slower=factor)


def _turned_red(
    check: Check,
    runs: Measured,
    gate: GateFile,
    options: GateOptions,
    kind: str,
    plant: Plant,
) -> Iterator[Layer]:
    """For each layer that has to see this regression, whether it did."""
    from harness.comparison.layers import Layer

    result = judged_check(check, runs, gate, options)
    wanted = {"accuracy": ("claim", "hard accuracy"), "time": ("hard time",)}[kind]
    for layer in result.layers:
        if layer.name.startswith(wanted):
            red = layer.verdict == "fail"
            said = f"planted {plant.words}: {'turned red' if red else f'NOT SEEN ({layer.verdict})'}: {layer.message}"
            said += "" if red else _remedy(layer, plant)
            yield Layer(f"self-test {layer.name}, {kind}", "pass" if red else "fail", said, {"planted": plant.words})
    if kind == "accuracy" and "creep" in check.layers:
        yield _crept(check, runs, gate, options, plant, result)


def _remedy(layer: Layer, plant: Plant) -> str:
    """What would make a regression seen that was not, with the number of runs where it can be told."""
    facts = layer.facts
    if layer.verdict == "refused":
        return ""
    if layer.name.startswith("hard time"):
        reach = facts.get("red_from_slowdown")
        starts = _wanted(facts.get("invocations"), reach and math.log1p(reach), math.log(plant.slower), facts)
        more = f"about {max(5, starts)} would do" if starts else "five or more"
        return (
            f". Make more process starts ({more}: 'invocations' in the experiment, with as many seeds at least), or allow a larger "
            "max_slowdown"
        )
    runs = _wanted(facts.get("n"), facts.get("red_from_pp"), plant.lost_pp, facts)
    return f". Make more runs{f' (about {runs} an arm would do: seeds = {runs})' if runs else ''}, or widen margin_pp"


def _wanted(there: int | None, reach: float | None, planted: float, facts: Mapping[str, Any]) -> int | None:
    """Runs (or process starts) that see `planted` nine times in ten, where `there` of them turn red from `reach` on."""
    if not there or there < 2 or not reach:
        return None
    from scipy.special import stdtrit

    from harness.stats.power import seeds_one_sample

    alpha = float(facts["alpha"])
    sd = abs(reach) * math.sqrt(there) / float(stdtrit(there - 1, 1 - alpha))
    wanted = seeds_one_sample(difference=planted, sd=sd, alpha=alpha, exact_t=True)
    return None if wanted is None else max(there + 1, wanted)


def _crept(
    check: Check,
    runs: Measured,
    gate: GateFile,
    options: GateOptions,
    plant: Plant,
    first: CheckResult,
) -> Layer:
    """The same loss in one commit after another, until the chart is red."""
    from harness.comparison.layers import CREPT, Layer
    from harness.comparison.words import counted

    result = first
    for number in range(1, MOST_COMMITS + 1):
        layer = next(one for one in result.layers if one.name == "creep")
        if layer.verdict == "fail":
            said = f"planted {plant.words}: turned red at commit {number}: {layer.message.removesuffix(f'. {CREPT}')}"
            return Layer("self-test creep", "pass", said, {"planted": plant.words, "commits": number})
        if layer.verdict == "refused":
            break
        result = judged_check(check, replace(runs, commit=f"planted-{number}"), gate, options)
    said = f"planted {plant.words}: NOT SEEN ({layer.verdict}) in {counted(number, 'commit')}: {layer.message}"
    said += "" if layer.verdict == "refused" else ". More seeds a commit make the chart quicker; or widen margin_pp"
    return Layer("self-test creep", "fail", said, {"planted": plant.words, "commits": number})


def _copied(results: Path, place: Path, stores: set[str]) -> None:
    for store in stores:
        if (results / store).is_dir():
            ignored = shutil.ignore_patterns("correct", "patches", "environments", "metrics.csv", "*.lock")
            shutil.copytree(results / store, place / store, ignore=ignored)


def planted(path: Path, arm: str, plant: Plant) -> None:
    """The regression in every run of one arm of a store: fewer right answers, longer times."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        header, rows = list(reader.fieldnames or ()), list(reader)
    for row in rows:
        if row.get("arm") == arm:
            _plant_row(row, plant)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, header, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _plant_row(row: dict[str, str], plant: Plant) -> None:
    share = plant.lost_pp / 100
    if row.get("correct") and row.get("total"):
        total = int(float(row["total"]))
        row["correct"] = str(max(0, int(float(row["correct"])) - math.ceil(share * total)))
        row["accuracy"] = repr(int(row["correct"]) / total)
    elif row.get("accuracy"):
        row["accuracy"] = repr(max(0.0, float(row["accuracy"]) - share))
    if row.get("time_s"):
        row["time_s"] = repr(float(row["time_s"]) * plant.slower)
