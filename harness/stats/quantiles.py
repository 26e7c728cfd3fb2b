"""Medians and quantiles with exact order-statistic intervals; no assumption about the shape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from harness.model.estimate import Estimate
from harness.stats.arrays import FloatArray, vector


@dataclass(frozen=True)
class QuantileInterval:
    """A sample quantile, the ranks (1-based) of its limits, and the coverage they attain (at least the asked one)."""

    estimate: Estimate
    low_rank: int | None
    high_rank: int | None
    coverage: float | None


def median(x: ArrayLike, *, confidence: float = 0.95) -> QuantileInterval:
    """The median of `x` (n,) with its exact interval; below 6 values there is none at 95 %."""
    return quantile(x, 0.5, confidence=confidence)


def quantile(x: ArrayLike, q: float, *, confidence: float = 0.95) -> QuantileInterval:
    """The `q` quantile of `x` (n,) with the order-statistic interval [x_(l), x_(u)].

    l and u - 1 are the binomial(n, q) quantiles of the two tails. Independent values; with ties the coverage is
    higher. Where the sample is too small, that limit does not exist. Conover (1999), section 3.2.
    """
    v = np.sort(vector(x))
    if v.size == 0:
        return QuantileInterval(Estimate(None, method="order statistics", reason="no values"), None, None, None)
    low, high = quantile_ranks(v.size, q, confidence=confidence)
    coverage = _coverage(v.size, q, low, high)
    reason = "" if low and high else f"{v.size} values are too few for both limits at this level"
    estimate = Estimate(float(np.quantile(v, q)), _at(v, low), _at(v, high), None, "order statistics", reason)
    return QuantileInterval(estimate, low, high, coverage)


def quantile_ranks(n: int, q: float, *, confidence: float = 0.95) -> tuple[int | None, int | None]:
    """Ranks of the two limits among `n` values; None where no value is extreme enough."""
    tail = (1 - confidence) / 2
    cumulative = special.bdtr(np.arange(n + 1.0), n, q)
    low = int(np.searchsorted(cumulative, tail * (1 - 1e-12)))
    high = int(np.searchsorted(cumulative, (1 - tail) * (1 - 1e-12))) + 1
    return (low if low >= 1 else None), (high if high <= n else None)


def _coverage(n: int, q: float, low: int | None, high: int | None) -> float | None:
    """P(l <= number of values below the quantile <= u - 1); None without any limit."""
    if low is None and high is None:
        return None
    below = 0.0 if low is None else float(special.bdtr(low - 1.0, n, q))
    up_to = 1.0 if high is None else float(special.bdtr(high - 1.0, n, q))
    return up_to - below


def _at(v: FloatArray, rank: int | None) -> float | None:
    return None if rank is None else float(v[rank - 1])
