"""Runs in the order they were made: dependence between neighbours, drift, and sudden shifts."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from harness.stats.arrays import FloatArray, vector
from harness.stats.contrast import Contrast
from harness.stats.means import NO_SPREAD
from harness.stats.moments import centred


@dataclass(frozen=True)
class Shift:
    """A change of level between run `index` - 1 and run `index` (0-based), by `after` - `before`."""

    index: int
    before: float
    after: float


def lag1(x: ArrayLike) -> float | None:
    """The lag-1 autocorrelation of `x` (n,) in time order; None without spread or below 3 values.

    sum (x_i - m)(x_(i+1) - m) / sum (x_i - m)², as in the certified values of NIST.
    """
    v = vector(x)
    if v.size < 3 or np.ptp(v) == 0:
        return None
    _, rest = centred(v)
    return math.fsum(rest[1:] * rest[:-1]) / math.fsum(rest * rest)


def correlation_time(x: ArrayLike) -> float:
    """tau (n,): how many runs carry the information of one, by Geyer's initial monotone sequence; at least 1.

    -1 + 2 sum of the pairs rho_2m + rho_(2m+1) before the first that is not positive, each cut to the least so far.
    Geyer (1992), section 3.3.
    """
    rho = _autocorrelations(vector(x))
    if rho is None:
        return 1.0
    pairs = rho[: rho.size // 2 * 2].reshape(-1, 2).sum(axis=1)
    stop = np.flatnonzero(pairs <= 0)
    kept = pairs[: stop[0]] if stop.size else pairs
    return max(1.0, 2 * float(np.minimum.accumulate(kept).sum()) - 1)


def effective_n(x: ArrayLike) -> float:
    """n / tau of `x` (n,): the number of independent runs that would know the mean as well."""
    v = vector(x)
    return v.size / correlation_time(v)


def _autocorrelations(v: FloatArray) -> FloatArray | None:
    if v.size < 3 or np.ptp(v) == 0:
        return None
    _, rest = centred(v)
    size = 1 << (2 * v.size - 1).bit_length()
    power = np.abs(np.fft.rfft(rest, size)) ** 2
    covariance = np.fft.irfft(power, size)[: v.size]
    out: FloatArray = covariance / covariance[0]
    return out


def drift(x: ArrayLike, *, position: ArrayLike | None = None) -> Contrast:
    """The least-squares slope of `x` (n,) per run (or per unit of `position` (n,)), t on n - 2 degrees of freedom.

    Independent errors around a straight line; times the range of positions it is the change over the campaign.
    """
    v = vector(x)
    t = np.arange(v.size, dtype=np.float64) if position is None else vector(position)
    if v.size < 3 or np.ptp(t) == 0:
        return Contrast(math.nan, None, None, method="linear drift", reason="fewer than 3 runs")
    _, at = centred(t)
    _, rest = centred(v)
    below = math.fsum(at * at)
    slope = math.fsum(at * rest) / below
    error = math.fsum((rest - slope * at) ** 2) / (v.size - 2)
    se = math.sqrt(error / below)
    return Contrast(slope, se, v.size - 2.0, math.sqrt(error), "linear drift", NO_SPREAD if se == 0 else "")


def change_points(x: ArrayLike, *, shortest: int = 5, penalty: float | None = None) -> list[Shift]:
    """Shifts of the mean of `x` (n,): the segmentation that minimises squared error + `penalty` per shift, exactly.

    Default penalty 3 log(n) times the variance, from the median absolute first difference, which neither shifts nor
    outliers move. Segments have at least `shortest` runs. Optimal partitioning by dynamic programming, O(n²):
    Jackson et al. (2005); the cost and penalty of Yao (1988).
    """
    v = vector(x)
    if v.size < 2 * shortest:
        return []
    scale = _noise(v)
    if scale == 0:
        scale = 1e-12 * max(1.0, float(np.abs(v).max()))
    cost = 3 * math.log(v.size) * scale * scale if penalty is None else penalty
    edges = [0, *_partition(v, shortest, cost), v.size]
    levels = [float(v[a:b].mean()) for a, b in itertools.pairwise(edges)]
    return [Shift(edges[i + 1], levels[i], levels[i + 1]) for i in range(len(levels) - 1)]


def _noise(v: FloatArray) -> float:
    """The standard deviation of one run from first differences, robust to shifts and outliers."""
    steps = np.diff(v)
    return float(np.median(np.abs(steps))) / (float(special.ndtri(0.75)) * math.sqrt(2))


def _partition(v: FloatArray, shortest: int, cost: float) -> list[int]:
    """First indices of all segments but the first."""
    n = v.size
    rest = v - v.mean()
    sums = np.append(0.0, np.cumsum(rest))
    lengths = np.arange(n, 0, -1.0)
    last = np.zeros(n + 1, dtype=np.intp)
    so_far = np.full(n + 1, math.inf)  # least cost of all before each start, less the squares before it
    so_far[0] = -cost
    for end in range(shortest, n + 1):
        starts = end - shortest + 1
        gain = sums[end] - sums[:starts]
        total = so_far[:starts] - gain * gain / lengths[n - end : n - end + starts]
        last[end] = total.argmin()
        so_far[end] = total[last[end]] + cost
    cuts, end = [], int(last[n])
    while end > 0:
        cuts.append(end)
        end = int(last[end])
    return cuts[::-1]
