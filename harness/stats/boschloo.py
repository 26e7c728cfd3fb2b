"""Boschloo's exact test that two rates are equal, for small arms."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy import special

from harness.stats.arrays import FloatArray


def boschloo_p(k1: int, n1: int, k2: int, n2: int) -> float:
    """Two-sided p of H0: p1 = p2 for `k1` of `n1` and `k2` of `n2`: twice the smaller one-sided p.

    Independent arms. Exact at every common rate and uniformly more powerful than Fisher's. Boschloo (1970).
    """
    if n1 > n2:
        k1, n1, k2, n2 = k2, n2, k1, n1  # the table is walked along its first arm: the smaller one
    greater = boschloo_greater(k1, n1, k2, n2)
    return min(1.0, 2 * min(greater, boschloo_greater(n1 - k1, n1, n2 - k2, n2)))


def boschloo_greater(k1: int, n1: int, k2: int, n2: int) -> float:
    """One-sided p of H0: p1 <= p2: the largest chance, over the common rate, of a Fisher p no larger than this one."""
    reach = _region(k1, n1, k2, n2)

    def chance(rate: FloatArray) -> FloatArray:
        x1 = np.arange(n1 + 1.0)[:, None]
        mass = _binomial_mass(x1, n1, rate[None, :])
        tail = np.where(reach[:, None] < 0, 0.0, special.bdtr(np.clip(reach, 0, n2)[:, None], n2, rate[None, :]))
        total: FloatArray = (mass * tail).sum(axis=0)
        return total

    return max(_largest(chance), 5e-324)


def _region(k1: int, n1: int, k2: int, n2: int) -> FloatArray:
    """For each number of successes x1 (n1 + 1,) the largest x2 that is at least as extreme; -1 where none is.

    Fisher's p falls in x1 and rises in x2, so the edge only moves up; each one is found by halving.
    """
    limit = _fisher(k1, n1, k2, n2) * (1 + 1e-9)
    edges = np.full(n1 + 1, -1.0)
    inside = -1
    for x1 in range(n1 + 1):
        outside = n2 + 1
        while outside - inside > 1:
            x2 = (inside + outside) // 2
            inside, outside = (x2, outside) if _fisher(x1, n1, x2, n2) <= limit else (inside, x2)
        edges[x1] = inside
    return edges


def _fisher(k1: int, n1: int, k2: int, n2: int) -> float:
    """Fisher's one-sided p: the hypergeometric chance of at least `k1` of `n1` given the total."""
    total = k1 + k2
    x = np.arange(k1, min(n1, total) + 1.0)
    log_mass = _log_choose(n1, x) + _log_choose(n2, total - x) - _log_choose(n1 + n2, np.array([float(total)]))
    return float(np.exp(log_mass).sum())


def _log_choose(n: int, k: FloatArray) -> FloatArray:
    out: FloatArray = special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)
    return out


def _binomial_mass(x: FloatArray, n: int, rate: FloatArray) -> FloatArray:
    out: FloatArray = np.exp(_log_choose(n, x) + special.xlogy(x, rate) + special.xlog1py(n - x, -rate))
    return out


def _largest(f: Callable[[FloatArray], FloatArray]) -> float:
    """The largest value of `f` over rates in [0, 1], on a grid even in arcsin(sqrt(rate)), refined where it peaks."""
    low, high, best = 0.0, math.pi / 2, 0.0
    for points in (513, 33, 33, 33):
        angles = np.linspace(low, high, points)
        values = f(np.sin(angles) ** 2)
        peak = int(values.argmax())
        best = max(best, float(values[peak]))
        low, high = float(angles[max(peak - 1, 0)]), float(angles[min(peak + 1, points - 1)])
    return min(best, 1.0)
