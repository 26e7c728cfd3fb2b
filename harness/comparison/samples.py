"""From rows to arrays: which runs count for accuracy and for time, and why the others do not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness.comparison.frame import Frame, concatenate, row_keys
from harness.model.experiment import STAGES
from harness.model.run import is_completed

if TYPE_CHECKING:
    from harness.design.looks import LookPlan

FloatArray = NDArray[np.float64]
TOLERANCE = 5e-7  # half a unit of the sixth decimal, where only a rounded accuracy is known


@dataclass(frozen=True)
class Seen:
    """An earlier judgement: runs of the candidate and of the control, and the stores that the control's came from (if known)."""

    n: int
    control_n: int
    stores: tuple[str, ...] = ()

    def precedes(self, n: int, control_n: int, stores: tuple[str, ...]) -> bool:
        """Whether it saw fewer runs; a control that grew counts only where its runs come from the same stores as now."""
        if self.n != n:
            return self.n < n
        return bool(self.stores) and self.stores == stores and self.control_n < control_n


@dataclass(frozen=True)
class Sample:
    """One side of a comparison.

    `name` what it is called here, `arm` what it is called in its `store`; `rows` every row of the arm; `runs` those that
    count for accuracy; `excluded` how many do not, by reason; `looks` the judgements before this one (from the ledger of its
    store); `stores` where the rows come from.
    """

    name: str
    rows: Frame
    runs: Frame
    excluded: Mapping[str, int] = field(default_factory=dict)
    duplicates: int = 0
    stage: str | None = None
    looks: tuple[Seen, ...] = ()
    plan: LookPlan | None = None
    """Of an arm whose looks were planned before its first run."""
    store: str = ""
    stores: tuple[str, ...] = ()
    arm: str = ""
    epochs_asked: float | None = None
    """Epochs that its configuration asks for, where these and not steps decide when a run ends."""
    siblings: int = 0
    """Other candidates of its store and stage: choosing one of them to be judged alone is a choice, too."""
    tried: tuple[str, ...] = ()
    """Other places (`store:arm`, or a stage) in which the same configuration and code ran beside the same control."""
    untold: Frame | None = None
    """Of an arm whose accuracies are all unknown: its completed runs, whose times may be known (another program's timings)."""
    against: Sample | None = None
    """Of a candidate: the control's runs that it is held against, where these are not all of them."""
    config: Mapping[str, Any] | None = None
    """Its configuration by dotted key, where the store tells it."""

    @property
    def accuracy(self) -> FloatArray:
        out: FloatArray = self.runs["accuracy"]
        return out

    @property
    def n(self) -> int:
        return self.runs.rows

    def first(self, n: int) -> Sample:
        """The runs of replicates below `n`; those whose replicate is unknown stay."""
        late = self.runs["replicate"] >= n
        return replace(self, runs=self.runs.where(~late)) if late.any() else self

    def without_runs(self) -> Sample:
        """The same arm as if nothing had been run."""
        nothing = np.zeros(self.rows.rows, dtype=bool), np.zeros(self.runs.rows, dtype=bool)
        return Sample(self.name, self.rows.where(nothing[0]), self.runs.where(nothing[1]))

    @property
    def screening(self) -> bool:
        """Whether runs that chose what to confirm are among those that count."""
        return "screen" in self.runs.known("stage")


def told_apart(places: Sequence[tuple[str, str]]) -> list[str]:
    """A name for each (store, arm): the arm's own, and `store:arm` where several arms share it and the store is known."""
    shared = Counter(arm for _, arm in places)
    return [f"{store}:{arm}" if shared[arm] > 1 and store else arm for store, arm in places]


