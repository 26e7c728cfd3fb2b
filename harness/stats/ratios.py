"""Ratios: speed-ups, and the expected time per success.

Signs: every ratio here is first / second. A speed-up is control / candidate, so its log contrast is
mean(log control - log candidate): the negative of the blocks' d = log candidate - log control.
"""

from __future__ import annotations

import math
from dataclasses import replace

from harness.model.estimate import Estimate
from harness.stats.contrast import Contrast
from harness.stats.means import satterthwaite
from harness.stats.proportions import clopper_pearson, wilson


def log_ratio_to_ratio(log_ratio: Contrast, method: str = "", *, confidence: float = 0.95) -> Estimate:
    """exp of a contrast of logs with its interval; a clustered mean of block log ratios becomes a speed-up.

    `sd` is the multiplicative standard deviation of one observation minus 1 (0.01: one per cent).
    """
    e = log_ratio.estimate(confidence)
    sd = None if e.sd is None else math.expm1(e.sd)
    return Estimate(_exp(e.value), _exp(e.low), _exp(e.high), sd, method or f"log ratio, {e.method}", e.reason)


def ratio_lower(log_ratio: Contrast, *, alpha: float) -> float | None:
    """One-sided lower bound of the ratio at level 1 - `alpha`."""
    return _exp(log_ratio.lower(alpha))


def ratio_upper(log_ratio: Contrast, *, alpha: float) -> float | None:
    """One-sided upper bound of the ratio at level 1 - `alpha`."""
    return _exp(log_ratio.upper(alpha))


def log_delta(numerator: Contrast, denominator: Contrast) -> Contrast:
    """log(numerator / denominator) of two independent positive means by the delta method.

    Degrees of freedom by Satterthwaite on the squared coefficients of variation. Good while the means'
    coefficients of variation stay below about 10 %.
    """
    _positive(numerator, denominator)
    value = math.log(numerator.value) - math.log(denominator.value)
    parts = [_relative(c) for c in (numerator, denominator)]
    if None in parts:
        return Contrast(value, None, None, method="log delta", reason=numerator.reason or denominator.reason)
    known = [p for p in parts if p is not None]
    se = math.sqrt(sum(v for v, _ in known))
    if se == 0:
        return Contrast(value, 0.0, None, method="log delta", reason=numerator.reason)
    return Contrast(value, se, satterthwaite(*known), method="log delta")


def _relative(c: Contrast) -> tuple[float, float] | None:
    return None if c.se is None or c.df is None else ((c.se / c.value) ** 2, c.df)


def fieller(
    numerator: Contrast, denominator: Contrast, *, covariance: float = 0.0, confidence: float = 0.95
) -> Estimate:
    """numerator / denominator of two normal means with Fieller's interval; None limits where it is unbounded.

    `covariance` is that of the two means (0 for independent arms). Degrees of freedom by Satterthwaite at the
    observed ratio. Bounded only where the denominator differs from 0 at this level. Fieller (1954).
    """
    if denominator.value == 0:
        return Estimate(None, method="fieller", reason="the denominator is 0")
    ratio = numerator.value / denominator.value
    if numerator.se is None or denominator.se is None or numerator.df is None or denominator.df is None:
        return Estimate(ratio, method="fieller", reason=numerator.reason or denominator.reason)
    v1, v2 = numerator.se**2, denominator.se**2
    if v1 + v2 == 0:
        return Estimate(ratio, method="fieller", reason=numerator.reason)
    df = satterthwaite((v1, numerator.df), (ratio * ratio * v2, denominator.df))
    t2 = Contrast(0, 1, df).quantile((1 - confidence) / 2) ** 2
    a = denominator.value**2 - t2 * v2
    b = numerator.value * denominator.value - t2 * covariance
    c = numerator.value**2 - t2 * v1
    if a <= 0:
        return Estimate(ratio, method="fieller", reason="unbounded: the denominator may be 0")
    reach = math.sqrt(max(b * b - a * c, 0.0))
    return Estimate(ratio, (b - reach) / a, (b + reach) / a, method="fieller")


