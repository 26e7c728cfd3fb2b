"""How pairs of values hang together: runs of one seed across arms, and by rank, what arms cost and how long they take."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from harness.model.estimate import Estimate
from harness.stats.arrays import FloatArray, vector
from harness.stats.means import NO_SPREAD
from harness.stats.moments import centred
from harness.stats.ranks import midranks


def pearson(a: ArrayLike, b: ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Pearson's r of pairs `a`, `b` (n,) with Fisher's z interval; no interval below 4 pairs. Fisher (1921).

    25 pairs know r only to +-.4: too few to conclude that seeds pair.
    """
    x, y = _paired(a, b)
    if x.size < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return Estimate(None, method="pearson", reason=NO_SPREAD if x.size > 1 else "fewer than 2 pairs")
    _, dx = centred(x)
    _, dy = centred(y)
    r = math.fsum(dx * dy) / math.sqrt(math.fsum(dx * dx) * math.fsum(dy * dy))
    r = min(1.0, max(-1.0, r))
    if x.size < 4 or abs(r) == 1:
        return Estimate(r, method="pearson", reason="fewer than 4 pairs" if x.size < 4 else "the pairs are on a line")
    reach = float(-special.ndtri((1 - confidence) / 2)) / math.sqrt(x.size - 3)
    return Estimate(r, math.tanh(math.atanh(r) - reach), math.tanh(math.atanh(r) + reach), method="pearson, fisher z")


def spearman(a: ArrayLike, b: ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Spearman's rho of pairs `a`, `b` (n,): Pearson's r of the midranks. Spearman (1904).

    Interval on Fisher's z with variance (1 + rho^2 / 2) / (n - 3), Bonett and Wright (2000); none below 4 pairs, nor
    where the ranks agree or disagree wholly. The pairs are taken as drawn from a population of pairs.
    """
    x, y = _paired(a, b)
    r = pearson(midranks(x), midranks(y)).value if x.size else None
    if r is None:
        return Estimate(None, method="spearman", reason=NO_SPREAD if x.size > 1 else "fewer than 2 pairs")
    return _on_z(r, "spearman, fisher z", (1 + r * r / 2) / (x.size - 3) if x.size > 3 else None, 4, confidence)


def kendall(a: ArrayLike, b: ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Kendall's tau-b of pairs `a`, `b` (n,): agreeing less disagreeing pairs of pairs, allowing for ties. Kendall (1945).

    Interval on Fisher's z with variance .437 / (n - 4), Fieller, Hartley and Pearson (1957); none below 5 pairs, nor where
    the ranks agree or disagree wholly.
    """
    x, y = _paired(a, b)
    if x.size < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return Estimate(None, method="kendall", reason=NO_SPREAD if x.size > 1 else "fewer than 2 pairs")
    above = np.triu_indices(x.size, 1)
    dx, dy = (np.sign(v[:, None] - v[None, :])[above] for v in (x, y))
    tau = float(dx @ dy) / math.sqrt(float(dx @ dx) * float(dy @ dy))
    tau = min(1.0, max(-1.0, tau))
    return _on_z(tau, "kendall tau-b, fisher z", 0.437 / (x.size - 4) if x.size > 4 else None, 5, confidence)


def _paired(a: ArrayLike, b: ArrayLike) -> tuple[FloatArray, FloatArray]:
    x, y = vector(a), vector(b)
    if x.size != y.size:
        raise ValueError(f"pairs need equal numbers, found {x.size} and {y.size}")
    return x, y


def _on_z(r: float, method: str, variance: float | None, least: int, confidence: float) -> Estimate:
    """The coefficient with its limits on Fisher's z."""
    if variance is None:
        return Estimate(r, method=method, reason=f"fewer than {least} pairs")
    if abs(r) > 1 - 1e-12:
        return Estimate(round(r), method=method, reason="the ranks agree wholly" if r > 0 else "the ranks are reversed")
    reach = float(-special.ndtri((1 - confidence) / 2)) * math.sqrt(variance)
    return Estimate(r, math.tanh(math.atanh(r) - reach), math.tanh(math.atanh(r) + reach), method=method)