def make_sample(name: str, frames: list[Frame], *, stage: str | None = None, latest_stage: bool = False) -> Sample:
    """The runs of one arm from one or several stores.

    Counted once where a (configuration, seed) recurs across stores; within one store that is the finding
    `duplicate-seeds`. With `latest_stage`, runs of an earlier stage are left out: they chose the candidate.
    """
    excluded: Counter[str] = Counter()
    kept, duplicates = [], 0
    seen: list[Frame] = []
    ended = [_completed(frame, excluded) for frame in frames]
    chosen = stage or (_latest_stage(ended) if latest_stage else None)
    for done in ended:
        if chosen is not None:
            at = done["stage"] == chosen
            excluded[f"of another stage than {chosen}"] += int((~at).sum())
            done = done.where(at)
        fresh, own = _fresh(done, seen)
        seen.append(done)
        duplicates += own
        excluded["the same seed of the same configuration in another store"] += int((~fresh).sum())
        kept.append(done.where(fresh))
    rows = concatenate(frames)
    runs = concatenate(kept)
    untold = None if runs.rows or not excluded[UNTOLD] else _untold(rows, chosen)
    counted = {k: v for k, v in excluded.items() if v}
    stores = tuple(sorted({frame.source for frame in frames}))
    return Sample(name, rows, runs, counted, duplicates, chosen, stores=stores, untold=untold)


UNTOLD = "without an accuracy"


def _untold(rows: Frame, stage: str | None) -> Frame:
    """The completed runs whose accuracy is unknown, of a stage where one was chosen."""
    mask = completed(rows) & ~rows["warmup"] & np.isnan(rows["accuracy"])
    return rows.where(mask if stage is None else mask & (rows["stage"] == stage))


def completed(frame: Frame) -> NDArray[np.bool_]:
    """Which attempts ended well; an unknown status is a run like any other."""
    cells = frame["status"].tolist()
    known = {cell: is_completed(cell) for cell in set(cells)}
    return np.fromiter(map(known.__getitem__, cells), dtype=bool, count=len(cells))


FAILED = "crashed or timed out"
UNREADABLE = "with an unreadable status"


def failed(frame: Frame) -> NDArray[np.bool_]:
    """Which attempts, no warm-ups, are known to have failed."""
    out: NDArray[np.bool_] = ~frame["warmup"] & ((frame["status"] == "crashed") | (frame["status"] == "timeout"))
    return out


def unreadable(frame: Frame) -> NDArray[np.bool_]:
    """Which attempts, no warm-ups, ended nobody knows how: their status is no known word."""
    return ~frame["warmup"] & ~completed(frame) & ~failed(frame)


def _completed(frame: Frame, excluded: Counter[str]) -> Frame:
    warm = frame["warmup"]
    done = completed(frame)
    known = ~np.isnan(frame["accuracy"])
    excluded["warm-ups"] += int(warm.sum())
    excluded[FAILED] += int(failed(frame).sum())
    excluded[UNREADABLE] += int(unreadable(frame).sum())
    excluded[UNTOLD] += int((~warm & done & ~known).sum())
    return frame.where(~warm & done & known)


def _fresh(frame: Frame, seen: Sequence[Frame]) -> tuple[NDArray[np.bool_], int]:
    """Which rows are not in an earlier store, and how many recur within this one."""
    config, seed = (np.concatenate([f[name] for f in (*seen, frame)]) for name in ("config_hash", "seed"))
    keys, known = row_keys(config, seed), ~np.isnan(seed)
    there = known & (config != "")
    earlier = len(keys) - frame.rows
    recurs = there[earlier:] & np.isin(keys[earlier:], keys[:earlier][there[:earlier]])
    own = seed[earlier:][known[earlier:]]
    return ~recurs, own.size - np.unique(own).size + _repeated(frame["trained_run"])


def _repeated(names: NDArray[Any]) -> int:
    """How many of the known names stand there again: one trained network scored twice is one run."""
    known = [name for name in names.tolist() if name]
    return len(known) - len(set(known))


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
    totals, which = np.unique(runs["total"], return_inverse=True)
    needed = [needed_count(target, int(total)) if total == total else np.nan for total in totals.tolist()]
    threshold = np.array(needed, dtype=np.float64)[which]
    with np.errstate(invalid="ignore"):
        by_count = runs["correct"] >= threshold
        by_accuracy = runs["accuracy"] >= target - TOLERANCE
    return np.where(np.isnan(threshold) | np.isnan(runs["correct"]), by_accuracy, by_count).astype(bool)


