"""Sizes of a design before a run is spent: seeds for a difference, a difference for seeds, looks and their bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.stats import power as sizes
from harness.stats import sequential


@dataclass(frozen=True)
class Wish:
    """What is to be shown: accuracy differences and standard deviation in percentage points, one-sided `alpha`.

    `sd_pp` is that of one run, of both arms together (the root of the mean of their variances: with equally many runs the error
    of a difference is Welch's); `control_sd_pp` and `candidate_sd_pp` those of one arm where they are known apart. `pair_sd_pp`
    is that of a difference where both arms are scored on the same networks.
    """

    sd_pp: float | None = None
    difference_pp: float | None = None
    seeds: int | None = None
    power: float = 0.9
    alpha: float = 0.05
    control_runs: int | None = None
    looks: int | None = None
    pair_sd_pp: float | None = None
    control_sd_pp: float | None = None
    candidate_sd_pp: float | None = None


def seeds_for(wish: Wish, difference: float, sd: float) -> int | None:
    """Runs per candidate: in pairs, of each arm, or against the control's frozen runs; None where no number will do."""
    asked: dict[str, Any] = {"difference": difference, "alpha": wish.alpha, "power": wish.power}
    if wish.pair_sd_pp is not None:
        return sizes.seeds_one_sample(sd=wish.pair_sd_pp, **asked)
    if wish.control_runs is None:
        return sizes.seeds_balanced(sd=sd, **asked)
    return sizes.seeds_vs_control(
        sd=wish.candidate_sd_pp or sd, control_sd=wish.control_sd_pp or sd, control_runs=wish.control_runs, **asked
    )


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
            sd=0.0, n=sizes.MOST_RUNS, alpha=wish.alpha, power=wish.power, control_runs=wish.control_runs,
            control_sd=wish.control_sd_pp or wish.sd_pp,
        )  # fmt: skip
    if wish.looks is not None:
        out |= _looks(wish, wish.looks)
    return out


def _seeds(wish: Wish, difference: float, sd: float) -> dict[str, Any]:
    """The seeds for a difference, between arms and above a fixed bar, with the reason where there are none."""
    own = wish.candidate_sd_pp or sd
    asked: dict[str, Any] = {"difference": difference, "alpha": wish.alpha, "power": wish.power}
    bar = sizes.seeds_one_sample(sd=own, **asked)
    seeds = seeds_for(wish, difference, sd)
    out: dict[str, Any] = {
        "difference_pp": difference,
        "control_runs": wish.control_runs,
        "design": _design(wish),
        "seeds": seeds,
        "seeds_against_bar": bar,
    }
    frozen = None if wish.pair_sd_pp is not None else wish.control_runs
    spread = {"sd": own, "control_sd": wish.control_sd_pp or sd} if wish.control_sd_pp else {"sd": sd}
    if wish.pair_sd_pp is not None:
        spread = {"sd": wish.pair_sd_pp, "control_sd": 0.0}
    reason = sizes.why_unreachable(control_runs=frozen, **spread, **asked)
    return out | ({"reason": reason} if seeds is None else {})


def _design(wish: Wish) -> str:
    if wish.pair_sd_pp is not None:
        return "in pairs, on shared networks"
    return "balanced, per arm" if wish.control_runs is None else "against frozen control runs"


def _detectable(wish: Wish, seeds: int, sd: float) -> dict[str, Any]:
    asked: dict[str, Any] = {"n": seeds, "alpha": wish.alpha, "power": wish.power}
    control = seeds if wish.control_runs is None else wish.control_runs
    own = wish.candidate_sd_pp or sd
    reach = sizes.detectable_difference(sd=own, control_sd=wish.control_sd_pp or sd, control_runs=control, **asked)
    if wish.pair_sd_pp is not None:
        reach = sizes.detectable_difference(sd=wish.pair_sd_pp, **asked)
    bar = sizes.detectable_difference(sd=own, **asked)
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
