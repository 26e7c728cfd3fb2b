"""What a reader must know before believing a comparison: each check looks at a pair and yields findings."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
from scipy import special

from harness.comparison import findings as f
from harness.comparison.frame import Frame
from harness.comparison.pair import Pair, succeeded
from harness.comparison.samples import Sample, timed
from harness.model.estimate import Finding
from harness.stats.clustered import clustered_mean
from harness.stats.contrast import Contrast
from harness.stats.moments import moments, skewness
from harness.stats.outliers import mad_z, outliers
from harness.stats.power import detectable_difference
from harness.stats.proportions import binomial_p
from harness.stats.series import drift, effective_n, lag1

Check = Callable[[Pair], Iterator[Finding]]
FINE_MARGIN_PP = 0.05
"""Below this margin, accuracies from different numeric stacks are not compared."""


def check_design(pair: Pair) -> Iterator[Finding]:
    """Whether there are times at all, and blocks that hold both arms."""
    names = (pair.control.name, pair.candidate.name)
    sides = (pair.control, pair.candidate)
    shared = sum(timed(side)[1].get("times of the shared lane", 0) for side in sides)
    if shared:
        yield f.shared_lane(shared)
    if pair.design == "interleaved":
        return
    empty = [
        s.name for s, frame in zip(sides, (pair.control_timed, pair.candidate_timed), strict=True) if not frame.rows
    ]
    if empty:
        if not shared:
            yield f.no_times(*names, why=f"{' and '.join(empty)} {'has' if len(empty) == 1 else 'have'} none")
    elif pair.design == "unknown":
        yield f.blocks_unknown(*names)
    else:
        yield f.not_interleaved(*names)


def check_environment(pair: Pair) -> Iterator[Finding]:
    """Different fingerprints within a block refuse time; between the arms they weaken or refuse accuracy."""
    a, b = pair.blocks.control["environment"], pair.blocks.candidate["environment"]
    blocks = int((a != b).sum()) if pair.blocks.n else 0
    control, candidate = _values(pair.control.runs, "environment"), _values(pair.candidate.runs, "environment")
    apart = not candidate <= control
    if not blocks and not apart:
        return
    refuses = set[str]()
    if blocks or pair.design != "interleaved":
        refuses.add("time")
    margin = pair.promise.margin_pp
    if (
        apart
        and not _stacks(pair.candidate.runs) <= _stacks(pair.control.runs)
        and margin is not None
        and margin < FINE_MARGIN_PP
    ):
        refuses.add("accuracy")
    where = f"within {blocks} of {pair.blocks.n} blocks" if blocks else "altogether"
    yield f.environment_mismatch(
        f"{_listed(control)} against {_listed(candidate)}", refuses=frozenset(refuses), across=where
    )


def _values(frame: Frame, name: str) -> set[str]:
    return set(frame[name].tolist())


def _listed(values: set[str]) -> str:
    return " and ".join(sorted(v or "unknown" for v in values)[:3])


STACK = ("device", "cuda", "cudnn", "torch")


def _stacks(frame: Frame) -> set[tuple[str, ...]]:
    """The numeric stacks of the runs: the device (the processor where there is none) and the libraries on it."""
    rows = zip(*(frame[name].tolist() for name in (*STACK, "cpu")), strict=True)
    return {(*row[:4], row[4] if row[0] in ("cpu", "") else "") for row in set(rows)}


def check_invocations(pair: Pair) -> Iterator[Finding]:
    if pair.design == "interleaved" and pair.log_speedup.clusters < 5:
        yield f.few_invocations(pair.log_speedup.clusters, pair.blocks.unit)


def check_compute_neutral(pair: Pair) -> Iterator[Finding]:
    """The same work in the same environment: steps, compute hash, data and fingerprint known and equal in both arms."""
    sides = (pair.control.runs, pair.candidate.runs)
    if pair.blocks.n:
        sides = (pair.blocks.control, pair.blocks.candidate)
    compute, environment = ([_values(s, name) for s in sides] for name in ("compute_hash", "environment"))
    steps = [set(s["steps"].tolist()) for s in sides]
    same = all(len(x[0]) == 1 and x[0] == x[1] and "" not in x[0] for x in (compute, environment))
    if not same or len(steps[0]) != 1 or steps[0] != steps[1] or math.isnan(next(iter(steps[0]))):
        return
    measured = ""
    if pair.design == "interleaved" and pair.log_speedup.contrast.usable:
        measured = f" (measured: {math.exp(pair.log_speedup.contrast.value):.3f}×)"
    yield f.compute_neutral(int(next(iter(steps[0]))), measured)


def check_unequal_training(pair: Pair) -> Iterator[Finding]:
    """Steps that vary within an arm, or that differ although both arms were asked for the same work."""
    for side in (pair.control, pair.candidate):
        steps = side.runs["steps"][~np.isnan(side.runs["steps"])]
        if steps.size and np.ptp(steps) > 0:
            yield f.unequal_training(f"{side.name} made {int(steps.min())} to {int(steps.max())} steps")
            return
    a, b = (side.runs for side in (pair.control, pair.candidate))
    same_work = _values(a, "compute_hash") == _values(b, "compute_hash") and "" not in _values(a, "compute_hash")
    ends = [set(s["steps"].tolist()) | set(s["epochs"].tolist()) for s in (a, b)]
    if same_work and not any(math.isnan(x) for e in ends for x in e) and ends[0] != ends[1]:
        yield f.unequal_training(f"{sorted(ends[0])} against {sorted(ends[1])} steps and epochs")


def check_data(pair: Pair) -> Iterator[Finding]:
    a, b = pair.control.runs.known("data_hash"), pair.candidate.runs.known("data_hash")
    if a and b and a != b:
        yield f.data_mismatch(_listed(a), _listed(b))


def check_duplicates(pair: Pair) -> Iterator[Finding]:
    for side in (pair.control, pair.candidate):
        if side.duplicates:
            yield f.duplicate_seeds(side.name, side.duplicates)


def check_clock(pair: Pair) -> Iterator[Finding]:
    a, b = pair.control_timed.known("clock"), pair.candidate_timed.known("clock")
    if a and b and a != b:
        yield f.clock_mismatch(_listed(a), _listed(b))


def check_code(pair: Pair) -> Iterator[Finding]:
    sides = (pair.control, pair.candidate)
    codes = [side.runs.known("code_hash") for side in sides]
    for side, versions in zip(sides, codes, strict=True):
        if len(versions) > 1:
            yield f.mixed_code(side.name, len(versions))
    if all(len(versions) == 1 for versions in codes) and codes[0] != codes[1]:
        configs = [side.runs.known("config_hash") for side in sides]
        yield f.code_mismatch(config_too=configs[0] != configs[1])


def check_time_series(pair: Pair) -> Iterator[Finding]:
    """Drift and autocorrelation of the control's times in the order of running."""
    frame = pair.blocks.control if pair.blocks.n else pair.control_timed
    if frame.rows < 20 or frame.has_unknown("started_at"):
        return
    times = frame["time_s"][np.argsort(frame["started_at"].astype(str), kind="stable")]
    slope = drift(times)
    change = 100 * slope.value * (len(times) - 1) / float(times.mean())
    p = slope.p_two_sided()
    if p is not None and p < 0.01 and abs(change) > 0.3:
        yield f.drift(change)
    r1 = lag1(times)
    if r1 is not None and r1 > max(0.2, 2.6 / math.sqrt(len(times))):
        yield f.autocorrelated(pair.control.name, r1, effective_n(times), len(times))


