"""What the winner of a sweep is worth, given that it won."""

from __future__ import annotations

import math

from scipy import special

from harness.model.estimate import Estimate
from harness.stats.solve import root

TIE = 0.03
"""A lead of less than this many standard errors is none: all that could be said is that arms far below win so narrowly."""


def winner_interval(*, best: float, runner_up: float, se: float, confidence: float = 0.95) -> Estimate:
    """The true value of the best of K independent arms with a known `se`, given that it beat the runner-up.

    Value: the median-unbiased estimate. Solves SF((best - mu) / se) / SF((runner_up - mu) / se) = tail for mu. Its lower limit
    explodes where the race was close: `hybrid_winner_interval` is what to print. Andrews, Kitagawa and McCloskey (2024), section 3.
    """
    if not (se > 0 and best >= runner_up):
        raise ValueError("needs se > 0 and best >= runner_up")
    if best - runner_up <= 1e-3 * se:
        return _tie()
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


def hybrid_winner_interval(
    *, best: float, runner_up: float, se: float, k: int, confidence: float = 0.95, beta: float | None = None
) -> Estimate:
    """The same, kept within the limits that hold for all `k` arms at once, where a close race cannot send it anywhere.

    A share `beta` of the error rate (a tenth, unless told) goes to those simultaneous limits, best -+ c se; the rest conditions on
    winning and on lying within them. Where the race was clear it is the conditional interval, hardly wider.
    Andrews, Kitagawa and McCloskey (2024), section 4: hybrid inference.
    """
    if not (se > 0 and best >= runner_up and k >= 2):
        raise ValueError("needs se > 0, best >= runner_up and k >= 2")
    if best - runner_up <= TIE * se:
        return _tie()
    alpha = 1 - confidence
    beta = alpha / 10 if beta is None else beta
    c = -float(special.ndtri(-math.expm1(math.log1p(-beta) / k) / 2))
    beyond = float(special.ndtr(-c))

    def at(chance: float) -> float:
        def excess(mu: float) -> float:
            reached = float(special.ndtr((mu - best) / se)) - beyond
            possible = float(special.ndtr(min(c, (mu - runner_up) / se))) - beyond
            return reached - chance * possible

        return root(excess, best - c * se, best + c * se)

    tail = (alpha - beta) / (1 - beta) / 2
    return Estimate(
        at(0.5), at(tail), at(1 - tail), method="hybrid: conditional on winning, within simultaneous limits"
    )


def _tie() -> Estimate:
    return Estimate(None, None, None, method="conditional", reason="a tie: being best says nothing")
