"""What the winner of a sweep is worth, given that it won."""

from __future__ import annotations

import math

from scipy import special

from harness.model.estimate import Estimate
from harness.stats.solve import root

TIE = 0.05
"""A lead of less than about this many standard errors is none: all that could be said is that arms far below win so narrowly."""


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
    *, lead: float, difference: float, se: float, control_se: float, k: int, confidence: float = 0.95
) -> Estimate:
    """The true difference of the best of `k` arms from a control, given that it was `lead` above the runner-up.

    `se` is the error of the best arm's own mean, `control_se` that of the control's (0 for a known one): only the former helped it to win.
    The conditional interval is kept within limits that hold for all arms at once (difference -+ c se), which a tenth of the error
    rate goes to: without them a narrow win sends the lower limit anywhere. Where the race was clear it is the usual interval,
    hardly wider. Andrews, Kitagawa and McCloskey (2024), section 4: hybrid inference; the truncation as in their section 3, for
    the part of the difference that is correlated with winning.
    """
    if not (se > 0 and control_se >= 0 and lead >= 0 and k >= 2):
        raise ValueError("needs se > 0, control_se >= 0, lead >= 0 and k >= 2")
    both = math.hypot(se, control_se)
    room = (
        lead * (both / se) ** 2
    )  # how far the difference could be less, all else being equal, with the same arm the best
    if room <= TIE * both:
        return _tie()
    alpha = 1 - confidence
    beta = alpha / 10
    c = -float(special.ndtri(-math.expm1(math.log1p(-beta) / k) / 2))
    beyond = float(special.ndtr(-c))

    def at(chance: float) -> float:
        def excess(mu: float) -> float:
            z = (mu - difference) / both
            reached = float(special.ndtr(z)) - beyond
            possible = float(special.ndtr(min(c, z + room / both))) - beyond
            return reached - chance * possible

        return root(excess, difference - c * both, difference + c * both)

    tail = (alpha - beta) / (1 - beta) / 2
    return Estimate(
        at(0.5), at(tail), at(1 - tail), method="hybrid: conditional on winning, within simultaneous limits"
    )


def _tie() -> Estimate:
    return Estimate(None, None, None, method="conditional", reason="a tie: being best says nothing")
