"""The comparison of one control with its candidates: every number of `harness compare --json`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.comparison.checks import findings_of
from harness.comparison.frame import Frame
from harness.comparison.judge import Endpoints, Judged, Levels, dunnett_tail, judge, simultaneous_levels
from harness.comparison.pair import Pair, Promise, succeeded
from harness.comparison.samples import Sample, may_agree, stacks, timed
from harness.comparison.words import headline
from harness.model.estimate import Decision, Estimate, Finding, Verdict, finite
from harness.model.experiment import STAGES
from harness.stats.clustered import clustered_mean
from harness.stats.contrast import Contrast
from harness.stats.means import hedges_g, one_sample
from harness.stats.moments import moments
from harness.stats.multiplicity import benjamini_hochberg, critical_value, holm, loadings
from harness.stats.proportions import newcombe, two_proportion_p, wilson
from harness.stats.ratios import cost_of_success, cost_ratio_from_speedup, log_ratio_to_ratio
from harness.stats.selection import hybrid_winner_interval
from harness.stats.shrinkage import empirical_bayes, expected_luck

if TYPE_CHECKING:
    from harness.comparison.looks import Look

SCHEMA = 1


@dataclass(frozen=True)
class ArmSummary:
    """What one arm shows by itself."""

    name: str
    n: int
    n_time: int
    accuracy: Estimate
    time_s: Estimate
    success: Mapping[str, Any]
    cost_of_success_s: Estimate
    excluded: Mapping[str, int] = field(default_factory=dict)
    stage: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "n": self.n,
            "n_time": self.n_time,
            "accuracy": self.accuracy.as_dict(),
            "time_s": self.time_s.as_dict(),
            "success": dict(self.success),
            "cost_of_success_s": self.cost_of_success_s.as_dict(),
            "excluded": dict(self.excluded),
        }


@dataclass(frozen=True)
class Selection:
    """What a candidate is worth as one of `k`: in percentage points, differences from the control.

    `low_speedup` and `high_speedup` hold for the speed-ups of all candidates together. `holm_p` and `bh_p` are two-sided p-values
    adjusted over the candidates; `conditional` is the best one's value given that it was the best, a diagnostic.
    """

    k: int
    shrunk_pp: float | None = None
    low_pp: float | None = None
    high_pp: float | None = None
    luck_pp: float | None = None
    holm_p: float | None = None
    bh_p: float | None = None
    conditional: Estimate | None = None
    low_speedup: float | None = None
    high_speedup: float | None = None

    def as_dict(self) -> dict[str, Any]:
        won = self.conditional
        return {
            "k": self.k,
            "shrunk_pp": finite(self.shrunk_pp),
            "simultaneous_ci95_pp": [finite(self.low_pp), finite(self.high_pp)],
            "simultaneous_ci95_speedup": [finite(self.low_speedup), finite(self.high_speedup)],
            "luck_pp": finite(self.luck_pp),
            "holm_p": finite(self.holm_p),
            "bh_p": finite(self.bh_p),
            "conditional_pp": None if won is None else finite(won.value),
            "conditional_ci95_pp": [None, None] if won is None else [finite(won.low), finite(won.high)],
        }


@dataclass(frozen=True)
class CandidateResult:
    """One candidate against the control."""

    control: ArmSummary
    candidate: ArmSummary
    difference_pp: Estimate
    p: float | None
    effect_size: Estimate
    """Hedges g of the accuracies, candidate - control."""
    endpoints: Endpoints
    speedup: Estimate
    design: str
    invocations: int
    icc: float | None
    effective_n: float | None
    predicted_speedup: float | None
    success_difference: Estimate
    success_p: float | None
    cost_ratio: Estimate
    verdict: Verdict
    headline: str
    more_runs: int | None
    findings: tuple[Finding, ...]
    needed: Mapping[str, Decision]
    selection: Selection | None = None
    look: Look | None = None
    """Where a sequential campaign stands; its intervals are the repeated ones then."""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Why a bare number is None, by its path in the JSON."""
    pair: Pair | None = field(default=None, repr=False, compare=False)
    """The runs that it rests on."""

    def as_dict(self) -> dict[str, Any]:
        ends = self.endpoints
        out: dict[str, Any] = {
            "control": self.control.as_dict(),
            "candidate": self.candidate.as_dict(),
            "accuracy": {
                "difference_pp": self.difference_pp.as_dict(),
                "p": finite(self.p),
                "effect_size": finite(self.effect_size.value),
                "effect_size_ci95": [finite(self.effect_size.low), finite(self.effect_size.high)],
                "bar": ends.bar.as_dict(),
                "noninferiority": ends.noninferiority.as_dict(),
                "superiority": ends.superiority.as_dict(),
                "equivalence": ends.equivalence.as_dict(),
            },
            "time": {
                "speedup": self.speedup.as_dict(),
                "decision": ends.time.as_dict(),
                "noninferiority": ends.time_noninferiority.as_dict(),
                "equivalence": ends.time_equivalence.as_dict(),
                "design": self.design,
                "invocations": self.invocations,
                "icc": finite(self.icc),
                "effective_n": finite(self.effective_n),
                "predicted_speedup": finite(self.predicted_speedup),
            },
            "success": {"difference": self.success_difference.as_dict(), "p": finite(self.success_p)},
            "cost_of_success": {"ratio": self.cost_ratio.as_dict()},
            "verdict": self.verdict,
            "headline": self.headline,
            "more_runs": self.more_runs,
            "findings": [finding.as_dict() for finding in self.findings],
            "reasons": dict(self.reasons),
        }
        out |= {"sequential": self.look.as_dict()} if self.look else {}
        return out | ({"selection": self.selection.as_dict()} if self.selection else {})


