"""Which arms of a ladder go on: ranked on all of their runs so far; what is claimed rests on fresh ones, elsewhere.

Nothing here is a claim, so nothing here spends error: a wrong choice costs runs, and a worse arm than was there.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.comparison.checks import findings_of
from harness.comparison.judge import Judged, judge
from harness.comparison.pair import Pair, Promise
from harness.comparison.samples import Sample
from harness.comparison.words import headline
from harness.model.estimate import finite
from harness.model.experiment import Claim
from harness.stats.power import assurance
from harness.stats.shrinkage import empirical_bayes

RULES: dict[Claim, str] = {
    "faster": "speed-up (its logarithm) times the chance that the last stage proves the accuracy; ties by the shrunken difference",
    "accurate": "shrunken difference from the control",
    "equivalent": "distance of the shrunken difference from 0",
    "no-regression": "shrunken difference from the control",
    "time-only": "speed-up (its logarithm)",
}
SAME_WORK = "the same work as the control's"
A_A = "it has the control's configuration, so there is nothing to confirm: an A/A arm"


@dataclass(frozen=True)
class Standing:
    """What one arm shows on all of its runs so far; differences in percentage points from the interleaved control.

    `chance` is that of a proof by the last stage: of the accuracy for `faster`, else of the whole claim; `speedup` the factor that
    the ranking uses, from `speedup_by` (None where there is none); `out` the reason why it goes no further whatever its rank.
    """

    arm: str
    n: int
    accuracy: float
    difference_pp: float
    se_pp: float | None
    shrunk_pp: float
    speedup: float | None
    speedup_by: str
    chance: float
    out: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {
            "arm": self.arm,
            "n": self.n,
            "accuracy": self.accuracy,
            "difference_pp": self.difference_pp,
            "se_pp": finite(self.se_pp),
            "shrunk_pp": self.shrunk_pp,
            "speedup": finite(self.speedup),
            "speedup_by": self.speedup_by,
            "chance": self.chance,
        }


@dataclass(frozen=True)
class Choice:
    """The arms after a stage: those that go on, best first, and the others with the reason."""

    kept: tuple[Standing, ...]
    dropped: tuple[tuple[Standing, str], ...]


def scores(claim: Claim, shrunk: ArrayLike, log_speedup: ArrayLike, chance: ArrayLike) -> NDArray[np.float64]:
    """What arms are ranked by, larger is better, (K,): from shrunken differences, log speed-ups and chances of a proof, (K,).

    An arm that is slower is not less so for being likely to be slow: below 0 the log speed-up counts as it is.
    """
    theta, gain = np.asarray(shrunk, dtype=np.float64), np.asarray(log_speedup, dtype=np.float64)
    if claim == "time-only":
        return gain
    if claim == "faster":
        return np.where(gain > 0, gain * np.asarray(chance, dtype=np.float64), gain)
    return -np.abs(theta) if claim == "equivalent" else theta


def order(score: ArrayLike, shrunk: ArrayLike) -> list[int]:
    """The numbers of the arms from the best to the worst; ties by the shrunken difference, then as they are listed."""
    first, second = np.asarray(score, dtype=np.float64), np.asarray(shrunk, dtype=np.float64)
    return [int(i) for i in np.lexsort((-second, -first))]


def choose(claim: Claim, standings: Sequence[Standing], count: int) -> Choice:
    """The best `count` of those that nothing speaks against."""
    able = [s for s in standings if not s.out]
    shrunk = [s.shrunk_pp for s in able]
    gains = [math.log(s.speedup) if s.speedup else 0.0 for s in able]
    ranked = [able[i] for i in order(scores(claim, shrunk, gains, [s.chance for s in able]), shrunk)]
    behind = f"{count} of {len(able)} {'goes' if count == 1 else 'go'} on"
    late = [(s, f"rank {i}: {behind}") for i, s in enumerate(ranked[count:], count + 1)]
    return Choice(tuple(ranked[:count]), (*late, *((s, s.out) for s in standings if s.out)))


def standings(
    control: Sample, candidates: Sequence[Sample], promise: Promise, *, final_runs: int, copies: Collection[str] = ()
) -> list[Standing]:
    """Every arm on the runs of its sample. `copies` are arms of the control's own configuration.

    `final_runs` fresh runs of arm and control are what the last stage will decide on.
    """
    pairs = [Pair(control, c, promise) for c in candidates]
    others = [p for p in pairs if p.candidate.name not in copies]  # a copy says nothing of how arms differ
    means, sds = believed([p.difference_pp.value for p in others], [p.difference_pp.se or 0.0 for p in others])
    of = {p.candidate.name: (mean, sd) for p, mean, sd in zip(others, means.tolist(), sds.tolist(), strict=True)}
    return [_standing(p, *of.get(p.candidate.name, (0.0, 0.0)), final_runs, p.candidate.name in copies) for p in pairs]


def believed(differences: ArrayLike, ses: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What arms are believed to be worth, mean and standard deviation, (K,): pulled towards the control as far as K arms can tell."""
    if not np.size(differences):
        return np.zeros(0), np.zeros(0)
    shrunk = empirical_bayes(differences, ses, centre=0.0, limited=True)
    return np.array(shrunk.values), np.asarray(ses, dtype=np.float64) * np.sqrt(shrunk.weights)


