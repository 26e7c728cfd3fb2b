"""What the figures ask of a judgement: whose numbers may be drawn, and in which colour."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from harness.comparison.compare import CandidateResult, Comparison
from harness.comparison.frame import Frame
from harness.comparison.samples import Sample, timed
from harness.model.estimate import Finding


@dataclass(frozen=True)
class Absent:
    """A figure that cannot be drawn, and why, in a sentence."""

    reason: str


ONE_ARM = "There is one arm only, and nothing to hold it against."
UNKNOWN_RUNS = "The runs behind this judgement are not at hand: only its numbers were kept."


def refusal_of_time(one: CandidateResult) -> Finding | None:
    """The finding that forbids a speed-up of this candidate to be told; None where nothing does."""
    return next((f for f in one.findings if f.refuses & {"time", "time-superiority"}), None)


def untimed(one: CandidateResult) -> str:
    """Why the times of this candidate may not stand beside the control's; empty where they may."""
    refusing = next((f for f in one.findings if "time" in f.refuses), None)
    if refusing is not None:
        return f"{refusing.code}: {refusing.message}"
    return "" if one.design == "interleaved" else "its times were not taken in the same blocks as the control's"


def parts_of(comparison: Comparison) -> list[tuple[str, Comparison]]:
    """The candidates of each stage with the control's runs of that stage, in the order of the table; the whole where there is one stage.

    Runs of two stages were made at different times, on different seeds: they stand on no common axis.
    """
    stages = dict.fromkeys(one.candidate.stage for one in comparison.comparisons)
    if len(stages) < 2:
        return [("", comparison)]
    parts = []
    for stage in stages:
        own = tuple(one for one in comparison.comparisons if one.candidate.stage == stage)
        base = None if own[0].pair is None else own[0].pair.control
        parts.append((stage or "no stage", replace(comparison, control=own[0].control, comparisons=own, base=base)))
    return parts


def arms_of(comparison: Comparison) -> Iterator[tuple[int, str, Sample]]:
    """Each arm that has runs at hand: its place in the table (the control's is 0), its name, and its runs that count."""
    if comparison.base is not None:
        yield 0, comparison.control.name, comparison.base
    for place, one in enumerate(comparison.comparisons, 1):
        if one.pair is not None:
            yield place, one.candidate.name, one.pair.candidate


def times_of(comparison: Comparison) -> dict[str, Frame]:
    """The runs behind each arm's mean time: of an interleaved comparison those of its blocks.

    The control's are those beside the first candidate, as in the table.
    """
    out: dict[str, Frame] = {}
    for one in comparison.comparisons:
        pair = one.pair
        if pair is None:
            continue
        both = (
            (pair.blocks.control, pair.blocks.candidate)
            if pair.blocks.n
            else (pair.control_timed, pair.candidate_timed)
        )
        out.setdefault(comparison.control.name, both[0])
        out[one.candidate.name] = both[1]
    if not out and comparison.base is not None:
        out[comparison.control.name] = timed(comparison.base)[0]
    return out
