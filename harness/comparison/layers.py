"""The layers of a gate over many commits: the claim, the hard rule of one commit, slow creep, and the budget of creep.

A layer turns estimates into pass, fail, inconclusive or refused, with a sentence. Differences are candidate − control in
percentage points; slowdowns are fractions above 1 (0.01: one per cent slower).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import special

from harness.comparison.checks import ENOUGH_RUNS
from harness.comparison.compare import CandidateResult, Comparison
from harness.comparison.judge import HANGS_ON_OUTLIERS
from harness.comparison.samples import Sample
from harness.comparison.words import counted, number, p_text
from harness.model.estimate import Decision, Verdict, finite
from harness.stats.control_charts import e_cusum

LAYERS = ("claim", "hard", "creep")
SETTLED = frozenset(("noninferiority", "equivalence"))
"""What needs no proof where both arms are the same runs."""
HARD_ALPHA = 0.001
CONFIRM_ALPHA = 0.01
CONFIRM_FACTOR = 4
"""A red commit is measured again with so many times the seeds before it is called red."""
DELTA = 0.8
"""The loss that the creep chart is tuned for, in standard errors of one commit."""
THRESHOLD = 1000.0
"""Of the creep chart: without a change it raises one false alarm in 1,000 commits on average, or fewer."""
ANCHOR_SHARE = 0.95
"""For so many anchors of 100 that holds: each z is lowered by what an anchor may have been lucky by."""
ANCHOR_FACTOR = 10
"""So many times the runs of a commit the anchor should have: what its own error may hide is not seen."""
MINUS_SIGN = "−"
CREPT = (
    "Mend what was lost. The chart does not forget it: good commits bring it down slowly, so once the mended commit is confirmed, "
    "begin the chart anew there: `harness gate FILE --re-anchor`"
)
VERDICTS: tuple[Verdict, ...] = ("fail", "refused", "inconclusive")


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """A failure outweighs a refusal, that an open question; nothing at all is refused."""
    if not verdicts:
        return "refused"
    return next((verdict for verdict in VERDICTS if verdict in verdicts), "pass")


@dataclass(frozen=True)
class Layer:
    """One layer's outcome for one candidate: `name` with what it looked at, `facts` the numbers behind the sentence."""

    name: str
    verdict: Verdict
    message: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {"layer": self.name, "verdict": self.verdict, "message": self.message, **self.facts}


# --- the claim ----------------------------------------------------------------------------------------------


def claim_layers(comparison: Comparison, same: Sequence[bool]) -> list[Layer]:
    """The contract's judgement of each candidate; `same` says whose runs are the control's own, of the same code."""
    claim, out = comparison.promise.claim, []
    for one, equal in zip(comparison.comparisons, same, strict=True):
        open_ones = {name for name, decision in one.needed.items() if decision.decision != "pass"}
        settled = equal and one.verdict == "inconclusive" and bool(open_ones) and open_ones <= SETTLED
        said = (
            "the same code and configuration gave the same results on every seed: there is no difference"
            if settled
            else one.headline
        )
        verdict: Verdict = "pass" if settled else one.verdict
        out.append(Layer(_named("claim", one, comparison), verdict, said, {"claim": claim}))
    return out


def same_runs(control: Sample, candidate: Sample) -> bool:
    """Whether both are one code and configuration with the same result on every seed: nothing is left to be proven.

    No test can say so, as there is no spread to estimate an error from.
    """
    for name in ("code_hash", "config_hash"):
        known = control.runs.known(name)
        if len(known) != 1 or known != candidate.runs.known(name):
            return False
    if any(side.duplicates or np.isnan(side.runs["seed"]).any() for side in (control, candidate)):
        return False
    left, right = (dict(zip(s.runs["seed"].tolist(), s.accuracy.tolist(), strict=True)) for s in (control, candidate))
    return left == right


def _named(layer: str, one: CandidateResult, comparison: Comparison) -> str:
    return layer if len(comparison.comparisons) == 1 else f"{layer} ({one.candidate.name})"


# --- the hard rule ------------------------------------------------------------------------------------------


