"""One and two samples: t, Welch, Hedges g, quantiles, ranks, robust means, equivalence."""

from __future__ import annotations

import math

import numpy as np
import pytest
from reference_samples import F25, ORANGE_JUICE, VITAMIN_C
from scipy import stats

from harness.stats.contrast import Contrast
from harness.stats.equivalence import tost
from harness.stats.means import from_moments, hedges_g, one_sample, paired, sd_interval, welch, welch_from_moments
from harness.stats.moments import Moments, moments
from harness.stats.outliers import yuen
from harness.stats.quantiles import median, quantile, quantile_ranks
from harness.stats.ranks import brunner_munzel, cliffs_delta
from harness.stats.resampling import bca, permutation_p


def close(value: float, rel: float = 1e-6) -> object:
    return pytest.approx(value, rel=rel)


def test_25_runs_by_t() -> None:  # scipy 1.17 ttest_1samp
    c = one_sample(F25)
    e = c.estimate()
    assert (e.value, c.sd) == (close(94.04, 1e-14), close(0.1495827530, 1e-9))
    assert (e.low, e.high) == (close(93.9782552742, 1e-12), close(94.1017447258, 1e-12))
    assert c.p_greater(94) == close(0.0968707324, 1e-9)


def test_tooth_growth_by_welch() -> None:  # R: t.test(len ~ supp): t = 1.9153, df = 55.309, p = .06063
    c = welch(ORANGE_JUICE, VITAMIN_C)
    e = c.estimate()
    assert c.se is not None
    assert (c.value / c.se, c.df, c.p_two_sided()) == (close(1.9152683), close(55.309433), close(0.0606345, 2e-6))
    assert (e.low, e.high) == (close(-0.1710156), close(7.5710156))


def test_tooth_growth_effect_size() -> None:  # d = .4945201, J = .9870036
    assert hedges_g(ORANGE_JUICE, VITAMIN_C).value == close(0.4880931)


def test_effect_size_interval_inverts_the_noncentral_t() -> None:
    e = hedges_g(ORANGE_JUICE, VITAMIN_C)
    t = stats.ttest_ind(ORANGE_JUICE, VITAMIN_C).statistic
    scale = e.value / t  # g per unit of noncentrality
    assert stats.nct.sf(t, 58, e.low / scale) == close(0.025)
    assert stats.nct.cdf(t, 58, e.high / scale) == close(0.025)


def test_tooth_growth_by_rank() -> None:  # R: wilcox.test W = 575.5; lawstat::brunner.munzel.test
    c = brunner_munzel(ORANGE_JUICE, VITAMIN_C)
    assert c.se is not None
    assert c.value * 900 == close(575.5, 1e-12)
    assert ((c.value - 0.5) / c.se, c.p_two_sided(0.5)) == (close(1.8965261), close(0.0631786))
    assert cliffs_delta(c).value == close(0.2788889)


def test_brunner_munzel_pain_scores() -> None:  # Brunner and Munzel (2000), section 4: W = 3.1374675, p = .0057862
    x = [1, 2, 1, 1, 1, 1, 1, 1, 1, 1, 2, 4, 1, 1]
    y = [3, 3, 4, 3, 1, 2, 3, 1, 1, 5, 4]
    c = brunner_munzel(y, x)
    assert c.se is not None
    assert ((c.value - 0.5) / c.se, c.p_two_sided(0.5)) == (close(3.1374675), close(0.0057862, 1e-5))


def test_tooth_growth_by_permutation() -> None:
    p = permutation_p(ORANGE_JUICE, VITAMIN_C, rng=np.random.default_rng(1))
    assert p == pytest.approx(0.0605, abs=0.002)


def test_small_permutation_is_exact() -> None:  # only 2 of the 6 labellings separate the arms as 1 2 | 3 4 does
    assert permutation_p([1, 2], [3, 4], rng=np.random.default_rng(1)) == close(2 / 6, 1e-12)


def test_tooth_growth_ratio_by_bootstrap() -> None:  # about [.991, 1.498], Monte Carlo
    e = bca([ORANGE_JUICE, VITAMIN_C], lambda a, b: float(np.mean(a) / np.mean(b)), rng=np.random.default_rng(1))
    assert (e.low, e.high) == (pytest.approx(0.991, abs=0.008), pytest.approx(1.498, abs=0.012))


def test_tooth_growth_equivalence_within_8() -> None:  # statsmodels ttost_ind, usevar="unequal"
    found = tost(welch(ORANGE_JUICE, VITAMIN_C), low=-8, high=8)
    assert found.p == close(0.0150590, 5e-6)


