"""From rows to arrays: which runs count for accuracy and for time, and why the others do not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.comparison.frame import Frame, concatenate
from harness.model.experiment import STAGES

FloatArray = NDArray[np.float64]
TOLERANCE = 5e-7  # half a unit of the sixth decimal, where only a rounded accuracy is known


@dataclass(frozen=True)
class Sample:
    """One side of a comparison.

    `rows` every row of the arm; `runs` those that count for accuracy; `excluded` how many do not, by reason.
    """

    name: str
    rows: Frame
    runs: Frame
    excluded: Mapping[str, int] = field(default_factory=dict)
    duplicates: int = 0
    stage: str | None = None

    @property
    def accuracy(self) -> FloatArray:
        out: FloatArray = self.runs["accuracy"]
        return out

    @property
    def n(self) -> int:
        return self.runs.rows

    def without_runs(self) -> Sample:
        """The same arm as if nothing had been run."""
        nothing = np.zeros(self.rows.rows, dtype=bool), np.zeros(self.runs.rows, dtype=bool)
        return Sample(self.name, self.rows.where(nothing[0]), self.runs.where(nothing[1]))

    @property
    def screening(self) -> bool:
        """Whether runs that chose what to confirm are among those that count."""
        return "screen" in self.runs.known("stage")


def make_sample(name: str, frames: list[Frame], *, stage: str | None = None, latest_stage: bool = False) -> Sample:
    """The runs of one arm from one or several stores.

    Counted once where a (configuration, seed) recurs across stores; within one store that is the finding
    `duplicate-seeds`. With `latest_stage`, runs of an earlier stage are left out: they chose the candidate.
    """
    excluded: Counter[str] = Counter()
    kept, duplicates = [], 0
    seen: set[tuple[Any, ...]] = set()
    completed = [_completed(frame, excluded) for frame in frames]
    chosen = stage or (_latest_stage(completed) if latest_stage else None)
    for done in completed:
        if chosen is not None:
            at = done["stage"] == chosen
            excluded[f"of another stage than {chosen}"] += int((~at).sum())
            done = done.where(at)
        fresh, own = _fresh(done, seen)
        duplicates += own
        excluded["the same seed of the same configuration in another store"] += int((~fresh).sum())
        kept.append(done.where(fresh))
    rows = concatenate(frames)
    return Sample(name, rows, concatenate(kept), {k: v for k, v in excluded.items() if v}, duplicates, chosen)


def _completed(frame: Frame, excluded: Counter[str]) -> Frame:
    warm = frame["warmup"]
    status = frame["status"]
    done = (status == "completed") | (status == "")
    known = ~np.isnan(frame["accuracy"])
    excluded["warm-ups"] += int(warm.sum())
    excluded["crashed or timed out"] += int((~warm & ~done).sum())
    excluded["without an accuracy"] += int((~warm & done & ~known).sum())
    return frame.where(~warm & done & known)


def _fresh(frame: Frame, seen: set[tuple[Any, ...]]) -> tuple[NDArray[np.bool_], int]:
    """Which rows are not in an earlier store, and how many recur within this one."""
    keys = list(zip(frame["config_hash"].tolist(), frame["seed"].tolist(), strict=True))
    known = ~np.isnan(frame["seed"])
    mask = np.array([not (k and key in seen and key[0]) for key, k in zip(keys, known, strict=True)], dtype=bool)
    own = [key for key, k in zip(keys, known, strict=True) if k]
    seen.update(key for key in own if key[0])
    return mask, len(own) - len(set(own))


def _latest_stage(frames: list[Frame]) -> str | None:
    """The furthest stage that has a completed run; None where a run's stage is unknown."""
    stages: set[str] = set()
    for frame in frames:
        if frame.has_unknown("stage"):
            return None
        stages |= frame.known("stage")
    found = [stage for stage in STAGES if stage in stages]
    return found[-1] if found else None


def needed_count(target: float, total: int) -> int:
    """The fewest right answers of `total` that reach the target as it is written: 0.94 of 10,000 is 9,400."""
    return ceil(Fraction(repr(float(target))) * total)


