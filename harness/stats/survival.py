"""Time to target where accuracy is followed along the run and some runs never reach it (right-censored).

Only for schedules without a fixed end: where the learning rate is annealed to 0, accuracy jumps at the end and the
time to target is an artefact of the schedule; compare at equal accuracy instead. Censoring must be administrative.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.stats.arrays import FloatArray, vector
from harness.stats.contrast import Contrast


@dataclass(frozen=True)
class SurvivalCurve:
    """Kaplan-Meier steps: at `times` (m,) of an event the share still without target drops to `shares` (m,).

    `at_risk` and `events` (m,) are the runs that had not finished before, and those that reached the target.
    """

    times: tuple[float, ...]
    shares: tuple[float, ...]
    at_risk: tuple[int, ...]
    events: tuple[int, ...]

    def median(self) -> float | None:
        """The first time by which half of the runs had reached the target; None where that never happened."""
        return next((t for t, s in zip(self.times, self.shares, strict=True) if s <= 0.5 + 1e-12), None)


def kaplan_meier(times: ArrayLike, reached: ArrayLike) -> SurvivalCurve:
    """The share of runs without target over time, from `times` (n,) and whether each `reached` it (n,).

    A run censored at an event's time counts as at risk there. Kaplan and Meier (1958).
    """
    t, hit = _pairs(times, reached)
    at = np.unique(t[hit])
    risk = np.array([(t >= s).sum() for s in at], dtype=np.intp)
    events = np.array([(t[hit] == s).sum() for s in at], dtype=np.intp)
    shares = np.cumprod(1 - events / np.maximum(risk, 1))
    return SurvivalCurve(tuple(at.tolist()), tuple(shares.tolist()), tuple(risk.tolist()), tuple(events.tolist()))


def logrank_z(times_a: ArrayLike, reached_a: ArrayLike, times_b: ArrayLike, reached_b: ArrayLike) -> float | None:
    """z of H0: both arms reach the target at the same rate; positive where `a` does so more often (is faster).

    Hypergeometric variance; z² is chi-square on 1 degree of freedom. None without any event. Mantel (1966).
    """
    ta, ha = _pairs(times_a, reached_a)
    tb, hb = _pairs(times_b, reached_b)
    gap = variance = 0.0
    for s in np.unique(np.concatenate([ta[ha], tb[hb]])):
        na, nb = int((ta >= s).sum()), int((tb >= s).sum())
        da, d = int((ta[ha] == s).sum()), int((ta[ha] == s).sum() + (tb[hb] == s).sum())
        n = na + nb
        gap += da - d * na / n
        variance += d * na * nb * (n - d) / (n * n * (n - 1)) if n > 1 else 0.0
    return gap / math.sqrt(variance) if variance > 0 else None


def rmst(times: ArrayLike, reached: ArrayLike, *, horizon: float) -> Contrast:
    """Mean time to target restricted to `horizon`: the area under the Kaplan-Meier curve up to there.

    Normal, Greenwood variance. `horizon` must not exceed the shortest administrative end. Royston and Parmar (2013).
    """
    curve = kaplan_meier(times, reached)
    kept = [i for i, t in enumerate(curve.times) if t <= horizon]
    edges = np.array([0.0, *(curve.times[i] for i in kept), horizon])
    levels = np.array([1.0, *(curve.shares[i] for i in kept)])
    areas = levels * np.diff(edges)
    beyond = np.cumsum(areas[::-1])[::-1][1:]  # area from each event to the horizon
    variance = sum(
        float(beyond[j]) ** 2 * curve.events[i] / (curve.at_risk[i] * (curve.at_risk[i] - curve.events[i]))
        for j, i in enumerate(kept)
        if curve.at_risk[i] > curve.events[i]
    )
    reason = "" if variance > 0 else "no run reached the target before the horizon and others after"
    return Contrast(float(areas.sum()), math.sqrt(variance), math.inf, None, "restricted mean", reason)


def rmst_difference(
    times_a: ArrayLike, reached_a: ArrayLike, times_b: ArrayLike, reached_b: ArrayLike, *, horizon: float
) -> Contrast:
    """Restricted mean time of `a` minus that of `b`; robust to curves that cross."""
    a, b = rmst(times_a, reached_a, horizon=horizon), rmst(times_b, reached_b, horizon=horizon)
    se = math.hypot(a.se or 0.0, b.se or 0.0)
    reason = "" if se > 0 else a.reason
    return Contrast(a.value - b.value, se, math.inf, None, "restricted mean difference", reason)


def _pairs(times: ArrayLike, reached: ArrayLike) -> tuple[FloatArray, NDArray[np.bool_]]:
    t, hit = vector(times), np.asarray(reached, dtype=bool)
    if t.shape != hit.shape:
        raise ValueError(f"{t.size} times but {hit.size} outcomes")
    return t, hit
