"""Where the noise of a log lives: in the run, or in the process that made it.

    uv run python -m benchmarks.process_effect RUNS.csv

Reads a CSV of one unchanged configuration with the columns `invocation` and any of `accuracy`, `time_s`. Prints the
variance components of each, and over all ways to split the processes into two equal halves (252 for ten) how often
a difference is found where there is none: by Welch and Mann-Whitney on the runs, and clustered by process.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from harness.stats.clustered import ClusteredMean, clustered_mean
from harness.stats.contrast import Contrast
from harness.stats.means import welch
from harness.stats.ratios import log_difference

FloatArray = NDArray[np.float64]
Labels = NDArray[np.str_]
COLUMNS = ("time_s", "accuracy")


@dataclass(frozen=True)
class Splits:
    """In how many of `n` splits a difference of 0 was excluded."""

    n: int
    welch: int
    mann_whitney: int
    clustered: int


def read(path: Path) -> tuple[Labels, dict[str, FloatArray]]:
    """Process of each run (n,), and its measurements by name."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows or "invocation" not in rows[0]:
        raise SystemExit(f"{path}: needs a header with the column 'invocation', and rows")
    there = [name for name in COLUMNS if name in rows[0]]
    if not there:
        raise SystemExit(f"{path}: needs one of the columns {', '.join(COLUMNS)}")
    return np.array([r["invocation"] for r in rows]), {k: np.array([float(r[k]) for r in rows]) for k in there}


def splits(values: FloatArray, labels: Labels, alpha: float = 0.05) -> Splits:
    """Every way to deal an even number of processes to two equal halves; both orders of one split count."""
    processes = sorted(set(labels.tolist()))
    if len(processes) % 2 or len(processes) < 4:
        raise ValueError(
            f"equal halves with an error of their own need an even number of processes from 4 on, found {len(processes)}"
        )
    found = np.zeros(3, dtype=int)
    for half in combinations(processes, len(processes) // 2):
        inside = np.isin(labels, half)
        found += [p < alpha for p in _p_values(values, labels, inside)]
    return Splits(comb(len(processes), len(processes) // 2), *found.tolist())


def _p_values(values: FloatArray, labels: Labels, inside: NDArray[np.bool_]) -> tuple[float, float, float]:
    a, b = values[inside], values[~inside]
    runs = welch(a, b).p_two_sided()
    ranks = float(stats.mannwhitneyu(a, b).pvalue)
    return 1.0 if runs is None else runs, ranks, clustered_p(a, labels[inside], b, labels[~inside])


def clustered_p(a: FloatArray, of_a: Labels, b: FloatArray, of_b: Labels) -> float:
    """Two-sided p of H0: the halves have one mean, each with the error of its processes; Satterthwaite df."""
    p = difference(clustered_mean(a, of_a).contrast, clustered_mean(b, of_b).contrast).p_two_sided()
    return 1.0 if p is None else p


def difference(a: Contrast, b: Contrast) -> Contrast:
    return log_difference(a, b)  # a difference of two independent contrasts, whatever their unit


def components_text(name: str, found: ClusteredMean, sd: float) -> str:
    def shown(x: float | None, digits: int = 3) -> str:
        return "unknown" if x is None else f"{x:.{digits}g}"

    p = "unknown" if found.p is None else "below 1e-300" if found.p < 1e-300 else f"{found.p:.3g}"
    lines = [
        f"{name}: {found.n} runs in {found.clusters} processes, mean {found.contrast.value:.6g}, sd {sd:.4g}",
        f"  sd within a process {shown(found.within_sd)}, between processes {shown(found.between_sd)} (one-way components)",
        f"  F = {shown(found.f)} on {found.df1} and {found.df2} degrees of freedom, p {p}",
        f"  ICC {shown(found.icc)}, design effect {shown(found.design_effect, 4)}, effective n {shown(found.effective_n, 4)}",
        f"  se of the mean: {shown(found.contrast.se)} by process, {sd / found.n**0.5:.3g} if the runs were independent",
    ]
    return "\n".join(lines)


def splits_text(name: str, found: Splits) -> str:
    def share(count: int) -> str:
        return f"{count} ({100 * count / found.n:.1f} %)"

    return (
        f"{name}: of {found.n} splits of the processes into halves a difference is found in {share(found.welch)} by Welch on the "
        f"runs, {share(found.mann_whitney)} by Mann-Whitney on the runs, {share(found.clustered)} clustered by process"
    )


def report(labels: Labels, measured: dict[str, FloatArray]) -> str:
    parts = [
        components_text(name, clustered_mean(values, labels), float(values.std(ddof=1)))
        for name, values in measured.items()
    ]
    even = len(set(labels.tolist())) % 2 == 0 and len(set(labels.tolist())) >= 4
    parts += [splits_text(name, splits(values, labels)) for name, values in measured.items()] if even else []
    return "\n".join(parts)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Variance components and A/A splits of a log of one configuration.")
    parser.add_argument("file", type=Path)
    print(report(*read(parser.parse_args(arguments).file)))


if __name__ == "__main__":
    main()