def cost_of_success(time: Contrast, *, k: int, n: int, confidence: float = 0.95) -> tuple[Estimate, Contrast]:
    """Expected time per success when failed runs are started again: mean time / success rate, and its log.

    `time` is the mean time of one run (s), `k` of `n` runs succeeded. Geometric restarts; a failure costs a full
    run and success does not depend on the run's time. Log-delta with
    SE^2 = (se / mean)^2 + (1 - p) / (n p), normal quantiles. No success: the value does not exist and only the
    lower limit does, mean time / Clopper-Pearson upper limit. All successes: the rate's own part of the error
    comes from p = (k + 1/2) / (n + 1), since the plug-in one would be 0.
    """
    if n < 1 or time.value <= 0 or math.isnan(time.value):
        return _no_cost("no runs with a known time and outcome")
    if k == 0:
        return _cost_bound(time, n=n, confidence=confidence)
    se = math.sqrt(((time.se or 0.0) / time.value) ** 2 + _log_rate_variance(k, n))
    reason = time.reason if time.se is None else ""
    log_cost = Contrast(math.log(time.value * n / k), None if reason else se, math.inf, None, "log delta", reason)
    return log_ratio_to_ratio(log_cost, "time / rate, log delta", confidence=confidence), log_cost


def _log_rate_variance(k: int, n: int) -> float:
    """The delta-method variance (1 - p) / (n p) of log(`k` / `n`); at k = n that of p = (k + 1/2) / (n + 1), not 0."""
    p = k / n if k < n else (k + 0.5) / (n + 1)
    return (1 - p) / (n * p)


def _no_cost(reason: str, low: float | None = None) -> tuple[Estimate, Contrast]:
    method = "time / rate, log delta"
    return Estimate(None, low, None, None, method, reason), Contrast(math.nan, None, None, None, method, reason)


def _cost_bound(time: Contrast, *, n: int, confidence: float) -> tuple[Estimate, Contrast]:
    """The lower limit that is left when nothing succeeded."""
    highest = clopper_pearson(0, n, confidence=confidence).high
    return _no_cost("no run reached the target: only a lower limit exists", time.value / (highest or 1.0))


def cost_ratio(first: Contrast, second: Contrast, *, confidence: float = 0.95) -> Estimate:
    """first / second of two expected costs of success, each given as the log contrast of `cost_of_success`.

    Above 1: the first costs more per success. Independent arms, normal quantiles.
    """
    return log_ratio_to_ratio(log_difference(first, second), "ratio of time / rate, log delta", confidence=confidence)


def log_difference(first: Contrast, second: Contrast) -> Contrast:
    """`first` - `second` of two independent log contrasts, Satterthwaite degrees of freedom."""
    value = first.value - second.value
    if first.se is None or second.se is None or first.df is None or second.df is None:
        return Contrast(value, None, None, method="log delta", reason=first.reason or second.reason)
    se = math.hypot(first.se, second.se)
    if se == 0:
        return replace(first, value=value)
    return Contrast(value, se, satterthwaite((first.se**2, first.df), (second.se**2, second.df)), method="log delta")


def wilson_cost(mean_time: float, *, k: int, n: int, confidence: float = 0.95) -> tuple[float | None, float | None]:
    """Limits of the cost of success that take the mean time as known: time over the Wilson limits of the rate."""
    rate = wilson(k, n, confidence=confidence)
    low = mean_time / rate.high if rate.high else None
    high = mean_time / rate.low if rate.low else None
    return low, high


def _positive(*contrasts: Contrast) -> None:
    for c in contrasts:
        if not c.value > 0:
            raise ValueError(f"the log of a mean needs a positive mean, found {c.value}")


def _exp(x: float | None) -> float | None:
    if x is None or x > 709:  # beyond the range of a float there is no limit left to print
        return None
    return math.exp(x)


def cost_ratio_from_speedup(
    log_speedup: Contrast, *, k_first: int, n_first: int, k_second: int, n_second: int, confidence: float = 0.95
) -> Estimate:
    """first / second of two expected costs of success, from the log speed-up second / first of interleaved blocks.

    (1 / speed-up) · (p_second / p_first); log-delta with (1 - p) / (n p) from each rate, the time's part on its own
    degrees of freedom (Satterthwaite). Above 1: the first costs more per success. No success in an arm: no ratio.
    """
    method = "1 / speed-up × ratio of success rates, log delta"
    if not k_first or not k_second:
        return Estimate(None, method=method, reason="an arm has no run that reached the target")
    value = math.log(k_second / n_second) - math.log(k_first / n_first) - log_speedup.value
    if log_speedup.se is None or log_speedup.df is None:
        return Estimate(math.exp(value), method=method, reason=log_speedup.reason)
    spread = _log_rate_variance(k_first, n_first) + _log_rate_variance(k_second, n_second)
    se = math.hypot(log_speedup.se, math.sqrt(spread))
    df = satterthwaite((log_speedup.se**2, log_speedup.df), (spread, math.inf)) if log_speedup.se > 0 else math.inf
    return log_ratio_to_ratio(Contrast(value, se, df, None, method), method, confidence=confidence)
