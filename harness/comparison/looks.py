"""Judging at the looks of a sequential plan: bounds that may be looked at as planned, and when to stop.

A store may hold more runs than its last look: those count at the next one. So what is judged is the campaign as it stood at the
first look that decided it, else at the last one that it has passed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from scipy import special

from harness.comparison import findings as f
from harness.comparison.checks import findings_of
from harness.comparison.judge import Judged, Levels, joined, judge, plain_levels, required
from harness.comparison.pair import Pair
from harness.comparison.samples import FloatArray, Sample
from harness.design.looks import LookPlan
from harness.errors import UsageError
from harness.model.estimate import NO_ESTIMATE, Decision, Estimate, Verdict
from harness.stats import sequential
from harness.stats.anytime import t_mixture_sequence, tuned_c2
from harness.stats.contrast import Contrast
from harness.stats.ratios import log_ratio_to_ratio
from harness.stats.sprt import Sprt, gsprt

Stop = Literal["decided", "futility", "last look"]
LEAST_STARTS = 5
"""Time is first tested at so many process starts."""
UNTOLD_BY_RATIO = "a likelihood ratio test answers only what it was planned for"
CONFIDENCE = 0.95
ACCURACY = ("bar", "noninferiority", "superiority", "equivalence")
TIME = ("time", "time_noninferiority", "time_equivalence")


@dataclass(frozen=True)
class Trail:
    """One endpoint of the claim along the looks that were taken, at `n` runs an arm each.

    `at` is its statistic there (None where it was refused or had no spread), a z or a log likelihood ratio; `upper` proves it, below
    `lower` it is hopeless (none where the plan has no such bound).
    """

    endpoint: str
    unit: Literal["z", "log likelihood ratio"]
    n: tuple[int, ...]
    at: tuple[float | None, ...]
    upper: tuple[float, ...]
    lower: tuple[float, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return {
            "endpoint": self.endpoint,
            "unit": self.unit,
            "n": list(self.n),
            "at": list(self.at),
            "upper": list(self.upper),
            "lower": list(self.lower),
        }


@dataclass(frozen=True)
class Look:
    """Where a sequential comparison stands: look `index` (from 0; None before the first) of `plan`, and why it stops there.

    `n` runs an arm are judged; `extra` more are there and wait for the next look, unless a run before it is `lacking` (in words).
    `stop` None: it goes on. The intervals `repeated_*` hold at all looks together, `simultaneous_pp` for all candidates besides;
    `final_*` are the estimates of a campaign that stopped here, with their 95 % limits.
    """

    plan: LookPlan
    n: int
    index: int | None
    stop: Stop | None
    repeated_pp: Estimate
    repeated_speedup: Estimate
    final_pp: Estimate
    final_speedup: Estimate
    simultaneous_pp: Estimate = NO_ESTIMATE
    extra: int = 0
    lacking: str = ""
    trails: tuple[Trail, ...] = ()

    @property
    def name(self) -> str:
        if self.index is None:
            return "before the first look"
        if self.plan.mode == "group-sequential":
            return f"look {self.index + 1} of {len(self.plan.runs)}"
        return f"at {self.n} runs"

    def as_dict(self) -> dict[str, Any]:
        return {
            "mode": self.plan.mode,
            "look": None if self.index is None else self.index + 1,
            "looks": len(self.plan.runs),
            "n": self.n,
            "extra": self.extra,
            "lacking": self.lacking,
            "largest_n": self.plan.largest,
            "next_n": None if self.stop else self.plan.next_after(self.n),
            "stop": self.stop,
            "difference_pp": self.final_pp.as_dict(),
            "speedup": self.final_speedup.as_dict(),
            "trails": [trail.as_dict() for trail in self.trails],
        }


@dataclass(frozen=True)
class _Step:
    """The campaign as it stood at one look: its runs, the judgement at that look's levels, and whether it had to stop."""

    index: int
    pair: Pair
    judged: Judged
    stop: Stop | None