def successes(runs: Frame, target: float) -> NDArray[np.bool_]:
    """Which runs reach the target, in exact arithmetic where the counts are known (float32 0.94 is below 0.94)."""
    needed = {total: needed_count(target, int(total)) for total in set(runs["total"].tolist()) if total == total}
    threshold = np.array([needed.get(t, np.nan) for t in runs["total"].tolist()], dtype=np.float64)
    with np.errstate(invalid="ignore"):
        by_count = runs["correct"] >= threshold
        by_accuracy = runs["accuracy"] >= target - TOLERANCE
    return np.where(np.isnan(threshold) | np.isnan(runs["correct"]), by_accuracy, by_count).astype(bool)


# --- numeric stacks ------------------------------------------------------------------------------------------

STACK = ("device", "cuda", "cudnn", "torch")


def stacks(frame: Frame) -> list[tuple[str, ...]]:
    """The numeric stack of each run: the device (the processor where there is none) and the libraries on it."""
    rows = zip(*(frame[name].tolist() for name in (*STACK, "cpu")), strict=True)
    return [(*row[:4], row[4] if row[0] in ("cpu", "") else "") for row in rows]


def may_agree(a: tuple[str, ...], b: tuple[str, ...]) -> bool:
    """Whether two stacks agree in everything that is known of both."""
    return all(x == y or not x or not y for x, y in zip(a, b, strict=True))


# --- time ---------------------------------------------------------------------------------------------------


SHARED = "times of the shared lane"


def timed(sample: Sample) -> tuple[Frame, dict[str, int]]:
    """The runs whose time may be used, and how many may not, by reason."""
    runs, excluded = sample.runs, Counter[str]()
    shared = runs["lane"] == "shared"
    unknown = ~(runs["time_s"] > 0)
    excluded[SHARED] += int(shared.sum())
    excluded["without a time"] += int((~shared & unknown).sum())
    return runs.where(~shared & ~unknown), {k: v for k, v in excluded.items() if v}


@dataclass(frozen=True)
class Blocks:
    """Blocks that hold both arms: times (b,), their clusters, and the rows behind them.

    `clusters` are invocations, or hosts where at least three hosts ran both arms.
    """

    control: Frame
    candidate: Frame
    clusters: NDArray[Any]
    unit: str
    incomplete: int
    first_runs: int = 0

    @property
    def n(self) -> int:
        return self.control.rows

    @property
    def log_speedup(self) -> FloatArray:
        """log(control time / candidate time) by block, (b,)."""
        out: FloatArray = np.log(self.control["time_s"]) - np.log(self.candidate["time_s"])
        return out

    @property
    def invocations(self) -> int:
        return len(set(self.control["invocation"].tolist()))


def match_blocks(control: Frame, candidate: Frame) -> Blocks:
    """Pair the runs that agree in invocation and block, whichever store they lie in."""
    left, right = _by_block(control), _by_block(candidate)
    shared = [key for key in left if key in right]
    a = control.take(np.array([left[key] for key in shared], dtype=np.intp))
    b = candidate.take(np.array([right[key] for key in shared], dtype=np.intp))
    incomplete = sum(key not in left for key in right)
    clusters, unit = _clusters(a)
    return Blocks(a, b, clusters, unit, incomplete)


def _by_block(frame: Frame) -> dict[tuple[str, float], int]:
    """Row number by (invocation, block); rows without either, and all rows of a block that holds two, are left out."""
    found: dict[tuple[str, float], int] = {}
    doubled: set[tuple[str, float]] = set()
    for row, key in enumerate(zip(frame["invocation"].tolist(), frame["block"].tolist(), strict=True)):
        if key[0] == "" or key[1] != key[1]:
            continue
        if key in found:
            doubled.add(key)
        found[key] = row
    return {key: row for key, row in found.items() if key not in doubled}


def _clusters(frame: Frame) -> tuple[NDArray[Any], str]:
    hosts = frame.known("host")
    if len(hosts) >= 3 and not frame.has_unknown("host"):
        return frame["host"], "host"
    return frame["invocation"], "invocation"
