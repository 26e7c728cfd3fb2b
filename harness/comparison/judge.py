"""Endpoints and the verdict: three-valued tests, joined by intersection-union, and the caps of the contract."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from scipy import special

from harness.comparison import findings as f
from harness.comparison.checks import ENOUGH_RUNS
from harness.comparison.pair import Pair
from harness.model.estimate import Decision, Finding, Verdict
from harness.stats.contrast import Contrast
from harness.stats.equivalence import tost
from harness.stats.power import invocations, runs_to_prove, runs_to_prove_balanced
from harness.stats.shrinkage import shrink_one

if TYPE_CHECKING:
    from harness.comparison.looks import Look

UNDECIDED = "neither proven nor refuted"
HANGS_ON_OUTLIERS = "outliers: without the blocks that lie far apart it is decided differently"


@dataclass(frozen=True)
class Endpoints:
    """One decision for every endpoint that has a margin, a target or none to need."""

    bar: Decision
    noninferiority: Decision
    superiority: Decision
    equivalence: Decision
    time: Decision
    time_noninferiority: Decision
    time_equivalence: Decision


def above(contrast: Contrast, null: float, alpha: float) -> Decision:
    """H1: the true value is above `null`; `bound` is the limit that was held against it, in the contrast's unit."""
    greater, less = contrast.p_greater(null), contrast.p_less(null)
    if greater is None or less is None:
        return Decision("inconclusive", margin=null, reason=contrast.reason or "no spread can be estimated")
    if greater < alpha:
        return Decision("pass", contrast.lower(alpha), greater, null)
    if less < alpha:
        return Decision("fail", contrast.upper(alpha), greater, null)
    return Decision("inconclusive", contrast.lower(alpha), greater, null, UNDECIDED)


def inside(contrast: Contrast, low: float, high: float, alpha: float) -> Decision:
    """H1: the true value lies within (low, high): two one-sided tests. Nothing lies within a margin of 0."""
    if not low < high:
        lower, upper = contrast.lower(alpha), contrast.upper(alpha)
        if lower is not None and upper is not None and (lower > high or upper < low):
            return Decision(
                "fail", lower if lower > high else upper, None, high, "the difference is proven not to be 0"
            )
        return Decision(
            "inconclusive", margin=high, reason="a difference of exactly 0 cannot be proven: state a margin"
        )
    result = tost(contrast, low=low, high=high, alpha=alpha)
    if result.p is None or result.low is None or result.high is None:
        return Decision("inconclusive", margin=high, reason=contrast.reason or "no spread can be estimated")
    bound = result.low if abs(result.low - low) < abs(result.high - high) else result.high
    if result.holds(alpha):
        return Decision("pass", bound, result.p, high)
    if result.low >= high or result.high <= low:
        return Decision("fail", bound, result.p, high, "the difference is proven to be outside the margin")
    return Decision("inconclusive", bound, result.p, high, UNDECIDED)


def endpoints(
    pair: Pair, found: Sequence[Finding], *, alpha_accuracy: float, alpha_bar: float, alpha_time: float
) -> Endpoints:
    """Every endpoint at the given one-sided levels; refused where a finding says so."""
    refused = {what: finding for finding in reversed(found) for what in finding.refuses}
    promise, difference = pair.promise, pair.difference_pp
    accuracy = _Endpoint(refused.get("accuracy"))
    time = _Endpoint(refused.get("time"))
    faster = _Endpoint(refused.get("time") or refused.get("time-superiority"))
    margin, target, slow = promise.margin_pp, promise.target, promise.max_slowdown
    return Endpoints(
        bar=accuracy.of(
            None if target is None else above(pair.candidate_mean, target, alpha_bar), "no target was stated"
        ),
        noninferiority=accuracy.of(
            None if margin is None else replace(above(difference, -margin, alpha_accuracy), margin=margin),
            "no margin was stated",
        ),
        superiority=accuracy.of(above(difference, 0.0, alpha_accuracy), ""),
        equivalence=accuracy.of(
            None if margin is None else inside(difference, -margin, margin, alpha_accuracy), "no margin was stated"
        ),
        time=faster.of(_time(pair, lambda c: above(c, 0.0, alpha_time)), "no times to compare"),
        time_noninferiority=time.of(
            None if slow is None else _time(pair, lambda c: above(c, -math.log1p(slow), alpha_time)),
            "no max_slowdown was stated",
        ),
        time_equivalence=time.of(
            None if slow is None else _time(pair, lambda c: inside(c, -math.log1p(slow), math.log1p(slow), alpha_time)),
            "no max_slowdown was stated",
        ),
    )


@dataclass(frozen=True)
class _Endpoint:
    """A decision unless a finding refuses it, or nobody asked."""

    refusal: Finding | None

    def of(self, decision: Decision | None, absent: str) -> Decision:
        if self.refusal is not None and decision is not None:
            return Decision("refused", None, None, decision.margin, f"{self.refusal.code}: {self.refusal.message}")
        return Decision("refused", reason=absent) if decision is None else decision


