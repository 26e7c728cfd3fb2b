"""Means of one and two samples, their differences, and the standard deviation.

Every mean comes back as a Contrast; the t distribution is used at every n.
"""

from __future__ import annotations

import math

from numpy.typing import ArrayLike
from scipy import special

from harness.model.estimate import Estimate
from harness.stats.arrays import vector
from harness.stats.contrast import Contrast
from harness.stats.moments import Moments, moments
from harness.stats.solve import root

NO_SPREAD = "no spread: all values are equal"
TOO_FEW = "fewer than 2 values: no spread can be estimated"


def one_sample(x: ArrayLike, *, method: str = "t") -> Contrast:
    """The mean of `x` (n,) with n - 1 degrees of freedom.

    Assumes independent values; normality matters below about 25. Student (1908).
    """
    return from_moments(moments(x), method=method)


def from_moments(m: Moments, *, method: str = "t") -> Contrast:
    """The one-sample mean of a sample of which only number, mean and variance are known."""
    if m.variance is None:
        return Contrast(m.mean, None, None, method=method, reason=TOO_FEW)
    reason = NO_SPREAD if m.variance == 0 else ""
    return Contrast(m.mean, math.sqrt(m.squared_error), m.n - 1.0, m.sd, method, reason)


def paired(a: ArrayLike, b: ArrayLike) -> Contrast:
    """mean(`a` - `b`) over pairs; both (n,), in the same order.

    Valid only where the pairs were designed before the runs and their members share noise.
    """
    first, second = vector(a), vector(b)
    if first.size != second.size:
        raise ValueError(f"pairs need equal numbers, found {first.size} and {second.size}")
    return one_sample(first - second, method="paired t")


def welch(a: ArrayLike, b: ArrayLike) -> Contrast:
    """mean(`a`) - mean(`b`) of independent samples with variances of their own; `sd` is the pooled one.

    `a` (n1,), `b` (n2,), at least 2 values each. One arm without spread leaves the other's. Welch (1947).
    """
    return welch_from_moments(moments(a), moments(b))


def welch_from_moments(a: Moments, b: Moments) -> Contrast:
    """The Welch difference of two samples of which only number, mean and variance are known."""
    difference = a.mean - b.mean
    if a.variance is None or b.variance is None:
        return Contrast(difference, None, None, method="welch", reason=TOO_FEW)
    se = math.sqrt(a.squared_error + b.squared_error)
    if se == 0:
        return Contrast(difference, 0.0, a.n + b.n - 2.0, 0.0, "welch", NO_SPREAD)
    df = satterthwaite((a.squared_error, a.n - 1.0), (b.squared_error, b.n - 1.0))
    return Contrast(difference, se, df, pooled_sd(a, b), "welch")


def satterthwaite(*parts: tuple[float, float]) -> float:
    """Degrees of freedom of a sum of independent squared standard errors, each given as (se², df).

    Satterthwaite (1946), eq. 17; scaled by the largest part, so that tiny units do not underflow.
    """
    largest = max(v for v, _ in parts)
    shares = [(v / largest, df) for v, df in parts]
    below = sum(v * v / df for v, df in shares)
    return sum(v for v, _ in shares) ** 2 / below if below > 0 else math.inf


def pooled_sd(a: Moments, b: Moments) -> float | None:
    """The standard deviation of one observation, pooled over two samples; None where neither has one."""
    df = max(a.n - 1, 0) + max(b.n - 1, 0)
    if df == 0:
        return None
    return math.sqrt((max(a.n - 1, 0) * (a.variance or 0.0) + max(b.n - 1, 0) * (b.variance or 0.0)) / df)


def hedges_g(a: ArrayLike, b: ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Hedges g = J (mean(`a`) - mean(`b`)) / pooled sd, with the exact noncentral-t interval.

    `a` (n1,), `b` (n2,), independent, normal, equal variances (for the interval). Hedges (1981), eq. 6e;
    interval by inverting the noncentral t in its noncentrality (Steiger and Fouladi 1997).
    """
    ma, mb = moments(a), moments(b)
    sd = pooled_sd(ma, mb)
    df = ma.n + mb.n - 2.0
    if sd is None or df < 1 or ma.n == 0 or mb.n == 0:
        return Estimate(None, method="hedges g", reason=TOO_FEW)
    if sd == 0:
        return Estimate(None, method="hedges g", reason=NO_SPREAD)
    scale = math.sqrt(1 / ma.n + 1 / mb.n)
    d = (ma.mean - mb.mean) / sd
    j = small_sample_factor(df)
    low, high = noncentrality_interval(d / scale, df=df, confidence=confidence)
    return Estimate(j * d, j * low * scale, j * high * scale, None, "hedges g, noncentral t")


def small_sample_factor(df: float) -> float:
    """J, the factor that takes the small-sample bias out of Cohen's d. Hedges (1981), eq. 6e."""
    if df <= 1:
        return 1.0  # the correction does not exist below two degrees of freedom
    return math.exp(math.lgamma(df / 2) - math.lgamma((df - 1) / 2)) / math.sqrt(df / 2)


def noncentrality_interval(t: float, *, df: float, confidence: float) -> tuple[float, float]:
    """The noncentralities under which `t` stands at the two tail quantiles."""
    tail = (1 - confidence) / 2
    reach = 8.0 + 5.0 * abs(t) / math.sqrt(2 * df)  # several standard errors of t on either side

    def at(probability: float) -> float:
        return root(lambda nc: float(special.nctdtr(df, nc, t)) - probability, t - reach, t + reach)

    return at(1 - tail), at(tail)


def sd_interval(x: ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """The standard deviation of `x` (n,) with its chi-square interval.

    Normal data only: under heavy tails or skew its coverage falls to .73 to .84, so read it with the
    `skewed` finding beside it.
    """
    m = moments(x)
    if m.sd is None or m.sd == 0:
        return Estimate(m.sd, sd=m.sd, method="chi-square", reason=TOO_FEW if m.sd is None else NO_SPREAD)
    tail = (1 - confidence) / 2
    df = m.n - 1
    low = m.sd * math.sqrt(df / special.chdtri(df, tail))
    high = m.sd * math.sqrt(df / special.chdtri(df, 1 - tail))
    return Estimate(m.sd, low, high, m.sd, "chi-square")


def spread_ratio(a: ArrayLike, b: ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """sd(`a`) / sd(`b`) of independent samples with the F interval. Normal data only, as `sd_interval`.

    For "these two series were not measured alike"; `spread_ratio_p` has the test.
    """
    ma, mb = moments(a), moments(b)
    if not ma.sd or not mb.sd:
        unknown = ma.sd is None or mb.sd is None
        return Estimate(None, method="f", reason=TOO_FEW if unknown else NO_SPREAD)
    tail = (1 - confidence) / 2
    ratio = ma.sd / mb.sd
    low = ratio / math.sqrt(special.fdtri(ma.n - 1, mb.n - 1, 1 - tail))
    high = ratio * math.sqrt(special.fdtri(mb.n - 1, ma.n - 1, 1 - tail))
    return Estimate(ratio, low, high, method="f")


def spread_ratio_p(a: Moments, b: Moments) -> float | None:
    """Two-sided p of H0: equal variances, by F; None where one has no spread to compare. Normal data only."""
    if not a.variance or not b.variance:
        return None
    f = a.variance / b.variance
    upper = float(special.fdtrc(a.n - 1, b.n - 1, f))
    lower = float(special.fdtrc(b.n - 1, a.n - 1, 1 / f))
    return max(min(1.0, 2 * min(upper, lower)), 5e-324)
