"""A/A: how often this harness's own judgement calls equal things different, on the user's stored runs.

Accuracy: the runs of one arm are split at random, without replacement, into two disjoint samples, which differ by chance alone.
Time: the arm labels of whole invocations are swapped at random, which is what would have been seen if the arms did the same work
(2^S patterns; below six invocations they are too few to say anything). Splitting single runs for time would be a permutation
test, which an analysis that forgets the process start passes too.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from harness.comparison.pair import Pair
from harness.model.estimate import Estimate
from harness.stats.proportions import clopper_pearson

FloatArray = NDArray[np.float64]
SHUFFLED = "the runs of {control} over two halves (accuracy), the labels of the arms in whole process starts (time)"
INTERVAL = "95 % Monte-Carlo interval of the rate over such shuffles of these runs; more --repeats narrow it, new runs may lie outside"
LEAST_INVOCATIONS = 6
LEAST_RUNS = 20


@dataclass(frozen=True)
class Alarm:
    """False alarms of one endpoint: `count` of `repeats` shuffles; `reason` where nothing can be said.

    The interval of the `rate` is that of the shuffles (Monte Carlo, Clopper-Pearson 95 %), not that of new runs; where every
    pattern was tried (`exhaustive`) it is the rate itself.
    """

    name: str
    repeats: int
    count: int
    rate: Estimate
    sizes: tuple[int, int] = (0, 0)
    reason: str = ""
    exhaustive: bool = False

    def as_dict(self) -> dict[str, Any]:
        out: dict[str, Any] = {"name": self.name, "repeats": self.repeats, "false_alarms": self.count}
        out |= {"rate": self.rate.value, "ci95": [self.rate.low, self.rate.high], "sizes": list(self.sizes)}
        out |= {"exhaustive": self.exhaustive}
        return out | ({"reason": self.reason} if self.reason else {})


def _alarm(name: str, hits: NDArray[np.bool_], sizes: tuple[int, int], *, exhaustive: bool = False) -> Alarm:
    count, repeats = int(hits.sum()), int(hits.size)
    rate = clopper_pearson(count, repeats)
    if exhaustive:
        rate = Estimate(rate.value, rate.value, rate.value, method="all patterns")
    return Alarm(name, repeats, count, rate, sizes, exhaustive=exhaustive)


def _cannot(name: str, reason: str) -> Alarm:
    return Alarm(name, 0, 0, Estimate(None, method="clopper-pearson", reason=reason), reason=reason)


@dataclass(frozen=True)
class Splits:
    """Differences of random disjoint halves in percentage points with their Welch errors, all (repeats,)."""

    difference: FloatArray
    se: FloatArray
    df: FloatArray
    size: int

    def above(self, null: float, alpha: float) -> NDArray[np.bool_]:
        """Where the difference is called greater than `null`."""
        with np.errstate(invalid="ignore", divide="ignore"):
            out: NDArray[np.bool_] = special.stdtr(self.df, -(self.difference - null) / self.se) < alpha
        return out


def split_accuracy(accuracy: FloatArray, *, repeats: int, rng: np.random.Generator) -> Splits | None:
    """`accuracy` (n,) split at random into two disjoint halves, `repeats` times; None below 20 runs or without spread."""
    n = accuracy.size
    if n < LEAST_RUNS or np.ptp(accuracy) == 0:
        return None
    half = n // 2
    halves = np.empty((2, repeats, half))
    for i in range(repeats):
        order = rng.permutation(n)
        halves[0, i], halves[1, i] = accuracy[order[:half]], accuracy[order[half : 2 * half]]
    means, variances = 100 * halves.mean(axis=2), 100**2 * halves.var(axis=2, ddof=1) / half
    with np.errstate(invalid="ignore", divide="ignore"):
        df = variances.sum(axis=0) ** 2 / ((variances**2).sum(axis=0) / (half - 1))
    return Splits(means[0] - means[1], np.sqrt(variances.sum(axis=0)), df, half)


def swap_labels(
    log_speedup: FloatArray, clusters: NDArray[Any], *, alpha: float, repeats: int, rng: np.random.Generator
) -> NDArray[np.bool_] | None:
    """Whether the clustered test calls the candidate faster, over swaps of whole clusters: all 2^S, or `repeats` at random."""
    names = list(dict.fromkeys(clusters.tolist()))
    s = len(names)
    if s < LEAST_INVOCATIONS:
        return None
    sizes = np.array([(clusters == name).sum() for name in names], dtype=np.float64)
    totals = np.array([log_speedup[clusters == name].sum() for name in names])
    if _exhaustive(s, repeats):
        signs = np.array(list(itertools.product((1.0, -1.0), repeat=s)))
    else:
        signs = rng.choice((1.0, -1.0), size=(repeats, s))
    flipped = signs * totals
    n = sizes.sum()
    mean = flipped.sum(axis=1) / n
    residual = flipped - mean[:, None] * sizes
    se = np.sqrt(s / (s - 1) * (residual**2).sum(axis=1)) / n
    with np.errstate(invalid="ignore", divide="ignore"):
        out: NDArray[np.bool_] = special.stdtr(s - 1, -mean / se) < alpha
    return out


def _exhaustive(clusters: int, repeats: int) -> bool:
    """Whether every pattern of swapped labels is tried, once each."""
    return (1 << clusters) <= repeats


def false_alarms(pair: Pair, *, repeats: int, seed: int) -> list[Alarm]:
    """How often, where nothing differs, accuracy is called higher, time shorter, and the pair's claim passes."""
    rng = np.random.default_rng(seed)
    splits = split_accuracy(pair.control.accuracy, repeats=repeats, rng=rng)
    times, why = _swaps(pair, repeats, rng)
    return [
        _accuracy("accuracy", pair, splits),
        _time("time", pair, times, repeats, why),
        _verdict(pair, splits, times, repeats, why),
    ]


