"""Numbers and verdicts in words, the same in the terminal, in Markdown and in JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from harness.comparison.checks import ENOUGH_RUNS
from harness.comparison.findings import fresh
from harness.comparison.judge import UNDECIDED, Judged, fresh_seeds
from harness.comparison.pair import Pair, Promise
from harness.model.estimate import Decision, Estimate

if TYPE_CHECKING:
    from harness.comparison.looks import Look

MINUS = "−"
FLAGS = {"margin": "--margin-pp", "target": "--target", "max_slowdown": "--max-slowdown"}


def number(x: float, decimals: int, *, sign: bool = False) -> str:
    """A number without the zero before the point: .03, −.20, +1.24."""
    text = f"{abs(x):.{decimals}f}"
    if text.startswith("0.") and len(text) > 2:
        text = text[1:]
    negative = x < 0 and float(f"{x:.{decimals}f}") != 0
    return (MINUS if negative else "+" if sign else "") + text


def counted(n: int, what: str) -> str:
    """A number of things: 1 commit, 2 commits."""
    return f"{n} {what}{'' if n == 1 else 's'}"


def p_text(p: float | None) -> str:
    if p is None:
        return "p unknown"
    if p < 0.001:
        return "p < .001"
    return f"p = {number(p, 3)}"


def decimals_for(half_width: float | None) -> int:
    """Decimals of a percentage: three where the interval is narrower than .02, else two."""
    return 3 if half_width is not None and half_width < 0.02 else 2


def percent_interval(e: Estimate) -> str:
    """An accuracy in per cent with its half-width: 96.41 ± .12 %."""
    if e.value is None:
        return "unknown"
    if e.low is None or e.high is None:
        return f"{100 * e.value:.2f} %"
    half = 50 * (e.high - e.low)
    places = decimals_for(half)
    return f"{100 * e.value:.{places}f} ± {number(half, places)} %"


def pp_interval(e: Estimate) -> str:
    """A difference in percentage points: −.03 pp [−.20, +.14]."""
    if e.value is None:
        return "unknown"
    if e.low is None or e.high is None:
        return f"{number(e.value, 2, sign=True)} pp"
    places = decimals_for((e.high - e.low) / 2)
    low, high = (number(x, places, sign=True) for x in (e.low, e.high))
    return f"{number(e.value, places, sign=True)} pp [{low}, {high}]"


def ratio_interval(e: Estimate) -> str:
    """A ratio: 1.242× [1.231, 1.253]."""
    if e.value is None:
        return "unknown"
    if e.low is None or e.high is None:
        return f"{e.value:.3f}×"
    high = f"{e.high:.3f}" if e.high < 1000 else "> 1000"
    return f"{e.value:.3f}× [{e.low:.3f}, {high}]"


def seconds_interval(e: Estimate) -> str:
    """A time in seconds or milliseconds with its half-width, where it has one."""
    if e.value is None:
        return "unknown"
    scale, unit = (1000.0, "ms") if e.value < 1 else (1.0, "s")
    half = None if e.low is None or e.high is None else scale * (e.high - e.low) / 2
    shown = scale * e.value
    places = 3 if unit == "s" else 1
    if half is not None and half > 0:
        places = min(6, max(0, 1 - math.floor(math.log10(half))))
    return f"{shown:.{places}f}" + (f" ± {number(half, places)}" if half is not None else "") + f" {unit}"


# --- verdicts -----------------------------------------------------------------------------------------------

PASSED = {
    "faster": "FASTER AND NOT WORSE",
    "accurate": "MORE ACCURATE",
    "equivalent": "EQUIVALENT",
    "no-regression": "NO REGRESSION",
    "time-only": "FASTER",
}
SAME = "both arms gave exactly the same results on every seed that they share (dead-knob), so that accuracy cannot tell them apart"
FAILED = {
    "bar": "UNDER THE TARGET",
    "noninferiority": "WORSE",
    "superiority": "NOT MORE ACCURATE",
    "equivalence": "NOT EQUIVALENT",
    "time": "NOT FASTER",
    "time noninferiority": "SLOWER",
    "time equivalence": "TIME NOT EQUIVALENT",
}


def headline(pair: Pair, judged: Judged) -> str:
    """The verdict in one sentence, with the bounds and p-values that it rests on."""
    match judged.verdict:
        case "pass":
            shown = _evidence(pair, judged, dict(reversed(judged.needed.items())))
            return f"{PASSED[pair.promise.claim]}: {shown}{_caveat(pair, judged)}{_unjudged(pair, judged)}{_at_look(judged)}"
        case "fail":
            failed = {name: d for name, d in judged.needed.items() if d.decision == "fail"}
            return f"{FAILED[next(iter(failed))]}: {_evidence(pair, judged, failed)}{_at_look(judged)}"
        case "refused":
            return f"REFUSED: {_refusal(judged.needed)}"
        case "inconclusive":
            return f"INCONCLUSIVE: {_blocking(pair, judged)}"


def _at_look(judged: Judged) -> str:
    return "" if judged.look is None else f" ({judged.look.name})"


def _evidence(pair: Pair, judged: Judged, decisions: Mapping[str, Decision]) -> str:
    return ", ".join(_told(pair, judged, name, d) for name, d in decisions.items())


def _told(pair: Pair, judged: Judged, name: str, d: Decision) -> str:
    """One decided endpoint with its bound and p."""
    passed = d.decision == "pass"
    promise, p = pair.promise, f" ({p_text(d.p)})" if passed and d.p is not None else ""
    if name == "bar":
        edge = "at least" if passed else "at most"
        limit = d.reason if d.bound is None else f"{edge} {100 * d.bound:.3f} %"
        shown = f"accuracy {100 * pair.candidate_mean.value:.3f} % ({limit})"
        return f"{shown} {'reaches' if passed else 'is below'} {_target(promise)}{p}"
    if name == "time":
        s = math.exp(pair.log_speedup.contrast.value)
        return (
            f"{s:.2f}× faster (at least {d.bound:.2f}×)"
            if passed
            else f"{s:.3f}× the control's speed (at most {d.bound:.3f}×)"
        )
    if name == "time equivalence":
        s = math.exp(pair.log_speedup.contrast.value)
        return (
            f"time {'within' if passed else 'outside'} {100 * (promise.max_slowdown or 0):g} % "
            f"(speed-up {s:.3f}×, bound {d.bound:.3f}×)"
        )
    if name.startswith("time"):
        slow = f"{100 * (promise.max_slowdown or 0):g} %"
        s = math.exp(pair.log_speedup.contrast.value)
        return f"time {'not ' if passed else ''}slower by {slow} (speed-up {s:.3f}×, bound {d.bound:.3f}×)"
    if name == "superiority":
        edge = "at least" if passed else "at most"
        limit = d.reason if d.bound is None else f"{edge} {_pp(d.bound)}"
        chance = f", {p_text(d.p)}" if passed and d.p is not None else ""
        return f"accuracy {_pp(_estimate(pair, judged))} ({limit}{chance})"
    margin = f"{number(promise.margin_pp or 0, 2)} pp"
    if name == "equivalence":
        return f"accuracy {'within' if passed else 'outside'} ±{margin} ({_difference(pair, judged)}){p}"
    if passed:
        return f"accuracy not worse by {margin}{p}"
    limit = d.reason if d.bound is None else f"at most {number(d.bound, 3, sign=True)} pp"
    return f"accuracy lower by more than {margin} ({_difference(pair, judged)}; {limit})"


def _pp(value: float) -> str:
    return f"{number(value, 3 if abs(value) < 0.02 else 2, sign=True)} pp"


def _estimate(pair: Pair, judged: Judged) -> float:
    """The difference that the headline tells, as the interval beside it has it."""
    repeated = None if judged.look is None else judged.look.repeated_pp.value
    return pair.difference_pp.value if repeated is None else repeated


def _difference(pair: Pair, judged: Judged) -> str:
    return pp_interval(pair.difference_pp.estimate() if judged.look is None else judged.look.repeated_pp)


def _target(promise: Promise) -> str:
    return f"the target of {100 * (promise.target or 0):g} %"


def _caveat(pair: Pair, judged: Judged) -> str:
    """A pass within the margin that is nevertheless a proven loss is said to be one."""
    upper = pair.difference_pp.upper(pair.promise.alpha) if judged.look is None else judged.look.repeated_pp.high
    if pair.promise.claim in ("faster", "no-regression") and upper is not None and upper < 0:
        return f" (but proven lower, within the margin: {_difference(pair, judged)})"
    return ""


def _unjudged(pair: Pair, judged: Judged) -> str:
    """An equivalence that says nothing of time, although a limit for it was stated, says why."""
    silent = pair.promise.max_slowdown is not None and "time equivalence" not in judged.needed
    if pair.promise.claim != "equivalent" or not silent:
        return ""
    return f"; time was not judged: {judged.endpoints.time_equivalence.reason.split(':')[0]}"


def _refusal(needed: Mapping[str, Decision]) -> str:
    reasons = dict.fromkeys(d.reason for d in needed.values() if d.decision == "refused")
    texts = []
    for reason in reasons:
        if reason == "no margin was stated":
            texts.append(
                "this claim needs a margin, and nobody stated one: "
                "add --margin-pp M (percentage points) to `harness compare`, or state margin_pp in the experiment"
            )
        else:
            texts.append(reason)
    return "; ".join(texts)


def _blocking(pair: Pair, judged: Judged) -> str:
    if judged.look is not None and judged.look.index is None:
        return f"nothing is decided before the first look, at {judged.look.plan.runs[0]} runs" + _lacking(judged.look)
    codes = {finding.code for finding in judged.findings}
    if "screening-sample" in codes:
        return f"passes as a screening result only; confirm on about {judged.more_runs} fresh seeds"
    if "best-of-k" in codes:
        alone = f"passes alone, not as one of {pair.candidates} candidates"
        if judged.look is not None:
            return f"{alone}; {_what_next(judged.look)}"
        return f"{alone}; confirm on about {judged.more_runs} fresh seeds"
    undecided = {name: d for name, d in judged.needed.items() if d.decision == "inconclusive"}
    if not undecided and min(pair.control.n, pair.candidate.n) >= ENOUGH_RUNS:
        return "what it needs is proven, and something else keeps it from passing: see the findings"
    if not undecided:
        return f"fewer than {ENOUGH_RUNS} runs an arm claim nothing; {judged.more_runs} more runs at least{_or_fresh(pair, judged)}"
    same = "dead-knob" in codes
    named = ", ".join(
        SAME
        if same and name in ("noninferiority", "superiority", "equivalence")
        else _open_question(pair, judged, name) + _why(d)
        for name, d in undecided.items()
    )
    if judged.look is not None:
        return f"{named}; {_what_next(judged.look)}"
    if judged.more_runs is None and SAME in named:
        return named
    if judged.more_runs is None:
        return f"{named}; the estimate cannot be told from no effect yet, so no number of runs can be promised"
    time = any(name.startswith("time") for name in undecided) and pair.blocks.n > pair.blocks.invocations
    cheaper = "; for time process starts count more than seeds (`harness plan` weighs them)" if time else ""
    return f"{named}; about {judged.more_runs} more runs an arm would decide it{_or_fresh(pair, judged)}{cheaper}"


def _or_fresh(pair: Pair, judged: Judged) -> str:
    """What does the same on fresh seeds, where the runs are of a known stage: more runs of the same are a second look."""
    if pair.candidate.stage is None:
        return ""
    seeds = max(ENOUGH_RUNS, fresh_seeds(pair, judged.needed))
    return f", or {seeds} fresh seeds ({fresh(pair.candidate.stage)})"


def look_lines(look: Look) -> list[str]:
    """Where a sequential campaign stands, and the estimates of one that stopped."""
    plan = look.plan
    why = {
        "decided": "decided",
        "futility": "stopped for futility"
        + (" (--past-futility goes on: the bound is no obligation)" if plan.mode == "group-sequential" else ""),
        "last look": "the planned runs are spent, and it is not decided",
    }
    fixed = f"{plan.fixed} in one go" if plan.mode == "group-sequential" else f"{plan.fixed} of a fixed design"
    head = f"{look.n} runs an arm (at most {plan.largest}, in place of {fixed}), {look.name}: "
    lines = [head + (why[look.stop] if look.stop else "it goes on")]
    if look.stop and look.final_pp.value is not None:
        lines.append(f"after stopping: difference {pp_interval(look.final_pp)} ({look.final_pp.method})")
    if look.stop and look.final_speedup.value is not None:
        lines.append(f"                speed-up {ratio_interval(look.final_speedup)} ({look.final_speedup.method})")
    return lines


def _what_next(look: Look) -> str:
    """Where an open sequential question goes from here."""
    match look.stop:
        case "futility":
            where = look.name if look.plan.mode == "sprt" else f"at {look.name}"
            return f"stopped {where}: with the {look.plan.largest} planned runs it would hardly pass"
        case "last look":
            return f"the {look.plan.largest} planned runs are spent"
        case _:
            following = look.plan.next_after(look.n)
            return (f"{look.name}; the next is at {following} runs" if following else look.name) + _lacking(look)


def _lacking(look: Look) -> str:
    return f" (there is no completed run of {look.lacking})" if look.lacking else ""


def _why(d: Decision) -> str:
    return "" if d.reason in ("", UNDECIDED) else f" ({d.reason})"


def _open_question(pair: Pair, judged: Judged, name: str) -> str:
    promise = pair.promise
    if name == "bar":
        shown = f" ({100 * pair.candidate_mean.value:.3f} %)" if pair.candidate.n else ""
        return f"whether accuracy reaches {_target(promise)} is open{shown}"
    if name == "time":
        return "whether it is faster is open"
    if name.startswith("time"):
        return f"whether time stays within {100 * (promise.max_slowdown or 0):g} % is open"
    shown = f" ({_difference(pair, judged)})" if pair.candidate.n and pair.control.n else ""
    if name == "superiority":
        return f"whether accuracy is higher is open{shown}"
    relation = "within ±" if name == "equivalence" else "not worse by "
    return f"whether accuracy is {relation}{number(promise.margin_pp or 0, 2)} pp is open{shown}"


def shortened(text: str, most: int = 300) -> str:
    """A text of at most `most` characters, cut between words where it has any."""
    if len(text) <= most:
        return text
    whole, space, _ = text[: most - 3].rpartition(" ")
    return (whole if space and len(whole) > most // 2 else text[: most - 3]) + "..."
