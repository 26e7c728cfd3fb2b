"""What a reader must know before believing a comparison: each check looks at a pair and yields findings."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from scipy import special

from harness.comparison import findings as f
from harness.comparison.frame import Frame, rows_by_code
from harness.comparison.pair import Pair, succeeded
from harness.comparison.samples import (
    SHARED,
    TIMELESS,
    UNTOLD,
    FloatArray,
    Sample,
    completed,
    failed,
    may_agree,
    needed_count,
    stacks,
    timed,
    unreadable,
)
from harness.model.estimate import Finding
from harness.model.experiment import NO_MARGIN
from harness.stats.contrast import Contrast
from harness.stats.level import lasting_step
from harness.stats.moments import moments, skewness
from harness.stats.outliers import outliers
from harness.stats.power import detectable_by_t
from harness.stats.proportions import consistency_p, expected_rate
from harness.stats.series import correlation_time, drift, effective_n, lag1

Check = Callable[[Pair], Iterator[Finding]]
FINE_MARGIN_PP = 0.05
"""Below this margin, accuracies from different numeric stacks are not compared."""
LEAST_SHARE = 0.1
"""Numeric stacks whose shares of the two arms' runs differ by more than this are not the same mixture."""
LEAST_SERIES = 20
"""Fewer times are not looked at as a series."""
LEAST_CHANGE = 0.003
STEP_LEVEL = 0.005
"""Of one arm; both are looked at."""
ENOUGH_RUNS = 10
"""With fewer runs an arm nothing passes, and shapes are not looked at."""


def check_design(pair: Pair) -> Iterator[Finding]:
    """Whether there are times at all, and blocks that hold both arms."""
    names = (pair.control.name, pair.candidate.name)
    sides = (pair.control, pair.candidate)
    frames = (pair.control_timed, pair.candidate_timed)
    empty = [side.name for side, frame in zip(sides, frames, strict=True) if not frame.rows]
    shared = sum(timed(side)[1].get(SHARED, 0) for side in sides)
    if shared:
        yield f.shared_lane(shared, nothing_left=bool(empty))
    if pair.design == "interleaved":
        return
    if empty:
        if not shared:
            yield f.no_times(*names, why=f"{' and '.join(empty)} {'has' if len(empty) == 1 else 'have'} none")
    elif pair.design == "unknown":
        yield f.blocks_unknown(*names)
    else:
        yield f.not_interleaved(*names)


def check_environment(pair: Pair) -> Iterator[Finding]:
    """Different fingerprints within a block refuse time; between the arms they weaken or refuse accuracy."""
    if not pair.control.n or not pair.candidate.n:
        return
    blocks = _mixed_blocks(pair)
    control, candidate = _values(pair.control.runs, "environment"), _values(pair.candidate.runs, "environment")
    other_stack = _foreign_stacks(pair.candidate.runs, pair.control.runs)
    mixed = _shares_apart(pair.candidate.runs, pair.control.runs)
    if not blocks and candidate <= control and not other_stack and not mixed:
        return
    refuses = set[str]()
    if blocks or pair.design != "interleaved":
        refuses.add("time")
    margin = 0.0 if pair.promise.claim == "accurate" else pair.promise.margin_pp  # "higher" allows no margin at all
    if (other_stack or mixed) and margin is not None and margin < FINE_MARGIN_PP:
        refuses.add("accuracy")
    where = f"within {blocks} of {pair.blocks.n} blocks" if blocks else "altogether"
    what = f"{_listed(control)} against {_listed(candidate)}"
    if other_stack:
        what += f" (of the control no run on {' '.join(filter(None, other_stack))})"
    elif mixed:
        what += f" ({mixed})"
    yield f.environment_mismatch(what, refuses=frozenset(refuses), across=where)


def _mixed_blocks(pair: Pair) -> int:
    """Blocks whose two runs stand under different fingerprints, or on different devices or libraries."""
    a, b = pair.blocks.control, pair.blocks.candidate
    (left, mine), (right, theirs) = stacks(a), stacks(b)
    met, which = np.unique(left * max(1, len(theirs)) + right, return_inverse=True)
    pairs = [divmod(key, len(theirs)) for key in met.tolist()]
    apart = np.array([not may_agree(mine[i], theirs[j]) for i, j in pairs], dtype=bool)
    return int(np.count_nonzero((a["environment"] != b["environment"]) | apart[which]))


