"""A seeded part of `benchmarks.calibration`: small samples and the whole verdict, where a broken level shows most."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.calibration import coverage, verdicts
from benchmarks.calibration.cells import Cell, measure
from harness.stats.resampling import bca

pytestmark = pytest.mark.slow
SEED = 20_261_124

CELLS = [*coverage.cells(quick=False), *verdicts.cells(quick=False)]


def named(cell: Cell) -> str:
    return f"{cell.what} | {cell.where}"


def check(cell: Cell) -> None:
    result = measure(cell, seed=SEED)
    assert result.ok, f"{named(cell)}: {result.rate:.4f} is not within {cell.low:.4f} to {cell.high:.4f}"


FORMULAS = [
    c for c in CELLS
    if c.repeats == 10_000 and c.group in ("coverage", "one-sided .05") and (
        "n = 5" in c.where or "5 × 1 " in c.where or "5 × 5 " in c.where or "7 blocks" in c.where
    )
    and c.where.startswith(("normal", "quantised"))
    and not c.where.endswith("000")
]  # fmt: skip


@pytest.mark.parametrize("cell", FORMULAS, ids=named)
def test_formula_at_five_values(cell):
    """ddof, z for t and one error for another show most where there is least data."""
    check(cell)


UNEQUAL = [c for c in CELLS if c.what.startswith("Welch") and c.where == "normal, n = 25 against 1000"]


@pytest.mark.parametrize("cell", UNEQUAL, ids=named)
def test_unequal_sizes_and_spreads(cell):
    check(cell)


EXACT = [c for c in CELLS if c.exact is not None and "1000 and 1000" not in c.where and "n = 50" not in c.where]


@pytest.mark.parametrize("cell", EXACT, ids=named)
def test_rate_over_all_outcomes(cell):
    check(cell)


MEDIAN = [
    c
    for c in CELLS
    if c.what.startswith("order statistics") and c.where.startswith(("normal, n = 25", "left-skewed, n = 25"))
]


@pytest.mark.parametrize("cell", MEDIAN, ids=named)
def test_median(cell):
    check(cell)


TELLING = {"time": "10 × 20 runs, arm-by-process effect", "accuracy": "independent runs"}
"""Where an error that forgets the process, or a level that is not the stated one, shows most."""
VERDICTS = [c for c in CELLS if c.group == "false pass" and c.where == TELLING[c.what.split(": ")[1].split()[0]]]


@pytest.mark.parametrize("cell", VERDICTS, ids=named)
def test_claim_false_at_its_limit_passes_no_more_than_alpha(cell):
    check(cell)


def test_every_claim_is_among_them():
    assert {c.what.split(":")[0] for c in VERDICTS} == {"faster", "accurate", "equivalent", "no-regression"}


POWER = [replace(c, repeats=500) for c in CELLS if c.group == "power"]


@pytest.mark.parametrize("cell", POWER, ids=named)
def test_what_is_there_is_found(cell):
    check(cell)


def test_one_of_nine_equal_candidates_seldom_passes():
    cell = next(c for c in CELLS if c.group == "several candidates" and c.where == "K = 9, 25 against 25")
    check(replace(cell, repeats=500, high=0.05 + 3 * (0.05 * 0.95 / 500) ** 0.5))


def test_no_interval_is_invented_for_five_values():
    rng = np.random.default_rng(SEED)
    assert bca([rng.normal(size=5)], np.mean, rng=rng).low is None
    assert coverage.order_statistics(rng, "normal", 5) == ("void",)


def test_rates_do_not_depend_on_where_they_are_measured():
    from benchmarks.calibration.cells import run_cells

    cell = replace(next(c for c in CELLS if c.what == "t, mean"), repeats=600)
    alone = measure(cell, seed=1)
    pooled = next(iter(run_cells([cell], seed=1, processes=2)))
    assert alone.counts == pooled.counts and alone.repeats == pooled.repeats == 600
