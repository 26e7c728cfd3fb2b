"""The timeline of a campaign: how the time of a run wandered over the process starts, with clock, temperature and throttling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.comparison.compare import Comparison
from harness.comparison.frame import Frame, codes_of, concatenate
from harness.comparison.samples import timed
from harness.report.plain import name_of, plain
from harness.report.plots import style
from harness.report.plots.shared import UNKNOWN_RUNS, Absent, arms_of, parts_of

WIDTH = 920.0
TALL, STRIP = 220.0, 80.0
MOST_POINTS = 600
FEW_POINTS = 250
"""Of no more runs each mark is larger."""
MOST_NUMBERED = 40
FAR = 8.0
"""Runs further from the median than so many quartile distances lie outside the picture, and are counted."""


@dataclass(frozen=True)
class Start:
    """One process start: its first run's time of day, host, number of runs and their mean deviation (%), and what the device told."""

    name: str
    started_at: str
    host: str
    runs: int
    deviation: float
    clock_mhz: float | None
    temperature_c: float | None
    throttled: int


@dataclass(frozen=True)
class Drift:
    """All timed runs in the order of running, (n,): each one's deviation from its arm's mean in per cent, its arm and its process
    start, by number; what is unknown of the device is NaN. `starts` in that order; `places` of the arms in the table, where the
    control's is 0 (an arm without a time is none of them). `dated` where every run's time of day is known; else the order is that of
    the blocks, process start by process start.
    """

    arms: tuple[str, ...]
    places: tuple[int, ...]
    deviation: NDArray[np.float64]
    arm: NDArray[np.intp]
    start: NDArray[np.intp]
    clock_mhz: NDArray[np.float64]
    temperature_c: NDArray[np.float64]
    throttled: NDArray[np.bool_]
    starts: tuple[Start, ...]
    dated: bool

    @property
    def order(self) -> str:
        return "in the order of running" if self.dated else "as stored, block by block (times of day are unknown)"

    @property
    def n(self) -> int:
        return int(self.deviation.size)

    @property
    def many(self) -> bool:
        """Whether there are more candidates than colours."""
        return self.places[-1] > style.MOST_SERIES

    @property
    def drawn(self) -> NDArray[np.intp]:
        """The runs that are drawn: all, or of more than 600 an even choice that always has the throttled ones."""
        if self.n <= MOST_POINTS:
            return np.arange(self.n)
        even = np.unique(np.linspace(0, self.n - 1, MOST_POINTS).round().astype(np.intp))
        return np.union1d(even, np.flatnonzero(self.throttled)[:MOST_POINTS])

    @property
    def limits(self) -> tuple[float, float]:
        """Where the picture ends, in per cent."""
        q1, q3 = (float(np.quantile(self.deviation, q)) for q in (0.25, 0.75))
        reach = max(FAR * (q3 - q1), 0.1)
        low, high = max(float(self.deviation.min()), q1 - reach), min(float(self.deviation.max()), q3 + reach)
        return style.widened(min(low, 0.0), max(high, 0.0), 0.08)

    @property
    def outside(self) -> int:
        """Runs that lie beyond these limits."""
        low, high = self.limits
        return int(((self.deviation < low) | (self.deviation > high)).sum())

    @property
    def untold(self) -> tuple[str, ...]:
        """What was not recorded of any run."""
        known = {"clock": self.clock_mhz, "temperature": self.temperature_c}
        return tuple(name for name, values in known.items() if np.isnan(values).all())


