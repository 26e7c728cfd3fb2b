"""The noise floor of a machine: how times of equal work scatter, and what that leaves to be seen.

From an A/A: two arms of the same configuration in interleaved blocks over several process starts. The unit is the process
start, as in every judgement of time; sizes and powers are those of `harness.stats.power`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from harness.comparison.pair import Pair
from harness.design.plan import default_invocations
from harness.model.estimate import Estimate
from harness.stats.clustered import variance_components
from harness.stats.power import detectable_log_ratio, invocations
from harness.stats.ratios import log_ratio_to_ratio

PLANS = (25, 100, 400)
"""Seeds an arm, each with as many process starts as a campaign has by default."""
EFFECTS = (0.01, 0.05)


@dataclass(frozen=True)
class Spread:
    """Relative standard deviations (of logarithms) within and between process starts; None where they cannot be told apart."""

    within: float | None
    between: float | None

    def of_a_start(self, blocks: float) -> float | None:
        """Of the mean of so many values of one process start."""
        if self.within is None or self.between is None:
            return None
        return math.sqrt(self.between**2 + self.within**2 / blocks)

    def as_dict(self) -> dict[str, float | None]:
        return {"within": self.within, "between": self.between}


@dataclass(frozen=True)
class NoiseFloor:
    """What an A/A on this machine showed.

    `run` is the spread of the control's single times, `pair` that of a block's log ratio, `start_sd` the standard deviation of
    the process starts' mean log ratios, which is never less than the runs within them leave, with its 95 % interval
    (chi-squared on S - 1 degrees of freedom; wide where S is small).
    """

    blocks: int
    starts: int
    time_s: float
    run: Spread
    pair: Spread
    ratio: Estimate
    start_sd: float
    start_sd_ci95: tuple[float, float]
    alpha: float
    power: float

    @property
    def range(self) -> tuple[float, float]:
        """By what the standard deviation may truly be smaller and larger, as factors."""
        low, high = self.start_sd_ci95
        return (low / self.start_sd, high / self.start_sd) if self.start_sd > 0 else (1.0, 1.0)

    def sd_of_a_start(self, blocks: float) -> float:
        """The standard deviation of the mean log ratio of one process start with so many blocks."""
        found = self.pair.of_a_start(blocks)
        return self.start_sd if found is None else found

    def reach(self, seeds: int) -> dict[str, Any]:
        """The smallest time effect that so many seeds an arm show with this power, and its range."""
        starts = default_invocations(seeds)
        sd = self.sd_of_a_start(seeds / starts)
        at = [
            detectable_log_ratio(sd_between=k * sd, invocations=starts, alpha=self.alpha, power=self.power)
            for k in (1, *self.range)
        ]
        middle, low, high = (None if x is None else math.expm1(min(x, 700.0)) for x in at)
        return {"seeds": seeds, "starts": starts, "detectable": middle, "range": [low, high]}

    def need(self, effect: float) -> dict[str, Any]:
        """Process starts, of as many blocks as here, that show this time effect with this power, and the seeds an arm in them."""
        each = max(1, round(self.blocks / self.starts))
        sd = self.sd_of_a_start(each)
        asked: dict[str, Any] = {"log_ratio": math.log1p(effect), "alpha": self.alpha, "power": self.power}
        at = [invocations(sd_between=k * sd, **asked) for k in (1, *self.range)]
        middle, low, high = at
        seeds = None if middle is None else middle * each
        return {"effect": effect, "starts": middle, "range": [low, high], "seeds": seeds, "blocks_per_start": each}

    def as_dict(self) -> dict[str, Any]:
        return {
            "blocks": self.blocks,
            "starts": self.starts,
            "time_s": self.time_s,
            "run_sd": self.run.as_dict(),
            "pair_sd": self.pair.as_dict(),
            "ratio": self.ratio.as_dict(),
            "start_sd": self.start_sd,
            "start_sd_ci95": list(self.start_sd_ci95),
            "alpha": self.alpha,
            "power": self.power,
            "reach": [self.reach(seeds) for seeds in PLANS],
            "need": [self.need(effect) for effect in EFFECTS],
        }


def noise_floor(pair: Pair, *, power: float) -> NoiseFloor | str:
    """The noise floor of two arms that did the same work, or why there is none."""
    found = pair.log_speedup
    if found.clusters < 2 or found.contrast.se is None:
        return f"{found.clusters} process start{'s' if found.clusters != 1 else ''} with times of both arms: two at least are needed"
    times = pair.blocks.control["time_s"]
    pairs = Spread(found.within_sd, found.between_sd)
    observed = found.contrast.se * math.sqrt(found.clusters)
    start_sd = pairs.of_a_start(found.n / found.clusters) or observed
    return NoiseFloor(
        blocks=found.n,
        starts=found.clusters,
        time_s=float(times.mean()),
        run=_spread(np.log(times), pair.blocks.clusters),
        pair=pairs,
        ratio=log_ratio_to_ratio(found.contrast),
        start_sd=start_sd,
        start_sd_ci95=sd_limits(start_sd, found.clusters - 1),
        alpha=pair.promise.alpha,
        power=power,
    )


def sd_limits(sd: float, df: float, *, confidence: float = 0.95) -> tuple[float, float]:
    """The interval of a normal sample's standard deviation, from the chi-squared quantiles."""
    tail = (1 - confidence) / 2
    low, high = (sd * math.sqrt(df / float(special.chdtri(df, p))) for p in (tail, 1 - tail))
    return low, high


def _spread(values: NDArray[np.float64], labels: Sequence[Any] | NDArray[Any]) -> Spread:
    parts = variance_components(values, labels)
    return Spread(parts.within_sd, parts.between_sd)
