"""The generalised sequential probability ratio test: accept or reject a mean in as few runs as possible."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from numpy.typing import ArrayLike

from harness.stats.moments import Moments, moments

LEAST_RUNS = 15


@dataclass(frozen=True)
class Sprt:
    """The log likelihood ratio, its two bounds and what they say: "accept" is H1, "reject" is H0."""

    llr: float
    low: float
    high: float
    state: Literal["accept", "reject", "continue"]


def gsprt(x: ArrayLike, *, mu0: float, mu1: float, alpha: float = 0.05, beta: float = 0.1) -> Sprt:
    """H0: mean = `mu0` against H1: mean = `mu1` for `x` (n,), normal with unknown variance.

    Generalised likelihood ratio (n / 2) log(sum (x - mu0)² / sum (x - mu1)²) against Wald's bounds
    log(beta / (1 - alpha)) and log((1 - beta) / alpha). Goes on below 15 runs, where the variance is too
    uncertain, and where there is none: equal values are no evidence of their error. Wald (1945); Li, Liu and Ying (2014).
    """
    m = moments(x)
    low, high = wald_bounds(alpha=alpha, beta=beta)
    if not m.variance or m.n < LEAST_RUNS:
        return Sprt(0.0, low, high, "continue")
    llr = m.n / 2 * _log_ratio(m, mu0=mu0, mu1=mu1)
    return Sprt(llr, low, high, "accept" if llr >= high else "reject" if llr <= low else "continue")


def wald_bounds(*, alpha: float, beta: float) -> tuple[float, float]:
    """log(beta / (1 - alpha)) and log((1 - beta) / alpha). Wald (1945)."""
    return math.log(beta / (1 - alpha)), math.log((1 - beta) / alpha)


def _log_ratio(m: Moments, *, mu0: float, mu1: float) -> float:
    """log of the mean squared distance from mu0 over that from mu1."""
    spread = (m.variance or 0.0) * (m.n - 1) / m.n
    from0, from1 = spread + (m.mean - mu0) ** 2, spread + (m.mean - mu1) ** 2
    return math.log(from0 / from1)