def _foreign_stacks(candidate: Frame, control: Frame) -> tuple[str, ...] | None:
    """A numeric stack of the candidate on which the control surely has no run."""
    known = set(stacks(control)[1])
    foreign = [x for x in set(stacks(candidate)[1]) if not any(may_agree(x, y) for y in known)]
    return min(foreign, default=None)


def _shares_apart(candidate: Frame, control: Frame) -> str:
    """Where the arms mix several numeric stacks in other proportions, so that a stack's luck is one arm's: which, and how."""
    counts: list[Counter[tuple[str, ...]]] = []
    for frame in (candidate, control):
        codes, names = stacks(frame)
        counts.append(Counter())
        for name, count in zip(names, np.bincount(codes, minlength=len(names)).tolist(), strict=True):
            counts[-1][name] += count
    both = sorted(set(counts[0]) | set(counts[1]))
    if all(may_agree(x, y) for x in both for y in both):
        return ""
    share = {stack: [one[stack] / max(1, one.total()) for one in counts] for stack in both}
    stack = max(both, key=lambda s: abs(share[s][0] - share[s][1]))
    mine, theirs = share[stack]
    if abs(mine - theirs) <= LEAST_SHARE:
        return ""
    return f"{100 * mine:.0f} % of the candidate's runs and {100 * theirs:.0f} % of the control's on {' '.join(filter(None, stack))}"


def _values(frame: Frame, name: str) -> set[str]:
    return set(frame[name].tolist())


def _listed(values: set[str]) -> str:
    return " and ".join(sorted(v or "unknown" for v in values)[:3])


def check_invocations(pair: Pair) -> Iterator[Finding]:
    if pair.design == "interleaved" and pair.log_speedup.clusters < 5:
        yield f.few_invocations(pair.log_speedup.clusters, pair.blocks.unit, planned=pair.candidate.plan is not None)


def check_compute_neutral(pair: Pair) -> Iterator[Finding]:
    """The same work in the same environment: compute hash, steps and fingerprint known and equal in both arms."""
    a, b = (pair.blocks.control, pair.blocks.candidate) if pair.blocks.n else (pair.control.runs, pair.candidate.runs)
    if not a.rows or not b.rows or not all(_known_equal(a, b, n) for n in ("compute_hash", "steps", "environment")):
        return
    measured = ""
    asked = pair.promise.claim in ("faster", "time-only")  # elsewhere nobody asked, and what was measured is no matter
    if asked and pair.design == "interleaved" and pair.log_speedup.contrast.usable:
        measured = f" (measured: {math.exp(pair.log_speedup.contrast.value):.3f}×)"
    yield f.compute_neutral(int(a["steps"].max()), measured, asked=asked)


def _known_equal(a: Frame, b: Frame, name: str) -> bool:
    """Whether a column is known in every row and equal: block by block where the rows are blocks, else one value."""
    x, y = a[name].tolist(), b[name].tolist()
    values, others = set(x), set(y)
    if any(v == "" or v != v for v in values | others):
        return False
    return x == y if len(values) > 1 else values == others


LEAST_SHORTER = 0.05
"""A difference in epochs that the rounding to whole steps cannot explain."""


def check_unequal_training(pair: Pair) -> Iterator[Finding]:
    """Steps or epochs that vary within an arm, or that differ although both arms were asked for the same work or epochs."""
    sides = (pair.control, pair.candidate)
    for what in ("steps", "epochs"):
        ends = [_ends(side.runs, what) for side in sides]
        for side, there in zip(sides, ends, strict=True):
            if len(there) > 1:
                yield f.unequal_training(f"{side.name} made {min(there):g} to {max(there):g} {what}")
                return
        if _same_work(pair) and all(ends) and ends[0] != ends[1]:
            yield f.unequal_training(f"{min(ends[0]):g} against {min(ends[1]):g} {what}")
            return
    asked = [side.epochs_asked for side in sides]
    if asked[0] is not None and asked[0] == asked[1] and all(ends):
        made = [min(there) for there in ends]  # of epochs, the last that was looked at
        if max(made) > (1 + LEAST_SHORTER) * min(made):
            yield f.unequal_training(f"{made[0]:g} against {made[1]:g} epochs, where both were asked for {asked[0]:g}")