def judge_by_looks(pair: Pair, simultaneous: Levels | None, luck_pp: float | None) -> tuple[Pair, Judged]:
    """The pair as it is judged, and the judgement.

    Raises UsageError where a likelihood ratio test is asked something else than what it was planned for.
    """
    plan = pair.candidate.plan
    assert plan is not None
    if plan.mode == "sprt":
        return _by_likelihood_ratio(pair, plan, luck_pp)
    course = _Course(plan, pair.promise.alpha)
    steps: list[_Step] = []
    there = _unbroken(pair)
    for index, runs in enumerate(plan.runs):
        if runs > there or (steps and steps[-1].stop == "decided"):
            break
        steps.append(_step(_until(pair, runs), course, index, simultaneous, luck_pp))
    if not steps:
        return pair, _before_the_first(pair, plan)
    last = steps[-1]
    look = _look(course, steps, pair.candidate.n - last.pair.candidate.n)
    return last.pair, _told(_with_p(last.judged, course, steps), pair, plan, look)


def _unbroken(pair: Pair) -> int:
    """Runs up to which nothing lacks: a look that counted fewer than its own would be another one once they are made.

    The control's count where it was run in the same blocks; one of another store is what it is.
    """
    arms = (pair.control, pair.candidate) if pair.design == "interleaved" else (pair.candidate,)
    return min(_leading(arm) for arm in arms)


def _leading(sample: Sample) -> int:
    """Replicates from 0 on without a gap; all runs where their replicates are unknown."""
    there = np.unique(sample.runs["replicate"])
    return sample.n if np.isnan(there).any() else int(np.count_nonzero(there == np.arange(there.size)))


def _lacking(pair: Pair, upto: int) -> str:
    """The replicates below `upto` that were passed over, in words."""
    arms = (pair.control, pair.candidate) if pair.design == "interleaved" else (pair.candidate,)
    holes = {arm.name: [r for r in _to_come(arm, upto) if r < max(arm.runs["replicate"], default=0)] for arm in arms}
    return " and ".join(
        f"replicate{'s' if len(gone) > 1 else ''} {', '.join(map(str, gone[:6]))}{', ...' if len(gone) > 6 else ''} of {name}"
        for name, gone in holes.items()
        if gone
    )


def _to_come(sample: Sample, upto: int) -> list[int]:
    """The replicates below `upto` that have no run."""
    there = sample.runs["replicate"]
    return list(range(sample.n, upto)) if np.isnan(there).any() else sorted(set(range(upto)) - set(there.tolist()))


def _step(pair: Pair, course: _Course, index: int, simultaneous: Levels | None, luck_pp: float | None) -> _Step:
    course.reach(pair, index)
    judged = judge(pair, findings_of(pair), course.together(simultaneous), luck_pp, course.levels())
    if not course.time_tested:
        judged = _time_untested(judged, pair, _too_few(pair))
    return _Step(index, pair, judged, _stop(judged, course.plan, index, course.futile))


def _too_few(pair: Pair) -> str:
    units = "hosts, where there are several" if pair.blocks.unit == "host" else "process starts"
    return f"time is first tested at {LEAST_STARTS} {units}"


def _before_the_first(pair: Pair, plan: LookPlan) -> Judged:
    """Nothing is decided yet; the estimates are shown without limits, as none were planned."""
    judged = judge(pair, findings_of(pair), None, None, plain_levels(plan.alpha))
    gone = replace(NO_ESTIMATE, reason="the first look is still to come")
    ends = judged.endpoints
    ends = replace(ends, **{name: _open(getattr(ends, name), gone.reason) for name in (*ACCURACY, *TIME)})
    needed = required(pair, ends)
    verdict: Verdict = "refused" if "refused" in [d.decision for d in needed.values()] else "inconclusive"
    judged = replace(judged, verdict=verdict, endpoints=ends, needed=needed)
    shown, speed = (replace(gone, value=value) for value in _values(pair))
    return _told(judged, pair, plan, Look(plan, pair.candidate.n, None, None, shown, speed, gone, gone, shown))


