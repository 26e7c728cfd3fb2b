"""Iso-accuracy speed-up: two sweeps over training length, read at one target accuracy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.comparison.samples import Sample, timed
from harness.model.estimate import Estimate, finite
from harness.stats.iso_accuracy import PowerLaw, SweepPoint, fit_power_law, iso_speedup, sweep_point, time_at

LEAST_LENGTHS = 3
POOR_FIT = 0.01


@dataclass(frozen=True)
class Sweep:
    """One side: its training lengths with the accuracy reached, in the unit of `axis` ("time_s" or "steps")."""

    name: str
    points: tuple[SweepPoint, ...]
    arms: tuple[str, ...]
    law: PowerLaw | None
    reason: str = ""

    def as_dict(self, target: float) -> dict[str, Any]:
        at = None if self.law is None else time_at(self.law, target_error=1 - target)
        reached = None if at is None or not math.isfinite(at.value) else math.exp(at.value)
        out: dict[str, Any] = {
            "name": self.name,
            "at_target": finite(reached),
            "slope": None if self.law is None else self.law.slope,
            "lack_of_fit_p": None if self.law is None else finite(self.law.lack_of_fit_p),
            "points": [
                {"arm": arm, "length": p.time, "accuracy": 1 - p.error.mean, "n": p.error.n}
                for arm, p in zip(self.arms, self.points, strict=True)
            ],
        }
        reason = self.reason or ("" if at is None else at.reason)
        return out | ({"reason": reason} if reason else {})


@dataclass(frozen=True)
class IsoSpeedup:
    """Control length / candidate length at equal accuracy; `notes` say what the number does not cover."""

    target: float
    axis: str
    speedup: Estimate
    control: Sweep
    candidate: Sweep
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        return {
            "schema": 1,
            "target": self.target,
            "axis": self.axis,
            "speedup": self.speedup.as_dict(),
            "control": self.control.as_dict(self.target),
            "candidate": self.candidate.as_dict(self.target),
            "notes": list(self.notes),
        }


def iso_accuracy(
    names: tuple[str, str], control: Sequence[Sample], candidate: Sequence[Sample], target: float
) -> IsoSpeedup:
    """The speed-up at `target` in seconds where the sweeps share their process starts, in steps otherwise."""
    together = _invocations(control) == _invocations(candidate) != frozenset()
    axis = "time_s" if together else "steps"
    sweeps = [_sweep(name, arms, axis) for name, arms in zip(names, (control, candidate), strict=True)]
    return IsoSpeedup(target, axis, _speedup(sweeps, target), sweeps[0], sweeps[1], tuple(_notes(sweeps, axis, target)))


def _invocations(arms: Sequence[Sample]) -> frozenset[str]:
    return frozenset(name for arm in arms for name in timed(arm)[0].known("invocation"))


def _sweep(name: str, arms: Sequence[Sample], axis: str) -> Sweep:
    points, kept = [], []
    for arm in arms:
        length = _length(arm, axis)
        if length is not None and arm.n >= 2:
            points.append(sweep_point(length, 1 - arm.accuracy))
            kept.append(arm.name)
    order = np.argsort([p.time for p in points]).tolist()
    points, kept = [points[i] for i in order], [kept[i] for i in order]
    lengths = len({p.time for p in points})
    if lengths < LEAST_LENGTHS:
        reason = f"{name} has {lengths} training lengths with known {axis}; at least {LEAST_LENGTHS} are needed"
        return Sweep(name, tuple(points), tuple(kept), None, reason)
    if any(p.error.mean <= 0 for p in points) or not any(p.error.variance for p in points):
        return Sweep(
            name,
            tuple(points),
            tuple(kept),
            None,
            f"{name} has a length without an error, or no spread: no line to fit",
        )
    return Sweep(name, tuple(points), tuple(kept), fit_power_law(points))


def _length(arm: Sample, axis: str) -> float | None:
    """Mean seconds, or the number of steps, of one arm's runs."""
    values = timed(arm)[0]["time_s"] if axis == "time_s" else arm.runs["steps"]
    return float(values.mean()) if values.size and not np.isnan(values).any() else None


def _speedup(sweeps: Sequence[Sweep], target: float) -> Estimate:
    method = "iso-accuracy, power law"
    missing = [sweep.reason for sweep in sweeps if sweep.law is None]
    if missing:
        return Estimate(None, method=method, reason="; ".join(missing))
    return iso_speedup(sweeps[0].points, sweeps[1].points, target_error=1 - target)


def _notes(sweeps: Sequence[Sweep], axis: str, target: float) -> list[str]:
    notes = []
    if axis == "steps":
        notes.append(
            "measured in steps, not in seconds: the sweeps do not share their process starts, so their times cannot be compared. "
            "Where a step costs the same in both, this is the speed-up."
        )
    for sweep in sweeps:
        p = None if sweep.law is None else sweep.law.lack_of_fit_p
        if p is not None and p < POOR_FIT:
            notes.append(
                f"{sweep.name}: the points do not lie on a power law (lack of fit p = {p:.3g}); sweep closer to {target:g}"
            )
    return notes
