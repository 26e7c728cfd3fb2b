"""The distribution of each arm: what share of its runs stays below each accuracy, with the bar that they are to reach."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.comparison.compare import Comparison
from harness.comparison.samples import successes
from harness.report.plain import name_of
from harness.report.plots import style
from harness.report.plots.shared import UNKNOWN_RUNS, Absent, arms_of, parts_of

WIDTH, HEIGHT = 440.0, 330.0
COLUMNS = 4
CELL = 86.0
MOST_STEPS = 300
FAR = 6.0
"""Runs further below the lower quartile than so many interquartile ranges lie outside the picture, and are counted."""


@dataclass(frozen=True)
class ArmSteps:
    """One arm: its place in the table (the control's is 0), accuracies in ascending order (n,), and how many reach the target (None:
    there is none).
    """

    place: int
    name: str
    accuracy: NDArray[np.float64]
    reached: int | None

    @property
    def n(self) -> int:
        return int(self.accuracy.size)

    def quantile(self, q: float) -> float:
        return float(np.quantile(self.accuracy, q))


@dataclass(frozen=True)
class Distributions:
    """The arms that have runs, in the order of the table; the picture begins at `low` (a fraction). `total` is the largest number of
    examples that an accuracy was measured on, 0 where it is unknown.
    """

    arms: tuple[ArmSteps, ...]
    target: float | None
    low: float
    high: float
    total: int = 0

    @property
    def many(self) -> bool:
        """Whether there are more candidates than colours."""
        return self.arms[-1].place > style.MOST_SERIES

    @property
    def outside(self) -> tuple[tuple[str, int, float], ...]:
        """Arms with runs below the picture: how many, and the lowest."""
        found = ((a.name, int((a.accuracy < self.low).sum()), float(a.accuracy[0])) for a in self.arms)
        return tuple(one for one in found if one[1])

    @property
    def thinned(self) -> tuple[str, ...]:
        """Arms of which not every step is drawn."""
        return tuple(a.name for a in self.arms if np.unique(a.accuracy).size > MOST_STEPS)


def distributions_of(comparison: Comparison) -> Distributions | Absent:
    """The accuracies of the runs that the judgement rests on. Of several stages the first in the table."""
    comparison = parts_of(comparison)[0][1]
    target, arms, total = comparison.promise.target, list[ArmSteps](), 0
    for place, name, sample in arms_of(comparison):
        if sample.n:
            reached = None if target is None else int(successes(sample.runs, target).sum())
            total = max(total, int(np.nanmax(sample.runs["total"], initial=0)))
            arms.append(ArmSteps(place, name_of(name), np.sort(sample.accuracy), reached))
    if not arms:
        return Absent(UNKNOWN_RUNS)
    if max(arm.n for arm in arms) < 2:
        return Absent("No arm has two runs, and fewer have no distribution.")
    low, high = _range(arms, target)
    return Distributions(tuple(arms), target, low, high, total)


def _range(arms: Sequence[ArmSteps], target: float | None) -> tuple[float, float]:
    lows = []
    for arm in arms:
        q1, q3 = arm.quantile(0.25), arm.quantile(0.75)
        lows.append(max(float(arm.accuracy[0]), q1 - FAR * (q3 - q1) if q3 > q1 else float(arm.accuracy[0])))
    low, high = min(lows), max(float(arm.accuracy[-1]) for arm in arms)
    reach = 1.5 * (high - low)
    if target is not None and low - reach <= target <= high + reach:
        low, high = min(low, target), max(high, target)
    low, high = style.widened(100 * low, 100 * high, 0.04)
    return max(low, 0.0) / 100, min(high, 100.0 + 0.01 * (high - low)) / 100


def steps_of(arm: ArmSteps) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Accuracies and the share of runs up to each; of more than 300 different ones, as many at even shares."""
    values, counts = np.unique(arm.accuracy, return_counts=True)
    share = np.cumsum(counts) / arm.n
    if values.size > MOST_STEPS:
        keep = np.unique(np.linspace(0, values.size - 1, MOST_STEPS).round().astype(int))
        values, share = values[keep], share[keep]
    return values, share


# --- drawing --------------------------------------------------------------------------------------------------


def draw_distributions(shown: Distributions) -> Any:
    """A few arms over one another, many beside one another, each with the control's in grey."""
    with style.applied():
        return _beside(shown) if shown.many else _over(shown)