@dataclass(frozen=True)
class Comparison:
    """The object behind `harness compare --json`; `.as_dict()` is that JSON."""

    promise: Promise
    control: ArmSummary
    comparisons: tuple[CandidateResult, ...]
    setting: tuple[str, ...] = ()
    not_run: tuple[Mapping[str, str], ...] = ()
    """Arms of the experiments that their machine could not run: name and reason."""
    base: Sample | None = field(default=None, repr=False, compare=False)
    """The runs behind `control`."""

    def as_dict(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "claim": self.promise.claim,
            "alpha": self.promise.alpha,
            "target": self.promise.target,
            "margin_pp": self.promise.margin_pp,
            "max_slowdown": self.promise.max_slowdown,
            "control": self.control.as_dict(),
            "comparisons": [one.as_dict() for one in self.comparisons],
            **({"not_run": [dict(arm) for arm in self.not_run]} if self.not_run else {}),
        }


def compare_samples(control: Sample, candidates: Sequence[Sample], promise: Promise) -> Comparison:
    """Judge every candidate against the control; the control's own summary rests on all of its runs.

    Screening runs cannot pass, so candidates that were confirmed on fresh seeds are held to the simultaneous bounds
    of those that were confirmed with them, not of the sweep that they came from. For the same reason an arm that went on to a
    later stage of its store is not held to those that did not: it is judged on runs that none of them has.
    """
    rivals = [[i for i, other in enumerate(candidates) if _rival(c, other)] for c in candidates]
    pairs = [
        Pair(_comparable(c.against or control, c), c, promise, max(len(own), 1 + c.siblings))
        for c, own in zip(candidates, rivals, strict=True)
    ]
    levels = _simultaneous(pairs, rivals, promise.alpha)
    luck = [_luck_of(p.candidates, [pairs[i] for i in own]) for p, own in zip(pairs, rivals, strict=True)]
    judged = [_judged(p, lv, one) for p, lv, one in zip(pairs, levels, luck, strict=True)]
    selections = _selections(judged) if len(pairs) > 1 else [None] * len(pairs)
    results = tuple(_result(p, j, s) for (p, j), s in zip(judged, selections, strict=True))
    own = [_held_against(c, control, one) for c, one in zip(candidates, results, strict=True)]
    alike = own and all(one.stores == own[0].stores and np.array_equal(one.accuracy, own[0].accuracy) for one in own)
    base = own[0] if alike else control
    return Comparison(promise, _whole(base, promise), results, tuple(_setting(pairs)), base=base)


def alone(control: Sample, promise: Promise) -> Comparison:
    """A control that has nothing to be held against: what it shows by itself, and no verdict."""
    return Comparison(promise, _whole(control, promise), (), base=control)


def _held_against(candidate: Sample, control: Sample, result: CandidateResult) -> Sample:
    """The control's runs behind a result: all of them, those of the candidate's stage, or those of its look."""
    whole = candidate.against or control
    return whole if result.look is None or result.look.index is None else whole.first(result.look.n)