def _open(d: Decision, why: str) -> Decision:
    """A decision that was not to be taken here."""
    return d if d.decision == "refused" else Decision("inconclusive", margin=d.margin, reason=why)


def _values(pair: Pair) -> tuple[float | None, float | None]:
    both = pair.control.n and pair.candidate.n
    speed = math.exp(pair.log_speedup.contrast.value) if pair.blocks.n else None
    return (pair.difference_pp.value if both else None), speed


def _told(judged: Judged, whole: Pair, plan: LookPlan, look: Look) -> Judged:
    """The judgement with where it stands in all the runs: what waits for the next look, and the runs until then."""
    following = plan.runs[0] if look.index is None else plan.next_after(look.n)
    if look.stop is None and following is not None:
        look = replace(look, lacking=_lacking(whole, following))
    if look.extra or look.index is None:
        told = f.between_looks(
            plan.runs, look.n, look.extra, stop=look.stop, begun=look.index is not None, lacking=look.lacking
        )
        judged = replace(judged, findings=(*judged.findings, told))
    more = judged.more_runs
    if judged.verdict == "pass":
        more = 0
    elif judged.verdict == "inconclusive" and look.stop is None and following is not None:
        more = max(len(_to_come(arm, following)) for arm in (whole.control, whole.candidate))
    return replace(judged, more_runs=more, look=look)


def _time_untested(judged: Judged, pair: Pair, why: str) -> Judged:
    """Time endpoints that were held against nothing say why."""
    if not pair.blocks.n:
        return judged
    ends = replace(judged.endpoints, **{name: _open(getattr(judged.endpoints, name), why) for name in TIME})
    return replace(judged, endpoints=ends, needed=required(pair, ends))


def _stop(judged: Judged, plan: LookPlan, index: int, futile: float | None) -> Stop | None:
    """Decided, hopeless or at the end; a refusal is nothing that runs could mend, but none to stop by either."""
    if judged.verdict in ("pass", "fail"):
        return "decided"
    if index == len(plan.runs) - 1:
        return "last look"
    if futile is not None and any(_futile(d, futile) for d in judged.needed.values()):
        return "futility"
    return None


def _futile(d: Decision, bound: float) -> bool:
    """Whether an open endpoint's z lies below the futility bound."""
    tested = d.decision == "inconclusive" and d.p is not None and d.bound is not None
    return tested and d.p is not None and d.p > float(special.ndtr(-bound))


# --- bounds -------------------------------------------------------------------------------------------------


def time_bounds(plan: LookPlan, starts: Sequence[tuple[int, int]], alpha: float) -> tuple[float, ...]:
    """z bounds of time at the looks (number from 0, process starts) at which it was tested; none where it never was."""
    if not starts:
        return ()
    planned = plan.information_of_time
    clusters = [float(count) for _, count in starts]
    return sequential.efficacy_bounds(clusters, alpha=alpha, spent_by=[planned[look] for look, _ in starts])


