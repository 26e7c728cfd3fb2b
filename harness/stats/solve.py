"""One root of a monotone function, without the import cost of an optimiser."""

from __future__ import annotations

from collections.abc import Callable


def root(f: Callable[[float], float], low: float, high: float, *, tolerance: float = 1e-12) -> float:
    """x in [`low`, `high`] with f(x) = 0, where f changes its sign once; regula falsi kept safe by bisection.

    Illinois steps (Dowell and Jarratt 1971); every third step bisects, so the bracket always shrinks.
    Where both ends have the same sign, the end with the smaller |f| is returned.
    """
    at_low, at_high = f(low), f(high)
    if at_low * at_high > 0 or at_low == 0 or at_high == 0:
        return low if abs(at_low) <= abs(at_high) else high
    kept = 0
    for step in range(200):
        middle = (low + high) / 2
        if abs(high - low) <= tolerance * max(1.0, abs(middle)):
            break
        x = (low * at_high - high * at_low) / (at_high - at_low) if step % 3 != 2 else middle
        if not low < x < high:  # also where f is infinite at an end
            x = middle
        y = f(x)
        if y == 0:
            return x
        if (y > 0) == (at_high > 0):
            high, at_high, at_low = x, y, at_low / (2 if kept == 1 else 1)
            kept = 1
        else:
            low, at_low, at_high = x, y, at_high / (2 if kept == -1 else 1)
            kept = -1
    return (low + high) / 2