# --- numeric stacks ------------------------------------------------------------------------------------------

STACK = ("device", "cuda", "cudnn", "torch")


def stacks(frame: Frame) -> tuple[NDArray[np.intp], list[tuple[str, ...]]]:
    """Each run's numeric stack, by number, and the stacks: the device (the processor where there is none) and its libraries.

    Two numbers may stand for one stack.
    """
    codes, rows = frame.groups(*STACK, "cpu")
    return codes, [(*row[:4], row[4] if row[0] in ("cpu", "") else "") for row in rows]


def may_agree(a: tuple[str, ...], b: tuple[str, ...]) -> bool:
    """Whether two stacks agree in everything that is known of both."""
    return all(x == y or not x or not y for x, y in zip(a, b, strict=True))


# --- time ---------------------------------------------------------------------------------------------------


SHARED = "times of the shared lane"
TIMELESS = "without a time"


def timed(sample: Sample) -> tuple[Frame, dict[str, int]]:
    """The runs whose time may be used, and how many may not, by reason."""
    runs, excluded = sample.runs if sample.untold is None else sample.untold, Counter[str]()
    shared = runs["lane"] == "shared"
    unknown = ~(runs["time_s"] > 0)
    excluded[SHARED] += int(shared.sum())
    excluded[TIMELESS] += int((~shared & unknown).sum())
    return runs.where(~shared & ~unknown), {k: v for k, v in excluded.items() if v}


@dataclass(frozen=True)
class Blocks:
    """Blocks that hold both arms: times (b,), their clusters, and the rows behind them.

    `clusters` are invocations, or hosts where the blocks come from several. `split` blocks whose two runs stand on
    different hosts are none.
    """

    control: Frame
    candidate: Frame
    clusters: NDArray[Any]
    unit: str
    incomplete: int
    split: int = 0

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
    keys = row_keys(*(np.concatenate((control[name], candidate[name])) for name in ("invocation", "block")))
    (left, left_rows), (right, right_rows) = (
        _by_block(frame, own) for frame, own in ((control, keys[: control.rows]), (candidate, keys[control.rows :]))
    )
    _, here, there = np.intersect1d(left, right, assume_unique=True, return_indices=True)
    order = np.argsort(left_rows[here], kind="stable")
    a, b = control.take(left_rows[here[order]]), candidate.take(right_rows[there[order]])
    hosts = _hosts(a, b)
    together = np.array([mine == theirs for mine, theirs in hosts], dtype=bool)
    a, b = a.where(together), b.where(together)
    clusters, unit = _clusters(a, [mine for mine, theirs in hosts if mine == theirs])
    return Blocks(a, b, clusters, unit, right.size - here.size, int((~together).sum()))


def _by_block(frame: Frame, keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """The blocks' keys and row numbers; rows of an unknown block, and all rows of a block that holds two, are left out."""
    known = np.flatnonzero((frame["invocation"] != "") & ~np.isnan(frame["block"]))
    found, first, count = np.unique(keys[known], return_index=True, return_counts=True)
    return found[count == 1], known[first[count == 1]]


def _hosts(control: Frame, candidate: Frame) -> list[tuple[str, str]]:
    """The hosts of each block's two runs; one that is unknown is that of its invocation, or of the other run."""
    of: dict[str, str] = {}
    for frame in (control, candidate):
        of |= {i: h for i, h in zip(frame["invocation"].tolist(), frame["host"].tolist(), strict=True) if h}
    rows = zip(control["invocation"].tolist(), control["host"].tolist(), candidate["host"].tolist(), strict=True)
    return [(a or b or of.get(i, ""), b or a or of.get(i, "")) for i, a, b in rows]


def _clusters(frame: Frame, hosts: Sequence[str]) -> tuple[NDArray[Any], str]:
    """Hosts where there are several: each has its own luck. Blocks of an unknown one are one more; less must not show more."""
    if len(set(hosts)) > 1:
        return np.array([host or "unknown" for host in hosts], dtype=object), "host"
    return frame["invocation"], "invocation"
