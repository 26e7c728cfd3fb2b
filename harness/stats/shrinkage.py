"""Estimates pulled towards what is plausible: what a sweep's values are worth, and how much of the best is luck."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from harness.stats.arrays import FloatArray, vector


@dataclass(frozen=True)
class Shrunk:
    """Empirical-Bayes estimates of K effects: `values`, `weights` (share of the data kept) and `sds`, all (K,).

    `between_variance` is the estimated variance of the true effects, `centre` what they are pulled towards.
    """

    values: tuple[float, ...]
    weights: tuple[float, ...]
    sds: tuple[float, ...]
    between_variance: float
    centre: float


def empirical_bayes(values: ArrayLike, ses: ArrayLike, *, centre: float | None = None, limited: bool = False) -> Shrunk:
    """True effects behind `values` (K,) with standard errors `ses` (K,) or one for all, normal prior.

    A = max(0, variance of the values - mean se²), theta = centre + A / (A + se²) (value - centre). `centre` is the
    weighted grand mean, or a given one (the control, where candidates are tweaks of it). Independent errors; K >= 2,
    or K >= 1 with a given centre. `limited` reduces the pull by (K - 3) / (K - 1), with a given centre by (K - 2) / K, as
    A is estimated: many values are never pulled together wholly, and two are not pulled at all. Efron and Morris (1975);
    the limit of Morris (1983), and his posterior sd with the term for the estimated A (eq. 1.17), which the limit leaves
    as it is; where K is too small for that term, the se itself.
    """
    x = vector(values, least=2 if centre is None else 1)
    variances = np.broadcast_to(np.asarray(ses, dtype=np.float64) ** 2, x.shape)
    spread = float(np.var(x, ddof=1)) if centre is None else float(np.mean((x - centre) ** 2))
    between = max(0.0, spread - float(variances.mean()))
    middle = _grand_mean(x, variances, between) if centre is None else centre
    total = between + variances
    weights = np.divide(between, total, out=np.ones_like(total), where=total > 0)
    if limited:
        known = x.size - (1 if centre is None else 0)
        weights = 1 - max(0.0, (known - 2) / max(1, known)) * (1 - weights)
    shrunk = middle + weights * (x - middle)
    sds = _posterior_sd(x - middle, variances, weights, fitted=centre is None)
    return Shrunk(_plain(shrunk), _plain(weights), _plain(sds), between, middle)


def shrink_one(difference: float, se: float) -> float:
    """One candidate's difference times the positive-part factor max(0, 1 - se² / difference²).

    For planning, where there is no sweep to learn from: an estimate within one se of 0 is worth nothing.
    James and Stein (1961) in one dimension (the positive-part rule of Baranchik 1964).
    """
    if difference == 0:
        return 0.0
    return difference * max(0.0, 1 - (se / difference) ** 2)


def expected_luck(k: int, se: float) -> float:
    """How far the best of `k` candidates stands above the truth when none differs: E[max of k normals] * `se`.

    The integral of P(max > z) - P(max <= -z) over z > 0 (Tippett 1925), by the trapezoidal rule.
    """
    if k <= 1:
        return 0.0
    z = np.linspace(0.0, 12.0, 2401)
    height = -np.expm1(k * special.log_ndtr(z)) - np.exp(k * special.log_ndtr(-z))
    return se * float(np.trapezoid(height, z))


def _grand_mean(x: FloatArray, variances: FloatArray, between: float) -> float:
    total = between + variances
    if (total == 0).any():
        return float(x.mean())
    return float(np.average(x, weights=1 / total))


def _posterior_sd(rest: FloatArray, variances: FloatArray, weights: FloatArray, *, fitted: bool) -> FloatArray:
    """Posterior sd; with a `fitted` centre the K - 1 of K and the Morris term 2 / (K - 3) (1 - B)² (x - centre)²."""
    k = rest.size
    lost = 1 if fitted else 0
    pull = 1 - weights
    if k - lost <= 2:
        return np.sqrt(variances)
    ours = variances * (1 - pull * (k - lost) / k) + 2 / (k - lost - 2) * pull**2 * rest**2
    out: FloatArray = np.sqrt(ours)
    return out


def _plain(x: FloatArray) -> tuple[float, ...]:
    return tuple(float(v) for v in x)