def _ends(frame: Frame, what: str) -> set[float]:
    values = frame[what]
    return set(values[~np.isnan(values)].tolist())


def _same_work(pair: Pair) -> bool:
    a, b = (_values(side.runs, "compute_hash") for side in (pair.control, pair.candidate))
    return a == b and "" not in a


def check_data(pair: Pair) -> Iterator[Finding]:
    a, b = pair.control.runs.known("data_hash"), pair.candidate.runs.known("data_hash")
    if a and b and (a != b or _blocks_apart(pair, "data_hash")):
        yield f.data_mismatch(f"hash {_listed(a)}", _listed(b))
        return
    totals = [
        set(side.runs["total"][~np.isnan(side.runs["total"])].tolist()) for side in (pair.control, pair.candidate)
    ]
    if all(totals) and totals[0] != totals[1]:
        shown = [" and ".join(f"{int(n)}" for n in sorted(side)[:3]) for side in totals]
        yield f.data_mismatch(f"{shown[0]} test examples", shown[1])


def _blocks_apart(pair: Pair, name: str) -> bool:
    """Whether any block's two runs differ in a column that is known of both."""
    both = zip(pair.blocks.control[name].tolist(), pair.blocks.candidate[name].tolist(), strict=True)
    return any(a and b and a != b for a, b in both)


def check_seeds_used(pair: Pair) -> Iterator[Finding]:
    """One result from many seeds: the seed does nothing, and there is no error to judge by."""
    for side in (pair.control, pair.candidate):
        seeds = side.runs["seed"][~np.isnan(side.runs["seed"])]
        accuracy = side.accuracy
        if len(set(seeds.tolist())) < 5 or accuracy.size != seeds.size or np.ptp(accuracy) > 0:
            continue
        coarse = bool((side.runs["total"] < 100).any())  # few test examples agree by chance
        if 0 < accuracy[0] < 1 and not coarse:
            yield f.seed_ignored(side.name, accuracy.size)


def check_duplicates(pair: Pair) -> Iterator[Finding]:
    for side in (pair.control, pair.candidate):
        unknown = int(np.isnan(side.runs["seed"]).sum())
        if side.duplicates:
            yield f.duplicate_seeds(side.name, side.duplicates)
        if unknown:
            yield f.seeds_unknown(side.name, unknown, side.n)


def check_clock(pair: Pair) -> Iterator[Finding]:
    a, b = pair.control_timed.known("clock"), pair.candidate_timed.known("clock")
    if a and b and (a != b or _blocks_apart(pair, "clock")):
        yield f.clock_mismatch(_listed(a), _listed(b))


def check_code(pair: Pair) -> Iterator[Finding]:
    sides = (pair.control, pair.candidate)
    codes = [side.runs.known("code_hash") for side in sides]
    for side, versions in zip(sides, codes, strict=True):
        if len(versions) > 1:
            yield f.mixed_code(side.name, len(versions))
        settings = len(side.runs.known("config_hash"))
        if settings > 1:
            yield f.mixed_settings(side.name, settings)
    if all(len(versions) == 1 for versions in codes) and codes[0] != codes[1]:
        configs = [side.runs.known("config_hash") for side in sides]
        yield f.code_mismatch(config_too=configs[0] != configs[1])


def check_time_series(pair: Pair) -> Iterator[Finding]:
    """Drift and autocorrelation of the times in the order of running: of the control, a lasting step of either arm."""
    frame = pair.blocks.control if pair.blocks.n else pair.control_timed
    other = pair.blocks.candidate if pair.blocks.n else pair.candidate_timed
    names = (pair.control.name, pair.candidate.name)
    steps = [_level_step(name, one) for name, one in zip(names, (frame, other), strict=True)]
    if any(steps):
        yield f.level_step([step for step in steps if step])
    if frame.rows < LEAST_SERIES:
        return
    times = frame["time_s"][frame.in_time()]
    change = None if any(steps) else _drift(times)
    if change is not None:
        yield f.drift(change)
    r1 = lag1(times)
    if r1 is not None and r1 > max(0.2, 2.6 / math.sqrt(len(times))):
        yield f.autocorrelated(pair.control.name, r1, effective_n(times), len(times))