def _rival(one: Sample, other: Sample) -> bool:
    """Whether `other` (or the very same) is one of those that `one` was picked from, as far as its runs can tell."""
    if one.screening is not other.screening:
        return False
    if not one.store or one.store != other.store or one.stage is None or other.stage is None:
        return True
    return STAGES.index(other.stage) >= STAGES.index(one.stage)


def _comparable(control: Sample, candidate: Sample) -> Sample:
    """The control without runs of another numeric stack, where it also has runs of the candidate's own."""
    wanted = set(stacks(candidate.runs)[1])
    codes, mine = stacks(control.runs)
    fits = np.array([any(may_agree(stack, other) for other in wanted) for stack in mine], dtype=bool)
    same = fits[codes]
    if same.all() or not same.any():
        return control
    excluded = dict(control.excluded) | {"of another device or library version": int((~same).sum())}
    return replace(control, runs=control.runs.where(same), excluded=excluded)


# --- one arm ------------------------------------------------------------------------------------------------


def _whole(control: Sample, promise: Promise) -> ArmSummary:
    return arm_summary(control, promise.target)


def arm_summary(sample: Sample, target: float | None) -> ArmSummary:
    """One arm by itself, without anything to compare it with."""
    frame, excluded = timed(sample)
    return _arm(sample, frame, target, excluded)


def _arm(sample: Sample, times: Frame, target: float | None, excluded: Mapping[str, int]) -> ArmSummary:
    mean = one_sample(sample.accuracy)
    accuracy = mean.estimate() if sample.n else Estimate(None, method="t", reason="no runs")
    time = _mean_time(times)
    success, cost = _success(sample, time, target)
    return ArmSummary(
        sample.name, sample.n, times.rows, accuracy, _time_estimate(time, times), success, cost,
        dict(sample.excluded) | dict(excluded), sample.stage,
    )  # fmt: skip


def _mean_time(times: Frame) -> Contrast:
    """Mean seconds a run, with the error of process starts; without one where these are unknown."""
    if not times.rows:
        return Contrast(math.nan, None, None, method="mean", reason="no times")
    if times.has_unknown("invocation"):
        m = moments(times["time_s"])
        return Contrast(
            m.mean, None, None, m.sd, "mean", "which runs shared a process is unknown (column 'invocation')"
        )
    return clustered_mean(times["time_s"], times["invocation"]).contrast


def _time_estimate(time: Contrast, times: Frame) -> Estimate:
    if not times.rows:
        return Estimate(None, method="mean", reason="no times")
    return replace(time.estimate(), sd=moments(times["time_s"]).sd)


def _success(sample: Sample, time: Contrast, target: float | None) -> tuple[dict[str, Any], Estimate]:
    if target is None or not sample.n:
        reason = "no target was stated" if target is None else "no runs"
        unknown = {"k": None, "n": sample.n, "rate": None, "ci95": [None, None], "reason": reason}
        return unknown, Estimate(None, method="time / rate, log delta", reason=reason)
    k = succeeded(sample, target)
    rate = wilson(k, sample.n)
    shown = {"k": k, "n": sample.n, "rate": rate.value, "ci95": [rate.low, rate.high]}
    return shown, cost_of_success(time, k=k, n=sample.n)[0]


# --- one pair -----------------------------------------------------------------------------------------------


def _result(pair: Pair, judged: Judged, selection: Selection | None) -> CandidateResult:
    look = judged.look
    interleaved = pair.design == "interleaved"
    times = (pair.blocks.control, pair.blocks.candidate) if interleaved else (pair.control_timed, pair.candidate_timed)
    left_out = {"outside complete blocks": pair.candidate_timed.rows - pair.blocks.n} if interleaved else {}
    left_out = {reason: count for reason, count in left_out.items() if count} | timed(pair.candidate)[1]
    clustered = pair.log_speedup if interleaved else None
    success_difference, success_p = _success_difference(pair)
    one = CandidateResult(
        control=_arm(pair.control, times[0], pair.promise.target, timed(pair.control)[1]),
        candidate=_arm(pair.candidate, times[1], pair.promise.target, left_out),
        difference_pp=_difference(pair) if look is None else look.repeated_pp,
        p=_p_of_difference(pair, judged),
        effect_size=hedges_g(pair.candidate.accuracy, pair.control.accuracy),
        endpoints=judged.endpoints,
        speedup=_speedup(pair, judged) if look is None or not interleaved else look.repeated_speedup,
        design=pair.design,
        invocations=pair.blocks.invocations if interleaved else 0,
        icc=clustered.icc if clustered else None,
        effective_n=clustered.effective_n if clustered else None,
        predicted_speedup=pair.predicted_speedup,
        success_difference=success_difference,
        success_p=success_p,
        cost_ratio=_cost_ratio(pair),
        verdict=judged.verdict,
        headline=headline(pair, judged),
        more_runs=judged.more_runs,
        findings=judged.findings,
        needed=judged.needed,
        selection=selection,
        look=look,
        pair=pair,
    )
    return replace(one, reasons=_reasons(one, pair))