def _accuracy(name: str, pair: Pair, splits: Splits | None) -> Alarm:
    if splits is None:
        return _cannot(name, f"fewer than {LEAST_RUNS} runs of {pair.control.name}, or all equal")
    return _alarm(name, splits.above(0.0, pair.promise.alpha), (splits.size, splits.size))


def _time(name: str, pair: Pair, times: NDArray[np.bool_] | None, repeats: int, why: str) -> Alarm:
    if times is None:
        return _cannot(name, why)
    starts = pair.log_speedup.clusters
    return _alarm(name, times, (pair.blocks.n, starts), exhaustive=_exhaustive(starts, repeats))


def _swaps(pair: Pair, repeats: int, rng: np.random.Generator) -> tuple[NDArray[np.bool_] | None, str]:
    if pair.design != "interleaved":
        return None, "no two arms share blocks: run an experiment with a control"
    times = swap_labels(
        pair.blocks.log_speedup, pair.blocks.clusters, alpha=pair.promise.alpha, repeats=repeats, rng=rng
    )
    s = pair.log_speedup.clusters
    return times, (
        f"too few invocations: {s}; at least {LEAST_INVOCATIONS} are needed to say anything. `harness run ... --set "
        f"invocations={LEAST_INVOCATIONS} --as NAME` makes runs that have them"
    )


def _verdict(pair: Pair, splits: Splits | None, times: NDArray[np.bool_] | None, repeats: int, why: str) -> Alarm:
    """The whole claim in one repeat; a target plays no part, as shuffled runs keep their mean."""
    claim = pair.promise.claim
    name = f"verdict {claim}"
    match claim:
        case "accurate":
            return _accuracy(name, pair, splits)
        case "time-only":
            return _time(name, pair, times, repeats, why)
        case "faster":
            return _cannot(name, why) if times is None else _faster(name, pair, splits, times)
        case _:
            return _cannot(name, f"where nothing differs the claim `{claim}` is true, so that a pass is no false alarm")


def _faster(name: str, pair: Pair, splits: Splits | None, times: NDArray[np.bool_]) -> Alarm:
    """Accuracy not worse by the margin (where one is stated) and time shorter, in one repeat."""
    if splits is None or pair.promise.margin_pp is None:
        return _cannot(name, "no margin was stated: add --margin-pp M" if splits is not None else "too few runs")
    accuracy = splits.above(-pair.promise.margin_pp, pair.promise.alpha)
    n = min(accuracy.size, times.size)
    return _alarm(name, accuracy[:n] & times[:n], (splits.size, pair.log_speedup.clusters))