def check_first_runs(pair: Pair) -> Iterator[Finding]:
    if pair.first_runs_left_out:
        yield f.slow_first_run(pair.first_runs_left_out)


def check_outliers(pair: Pair) -> Iterator[Finding]:
    if pair.design != "interleaved" or pair.blocks.n < 10:
        return
    for side, frame in ((pair.control, pair.blocks.control), (pair.candidate, pair.blocks.candidate)):
        far = outliers(frame["time_s"])
        if far:
            yield f.outliers(side.name, len(far), frame.rows, decisive=outliers_decide(pair))
            return


def trimmed_log_speedup(pair: Pair) -> Contrast:
    """The clustered log speed-up without the blocks that lie more than 5 robust deviations out."""
    d = pair.blocks.log_speedup
    keep = np.abs(mad_z(d)) <= 5
    return clustered_mean(d[keep], pair.blocks.clusters[keep]).contrast


def outliers_decide(pair: Pair) -> bool:
    """Whether the speed-up is proven with all blocks and not without the outlying ones, or the other way round."""
    alpha = pair.promise.alpha
    verdicts = [_sign(c, alpha) for c in (pair.log_speedup.contrast, trimmed_log_speedup(pair))]
    return verdicts[0] != verdicts[1]


def _sign(contrast: Contrast, alpha: float) -> int:
    faster, slower = contrast.p_greater(0), contrast.p_less(0)
    if faster is None or slower is None:
        return 0
    return 1 if faster < alpha else -1 if slower < alpha else 0


def check_skew(pair: Pair) -> Iterator[Finding]:
    for side in (pair.control, pair.candidate):
        if side.n < 10:
            continue
        g1 = skewness(side.accuracy) or 0.0
        far = len(outliers(side.accuracy))
        if abs(g1) > 1 or (abs(g1) > 0.5 and far > 0.005 * side.n + 0.5):
            yield f.skewed(side.name, g1, far)