def _time(pair: Pair, decide: Callable[[Contrast], Decision]) -> Decision:
    """A decision about the log speed-up, shown as a ratio; one that a few far blocks make or break is none."""
    if not pair.blocks.n:
        return Decision("refused", reason="no times to compare")
    decision = decide(pair.log_speedup.contrast)
    decision = replace(decision, bound=_exp(decision.bound), margin=_exp(decision.margin))
    decided = decision.decision in ("pass", "fail")
    if decided and pair.blocks.n >= ENOUGH_RUNS and pair.far_blocks.any():
        trimmed = decide(pair.trimmed_log_speedup.contrast)
        if trimmed.decision != decision.decision:
            return replace(decision, decision="inconclusive", reason=HANGS_ON_OUTLIERS)
    return decision


def _exp(x: float | None) -> float | None:
    return None if x is None else math.exp(x)


# --- the verdict --------------------------------------------------------------------------------------------


def required(pair: Pair, ends: Endpoints) -> dict[str, Decision]:
    """The endpoints that the claim needs, by name."""
    promise = pair.promise
    bar = {"bar": ends.bar} if promise.target is not None else {}
    match promise.claim:
        case "faster":
            return bar | {"noninferiority": ends.noninferiority, "time": ends.time}
        case "accurate":
            return bar | {"superiority": ends.superiority}
        case "equivalent":
            timed = promise.max_slowdown is not None and ends.time_equivalence.decision != "refused"
            return {"equivalence": ends.equivalence} | ({"time equivalence": ends.time_equivalence} if timed else {})
        case "no-regression":
            slow = {"time noninferiority": ends.time_noninferiority} if promise.max_slowdown is not None else {}
            return {"noninferiority": ends.noninferiority} | slow
        case "time-only":
            return {"time": ends.time}


def joined(needed: dict[str, Decision]) -> Verdict:
    """Fail if one fails; else refused if one is refused; else pass if all pass; else inconclusive."""
    decisions = [decision.decision for decision in needed.values()]
    for outcome in ("fail", "refused"):
        if outcome in decisions:
            return outcome
    return "pass" if decisions and all(d == "pass" for d in decisions) else "inconclusive"


@dataclass(frozen=True)
class Levels:
    """One-sided levels: alpha for one candidate, smaller ones where several are judged together."""

    accuracy: float
    bar: float
    time: float


def plain_levels(alpha: float) -> Levels:
    return Levels(alpha, alpha, alpha)


def simultaneous_levels(alpha: float, candidates: int, dunnett_tail: float | None) -> Levels:
    """Dunnett's level for differences from the shared control, Šidák's for bars, Bonferroni's for times."""
    return Levels(
        dunnett_tail if dunnett_tail is not None else alpha / candidates,
        -math.expm1(math.log1p(-alpha) / candidates),
        alpha / candidates,
    )


@dataclass(frozen=True)
class Judged:
    """What the endpoints come to, with the findings that cap them."""

    verdict: Verdict
    endpoints: Endpoints
    needed: dict[str, Decision]
    findings: tuple[Finding, ...]
    more_runs: int | None
    look: Look | None = None
    """Of a sequential campaign: where it stands."""


def judge(
    pair: Pair,
    found: list[Finding],
    simultaneous: Levels | None,
    luck_pp: float | None,
    levels: Levels | None = None,
) -> Judged:
    """The verdict of one pair: joined endpoints, and a pass capped by too few runs, the stage and the other candidates.

    `levels` are those of a sequential look; the promise's alpha elsewhere.
    """
    plain = levels or plain_levels(pair.promise.alpha)
    ends = _at(pair, found, plain)
    needed = required(pair, ends)
    verdict = joined(needed)
    more = more_runs(pair, needed)
    if verdict == "pass":
        caps, wanted = _caps(pair, found, needed, simultaneous, luck_pp)
        found = [*found, *caps]
        if wanted is not None:
            verdict, more = "inconclusive", wanted
        elif simultaneous is not None:  # the bounds that are told are those that the pass rests on
            ends = _at(pair, found, simultaneous)
            needed = required(pair, ends)
    return Judged(verdict, ends, needed, tuple(found), more)


def _caps(
    pair: Pair,
    found: list[Finding],
    needed: Mapping[str, Decision],
    simultaneous: Levels | None,
    luck_pp: float | None,
) -> tuple[list[Finding], int | None]:
    """What keeps a pass from being one, and the runs that it takes; None where nothing does."""
    caps, wanted = [], []
    least = min(pair.control.n, pair.candidate.n)
    if least < ENOUGH_RUNS:
        wanted.append(ENOUGH_RUNS - least)
    together = {} if simultaneous is None else required(pair, _at(pair, found, simultaneous))
    open_ones = [name for name, decision in together.items() if decision.decision != "pass"]
    if open_ones:
        by_luck = luck_pp if luck_pp and {"noninferiority", "superiority"} & set(open_ones) else None
        caps.append(f.best_of_k(pair.candidates, open_ones, by_luck, stage=pair.candidate.stage))
        wanted.append(fresh_seeds(pair, needed))
    if pair.candidate.screening:
        wanted.append(fresh_seeds(pair, needed))
        caps.append(f.screening_sample(wanted[-1]))
    return caps, max(wanted, default=None)


