"""How much faster at equal accuracy: two sweeps over training length, read at one target.

err(t) = exp(p) t^q is fitted to each sweep on log axes and read backwards at the target; the speed-up is the ratio
of the two times. Never outside the measured range.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from harness.model.estimate import Estimate
from harness.stats.arrays import FloatArray
from harness.stats.contrast import Contrast
from harness.stats.moments import Moments, moments
from harness.stats.ratios import log_difference, log_ratio_to_ratio


@dataclass(frozen=True)
class SweepPoint:
    """The runs of one training length: its `time` (s, or steps) and the mean and variance of their `error`.

    Error is 1 - accuracy, or any loss above 0, in the unit of the target.
    """

    time: float
    error: Moments


@dataclass(frozen=True)
class PowerLaw:
    """log err = `intercept` + `slope` log(time / `centre`) with the variances of both (uncorrelated by the centring).

    `lack_of_fit_p` is small where the points do not lie on such a line (None below 3 points).
    """

    intercept: float
    slope: float
    centre: float
    intercept_variance: float
    slope_variance: float
    df: int
    shortest: float
    longest: float
    lowest_error: float
    highest_error: float
    lack_of_fit_p: float | None


def sweep_point(time: float, errors: ArrayLike) -> SweepPoint:
    """The point of one training length from the `errors` (n,) of its runs."""
    return SweepPoint(time, moments(errors))


def fit_power_law(points: Sequence[SweepPoint]) -> PowerLaw:
    """Weighted least squares of log error on log time over at least 2 lengths.

    Weights n err² / s² (the delta-method variance of a log mean) with one variance s² pooled over the lengths, as
    few runs a length know theirs badly. Lack of fit: between-length residuals against the runs' own spread (F).
    """
    times = np.array([p.time for p in points])
    errors = np.array([p.error.mean for p in points])
    if len(set(times.tolist())) < 2 or not (times > 0).all() or not (errors > 0).all():
        raise ValueError("a power law needs two or more training lengths, with times and errors above 0")
    variance, df = _pooled(points)
    w = np.array([p.error.n for p in points]) * errors**2 / variance
    x, y = np.log(times), np.log(errors)
    middle = float(np.average(x, weights=w))
    intercept = float(np.average(y, weights=w))
    below = float(w @ (x - middle) ** 2)
    slope = float(w @ ((x - middle) * y)) / below
    residual = float(w @ (y - intercept - slope * (x - middle)) ** 2)
    return PowerLaw(
        intercept, slope, math.exp(middle), 1 / float(w.sum()), 1 / below, df, float(times.min()), float(times.max()),
        float(errors.min()), float(errors.max()), _lack_of_fit(residual, len(points), df),
    )  # fmt: skip


def time_at(law: PowerLaw, *, target_error: float) -> Contrast:
    """The log of the time at which the fitted error reaches `target_error`, by the delta method.

    Without a standard error, and with the reason, where the target lies outside what was measured.
    """
    if law.slope >= 0:
        return Contrast(math.nan, None, None, method="power law", reason="error does not fall with training time")
    ahead = (math.log(target_error) - law.intercept) / law.slope
    log_time = math.log(law.centre) + ahead
    if not law.shortest * (1 - 1e-9) <= math.exp(log_time) <= law.longest * (1 + 1e-9):
        return Contrast(math.nan, None, None, method="power law", reason=_outside(law, target_error))
    se = math.sqrt(law.intercept_variance + ahead**2 * law.slope_variance) / abs(law.slope)
    return Contrast(log_time, se, float(law.df), method="power law")


def iso_speedup(
    control: Sequence[SweepPoint], candidate: Sequence[SweepPoint], *, target_error: float, confidence: float = 0.95
) -> Estimate:
    """Control time / candidate time at equal `target_error`; above 1 the candidate gets there sooner."""
    return log_ratio_to_ratio(
        iso_log_speedup(control, candidate, target_error=target_error), "iso-accuracy, power law",
        confidence=confidence,
    )  # fmt: skip


def iso_log_speedup(control: Sequence[SweepPoint], candidate: Sequence[SweepPoint], *, target_error: float) -> Contrast:
    """log(control time / candidate time) at equal error, from two independent sweeps; for bounds and decisions."""
    first = time_at(fit_power_law(control), target_error=target_error)
    second = time_at(fit_power_law(candidate), target_error=target_error)
    out = log_difference(first, second)
    if out.se is None:
        whose = "control" if first.se is None else "candidate"
        return replace(out, method="power law", reason=f"{whose}: {out.reason}")
    return replace(out, method="power law")


def iso_speedup_bootstrap(
    control: Sequence[tuple[float, ArrayLike]], candidate: Sequence[tuple[float, ArrayLike]], *, target_error: float,
    rng: np.random.Generator, resamples: int = 1999, confidence: float = 0.95,
) -> Estimate:  # fmt: skip
    """The same with the percentile interval of a bootstrap within each length; arms are (time, errors (n,)) pairs.

    At least 20 runs a length. Resamples in which a sweep misses the target count against the interval.
    """
    arms = [[(t, np.asarray(e, dtype=np.float64)) for t, e in arm] for arm in (control, candidate)]
    seen = iso_speedup(*[_points(arm) for arm in arms], target_error=target_error)
    method = "iso-accuracy, bootstrap"
    if seen.value is None or min(e.size for arm in arms for _, e in arm) < 20:
        return replace(seen, low=None, high=None, method=method, reason=seen.reason or "too few runs to bootstrap")
    draws = [_draw(arms, target_error, rng) for _ in range(resamples)]
    known = np.array([d for d in draws if d is not None])
    if known.size < 0.99 * resamples:
        return Estimate(seen.value, method=method, reason="the target lies too near the end of a sweep")
    tail = (1 - confidence) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return Estimate(seen.value, float(low), float(high), None, method)


def _draw(arms: list[list[tuple[float, FloatArray]]], target_error: float, rng: np.random.Generator) -> float | None:
    resampled = [[(t, rng.choice(e, e.size)) for t, e in arm] for arm in arms]
    return iso_speedup(*[_points(arm) for arm in resampled], target_error=target_error).value


def _points(arm: Sequence[tuple[float, ArrayLike]]) -> list[SweepPoint]:
    return [sweep_point(t, e) for t, e in arm]


def _pooled(points: Sequence[SweepPoint]) -> tuple[float, int]:
    df = sum(max(p.error.n - 1, 0) for p in points)
    total = math.fsum((p.error.variance or 0.0) * max(p.error.n - 1, 0) for p in points)
    if df == 0 or total == 0:
        raise ValueError("a power law needs spread: two or more differing runs at some training length")
    return total / df, df


def _lack_of_fit(residual: float, points: int, df: int) -> float | None:
    if points < 3:
        return None
    return float(special.fdtrc(points - 2, df, residual / (points - 2)))


def _outside(law: PowerLaw, target_error: float) -> str:
    return (
        f"the target error {target_error:.4g} is reached outside the sweep, which measured "
        f"{law.lowest_error:.4g} to {law.highest_error:.4g}: add lengths, nothing is extrapolated"
    )