def hard_layers(judged: Comparison, *, margin_pp: float, max_slowdown: float | None) -> list[Layer]:
    """Red where a loss is proven at the level of `judged` and is larger than its margin.

    `judged` holds the candidates to margins of 0: its endpoints' failures are the proven losses. Time is looked at where
    `max_slowdown` is stated.
    """
    out = []
    for one in judged.comparisons:
        out.append(_hard_accuracy(one, judged, margin_pp))
        if max_slowdown is not None:
            out.append(_hard_time(one, judged, max_slowdown))
    return out


def _hard_accuracy(one: CandidateResult, judged: Comparison, margin_pp: float) -> Layer:
    name, decision = _named("hard accuracy", one, judged), one.endpoints.noninferiority
    value, n = one.difference_pp.value, min(one.control.n, one.candidate.n)
    if decision.decision == "refused" or value is None:
        return Layer(name, "refused", decision.reason or one.difference_pp.reason or "there is no difference to judge")
    shown = f"{number(value, 3, sign=True)} pp with {one.candidate.n} against {counted(one.control.n, 'run')}"
    reach = _reach(value, decision)
    facts = {
        "difference_pp": finite(value), "p": _p_worse(decision), "margin_pp": margin_pp, "alpha": judged.promise.alpha,
        "n": one.candidate.n, "control_n": one.control.n, "red_from_pp": None if reach is None else -max(margin_pp, reach),
    }  # fmt: skip
    if n < ENOUGH_RUNS:
        return Layer(name, "inconclusive", f"{shown}: fewer than {ENOUGH_RUNS} runs decide nothing", facts)
    beyond = value < -margin_pp
    if decision.decision == "fail" and beyond:
        said = f"a loss is proven ({p_text(facts['p'])}) and larger than {number(margin_pp, 3)} pp"
        return Layer(name, "fail", f"{shown}: {said}", facts)
    if beyond and reach is None:
        return Layer(name, "inconclusive", f"{shown}: {decision.reason or 'no spread can be estimated'}", facts)
    return Layer(name, "pass", f"{shown}: no proven loss of more than {number(margin_pp, 3)} pp{_sight(facts)}", facts)


def _sight(facts: Mapping[str, Any]) -> str:
    """How large a loss must be to turn these runs red: what a green light is worth."""
    red = facts["red_from_pp"]
    return "" if red is None else f" (red from {number(red, 3)} pp)"


def _hard_time(one: CandidateResult, judged: Comparison, max_slowdown: float) -> Layer:
    name, decision = _named("hard time", one, judged), one.endpoints.time_noninferiority
    speedup = one.speedup.value
    if decision.decision == "refused" or speedup is None:
        return Layer(name, "refused", decision.reason or one.speedup.reason or "there are no times to judge")
    slower = 1 / speedup - 1
    shown = f"{100 * slower:+.2f} % time over {counted(one.invocations, 'process start')}".replace("-", MINUS_SIGN)
    reach = _reach(math.log(speedup), decision, log=True)
    facts = {
        "slowdown": finite(slower), "p": _p_worse(decision), "max_slowdown": max_slowdown, "alpha": judged.promise.alpha,
        "invocations": one.invocations,
        "red_from_slowdown": None if reach is None else max(max_slowdown, math.expm1(reach)),
    }  # fmt: skip
    beyond = slower > max_slowdown
    if decision.decision == "fail" and beyond:
        said = f"a slowdown is proven ({p_text(facts['p'])}) and larger than {100 * max_slowdown:g} %"
        return Layer(name, "fail", f"{shown}: {said}", facts)
    if beyond and (reach is None or decision.reason == HANGS_ON_OUTLIERS):
        return Layer(name, "inconclusive", f"{shown}: {decision.reason or 'no spread can be estimated'}", facts)
    red = facts["red_from_slowdown"]
    sight = "" if red is None else f" (red from {100 * red:+.2f} %)"
    return Layer(name, "pass", f"{shown}: no proven slowdown of more than {100 * max_slowdown:g} %{sight}", facts)


def _p_worse(decision: Decision) -> float | None:
    """One-sided p of "no loss", from that of "no gain"."""
    return None if decision.p is None else max(1 - decision.p, 5e-324)


def _reach(value: float, decision: Decision, *, log: bool = False) -> float | None:
    """The distance between the estimate and its one-sided bound: what is needed for a proof at this level."""
    if decision.bound is None:
        return None
    return abs(value - (math.log(decision.bound) if log else decision.bound))