def _level_step(name: str, frame: Frame) -> str:
    """How and where the level of an arm's times changed for good, by more than .3 % and surely; empty where it did not."""
    if frame.rows < LEAST_SERIES:
        return ""
    order = frame.in_time()
    starts = None if frame.has_unknown("invocation") else frame["invocation"][order].tolist()
    step = lasting_step(frame["time_s"][order], starts)
    if step is None or step.p >= STEP_LEVEL or abs(step.after / step.before - 1) <= LEAST_CHANGE:
        return ""
    row = order[step.index]
    invocation, block, started = (frame[key][row] for key in ("invocation", "block", "started_at"))
    where = f"run {step.index + 1} of {frame.rows}" if block != block else f"block {int(block)}"
    where += (f" of invocation {invocation}" if invocation else "") + (f", started {started}" if started else "")
    change = 100 * (step.after / step.before - 1)
    return f"The time of {name} went from {step.before:.4g} s to {step.after:.4g} s ({change:+.1f} %) at {where}"


def _drift(times: FloatArray) -> float | None:
    """The change over the campaign in per cent, where it is more than .3 % and more than dependent runs show by chance."""
    slope, steps = drift(times), np.arange(len(times))
    change = 100 * slope.value * (len(times) - 1) / float(times.mean())
    if not slope.usable or slope.se is None or abs(change) <= 100 * LEAST_CHANGE:
        return None
    tau = correlation_time(times - slope.value * steps)
    honest = replace(slope, se=slope.se * math.sqrt(tau), df=max(1.0, len(times) / tau - 2))
    p = honest.p_two_sided()
    return change if p is not None and p < 0.01 else None


def check_first_runs(pair: Pair) -> Iterator[Finding]:
    if pair.first_runs_left_out:
        yield f.slow_first_run(pair.first_runs_left_out)


def check_outliers(pair: Pair) -> Iterator[Finding]:
    if pair.design != "interleaved" or pair.blocks.n < ENOUGH_RUNS:
        return
    decisive = outliers_decide(pair)
    for side, frame in ((pair.control, pair.blocks.control), (pair.candidate, pair.blocks.candidate)):
        far = outliers(frame["time_s"])
        if far:
            yield f.outliers(f"times of {side.name}", len(far), frame.rows, decisive=decisive)
            return
    if decisive:
        yield f.outliers("blocks' speed-ups", int(pair.far_blocks.sum()), pair.blocks.n, decisive=True)


def outliers_decide(pair: Pair) -> bool:
    """Whether the speed-up is proven with all blocks and not without the far ones, or the other way round."""
    if not pair.far_blocks.any():
        return False
    alpha = pair.promise.alpha
    return _sign(pair.log_speedup.contrast, alpha) != _sign(pair.trimmed_log_speedup.contrast, alpha)


def _sign(contrast: Contrast, alpha: float) -> int:
    faster, slower = contrast.p_greater(0), contrast.p_less(0)
    if faster is None or slower is None:
        return 0
    return 1 if faster < alpha else -1 if slower < alpha else 0


def check_skew(pair: Pair) -> Iterator[Finding]:
    for side in (pair.control, pair.candidate):
        if side.n < ENOUGH_RUNS:
            continue
        g1 = skewness(side.accuracy) or 0.0
        far = len(outliers(side.accuracy))
        surely = abs(g1) > 2.9 * math.sqrt(6 / side.n)  # the error of g1 in normal samples
        if abs(g1) > 1 or (abs(g1) > 0.5 and (surely or far > 0.005 * side.n + 0.5)):
            yield f.skewed(side.name, g1, far)


def check_spread(pair: Pair) -> Iterator[Finding]:
    """Standard deviations that differ by more than a factor of 2, and surely: F test at .001, times by effective runs."""
    accuracies = pair.control.accuracy, pair.candidate.accuracy
    frames = (pair.control_timed, pair.candidate_timed)
    if pair.blocks.n:
        frames = (pair.blocks.control, pair.blocks.candidate)
    times = tuple(frame["time_s"][frame.in_time()] for frame in frames)
    for what, series, counts in (
        ("accuracy", accuracies, [float(len(x)) for x in accuracies]),
        ("time", times, [effective_n(x) for x in times]),
    ):
        factor = _surely_wider(series, counts)
        if factor is not None:
            yield f.spread_differs(what, factor)