class _Course:
    """The looks that were taken: information and bounds of accuracy (by runs) and of time (by process starts), as they came.

    Accuracy's information is as planned, since a look counts exactly its runs. Process starts come as they come (an
    interrupted campaign has more); alpha is spent on time by the planned share of the campaign, and their actual numbers say how much
    the looks resemble each other.
    """

    def __init__(self, plan: LookPlan, alpha: float) -> None:
        self.plan, self.alpha = plan, alpha
        self.index = -1
        self.starts: list[tuple[int, int]] = []
        """Look and process starts, of the looks at which time was tested."""
        own = alpha == plan.alpha
        self.efficacy = plan.efficacy if own else sequential.efficacy_bounds(plan.information, alpha=alpha)
        self.futile: float | None = None
        self._futility = plan.futility if own else ()

    def reach(self, pair: Pair, index: int) -> None:
        self.index = index
        self.futile = self._futility[index] if self._futility else None
        clusters = pair.log_speedup.clusters if pair.blocks.n else 0
        begun = pair.blocks.invocations
        if clusters >= LEAST_STARTS and (not self.starts or begun > self.starts[-1][1]):
            self.starts.append((index, begun))

    def levels(self) -> Levels:
        """Tail probabilities of this look's bounds; 0 for time where it is not tested here."""
        level = float(special.ndtr(-self.efficacy[self.index]))
        time = self.time_bounds(self.alpha)
        return Levels(level, level, float(special.ndtr(-time[-1])) if self.time_tested else 0.0)

    def together(self, simultaneous: Levels | None) -> Levels | None:
        """The same for levels that hold for several candidates: each is spent over the looks as alpha is."""
        if simultaneous is None:
            return None
        at = self.plan.information[: self.index + 1]

        def here(level: float) -> float:
            return float(special.ndtr(-sequential.efficacy_bounds(at, alpha=level)[-1]))

        time = float(special.ndtr(-self.time_bounds(simultaneous.time)[-1])) if self.time_tested else 0.0
        return Levels(here(simultaneous.accuracy), here(simultaneous.bar), time)

    @property
    def time_tested(self) -> bool:
        return bool(self.starts) and self.starts[-1][0] == self.index

    def time_bounds(self, alpha: float) -> tuple[float, ...]:
        """Bounds at the looks at which time was tested."""
        return time_bounds(self.plan, self.starts, alpha)

    def of_accuracy(self) -> _Bounds:
        at = self.index + 1
        return _Bounds(self.plan.information[:at], self.efficacy[:at], self._futility[:at] or None, tuple(range(at)))

    def of_time(self) -> _Bounds:
        clusters = tuple(float(count) for _, count in self.starts)
        looks = tuple(index for index, _ in self.starts)
        futility = tuple(self._futility[index] for index in looks) if self._futility else None
        return _Bounds(clusters, self.time_bounds(self.alpha), futility, looks)


@dataclass(frozen=True)
class _Bounds:
    """Information and z bounds at the `looks` at which an endpoint was tested."""

    information: tuple[float, ...]
    efficacy: tuple[float, ...]
    futility: tuple[float, ...] | None
    looks: tuple[int, ...]


def _until(pair: Pair, n: int) -> Pair:
    """The pair as it was at the look of `n` runs."""
    return replace(pair, control=pair.control.first(n), candidate=pair.candidate.first(n))


# --- p-values -----------------------------------------------------------------------------------------------


def _with_p(judged: Judged, course: _Course, steps: Sequence[_Step]) -> Judged:
    """The p-values of the campaign instead of those of one look: the chance, without an effect, of an end at least as extreme."""
    ends = judged.endpoints
    changed = {name: _stagewise(name, course.of_accuracy(), steps) for name in ACCURACY}
    if course.time_tested:
        changed |= {name: _stagewise(name, course.of_time(), steps) for name in TIME}
    told = {name: getattr(ends, name) for name, p in changed.items() if p is not None}
    new = replace(ends, **{name: replace(d, p=changed[name]) for name, d in told.items() if d.decision != "refused"})
    names = {id(getattr(ends, name)): name for name in (*ACCURACY, *TIME)}
    needed = {key: getattr(new, names[id(d)]) if id(d) in names else d for key, d in judged.needed.items()}
    return replace(judged, endpoints=new, needed=needed)


def _stagewise(name: str, bounds: _Bounds, steps: Sequence[_Step]) -> float | None:
    """By the stage-wise ordering, at the look where the endpoint was first proven if it still is, else at the last one."""
    seen: list[Decision] = [getattr(steps[look].judged.endpoints, name) for look in bounds.looks]
    passed = [k for k, decision in enumerate(seen) if decision.decision == "pass"]
    k = passed[0] if seen[-1].decision == "pass" else len(seen) - 1
    p = seen[k].p
    if p is None or not k:
        return p
    return sequential.stagewise_p(bounds.information[: k + 1], bounds.efficacy[:k], z=_z(p))


