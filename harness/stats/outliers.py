"""Runs that lie apart, and a mean that does not hear them. Report outliers; never delete them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from harness.stats.arrays import FloatArray, vector
from harness.stats.contrast import Contrast
from harness.stats.means import NO_SPREAD, TOO_FEW, satterthwaite


def mad_z(x: ArrayLike) -> FloatArray:
    """Robust z (n,): distance from the median over 1.4826 times the median absolute deviation (MAD).

    Where more than half of the values are equal (MAD 0) the scale is 1.2533 times the mean absolute deviation, and
    all are 0 where there is no spread at all. Iglewicz and Hoaglin (1993).
    """
    v = vector(x)
    if v.size == 0:
        return v
    away = v - np.median(v)
    scale = float(np.median(np.abs(away))) / float(special.ndtri(0.75))
    if scale == 0:
        scale = float(np.mean(np.abs(away))) * math.sqrt(math.pi / 2)
    out: FloatArray = np.zeros_like(v) if scale == 0 else away / scale
    return out


def outliers(x: ArrayLike, *, limit: float = 5.0) -> list[int]:
    """Indices of the values of `x` (n,) whose |robust z| exceeds `limit`."""
    return [int(i) for i in np.flatnonzero(np.abs(mad_z(x)) > limit)]


def trimmed_mean(x: ArrayLike, *, trim: float = 0.1) -> Contrast:
    """The mean of `x` (n,) without the lowest and highest `trim` of its values; winsorised error.

    Tukey and McLaughlin (1963).
    """
    kept, squared, df = _trimmed(vector(x), trim)
    if squared is None:
        return Contrast(kept, None, None, method="trimmed mean", reason=TOO_FEW)
    return Contrast(kept, math.sqrt(squared), df, method="trimmed mean", reason=NO_SPREAD if squared == 0 else "")


def yuen(a: ArrayLike, b: ArrayLike, *, trim: float = 0.1) -> Contrast:
    """Difference of the trimmed means of `a` (n1,) and `b` (n2,), independent, variances of their own. Yuen (1974)."""
    first, v1, df1 = _trimmed(vector(a), trim)
    second, v2, df2 = _trimmed(vector(b), trim)
    if v1 is None or v2 is None:
        return Contrast(first - second, None, None, method="yuen", reason=TOO_FEW)
    if v1 + v2 == 0:
        return Contrast(first - second, 0.0, df1 + df2, method="yuen", reason=NO_SPREAD)
    return Contrast(first - second, math.sqrt(v1 + v2), satterthwaite((v1, df1), (v2, df2)), method="yuen")


def _trimmed(v: FloatArray, trim: float) -> tuple[float, float | None, float]:
    """The trimmed mean, its squared winsorised error and its degrees of freedom."""
    if v.size == 0:
        return math.nan, None, 0.0
    cut = int(trim * v.size)
    kept = np.sort(v)[cut : v.size - cut]
    mean, m = math.fsum(kept) / kept.size, kept.size
    if m < 2:
        return mean, None, 0.0
    low, high = float(kept[0]), float(kept[-1])
    winsorised = np.clip(v, low, high)
    centre = math.fsum(winsorised) / v.size
    return mean, math.fsum((winsorised - centre) ** 2) / (m * (m - 1)), m - 1.0
