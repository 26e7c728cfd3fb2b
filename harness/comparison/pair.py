"""One candidate against the control: the runs, the blocks, and every estimate that they allow."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from harness.comparison.frame import Frame, codes_of, rows_by_code
from harness.comparison.samples import Blocks, FloatArray, Sample, match_blocks, successes, timed
from harness.model.experiment import Claim
from harness.stats.clustered import ClusteredMean, clustered_mean
from harness.stats.contrast import Contrast
from harness.stats.correlation import pearson
from harness.stats.means import one_sample, paired, welch
from harness.stats.outliers import mad_z

LEAST_PAIRS = 100
LEAST_CORRELATION = 0.1


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
        if not trained or not all(map(own.__contains__, trained)):
            return None
        return self.control.accuracy[[own[t] for t in trained]], self.candidate.accuracy

    @cached_property
    def agreeing_seeds(self) -> tuple[FloatArray, FloatArray] | None:
        """Accuracies (control, candidate) by seed, where runs of one seed provably resemble each other.

        Training is chaotic, and a shared seed mostly shares no noise. The rule is fixed before looking at any difference:
        every run of both arms has its partner, there are at least 100 pairs, and the lower 95 % limit of their
        correlation is above 0.1.
        """
        control, candidate = (side.runs["seed"] for side in (self.control, self.candidate))
        if control.size < LEAST_PAIRS or control.size != candidate.size:
            return None
        seeds, first = np.unique(control, return_index=True)
        others, second = np.unique(candidate, return_index=True)
        if seeds.size != control.size or np.isnan(seeds).any() or not np.array_equal(seeds, others):
            return None
        a, b = self.control.accuracy[first], self.candidate.accuracy[second]
        low = pearson(a, b).low
        return (a, b) if low is not None and low > LEAST_CORRELATION else None

    @cached_property
    def paired_accuracies(self) -> tuple[FloatArray, FloatArray] | None:
        """What is compared run by run: always where arms share trained networks, by the rule above elsewhere."""
        return self.shared_training or self.agreeing_seeds

    @cached_property
    def difference_pp(self) -> Contrast:
        """Candidate − control in percentage points: paired where runs belong together, Welch otherwise."""
        pairs = self.paired_accuracies
        if pairs is None:
            return welch(self.candidate.accuracy, self.control.accuracy).scaled(100)
        what = "paired t, shared networks" if self.shared_training is not None else "paired t, agreeing seeds"
        return replace(paired(pairs[1], pairs[0]).scaled(100), method=what)

    @cached_property
    def candidate_mean(self) -> Contrast:
        return one_sample(self.candidate.accuracy)

    # --- time -----------------------------------------------------------------------------------------------

    @cached_property
    def _timed(self) -> tuple[Frame, Frame, int]:
        """Timed runs of both arms; untagged slow first runs of a process are left out, with their block."""
        frames = timed(self.control)[0], timed(self.candidate)[0]
        slow = [slow_first_runs(frame, self.control, self.candidate) for frame in frames]
        if not any(mask.any() for mask in slow):
            return *frames, 0
        keys = {key for frame, mask in zip(frames, slow, strict=True) for key in _keys(frame.where(mask)) if key}
        blocks = [np.array([key in keys for key in _keys(frame)], dtype=bool) for frame in frames]
        control, candidate = (f.where(~m & ~b) for f, m, b in zip(frames, slow, blocks, strict=True))
        return control, candidate, sum(f.rows for f in frames) - control.rows - candidate.rows

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

    @cached_property
    def far_blocks(self) -> NDArray[np.bool_]:
        """Blocks whose speed-up lies more than 5 robust deviations from the median, (b,)."""
        return np.abs(mad_z(self.blocks.log_speedup)) > 5

    @cached_property
    def trimmed_log_speedup(self) -> ClusteredMean:
        """`log_speedup` without the far blocks."""
        keep = ~self.far_blocks
        return clustered_mean(self.blocks.log_speedup[keep], self.blocks.clusters[keep])

    @property
    def predicted_speedup(self) -> float | None:
        """What the step counts alone predict: control steps / candidate steps."""
        a, b = self.control.runs["steps"], self.candidate.runs["steps"]
        if np.isnan(a).any() or np.isnan(b).any() or not a.size or not b.size or not b.mean() > 0:
            return None
        return float(a.mean() / b.mean())


def slow_first_runs(frame: Frame, *sides: Sample) -> NDArray[np.bool_]:
    """Which runs are an untagged warm-up (rows,): the first of its process, and far slower than the rest.

    Only where nobody tagged warm-ups in that process, and where it is so in at least half of the processes. Where
    processes are unknown, the runs are taken as those of one.
    """
    tagged = {name for side in sides for name in side.rows["invocation"][side.rows["warmup"]].tolist()}
    order = frame.in_time()
    codes, names = codes_of(frame["invocation"][order])
    by_process = zip(names, rows_by_code(codes), strict=True)
    untagged = [order[rows] for name, rows in by_process if name not in tagged and len(rows) >= 5]
    first = [rows[0] for rows in untagged if _far_slower(frame["time_s"][rows])]
    mask = np.zeros(frame.rows, dtype=bool)
    if 2 * len(first) >= len(untagged):
        mask[first] = True
    return mask


def _far_slower(times: FloatArray) -> bool:
    """Whether the first of `times` lies apart from the rest, and above it by more than 2 %."""
    return bool(mad_z(times)[0] > 5 and times[0] > 1.02 * np.median(times[1:]))


def _keys(frame: Frame) -> list[tuple[str, float] | None]:
    """The block of each row, None where it is unknown."""
    pairs = zip(frame["invocation"].tolist(), frame["block"].tolist(), strict=True)
    return [(name, block) if name and block == block else None for name, block in pairs]


def succeeded(sample: Sample, target: float) -> int:
    return int(successes(sample.runs, target).sum())
