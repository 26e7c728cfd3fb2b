"""Data whose truth is known: accuracies of four shapes, and whole campaigns of two arms in blocks."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from harness.comparison.frame import make_frame, text_column
from harness.comparison.samples import Sample, make_sample

FloatArray = NDArray[np.float64]

SHAPES = ("normal", "left-skewed", "t5", "quantised")
MEAN, SD = 94.0, 0.15
"""Accuracy of one run, in per cent."""
DIVERGED, FALL = 0.02, 0.6
"""The left tail: this share of the runs ends so many points lower."""
GRID = 0.01
TOTAL = 10_000


def draw(rng: np.random.Generator, shape: str, n: int, *, mean: float = MEAN, sd: float = SD) -> FloatArray:
    """`n` values around a population mean of exactly `mean`; `sd` without the diverged runs."""
    if shape == "t5":
        return mean + sd * math.sqrt(3 / 5) * rng.standard_t(5, n)
    x = mean + sd * rng.standard_normal(n)
    if shape == "left-skewed":
        fall = FALL / SD * sd
        return x + fall * DIVERGED - fall * (rng.random(n) < DIVERGED)
    if shape == "quantised":
        grid = GRID / SD * sd
        return mean + np.rint((x - mean) / grid) * grid
    return x


def true_sd(shape: str) -> float:
    if shape == "left-skewed":
        return math.sqrt(SD**2 + DIVERGED * (1 - DIVERGED) * FALL**2)
    return math.sqrt(SD**2 + GRID**2 / 12) if shape == "quantised" else SD


@functools.cache
def true_median(shape: str) -> float:
    if shape != "left-skewed":
        return MEAN
    top = MEAN + FALL * DIVERGED

    def below(x: float) -> float:
        good, bad = special.ndtr((x - top) / SD), special.ndtr((x - top + FALL) / SD)
        return float((1 - DIVERGED) * good + DIVERGED * bad - 0.5)

    return float(optimize.brentq(below, MEAN - 1, MEAN + 1))


@dataclass(frozen=True)
class Campaign:
    """Two arms in randomised blocks, spread over process starts, and further runs of a frozen control elsewhere.

    Effects on time are relative: `process` moves both arms of a process start, `interaction` each arm by itself,
    `drift` is the change over the campaign, `ar` the correlation of neighbouring runs at the same `run_sd`.
    """

    invocations: int = 5
    blocks: int = 5
    frozen: int = 0
    shape: str = "quantised"
    run_sd: float = 0.0078
    process: float = 0.0
    interaction: float = 0.0
    drift: float = 0.0
    ar: float = 0.0

    @property
    def n(self) -> int:
        return self.invocations * self.blocks

    def samples(
        self, rng: np.random.Generator, *, control: float, candidate: float, speedup: float
    ) -> tuple[Sample, Sample]:
        """Control and candidate with these true mean accuracies (per cent) and this true speed-up."""
        n, which = self.n, np.arange(self.n) // self.blocks
        first = rng.integers(0, 2, n)
        noise = self._noise(rng, 2 * n) + self.drift * np.arange(2 * n) / (2 * n - 1)
        process = rng.normal(0, self.process, self.invocations)[which]
        sides = []
        for side, mean in enumerate((control, candidate)):
            slot = 2 * np.arange(n) + (first ^ side)
            own = rng.normal(0, self.interaction, self.invocations)[which]
            log_time = math.log(4.0) - side * math.log(speedup) + process + own + noise[slot]
            accuracy = draw(rng, self.shape, n, mean=mean)
            sides.append(self._sample(side, accuracy, np.exp(log_time), which, slot))
        if self.frozen:
            frozen = draw(rng, self.shape, self.frozen, mean=control)
            return self._with_frozen(rng, sides[0], frozen), sides[1]
        return sides[0], sides[1]

    def _noise(self, rng: np.random.Generator, slots: int) -> FloatArray:
        fresh = rng.standard_normal(slots)
        if not self.ar:
            return self.run_sd * fresh
        out = np.empty(slots)
        out[0] = fresh[0]
        for i in range(1, slots):
            out[i] = self.ar * out[i - 1] + math.sqrt(1 - self.ar**2) * fresh[i]
        return self.run_sd * out

    def _sample(
        self, side: int, accuracy: FloatArray, time: FloatArray, which: NDArray[np.intp], slot: NDArray[np.intp],
        *, first: int = 0, where: str = "p",
    ) -> Sample:  # fmt: skip
        n, name = accuracy.size, ("control", "candidate")[side]
        columns = _scores(accuracy, self.shape) | {
            "time_s": time,
            "steps": np.full(n, 400.0 - side),
            "seed": np.arange(n, dtype=np.float64) + first,
            "block": np.arange(n, dtype=np.float64),
            "invocation": text_column([f"{where}{i}" for i in which.tolist()]),
            "started_at": text_column([f"{where}{i:06d}" for i in slot.tolist()]),
            "config_hash": _constant(name, n),
            "compute_hash": _constant(name, n),
            "environment": _constant("e", n),
            "status": _constant("completed", n),
        }
        return make_sample(name, [make_frame(columns, n, name)], latest_stage=side > 0)

    def _with_frozen(self, rng: np.random.Generator, control: Sample, accuracy: FloatArray) -> Sample:
        """The control with earlier runs of its own, in other process starts."""
        n = accuracy.size
        time = 4.0 * np.exp(self._noise(rng, n))
        old = self._sample(0, accuracy, time, np.arange(n) // 100, np.arange(n), first=100_000, where="old")
        return make_sample("control", [old.rows, control.rows])


def _scores(accuracy: FloatArray, shape: str) -> dict[str, FloatArray]:
    """Counts of right answers, as the harness stores them; the bare accuracy where the shape is to stay continuous."""
    if shape in ("normal", "t5"):
        return {"accuracy": accuracy / 100}
    return {"correct": np.rint(accuracy * TOTAL / 100), "total": np.full(accuracy.size, float(TOTAL))}


def _constant(value: str, n: int) -> NDArray[np.object_]:
    return np.full(n, value, dtype=object)


def rivals(rng: np.random.Generator, *, k: int, n: int, control: int, mean: float = MEAN) -> Sequence[Sample]:
    """A control and `k` candidates that equal it, accuracies only."""
    samples = []
    for arm in range(k + 1):
        size = n if arm else control
        columns = _scores(draw(rng, "quantised", size, mean=mean), "quantised") | {
            "seed": np.arange(size, dtype=np.float64) + 1000 * arm,
            "config_hash": _constant(f"arm{arm}", size),
            "stage": _constant("confirm", size),
        }
        samples.append(make_sample(f"arm{arm}", [make_frame(columns, size, "")], latest_stage=arm > 0))
    return samples