def _over(shown: Distributions) -> Any:
    from matplotlib.lines import Line2D

    handles, labels = [], []
    for arm in shown.arms:
        colour, dash = _line(arm.place)
        handles.append(Line2D([], [], color=colour, linestyle=dash, linewidth=1.6))
        labels.append(style.fitted(f"{arm.name} (n {arm.n})", 220, style.SMALL))
    columns = style.key_columns(labels, WIDTH - 72)
    above = style.key_height(len(labels), columns) + 12
    figure = style.new_figure(WIDTH, HEIGHT)
    axes = style.add_axes(figure, 58, 46, WIDTH - 14, HEIGHT - above - 14)
    style.key(figure, handles, labels, left=58, top=HEIGHT - 6, columns=columns)
    _set(axes, shown, most=6)
    for arm in shown.arms:
        colour, dash = _line(arm.place)
        _steps(axes, arm, shown, colour, dash, 1.6)
    axes.set_xlabel("accuracy of a run (%)", labelpad=6)
    axes.set_ylabel("share of runs up to it (%)", labelpad=6)
    if shown.target is not None and shown.low <= shown.target <= shown.high:
        _bar_name(axes, shown.target, shown)
    return figure


def _line(place: int) -> tuple[str, Any]:
    return (style.INK, "-") if place == 0 else (style.SERIES[place - 1], style.DASHES[place % len(style.DASHES)])


def _set(axes: Any, shown: Distributions, *, most: int) -> None:
    axes.set_xlim(100 * shown.low, 100 * shown.high)
    axes.set_ylim(-2, 102)
    style.set_ticks(axes.xaxis, 100 * shown.low, 100 * shown.high, most=most)
    axes.set_yticks([0, 25, 50, 75, 100])
    style.grid(axes, "both")
    if shown.target is not None and shown.low <= shown.target <= shown.high:
        axes.axvline(100 * shown.target, color=style.SERIES[1], linewidth=1.2, linestyle=style.DASHES[1], zorder=1)


def _steps(axes: Any, arm: ArmSteps, shown: Distributions, colour: str, dash: Any, width: float) -> None:
    values, share = steps_of(arm)
    x = np.concatenate(([100 * shown.low], 100 * values, [100 * shown.high]))
    y = np.concatenate(([0.0], 100 * share, [100.0]))
    axes.plot(x, y, drawstyle="steps-post", color=colour, linestyle=dash, linewidth=width, zorder=3)


def _bar_name(axes: Any, target: float, shown: Distributions) -> None:
    right = target > (shown.low + shown.high) / 2
    axes.annotate(f"target {100 * target:g} %", (100 * target, 102), xytext=(-4 if right else 4, 1), textcoords="offset points",
                  ha="right" if right else "left", va="bottom", color=style.SERIES[1], fontsize=style.SMALL)  # fmt: skip


def _beside(shown: Distributions) -> Any:
    control = next((arm for arm in shown.arms if arm.place == 0), None)
    others = [arm for arm in shown.arms if arm.place]
    names = [f"{arm.place} {arm.name}" for arm in others]
    columns = (
        COLUMNS
        if max(style.width_of(name, style.SMALL) for name in names) < (WIDTH - 34) / COLUMNS - 12
        else COLUMNS - 1
    )
    rows = math.ceil(len(others) / columns)
    height = 20 + rows * CELL + 22
    figure = style.new_figure(WIDTH, height)
    room = (WIDTH - 34) / columns
    for place, arm in enumerate(others):
        row, column = divmod(place, columns)
        left, top = 30 + column * room, height - 20 - row * CELL
        last = place + columns >= len(others)
        axes = style.add_axes(figure, left, top - CELL + 24, left + room - 10, top)
        _set(axes, shown, most=3)
        ticks, decimals = style.nice_ticks(100 * shown.low, 100 * shown.high, 4)
        ends = sorted({ticks[0], ticks[-1]})
        axes.set_xticks(ends, labels=[style.decimal(x, decimals) for x in ends])
        axes.set_yticks([0, 50, 100], labels=["0", "50", "100"] if column == 0 else ["", "", ""])
        if not last:
            axes.tick_params(axis="x", labelbottom=False)
        if control is not None:
            _steps(axes, control, shown, style.MUTED, "-", 1.0)
        _steps(axes, arm, shown, style.SERIES[0], "-", 1.4)
        name = style.fitted(names[place], room - 12, style.SMALL)
        axes.annotate(
            name,
            (0, 1),
            xycoords="axes fraction",
            xytext=(0, 3),
            textcoords="offset points",
            va="bottom",
            fontsize=style.SMALL,
        )
    figure.text(
        0.5,
        8 / height,
        "accuracy of a run (%); across: share of runs up to it (%)",
        ha="center",
        va="bottom",
        color=style.INK,
    )
    return figure