def _surely_wider(series: Sequence[FloatArray], counts: Sequence[float]) -> float | None:
    """The factor between two standard deviations, on the degrees of freedom of so many independent runs."""
    sides = [(moments(x), max(1.0, n - 1)) for x, n in zip(series, counts, strict=True)]
    if any(m.n < ENOUGH_RUNS or not m.variance for m, _ in sides):
        return None
    (low, df_low), (high, df_high) = sorted(((m.variance or 0.0, df) for m, df in sides))
    ratio = high / low
    return math.sqrt(ratio) if ratio > 4 and special.fdtrc(df_high, df_low, ratio) < 0.001 else None


def check_throttle(pair: Pair) -> Iterator[Finding]:
    reasons = Counter(r for frame in (pair.control_timed, pair.candidate_timed) for r in frame["throttle"].tolist())
    hot = {r: n for r, n in reasons.items() if r not in ("", "none")}
    if hot:
        yield f.throttled(
            sum(hot.values()), pair.control_timed.rows + pair.candidate_timed.rows, ", ".join(sorted(hot)[:3])
        )


def check_dead_knob(pair: Pair) -> Iterator[Finding]:
    """Runs of one seed that agree in every count, where the configurations are said to differ."""
    configs = [side.runs.known("config_hash") for side in (pair.control, pair.candidate)]
    if configs[0] and configs[0] == configs[1]:
        return
    seeds, first = np.unique(pair.control.runs["seed"], return_index=True)
    wanted = pair.candidate.runs["seed"]
    at = np.minimum(np.searchsorted(seeds, wanted), max(0, seeds.size - 1))
    both = np.flatnonzero(seeds[at] == wanted) if seeds.size else np.zeros(0, dtype=np.intp)
    own, accuracy = pair.control.accuracy[first[at[both]]], pair.candidate.accuracy[both]
    if len(both) >= 5 and (own == accuracy).all() and np.ptp(own) > 0:
        yield f.dead_knob(pair.control.name, pair.candidate.name, len(both))


def check_missing(pair: Pair) -> Iterator[Finding]:
    """Gaps in the numbering of replicates, or else blocks without one of the arms; and times that some runs lack."""
    sides = (pair.control, pair.candidate)
    gaps = [gap for side in sides for gap in _replicate_gaps(side)] or _half_blocks(pair)
    for side in sides:
        timeless = timed(side)[1].get(TIMELESS, 0)
        if timeless and timeless < side.n:
            gaps.append(f"the times of {timeless} of {side.n} runs of {side.name}")
    if gaps:
        yield f.missing_runs(", ".join(dict.fromkeys(gaps)))


def _replicate_gaps(side: Sample) -> Iterator[str]:
    rows = side.rows.where(~side.rows["warmup"] & ~np.isnan(side.rows["replicate"]))
    codes, _ = rows.groups("experiment", "stage", "config_hash")
    done = completed(rows)
    for here in rows_by_code(codes):
        numbers = rows["replicate"][here]
        planned = int(numbers.max()) - int(numbers.min()) + 1
        lost = planned - np.unique(numbers[done[here]]).size
        if lost > 0:
            yield f"{lost} of {planned} of {side.name}"


def _half_blocks(pair: Pair) -> list[str]:
    """Blocks of the processes that both arms share in which one arm has no completed run; unless it has one of the same seed in
    another process, where a campaign that was cut off in the middle of a block went on."""
    sides = (pair.control, pair.candidate)
    seeds = [
        dict(zip(zip(s.runs["invocation"].tolist(), s.runs["block"].tolist(), strict=True), s.runs["seed"].tolist(), strict=True))
        for s in sides
    ]  # fmt: skip
    processes = set.intersection(*({name for name, _ in own} for own in seeds)) - {""}
    both = {
        key: seed for own in seeds for key, seed in own.items() if key[0] in processes and key[1] == key[1]
    }  # a block that is unknown is not itself
    gaps = []
    for side, own in zip(sides, seeds, strict=True):
        there = {seed for seed in own.values() if seed == seed}
        lost = sum(key not in own and seed not in there for key, seed in both.items())
        if lost:
            gaps.append(f"{lost} of {len(both)} blocks of {side.name}")
    return gaps