def drift_of(comparison: Comparison) -> Drift | Absent:
    """The times of all runs that may be used, of the process starts in which the candidates ran."""
    comparison = parts_of(comparison)[0][1]
    found = list(arms_of(comparison))
    frames = {name: timed(sample)[0] for _, name, sample in found}
    if not frames:
        return Absent(UNKNOWN_RUNS)
    frames = _of_the_same_starts(comparison.control.name, frames)
    frames = {name: frame for name, frame in frames.items() if frame.rows}
    if not frames:
        return Absent("No run has a time.")
    names = list(frames)
    rows = concatenate([frames[name] for name in names])
    if rows.has_unknown("invocation"):
        return Absent(
            "Which runs shared a process is unknown (column `invocation`), so there is no line of process starts."
        )
    if rows.rows < 2:
        return Absent("There is a single timed run, and nothing to wander.")
    deviation = np.concatenate([100 * (f["time_s"] / f["time_s"].mean() - 1) for f in frames.values()])
    arm = np.repeat(np.arange(len(names)), [f.rows for f in frames.values()])
    order = _in_time(rows)
    rows, deviation, arm = rows.take(order), deviation[order], arm[order]
    start, invocations = codes_of(rows["invocation"])
    throttled = np.array([cell not in ("", "none") for cell in rows["throttle"].tolist()], dtype=bool)
    starts = [_start(name, rows.where(start == i), deviation[start == i]) for i, name in enumerate(invocations)]
    places = tuple(place for place, name, _ in found if name in frames)
    return Drift(
        tuple(name_of(name) for name in names), places, deviation, arm, start, rows["sm_clock_mhz"], rows["temperature_c"], throttled,
        tuple(starts), not rows.has_unknown("started_at"),
    )  # fmt: skip


def _of_the_same_starts(control: str, frames: Mapping[str, Frame]) -> dict[str, Frame]:
    """The control's runs of other days stand beside no candidate's, as long as it has any that do."""
    others = {i for name, frame in frames.items() if name != control for i in frame.known("invocation")}
    base = frames.get(control)
    if base is None or not others:
        return dict(frames)
    beside = base.where(np.array([i in others for i in base["invocation"].tolist()], dtype=bool))
    return {**frames, control: beside} if beside.rows else dict(frames)


def _in_time(rows: Frame) -> NDArray[np.intp]:
    """By process start in the order of their first runs, within them in the order of running."""
    order = rows.in_time()
    codes = codes_of(rows["invocation"][order])[0]
    return order[np.argsort(codes, kind="stable")]


def _start(name: str, rows: Frame, deviation: NDArray[np.float64]) -> Start:
    return Start(
        name_of(name), plain(rows["started_at"][0]), plain(rows["host"][0]), rows.rows, float(deviation.mean()),
        _mean(rows["sm_clock_mhz"]), _mean(rows["temperature_c"]),
        sum(cell not in ("", "none") for cell in rows["throttle"].tolist()),
    )  # fmt: skip


def _mean(values: NDArray[np.float64]) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else None


# --- drawing --------------------------------------------------------------------------------------------------


def draw_drift(drift: Drift) -> Any:
    """Times above, clock and temperature below where they are known; a tick under each throttled run."""
    strips = [
        (name, values)
        for name, values in (("SM clock (MHz)", drift.clock_mhz), ("temperature (°C)", drift.temperature_c))
        if not np.isnan(values).all()
    ]
    with style.applied():
        handles, labels = _key(drift)
        columns = style.key_columns(labels, WIDTH - 80)
        above = style.key_height(len(labels), columns) + 14
        height = above + TALL + STRIP * len(strips) + 48
        figure = style.new_figure(WIDTH, height)
        style.key(figure, handles, labels, left=64, top=height - 5, columns=columns)
        bottom = height - above - TALL
        axes = style.add_axes(figure, 64, bottom, WIDTH - 14, height - above)
        _times(axes, drift)
        panels = [axes]
        for name, values in strips:
            bottom -= STRIP
            panels.append(style.add_axes(figure, 64, bottom, WIDTH - 14, bottom + STRIP - 14))
            _strip(panels[-1], drift, name, values)
        _across(panels, drift)
        return figure


def _mark(drift: Drift, place: int) -> dict[str, Any]:
    """The mark of a run of the arm at this place of the table, in the picture as in its key."""
    size = 5.0 if drift.n <= FEW_POINTS else 3.6
    if place == 0:
        return {"marker": "X", "color": style.INK, "markersize": size + 0.6, "alpha": 0.8, "markeredgewidth": 0}
    series = 0 if drift.many else place - 1
    return {
        "marker": style.MARKERS[series],
        "color": style.SERIES[series],
        "markersize": size,
        "alpha": 0.8,
        "markeredgewidth": 0,
    }


