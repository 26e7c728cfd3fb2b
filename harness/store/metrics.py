"""Reading one metric of a store's long table `metrics.csv`: what was measured along each run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.comparison.along import Curve
from harness.errors import StoreError
from harness.store.read import Store, read_table


@dataclass(frozen=True)
class Metrics:
    """One metric: `curves` by run, the rows of it `without_step`, and the names of all metrics that are stored."""

    curves: Mapping[str, Curve]
    without_step: int
    names: frozenset[str]


def read_metric(store: Store, metric: str) -> Metrics:
    """The evaluations of `metric` by run, in order of their steps; nothing where the store has no metrics.

    Raises StoreError for a cell that is no number, and for two values of one run at one step.
    """
    path = store.folder / "metrics.csv"
    if not path.is_file():
        return Metrics({}, 0, frozenset())
    table = read_table(path, store.name)
    names = table.text("metric")
    mine = table.take([i for i, name in enumerate(names) if name == metric])
    steps, values = mine.numbers("step"), mine.numbers("value")
    there = np.flatnonzero(~np.isnan(steps))
    by_run: dict[str, list[int]] = {}
    runs = mine.text("run_id")
    for i in there.tolist():
        by_run.setdefault(runs[i], []).append(i)
    curves = {run: _curve(run, metric, steps[rows], values[rows], path) for run, rows in by_run.items()}
    return Metrics(curves, mine.rows - len(there), frozenset(names))


def read_values(store: Store) -> dict[str, dict[str, float]]:
    """The metrics that stand for whole runs (rows without a step), by run; nothing where the store has no metrics.

    Raises StoreError for a cell that is no number, and for two values of one metric of one run.
    """
    path = store.folder / "metrics.csv"
    if not path.is_file():
        return {}
    table = read_table(path, store.name)
    values: dict[str, dict[str, float]] = {}
    rows = zip(
        table.text("run_id"), table.text("metric"), table.text("step"), table.numbers("value").tolist(), strict=True
    )
    for run, metric, step, value in rows:
        if step:
            continue
        own = values.setdefault(run, {})
        if metric in own:
            raise StoreError(f"{path}: run {run} has two values of {metric!r}; one is allowed. Remove the repeat.")
        own[metric] = value
    return values


def read_series(store: Store) -> dict[str, dict[int, dict[str, float]]]:
    """What was measured along each run: values by metric at each step, by run; nothing where the store has no metrics.

    Raises StoreError for a cell that is no number, and for two values of one metric of one run at one step.
    """
    path = store.folder / "metrics.csv"
    if not path.is_file():
        return {}
    table = read_table(path, store.name)
    series: dict[str, dict[int, dict[str, float]]] = {}
    steps, values = table.numbers("step").tolist(), table.numbers("value").tolist()
    for run, metric, step, value in zip(table.text("run_id"), table.text("metric"), steps, values, strict=True):
        if step != step:
            continue
        at = series.setdefault(run, {}).setdefault(int(step), {})
        if metric in at:
            raise StoreError(f"{path}: run {run} has two values of {metric!r} at step {step:g}; one is allowed.")
        at[metric] = value
    return series


def mentions(store: Store, *metrics: str) -> bool:
    """Whether every one of these names stands somewhere in the store's metrics: cheap, before they are read."""
    path = store.folder / "metrics.csv"
    if not path.is_file():
        return False
    content = path.read_bytes()
    return all(f",{metric},".encode() in content for metric in metrics)


def _curve(run: str, metric: str, steps: Any, values: Any, path: object) -> Curve:
    order = np.argsort(steps, kind="stable")
    steps = steps[order]
    twice = np.flatnonzero(np.diff(steps) == 0)
    if twice.size:
        raise StoreError(
            f"{path}: run {run} has two values of {metric!r} at step {steps[twice[0]]:g}; one is allowed. "
            "Let the trainer report each evaluation once, with a step of its own, or remove the repeat."
        )
    return Curve(steps, values[order])