def _reasons(one: CandidateResult, pair: Pair) -> dict[str, str]:
    """Why each bare number that does not exist does not; estimates and decisions carry their own reason."""
    no_error = one.difference_pp.reason or pair.difference_pp.reason or "no spread can be estimated"
    no_blocks = "the arms share no blocks"
    stopped = [f"{name} is {d.decision}" for name, d in one.needed.items() if d.decision in ("fail", "refused")]
    missing = {
        "accuracy.p": (one.p, one.endpoints.superiority.reason if one.look else no_error),
        "accuracy.effect_size": (one.effect_size.value, one.effect_size.reason),
        "accuracy.effect_size_ci95": (one.effect_size.low, one.effect_size.reason),
        "time.icc": (
            one.icc,
            no_blocks if one.design != "interleaved" else "needs two process starts, one of two blocks",
        ),
        "time.effective_n": (one.effective_n, "there is no intraclass correlation"),
        "time.predicted_speedup": (one.predicted_speedup, "the steps of some runs are unknown"),
        "success.p": (one.success_p, one.success_difference.reason),
        "more_runs": (
            one.more_runs,
            "; ".join(stopped) or "no number of runs would do if the shrunken estimates are true",
        ),
    }
    if one.selection is not None:
        won = one.selection.conditional or Estimate(None, reason="told of the best of several only")
        missing |= {
            "selection.shrunk_pp": (one.selection.shrunk_pp, no_error),
            "selection.simultaneous_ci95_pp": (one.selection.low_pp, no_error),
            "selection.simultaneous_ci95_speedup": (one.selection.low_speedup, _no_speed_limits(one)),
            "selection.luck_pp": (one.selection.luck_pp, "no candidate's difference has a spread"),
            "selection.holm_p": (one.selection.holm_p, one.endpoints.superiority.reason if one.look else no_error),
            "selection.bh_p": (one.selection.bh_p, one.endpoints.superiority.reason if one.look else no_error),
            "selection.conditional_pp": (won.value, won.reason),
            "selection.conditional_ci95_pp": (won.low, won.reason or "the limits lie beyond what can be computed"),
        }
    return {path: reason for path, (value, reason) in missing.items() if value is None or value != value}


def _no_speed_limits(one: CandidateResult) -> str:
    if one.look is not None:
        return "limits of times that hold at all looks are not told for several candidates together"
    return one.speedup.reason or "the spread of the blocks cannot be estimated"


def _judged(pair: Pair, levels: Levels | None, luck_pp: float | None) -> tuple[Pair, Judged]:
    """The judgement, and the runs that it rests on: of a sequential campaign those of a look."""
    if pair.candidate.plan is None:
        return pair, judge(pair, findings_of(pair), levels, luck_pp)
    from harness.comparison.looks import judge_by_looks  # only here: few comparisons are sequential

    return judge_by_looks(pair, levels, luck_pp)


def _p_of_difference(pair: Pair, judged: Judged) -> float | None:
    """Two-sided; of a sequential campaign from the one-sided p that allows for its looks."""
    one_sided = judged.endpoints.superiority.p
    if judged.look is None:
        return pair.difference_pp.p_two_sided()
    if one_sided is None:
        return None
    return min(1.0, 2 * min(one_sided, 1 - one_sided))


def _difference(pair: Pair) -> Estimate:
    if not pair.control.n or not pair.candidate.n:
        return Estimate(None, method="welch", reason="an arm has no runs")
    return pair.difference_pp.estimate()


