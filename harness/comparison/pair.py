"""One candidate against the control: the runs, the blocks, and every estimate that they allow."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from harness.comparison.frame import Frame
from harness.comparison.samples import Blocks, FloatArray, Sample, match_blocks, successes, timed
from harness.model.experiment import Claim
from harness.stats.clustered import ClusteredMean, clustered_mean
from harness.stats.contrast import Contrast
from harness.stats.means import one_sample, paired, welch
from harness.stats.outliers import mad_z


@dataclass(frozen=True)
class Promise:
    """What is claimed and at which level, stated before the runs."""

    claim: Claim
    alpha: float = 0.05
    target: float | None = None
    margin_pp: float | None = None
    max_slowdown: float | None = None


@dataclass(frozen=True)
class Pair:
    """A control and a candidate with the promise that they are held to.

    `candidates` is K, the number of candidates that are judged together.
    """

    control: Sample
    candidate: Sample
    promise: Promise
    candidates: int = 1
    notes: dict[str, int] = field(default_factory=dict)

    # --- accuracy -------------------------------------------------------------------------------------------

    @cached_property
    def shared_training(self) -> tuple[FloatArray, FloatArray] | None:
        """Accuracies (control, candidate) of the same trained networks, where all of the candidate's are shared."""
        trained = self.candidate.runs["trained_run"].tolist()
        own = {t: i for i, t in enumerate(self.control.runs["trained_run"].tolist()) if t}
        pairs = [(own[t], i) for i, t in enumerate(trained) if t and t in own]
        if not pairs or len(pairs) < len(trained):
            return None
        left, right = zip(*pairs, strict=True)
        return self.control.accuracy[list(left)], self.candidate.accuracy[list(right)]

    @cached_property
    def difference_pp(self) -> Contrast:
        """Candidate − control in percentage points: paired on shared networks, Welch otherwise."""
        shared = self.shared_training
        if shared is not None:
            return paired(shared[1], shared[0]).scaled(100)
        return welch(self.candidate.accuracy, self.control.accuracy).scaled(100)

    @cached_property
    def candidate_mean(self) -> Contrast:
        return one_sample(self.candidate.accuracy)

    # --- time -----------------------------------------------------------------------------------------------

    @cached_property
    def _timed(self) -> tuple[Frame, Frame, int]:
        """Timed runs of both arms; untagged slow first runs of a process are left out, with their block."""
        control, candidate = timed(self.control)[0], timed(self.candidate)[0]
        slow = {key for frame in (control, candidate) for key in slow_first_runs(frame, self.control, self.candidate)}
        if not slow:
            return control, candidate, 0
        kept = [frame.where(_not_in(frame, slow)) for frame in (control, candidate)]
        dropped = control.rows + candidate.rows - kept[0].rows - kept[1].rows
        return kept[0], kept[1], dropped

    @property
    def control_timed(self) -> Frame:
        return self._timed[0]

    @property
    def candidate_timed(self) -> Frame:
        return self._timed[1]

    @property
    def first_runs_left_out(self) -> int:
        return self._timed[2]

    @cached_property
    def blocks(self) -> Blocks:
        return match_blocks(self.control_timed, self.candidate_timed)

    @cached_property
    def design(self) -> str:
        """How the times were collected: 'interleaved', 'separate', or 'unknown' where nobody wrote it down."""
        if self.blocks.n:
            return "interleaved"
        frames = (self.control_timed, self.candidate_timed)
        if not all(frame.rows for frame in frames):
            return "unknown"
        blind = any(frame.has_unknown("invocation") or np.isnan(frame["block"]).any() for frame in frames)
        return "unknown" if blind else "separate"

    @cached_property
    def log_speedup(self) -> ClusteredMean:
        """log(control / candidate) over blocks, clustered by process start."""
        return clustered_mean(self.blocks.log_speedup, self.blocks.clusters)

    @property
    def predicted_speedup(self) -> float | None:
        """What the step counts alone predict: control steps / candidate steps."""
        a, b = self.control.runs["steps"], self.candidate.runs["steps"]
        if np.isnan(a).any() or np.isnan(b).any() or not a.size or not b.size or not b.mean() > 0:
            return None
        return float(a.mean() / b.mean())


def slow_first_runs(frame: Frame, *sides: Sample) -> set[tuple[str, float]]:
    """Blocks whose run is an untagged warm-up: the first of its process, and far slower than the rest.

    Only where nobody tagged warm-ups in that process, and where it is so in at least half of the processes.
    """
    tagged = {i for side in sides for i, w in zip(side.rows["invocation"], side.rows["warmup"], strict=True) if w}
    order = np.lexsort((frame["position"], frame["block"]))
    by_process: dict[str, list[int]] = {}
    for row in order.tolist():
        by_process.setdefault(frame["invocation"][row], []).append(row)
    untagged = {name: rows for name, rows in by_process.items() if name not in tagged and len(rows) >= 5}
    slow = set()
    for name, rows in untagged.items():
        times: Any = frame["time_s"][rows]
        rest = times[1:]
        if mad_z(times)[0] > 5 and times[0] > 1.02 * np.median(rest):
            slow.add((name, frame["block"][rows[0]]))
    return slow if untagged and 2 * len(slow) >= len(untagged) else set()


def _not_in(frame: Frame, keys: set[tuple[str, float]]) -> Any:
    found = [(i, b) not in keys for i, b in zip(frame["invocation"].tolist(), frame["block"].tolist(), strict=True)]
    return np.array(found, dtype=bool)


def succeeded(sample: Sample, target: float) -> int:
    return int(successes(sample.runs, target).sum())
