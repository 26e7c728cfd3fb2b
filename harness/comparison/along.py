"""Steps until a target is first reached, where accuracy was evaluated along the run; runs that never reach it are censored.

Right only for a schedule without a fixed end: where the learning rate anneals to the end of the run, accuracy jumps there, and
the step at which a target is reached is an artefact of the schedule. Nothing here can know that; the notes always say it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from harness.comparison.samples import TOLERANCE, FloatArray, Sample
from harness.model.estimate import Estimate, finite
from harness.stats.means import one_sample, welch
from harness.stats.survival import kaplan_meier, logrank_z

NO_CURVE = "without the metric at any step"
ANNEALING = (
    "only right where the learning rate does not anneal towards the end of the run: under such a schedule accuracy jumps at the "
    "end, and the step at which a target is reached is an artefact of the schedule. Compare two sweeps over training length "
    "instead (without --along-run)."
)
CENSORING = (
    "assumes that the ends of the runs were set beforehand and not by how a run went: runs that stopped early because they did "
    "badly, or crashed, would make the times too short."
)


@dataclass(frozen=True)
class Curve:
    """One run's evaluations: `steps` (m,) in rising order and the metric's `values` (m,), NaN where it had none."""

    steps: FloatArray
    values: FloatArray


@dataclass(frozen=True)
class Followed:
    """One arm: step of the first evaluation at the target, or of the last one, (n,), and whether it was `reached` (n,).

    `ends` (n,) the last evaluation of each run; `counts` the numbers of evaluations and `gaps` the least and the greatest distance
    between neighbouring ones; `excluded` the runs that do not count, by reason; `unknown` evaluations without a number.
    """

    name: str
    times: FloatArray
    reached: NDArray[np.bool_]
    ends: FloatArray
    counts: tuple[int, int]
    gaps: tuple[float, float] | None
    excluded: Mapping[str, int]
    unknown: int

    @property
    def censored(self) -> int:
        return int((~self.reached).sum())

    def restricted(self, horizon: float) -> FloatArray:
        """min(T, horizon) of every run (n,): known, as no run is censored before the horizon."""
        out: FloatArray = np.minimum(self.times, horizon)
        return out

    def as_dict(self, horizon: float) -> dict[str, Any]:
        median = kaplan_meier(self.times, self.reached).median()
        out: dict[str, Any] = {
            "name": self.name,
            "n": len(self.times),
            "reached": int(self.reached.sum()),
            "censored": self.censored,
            "median": median,
            "rmst": _restricted_mean(self, horizon).as_dict(),
            "grid": {"evaluations": list(self.counts), "gap": None if self.gaps is None else list(self.gaps)},
            "ends": [float(self.ends.min()), float(self.ends.max())],
            "excluded": dict(self.excluded),
        }
        return out if median is not None else out | {"reason": "fewer than half of the runs reached the target"}


@dataclass(frozen=True)
class AlongRun:
    """Time to target of two arms; `difference` is candidate − control of the means up to `horizon`, in steps."""

    target: float
    metric: str
    horizon: float
    control: Followed
    candidate: Followed
    difference: Estimate
    z: float | None
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        p = None if self.z is None else float(2 * special.ndtr(-abs(self.z)))
        logrank: dict[str, Any] = {"z": finite(self.z), "p": finite(p)}
        if self.z is None:
            logrank["reason"] = "no run of either arm reached the target while others were still on their way"
        return {
            "schema": 1,
            "target": self.target,
            "metric": self.metric,
            "axis": "steps",
            "horizon": self.horizon,
            "control": self.control.as_dict(self.horizon),
            "candidate": self.candidate.as_dict(self.horizon),
            "rmst_difference": self.difference.as_dict(),
            "logrank": logrank,
            "notes": list(self.notes),
        }


def followed(sample: Sample, curves: Mapping[str, Curve], target: float) -> Followed | None:
    """The runs of one arm that have a curve; None where none has."""
    names = sample.runs["run_id"].tolist()
    own = [curves[name] for name in names if name in curves]
    if not own:
        return None
    hits = [curve.values >= target - TOLERANCE for curve in own]
    times = [float(c.steps[hit.argmax()] if hit.any() else c.steps[-1]) for c, hit in zip(own, hits, strict=True)]
    gaps = np.concatenate([np.diff(curve.steps) for curve in own])
    counts = [len(curve.steps) for curve in own]
    missing = {NO_CURVE: len(names) - len(own)} if len(own) < len(names) else {}
    return Followed(
        sample.name, np.array(times), np.array([bool(hit.any()) for hit in hits]), np.array([c.steps[-1] for c in own]),
        (min(counts), max(counts)), (float(gaps.min()), float(gaps.max())) if gaps.size else None,
        dict(sample.excluded) | missing, sum(int(np.isnan(c.values).sum()) for c in own),
    )  # fmt: skip


def along_run(control: Followed, candidate: Followed, *, target: float, metric: str) -> AlongRun:
    """Medians, restricted means and their difference, and the log-rank test (Mantel 1966) of two independent arms.

    The horizon is the earliest end of a run that did not reach the target, or the last time where all did. Until then nobody is
    censored, so that the area under each Kaplan-Meier curve is the mean of min(T, horizon), and Welch's interval is that of the
    difference (Royston and Parmar 2013 for the estimand).
    """
    horizon = _horizon(control, candidate)
    gap = welch(candidate.restricted(horizon), control.restricted(horizon))
    z = logrank_z(candidate.times, candidate.reached, control.times, control.reached)
    notes = tuple(_notes(control, candidate))
    return AlongRun(target, metric, horizon, control, candidate, _estimate(gap.estimate()), z, notes)


def _horizon(*arms: Followed) -> float:
    ends = np.concatenate([arm.ends[~arm.reached] for arm in arms])
    return float(ends.min() if ends.size else max(arm.times.max() for arm in arms))


def _restricted_mean(arm: Followed, horizon: float) -> Estimate:
    return _estimate(one_sample(arm.restricted(horizon)).estimate())


def _estimate(found: Estimate) -> Estimate:
    return Estimate(found.value, found.low, found.high, found.sd, f"restricted mean, {found.method}", found.reason)


def _notes(control: Followed, candidate: Followed) -> list[str]:
    """What the numbers assume, and what in the data speaks against it."""
    notes = [ANNEALING, CENSORING]
    sides = (control, candidate)
    notes += [_ends_differ(side) for side in sides if not side.reached.all() and np.ptp(side.ends[~side.reached]) > 0]
    if control.ends.max() != candidate.ends.max():
        notes.append(
            f"the arms train for different lengths ({control.ends.max():g} and {candidate.ends.max():g} steps): under a schedule that "
            "follows the length this compares the schedules."
        )
    if (control.gaps, control.counts) != (candidate.gaps, candidate.counts):
        notes.append(
            "the arms were evaluated at different steps: the coarser grid sees the target up to one gap later."
        )
    notes += [
        f"{side.name}: {side.unknown} evaluations hold no number; they count as not at the target."
        for side in sides
        if side.unknown
    ]
    return notes


def _ends_differ(arm: Followed) -> str:
    ends = arm.ends[~arm.reached]
    return f"{arm.name}: the runs that missed the target ended at different steps ({ends.min():g} to {ends.max():g})."