def _z(p: float) -> float:
    return float(-special.ndtri(min(max(p, 1e-300), 1 - 1e-16)))


# --- estimates ----------------------------------------------------------------------------------------------


def _look(course: _Course, steps: Sequence[_Step], extra: int) -> Look:
    last = steps[-1]
    pair, plan = last.pair, course.plan
    gone = replace(NO_ESTIMATE, reason="an arm has no runs")
    shown, together, final, shown_time, final_time = gone, gone, gone, gone, gone
    passed_by = any(step.stop == "futility" for step in steps[:-1])
    if pair.control.n and pair.candidate.n:
        asked = _accuracy_question(pair, last.judged)
        shown = _repeated(pair.difference_pp, course.of_accuracy(), plan)
        together = _repeated(pair.difference_pp, course.of_accuracy(), plan, candidates=pair.candidates)
        contrasts = [step.pair.difference_pp for step in steps]
        final = _final(contrasts, course.of_accuracy(), asked, last.stop, passed_by=passed_by)
        final = _within(final, shown)
    if pair.blocks.n:
        of = [step.pair.log_speedup.contrast for step in steps]
        asked = _time_question(pair, last.judged)
        if course.time_tested:
            tested = course.of_time()
            repeated = _repeated(of[-1], tested, plan, spent=[plan.information_of_time[k] for k in tested.looks])
            shown_time = _ratio(repeated)
            final_time = _ratio(_within(_final(of, tested, asked, last.stop, passed_by=passed_by), repeated))
        else:
            shown_time = Estimate(math.exp(of[-1].value), method=of[-1].method, reason=_too_few(pair))
            why = _too_few(pair) if last.stop else "the campaign goes on"
            final_time = Estimate(None, method=of[-1].method, reason=why)
    return Look(
        plan, pair.candidate.n, last.index, last.stop, shown, shown_time, final, final_time, together, extra,
        trails=tuple(_trails(course, steps)),
    )  # fmt: skip


def _trails(course: _Course, steps: Sequence[_Step]) -> Iterator[Trail]:
    """The endpoints that the claim needs, each at the looks at which it was tested."""
    for name in steps[-1].judged.needed:
        bounds = course.of_time() if name.startswith("time") else course.of_accuracy()
        if not bounds.looks:
            continue
        taken = [steps[look].judged.needed.get(name) for look in bounds.looks]  # one that was refused was not needed
        ps = [None if decision is None else decision.p for decision in taken]
        yield Trail(
            name,
            "z",
            tuple(course.plan.runs[look] for look in bounds.looks),
            tuple(None if p is None else _z(p) for p in ps),
            bounds.efficacy,
            bounds.futility or (),
        )


@dataclass(frozen=True)
class _Asked:
    """What an endpoint was tested against, and whether it was refuted."""

    null: float
    refuted: bool


def _accuracy_question(pair: Pair, judged: Judged) -> _Asked | None:
    """None where the campaign does not stop by one side of the difference: nothing is to be corrected then, or not so."""
    promise, ends = pair.promise, judged.endpoints
    if promise.claim == "accurate":
        return _Asked(0.0, ends.superiority.decision == "fail")
    if promise.claim in ("equivalent", "time-only") or promise.margin_pp is None:
        return None
    return _Asked(-promise.margin_pp, ends.noninferiority.decision == "fail")


def _time_question(pair: Pair, judged: Judged) -> _Asked | None:
    promise, ends = pair.promise, judged.endpoints
    if promise.claim in ("faster", "time-only"):
        return _Asked(0.0, ends.time.decision == "fail")
    if promise.claim == "no-regression" and promise.max_slowdown is not None:
        return _Asked(-math.log1p(promise.max_slowdown), ends.time_noninferiority.decision == "fail")
    return None


