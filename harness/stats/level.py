"""One lasting step in the level of a series of runs, held against the spread between process starts."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.stats.arrays import FloatArray, vector
from harness.stats.contrast import Contrast
from harness.stats.means import NO_SPREAD
from harness.stats.series import change_points, correlation_time, drift, lag1

MOST_POINTS = 500
"""Longer series are looked through in means of neighbours: the search takes time with the square of their number."""
SHORTEST = 5
LEAST_INDEPENDENT = 10
"""Fewer independent runs within one process know their own correlation too badly to tell a step from it."""


@dataclass(frozen=True)
class LevelStep:
    """The level changes between run `index` - 1 and run `index` (0-based) from `before` to `after`; `p` two-sided.

    `p` is corrected for the places where the step was looked for.
    """

    index: int
    before: float
    after: float
    p: float


def lasting_step(x: ArrayLike, clusters: Sequence[Hashable] | None = None) -> LevelStep | None:
    """The best single step in `x` (n,) in the order of running, where change points are found at all; else None.

    None too where a straight line fits no worse than the step (that is a drift), and where there is no error to judge by.
    Runs of one process start (`clusters` (n,)) share its luck: the two levels are compared by the means of the processes (of a
    process on both sides by the means of its parts), pooled t on their number - 2, Bonferroni over the places between them.
    Within one process by its runs, on as many of them as their correlation time (Geyer 1992) leaves independent.
    """
    v = vector(x)
    errors = _errors(v)
    proposed = _proposed(v, errors)
    if not proposed:
        return None
    index = min(proposed, key=errors.__getitem__)
    if errors[index] >= _error_of_line(v):
        return None
    many = clusters is not None and len(set(clusters)) > 1
    gap, places = _by_process(v, index, clusters) if many and clusters is not None else _by_run(v, index)
    p = gap.p_two_sided()
    if p is None:
        return None
    return LevelStep(index, float(v[:index].mean()), float(v[index:].mean()), min(1.0, p * places))


def _proposed(v: FloatArray, errors: FloatArray) -> list[int]:
    """First runs of new levels; those of a long series to the run, from the neighbourhood that its means point to."""
    width = -(-v.size // MOST_POINTS)
    if width == 1:
        return [shift.index for shift in change_points(v, shortest=SHORTEST)]
    means = v[: v.size // width * width].reshape(-1, width).mean(axis=1)
    starts = ((shift.index - 1) * width for shift in change_points(means, shortest=SHORTEST))
    return [start + int(errors[start : start + 2 * width + 1].argmin()) for start in starts]


def _errors(v: FloatArray) -> FloatArray:
    """Squared error of two levels, the second from run k on, for every k in 0 ... n - 1 (n,)."""
    rest = v - v.mean()
    before, k = np.cumsum(rest)[:-1], np.arange(1, v.size)
    return float(rest @ rest) - np.append(0.0, before * before * v.size / (k * (v.size - k)))


def _error_of_line(v: FloatArray) -> float:
    """Squared error of a straight line."""
    line = drift(v)
    return math.inf if line.sd is None else (v.size - 2) * line.sd**2


def _by_process(v: FloatArray, index: int, clusters: Sequence[Hashable]) -> tuple[Contrast, int]:
    """Mean of the processes after the step minus that before, and the number of places between them."""
    after = np.arange(v.size) >= index
    sides: tuple[list[float], list[float]] = ([], [])
    rows: dict[Hashable, list[int]] = {}
    for i, name in enumerate(clusters):
        rows.setdefault(name, []).append(i)
    for own in rows.values():
        here = np.array(own)
        for side in (0, 1):
            part = here[after[here] == bool(side)]
            if part.size == here.size or part.size >= SHORTEST:
                sides[side].append(float(v[part].mean()))
    units = len(sides[0]) + len(sides[1])
    return _pooled(np.array(sides[0]), np.array(sides[1]), units - 2.0), max(1, units - 1)


def _by_run(v: FloatArray, index: int) -> tuple[Contrast, int]:
    """The same by runs, with the error and the degrees of freedom of dependent ones."""
    rest = np.concatenate((v[:index] - v[:index].mean(), v[index:] - v[index:].mean()))
    gap = _pooled(v[:index], v[index:], v.size - 2.0)
    independent = v.size / max(correlation_time(rest), _autoregressive_time(rest))
    if gap.se is None or independent < LEAST_INDEPENDENT:
        return Contrast(gap.value, None, None, method=gap.method, reason="too few independent runs"), 1
    se = gap.se * math.sqrt(v.size / independent)
    return Contrast(gap.value, se, independent - 2, gap.sd, gap.method), math.ceil(independent) - 1


def _autoregressive_time(rest: FloatArray) -> float:
    """(1 + r) / (1 - r) with the lag-1 correlation r of residuals around two levels, its bias taken out to first order.

    The bias of r is -(1 + 4r) / n around one mean (Kendall 1954); around two it is twice that.
    """
    r = lag1(rest)
    if r is None:
        return 1.0
    r = min(0.999, max(0.0, (r + 2 / rest.size) / (1 - 8 / rest.size)))
    return (1 + r) / (1 - r)


def _pooled(before: NDArray[np.float64], after: NDArray[np.float64], df: float) -> Contrast:
    if not before.size or not after.size or df < 1:
        return Contrast(math.nan, None, None, method="level step", reason="too few process starts")
    error = float(before.var() * before.size + after.var() * after.size) / df
    se = math.sqrt(error * (1 / before.size + 1 / after.size))
    gap = float(after.mean() - before.mean())
    return Contrast(gap, se, df, math.sqrt(error), "level step", NO_SPREAD if se == 0 else "")
