"""Forest plot: what each candidate differs from the control by, with limits for it alone and for all candidates together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

from harness.comparison.compare import CandidateResult, Comparison
from harness.report.plain import name_of, plain
from harness.report.plots import style
from harness.report.plots.shared import ONE_ARM, Absent, refusal_of_time

What = Literal["accuracy", "time"]
WIDTH = 440.0
ROW = 21.0
HEAD, FOOT = 30.0, 42.0
LABEL = 130.0
NUMBERS = "95 % limits"
TOO_WIDE = 8.0
"""An interval of more half-widths than this (of the median one) leaves the picture by an arrow."""


@dataclass(frozen=True)
class ForestRow:
    """One candidate: the estimate, its own 95 % limits, those for all candidates together, and the shrunken estimate (pp, or a ratio).

    `why` says what keeps an estimate from being drawn.
    """

    name: str
    n: int
    value: float | None
    low: float | None
    high: float | None
    together_low: float | None = None
    together_high: float | None = None
    shrunk: float | None = None
    why: str = ""


@dataclass(frozen=True)
class Forest:
    """The rows in the table's order; `null` is no difference, `margins` what the claim is held to."""

    what: What
    rows: tuple[ForestRow, ...]
    null: float
    margins: tuple[float, ...]

    @property
    def together(self) -> bool:
        return any(row.together_low is not None for row in self.rows)


def forest_of(comparison: Comparison, what: What) -> Forest | Absent:
    """The numbers of `harness compare --json`: `accuracy.difference_pp` or `time.speedup`, and `selection`."""
    if not comparison.comparisons:
        return Absent(ONE_ARM)
    make = _accuracy if what == "accuracy" else _time
    rows = tuple(make(one) for one in comparison.comparisons)
    if all(row.value is None for row in rows):
        reasons = dict.fromkeys(row.why for row in rows)
        kind = "difference in accuracy" if what == "accuracy" else "speed-up"
        return Absent(f"No {kind} is drawn: {'; '.join(reasons)}")
    return Forest(what, rows, 0.0 if what == "accuracy" else 1.0, _margins(comparison, what))


def _accuracy(one: CandidateResult) -> ForestRow:
    e, s = one.difference_pp, one.selection
    refusing = next((f for f in one.findings if "accuracy" in f.refuses), None)
    if refusing is not None or e.value is None:
        why = e.reason if refusing is None else f"refused: {refusing.code}"
        return ForestRow(name_of(one.candidate.name), one.candidate.n, None, None, None, why=why or "unknown")
    limits = (None, None, None) if s is None else (s.low_pp, s.high_pp, s.shrunk_pp)
    return ForestRow(name_of(one.candidate.name), one.candidate.n, e.value, e.low, e.high, *limits)


def _time(one: CandidateResult) -> ForestRow:
    e, s, refusing = one.speedup, one.selection, refusal_of_time(one)
    n = one.candidate.n_time
    if refusing is not None or e.value is None:
        why = e.reason if refusing is None else f"refused: {refusing.code}"
        return ForestRow(name_of(one.candidate.name), n, None, None, None, why=why or "no times")
    if one.design != "interleaved":
        return ForestRow(name_of(one.candidate.name), n, None, None, None, why=e.reason or "not interleaved")
    limits = (None, None) if s is None else (s.low_speedup, s.high_speedup)
    return ForestRow(name_of(one.candidate.name), n, e.value, e.low, e.high, *limits)


def _margins(comparison: Comparison, what: What) -> tuple[float, ...]:
    promise = comparison.promise
    both = promise.claim == "equivalent"
    if what == "accuracy":
        m = promise.margin_pp
        return () if not m or promise.claim in ("accurate", "time-only") else (-m, m) if both else (-m,)
    slow = promise.max_slowdown
    if not slow or promise.claim not in ("equivalent", "no-regression"):
        return ()
    return (1 / (1 + slow), 1 + slow) if both else (1 / (1 + slow),)


# --- drawing --------------------------------------------------------------------------------------------------


def draw_forest(forest: Forest) -> Any:
    """The figure: a row a candidate, thick bars for its own 95 % limits, thin ones for all together, numbers at the right."""
    with style.applied():
        height = HEAD + ROW * len(forest.rows) + FOOT
        figure = style.new_figure(WIDTH, height)
        draw_rows(figure, forest, left=0.0, right=WIDTH, height=height, names=True)
        return figure


def draw_both(accuracy: Forest | Absent, time: Forest | Absent) -> Any:
    """Accuracy and speed-up side by side, for a paper; one alone where the other cannot be drawn."""
    there = [one for one in (accuracy, time) if isinstance(one, Forest)]
    if len(there) == 1:
        return draw_forest(there[0])
    with style.applied():
        height = HEAD + ROW * len(there[0].rows) + FOOT
        second = WIDTH - LABEL
        figure = style.new_figure(WIDTH + second, height)
        draw_rows(figure, there[0], left=0.0, right=WIDTH, height=height, names=True)
        draw_rows(figure, there[1], left=WIDTH, right=WIDTH + second, height=height, names=False)
        return figure