def _repeated(
    contrast: Contrast, bounds: _Bounds, plan: LookPlan, spent: Sequence[float] | None = None, candidates: int = 1
) -> Estimate:
    """95 % limits that hold at every look together: the bounds of a plan of level .025 on either side.

    For several candidates together .025 is shared among them (Bonferroni).
    """
    name = f"{contrast.method}; repeated interval, look {bounds.looks[-1] + 1} of {len(plan.runs)}"
    if not contrast.usable:
        return replace(contrast.estimate(), method=name)
    alpha = (1 - CONFIDENCE) / 2 / candidates
    bound = sequential.efficacy_bounds(bounds.information, alpha=alpha, spent_by=spent)[-1]
    low, high = sequential.repeated_interval(contrast, bound)
    return Estimate(contrast.value, low, high, contrast.sd, name)


def _final(
    contrasts: Sequence[Contrast], bounds: _Bounds, asked: _Asked | None, stop: Stop | None, *, passed_by: bool
) -> Estimate:
    """The median-unbiased estimate after stopping, by the stage-wise ordering of this endpoint's own bounds.

    `contrasts` (by look) are what was seen; `passed_by`: the campaign went on below a futility bound, so that none of them
    decided anything. An endpoint that was decided at an earlier look, or that the campaign does not ask about, did not make it
    stop at this one: its plain estimate stands.
    """
    contrast = contrasts[bounds.looks[-1]]
    if stop is None:
        return Estimate(None, method="median-unbiased, stage-wise ordering", reason="the campaign goes on")
    if asked is None:
        return replace(contrast.estimate(), method=f"{contrast.method}; not what the campaign stopped by")
    sign = -1.0 if asked.refuted else 1.0
    seen = [contrasts[look].negated() if asked.refuted else contrasts[look] for look in bounds.looks]
    ps = [one.p_greater(sign * asked.null) for one in seen]
    p, last = ps[-1], seen[-1]
    if p is None or last.se is None:
        return Estimate(None, method=contrast.method, reason=contrast.reason or "no spread can be estimated")
    tails = [float(special.ndtr(-bound)) for bound in bounds.efficacy]
    if any(earlier is not None and earlier < tail for earlier, tail in zip(ps[:-1], tails, strict=False)):
        return replace(contrast.estimate(), method=f"{contrast.method}; decided at an earlier look")
    z = _z(p)
    futility = None if asked.refuted or passed_by else bounds.futility
    drift = sequential.after_stopping(bounds.information, bounds.efficacy, futility, look=len(seen) - 1, z=z)
    t = (last.value - sign * asked.null) / last.se
    widened = t / z if abs(z) > 0.1 else 1.0  # t at few degrees of freedom stands for a smaller z: a longer unit
    scale = last.se * widened * math.sqrt(bounds.information[-1])
    low, mid, high = (asked.null + sign * x * scale for x in (drift.low, drift.median, drift.high))
    return Estimate(mid, min(low, high), max(low, high), contrast.sd, "median-unbiased, stage-wise ordering")


def _within(final: Estimate, repeated: Estimate) -> Estimate:
    """The estimate after stopping with limits no wider than those that hold at every look.

    Few process starts stretch it far from the null, where t stands for a much smaller z; the repeated limits are narrower there.
    """
    limits = (final.value, final.low, final.high, repeated.low, repeated.high)
    if any(x is None for x in limits):
        return final
    value, low, high, least, most = (float(x) for x in limits if x is not None)
    return replace(final, low=max(low, least), high=min(high, most)) if least <= value <= most else final


def _ratio(log: Estimate) -> Estimate:
    """A log speed-up as a ratio; limits beyond all numbers are none."""

    def exp(x: float | None) -> float | None:
        return None if x is None or x > 700 else math.exp(x)

    return replace(log, value=exp(log.value), low=exp(log.low), high=exp(log.high))


