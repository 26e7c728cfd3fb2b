"""What the winner of a sweep is worth, given that it won."""

from __future__ import annotations

import math

from scipy import special

from harness.model.estimate import Estimate
from harness.stats.solve import root


def winner_interval(*, best: float, runner_up: float, se: float, confidence: float = 0.95) -> Estimate:
    """The true value of the best of K independent arms with a known `se`, given that it beat the runner-up.

    Value: the median-unbiased estimate. Solves SF((best - mu) / se) / SF((runner_up - mu) / se) = tail for mu. A
    diagnostic: the lower limit explodes when the race was close. Andrews, Kitagawa and McCloskey (2024), section 3.
    """
    if not (se > 0 and best >= runner_up):
        raise ValueError("needs se > 0 and best >= runner_up")
    if best - runner_up <= 1e-3 * se:
        return Estimate(None, None, None, method="conditional", reason="a tie: being best says nothing")
    tail = (1 - confidence) / 2

    def at(chance: float) -> float:
        def excess(mu: float) -> float:
            return float(special.log_ndtr((mu - best) / se) - special.log_ndtr((mu - runner_up) / se)) - math.log(
                chance
            )

        low = best - 10 * se
        while excess(low) > 0:
            low = best - 2 * (best - low)
        return root(excess, low, best + 10 * se)

    return Estimate(at(0.5), at(tail), at(1 - tail), method="conditional on winning")
