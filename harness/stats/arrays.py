"""What every method takes: a vector of finite numbers, checked once."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


def vector(x: ArrayLike, *, least: int = 0) -> FloatArray:
    """`x` as a float64 vector (n,) of finite numbers with n >= `least`; anything else is a programmer's error."""
    out = np.asarray(x, dtype=np.float64)
    if out.ndim != 1:
        raise ValueError(f"expected a vector, found an array of shape {out.shape}")
    if not np.isfinite(out).all():
        raise ValueError("expected finite numbers, found NaN or infinity: drop or count those runs first")
    if out.size < least:
        raise ValueError(f"expected at least {least} numbers, found {out.size}")
    return out