def test_yuen_against_scipy() -> None:
    want = stats.ttest_ind(ORANGE_JUICE, VITAMIN_C, equal_var=False, trim=0.1)
    c = yuen(ORANGE_JUICE, VITAMIN_C, trim=0.1)
    assert c.se is not None
    assert (c.value / c.se, c.df, c.p_two_sided()) == (close(want.statistic), close(want.df), close(want.pvalue))


def test_paired_against_scipy() -> None:
    want = stats.ttest_rel(ORANGE_JUICE, VITAMIN_C)
    c = paired(ORANGE_JUICE, VITAMIN_C)
    assert c.se is not None
    assert (c.value / c.se, c.p_two_sided()) == (close(want.statistic), close(want.pvalue))


@pytest.mark.parametrize(
    ("n", "low", "high"), [(5, 0.599, 2.874), (25, 0.781, 1.391), (200, 0.911, 1.109), (1000, 0.958, 1.046)]
)
def test_sd_multipliers(n: int, low: float, high: float) -> None:  # any table of chi-square
    e = sd_interval(np.random.default_rng(n).normal(size=n))
    assert (e.low / e.value, e.high / e.value) == (pytest.approx(low, abs=5e-4), pytest.approx(high, abs=5e-4))


@pytest.mark.parametrize(
    ("n", "q", "ranks"),
    [
        (25, 0.5, (8, 18)),
        (200, 0.5, (86, 115)),
        (1000, 0.5, (469, 532)),
        (5, 0.5, (None, None)),
        (200, 0.1, (12, 30)),
        (1000, 0.1, (82, 120)),
    ],
)
def test_quantile_ranks(n: int, q: float, ranks: tuple[int | None, int | None]) -> None:  # scipy quantile_test
    assert quantile_ranks(n, q) == ranks


@pytest.mark.parametrize(("n", "coverage"), [(25, 0.9567), (200, 0.9600), (1000, 0.9537)])
def test_median_coverage(n: int, coverage: float) -> None:
    assert median(np.arange(n)).coverage == pytest.approx(coverage, abs=5e-5)


def test_median_of_25_runs() -> None:
    e = median(F25).estimate
    assert (e.value, e.low, e.high) == (close(94.04), close(93.96), close(94.12))


def test_low_decile_of_25_runs_has_no_lower_limit() -> None:
    found = quantile(F25, 0.1)
    assert (found.low_rank, found.estimate.low) == (None, None)
    assert found.estimate.high is not None and found.estimate.reason


def test_welch_from_summaries_is_welch() -> None:
    assert welch_from_moments(moments(ORANGE_JUICE), moments(VITAMIN_C)) == welch(ORANGE_JUICE, VITAMIN_C)


def test_seed_context_accuracy() -> None:
    """A published study of 1000 + 1000 runs: 94.01 against 93.98 with half-widths of .01, so sd .1613."""
    sd2 = (0.01 * np.sqrt(1000) / 1.96) ** 2
    c = welch_from_moments(Moments(1000, 93.98, sd2), Moments(1000, 94.01, sd2))
    assert c.se is not None
    assert (c.se, c.value / c.se, c.df) == (close(0.0072154, 5e-6), close(-4.1578, 2e-5), close(1998, 1e-9))
    assert c.p_two_sided() == close(3.35e-5, 2e-3)
    assert (c.lower(0.05), c.upper(0.05)) == (close(-0.0418737, 5e-6), close(-0.0181263, 5e-6))
    assert (c.p_greater(-0.02), c.p_less(-0.02)) == (close(0.9170, 1e-4), close(0.0830, 1e-3))
    assert c.p_greater(-0.05) == close(0.0028, 0.02)
    final, baseline = (from_moments(Moments(1000, m, sd2)) for m in (93.98, 94.01))
    assert final.upper(0.05) == pytest.approx(93.98839, abs=2e-5)  # printed with z
    assert final.p_less(94) == close(4.4e-5, 0.25)  # printed for the rounded z = -3.92
    assert baseline.lower(0.05) == pytest.approx(94.00161, abs=2e-5)
    assert baseline.p_greater(94) == close(0.025, 0.01)


def test_screen_of_25_against_1000() -> None:  # 94.04 against 94.01, pooled sd .15 on 1023 df
    c = Contrast(0.03, math.hypot(0.15 / 5, 0.15 / math.sqrt(1000)), 1023)
    assert (c.se, c.lower(0.05)) == (close(0.0303727, 5e-6), pytest.approx(-0.0200039, abs=5e-7))