def check_results(pair: Pair) -> Iterator[Finding]:
    """Runs that completed without telling their accuracy: the diverged ones, maybe, and the mean of the others flatters."""
    for side in (pair.control, pair.candidate):
        lost = side.excluded.get(UNTOLD, 0)
        if side.untold is not None:
            yield f.timings_alone(side.name, side.untold.rows)
        elif lost:
            yield f.no_accuracies(side.name, lost, side.n + lost)


def check_crashes(pair: Pair) -> Iterator[Finding]:
    for side in (pair.control, pair.candidate):
        count, lost = int(failed(side.rows).sum()), side.rows.where(unreadable(side.rows))
        if count:
            yield f.crashed_runs(side.name, count, side.n, "")
        if lost.rows:
            yield f.unreadable_status(side.name, lost.rows, sorted(lost.known("status")))


def check_power(pair: Pair) -> Iterator[Finding]:
    least, reach = min(pair.candidate.n, pair.control.n), _reach(pair)
    margin, planned, stage = pair.promise.margin_pp, pair.candidate.plan is not None, pair.candidate.stage
    if least < ENOUGH_RUNS:
        yield f.low_power(least, reach, "", stage=stage, planned=planned)
    elif margin is not None and reach is not None and reach > margin and pair.promise.claim not in NO_MARGIN:
        yield f.low_power(least, reach, f"; the margin is {margin:.2f} pp", stage=stage, planned=planned)


def _reach(pair: Pair) -> float | None:
    """The smallest difference in pp that these runs show with a power of 90 %, by t on their own degrees of freedom."""
    difference = pair.difference_pp
    if not difference.usable or difference.se is None or difference.df is None:
        return None
    return detectable_by_t(se=difference.se, df=difference.df, alpha=pair.promise.alpha)


def check_success_count(pair: Pair) -> Iterator[Finding]:
    """The exact binomial chance of the success count, given mean and standard deviation."""
    target = pair.promise.target
    if target is None:
        return
    for side in (pair.control, pair.candidate):
        finding = _success_count(side, target)
        if finding is not None:
            yield finding


def _success_count(side: Sample, target: float) -> Finding | None:
    m = moments(side.accuracy)
    if m.n < 20 or not m.sd:
        return None
    totals = set(side.runs["total"].tolist())
    reached, grid = target, 0.0
    if len(totals) == 1 and not math.isnan(total := totals.pop()):
        reached, grid = (
            needed_count(target, int(total)) / total,
            1 / total,
        )  # a target between two counts is the upper one
    k, expected = succeeded(side, target), expected_rate(mean=m.mean, sd=m.sd, target=reached, grid=grid)
    if consistency_p(k, m.n, mean=m.mean, sd=m.sd, target=reached, grid=grid) >= 0.001:
        return None
    return f.inconsistent_success_count(side.name, k, m.n, expected * m.n)


def check_peeking(pair: Pair) -> Iterator[Finding]:
    """Earlier judgements of the same arm and stage on fewer runs; below two runs there was nothing to see."""
    candidate, control = pair.candidate, pair.control
    if candidate.plan is not None:  # of a plan any look is free: it decides at its own
        return
    earlier = {s.n for s in candidate.looks if s.n > 1 and s.precedes(candidate.n, control.n, control.stores)}
    if earlier:
        yield f.peeked(candidate.name, sorted(earlier), candidate.n, stage=candidate.stage)


def check_tries(pair: Pair) -> Iterator[Finding]:
    if pair.candidate.tried:
        yield f.re_rolled(pair.candidate.name, pair.candidate.tried, store=pair.candidate.store)


CHECKS: tuple[Check, ...] = (
    check_data,
    check_duplicates,
    check_seeds_used,
    check_design,
    check_environment,
    check_invocations,
    check_compute_neutral,
    check_unequal_training,
    check_clock,
    check_code,
    check_dead_knob,
    check_missing,
    check_results,
    check_crashes,
    check_time_series,
    check_first_runs,
    check_outliers,
    check_skew,
    check_spread,
    check_throttle,
    check_success_count,
    check_power,
    check_peeking,
    check_tries,
)


def findings_of(pair: Pair) -> list[Finding]:
    """Every finding of every check; those that refuse something first."""
    found = [finding for check in CHECKS for finding in check(pair)]
    weight = {"refuse": 0, "warn": 1, "info": 2}
    return sorted(found, key=lambda finding: weight[finding.severity])
