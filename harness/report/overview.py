"""Several experiments on one page: a row for the control and for the candidate that each experiment ends with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.comparison.compare import ArmSummary, CandidateResult, Comparison
from harness.comparison.words import number, percent_interval, pp_interval, ratio_interval, seconds_interval
from harness.report.escaping import markdown_row, markdown_sentence
from harness.report.plain import name_of

HEADER = ("experiment", "arm", "n", "accuracy", "vs control", "time", "speed-up", "at target", "cost of a success")


@dataclass(frozen=True)
class Row:
    """One line: `k` candidates were tried, `arm` is the one shown; None in `result` marks the control itself."""

    experiment: str
    arm: ArmSummary
    k: int = 0
    result: CandidateResult | None = None

    def as_dict(self) -> dict[str, Any]:
        one = self.result
        judged = None if one is None else {"verdict": one.verdict, "headline": one.headline}
        return {
            "experiment": self.experiment,
            "arm": self.arm.as_dict(),
            "role": "control" if one is None else "candidate",
            "candidates": self.k,
            "difference_pp": None if one is None else one.difference_pp.as_dict(),
            "speedup": None if one is None else one.speedup.as_dict(),
            "shrunk_pp": None if one is None or one.selection is None else one.selection.shrunk_pp,
            "judged": judged,
        }


def rows_of(experiment: str, comparison: Comparison, *, every: bool) -> list[Row]:
    """The experiment's candidates: all of them, or the best by the shrunken difference in accuracy."""
    k = len(comparison.comparisons)
    shown = comparison.comparisons if every else (max(comparison.comparisons, key=_worth),)
    return [Row(experiment, one.candidate, k, one) for one in shown]


def _worth(one: CandidateResult) -> tuple[float, float]:
    """What ranks candidates: the difference in accuracy, shrunk where several were tried, then as it was measured."""
    measured = one.difference_pp.value if one.difference_pp.value is not None else float("-inf")
    shrunk = one.selection.shrunk_pp if one.selection is not None else None
    return (measured if shrunk is None else round(shrunk, 6), measured)


def overview_text(rows: Sequence[Row]) -> str:
    cells = [HEADER, *(_cells(row) for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(HEADER))]
    grid = ["  ".join(_set(cell, w, i) for i, (cell, w) in enumerate(zip(line, widths, strict=True))) for line in cells]
    return "\n".join([*(line.rstrip() for line in grid), "", *_verdicts(rows)])


def overview_markdown(rows: Sequence[Row]) -> str:
    lines = [
        markdown_row(HEADER),
        "|" + "---|" * len(HEADER),
        *(markdown_row(map(name_of, _cells(row))) for row in rows),
    ]
    return "\n".join([*lines, "", *(f"{markdown_sentence(line)}  " for line in _verdicts(rows))]).rstrip() + "\n"


def _set(cell: str, width: int, column: int) -> str:
    return cell.rjust(width) if column == 2 else cell.ljust(width)


def _cells(row: Row) -> tuple[str, ...]:
    one, arm = row.result, row.arm
    name = arm.name + (f" (best of {row.k})" if row.k > 1 else "")
    versus = "" if one is None else pp_interval(one.difference_pp)
    faster = "" if one is None else _speedup(one)
    cost = arm.cost_of_success_s
    return (
        row.experiment,
        name,
        str(arm.n),
        percent_interval(arm.accuracy),
        versus,
        seconds_interval(arm.time_s),
        faster,
        _successes(arm.success),
        seconds_interval(cost) if cost.value is not None else "",
    )


def _speedup(one: CandidateResult) -> str:
    refused = any(f.refuses & {"time", "time-superiority"} for f in one.findings)
    return "refused" if refused else ratio_interval(one.speedup)


def _successes(success: Mapping[str, Any]) -> str:
    k, n = success.get("k"), success.get("n")
    return "" if k is None or not n else f"{k}/{n} = {number(100 * k / n, 1)} %"


def _verdicts(rows: Sequence[Row]) -> list[str]:
    judged = [(row, row.result) for row in rows if row.result is not None]
    width = max((len(row.experiment) for row, _ in judged), default=0)
    return [f"{row.experiment:<{width}}  {one.candidate.name}: {one.headline}" for row, one in judged]
