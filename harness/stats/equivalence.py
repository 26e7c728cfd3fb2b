"""Equivalence within a margin: two one-sided tests."""

from __future__ import annotations

from dataclasses import dataclass

from harness.stats.contrast import Contrast


@dataclass(frozen=True)
class Equivalence:
    """p of both one-sided tests and the larger of them, which decides; None where no spread is known."""

    p: float | None
    p_above: float | None
    p_below: float | None
    low: float | None
    high: float | None

    def holds(self, alpha: float) -> bool:
        return self.p is not None and self.p < alpha


def tost(contrast: Contrast, *, low: float, high: float, alpha: float = 0.05) -> Equivalence:
    """H0: the true value is not inside (`low`, `high`), with the 1 - 2 `alpha` interval.

    Equivalence at `alpha` is the same as that interval lying inside. Schuirmann (1987).
    """
    if not low < high:
        raise ValueError(f"the margins must have low < high, found {low} and {high}")
    above, below = contrast.p_greater(low), contrast.p_less(high)
    p = None if above is None or below is None else max(above, below)
    return Equivalence(p, above, below, contrast.lower(alpha), contrast.upper(alpha))
