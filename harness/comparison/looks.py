"""Judging at the looks of a sequential plan: bounds that may be looked at as planned, and when to stop."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from scipy import special

from harness.comparison import findings as f
from harness.comparison.judge import Endpoints, Judged, Levels, joined, judge, required
from harness.comparison.pair import Pair
from harness.comparison.samples import FloatArray, Sample
from harness.design.looks import LookPlan
from harness.model.estimate import NO_ESTIMATE, Decision, Estimate, Finding
from harness.stats import sequential
from harness.stats.anytime import t_mixture_sequence, tuned_c2
from harness.stats.contrast import Contrast
from harness.stats.ratios import log_ratio_to_ratio
from harness.stats.sprt import gsprt

Stop = Literal["decided", "futility", "last look"]
LEAST_STARTS = 5
"""Time is first tested at so many process starts."""
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Look:
    """Where a sequential comparison stands: look `index` (from 0; None between the looks) of `plan`, and why it stops there.

    `stop` None: it goes on. The intervals `repeated_*` hold at all looks together; `final_*` are the median-unbiased
    estimates of a campaign that stopped here, with their 95 % limits.
    """

    plan: LookPlan
    n: int
    index: int | None
    stop: Stop | None
    repeated_pp: Estimate
    repeated_speedup: Estimate
    final_pp: Estimate
    final_speedup: Estimate

    @property
    def name(self) -> str:
        if self.index is None:
            return "between the looks" if self.n < self.plan.largest else "beyond the last look"
        return (
            f"look {self.index + 1} of {len(self.plan.runs)}"
            if self.plan.mode == "group-sequential"
            else f"at {self.n} runs"
        )

    def as_dict(self) -> dict[str, Any]:
        return {
            "mode": self.plan.mode,
            "look": None if self.index is None else self.index + 1,
            "looks": len(self.plan.runs),
            "n": self.n,
            "largest_n": self.plan.largest,
            "next_n": None if self.stop else self.plan.next_after(self.n),
            "stop": self.stop,
            "difference_pp": self.final_pp.as_dict(),
            "speedup": self.final_speedup.as_dict(),
        }


def judge_at_look(pair: Pair, found: list[Finding], simultaneous: Levels | None, luck_pp: float | None) -> Judged:
    """The judgement of a campaign that looks as it planned to: what decides is each look's own bound.

    Between the looks, and beyond the last, nothing is decided. A required endpoint below its futility bound ends the campaign, undecided.
    """
    plan = pair.candidate.plan
    assert plan is not None
    n = pair.candidate.n
    index = plan.look_at(n)
    levels = _levels(pair, plan, index)
    judged = judge(pair, found, simultaneous, luck_pp, levels)
    judged = _with_sprt(judged, pair, plan) if plan.mode == "sprt" else judged
    if levels.time == 0:
        judged = _time_untested(judged, pair)
    stop = _stop(judged, plan, index)
    if judged.verdict in ("pass", "fail") and index is None:
        judged = replace(judged, verdict="inconclusive", findings=(*judged.findings, f.between_looks(plan.runs, n)))
    following = plan.next_after(n)
    more = following - n if stop is None and following is not None else judged.more_runs
    if judged.verdict == "pass" or judged.verdict == "inconclusive":
        judged = replace(judged, more_runs=0 if judged.verdict == "pass" else more)
    return replace(judged, look=_look(pair, plan, judged, index, stop))


def _levels(pair: Pair, plan: LookPlan, index: int | None) -> Levels:
    """Tail probabilities of this look's bounds (of the last one that was passed, where there is none here); time's too."""
    if plan.mode == "sprt":
        return Levels(plan.alpha, plan.alpha, 0.0)
    at = index if index is not None else _passed(plan, pair.candidate.n)
    level = float(special.ndtr(-plan.efficacy[at]))
    return Levels(level, level, level if pair.blocks.n and pair.log_speedup.clusters >= LEAST_STARTS else 0.0)


def _passed(plan: LookPlan, n: int) -> int:
    return max(0, sum(1 for runs in plan.runs if runs <= n) - 1)


def _time_untested(judged: Judged, pair: Pair) -> Judged:
    """Time endpoints that were held against nothing say why."""
    if not pair.blocks.n:
        return judged
    why = f"time is first tested at {LEAST_STARTS} process starts"

    def told(d: Decision) -> Decision:
        return replace(d, bound=None, reason=why) if d.decision == "inconclusive" else d

    e = judged.endpoints
    ends = replace(
        e, time=told(e.time), time_noninferiority=told(e.time_noninferiority), time_equivalence=told(e.time_equivalence)
    )
    return replace(judged, endpoints=ends, needed=required(pair, ends))


def _stop(judged: Judged, plan: LookPlan, index: int | None) -> Stop | None:
    """Decided, hopeless or at the end; a refusal is nothing that runs could mend, but none to stop by either."""
    if index is None:
        return None
    if judged.verdict in ("pass", "fail"):
        return "decided"
    if index == len(plan.runs) - 1:
        return "last look"
    if plan.futility and any(_futile(d, plan.futility[index]) for d in judged.needed.values()):
        return "futility"
    return None


def _futile(d: Decision, bound: float) -> bool:
    """Whether an open endpoint's z lies below the futility bound."""
    tested = d.decision == "inconclusive" and d.p is not None and d.bound is not None
    return tested and d.p is not None and d.p > float(special.ndtr(-bound))


