"""A sweep's curve: the difference from the control over the key in which the arms differ, as measured and shrunken."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from harness.comparison.compare import Comparison
from harness.report.plain import name_of
from harness.report.plots import style
from harness.report.plots.shared import UNKNOWN_RUNS, Absent

WIDTH, HEIGHT = 440.0, 330.0
LEAST = 3
LARGEST = 1e100
WIDE = 20.0
"""Keys whose largest value is so many times the smallest, in uneven steps, are drawn on a logarithmic axis."""


@dataclass(frozen=True)
class SweepPoint:
    """One candidate: the value of the key; the difference (pp), its simultaneous limits and its shrunken value."""

    name: str
    at: float
    n: int
    value: float
    low: float | None
    high: float | None
    shrunk: float | None


@dataclass(frozen=True)
class SweepCurve:
    """The candidates that differ from the control in this key alone, in the order of its values; `control` the control's value."""

    key: str
    points: tuple[SweepPoint, ...]
    control: float | None
    margin_pp: float | None

    @property
    def logarithmic(self) -> bool:
        values = sorted({p.at for p in self.points} | (set() if self.control is None else {self.control}))
        if values[0] <= 0 or values[-1] / values[0] < WIDE:
            return False
        return max(b - a for a, b in pairwise(values)) > (values[-1] - values[0]) / 3


def sweeps_of(comparison: Comparison) -> tuple[SweepCurve, ...] | Absent:
    """The `difference_pp` and `selection` of `harness compare --json`, over each numeric key with three values or more."""
    if comparison.base is None:
        return Absent(UNKNOWN_RUNS)
    base = comparison.base.config
    if base is None:
        return Absent("The configurations of these arms are not stored, so it is unknown in which key they differ.")
    by_key: dict[str, list[SweepPoint]] = {}
    for point, key in _points(comparison, base):
        by_key.setdefault(key, []).append(point)
    margin = comparison.promise.margin_pp if comparison.promise.claim not in ("accurate", "time-only") else None
    curves = [
        SweepCurve(name_of(key), tuple(sorted(points, key=lambda p: (p.at, p.name))), _number(base.get(key)), margin)
        for key, points in by_key.items()
    ]
    curves = [c for c in curves if len({p.at for p in c.points} | ({c.control} - {None})) >= LEAST]
    return tuple(curves) or Absent(
        "No candidates differ from the control in one numeric key alone with three values or more."
    )


def _points(comparison: Comparison, base: Mapping[str, Any]) -> Iterator[tuple[SweepPoint, str]]:
    copies: list[SweepPoint] = []
    keys: list[str] = []
    for one in comparison.comparisons:
        config = None if one.pair is None else one.pair.candidate.config
        e, s = one.difference_pp, one.selection
        if config is None or e.value is None:
            continue
        differing = [k for k in dict.fromkeys((*base, *config)) if base.get(k) != config.get(k)]
        limits = (e.low, e.high, None) if s is None else (s.low_pp, s.high_pp, s.shrunk_pp)
        made = (name_of(one.candidate.name), one.candidate.n, e.value)
        if not differing:
            copies.append(SweepPoint(made[0], math.nan, *made[1:], *limits))
        at = _number(config.get(differing[0])) if len(differing) == 1 else None
        if at is not None:
            keys.append(differing[0])
            yield SweepPoint(made[0], at, *made[1:], *limits), differing[0]
    own = _number(base.get(keys[0])) if len(set(keys)) == 1 else None
    for copy in copies if own is not None else ():  # an arm with the control's own value lies on the curve, too
        yield SweepPoint(copy.name, own, copy.n, copy.value, copy.low, copy.high, copy.shrunk), keys[0]  # type: ignore[arg-type]