def draw_rows(figure: Any, forest: Forest, *, left: float, right: float, height: float, names: bool) -> None:
    rows = forest.rows
    labels = style.fitted_all([row.name for row in rows], LABEL)
    label_room = max((style.width_of(label) for label in labels), default=0.0) + 12 if names else 8.0
    texts = [_shown(row, forest) for row in rows]
    text_room = max(style.width_of(t, style.SMALL) for t in (*texts, NUMBERS)) + 10
    axes = style.add_axes(figure, left + label_room, FOOT, right - text_room, height - HEAD)
    low, high = _limits(forest)
    axes.set_xlim(low, high)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    pp = forest.what == "accuracy"
    style.set_ticks(axes.xaxis, low, high, most=4, sign=pp, unit="" if pp else "×")
    style.grid(axes, "x")
    axes.axvline(forest.null, color=style.MUTED, linewidth=1.0, zorder=1)
    for margin in forest.margins:
        axes.axvline(margin, color=style.SERIES[1], linewidth=1.2, linestyle=style.DASHES[1], zorder=1)
    for place, row in enumerate(rows):
        _draw_row(axes, place, row, low, high)
    across = axes.get_yaxis_transform()
    for place, (label, text) in enumerate(zip(labels, texts, strict=True)):
        if names:
            axes.annotate(
                label, (0, place), xycoords=across, xytext=(-8, 0), textcoords="offset points", ha="right", va="center"
            )
        colour = style.INK if rows[place].value is not None else style.MUTED
        axes.annotate(
            text, (1, place), xycoords=across, xytext=(6, 0), textcoords="offset points", ha="left", va="center",
            fontsize=style.SMALL, color=colour,
        )  # fmt: skip
    _heads(axes, forest)


def _heads(axes: Any, forest: Forest) -> None:
    """What the columns are, above; what the axis is, below."""
    above: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "fontsize": style.SMALL}
    title = "accuracy − control (pp)" if forest.what == "accuracy" else "speed-up over the control"
    axes.annotate(title, (0, 1), xytext=(0, 8), ha="left", va="bottom", color=style.INK, **above)
    axes.annotate(NUMBERS, (1, 1), xytext=(6, 8), ha="left", va="bottom", color=style.MUTED, **above)
    better = "better →" if forest.what == "accuracy" else "faster →"
    worse = "← worse" if forest.what == "accuracy" else "← slower"
    axes.annotate(worse, (0, 0), xytext=(0, -22), ha="left", va="top", color=style.MUTED, **above)
    axes.annotate(better, (1, 0), xytext=(0, -22), ha="right", va="top", color=style.MUTED, **above)


def _draw_row(axes: Any, place: int, row: ForestRow, low: float, high: float) -> None:
    if row.value is None:
        return
    blue = style.SERIES[0]
    for first, last, width in ((row.together_low, row.together_high, 1.0), (row.low, row.high, 3.2)):
        if first is not None and last is not None:
            axes.plot(
                [max(first, low), min(last, high)],
                [place, place],
                color=blue,
                linewidth=width,
                solid_capstyle="butt",
                zorder=2,
            )
            for end, edge, mark in ((first, low, "<"), (last, high, ">")):
                if (end < low) if mark == "<" else (end > high):
                    axes.plot([edge], [place], marker=mark, color=blue, markersize=5, clip_on=False, zorder=3)
    if low <= row.value <= high:
        axes.plot(
            [row.value],
            [place],
            marker="o",
            color=blue,
            markersize=7,
            markeredgecolor=style.PAPER,
            markeredgewidth=0.8,
            zorder=4,
        )
    if row.shrunk is not None and low <= row.shrunk <= high:
        axes.plot([row.shrunk], [place], marker="D", markersize=4.6, color=style.PAPER, markeredgecolor=style.SERIES[1],
                  markeredgewidth=1.2, linestyle="none", zorder=5)  # fmt: skip


def _shown(row: ForestRow, forest: Forest) -> str:
    """The numbers as the table has them; `~` where no difference lies within the limits."""
    from harness.comparison.words import pp_interval, ratio_interval
    from harness.model.estimate import Estimate

    if row.value is None:
        return style.fitted(plain(row.why), 190, style.SMALL)
    e = Estimate(row.value, row.low, row.high)
    text = pp_interval(e).replace(" pp", "") if forest.what == "accuracy" else ratio_interval(e)
    open_question = row.low is not None and row.high is not None and row.low <= forest.null <= row.high
    return text + (" ~" if open_question else "")


def _limits(forest: Forest) -> tuple[float, float]:
    """Where the axis begins and ends: all limits but those that are far wider than most, no difference, and the margins."""
    rows = [row for row in forest.rows if row.value is not None]
    halves = [_half(row) for row in rows]
    most = TOO_WIDE * median(half for half in halves if half) if any(halves) else math.inf
    ends = [forest.null, *forest.margins]
    for row, half in zip(rows, halves, strict=True):
        assert row.value is not None
        reach = min(half, most)
        own = [x for x in (row.low, row.high, row.together_low, row.together_high, row.shrunk) if x is not None]
        ends += [min(max(x, row.value - reach), row.value + reach) for x in own] or [row.value]
        ends.append(row.value)
    return style.widened(min(ends), max(ends), 0.05)


def _half(row: ForestRow) -> float:
    limits: Sequence[float | None] = (row.low, row.high, row.together_low, row.together_high)
    known = [abs(x - row.value) for x in limits if x is not None and row.value is not None]
    return max(known, default=0.0)
