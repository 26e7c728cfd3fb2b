"""Comparisons by rank: how often a run of one arm beats one of the other. For data with divergent runs."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from harness.model.estimate import Estimate
from harness.stats.arrays import FloatArray, vector
from harness.stats.contrast import Contrast
from harness.stats.means import TOO_FEW, satterthwaite
from harness.stats.moments import moments


def brunner_munzel(a: ArrayLike, b: ArrayLike) -> Contrast:
    """P(A > B) + P(A = B) / 2 for `a` (n1,), `b` (n2,), at least 2 values each; test it against 1/2.

    Variances may differ and ties are allowed. t with Satterthwaite degrees of freedom; limits can leave [0, 1].
    Where one arm lies wholly above the other no spread is left. Brunner and Munzel (2000).
    """
    first, second = vector(a), vector(b)
    n1, n2 = first.size, second.size
    if min(n1, n2) < 2:
        return Contrast(_beats(first, second), None, None, method="brunner-munzel", reason=TOO_FEW)
    joint = midranks(np.concatenate([first, second]))
    placed1 = (joint[:n1] - midranks(first)) / n2  # share of b below each a
    placed2 = (joint[n1:] - midranks(second)) / n1
    m1, m2 = moments(placed1), moments(placed2)
    variance = m1.squared_error + m2.squared_error
    if variance == 0:
        return Contrast(m1.mean, 0.0, n1 + n2 - 2.0, method="brunner-munzel", reason="the arms do not overlap")
    df = satterthwaite((m1.squared_error, n1 - 1.0), (m2.squared_error, n2 - 1.0))
    return Contrast(m1.mean, math.sqrt(variance), df, method="brunner-munzel")


def cliffs_delta(superiority: Contrast, *, confidence: float = 0.95) -> Estimate:
    """P(A > B) - P(A < B), from the contrast of `brunner_munzel`; limits kept within [-1, 1]. Cliff (1993)."""
    e = superiority.estimate(confidence)

    def delta(p: float | None) -> float | None:
        return None if p is None else min(1.0, max(-1.0, 2 * p - 1))

    return Estimate(delta(e.value), delta(e.low), delta(e.high), None, "cliff's delta, brunner-munzel", e.reason)


def midranks(x: ArrayLike) -> FloatArray:
    """Ranks from 1 of `x` (n,); ties share their mean rank."""
    _, code, count = np.unique(vector(x), return_inverse=True, return_counts=True)
    ends = np.cumsum(count)
    out: FloatArray = (ends - (count - 1) / 2)[code]
    return out


def _beats(a: FloatArray, b: FloatArray) -> float:
    if a.size == 0 or b.size == 0:
        return math.nan
    return float(np.mean(np.sign(a[:, None] - b[None, :])) / 2 + 0.5)