def _at(pair: Pair, found: list[Finding], levels: Levels) -> Endpoints:
    return endpoints(pair, found, alpha_accuracy=levels.accuracy, alpha_bar=levels.bar, alpha_time=levels.time)


# --- how many more ------------------------------------------------------------------------------------------


def more_runs(pair: Pair, needed: dict[str, Decision]) -> int | None:
    """Runs that the inconclusive endpoints still need to pass if the shrunken estimates are true; 0 if all pass.

    Runs of the candidate, and as many of the control where both grow together or its runs alone cannot do it.
    None where no number of runs would do.
    """
    if any(d.decision in ("fail", "refused") for d in needed.values()):
        return None
    counts = [_more(pair, name) for name, d in needed.items() if d.decision == "inconclusive"]
    if any(count is None for count in counts):
        return None
    return max((count for count in counts if count is not None), default=0)


def _more(pair: Pair, endpoint: str, *, fresh: bool = False) -> int | None:
    """Runs beyond those that are there, or with `fresh` as if none were."""
    if endpoint.startswith("time"):
        return _more_for_time(pair, endpoint, fresh=fresh)
    contrast = pair.candidate_mean if endpoint == "bar" else pair.difference_pp
    if not contrast.usable or contrast.se is None or contrast.sd is None:
        least = pair.candidate.n if endpoint == "bar" else min(pair.candidate.n, pair.control.n)
        return ENOUGH_RUNS - least if least < ENOUGH_RUNS else None
    promise, alpha, n = pair.promise, pair.promise.alpha, 0 if fresh else pair.candidate.n
    # Two one-sided tests must both pass: with no difference each of them has to with half of the missing power.
    power = 0.95 if endpoint == "equivalence" else 0.9
    if endpoint == "bar":
        assert promise.target is not None
        estimate = shrink_one(contrast.value - promise.target, contrast.se)
        return runs_to_prove(estimate=estimate, margin=0.0, sd=contrast.sd, n=n, alpha=alpha)
    estimate, margin = shrink_one(contrast.value, contrast.se), promise.margin_pp or 0.0
    if endpoint == "superiority":
        margin = 0.0
    if endpoint == "equivalence":
        estimate = -abs(estimate)
    if pair.paired_accuracies is not None:
        return runs_to_prove(estimate=estimate, margin=margin, sd=contrast.sd, n=n, alpha=alpha, power=power)
    balanced = runs_to_prove_balanced(estimate=estimate, margin=margin, sd=contrast.sd, n=n, alpha=alpha, power=power)
    if fresh or _grows_together(pair):
        return balanced
    alone = runs_to_prove(
        estimate=estimate, margin=margin, sd=contrast.sd, n=n, alpha=alpha, power=power, control_runs=pair.control.n
    )
    return balanced if alone is None else alone


def _grows_together(pair: Pair) -> bool:
    """Whether more seeds give both arms more runs, as in a plain interleaved experiment without a frozen anchor."""
    return pair.design == "interleaved" and pair.control.n <= 1.5 * pair.candidate.n


def _more_for_time(pair: Pair, endpoint: str, *, fresh: bool) -> int | None:
    result = pair.log_speedup
    contrast = result.contrast
    if not contrast.usable or contrast.se is None:
        return None
    slow = math.log1p(pair.promise.max_slowdown or 0.0) if endpoint != "time" else 0.0
    estimate = shrink_one(contrast.value, contrast.se)
    distance = slow - abs(estimate) if endpoint == "time equivalence" else estimate + slow
    sd = contrast.se * math.sqrt(result.clusters)
    wanted = invocations(log_ratio=distance, sd_between=sd, alpha=pair.promise.alpha)
    if wanted is None:
        return None
    per_invocation = math.ceil(pair.blocks.n / result.clusters)
    return max(1, wanted - (0 if fresh else result.clusters)) * per_invocation


def fresh_seeds(pair: Pair, needed: Mapping[str, Decision]) -> int:
    """Fresh seeds that would pass: what the hardest of its endpoints needs if the shrunken estimates are true."""
    wanted = [_more(pair, name, fresh=True) or 0 for name in needed]
    return max(pair.candidate.n, *wanted)


def dunnett_tail(critical: float, df: float) -> float:
    """The one-sided level of a single t test at the critical value of many."""
    return float(special.stdtr(df, -critical))