# --- estimates ----------------------------------------------------------------------------------------------


def _look(pair: Pair, plan: LookPlan, judged: Judged, index: int | None, stop: Stop | None) -> Look:
    if plan.mode == "sprt":
        return _look_of_sprt(pair, plan, index, stop)
    at = index if index is not None else _passed(plan, pair.candidate.n)
    before = None if at == 0 else _until(pair, plan.runs[at - 1])
    gone = replace(NO_ESTIMATE, reason="an arm has no runs")
    shown, final, shown_time, final_time = gone, gone, gone, gone
    if pair.control.n and pair.candidate.n:
        earlier = None if before is None or not before.control.n else before.difference_pp
        accuracy = _Endpoint(pair.difference_pp, earlier, *_accuracy_question(pair, judged), plan.information)
        shown, final = _repeated(accuracy, plan, at), _final(accuracy, plan, at, stop)
    if pair.blocks.n:
        enough = before is not None and before.blocks.n and before.log_speedup.clusters >= LEAST_STARTS
        earlier = before.log_speedup.contrast if before is not None and enough else None
        time = _Endpoint(
            pair.log_speedup.contrast, earlier, *_time_question(pair, judged), plan.information_of_time
        )  # fmt: skip
        shown_time, final_time = _ratio(_repeated(time, plan, at)), _ratio(_final(time, plan, at, stop))
    return Look(plan, pair.candidate.n, index, stop, shown, shown_time, final, final_time)


@dataclass(frozen=True)
class _Endpoint:
    """What was tested at this look and, with fewer runs, at the one before: against `null`, and whether it was refuted."""

    contrast: Contrast
    earlier: Contrast | None
    null: float
    refuted: bool
    information: tuple[float, ...]


def _accuracy_question(pair: Pair, judged: Judged) -> tuple[float, bool]:
    promise, ends = pair.promise, judged.endpoints
    if promise.claim != "accurate" and promise.margin_pp is not None:
        return -promise.margin_pp, ends.noninferiority.decision == "fail"
    return 0.0, ends.superiority.decision == "fail"


def _time_question(pair: Pair, judged: Judged) -> tuple[float, bool]:
    promise, ends = pair.promise, judged.endpoints
    if promise.claim == "no-regression" and promise.max_slowdown is not None:
        return -math.log1p(promise.max_slowdown), ends.time_noninferiority.decision == "fail"
    return 0.0, ends.time.decision == "fail"


def _until(pair: Pair, n: int) -> Pair:
    """The pair as it was at the look of `n` runs."""

    def first(sample: Sample) -> Sample:
        return replace(sample, runs=sample.runs.where(~(sample.runs["replicate"] >= n)))

    return replace(pair, control=first(pair.control), candidate=first(pair.candidate))


def _repeated(end: _Endpoint, plan: LookPlan, at: int) -> Estimate:
    """95 % limits that hold at every look together: the bounds of a plan of level .025 on either side."""
    name = f"{end.contrast.method}; repeated interval, look {at + 1} of {len(plan.runs)}"
    if not end.contrast.usable:
        return replace(end.contrast.estimate(), method=name)
    bound = sequential.efficacy_bounds(end.information[: at + 1], alpha=(1 - CONFIDENCE) / 2)[-1]
    low, high = sequential.repeated_interval(end.contrast, bound)
    return Estimate(end.contrast.value, low, high, end.contrast.sd, name)


def _final(end: _Endpoint, plan: LookPlan, at: int, stop: Stop | None) -> Estimate:
    """The median-unbiased estimate after stopping, by the stage-wise ordering of this endpoint's own bounds.

    An endpoint that was decided at the look before did not make the campaign stop at this one: its plain estimate stands.
    """
    method = "median-unbiased, stage-wise ordering"
    sign = -1.0 if end.refuted else 1.0
    contrast = end.contrast.negated() if end.refuted else end.contrast
    p = contrast.p_greater(sign * end.null)
    if stop is None:
        return Estimate(None, method=method, reason="the campaign goes on")
    if p is None or contrast.se is None:
        return Estimate(None, method=method, reason=contrast.reason or "no spread can be estimated")
    if end.earlier is not None and _crossed(end, plan, at - 1, sign):
        return replace(end.contrast.estimate(), method=f"{contrast.method}; decided at an earlier look")
    z = float(-special.ndtri(min(max(p, 1e-300), 1 - 1e-16)))
    bounds = plan.efficacy[: at + 1], None if end.refuted else plan.futility[: at + 1]
    drift = sequential.after_stopping(end.information[: at + 1], *bounds, look=at, z=z)
    t = (contrast.value - sign * end.null) / contrast.se
    widened = t / z if abs(z) > 0.1 else 1.0  # t at few degrees of freedom stands for a smaller z: a longer unit
    scale = contrast.se * widened * math.sqrt(end.information[at])
    low, mid, high = (end.null + sign * x * scale for x in (drift.low, drift.median, drift.high))
    return Estimate(mid, min(low, high), max(low, high), contrast.sd, method)


