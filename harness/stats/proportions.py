"""Rates of success: one, and the difference of two. Wilson to show, Clopper-Pearson to guarantee, never Wald."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy import special

from harness.model.estimate import Estimate
from harness.stats.boschloo import boschloo_p
from harness.stats.solve import root

NO_RUNS = "no runs"


def wilson(k: int, n: int, *, confidence: float = 0.95) -> Estimate:
    """The rate `k` / `n` with the score interval. Independent runs of equal chance. Wilson (1927)."""
    if not _counts(k, n):
        return Estimate(None, method="wilson", reason=NO_RUNS)
    p, z2 = k / n, _z(confidence) ** 2
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    reach = math.sqrt(z2 * (p * (1 - p) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    low = 0.0 if k == 0 else middle - reach
    high = 1.0 if k == n else middle + reach
    return Estimate(p, low, high, method="wilson")


def clopper_pearson(k: int, n: int, *, confidence: float = 0.95) -> Estimate:
    """The rate `k` / `n` with the interval that never covers too rarely; for gates. Clopper and Pearson (1934)."""
    if not _counts(k, n):
        return Estimate(None, method="clopper-pearson", reason=NO_RUNS)
    tail = (1 - confidence) / 2
    low = 0.0 if k == 0 else float(special.betaincinv(k, n - k + 1, tail))
    high = 1.0 if k == n else float(special.betaincinv(k + 1, n - k, 1 - tail))
    return Estimate(k / n, low, high, method="clopper-pearson")


def jeffreys(k: int, n: int, *, confidence: float = 0.95) -> Estimate:
    """The rate `k` / `n` with the equal-tailed interval of the Beta(1/2, 1/2) prior, closed at k = 0 and k = n.

    Brown, Cai and DasGupta (2001), section 4.3.
    """
    if not _counts(k, n):
        return Estimate(None, method="jeffreys", reason=NO_RUNS)
    tail = (1 - confidence) / 2
    a, b = k + 0.5, n - k + 0.5
    low = 0.0 if k == 0 else float(special.betaincinv(a, b, tail))
    high = 1.0 if k == n else float(special.betaincinv(a, b, 1 - tail))
    return Estimate(k / n, low, high, method="jeffreys")


def newcombe(k1: int, n1: int, k2: int, n2: int, *, confidence: float = 0.95) -> Estimate:
    """p1 - p2 of independent arms with the hybrid score interval. Newcombe (1998b), method 10."""
    first, second = wilson(k1, n1, confidence=confidence), wilson(k2, n2, confidence=confidence)
    if first.value is None or second.value is None or first.low is None or second.low is None:
        return Estimate(None, method="newcombe", reason=NO_RUNS)
    assert first.high is not None and second.high is not None
    d = first.value - second.value
    low = d - math.hypot(first.value - first.low, second.high - second.value)
    high = d + math.hypot(first.high - first.value, second.value - second.low)
    return Estimate(d, max(low, -1.0), min(high, 1.0), method="newcombe")


def miettinen_nurminen(k1: int, n1: int, k2: int, n2: int, *, confidence: float = 0.95) -> Estimate:
    """p1 - p2 of independent arms with the score interval: all differences that the score test does not reject.

    Miettinen and Nurminen (1985), eq. 8 and 9.
    """
    if not (_counts(k1, n1) and _counts(k2, n2)):
        return Estimate(None, method="miettinen-nurminen", reason=NO_RUNS)
    d, z = k1 / n1 - k2 / n2, _z(confidence)

    def excess(delta: float) -> float:
        return abs(score_z(k1, n1, k2, n2, difference=delta)) - z

    low = -1.0 if excess(-1.0) < 0 else root(excess, -1.0, d)
    high = 1.0 if excess(1.0) < 0 else root(excess, d, 1.0)
    return Estimate(d, low, high, method="miettinen-nurminen")


def score_z(k1: int, n1: int, k2: int, n2: int, *, difference: float = 0.0) -> float:
    """The score statistic of H0: p1 - p2 = `difference`, with the factor N / (N - 1). Miettinen and Nurminen (1985)."""
    gap = k1 / n1 - k2 / n2 - difference
    p2 = _restricted(k1, n1, k2, n2, difference)
    p1 = p2 + difference
    variance = (p1 * (1 - p1) / n1 + p2 * (1 - p2) / n2) * (n1 + n2) / (n1 + n2 - 1)
    if variance <= 1e-300:
        return 0.0 if abs(gap) < 1e-12 else math.copysign(math.inf, gap)
    return gap / math.sqrt(variance)


def _restricted(k1: int, n1: int, k2: int, n2: int, difference: float) -> float:
    """The maximum-likelihood p2 under p1 - p2 = `difference`: the root of a falling score function."""
    low, high = max(0.0, -difference), min(1.0, 1.0 - difference)

    def slope(p2: float) -> float:
        p1 = p2 + difference
        return _over(k1, p1) - _over(n1 - k1, 1 - p1) + _over(k2, p2) - _over(n2 - k2, 1 - p2)

    edge = 1e-13 * (high - low)
    if high - low < 1e-12 or slope(low + edge) <= 0:
        return low
    if slope(high - edge) >= 0:
        return high
    return _bisect(slope, low, high)


def _bisect(f: Callable[[float], float], low: float, high: float) -> float:
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if f(middle) > 0 else (low, middle)
    return (low + high) / 2


def _over(count: int, p: float) -> float:
    return 0.0 if count == 0 else count / max(p, 1e-300)


def two_proportion_p(k1: int, n1: int, k2: int, n2: int) -> tuple[float | None, str]:
    """Two-sided p of H0: p1 = p2, and the method: pooled score z, or Boschloo where an arm has at most 50 runs.

    Boschloo (1970) is exact and uniformly more powerful than Fisher. Without runs: None.
    """
    if not (_counts(k1, n1) and _counts(k2, n2)):
        return None, NO_RUNS
    if min(n1, n2) <= 50:
        return boschloo_p(k1, n1, k2, n2), "boschloo"
    return pooled_p(k1, n1, k2, n2), "score z"


def pooled_p(k1: int, n1: int, k2: int, n2: int) -> float:
    """Two-sided p of the pooled score z of H0: p1 = p2. Large arms."""
    p = (k1 + k2) / (n1 + n2)
    se = math.sqrt(p * (1 - p) * (1 / n1 + 1 / n2))
    if se == 0:
        return 1.0
    return max(2 * float(special.ndtr(-abs(k1 / n1 - k2 / n2) / se)), 5e-324)


def binomial_p(k: int, n: int, p: float) -> float:
    """Exact two-sided p of H0: the rate is `p`, for `k` of `n`: the chance of all outcomes that are no likelier.

    Clopper and Pearson's test in the minimum-likelihood form (Blaker 2000, section 1). Never exactly 0.
    """
    if not _counts(k, n):
        return 1.0
    if p in (0.0, 1.0):
        return 1.0 if k == n * p else 5e-324
    x = np.arange(n + 1.0)
    log_mass = special.gammaln(n + 1) - special.gammaln(x + 1) - special.gammaln(n - x + 1)
    log_mass += special.xlogy(x, p) + special.xlog1py(n - x, -p)
    no_likelier = log_mass <= log_mass[k] + 1e-7
    return min(1.0, max(math.fsum(np.exp(log_mass[no_likelier])), 5e-324))


def _counts(k: int, n: int) -> bool:
    """Whether there are runs at all; counts that cannot be are a programmer's error."""
    if not 0 <= k <= n:
        raise ValueError(f"expected 0 <= k <= n, found k = {k}, n = {n}")
    return n > 0


def _z(confidence: float) -> float:
    return float(-special.ndtri((1 - confidence) / 2))


def expected_rate(*, mean: float, sd: float, target: float, grid: float = 0.0) -> float:
    """The share of normal runs that reach `target`: Phi((mean - target + grid / 2) / sd) in steps of `grid`."""
    if sd == 0:
        return 1.0 if mean >= target else 0.0
    return float(special.ndtr((mean - target + grid / 2) / sd))


def consistency_p(k: int, n: int, *, mean: float, sd: float, target: float, grid: float = 0.0) -> float:
    """Exact p of `k` of `n` successes under the rate that mean and sd imply; below .001 they contradict each other.

    Catches a wrong threshold operator, a float32 threshold and mixed evaluations. Normal runs.
    """
    return binomial_p(k, n, expected_rate(mean=mean, sd=sd, target=target, grid=grid))
