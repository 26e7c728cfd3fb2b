"""Figures of a judgement. What is drawn is computed without matplotlib, so that a page can say why something cannot be drawn.

    plot_forest(c)          differences in accuracy and speed-ups, with simultaneous limits
    plot_accuracy_time(c)   accuracy against time, with regions of confidence and the target
    plot_ecdf(c)            the distribution of each arm, with the bar
    plot_drift(c)           times along the campaign, with clock, temperature and throttling
    plot_looks(c)           the path of a sequential campaign between its bounds
    plot_sweep(c)           a sweep's curve, as measured and shrunken

Each takes a `Comparison` and gives a matplotlib Figure (object interface: nothing is shown, no figure is kept open), or raises UsageError
with the reason why there is nothing to draw.
"""

from __future__ import annotations

from typing import Any, TypeVar

from harness.comparison.compare import Comparison
from harness.errors import UsageError, nearest
from harness.report.plots.accuracy_time import accuracy_time_of, draw_accuracy_time
from harness.report.plots.drift import draw_drift, drift_of
from harness.report.plots.ecdf import distributions_of, draw_distributions
from harness.report.plots.forest import Forest, draw_both, draw_forest, forest_of
from harness.report.plots.looks import draw_path, paths_of
from harness.report.plots.shared import Absent
from harness.report.plots.sweep import draw_sweep, sweeps_of

__all__ = ["plot_accuracy_time", "plot_drift", "plot_ecdf", "plot_forest", "plot_looks", "plot_sweep"]

T = TypeVar("T")


def _there(found: T | Absent) -> T:
    if isinstance(found, Absent):
        raise UsageError(f"There is nothing to plot. {found.reason}")
    return found


def plot_forest(comparison: Comparison, what: str = "both") -> Any:
    """`what`: "accuracy", "time", or "both" side by side (one alone where the other cannot be drawn)."""
    if what not in ("accuracy", "time", "both"):
        raise UsageError(f"what is {what!r}. {nearest(what, ('accuracy', 'time', 'both'))}")
    if what == "accuracy":
        return draw_forest(_there(forest_of(comparison, "accuracy")))
    if what == "time":
        return draw_forest(_there(forest_of(comparison, "time")))
    accuracy, time = forest_of(comparison, "accuracy"), forest_of(comparison, "time")
    if not isinstance(accuracy, Forest):
        _there(time)
    return draw_both(accuracy, time)


def plot_accuracy_time(comparison: Comparison) -> Any:
    return draw_accuracy_time(_there(accuracy_time_of(comparison)))


def plot_ecdf(comparison: Comparison) -> Any:
    return draw_distributions(_there(distributions_of(comparison)))


def plot_drift(comparison: Comparison) -> Any:
    return draw_drift(_there(drift_of(comparison)))


def plot_looks(comparison: Comparison, candidate: str | None = None, endpoint: str | None = None) -> Any:
    """The first endpoint of the first candidate, or those that are named."""
    paths = _there(paths_of(comparison))
    chosen = [p for p in paths if candidate in (None, p.arm) and endpoint in (None, p.trail.endpoint)]
    if not chosen:
        ways = ", ".join(f"{p.arm}: {p.trail.endpoint}" for p in paths)
        raise UsageError(f"No path of candidate {candidate!r} and endpoint {endpoint!r}. Allowed: {ways}.")
    return draw_path(chosen[0])


def plot_sweep(comparison: Comparison, key: str | None = None) -> Any:
    """The curve over `key`; of several keys the one with the most arms where none is named."""
    curves = _there(sweeps_of(comparison))
    found = max(curves, key=lambda c: len(c.points)) if key is None else next((c for c in curves if c.key == key), None)
    if found is None:
        raise UsageError(f"No arms differ in {key!r} alone. {nearest(str(key), [c.key for c in curves])}")
    return draw_sweep(found)
