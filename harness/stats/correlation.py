"""Whether runs of the same seed agree across arms: the case for pairing, or for a dead knob."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from harness.model.estimate import Estimate
from harness.stats.arrays import vector
from harness.stats.means import NO_SPREAD
from harness.stats.moments import centred


def pearson(a: ArrayLike, b: ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Pearson's r of pairs `a`, `b` (n,) with Fisher's z interval; no interval below 4 pairs. Fisher (1921).

    25 pairs know r only to +-.4: too few to conclude that seeds pair.
    """
    x, y = vector(a), vector(b)
    if x.size != y.size:
        raise ValueError(f"pairs need equal numbers, found {x.size} and {y.size}")
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