def _crossed(end: _Endpoint, plan: LookPlan, at: int, sign: float) -> bool:
    earlier = end.earlier
    assert earlier is not None
    p = (earlier.negated() if sign < 0 else earlier).p_greater(sign * end.null)
    return p is not None and p < float(special.ndtr(-plan.efficacy[at]))


def _ratio(log: Estimate) -> Estimate:
    """A log speed-up as a ratio; limits beyond all numbers are none."""

    def exp(x: float | None) -> float | None:
        return None if x is None or x > 700 else math.exp(x)

    return replace(log, value=exp(log.value), low=exp(log.low), high=exp(log.high))


# --- the likelihood ratio -----------------------------------------------------------------------------------


def paired_by_seed(pair: Pair) -> tuple[FloatArray, FloatArray]:
    """Differences in pp of the runs that share a block's seed, and the candidate's accuracies, in the order of replicates."""
    control = dict(zip(pair.control.runs["seed"].tolist(), pair.control.accuracy.tolist(), strict=True))
    rows = zip(
        pair.candidate.runs["replicate"].tolist(), pair.candidate.runs["seed"].tolist(),
        pair.candidate.accuracy.tolist(), strict=True,
    )  # fmt: skip
    both = sorted((r, s, a) for r, s, a in rows if s in control)
    own = np.array([a for _, _, a in both])
    return 100 * (own - np.array([control[s] for _, s, _ in both])), own


def _with_sprt(judged: Judged, pair: Pair, plan: LookPlan) -> Judged:
    """Accuracy endpoints decided by the first crossing of Wald's bounds over the planned looks."""
    difference, own = paired_by_seed(pair)
    promise = pair.promise
    margin = promise.margin_pp or 0.0

    def decided(d: Decision, x: FloatArray, mu0: float, mu1: float) -> Decision:
        return d if d.decision == "refused" else replace(_crossing(x, mu0, mu1, plan), margin=d.margin)

    e = judged.endpoints
    ends = replace(
        e,
        noninferiority=decided(e.noninferiority, difference, -margin, 0.0),
        superiority=decided(e.superiority, difference, 0.0, margin),
    )
    if promise.target is not None:
        ends = replace(ends, bar=decided(e.bar, 100 * own, 100 * promise.target, 100 * promise.target + margin))
    return _rejudged(judged, pair, ends)


def _rejudged(judged: Judged, pair: Pair, ends: Endpoints) -> Judged:
    needed = required(pair, ends)
    verdict = joined(needed)
    capped = verdict == "pass" and (pair.candidates > 1 or pair.candidate.screening)
    return replace(judged, endpoints=ends, needed=needed, verdict="inconclusive" if capped else verdict)


def _crossing(x: FloatArray, mu0: float, mu1: float, plan: LookPlan) -> Decision:
    state = None
    for n in (n for n in plan.runs if n <= x.size):
        state = gsprt(x[:n], mu0=mu0, mu1=mu1, alpha=plan.alpha, beta=1 - plan.power)
        if state.state != "continue":
            what = f"log likelihood ratio {state.llr:.2f} at {n} runs, bounds {state.low:.2f} and {state.high:.2f}"
            return Decision("pass" if state.state == "accept" else "fail", reason=what)
    if state is None:
        return Decision("inconclusive", reason=f"first looked at after {plan.runs[0]} runs")
    return Decision(
        "inconclusive", reason=f"log likelihood ratio {state.llr:.2f} between {state.low:.2f} and {state.high:.2f}"
    )  # fmt: skip


def _look_of_sprt(pair: Pair, plan: LookPlan, index: int | None, stop: Stop | None) -> Look:
    difference, _ = paired_by_seed(pair)
    shown = t_mixture_sequence(difference, c2=tuned_c2(plan.fixed))
    if difference.size < 2:
        shown = Estimate(None, method="t-mixture confidence sequence", reason="fewer than two pairs of runs")
    untimed = Estimate(None, method="none", reason="a likelihood ratio test decides accuracy only")
    if pair.blocks.n:
        untimed = replace(log_ratio_to_ratio(pair.log_speedup.contrast, "blocks, log ratio, description only"))
    final = shown if stop else replace(shown, value=None, low=None, high=None, reason="the campaign goes on")
    return Look(plan, pair.candidate.n, index, stop, shown, untimed, final, untimed)
