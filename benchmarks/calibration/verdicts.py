"""How often the whole verdict passes what is not true, and finds what is."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from benchmarks.calibration.cells import HIT, Cell, three_se
from benchmarks.calibration.draws import Campaign, rivals
from harness.comparison import compare
from harness.comparison.checks import findings_of
from harness.comparison.judge import judge
from harness.comparison.pair import Pair, Promise
from harness.model.estimate import Verdict
from harness.stats import proportions

MARGIN, SLOW = 0.2, 0.02
TARGET = 94.0
"""Margin in points, permitted slowdown, target in per cent: wide enough that what is true by far passes always."""


@dataclass(frozen=True)
class Null:
    """A claim of which one part stands exactly at its limit while all others hold by far: where a false pass is likeliest."""

    promise: Promise
    part: str
    control: float
    candidate: float
    speedup: float


def _promise(claim: str, target: float | None = TARGET) -> Promise:
    reached = None if target is None else target / 100
    return Promise(claim, target=reached, margin_pp=MARGIN, max_slowdown=SLOW)  # type: ignore[arg-type]


NULLS = (
    Null(_promise("faster", TARGET - 1), "time equal", TARGET, TARGET, 1.0),
    Null(_promise("faster", TARGET - 1), "accuracy lower by the margin", TARGET, TARGET - MARGIN, 1.25),
    Null(_promise("faster"), "accuracy at the target", TARGET - 1, TARGET, 1.25),
    Null(_promise("accurate", TARGET - 1), "accuracy equal", TARGET, TARGET, 1.0),
    Null(_promise("accurate"), "accuracy at the target", TARGET - 1, TARGET, 1.0),
    Null(_promise("equivalent", None), "accuracy lower by the margin", TARGET, TARGET - MARGIN, 1.0),
    Null(_promise("equivalent", None), "accuracy higher by the margin", TARGET, TARGET + MARGIN, 1.0),
    Null(_promise("equivalent", None), "time longer by the limit", TARGET, TARGET, 1 / (1 + SLOW)),
    Null(_promise("no-regression", None), "accuracy lower by the margin", TARGET, TARGET - MARGIN, 1.25),
    Null(_promise("no-regression", None), "time longer by the limit", TARGET, TARGET + 1, 1 / (1 + SLOW)),
)

PLAIN = Campaign()
MIXED = replace(PLAIN, process=0.01, interaction=0.003)
LONG = replace(MIXED, invocations=10, blocks=20)
BOTH = {
    "independent runs": PLAIN,
    "25 against 1000, arm-by-process effect": replace(MIXED, frozen=975),
    "10 × 20 runs, arm-by-process effect": LONG,
}
TIME = {
    "process effect 1 %": replace(PLAIN, process=0.01),
    "arm-by-process effect .3 %": MIXED,
    "drift 1 %": replace(PLAIN, drift=0.01),
    "AR(1) .9": replace(PLAIN, ar=0.9),
}
ACCURACY = {
    "drift, AR(1), process and arm-by-process effects": replace(MIXED, drift=0.01, ar=0.9),
    "normal, not quantised": replace(MIXED, shape="normal"),
    "t5": replace(MIXED, shape="t5"),
}
"""What only the times feel is given to accuracy all at once."""
SKEWED = {
    "left-skewed, n = 10": (replace(PLAIN, blocks=2, shape="left-skewed"), 0.07),
    "left-skewed, n = 25": (replace(PLAIN, shape="left-skewed"), 0.07),
    "left-skewed, 25 against 1000": (replace(PLAIN, shape="left-skewed", frozen=975), 0.07),
    "left-skewed, n = 200": (replace(PLAIN, invocations=10, blocks=20, shape="left-skewed"), 0.06),
}


def remember_pure_functions() -> None:
    """Two slow functions of few arguments, computed once for each: no number changes."""
    proportions.boschloo_p = functools.cache(proportions.boschloo_p)
    plain = compare.critical_value
    known = functools.cache(lambda lam, **how: plain(np.array(lam), **how))
    compare.critical_value = lambda lam, **how: known(tuple(lam.tolist()), **how)  # type: ignore[assignment]


def judged(rng: np.random.Generator, campaign: Campaign, null: Null) -> tuple[Verdict, set[str]]:
    """The verdict and the codes of its findings: all checks, endpoints, joining and caps.

    Only what is printed beside a verdict is left out (it takes half of the time); in one repeat of 50 the whole
    comparison must say the same.
    """
    control, candidate = campaign.samples(rng, control=null.control, candidate=null.candidate, speedup=null.speedup)
    pair = Pair(control, candidate, null.promise)
    result = judge(pair, findings_of(pair), None, None)
    found = {finding.code for finding in result.findings}
    if rng.random() < 0.02:
        whole = compare.compare_samples(control, [candidate], null.promise).comparisons[0]
        assert (whole.verdict, {finding.code for finding in whole.findings}) == (result.verdict, found)
    return result.verdict, found


def passes(rng: np.random.Generator, campaign: Campaign, null: Null) -> tuple[str, ...]:
    """Whether it passes, and whether the reader is told that the accuracies are skewed."""
    verdict, found = judged(rng, campaign, null)
    hit, skewed = verdict == "pass", "skewed" in found
    return (*((HIT,) if hit else ()), *(("skewed",) if skewed else ()), *(("both",) if hit and skewed else ()))


def fails(rng: np.random.Generator, campaign: Campaign, null: Null) -> tuple[str, ...]:
    return (HIT,) if judged(rng, campaign, null)[0] == "fail" else ()


def any_passes(rng: np.random.Generator, k: int, n: int, control: int) -> tuple[str, ...]:
    """Whether any of `k` equal candidates passes as more accurate, and whether any simultaneous interval misses 0."""
    first, *others = rivals(rng, k=k, n=n, control=control)
    found = compare.compare_samples(first, others, Promise("accurate")).comparisons
    tags = [HIT] if any(one.verdict == "pass" for one in found) else []
    for one in found:
        s = one.selection
        if s is None or s.low_pp is None or s.high_pp is None or not s.low_pp <= 0 <= s.high_pp:
            return (*tags, "interval")
    return tuple(tags)


def cells(quick: bool) -> Iterator[Cell]:
    """False passes of every claim under every condition, power, and several candidates."""
    repeats = 200 if quick else 2000
    most = 0.05 + three_se(0.05, repeats)
    yield from _power(repeats)
    for null in NULLS:
        conditions = BOTH if "higher" in null.part else BOTH | (TIME if null.part.startswith("time") else ACCURACY)
        for name, campaign in conditions.items():
            yield Cell("false pass", f"{null.promise.claim}: {null.part}", name, repeats,
                       partial(passes, campaign=campaign, null=null), 0.0, most)  # fmt: skip
        yield from _skewed(null, repeats)
    yield from _many(repeats)


def _skewed(null: Null, repeats: int) -> Iterator[Cell]:
    """Where the attainable rate lies near the limit (one arm's mean, or unequal sizes), five times the repeats."""
    if not null.part.startswith("accuracy") or "higher" in null.part:
        return
    bar = null.part.endswith("target")
    for name, (campaign, limit) in SKEWED.items():
        if bar and campaign.frozen:
            continue
        close = bar or campaign.frozen
        yield Cell("false pass", f"{null.promise.claim}: {null.part}", name, repeats * (5 if close else 1),
                   partial(passes, campaign=campaign, null=null), 0.0, limit, expected="left-skewed: t is optimistic")  # fmt: skip


GAIN = Null(_promise("faster", TARGET - 1), "2 % faster, equally accurate", TARGET, TARGET, 1.02)
LOSS = Null(Promise("accurate"), "proven below the control (verdict `fail`)", TARGET, TARGET - 0.05, 1.0)


def _power(repeats: int) -> Iterator[Cell]:
    yield Cell("power", f"faster: {GAIN.part}", "5 × 5 blocks, arm-by-process effect .3 %", repeats,
               partial(passes, campaign=MIXED, null=GAIN), 0.9, 1.0)  # fmt: skip
    fresh = replace(PLAIN, invocations=10, blocks=20, frozen=800)
    yield Cell("power", f"accurate: {LOSS.part}", "−.05 pp, 200 fresh seeds against 1000", repeats,
               partial(fails, campaign=fresh, null=LOSS), 0.9, 1.0)  # fmt: skip


def _many(repeats: int) -> Iterator[Cell]:
    for k, n, control in ((9, 25, 25), (9, 25, 1000), (35, 25, 1000)):
        yield Cell("several candidates", "accurate: any of K equal candidates", f"K = {k}, {n} against {control}", repeats,
                   partial(any_passes, k=k, n=n, control=control), 0.0, 0.05 + three_se(0.05, repeats))  # fmt: skip
