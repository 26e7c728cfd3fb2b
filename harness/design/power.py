"""Sizes of a design before a run is spent: seeds for a difference, a difference for seeds, looks and their bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.design.ladder import Ladder
from harness.stats import power as sizes
from harness.stats import sequential


@dataclass(frozen=True)
class Wish:
    """What is to be shown: accuracy differences and standard deviation in percentage points, one-sided `alpha`.

    `sd_pp` is that of one run, `pair_sd_pp` that of a difference where both arms are scored on the same networks.
    """

    sd_pp: float | None = None
    difference_pp: float | None = None
    seeds: int | None = None
    power: float = 0.9
    alpha: float = 0.05
    control_runs: int | None = None
    looks: int | None = None
    pair_sd_pp: float | None = None


def design_for(wish: Wish) -> dict[str, Any]:
    """The answer as JSON: only what was asked for, and null with a reason where there is no answer."""
    out: dict[str, Any] = {"schema": 1, "alpha": wish.alpha, "power": wish.power, "sd_pp": wish.sd_pp}
    out["pair_sd_pp"] = wish.pair_sd_pp
    if wish.difference_pp is not None and wish.sd_pp is not None:
        out |= _seeds(wish, wish.difference_pp, wish.sd_pp)
    if wish.seeds is not None and wish.sd_pp is not None:
        out |= _detectable(wish, wish.seeds, wish.sd_pp)
    if wish.control_runs is not None and wish.sd_pp is not None:
        out["floor_pp"] = sizes.detectable_difference(
            sd=wish.sd_pp, n=sizes.MOST_RUNS, alpha=wish.alpha, power=wish.power, control_runs=wish.control_runs
        )
    if wish.looks is not None:
        out |= _looks(wish, wish.looks)
    return out


def _seeds(wish: Wish, difference: float, sd: float) -> dict[str, Any]:
    """Runs per candidate: against the control's frozen runs, or of each arm where both are made anew."""
    if wish.pair_sd_pp is not None:
        seeds = sizes.seeds_one_sample(difference=difference, sd=wish.pair_sd_pp, alpha=wish.alpha, power=wish.power)
    elif wish.control_runs is None:
        seeds = sizes.seeds_balanced(difference=difference, sd=sd, alpha=wish.alpha, power=wish.power)
    else:
        seeds = sizes.seeds_vs_control(
            difference=difference, sd=sd, alpha=wish.alpha, power=wish.power, control_runs=wish.control_runs
        )
    reason = sizes.why_unreachable(
        difference=difference, sd=sd, alpha=wish.alpha, power=wish.power, control_runs=wish.control_runs
    )
    out: dict[str, Any] = {
        "difference_pp": difference,
        "control_runs": wish.control_runs,
        "design": _design(wish),
        "seeds": seeds,
        "seeds_against_bar": sizes.seeds_one_sample(difference=difference, sd=sd, alpha=wish.alpha, power=wish.power),
    }
    return out | ({"reason": reason} if reason else {})


def _design(wish: Wish) -> str:
    if wish.pair_sd_pp is not None:
        return "in pairs, on shared networks"
    return "balanced, per arm" if wish.control_runs is None else "against frozen control runs"


def _detectable(wish: Wish, seeds: int, sd: float) -> dict[str, Any]:
    control = seeds if wish.control_runs is None else wish.control_runs
    reach = sizes.detectable_difference(sd=sd, n=seeds, alpha=wish.alpha, power=wish.power, control_runs=control)
    if wish.pair_sd_pp is not None:
        reach = sizes.detectable_difference(sd=wish.pair_sd_pp, n=seeds, alpha=wish.alpha, power=wish.power)
    bar = sizes.detectable_difference(sd=sd, n=seeds, alpha=wish.alpha, power=wish.power)
    return {"given_seeds": seeds, "detectable_pp": reach, "detectable_against_bar_pp": bar}


def _looks(wish: Wish, looks: int) -> dict[str, Any]:
    """One-sided z bounds at equally spaced looks: Lan-DeMets O'Brien-Fleming, futility HSD(-2), non-binding."""
    plan = sequential.plan(
        sequential.equal_looks(looks), alpha=wish.alpha, power=wish.power, futility=sequential.hwang_shih_decani(-2)
    )
    out: dict[str, Any] = {
        "looks": looks,
        "boundaries": list(plan.efficacy),
        "futility": list(plan.futility or ()),
        "inflation": plan.inflation,
        "expected_share": {"no_effect": plan.expected_size(0.0), "full_effect": plan.expected_size(1.0)},
    }
    return out


# --- ways to the same answer -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cost:
    """Networks a seed: of each candidate one, and `own` of the control less those that candidates share with it."""

    candidates: int
    own: int = 1
    frozen: bool = False

    def trainings(self, seeds: float, candidates: int | None = None) -> float:
        """Networks for so many seeds of so many candidates and of the control beside them."""
        k = self.candidates if candidates is None else candidates
        return seeds * max(1, k + (0 if self.frozen else self.own))


def designs(seeds: int, cost: Cost, *, alpha: float, power: float) -> list[dict[str, Any]]:
    """Networks that each way trains: expected without an effect and with the planned one, and at most.

    `fixed` decides about all candidates on `seeds` beside one control, `until-decided` about one after the other, each with a
    control of its own; the ladder chooses among them and decides about one, in its default sizes.
    """
    k = cost.candidates
    one = cost.trainings(seeds, 1)
    plan = sequential.plan(
        sequential.equal_looks(5), alpha=alpha, power=power, futility=sequential.hwang_shih_decani(-2)
    )
    shares = {"no_effect": plan.expected_size(0.0), "full_effect": plan.expected_size(1.0), "most": plan.inflation}
    out: list[dict[str, Any]] = [
        {"design": "fixed", **dict.fromkeys(shares, cost.trainings(seeds))},
        {"design": "until-decided", **{key: k * one * share for key, share in shares.items()}},
    ]
    if k > 1:
        ladder = Ladder()
        arms = [k, ladder.kept(0, k), 1]
        whole = sum(cost.trainings(size, count) for size, count in zip(ladder.sizes, arms, strict=True))
        out.append({"design": "ladder", **dict.fromkeys(shares, whole)})
    return out


def recommended(candidates: int) -> str:
    """One candidate: stop when it is decided. Several: choose first, and decide on fresh seeds."""
    return "until-decided" if candidates == 1 else "ladder"
