"""Coverage of every interval, false passes and power of every claim, as one Markdown table.

    uv run python -m benchmarks.calibration [--quick] [--out docs/calibration.md] [--only coverage] [--processes 2]

Seeded: the same numbers on any number of processes. `--quick` has about a tenth of the repeats, and limits as much wider.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from pathlib import Path

import numpy as np
import scipy

from benchmarks.calibration import coverage, verdicts
from benchmarks.calibration.cells import Result, run_cells

SEED = 20_261_123
GROUPS = {
    "coverage": "Coverage of 95 % intervals",
    "one-sided .05": "One-sided tests of a mean at .05",
    "level .05": "Exact tests, resampling and confidence sequences at .05",
    "false pass": "False passes of the whole verdict at alpha = .05",
    "power": "Power of the whole verdict",
    "several candidates": "Several candidates at alpha = .05",
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calibration", description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", choices=list(GROUPS))
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    started = time.perf_counter()
    verdicts.remember_pure_functions()
    cells = [*verdicts.cells(given.quick), *coverage.cells(given.quick)]
    cells = [cell for cell in cells if given.only in (None, cell.group)]
    results = []
    for result in run_cells(cells, seed=SEED, processes=given.processes):
        results.append(result)
        mark = "ok" if result.ok else "NOT ok"
        seconds = time.perf_counter() - started
        print(
            f"{seconds:6.0f} s  {mark:6s} {result.cell.what} | {result.cell.where}: {result.rate:.4f}", file=sys.stderr
        )
    text = table(results, time.perf_counter() - started, given.quick, given.processes)
    if given.out:
        given.out.write_text(text, encoding="utf-8")
    else:
        print(text)
    return 0 if all(result.ok for result in results) else 1


def table(results: list[Result], seconds: float, quick: bool, processes: int) -> str:
    """The whole page."""
    bad = [r for r in results if not r.ok]
    lines = [
        "# Calibration",
        "",
        "How often the statistics keep their word, on simulated data whose truth is known. Written by",
        f"`uv run python -m benchmarks.calibration{' --quick' if quick else ''}`, which prints the same numbers again (seed {SEED}).",
        "",
        f"{len(results)} lines, {len(bad)} of them not ok; {seconds / 60:.0f} minutes in {processes} process{'es' * (processes != 1)}; "
        f"Python {platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__}.",
        "",
        "*rate* is measured over *repeats* data sets, with its standard error; `exact` is an enumeration of all outcomes. *allowed* is",
        "the nominal level with three standard errors, and where no method attains that, what is attainable, with the reason.",
        "Accuracies: mean 94, standard deviation .15 points; *left-skewed* is normal with 2 % of the runs .6 points lower;",
        "*quantised* is in steps of .01. Times: standard deviation .78 %. Sizes are runs an arm.",
        "",
    ]
    for group, title in GROUPS.items():
        mine = [r for r in results if r.cell.group == group]
        if mine:
            lines += [f"## {title}", "", *NOTES.get(group, []), *_rows(mine, group), ""]
    return "\n".join(lines).rstrip() + "\n"


NOTES = {
    "false pass": [
        "One part of the claim stands exactly at its limit, all others hold by far. 5 process starts × 5 blocks and quantised",
        "accuracies unless stated. *`skewed`* is how often that finding stands beside the verdict.",
        "Left-skewed lines of a single mean, and of 25 against 1000, have 10,000 repeats: their true rates (.056 to .067 in 40,000",
        "and more direct draws of the t statistic) lie so near to what is allowed that 2,000 cannot tell.",
        "Two of them stood above what is allowed in a first run of 2,000 (.0655 against .06 and .0735 against .07); all lines of these",
        "kinds were raised to 10,000 then.",
        "",
    ],
    "several candidates": [
        "*interval* is how often a simultaneous 95 % interval of any candidate misses the truth.",
        "",
    ],
}


def _rows(results: list[Result], group: str) -> list[str]:
    extra = {"false pass": ("`skewed`", "skewed"), "several candidates": ("interval", "interval")}.get(group)
    head = ["what", "on", "repeats", "rate", "SE", "allowed", ""]
    head += [extra[0]] if extra else []
    out = ["| " + " | ".join([*head, "why"]) + " |", "|" + "---|" * (len(head) + 1)]
    for r in results:
        c = r.cell
        repeats = "exact" if c.exact is not None else f"{r.counted:,}"
        row = [
            c.what,
            c.where,
            repeats,
            f"{r.rate:.4f}",
            f"{r.se:.4f}",
            _allowed(c.low, c.high),
            "ok" if r.ok else "**NOT ok**",
        ]
        row += [f"{r.share(extra[1]):.3f}"] if extra else []
        out.append("| " + " | ".join([*row, c.expected]) + " |")
    return out


def _allowed(low: float, high: float) -> str:
    if low <= 0:
        return f"≤ {high:.4f}"
    return f"≥ {low:.4f}" if high >= 1 else f"{low:.4f} to {high:.4f}"


if __name__ == "__main__":
    sys.exit(main())