# --- creep --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Residual:
    """How far a commit lies from the frozen anchor: `z` in standard errors of the commit, positive where it is worse.

    `against` what; `allowance` is how much of z may be the luck of what it is held against, `whole_se_pp` the error of both.
    """

    n: int
    mean: float
    sd: float | None
    z: float
    se_pp: float
    against: str
    allowance: float
    whole_se_pp: float


def residual(
    *,
    n: int,
    mean: float,
    sd: float | None,
    anchor: Mapping[str, Any],
    control: tuple[int, float] | None,
    fresh: bool = False,
) -> Residual:
    """The standardised residual against the anchor's mean, or against its revision measured again (`control`: runs, mean).

    The error is the anchor's own standard deviation over √n: a commit cannot widen its own limits. What many commits are held
    against is one draw, whose luck is common to all of them and adds up: `allowance` is its 95 % quantile, in units of z. A
    control that is measured anew with each commit (`fresh`) is an error like the commit's own. Accuracies are fractions.
    """
    base, runs = (anchor["mean"], anchor["n"]) if control is None else (control[1], control[0])
    anew = fresh and control is not None
    se, whole = anchor["sd"] * math.sqrt(1 / n), anchor["sd"] * math.sqrt(1 / n + 1 / runs)
    se = whole if anew else se
    allowance = 0.0 if anew else float(special.ndtri(ANCHOR_SHARE)) * math.sqrt(n / runs)
    what = (
        f"the anchor's {counted(anchor['n'], 'run')}"
        if control is None
        else f"the anchor's revision, measured again ({counted(control[0], 'run')})"
    )
    return Residual(n, mean, sd, (base - mean) / se, 100 * se, what, allowance, 100 * whole)


def creep_path(z: Sequence[float]) -> list[float]:
    """The chart after each commit: the natural logarithm of the e-CUSUM; alarm at log `THRESHOLD`."""
    return [float(value) for value in e_cusum(list(z), delta=DELTA)] if z else []


def creep_layer(log_e: float, commits: int, z: float, *, anchor_n: int, n: int, against: str) -> Layer:
    """Red while the chart stands at its threshold or above."""
    evidence = math.exp(min(log_e, 700.0))
    facts = {"z": z, "log_e": log_e, "threshold": THRESHOLD, "delta": DELTA, "commits": commits}
    small = "" if anchor_n >= ANCHOR_FACTOR * n else (
        f"; the anchor has fewer than {ANCHOR_FACTOR} times the {counted(n, 'run')} of a commit, so that small losses are not seen"
    )  # fmt: skip
    shown = (
        f"z = {number(z, 2, sign=True)} against {against}; evidence {evidence:.3g} of {THRESHOLD:.0f} "
        f"after {counted(commits, 'commit')}"
    )
    if log_e >= math.log(THRESHOLD):
        return Layer("creep", "fail", f"{shown}: accuracy has crept below the anchor{small}. {CREPT}", facts)
    return Layer(
        "creep",
        "pass",
        f"{shown} (with {100 * ANCHOR_SHARE:.0f} of 100 anchors a false alarm in {THRESHOLD:.0f} commits or more){small}",
        facts,
    )


def budget_layer(*, anchored_pp: float, current_pp: float, se_pp: float, budget_pp: float) -> Layer:
    """Red where the anchors together, or surely this commit, lie more than `budget_pp` below the first anchor.

    `se_pp` is the error of this commit and of the anchor together.
    """
    facts = {"cumulative_pp": anchored_pp, "current_pp": current_pp, "budget_pp": budget_pp}
    surely = current_pp + float(-special.ndtri(HARD_ALPHA)) * se_pp
    shown = (
        f"{number(anchored_pp, 3, sign=True)} pp by re-anchoring, {number(current_pp, 3, sign=True)} pp at this commit, against "
        f"the first anchor; the budget is {MINUS_SIGN}{number(budget_pp, 3)} pp"
    )
    if anchored_pp < -budget_pp or surely < -budget_pp:
        return Layer("budget", "fail", f"{shown}: it is exceeded", facts)
    return Layer("budget", "pass", shown, facts)
