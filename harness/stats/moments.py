"""Moments of one sample, accurate where the mean is large against the spread."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from harness.stats.arrays import FloatArray, vector


@dataclass(frozen=True)
class Moments:
    """Number, mean and variance (divisor n - 1; None below two values) of a sample."""

    n: int
    mean: float
    variance: float | None

    @property
    def sd(self) -> float | None:
        return None if self.variance is None else math.sqrt(self.variance)

    @property
    def squared_error(self) -> float:
        """The squared standard error of the mean; 0 where it is not known."""
        return 0.0 if self.variance is None else self.variance / self.n


def moments(x: ArrayLike) -> Moments:
    """Mean and variance of `x` (n,) by two exact-sum passes with the second-pass correction.

    Chan, Golub and LeVeque (1983), eq. 1.7. The mean of nothing is NaN.
    """
    v = vector(x)
    if v.size == 0:
        return Moments(0, math.nan, None)
    centre, rest = centred(v)
    n = v.size
    if n < 2:
        return Moments(n, centre, None)
    variance = math.fsum(rest * rest) / (n - 1)
    return Moments(n, centre, variance)


def centred(v: FloatArray) -> tuple[float, FloatArray]:
    """The mean of `v` and the deviations from it, with the rounding of the mean taken out of both."""
    centre = math.fsum(v) / v.size
    rest = v - centre
    slip = math.fsum(rest) / v.size
    return centre + slip, rest - slip


def skewness(x: ArrayLike) -> float | None:
    """g1, the moment skewness m3 / m2^1.5 of `x` (n,); None without spread or below three values.

    Joanes and Gill (1998), eq. 1.
    """
    return _standardised(x, power=3, least=3)


def excess_kurtosis(x: ArrayLike) -> float | None:
    """g2, the moment kurtosis m4 / m2^2 - 3 of `x` (n,); None without spread or below four values."""
    fourth = _standardised(x, power=4, least=4)
    return None if fourth is None else fourth - 3


def _standardised(x: ArrayLike, *, power: int, least: int) -> float | None:
    v = vector(x)
    if v.size < least or np.ptp(v) == 0:
        return None
    _, rest = centred(v)
    scale = math.sqrt(math.fsum(rest * rest) / v.size)
    return math.fsum((rest / scale) ** power) / v.size