# --- the likelihood ratio -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Ratio:
    """A likelihood ratio test: values in the order of the blocks, and the two means that it weighs."""

    x: FloatArray
    mu0: float
    mu1: float
    alpha: float

    def at(self, n: int, plan: LookPlan) -> Sprt:
        return gsprt(self.x[:n], mu0=self.mu0, mu1=self.mu1, alpha=self.alpha, beta=1 - plan.power)

    def first(self, upto: int, plan: LookPlan) -> tuple[int, Sprt | None]:
        """The number of runs at which it was first decided, else the last look up to `upto`, and its state there."""
        n, state = 0, None
        for n in (runs for runs in plan.runs if runs <= min(upto, self.x.size)):
            state = self.at(n, plan)
            if state.state != "continue":
                break
        return n, state


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


def _by_likelihood_ratio(pair: Pair, plan: LookPlan, luck_pp: float | None) -> tuple[Pair, Judged]:
    """Accuracy endpoints decided by the first crossing of Wald's bounds over the planned looks.

    To cross the upper bound proves the endpoint. To cross the lower one says that the planned gain is not there, with an
    error of 1 - power: that ends the campaign, and refutes nothing unless the confidence sequence does.
    """
    _refuse_other_question(pair, plan)
    whole, there = pair, _unbroken(pair)
    asked = required(pair, judge(pair, findings_of(pair), None, None).endpoints)
    tests = {name: test for name, test in _tests(_until(pair, there), pair.candidates).items() if name in asked}
    n = _ended_at(tests, plan, there)
    if n is None:
        return pair, _before_the_first(pair, plan)
    pair = _until(pair, n)
    judged = judge(pair, findings_of(pair), None, None, Levels(plan.alpha, plan.alpha, 0.0))
    own = _tests(pair, pair.candidates)
    ends = judged.endpoints
    for name in ACCURACY:
        d: Decision = getattr(ends, name)
        if d.decision != "refused":
            crossed = _crossing(own[name], n, plan) if name in own else Decision("inconclusive", reason=UNTOLD_BY_RATIO)
            ends = replace(ends, **{name: replace(crossed, margin=d.margin)})
    needed = required(pair, ends)
    verdict, found = joined(needed), judged.findings
    open_ones = [name for name, d in needed.items() if d.decision != "pass"]
    alone = _tests(pair)
    if verdict == "inconclusive" and all(name in alone and _accepted(alone[name], n, plan) for name in open_ones):
        found = (*found, f.best_of_k(pair.candidates, open_ones, luck_pp, stage=pair.candidate.stage))
    if verdict == "pass" and pair.candidate.screening:
        verdict = "inconclusive"
    judged = replace(judged, endpoints=ends, needed=needed, verdict=verdict, findings=found)
    judged = _time_untested(judged, pair, "a likelihood ratio test decides accuracy only")
    hopeless = any(_rejected(test, n, plan) for test in tests.values())
    stop: Stop | None = "decided" if judged.verdict in ("pass", "fail") else "futility" if hopeless else None
    stop = stop or ("last look" if n == plan.largest else None)
    look = _look_of_sprt(pair, plan, plan.runs.index(n), stop, whole.candidate.n - n)
    look = replace(look, trails=tuple(_trail_of_ratio(name, test, n, plan) for name, test in tests.items()))
    return pair, _told(judged, whole, plan, look)


def _trail_of_ratio(name: str, test: _Ratio, upto: int, plan: LookPlan) -> Trail:
    runs = tuple(n for n in plan.runs if n <= min(upto, test.x.size))
    seen = [test.at(n, plan) for n in runs]
    return Trail(
        name, "log likelihood ratio", runs, tuple(one.llr for one in seen), tuple(one.high for one in seen),
        tuple(one.low for one in seen),
    )  # fmt: skip


