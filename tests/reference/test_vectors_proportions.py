"""Rates: one and two. Newcombe (1998a, b) printed most of these; statsmodels and scipy are the second witness."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from harness.stats.boschloo import boschloo_greater, boschloo_p
from harness.stats.proportions import (
    binomial_p,
    clopper_pearson,
    consistency_p,
    jeffreys,
    miettinen_nurminen,
    newcombe,
    pooled_p,
    two_proportion_p,
    wilson,
)


def limits(low: float, high: float, digits: int = 4) -> tuple[object, object]:
    return pytest.approx(low, abs=0.51 * 10**-digits), pytest.approx(high, abs=0.51 * 10**-digits)


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),  # Newcombe (1998a), table I, method 3
        (1, 29, 0.0061, 0.1718),
        (522, 1000, 0.4910, 0.5528),
        (425, 1000, 0.3947, 0.4559),
    ],
)
def test_wilson(k: int, n: int, low: float, high: float) -> None:
    e = wilson(k, n)
    assert (e.low, e.high) == limits(low, high)


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [
        (81, 263, 0.2527, 0.3676),  # Newcombe (1998a), table I, method 5
        (1, 29, 0.0009, 0.1776),
        (682, 925, 0.7077, 0.7654),  # Conover (1971), Mendel's peas; R's example of binom.test
    ],
)
def test_clopper_pearson(k: int, n: int, low: float, high: float) -> None:
    e = clopper_pearson(k, n)
    assert (e.low, e.high) == limits(low, high)


@pytest.mark.parametrize("n", [1, 5, 25, 200, 1000])
def test_one_rate_against_statsmodels(n: int) -> None:
    for k in sorted({0, 1, n // 3, n // 2, n - 1, n}):
        for ours, name in ((wilson, "wilson"), (clopper_pearson, "beta")):
            e = ours(k, n, confidence=0.9)
            low, high = proportion_confint(k, n, alpha=0.1, method=name)
            # statsmodels leaves NaN, and a rounding error of 0 and 1, at the ends
            assert e.low == pytest.approx(0.0 if k == 0 else low, rel=1e-6, abs=1e-12)
            assert e.high == pytest.approx(1.0 if k == n else high, rel=1e-6, abs=1e-12)
        if 0 < k < n:
            e = jeffreys(k, n, confidence=0.9)
            assert (e.low, e.high) == pytest.approx(proportion_confint(k, n, alpha=0.1, method="jeffreys"), rel=1e-6)


@pytest.mark.parametrize(
    ("n", "p", "wilson_covers", "exact_covers", "jeffreys_covers"),
    [
        (5, 0.9, 0.919, 0.991, 0.991),
        (25, 0.522, 0.931, 0.974, 0.931),
        (25, 0.98, 0.911, 0.987, 0.987),
        (200, 0.9, 0.956, 0.967, 0.941),
        (1000, 0.98, 0.947, 0.959, 0.959),
    ],
)
def test_coverage_by_enumeration(
    n: int, p: float, wilson_covers: float, exact_covers: float, jeffreys_covers: float
) -> None:
    mass = stats.binom.pmf(np.arange(n + 1), n, p)
    wanted = (wilson_covers, exact_covers, jeffreys_covers)
    for interval, coverage in zip((wilson, clopper_pearson, jeffreys), wanted, strict=True):
        inside = [e.low <= p <= e.high for e in (interval(k, n) for k in range(n + 1))]
        assert mass[inside].sum() == pytest.approx(coverage, abs=5.1e-4)


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [
        ((56, 70, 48, 80), 0.0524, 0.3339),  # Newcombe (1998b), table II, method 10
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((6, 7, 2, 7), 0.0582, 0.8062),
        ((5, 56, 0, 29), -0.0381, 0.1926),
        ((522, 1000, 425, 1000), 0.0533, 0.1402),
    ],
)
def test_newcombe(counts: tuple[int, int, int, int], low: float, high: float) -> None:
    e = newcombe(*counts)
    assert (e.low, e.high) == limits(low, high)
    k1, n1, k2, n2 = counts
    assert (e.low, e.high) == pytest.approx(confint_proportions_2indep(k1, n1, k2, n2, method="newcomb"), abs=1e-9)


@pytest.mark.parametrize(
    ("counts", "low", "high", "digits"),
    [
        ((56, 70, 48, 80), 0.0528, 0.3382, 4),  # Newcombe (1998b), table II, method 5
        ((522, 1000, 425, 1000), 0.05329, 0.14034, 5),
    ],
)
def test_miettinen_nurminen(counts: tuple[int, int, int, int], low: float, high: float, digits: int) -> None:
    # statsmodels 0.15.0 is no witness here: its method="score" is wrong for a difference (issue #10269)
    e = miettinen_nurminen(*counts)
    assert (e.low, e.high) == limits(low, high, digits)


@pytest.mark.parametrize("counts", [(9, 10, 3, 10), (6, 7, 2, 7), (5, 56, 0, 29), (0, 10, 0, 20), (10, 10, 0, 20)])
def test_miettinen_nurminen_where_others_give_up(counts: tuple[int, int, int, int]) -> None:
    e = miettinen_nurminen(*counts)
    assert -1 <= e.low <= e.value <= e.high <= 1
    assert e.low < e.high


def test_boschloo_greater() -> None:  # scipy's example of boschloo_exact, after a survey of Hothorn and Everitt (2014)
    assert boschloo_greater(74, 117, 31, 63) == pytest.approx(0.0355641, rel=5e-6)


@pytest.mark.parametrize("counts", [(7, 19, 8, 11), (3, 25, 20, 25), (25, 25, 0, 25), (17, 25, 104, 200), (0, 4, 0, 4)])
def test_boschloo_against_scipy(counts: tuple[int, int, int, int]) -> None:
    k1, n1, k2, n2 = counts
    want = stats.boschloo_exact([[k1, k2], [n1 - k1, n2 - k2]], n=64).pvalue
    assert boschloo_p(k1, n1, k2, n2) == pytest.approx(want, rel=1e-5)


def test_two_rates_of_1000() -> None:  # pooled z = 4.3441, p = 1.40e-5
    p, method = two_proportion_p(522, 1000, 425, 1000)
    assert (p, method) == (pytest.approx(2 * stats.norm.sf(4.3441), rel=5e-4), "score z")
    assert pooled_p(522, 1000, 425, 1000) == pytest.approx(1.40e-5, rel=2e-3)


def test_small_arms_are_exact() -> None:
    assert two_proportion_p(17, 25, 13, 25)[1] == "boschloo"


@pytest.mark.parametrize(
    ("k", "n", "p"), [(3, 10, 0.5), (425, 1000, 0.5), (0, 25, 0.2), (17, 25, 0.522), (682, 925, 0.75)]
)
def test_exact_binomial(k: int, n: int, p: float) -> None:
    assert binomial_p(k, n, p) == pytest.approx(stats.binomtest(k, n, p).pvalue, rel=1e-9)


def test_success_count_that_contradicts_mean_and_sd() -> None:
    """425 of 1000 at 94 % with mean 93.98 and sd .15 hints at lost ties (z = -2.2); 350 would be impossible."""
    known = {"mean": 93.98, "sd": 0.15, "target": 94.0, "grid": 0.01}
    assert 0.01 < consistency_p(425, 1000, **known) < 0.05
    assert consistency_p(350, 1000, **known) < 0.001
    assert consistency_p(522, 1000, mean=94.01, sd=0.15, target=94.0, grid=0.01) > 0.2