def _key(drift: Drift) -> tuple[list[Any], list[str]]:
    from matplotlib.lines import Line2D

    arms = dict(zip(drift.places, drift.arms, strict=True))
    if drift.many:
        candidates = len(arms) - (0 in arms)
        arms = {place: name for place, name in arms.items() if place == 0} | {1: f"the {candidates} candidates"}
    handles = [Line2D([], [], linestyle="none", **_mark(drift, place)) for place in arms]
    handles.append(Line2D([], [], color=style.SERIES[1], linewidth=2.2))
    labels = [*style.fitted_all(list(arms.values()), 220, style.SMALL), "mean of a process start"]
    if drift.throttled.any():
        handles.append(Line2D([], [], linestyle="none", marker="|", color=style.SERIES[3], markersize=8))
        labels.append(f"throttled ({int(drift.throttled.sum())} runs)")
    return handles, labels


def _times(axes: Any, drift: Drift) -> None:
    low, high = drift.limits
    axes.set_ylim(low, high)
    style.set_ticks(axes.yaxis, low, high, most=6, sign=True)
    axes.set_ylabel("time − its arm's mean (%)", labelpad=6)
    axes.axhline(0, color=style.MUTED, linewidth=0.8, zorder=1)
    drawn = drift.drawn
    x, inside = np.arange(drift.n), (drift.deviation >= low) & (drift.deviation <= high)
    for arm, place in enumerate(drift.places):
        mine = drawn[(drift.arm[drawn] == arm) & inside[drawn]]
        axes.plot(x[mine], drift.deviation[mine], linestyle="none", zorder=2 if place else 3, **_mark(drift, place))
    for i, start in enumerate(drift.starts):
        own = np.flatnonzero(drift.start == i)
        if low <= start.deviation <= high:
            axes.plot(
                [own[0] - 0.4, own[-1] + 0.4], [start.deviation] * 2, color=style.SERIES[1], linewidth=2.2, zorder=4
            )
    hot = np.flatnonzero(drift.throttled)[:MOST_POINTS]
    if hot.size:
        axes.plot(
            hot,
            np.full(hot.size, low + 0.03 * (high - low)),
            marker="|",
            color=style.SERIES[3],
            linestyle="none",
            markersize=8,
            zorder=5,
        )


def _strip(axes: Any, drift: Drift, name: str, values: NDArray[np.float64]) -> None:
    known = np.flatnonzero(~np.isnan(values))
    low, high = style.widened(float(values[known].min()), float(values[known].max()), 0.15)
    axes.set_ylim(low, high)
    style.set_ticks(axes.yaxis, low, high, most=3)
    drawn = np.intersect1d(known, drift.drawn)
    axes.plot(drawn, values[drawn], color=style.INK, linewidth=0.9, drawstyle="steps-mid")
    axes.annotate(
        name,
        (0, 1),
        xycoords="axes fraction",
        xytext=(6, 2),
        textcoords="offset points",
        va="bottom",
        fontsize=style.SMALL,
    )
    style.grid(axes, "y")


def _across(panels: Sequence[Any], drift: Drift) -> None:
    """Lines between process starts, and their numbers below."""
    firsts = [int(np.flatnonzero(drift.start == i)[0]) for i in range(len(drift.starts))]
    middles = [float(np.flatnonzero(drift.start == i).mean()) for i in range(len(drift.starts))]
    every = max(1, -(-len(firsts) // MOST_NUMBERED))
    for axes in panels:
        axes.set_xlim(-1, drift.n)
        axes.set_xticks([])
        for first in firsts[1:]:
            axes.axvline(first - 0.5, color=style.GRID, linewidth=0.8, zorder=0)
    panels[-1].set_xticks(middles[::every], labels=[f"{i + 1}" for i in range(0, len(firsts), every)])
    panels[-1].tick_params(axis="x", length=0)
    panels[-1].set_xlabel(f"process start, {drift.order}", labelpad=6)