def _number(value: Any) -> float | None:
    """A number that an axis can show; None for what is none."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < LARGEST:
        return None
    return float(value)


# --- drawing --------------------------------------------------------------------------------------------------


def draw_sweep(curve: SweepCurve) -> Any:
    from matplotlib.lines import Line2D

    with style.applied():
        labels = ["measured, simultaneous 95 %", "shrunken", "the control"]
        columns = style.key_columns(labels, WIDTH - 72)
        above = style.key_height(len(labels), columns) + 14
        figure = style.new_figure(WIDTH, HEIGHT)
        axes = style.add_axes(figure, 62, 46, WIDTH - 14, HEIGHT - above)
        marks: dict[str, Any] = {"linestyle": "none", "markersize": 5}
        handles = [
            Line2D([], [], marker="o", color=style.SERIES[0], **marks),
            Line2D(
                [], [], marker="D", color=style.SERIES[1], markerfacecolor=style.PAPER, linewidth=1.4, markersize=4.6
            ),
            Line2D([], [], marker="s", color=style.INK, markerfacecolor=style.PAPER, **marks),
        ]
        style.key(figure, handles, labels, left=62, top=HEIGHT - 5, columns=columns)
        _points_and_limits(axes, curve)
        scale = " (logarithmic)" if curve.logarithmic else ""
        axes.set_xlabel(style.fitted(curve.key, 320 - style.width_of(scale)) + scale, labelpad=6)
        axes.set_ylabel("accuracy − control (pp)", labelpad=6)
        return figure


def _points_and_limits(axes: Any, curve: SweepCurve) -> None:
    blue, red = style.SERIES[0], style.SERIES[1]
    known = [x for p in curve.points for x in (p.low, p.high, p.value, p.shrunk) if x is not None]
    margins = [-curve.margin_pp] if curve.margin_pp else []
    low, high = style.widened(min(*known, 0.0, *margins), max(*known, 0.0), 0.06)
    values = [p.at for p in curve.points] + ([] if curve.control is None else [curve.control])
    left, right = _x_limits(curve, values)
    axes.set_ylim(low, high)
    axes.set_xlim(left, right)
    style.set_ticks(axes.yaxis, low, high, most=6, sign=True)
    style.grid(axes, "y")
    _x_ticks(axes, curve, values)
    axes.axhline(0, color=style.MUTED, linewidth=1.0, zorder=1)
    for margin in margins:
        axes.axhline(margin, color=red, linewidth=1.2, linestyle=style.DASHES[1], zorder=1)
    for p in curve.points:
        if p.low is not None and p.high is not None:
            axes.plot([p.at, p.at], [p.low, p.high], color=blue, linewidth=1.2, zorder=2)
        axes.plot([p.at], [p.value], marker="o", color=blue, markersize=5, linestyle="none", zorder=4)
    pulled = [(p.at, p.shrunk) for p in curve.points if p.shrunk is not None]
    if pulled:
        axes.plot([x for x, _ in pulled], [y for _, y in pulled], color=red, linewidth=1.4, marker="D", markersize=4.6,
                  markerfacecolor=style.PAPER, zorder=3)  # fmt: skip
    if curve.control is not None:
        axes.plot(
            [curve.control],
            [0],
            marker="s",
            color=style.INK,
            markerfacecolor=style.PAPER,
            markersize=6,
            linestyle="none",
            zorder=5,
        )


def _x_limits(curve: SweepCurve, values: list[float]) -> tuple[float, float]:
    if not curve.logarithmic:
        return style.widened(min(values), max(values), 0.05)
    low, high = style.widened(math.log10(min(values)), math.log10(max(values)), 0.05)
    return 10**low, 10**high


def _x_ticks(axes: Any, curve: SweepCurve, values: list[float]) -> None:
    """Ticks at the values that were tried, as many from the left as have room for their numbers."""
    if curve.logarithmic:
        from matplotlib.ticker import NullFormatter, NullLocator

        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_minor_formatter(NullFormatter())
    ticks, free = list[float](), -math.inf
    for value in sorted(set(values)):
        middle, half = axes.transData.transform((value, 0))[0], style.width_of(_number_text(value), style.SMALL) / 2
        if middle - half >= free:
            ticks.append(value)
            free = middle + half + 6
    axes.set_xticks(ticks, labels=[_number_text(x) for x in ticks])


def _number_text(x: float) -> str:
    return f"{x:g}".replace("-", style.MINUS)
