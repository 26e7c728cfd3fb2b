"""Many candidates, one question: Dunnett against a shared control, Holm, Benjamini-Hochberg and -Yekutieli."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from harness.stats.arrays import FloatArray, vector
from harness.stats.moments import moments
from harness.stats.solve import root

Alternative = Literal["greater", "less", "two-sided"]


@dataclass(frozen=True)
class ManyToOne:
    """K candidates against one control: differences, t statistics, adjusted p and simultaneous limits, all (K,).

    `low` and `high` hold for all candidates at once, so also for one picked after looking; -inf or inf on the
    open side of a one-sided comparison. `se` are the pooled standard errors, `critical` the common quantile.
    """

    differences: tuple[float, ...]
    ses: tuple[float, ...]
    statistics: tuple[float, ...]
    p: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    critical: float
    df: float


def dunnett(
    groups: Sequence[ArrayLike], control: ArrayLike, *, alternative: Alternative = "two-sided", confidence: float = 0.95
) -> ManyToOne:
    """mean(group) - mean(`control`) for K groups, each (n_i,), against one control (n0,).

    Independent normal values of one variance (pooled over all arms); where variances differ use Welch with Holm.
    Dunnett (1955, 1964). With K = 1 this is the pooled t test.
    """
    arms = [moments(g) for g in groups]
    base = moments(control)
    df = sum(m.n - 1 for m in arms) + base.n - 1
    pooled = math.fsum((m.n - 1) * (m.variance or 0.0) for m in [*arms, base]) / df
    ses = np.array([math.sqrt(pooled * (1 / m.n + 1 / base.n)) for m in arms])
    differences = np.array([m.mean - base.mean for m in arms])
    return many_to_one(
        differences, ses, loadings(np.array([m.n for m in arms]), base.n), df=df, alternative=alternative,
        confidence=confidence,
    )  # fmt: skip


def many_to_one(
    differences: ArrayLike, ses: ArrayLike, loading: ArrayLike, *, df: float,
    alternative: Alternative = "two-sided", confidence: float = 0.95,
) -> ManyToOne:  # fmt: skip
    """Simultaneous inference from K differences (K,), their `ses` (K,), `loading` (K,) and common `df`."""
    d, se, lam = vector(differences), vector(ses), vector(loading)
    if not (se > 0).all():
        raise ValueError("Dunnett needs spread: every standard error must be above 0")
    two_sided = alternative == "two-sided"
    t = d / se
    shown = np.abs(t) if two_sided else (-t if alternative == "less" else t)
    p = adjusted_p(shown, lam, df=df, two_sided=two_sided)
    c = critical_value(lam, alpha=1 - confidence, df=df, two_sided=two_sided)
    low = np.full(d.shape, -math.inf) if alternative == "less" else d - c * se
    high = np.full(d.shape, math.inf) if alternative == "greater" else d + c * se
    return ManyToOne(_plain(d), _plain(se), _plain(t), _plain(p), _plain(low), _plain(high), c, df)


def loadings(n: ArrayLike, control_runs: float) -> FloatArray:
    """lambda_i = sqrt(n_i / (n_i + n0)) (K,): the correlation of two differences is lambda_i lambda_j."""
    sizes = np.asarray(n, dtype=np.float64)
    out: FloatArray = np.sqrt(sizes / (sizes + control_runs))
    return out


def critical_value(loading: ArrayLike, *, alpha: float = 0.05, df: float = math.inf, two_sided: bool = False) -> float:
    """The quantile that the largest of K statistics exceeds with chance `alpha` when no candidate differs."""
    lam = vector(loading, least=1)
    single = alpha / 2 if two_sided else alpha
    low, high = _quantile(single, df), _quantile(single / lam.size, df)
    if lam.size == 1:
        return low
    return root(lambda c: alpha - upper_tail(c, lam, df=df, two_sided=two_sided), low, high, tolerance=1e-10)


def adjusted_p(
    statistics: ArrayLike, loading: ArrayLike, *, df: float = math.inf, two_sided: bool = False
) -> FloatArray:
    """Single-step adjusted p (K,) of statistics (K,) that are large where a candidate differs.

    Never below the unadjusted p, which also bounds it where the integral runs out of digits.
    """
    t, lam = vector(statistics), vector(loading)
    alone = _tail(t, df) * (2 if two_sided else 1)
    joint = np.array([upper_tail(float(c), lam, df=df, two_sided=two_sided) for c in t])
    out: FloatArray = np.clip(np.maximum(joint, alone), 5e-324, np.minimum(1.0, t.size * alone))
    return out


def upper_tail(c: float, loading: FloatArray, *, df: float = math.inf, two_sided: bool = False) -> float:
    """P(max_i T_i > c) for K t statistics of product correlation lambda_i lambda_j, without simulation.

    The one-factor integral over the shared control's error, and an outer one over the pooled standard deviation
    (chi) where `df` is finite. Dunnett and Sobel (1955); accurate to about 1e-10 absolute.
    """
    if math.isinf(df):
        return float(_normal_tail(np.array([c]), loading, two_sided)[0])
    nodes, weights = _legendre(80)
    low, high = (math.sqrt(special.chdtri(df, q) / df) for q in (1 - 1e-15, 1e-15))
    scale = low + (high - low) * (nodes + 1) / 2
    log_density = math.log(2) + df / 2 * math.log(df / 2) - special.gammaln(df / 2)
    log_density = log_density + (df - 1) * np.log(scale) - df * scale**2 / 2
    density = np.exp(log_density) * weights * (high - low) / 2
    return float(density @ _normal_tail(c * scale, loading, two_sided) / density.sum())


@functools.cache
def _legendre(points: int) -> tuple[FloatArray, FloatArray]:
    nodes, weights = np.polynomial.legendre.leggauss(points)
    return nodes, weights


def _normal_tail(c: FloatArray, loading: FloatArray, two_sided: bool) -> FloatArray:
    """P(max > c) (m,) with known variance; the trapezoidal rule over the shared normal, exact for analytic tails."""
    own = np.sqrt(1 - loading**2)
    step = min(0.25, 0.7 / math.sqrt(1 + float(np.sum((loading / own) ** 2))))
    z = np.arange(-8.5, 8.5 + step, step)
    log_none = np.zeros((c.size, z.size))
    for lam, o, times in _distinct(loading, own):
        upper = (c[:, None] + lam * z) / o
        if two_sided:
            inside = special.ndtr(upper) - special.ndtr((-c[:, None] + lam * z) / o)
            log_none += times * np.log(np.maximum(inside, 1e-300))
        else:
            log_none += times * special.log_ndtr(upper)
    weight = np.exp(-z * z / 2)
    out: FloatArray = -np.expm1(log_none) @ (weight / weight.sum())
    return out


def _distinct(loading: FloatArray, own: FloatArray) -> list[tuple[float, float, int]]:
    """Each loading once with the number of candidates that share it: a sweep has one arm size."""
    values, index, counts = np.unique(loading, return_index=True, return_counts=True)
    return [(float(v), float(own[i]), int(k)) for v, i, k in zip(values, index, counts, strict=True)]


def holm(p: ArrayLike) -> FloatArray:
    """Adjusted p (K,) that hold the chance of any false claim, whatever the dependence. Holm (1979)."""
    v = vector(p)
    order = np.argsort(v, kind="stable")
    stepped = np.maximum.accumulate(v[order] * (v.size - np.arange(v.size)))
    return _back(np.minimum(stepped, 1.0), order)


def benjamini_hochberg(p: ArrayLike) -> FloatArray:
    """Adjusted p (K,) that hold the false discovery rate under independence or positive dependence.

    Benjamini and Hochberg (1995). For lists to explore, not for claims.
    """
    v = vector(p)
    order = np.argsort(v, kind="stable")
    raw = v[order] * v.size / np.arange(1, v.size + 1)
    stepped = np.minimum.accumulate(raw[::-1])[::-1]
    return _back(np.minimum(stepped, 1.0), order)


def benjamini_yekutieli(p: ArrayLike) -> FloatArray:
    """Adjusted p (K,) that hold the false discovery rate under any dependence. Benjamini and Yekutieli (2001)."""
    v = vector(p)
    factor = float(np.sum(1 / np.arange(1, v.size + 1)))
    order = np.argsort(v, kind="stable")
    raw = v[order] * v.size * factor / np.arange(1, v.size + 1)
    return _back(np.minimum(np.minimum.accumulate(raw[::-1])[::-1], 1.0), order)


def _back(sorted_values: FloatArray, order: NDArray[np.intp]) -> FloatArray:
    out = np.empty_like(sorted_values)
    out[order] = sorted_values
    return out


def _quantile(tail: float, df: float) -> float:
    return float(-special.ndtri(tail) if math.isinf(df) else -special.stdtrit(df, tail))


def _tail(t: FloatArray, df: float) -> FloatArray:
    out: FloatArray = special.ndtr(-t) if math.isinf(df) else special.stdtr(df, -t)
    return out


def _plain(x: FloatArray) -> tuple[float, ...]:
    return tuple(float(v) for v in x)
