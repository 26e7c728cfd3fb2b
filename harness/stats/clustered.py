"""Means of values that come in clusters: time per block within invocations (or hosts).

The unit of replication is the cluster. Values of one process start share its luck, so the spread within a
cluster says nothing about the error of the mean (Georges, Buytaert and Eeckhout 2007; Kalibera and Jones 2013).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from harness.stats.arrays import FloatArray, vector
from harness.stats.contrast import Contrast
from harness.stats.means import NO_SPREAD
from harness.stats.moments import centred

ONE_CLUSTER = "one invocation only: the spread between invocations cannot be estimated"


@dataclass(frozen=True)
class Components:
    """Analysis of variance of one random factor; None marks what cannot be estimated.

    `between_sd` is truncated at 0 for display and never used for inference. `f` has `df1`, `df2` degrees of
    freedom; `p` is its upper tail under "no cluster effect".
    """

    clusters: int
    n: int
    within_sd: float | None
    between_sd: float | None
    icc: float | None
    f: float | None
    df1: int
    df2: int
    p: float | None


@dataclass(frozen=True)
class ClusteredMean:
    """A mean over clusters: its contrast on S - 1 degrees of freedom, and what the clusters cost."""

    contrast: Contrast
    clusters: int
    n: int
    within_sd: float | None
    between_sd: float | None
    icc: float | None
    design_effect: float | None
    effective_n: float | None
    f: float | None
    df1: int
    df2: int
    p: float | None


def clustered_mean(values: ArrayLike, clusters: Sequence[Hashable] | NDArray[np.generic]) -> ClusteredMean:
    """The mean of `values` (n,) with the error of its `clusters` (n,), S labels in any order.

    The mean of the S cluster means with SE = sd(cluster means) / sqrt(S), t on S - 1 degrees of freedom: the cluster
    is the unit, whatever its size. (Weighting by size with the cluster-robust error of Liang and Zeger 1986, the same
    numbers at equal sizes, breaks down where one cluster holds most values: its own residual is forced towards 0,
    and sizes 21, 1, 1, 1, 1 gave 34 % false alarms at .05.) Never the independent-runs error, also where the
    between part was estimated as 0. Assumes independent clusters.
    """
    v, codes, sizes = _grouped(values, clusters)
    parts = _components(v, codes, sizes)
    deff, effective = _cost(sizes, parts.icc)
    return ClusteredMean(
        _contrast(v, codes, sizes), parts.clusters, parts.n, parts.within_sd, parts.between_sd, parts.icc,
        deff, effective, parts.f, parts.df1, parts.df2, parts.p,
    )  # fmt: skip


def variance_components(values: ArrayLike, clusters: Sequence[Hashable] | NDArray[np.generic]) -> Components:
    """Spread within and between `clusters` (n,) of `values` (n,) by the analysis of variance.

    Unequal sizes use n0 = (n - sum m_i^2 / n) / (S - 1) (Searle, Casella and McCulloch 1992, ch. 3).
    """
    return _components(*_grouped(values, clusters))


def _grouped(
    values: ArrayLike, clusters: Sequence[Hashable] | NDArray[np.generic]
) -> tuple[FloatArray, NDArray[np.intp], FloatArray]:
    """The values, each one's cluster number, and the cluster sizes (S,)."""
    v = vector(values)
    labels = clusters.tolist() if isinstance(clusters, np.ndarray) else list(clusters)
    if len(labels) != v.size:
        raise ValueError(f"{v.size} values but {len(labels)} cluster labels")
    number = {label: i for i, label in enumerate(dict.fromkeys(labels))}
    codes = np.fromiter(map(number.__getitem__, labels), dtype=np.intp, count=len(labels))
    return v, codes, np.bincount(codes, minlength=len(number)).astype(np.float64)


def _contrast(v: FloatArray, codes: NDArray[np.intp], sizes: FloatArray) -> Contrast:
    if v.size == 0:
        return Contrast(math.nan, None, None, method="clustered t", reason="no values")
    count = sizes.size
    whole, rest = centred(v)
    if count < 2:
        return Contrast(whole, None, None, method="clustered t", reason=ONE_CLUSTER)
    shift, apart = centred(np.bincount(codes, rest) / sizes)
    mean = whole + shift
    se = math.sqrt(math.fsum(apart * apart) / (count - 1) / count)
    sd = math.sqrt(math.fsum(rest * rest) / (v.size - 1))
    flat = sd == 0 or se <= 1e-15 * abs(mean)
    return Contrast(mean, 0.0 if flat else se, count - 1.0, sd, "clustered t", NO_SPREAD if flat else "")


def _components(v: FloatArray, codes: NDArray[np.intp], sizes: FloatArray) -> Components:
    n, count = v.size, sizes.size
    df1, df2 = max(count - 1, 0), n - count
    if n == 0:
        return Components(0, 0, None, None, None, None, 0, 0, None)
    _, rest = centred(v)
    means = np.bincount(codes, rest) / sizes
    ms_within = math.fsum((rest - means[codes]) ** 2) / df2 if df2 else None
    ms_between = math.fsum(sizes * means**2) / df1 if df1 else None
    within = None if ms_within is None else math.sqrt(ms_within)
    if ms_within is None or ms_between is None:
        return Components(count, n, within, None, None, None, df1, df2, None)
    n0 = (n - math.fsum(sizes * sizes) / n) / df1
    between = max(0.0, (ms_between - ms_within) / n0)
    spread = between + ms_within
    icc = between / spread if spread > 0 else None
    f = ms_between / ms_within if ms_within > 0 else None
    p = None if f is None else max(float(special.fdtrc(df1, df2, f)), 5e-324)
    return Components(count, n, within, math.sqrt(between), icc, f, df1, df2, p)


def _cost(sizes: FloatArray, icc: float | None) -> tuple[float | None, float | None]:
    """Design effect 1 + (m - 1) icc and effective n; m = sum m_i^2 / n at unequal sizes. Kish (1965)."""
    if icc is None or sizes.size < 2:
        return None, None
    n = float(sizes.sum())
    deff = 1 + (float(sizes @ sizes) / n - 1) * icc
    return deff, n / deff
