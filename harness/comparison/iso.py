"""Iso-accuracy speed-up: two sweeps over training length, read at one target accuracy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.comparison.samples import Sample, timed
from harness.comparison.sweeps import LEAST_LENGTHS, Family, LeftOut, SweepArm
from harness.model.estimate import Estimate, finite
from harness.stats.iso_accuracy import PowerLaw, SweepPoint, fit_power_law, iso_speedup, sweep_point, time_at

POOR_FIT = 0.01
LEAST_STARTS = 3


@dataclass(frozen=True)
class Sweep:
    """One side: its training lengths with the accuracy reached, in the unit of `axis` ("time_s" or "steps").

    `samples` are the arms behind the points; `left_out` the store's other arms.
    """

    name: str
    points: tuple[SweepPoint, ...]
    samples: tuple[Sample, ...]
    left_out: tuple[LeftOut, ...]
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
                {
                    "arm": s.name,
                    "length": p.time,
                    "accuracy": 1 - p.error.mean,
                    "n": p.error.n,
                    "excluded": dict(s.excluded),
                }
                for s, p in zip(self.samples, self.points, strict=True)
            ],
            "left_out": [one.as_dict() for one in self.left_out],
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


def iso_accuracy(names: tuple[str, str], control: Family, candidate: Family, target: float) -> IsoSpeedup:
    """The speed-up at `target` in seconds where the sweeps share at least three process starts, in steps otherwise."""
    shared = _invocations(control.arms)
    together = shared == _invocations(candidate.arms) and len(shared) >= LEAST_STARTS
    axis = "time_s" if together else "steps"
    families = (control, candidate)
    sweeps = [_sweep(name, family, axis) for name, family in zip(names, families, strict=True)]
    notes = (*_notes(sweeps, axis, target), *_family_notes(sweeps, families))
    return IsoSpeedup(target, axis, _speedup(sweeps, target), sweeps[0], sweeps[1], notes)


def _invocations(arms: Sequence[SweepArm]) -> frozenset[str]:
    return frozenset(name for arm in arms for name in timed(arm.sample)[0].known("invocation"))


def _sweep(name: str, family: Family, axis: str) -> Sweep:
    lengths, left_out = _measured(family, axis)
    kept = sorted(lengths, key=lambda pair: pair[0])
    points = tuple(sweep_point(length, 1 - sample.accuracy) for length, sample in kept)
    samples = tuple(sample for _, sample in kept)
    reason = _why_no_law(name, points, axis)
    return Sweep(name, points, samples, left_out, None if reason else fit_power_law(points), reason)


def _measured(family: Family, axis: str) -> tuple[list[tuple[float, Sample]], tuple[LeftOut, ...]]:
    """The arms that are points of a sweep with their lengths, and all that are not."""
    kept, left_out = [], list(family.left_out)
    for arm in family.arms:
        length = _length(arm.sample, axis)
        if arm.sample.n < 2:
            left_out.append(LeftOut(arm.name, f"has {arm.sample.n} runs that count; a point needs at least 2"))
        elif length is None:
            left_out.append(LeftOut(arm.name, f"the {axis} of its runs are not known"))
        else:
            kept.append((length, arm.sample))
    return kept, tuple(left_out)


def _why_no_law(name: str, points: Sequence[SweepPoint], axis: str) -> str:
    lengths = len({p.time for p in points})
    if lengths < LEAST_LENGTHS:
        return f"{name} has {lengths} training lengths with known {axis}; at least {LEAST_LENGTHS} are needed"
    if any(p.error.mean <= 0 for p in points) or not any(p.error.variance for p in points):
        return f"{name} has a length without an error, or no spread: no line to fit"
    return ""


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
            f"measured in steps, not in seconds: the sweeps do not share {LEAST_STARTS} or more process starts, so their times cannot "
            "be compared. "
            "Where a step costs the same in both, this is the speed-up."
        )
    else:
        notes.append(
            "the interval covers the noise of the accuracies; the mean seconds of each length count as known, because both sweeps "
            "share the luck of their process starts"
        )
    for sweep in sweeps:
        p = None if sweep.law is None else sweep.law.lack_of_fit_p
        if p is not None and p < POOR_FIT:
            notes.append(
                f"{sweep.name}: the points do not lie on a power law (lack of fit p = {p:.3g}); sweep closer to {target:g}"
            )
    return notes


def _family_notes(sweeps: Sequence[Sweep], families: Sequence[Family]) -> list[str]:
    """What the arms of the sweeps do not prove: that they differ in length alone, or that the sweeps differ at all."""
    unknown = [s.name for s, family in zip(sweeps, families, strict=True) if family.arms and family.facts is None]
    notes = [
        f"{name}: no configurations are stored (an import, or runs logged by hand), all its arms are taken to differ in length alone"
        for name in unknown
    ]
    facts = [family.facts for family in families]
    if not unknown and facts[0] == facts[1]:
        notes.append(
            "both sweeps have the same configuration but for the length: a speed-up other than 1 is noise, or the machine's"
        )
    return notes
