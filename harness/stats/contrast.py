"""The one shape of every t-based result: an estimate, its standard error and its degrees of freedom.

One-sample means, Welch differences, paired differences and clustered log ratios all end here, so that
intervals, one-sided bounds and p-values are computed in one place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from scipy import special

from harness.model.estimate import Estimate, finite


@dataclass(frozen=True)
class Contrast:
    """`value` with standard error `se` on `df` degrees of freedom (math.inf: normal); `sd` of one observation.

    Where `reason` is set, no spread can be estimated and every bound and p is None; `value` is NaN where there
    were no observations at all.
    """

    value: float
    se: float | None
    df: float | None
    sd: float | None = None
    method: str = ""
    reason: str = ""

    @property
    def usable(self) -> bool:
        return self.se is not None and self.df is not None and self.se > 0 and self.df > 0

    def quantile(self, tail: float) -> float:
        """The upper `tail` quantile of the reference distribution."""
        assert self.df is not None
        if math.isinf(self.df):
            return float(-special.ndtri(tail))
        return float(-special.stdtrit(self.df, tail))

    def lower(self, alpha: float) -> float | None:
        """One-sided lower confidence bound at level 1 − `alpha`."""
        if not self.usable or self.se is None:
            return None
        return self.value - self.quantile(alpha) * self.se

    def upper(self, alpha: float) -> float | None:
        """One-sided upper confidence bound at level 1 − `alpha`."""
        if not self.usable or self.se is None:
            return None
        return self.value + self.quantile(alpha) * self.se

    def p_greater(self, null: float = 0.0) -> float | None:
        """One-sided p of H0: true value <= `null`. Never exactly 0."""
        return self._tail(-(self.value - null))

    def p_less(self, null: float = 0.0) -> float | None:
        """One-sided p of H0: true value >= `null`. Never exactly 0."""
        return self._tail(self.value - null)

    def p_two_sided(self, null: float = 0.0) -> float | None:
        p = self._tail(-abs(self.value - null))
        return None if p is None else min(1.0, 2 * p)

    def estimate(self, confidence: float = 0.95) -> Estimate:
        """The two-sided interval as people read it."""
        tail = (1 - confidence) / 2
        value = finite(self.value)
        return Estimate(value, self.lower(tail), self.upper(tail), self.sd, self.method, self.reason)

    def negated(self) -> Contrast:
        """The same comparison seen from the other arm."""
        return replace(self, value=-self.value)

    def scaled(self, factor: float) -> Contrast:
        """The same contrast in another unit (`factor` > 0)."""

        def times(x: float | None) -> float | None:
            return None if x is None else x * factor

        return replace(self, value=self.value * factor, se=times(self.se), sd=times(self.sd))

    def _tail(self, distance: float) -> float | None:
        if not self.usable or self.se is None or self.df is None:
            return None
        t = distance / self.se
        p = special.ndtr(t) if math.isinf(self.df) else special.stdtr(self.df, t)
        return max(float(p), 5e-324)
