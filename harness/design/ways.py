"""The ways to one answer and what each costs before a run is spent: all at once, until it is decided, by a ladder."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from harness.design.ladder import Ladder
from harness.design.looks import LOOKS, LookPlan, plan_looks
from harness.design.plan import default_invocations
from harness.design.seeds import SEEDS_PER_STREAM
from harness.stats import sequential
from harness.stats.multiplicity import critical_value, loadings

NEVER = 38.0
"""A z that is never reached: the bound of a look at which nothing passes."""


@dataclass(frozen=True)
class Setting:
    """What is run, whichever way.

    `networks`: trained for one seed of the control and none, one, two ... candidates. `control` is 0 where its runs are frozen.
    `least` runs an arm are needed for a pass; `timed` where time is among what decides; `invocations` as the experiment states them.
    """

    networks: tuple[int, ...]
    least: int
    control: int = 1
    timed: bool = False
    invocations: int | None = None
    warmup: bool = True

    @property
    def candidates(self) -> int:
        return len(self.networks) - 1

    def starts(self, seeds: int) -> int:
        """Process starts of so many seeds in one go."""
        return min(seeds, self.invocations) if self.invocations else default_invocations(seeds)


@dataclass(frozen=True)
class Level:
    """One-sided `alpha` and the `power` for the difference asked for, which `need` runs an arm have.

    `family` is the level of one candidate where all are judged together.
    """

    alpha: float
    power: float
    need: int
    family: float

    def drift(self, runs: int) -> float:
        """The expected z of so many runs an arm if the difference is there."""
        return float(-special.ndtri(self.alpha) + special.ndtri(self.power)) * math.sqrt(runs / self.need)


def family_level(alpha: float, candidates: int, *, dunnett: bool) -> float:
    """The level of one of several candidates that are judged together: Dunnett's for equally many runs, else Bonferroni's."""
    if candidates == 1 or not dunnett:
        return alpha / candidates
    return float(special.ndtr(-critical_value(loadings(np.ones(candidates), 1), alpha=alpha)))


def ways(
    setting: Setting, level: Level, seeds_at: Callable[[float], int | None], ladder: Ladder | None
) -> list[dict[str, Any]]:
    """Each way with its runs, warm-ups and process starts, and its networks: without an effect, with the planned one, at most.

    `fixed` decides about all candidates beside one control, at the level of a family (`seeds_at` a level: the seeds for it);
    `until-decided` about one after the other, each with a control of its own. The ladder chooses among them and decides about one;
    `larger-ladder` is the same with as many runs in its last stage as the difference takes, where it has fewer. `level` is the
    one-sided level at which accuracy is decided at the end.
    """
    one = max(level.need, setting.least)
    together = one if setting.candidates == 1 else max(seeds_at(level.family) or one, setting.least)
    out = [_fixed(setting, together) | {"level": level.family}, _until_decided(setting, level, one)]
    if ladder is not None:
        out.append(_ladder("ladder", setting, ladder, level))
    if ladder is not None and ladder.sizes[-1] < one <= SEEDS_PER_STREAM:
        out.append(_ladder("larger-ladder", setting, Ladder((*ladder.sizes[:-1], one), ladder.keep), level))
    return out


def _fixed(setting: Setting, seeds: int) -> dict[str, Any]:
    arms, starts = setting.candidates + setting.control, setting.starts(seeds)
    networks = seeds * setting.networks[-1]
    return {
        "design": "fixed",
        "seeds": seeds,
        "runs": seeds * arms,
        "warmups": starts * arms * setting.warmup,
        "invocations": starts,
        "no_effect": networks,
        "full_effect": networks,
        "most": networks,
    }


def _until_decided(setting: Setting, level: Level, seeds: int) -> dict[str, Any]:
    plan = plan_looks(seeds, alpha=level.alpha, timed=setting.timed)
    k, arms, starts = setting.candidates, 1 + setting.control, plan.starts[-1]
    one = k * setting.networks[1]
    return {
        "design": "until-decided",
        "seeds": seeds,
        "runs": k * arms * plan.largest,
        "warmups": k * arms * starts * setting.warmup,
        "invocations": k * starts,
        "no_effect": one * expected_runs(plan, 0.0, setting.least),
        "full_effect": one * expected_runs(plan, level.drift(plan.largest), setting.least),
        "most": one * plan.largest,
        "looks": list(plan.runs),
        "level": float(special.ndtr(-plan.efficacy[-1])),
    }


def seeds_for_starts(starts: int, setting: Setting, alpha: float) -> int | None:
    """The fewest seeds of a small plan of looks (up to three an arm and look) with so many process starts; None where none has."""
    plans = ((n, plan_looks(n, alpha=alpha, timed=setting.timed)) for n in range(setting.least, 3 * LOOKS + 1))
    return next((n for n, plan in plans if plan.starts[-1] >= starts), None)


def expected_runs(plan: LookPlan, drift: float, least: int) -> float:
    """Runs an arm at which a plan stops on average, if z has the mean `drift` at its last look; below `least` nothing passes."""
    high = [z if n >= least else NEVER for n, z in zip(plan.runs, plan.efficacy, strict=True)]
    ends = sequential.crossings(plan.information, high, plan.futility, drift=drift)
    stops = np.array(ends.above[:-1]) + np.array(ends.below[:-1])
    return float(stops @ np.array(plan.runs[:-1])) + (1 - float(stops.sum())) * plan.largest


def _ladder(name: str, setting: Setting, ladder: Ladder, level: Level) -> dict[str, Any]:
    left, totals = setting.candidates, np.zeros(4, dtype=int)
    for number, size in enumerate(ladder.sizes):
        arms, starts = left + setting.control, setting.starts(size)
        totals += np.array([size * arms, starts * arms * setting.warmup, starts, size * setting.networks[left]])
        left = ladder.kept(number, left) if number < len(ladder.keep) else left
    runs, warmups, starts, networks = (int(n) for n in totals)
    return {
        "design": name,
        "seeds": ladder.sizes[-1],
        "runs": runs,
        "warmups": warmups,
        "invocations": starts,
        "no_effect": networks,
        "full_effect": networks,
        "most": networks,
        "level": level.alpha,
        **ladder.as_dict(),
    }


def recommended(priced: list[dict[str, Any]], need: int) -> tuple[str, str]:
    """Which way to take, and why.

    One candidate: stop when it is decided. Several: deciding about all of them at once answers more than a ladder, which decides about
    one; so the ladder is for where it trains fewer networks, and its last stage has the runs that the difference takes.
    """
    way = {one["design"]: one for one in priced}
    if "ladder" not in way:
        return "until-decided", "it stops as soon as it is decided"
    ladder, fixed = way["ladder"], way["fixed"]
    size = f"a ladder trains {ladder['most']:,} networks whatever the difference asked for"
    if ladder["seeds"] < need:
        size += f", and its last {ladder['seeds']} runs are fewer than the {need} that this one takes"
    chosen = ladder if ladder["seeds"] >= need else way.get("larger-ladder")
    all_at_once = f"to decide about all candidates at once takes {fixed['most']:,}"
    if chosen is None or chosen["most"] >= fixed["most"]:
        return "fixed", f"{size}; {all_at_once}, and says something of each"
    if chosen is ladder:
        return "ladder", f"{size}; {all_at_once}"
    return "larger-ladder", f"{size}; with {chosen['seeds']} it trains {chosen['most']:,}, and {all_at_once}"
