"""Joint confidence regions of two means that are estimated independently."""

from __future__ import annotations

import math


def ellipse_reach(df: float, confidence: float = 0.95) -> float:
    """Standard errors from the centre to the edge of a joint region of two coordinates, along an axis of `df` degrees of freedom.

    sqrt(2 F(2, df)), in closed form: F = (df / 2) ((1 - confidence)^(-2 / df) - 1); sqrt(-2 log(1 - confidence)) where df is
    infinite (Hotelling 1931; Johnson and Wichern, Applied Multivariate Statistical Analysis, eq. 5-18 with p = 2). Of two
    coordinates with different degrees of freedom each is reached by its own, which errs on the wide side. Raises ValueError for
    `df` of 0 or less.
    """
    if not df > 0 or not 0 < confidence < 1:
        raise ValueError(
            f"a region needs degrees of freedom above 0 and a confidence in (0, 1); found {df} and {confidence}"
        )
    if math.isinf(df):
        return math.sqrt(-2 * math.log1p(-confidence))
    return math.sqrt(df * math.expm1(-2 / df * math.log1p(-confidence)))