def _speedup(pair: Pair, judged: Judged) -> Estimate:
    """The clustered ratio where blocks hold both arms; elsewhere the bare ratio of means, without an interval."""
    if pair.design == "interleaved":
        result = pair.log_speedup
        return log_ratio_to_ratio(result.contrast, f"blocks, log ratio clustered by {pair.blocks.unit}, t")
    a, b = moments(pair.control_timed["time_s"]), moments(pair.candidate_timed["time_s"])
    if not a.n or not b.n:
        return Estimate(None, method="none", reason="an arm has no times")
    return Estimate(a.mean / b.mean, method="ratio of means, description only", reason=judged.endpoints.time.reason)


def _success_difference(pair: Pair) -> tuple[Estimate, float | None]:
    target = pair.promise.target
    if target is None:
        return Estimate(None, method="newcombe", reason="no target was stated"), None
    if not pair.control.n or not pair.candidate.n:
        return Estimate(None, method="newcombe", reason="an arm has no runs"), None
    counts = (succeeded(pair.candidate, target), pair.candidate.n, succeeded(pair.control, target), pair.control.n)
    return newcombe(*counts), two_proportion_p(*counts)[0]


def _cost_ratio(pair: Pair) -> Estimate:
    """Candidate / control of the expected seconds per success; above 1 the candidate costs more."""
    method, target = "1 / speed-up × ratio of success rates, log delta", pair.promise.target
    if target is None:
        return Estimate(None, method=method, reason="no target was stated")
    if pair.design != "interleaved" or not pair.control.n:
        return Estimate(None, method=method, reason="the times cannot be compared")
    return cost_ratio_from_speedup(
        pair.log_speedup.contrast,
        k_first=succeeded(pair.candidate, target),
        n_first=pair.candidate.n,
        k_second=succeeded(pair.control, target),
        n_second=pair.control.n,
    )


# --- several candidates -------------------------------------------------------------------------------------


def _luck_of(k: int, pairs: Sequence[Pair]) -> float | None:
    """What the best of `k` equal arms stands above by luck, by the errors of these; None where it is the only one, or none is known."""
    known = [se for se in _own_errors(pairs) if se > 0]
    return expected_luck(k, float(np.mean(known))) if k > 1 and known else None


def _selections(judged: Sequence[tuple[Pair, Judged]]) -> list[Selection | None]:
    """Shrunken estimates, simultaneous intervals, adjusted p and the luck of the best, over all candidates with a spread.

    Of a sequential campaign by its look: limits that hold at all looks and for all candidates, and p-values that allow for them.
    """
    pairs = [pair for pair, _ in judged]
    k = len(pairs)
    usable = [i for i, p in enumerate(pairs) if p.difference_pp.usable]
    speeds = [_speed_limits(pair, one, k) for pair, one in judged]
    if not usable:
        return [Selection(k, low_speedup=low, high_speedup=high) for low, high in speeds]
    contrasts = [pairs[i].difference_pp for i in usable]
    values = np.array([c.value for c in contrasts])
    shrunk = empirical_bayes(values, [c.se or 0.0 for c in contrasts], centre=0.0).values
    own = [_p_of_difference(*judged[i]) for i in usable]
    p = [1.0 if one is None else one for one in own]
    adjusted = zip(own, holm(p).tolist(), benjamini_hochberg(p).tolist(), strict=True)
    luck = _luck_of(k, pairs)
    critical, df = _dunnett(pairs, alpha=0.05, two_sided=True)
    out: list[Selection | None] = [
        Selection(k, luck_pp=luck, low_speedup=slow, high_speedup=fast) for slow, fast in speeds
    ]
    for i, c, one_shrunk, (one_p, p_holm, p_bh) in zip(usable, contrasts, shrunk, adjusted, strict=True):
        reach = _reach(pairs[i], critical, df, k, 0.025) * (c.se or 0.0)
        low, high, look = c.value - reach, c.value + reach, judged[i][1].look
        limits = (low, high) if look is None else (look.simultaneous_pp.low, look.simultaneous_pp.high)
        told = (None, None) if one_p is None else (p_holm, p_bh)
        alone = Selection(k, one_shrunk, *limits, luck, *told)
        out[i] = replace(alone, low_speedup=speeds[i][0], high_speedup=speeds[i][1])
    if len(usable) > 1:
        order = np.argsort(values)
        best, second = usable[order[-1]], usable[order[-2]]
        out[best] = replace(out[best] or Selection(k), conditional=_conditional(pairs[best], pairs[second], k))
    return out


