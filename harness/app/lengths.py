"""What `speedup` does: iso-accuracy from sweeps over training length, and steps to a target along the run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import UsageError
from harness.model.experiment import PROMISES

if TYPE_CHECKING:
    from harness.comparison.along import Curve
    from harness.comparison.samples import Sample
    from harness.selection import Question, Shelf
    from harness.store.metrics import Metrics


def speedup(control: str, candidate: str, results: Path, target: float | None) -> dict[str, Any]:
    """The iso-accuracy speed-up between two sweeps. Raises UsageError where no target is stated, or they are one sweep."""
    from harness.comparison.iso import iso_accuracy
    from harness.comparison.sweeps import apart, family_of
    from harness.selection import Shelf, sweep_arms

    shelf = Shelf(results)
    sides = [sweep_arms(shelf, name) for name in (control, candidate)]
    families = apart(*(family_of(side.arms, side.wanted) for side in sides))
    wanted = target if target is not None else next((s.target for s in sides if s.target is not None), None)
    if wanted is None:
        raise UsageError("No target is stated: add --target A, the accuracy at which both sweeps are read.")
    return iso_accuracy((control, candidate), *families, wanted).as_dict()


def along_run(names: tuple[str, str], results: Path, target: float | None, metric: str) -> dict[str, Any]:
    """Steps to the target of two arms that were evaluated along the run. Raises UsageError where they were not."""
    from dataclasses import replace

    from harness.comparison import along
    from harness.selection import Shelf, resolve

    shelf = Shelf(results)
    question = resolve(shelf, names, asked=[key for key in PROMISES if key != "target" or target is not None])
    if len(question.candidates) > 1:
        arms = ", ".join(c.name for c in question.candidates[:8])
        raise UsageError(
            f"{names[1]!r} holds {len(question.candidates)} candidates ({arms}); --along-run compares two arms. "
            f"Name one of them: {names[1]}:{question.candidates[0].name}."
        )
    wanted = target if target is not None else question.promises.get("target")
    if wanted is None:
        raise UsageError("No target is stated: add --target A, the accuracy that runs are to reach.")
    control, candidate = question.control, question.candidates[0]
    _refuse_unlike(question)
    if control.name == candidate.name:
        control, candidate = replace(control, name=names[0]), replace(candidate, name=names[1])
    curves = _curves(shelf, metric, control, candidate)
    sides = (along.followed(control, curves, wanted), along.followed(candidate, curves, wanted))
    assert sides[0] is not None
    assert sides[1] is not None
    return along.along_run(sides[0], sides[1], target=wanted, metric=metric).as_dict()


def _refuse_unlike(question: Question) -> None:
    """Raise UsageError where the arms saw different data, or one of them repeats seeds."""
    from itertools import chain

    from harness.comparison.checks import check_data, check_duplicates
    from harness.comparison.pair import Pair, Promise

    pair = Pair(question.control, question.candidates[0], Promise("accurate"))
    for finding in chain(check_data(pair), check_duplicates(pair)):
        raise UsageError(f"{finding.code}: {finding.message} {finding.advice}")


def _curves(shelf: Shelf, metric: str, *samples: Sample) -> dict[str, Curve]:
    """The metric along every run of the stores that were read. Raises UsageError for an arm without, or one not in [0, 1]."""
    from harness.store.metrics import read_metric

    read = [read_metric(store, metric) for store in shelf.stores_read]
    curves = {run: curve for found in read for run, curve in found.curves.items()}
    for sample in samples:
        own = [curves[run] for run in sample.runs["run_id"].tolist() if run in curves]
        if not own:
            raise UsageError(_no_curve(sample.name, metric, read))
        for value in (v for curve in own for v in curve.values.tolist() if not 0 <= v <= 1 and v == v):
            raise UsageError(
                f"The metric {metric!r} of {sample.name} holds {value:g}; a target is held against fractions in [0, 1]. "
                "Name another one with --metric, or let the trainer report fractions."
            )
    return curves


def _no_curve(arm: str, metric: str, read: Sequence[Metrics]) -> str:
    """Why an arm was not followed along its runs, and what to do."""
    names = sorted({name for found in read for name in found.names})
    stepless = sum(found.without_step for found in read)
    what = (
        f"{stepless} values of it are stored without a step"
        if stepless
        else f"stored are: {', '.join(names) or 'none'}"
    )
    return (
        f"No run of {arm} has the metric {metric!r} at the steps of its training ({what}). Name another with --metric, or let "
        f"the trainer return metrics=(Metric({metric!r}, value, step=...), ...) at every evaluation. Without them, sweep over "
        "training length and leave out --along-run."
    )
