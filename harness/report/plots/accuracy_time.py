"""Accuracy against time: where each arm lies, the region that its two means surely share, and the accuracy that is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

from scipy import special

from harness.comparison.compare import ArmSummary, Comparison
from harness.model.estimate import Estimate
from harness.report.plain import listed, name_of
from harness.report.plots import style
from harness.report.plots.shared import UNKNOWN_RUNS, Absent, parts_of, times_of, untimed
from harness.stats.regions import ellipse_reach

WIDTH, HEIGHT = 440.0, 330.0
NAMED = 12
"""So many arms are called by their names; of more, each by its number in the table."""


@dataclass(frozen=True)
class ArmPoint:
    """One arm: mean time (s) and accuracy (fraction) with their own 95 % limits, and the half-axes of their joint 95 % region.

    A half-axis is None where that mean has no error to show. `place` is the arm's number in the table, the control's 0.
    """

    name: str
    place: int
    n: int
    n_time: int
    time: Estimate
    accuracy: Estimate
    half_time: float | None
    half_accuracy: float | None


@dataclass(frozen=True)
class AccuracyTime:
    """The arms whose times may stand on one axis; `left_out` names the others with the reason."""

    points: tuple[ArmPoint, ...]
    target: float | None
    left_out: tuple[tuple[str, str], ...]


def accuracy_time_of(comparison: Comparison) -> AccuracyTime | Absent:
    """The `accuracy` and `time_s` of every arm of `harness compare --json` that may be compared in time."""
    comparison = parts_of(comparison)[0][1]
    frames = times_of(comparison)
    if not frames:
        return Absent(UNKNOWN_RUNS)
    candidates = [(i, one, untimed(one)) for i, one in enumerate(comparison.comparisons, 1)]
    left_out = tuple((name_of(one.candidate.name), why) for _, one, why in candidates if why)
    there = [(i, one.candidate) for i, one, why in candidates if not why]
    control = comparison.comparisons[0].control if comparison.comparisons else comparison.control
    if candidates and not there:
        return Absent(f"No two arms stand on one axis of time: {'; '.join(reasons_of(left_out))}")
    arms = [(0, control), *there]
    points = [_point(place, arm, len(set(frames[arm.name]["invocation"].tolist()) - {""})) for place, arm in arms]
    known = tuple(point for point in points if point is not None)
    if not known:
        return Absent("No arm has both an accuracy and a time.")
    return AccuracyTime(known, comparison.promise.target, left_out)


def reasons_of(left_out: tuple[tuple[str, str], ...]) -> list[str]:
    """Why candidates are left out, each reason once with those that it keeps out."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in left_out:
        by_reason.setdefault(reason, []).append(name)
    return [f"{listed(names, 3)}: {reason}" for reason, names in by_reason.items()]


def _point(place: int, arm: ArmSummary, starts: int) -> ArmPoint | None:
    if arm.accuracy.value is None or arm.time_s.value is None:
        return None
    halves = _half(arm.time_s, starts - 1), _half(arm.accuracy, arm.n - 1)
    return ArmPoint(name_of(arm.name), place, arm.n, arm.n_time, arm.time_s, arm.accuracy, *halves)


def _half(e: Estimate, df: int) -> float | None:
    """From a mean's own 95 % limits (Student's t) to its reach in the joint region."""
    if e.low is None or e.high is None or df < 1:
        return None
    se = (e.high - e.low) / 2 / -float(special.stdtrit(df, 0.025))
    return se * ellipse_reach(df)


# --- drawing --------------------------------------------------------------------------------------------------


def draw_accuracy_time(shown: AccuracyTime) -> Any:
    with style.applied():
        figure = style.new_figure(WIDTH, HEIGHT)
        axes = style.add_axes(figure, 58, 46, WIDTH - 14, HEIGHT - 16)
        scale, unit = _scale(shown)
        xs, ys = _limits(shown, scale)
        axes.set_xlim(*xs)
        axes.set_ylim(*ys)
        style.set_ticks(axes.xaxis, *xs, most=5)
        style.set_ticks(axes.yaxis, *ys, most=6)
        style.grid(axes, "both")
        axes.set_xlabel(f"mean time of a run ({unit})", labelpad=6)
        axes.set_ylabel("mean accuracy (%)", labelpad=6)
        for point in shown.points:
            _draw_point(axes, point, scale, several=len(shown.points) > style.MOST_SERIES + 1)
        taken = [_target(axes, shown.target)] if shown.target is not None else []
        _labels(figure, axes, shown, scale, [box for box in taken if box is not None])
        return figure


def _scale(shown: AccuracyTime) -> tuple[float, str]:
    slowest = max(point.time.value or 0.0 for point in shown.points)
    return (1000.0, "ms") if slowest < 1 else (1.0, "s")