def _standing(pair: Pair, shrunk: float, sd: float, final_runs: int, copy: bool) -> Standing:
    judged = judge(pair, findings_of(pair), None, None)
    speedup, by = _speedup(pair, judged)
    return Standing(
        arm=pair.candidate.name,
        n=pair.candidate.n,
        accuracy=pair.candidate_mean.value,
        difference_pp=pair.difference_pp.value,
        se_pp=pair.difference_pp.se,
        shrunk_pp=shrunk,
        speedup=speedup,
        speedup_by=by,
        chance=_chance(pair, shrunk, sd, final_runs),
        out=A_A if copy else headline(pair, judged) if judged.verdict == "fail" else "",
    )


def _speedup(pair: Pair, judged: Judged) -> tuple[float | None, str]:
    """The speed-up to rank by: none where the work is the same, else measured in blocks, else what the steps predict."""
    if any(finding.code == "compute-neutral" for finding in judged.findings):
        return 1.0, SAME_WORK
    if pair.blocks.n:
        return math.exp(pair.log_speedup.contrast.value), "blocks"
    predicted = pair.predicted_speedup
    return predicted, "no times" if predicted is None else "steps"


def _chance(pair: Pair, shrunk: float, sd: float, final_runs: int) -> float:
    """`proof_chance` of one arm; its mean is pulled down as far as its difference was."""
    promise, difference = pair.promise, pair.difference_pp
    control_runs = (
        None if pair.paired_accuracies is not None else final_runs
    )  # those of earlier stages helped to choose
    mean = None
    if promise.target is not None:
        mean = 100 * (pair.candidate_mean.value - promise.target) - (difference.value - shrunk)
    return proof_chance(
        promise,
        shrunk=shrunk,
        uncertainty=sd,
        error=(difference.sd or 0.0) * math.sqrt(1 / final_runs + (1 / control_runs if control_runs else 0.0)),
        above_target=mean,
        mean_error=100 * (pair.candidate_mean.sd or 0.0) / math.sqrt(final_runs),
    )


def proof_chance(
    promise: Promise, *, shrunk: float, uncertainty: float, error: float, above_target: float | None, mean_error: float
) -> float:
    """The chance that the last stage proves what the claim asks of the accuracy: the least of its endpoints', all in points.

    They hang together closely, so the least of them is nearly the chance of all. The true difference is taken as
    N(`shrunk`, `uncertainty`²), the true distance from the target as N(`above_target`, `uncertainty`²); `error` and `mean_error`
    are the standard errors that the last stage's estimates will have.
    """
    if promise.claim == "time-only":
        return 1.0
    lowest = 0.0 if promise.claim == "accurate" else None if promise.margin_pp is None else -promise.margin_pp
    asked = [] if lowest is None else [(-abs(shrunk) if promise.claim == "equivalent" else shrunk, lowest, error)]
    if above_target is not None and promise.claim in ("faster", "accurate"):
        asked.append((above_target, 0.0, mean_error))
    chances = [
        assurance(estimate=value, uncertainty=uncertainty, null=null, standard_error=se, alpha=promise.alpha)
        for value, null, se in asked
    ]
    return min(chances, default=1.0)