def check_spread(pair: Pair) -> Iterator[Finding]:
    """Standard deviations that differ by more than a factor of 2, and surely (F test at .001)."""
    series = [("accuracy", pair.control.accuracy, pair.candidate.accuracy)]
    if pair.blocks.n:
        series.append(("time", pair.blocks.control["time_s"], pair.blocks.candidate["time_s"]))
    for what, a, b in series:
        ma, mb = moments(a), moments(b)
        if min(ma.n, mb.n) < 10 or not ma.variance or not mb.variance:
            continue
        top, bottom = (ma, mb) if ma.variance > mb.variance else (mb, ma)
        ratio = top.variance / bottom.variance  # type: ignore[operator]
        if ratio > 4 and special.fdtrc(top.n - 1, bottom.n - 1, ratio) < 0.001:
            yield f.spread_differs(what, math.sqrt(ratio))


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
    own = dict(zip(pair.control.runs["seed"].tolist(), pair.control.accuracy.tolist(), strict=True))
    seeds = zip(pair.candidate.runs["seed"].tolist(), pair.candidate.accuracy.tolist(), strict=True)
    both = [(own[seed], accuracy) for seed, accuracy in seeds if seed in own]
    if len(both) >= 5 and all(a == b for a, b in both) and len({a for a, _ in both}) > 1:
        yield f.dead_knob(pair.control.name, pair.candidate.name, len(both))


def check_missing(pair: Pair) -> Iterator[Finding]:
    """Gaps in the numbering of replicates, which every store of the harness has."""
    gaps = []
    for side in (pair.control, pair.candidate):
        rows = side.rows.where(~side.rows["warmup"] & ~np.isnan(side.rows["replicate"]))
        done = rows["status"] == "completed"
        groups = set(zip(rows["experiment"].tolist(), rows["stage"].tolist(), strict=True))
        for experiment, stage in groups:
            here = (rows["experiment"] == experiment) & (rows["stage"] == stage)
            tried, completed = set(rows["replicate"][here].tolist()), set(rows["replicate"][here & done].tolist())
            planned = set(range(int(max(tried)) + 1))
            if planned - completed:
                gaps.append(f"{len(planned - completed)} of {len(planned)} of {side.name}")
    if gaps:
        yield f.missing_runs(", ".join(dict.fromkeys(gaps)))


def check_crashes(pair: Pair) -> Iterator[Finding]:
    for side in (pair.control, pair.candidate):
        failed = ~side.rows["warmup"] & ~np.isin(side.rows["status"].astype(str), ("completed", ""))
        if failed.any():
            yield f.crashed_runs(side.name, int(failed.sum()), side.n, "")


def check_power(pair: Pair) -> Iterator[Finding]:
    n, n0 = pair.candidate.n, pair.control.n
    sd, margin = pair.difference_pp.sd, pair.promise.margin_pp
    if min(n, n0) < 2 or sd is None:
        return
    reach = detectable_difference(sd=sd, n=n, alpha=pair.promise.alpha, control_runs=n0)
    if min(n, n0) < 10:
        yield f.low_power(min(n, n0), reach, "")
    elif margin is not None and reach > margin and pair.promise.claim != "accurate" and pair.shared_training is None:
        yield f.low_power(n, reach, f"; the margin is {margin:.2f} pp")


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
    totals = side.runs["total"]
    grid = 0.0 if np.isnan(totals).any() else 1 / float(totals.max())
    expected = float(special.ndtr((m.mean - (target - grid / 2)) / m.sd))
    k = succeeded(side, target)
    if binomial_p(k, m.n, min(1 - 1e-12, max(1e-12, expected))) >= 0.001:
        return None
    return f.inconsistent_success_count(side.name, k, m.n, expected * m.n)


CHECKS: tuple[Check, ...] = (
    check_data,
    check_duplicates,
    check_design,
    check_environment,
    check_invocations,
    check_compute_neutral,
    check_unequal_training,
    check_clock,
    check_code,
    check_dead_knob,
    check_missing,
    check_crashes,
    check_time_series,
    check_first_runs,
    check_outliers,
    check_skew,
    check_spread,
    check_throttle,
    check_success_count,
    check_power,
)


def findings_of(pair: Pair) -> list[Finding]:
    """Every finding of every check; those that refuse something first."""
    found = [finding for check in CHECKS for finding in check(pair)]
    weight = {"refuse": 0, "warn": 1, "info": 2}
    return sorted(found, key=lambda finding: weight[finding.severity])