def _refuse_other_question(pair: Pair, plan: LookPlan) -> None:
    changed = [
        f"{key} {value}, now {getattr(pair.promise, key)}"
        for key, value in (plan.promise or {}).items()
        if getattr(pair.promise, key) != value
    ]
    if changed:
        raise UsageError(
            f"{pair.candidate.name} was run under a likelihood ratio test that was planned with {'; '.join(changed)}. It answers the "
            "question that it was planned for and no other: leave that option out, or take fresh seeds with --as NAME."
        )


def _tests(pair: Pair, candidates: int = 1) -> dict[str, _Ratio]:
    """By endpoint; several `candidates` share alpha (Bonferroni)."""
    difference, own = paired_by_seed(pair)
    promise = pair.promise
    margin, alpha = promise.margin_pp or 0.0, promise.alpha / candidates
    out = {
        "noninferiority": _Ratio(difference, -margin, 0.0, alpha),
        "superiority": _Ratio(difference, 0.0, margin, alpha),
    }
    if promise.target is not None:
        out["bar"] = _Ratio(100 * own, 100 * promise.target, 100 * promise.target + margin, alpha)
    return out


def _ended_at(tests: Mapping[str, _Ratio], plan: LookPlan, upto: int) -> int | None:
    """The look at which all tests were proven or one was not to be: else the last one that was passed; None before the first."""
    ends = {name: test.first(upto, plan) for name, test in tests.items()}
    states = [state for _, state in ends.values()]
    if not ends or any(state is None for state in states):
        return None
    rejected = [n for n, state in ends.values() if state is not None and state.state == "reject"]
    if rejected:
        return min(rejected)
    if all(state is not None and state.state == "accept" for state in states):
        return max(n for n, _ in ends.values())
    return max(runs for runs in plan.runs if runs <= upto)


def _rejected(test: _Ratio, n: int, plan: LookPlan) -> bool:
    state = test.first(n, plan)[1]
    return state is not None and state.state == "reject"


def _accepted(test: _Ratio, n: int, plan: LookPlan) -> bool:
    state = test.first(n, plan)[1]
    return state is not None and state.state == "accept"


def _crossing(test: _Ratio, upto: int, plan: LookPlan) -> Decision:
    n, state = test.first(upto, plan)
    if state is None:
        return Decision("inconclusive", reason=f"first looked at after {plan.runs[0]} runs")
    ratio = f"log likelihood ratio {state.llr:.2f}"
    if state.state == "continue":
        return Decision("inconclusive", reason=f"{ratio} between {state.low:.2f} and {state.high:.2f}")
    what = f"{ratio} at {n} runs, bounds {state.low:.2f} and {state.high:.2f}"
    if state.state == "accept":
        return Decision("pass", reason=what)
    beyond = t_mixture_sequence(test.x[:n], c2=tuned_c2(plan.fixed), alpha=min(2 * test.alpha, 0.99)).high
    if beyond is not None and beyond < test.mu0:
        return Decision("fail", reason=f"{what}; the confidence sequence lies below, too")
    return Decision("inconclusive", reason=f"{what}: the planned gain is not there")


def _look_of_sprt(pair: Pair, plan: LookPlan, index: int, stop: Stop | None, extra: int) -> Look:
    difference, _ = paired_by_seed(pair)
    shown = t_mixture_sequence(difference, c2=tuned_c2(plan.fixed))
    if difference.size < 2:
        shown = Estimate(None, method="t-mixture confidence sequence", reason="fewer than two pairs of runs")
    untimed = Estimate(None, method="none", reason="a likelihood ratio test decides accuracy only")
    if pair.blocks.n:
        untimed = replace(log_ratio_to_ratio(pair.log_speedup.contrast, "blocks, log ratio, description only"))
    final = shown if stop else replace(shown, value=None, low=None, high=None, reason="the campaign goes on")
    together = t_mixture_sequence(difference, c2=tuned_c2(plan.fixed), alpha=(1 - CONFIDENCE) / pair.candidates)
    return Look(plan, pair.candidate.n, index, stop, shown, untimed, final, untimed, together, extra)