def _speed_limits(pair: Pair, judged: Judged, k: int) -> tuple[float | None, float | None]:
    """95 % limits of a speed-up that hold for all `k` candidates together (Bonferroni: their times share the luck of the processes)."""
    if pair.design != "interleaved" or judged.look is not None:
        return None, None
    contrast = pair.log_speedup.contrast
    low, high = contrast.lower(0.025 / k), contrast.upper(0.025 / k)
    return _ratio_limit(low), _ratio_limit(high)


def _ratio_limit(log: float | None) -> float | None:
    """A logarithm as a ratio; none beyond all numbers."""
    return None if log is None or log > 700 else math.exp(log)


def _own_errors(pairs: Sequence[Pair]) -> list[float]:
    """Each candidate's own standard error: the control's is common to all and wins no race. Of pairs, the difference's."""
    return [
        (p.difference_pp.se or 0.0)
        if p.paired_accuracies is not None
        else 100 * (moments(p.candidate.accuracy).sd or 0.0) / math.sqrt(max(1, p.candidate.n))
        for p in pairs
    ]


def _conditional(best: Pair, second: Pair, k: int) -> Estimate:
    """What the winner of `k` is worth given that it won: a diagnostic for independent arms, wide where the race was close."""
    se, own = _own_errors([best])[0], best.difference_pp
    if best.candidate.stage != second.candidate.stage:
        return Estimate(None, reason="the two best were not judged on the same stage")
    if se <= 0 or best.paired_accuracies is not None or second.paired_accuracies is not None:
        return Estimate(None, reason="the arms are not independent" if se > 0 else "no spread")
    return hybrid_winner_interval(
        lead=own.value - second.difference_pp.value,
        difference=own.value,
        se=se,
        control_se=math.sqrt(max(0.0, (own.se or 0.0) ** 2 - se**2)),
        k=k,
    )


def _reach(pair: Pair, critical: float, df: float, k: int, tail: float) -> float:
    """The common quantile, carried over to this pair's own degrees of freedom; Bonferroni where it is paired."""
    if pair.paired_accuracies is not None:
        return pair.difference_pp.quantile(tail / k)
    return pair.difference_pp.quantile(dunnett_tail(critical, df))


def _dunnett(pairs: Sequence[Pair], *, alpha: float, two_sided: bool) -> tuple[float, float]:
    n = np.array([max(2, p.candidate.n) for p in pairs], dtype=np.float64)
    n0 = max(2, max(p.control.n for p in pairs))
    df = float(n.sum() - len(n) + n0 - 1)
    return critical_value(loadings(n, n0), alpha=alpha, df=df, two_sided=two_sided), df


def _simultaneous(pairs: Sequence[Pair], rivals: Sequence[Sequence[int]], alpha: float) -> list[Levels | None]:
    """The levels of each pair as one of its rivals (their numbers); None where it has none."""
    tails: dict[tuple[int, ...], float] = {}
    for own in {tuple(numbers) for numbers in rivals}:
        if len(own) > 1 and all(pairs[i].candidates == len(own) for i in own if tuple(rivals[i]) == own):
            tails[own] = dunnett_tail(*_dunnett([pairs[i] for i in own], alpha=alpha, two_sided=False))
    return [_levels(p, alpha, tails.get(tuple(own))) for p, own in zip(pairs, rivals, strict=True)]


def _levels(pair: Pair, alpha: float, tail: float | None) -> Levels | None:
    if pair.candidates == 1:
        return None
    return simultaneous_levels(alpha, pair.candidates, None if pair.paired_accuracies is not None else tail)


# --- the setting --------------------------------------------------------------------------------------------


def _setting(pairs: Sequence[Pair]) -> list[str]:
    """What all runs share, in words: design and machine."""
    first = pairs[0]
    lines = []
    if first.design == "interleaved":
        blocks = {p.blocks.n for p in pairs}
        starts = first.blocks.invocations
        lines.append(
            f"{starts} invocation{'' if starts == 1 else 's'}, {max(blocks)} block{'' if max(blocks) == 1 else 's'}, interleaved"
        )
    else:
        lines.append("separate runs" if first.design == "separate" else "design unknown")
    for name in ("device", "cpu"):
        known = first.candidate.runs.known(name)
        if len(known) == 1:
            lines.append(next(iter(known)))
    return lines