def _limits(shown: AccuracyTime, scale: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """What holds every region, and the target unless it lies so far away that nothing else would be seen."""
    xs, ys = list[float](), list[float]()
    for p in shown.points:
        assert p.time.value is not None
        assert p.accuracy.value is not None
        for sign in (-1, 1):
            xs.append(scale * (p.time.value + sign * (p.half_time or 0.0)))
            ys.append(100 * (p.accuracy.value + sign * (p.half_accuracy or 0.0)))
    low, high = min(ys), max(ys)
    if shown.target is not None and low - 3 * (high - low) <= 100 * shown.target <= high + 3 * (high - low):
        ys.append(100 * shown.target)
    left, right = style.widened(min(xs), max(xs), 0.08)
    bottom, top = style.widened(min(ys), max(ys), 0.08)
    return (max(left, 0.0), right), (max(bottom, 0.0), min(top, 100.0 + 0.01 * (top - bottom)))


def _colour(point: ArmPoint, several: bool) -> tuple[str, str]:
    if point.place == 0:
        return style.INK, "X"
    place = 0 if several else (point.place - 1) % style.MOST_SERIES
    return style.SERIES[place], style.MARKERS[place]


def _draw_point(axes: Any, point: ArmPoint, scale: float, *, several: bool) -> None:
    from matplotlib.patches import Ellipse

    colour, marker = _colour(point, several)
    assert point.time.value is not None
    assert point.accuracy.value is not None
    x, y = scale * point.time.value, 100 * point.accuracy.value
    if point.half_time and point.half_accuracy:
        size = 2 * scale * point.half_time, 200 * point.half_accuracy
        faint = several and point.place > 0
        if not faint:
            axes.add_patch(Ellipse((x, y), *size, facecolor=colour, alpha=0.10, edgecolor="none", zorder=2))
        line = {"linewidth": 0.7, "alpha": 0.4} if faint else {"linewidth": 1.1}
        axes.add_patch(Ellipse((x, y), *size, facecolor="none", edgecolor=colour, zorder=2, **line))
    elif point.half_accuracy:
        axes.plot(
            [x, x],
            [y - 100 * point.half_accuracy, y + 100 * point.half_accuracy],
            color=colour,
            linewidth=1.1,
            zorder=2,
        )
    elif point.half_time:
        axes.plot(
            [x - scale * point.half_time, x + scale * point.half_time], [y, y], color=colour, linewidth=1.1, zorder=2
        )
    axes.plot([x], [y], marker=marker, markersize=7 if point.place == 0 else 5.5, color=colour, markeredgecolor=style.PAPER,
              markeredgewidth=0.8, linestyle="none", zorder=4)  # fmt: skip


Box = tuple[float, float, float, float]
"""Left, lower, right and upper edge in points of the figure."""


def _target(axes: Any, target: float) -> Box | None:
    """The line of the target with its name at the left edge; None where it lies outside."""
    low, high = axes.get_ylim()
    if not low <= 100 * target <= high:
        return None
    axes.axhline(100 * target, color=style.SERIES[1], linewidth=1.2, linestyle=style.DASHES[1], zorder=1)
    text = f"target {100 * target:g} %"
    x, y = axes.transData.transform((axes.get_xlim()[0], 100 * target))
    above = y + 18 < axes.transAxes.transform((0, 1))[1]
    axes.annotate(text, (axes.get_xlim()[0], 100 * target), xytext=(4, 4 if above else -4), textcoords="offset points",
                  va="bottom" if above else "top", color=style.SERIES[1], fontsize=style.SMALL)  # fmt: skip
    bottom = y + 2 if above else y - 18
    return (x, bottom, x + 8 + style.width_of(text, style.SMALL), bottom + 16)


def _labels(figure: Any, axes: Any, shown: AccuracyTime, scale: float, taken: list[Box]) -> None:
    """Each arm's name (its number, of many) beside its point, where there is room for it and nothing else."""
    left, low = axes.transAxes.transform((0, 0))
    right, high = axes.transAxes.transform((1, 1))
    centres = {}
    for p in shown.points:
        centres[p.place] = axes.transData.transform((scale * (p.time.value or 0), 100 * (p.accuracy.value or 0)))
    marks: list[Box] = [(x - 5, y - 5, x + 5, y + 5) for x, y in centres.values()]
    by_number = len(shown.points) > NAMED
    for p in sorted(shown.points, key=lambda p: p.place):
        text = f"{p.place}" if by_number and p.place else style.fitted(p.name, 130, style.SMALL)
        wide, tall = style.width_of(text, style.SMALL), style.SMALL
        x, y = centres[p.place]
        for side, lift in product((1, -1), (0, 1, -1, 2, -2)):
            start = x + 8 if side > 0 else x - 8 - wide
            middle = y + lift * 9
            box = (start - 2, middle - tall / 2 - 1, start + wide + 2, middle + tall / 2 + 1)
            inside = box[0] >= left and box[2] <= right and box[1] >= low and box[3] <= high
            if inside and not any(_overlap(box, other) for other in (*taken, *marks)):
                colour = style.INK if by_number else _colour(p, len(shown.points) > style.MOST_SERIES + 1)[0]
                leader = {"arrowstyle": "-", "color": colour, "linewidth": 0.6, "shrinkB": 3} if abs(lift) > 1 else None
                axes.annotate(text, (x, y), xycoords="figure points", xytext=(start - x, middle - y), textcoords="offset points",
                              va="center", ha="left", fontsize=style.SMALL, color=colour, zorder=5, arrowprops=leader)  # fmt: skip
                taken.append(box)
                break


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
