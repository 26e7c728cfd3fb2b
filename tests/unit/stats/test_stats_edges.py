"""Data that cannot bear the question: every answer is "none, because", never 0, NaN or a traceback."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.stats

from harness.stats.anytime import beta_binomial_sequence, running_intersection, t_mixture_e_value, t_mixture_sequence
from harness.stats.clustered import clustered_mean, variance_components
from harness.stats.contrast import Contrast
from harness.stats.control_charts import cusum, cusum_threshold, e_cusum, e_shiryaev_roberts, first_alarm
from harness.stats.correlation import kendall, pearson, spearman
from harness.stats.equivalence import tost
from harness.stats.iso_accuracy import (
    fit_power_law,
    iso_log_speedup,
    iso_speedup,
    iso_speedup_bootstrap,
    sweep_point,
    time_at,
)
from harness.stats.means import hedges_g, one_sample, paired, sd_interval, spread_ratio, spread_ratio_p, welch
from harness.stats.moments import Moments, excess_kurtosis, moments, skewness
from harness.stats.multiplicity import dunnett, many_to_one
from harness.stats.outliers import mad_z, outliers, trimmed_mean
from harness.stats.proportions import binomial_p, miettinen_nurminen, newcombe, two_proportion_p, wilson
from harness.stats.quantiles import median
from harness.stats.ranks import brunner_munzel
from harness.stats.ratios import cost_of_success, fieller, log_delta, log_ratio_to_ratio
from harness.stats.resampling import bca, permutation_p, sign_flip_p
from harness.stats.selection import hybrid_winner_interval, winner_interval
from harness.stats.sequential import efficacy_bounds, repeated_interval
from harness.stats.series import change_points, correlation_time, drift, lag1
from harness.stats.shrinkage import empirical_bayes
from harness.stats.sprt import gsprt
from harness.stats.survival import kaplan_meier, logrank_z, rmst


def rng() -> np.random.Generator:
    return np.random.default_rng(11)


@pytest.mark.parametrize("x", [[], [94.0]])
def test_too_few_runs_have_a_mean_at_most(x: list[float]) -> None:
    c = one_sample(x)
    e = c.estimate()
    assert e.value == (94.0 if x else None)
    assert (c.usable, e.low, c.p_greater(0), c.lower(0.05)) == (False, None, None, None)
    assert "fewer than 2" in e.reason


def test_equal_runs_have_no_spread_and_no_verdict() -> None:
    c = one_sample([94.0] * 25)
    assert (c.se, c.usable) == (0, False)
    assert c.reason.startswith("no spread")
    assert c.p_two_sided() is None and c.p_greater(90) is None


def test_one_arm_without_spread_leaves_the_others_error() -> None:
    flat, noisy = [94.0] * 10, [93.9, 94.1, 94.0, 94.2]
    c, alone = welch(noisy, flat), one_sample(noisy)
    assert (c.se, c.df) == (pytest.approx(alone.se), pytest.approx(3))
    assert welch(flat, flat).reason and not welch(flat, flat).usable
    assert not welch(flat, [1.0]).usable


def test_tiny_units_do_not_lose_the_degrees_of_freedom() -> None:
    a, b = rng().normal(size=8), rng().normal(size=12)
    assert welch(a * 1e-100, b * 1e-100).df == pytest.approx(welch(a, b).df)


def test_p_is_never_zero() -> None:
    assert Contrast(1.0, 1e-6, math.inf).p_less(2.0) == 5e-324
    assert (Contrast(1.0, 1e-6, math.inf).p_two_sided() or 0) > 0


def test_pairs_must_match() -> None:
    with pytest.raises(ValueError, match="equal numbers"):
        paired([1, 2], [1, 2, 3])


@pytest.mark.parametrize("bad", [[1, math.nan], [1, math.inf], [[1, 2], [3, 4]]])
def test_missing_values_are_never_averaged_over(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        one_sample(bad)


def test_effect_size_needs_spread() -> None:
    assert hedges_g([1, 1], [2, 2]).value is None
    assert hedges_g([1], [2]).value is None
    assert sd_interval([3.0]).value is None
    assert sd_interval([3.0, 3.0]).low is None


def test_spread_of_a_series_with_one_slow_run_stands_out() -> None:
    """25 runs with sd .125 beside 1000 with .0323: a warm-up run was counted."""
    assert spread_ratio_p(Moments(25, 4.04, 0.125**2), Moments(1000, 4.166, 0.0323**2)) < 1e-15
    e = spread_ratio(rng().normal(size=50) * 3, np.random.default_rng(12).normal(size=50))
    assert e.low < 3 < e.high
    assert spread_ratio([1, 1], [1, 2]).value is None


def test_shape_needs_values() -> None:
    assert skewness([1, 2]) is None and excess_kurtosis([5, 5, 5, 5]) is None
    assert skewness([0, 0, 0, 1]) == pytest.approx(2 / math.sqrt(3))  # p = 1/4: (1 - 2p) / sqrt(p (1 - p))
    assert excess_kurtosis([-1, 1, -1, 1]) == pytest.approx(-2)
    assert math.isnan(moments([]).mean)


def test_one_invocation_knows_no_error() -> None:
    found = clustered_mean([1.0, 2.0, 3.0], ["a", "a", "a"])
    assert found.contrast.value == 2 and not found.contrast.usable
    assert "one invocation" in found.contrast.reason
    assert (found.clusters, found.within_sd, found.icc, found.f) == (1, 1.0, None, None)


def test_clusters_are_used_also_where_they_seem_to_agree() -> None:
    """Cluster means closer together than chance would have them: the between part is 0, the error still theirs."""
    x = [1.0, 3.0, 1.1, 3.0, 1.0, 3.1]
    found = clustered_mean(x, [1, 1, 2, 2, 3, 3])
    assert (found.between_sd, found.icc, found.design_effect) == (0, 0, 1)
    assert found.contrast.df == 2
    assert found.contrast.se == pytest.approx(np.std([2, 2.05, 2.05], ddof=1) / math.sqrt(3))


def test_clusters_that_differ_make_many_runs_few() -> None:
    process = np.repeat([0.0, 1.0, 2.0, 3.0], 50)
    found = clustered_mean(process + rng().normal(size=200) * 0.01, process.astype(int))
    assert found.icc > 0.999 and found.effective_n == pytest.approx(4, rel=0.01)
    assert found.contrast.se > 8 * one_sample(process).se / 2
    assert found.p < 1e-100


def test_the_cluster_is_the_unit_whatever_its_size() -> None:
    found = clustered_mean([1.0, 1.0, 1.0, 5.0], ["a", "a", "a", "b"])
    assert (found.contrast.value, found.contrast.se, found.contrast.df) == (3.0, 2.0, 1.0)


@pytest.mark.parametrize("sizes", [(5, 5, 5, 5, 5), (21, 1, 1, 1, 1), (45, 5, 5, 5, 5), (96, 1, 1, 1, 1)])
def test_one_cluster_that_holds_most_values_decides_nothing(sizes: tuple[int, ...]) -> None:
    random, found = rng(), 0
    for _ in range(1000):
        process = random.normal(size=5) * 0.5
        codes = np.repeat(np.arange(5), sizes)
        contrast = clustered_mean(process[codes] + random.normal(size=sum(sizes)) * 0.2, codes).contrast
        found += (contrast.p_greater(0) or 1.0) < 0.05
    assert found / 1000 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 1000)


def test_single_runs_per_invocation_have_no_within_part() -> None:
    found = variance_components([1.0, 2.0, 4.0], [1, 2, 3])
    assert (found.within_sd, found.icc, found.f, found.df2) == (None, None, None, 0)


def test_labels_must_fit() -> None:
    with pytest.raises(ValueError, match="labels"):
        clustered_mean([1.0, 2.0], ["a"])


def test_rates_without_runs() -> None:
    assert wilson(0, 0).value is None
    assert newcombe(0, 0, 1, 2).value is None and miettinen_nurminen(1, 2, 0, 0).value is None
    assert two_proportion_p(0, 0, 1, 2)[0] is None
    with pytest.raises(ValueError, match="k <= n"):
        wilson(3, 2)


def test_certain_rates() -> None:
    assert binomial_p(5, 5, 1.0) == 1 and binomial_p(4, 5, 1.0) == 5e-324
    assert two_proportion_p(100, 100, 200, 200) == (1.0, "score z")
    assert (wilson(0, 9).low, wilson(9, 9).high) == (0, 1)


def test_ratios_without_error_or_denominator() -> None:
    one, two = one_sample([2.0]), one_sample([4.0, 4.0])
    assert log_ratio_to_ratio(log_delta(one, two)).value == pytest.approx(0.5)
    assert not log_delta(one, two).usable and fieller(one, two).low is None
    assert fieller(two, Contrast(0.0, 1.0, 9)).value is None
    with pytest.raises(ValueError, match="positive"):
        log_delta(Contrast(-1.0, 1.0, 5), two)


def test_fieller_is_unbounded_where_the_denominator_may_be_0() -> None:
    e = fieller(Contrast(3.0, 0.1, 20), Contrast(0.1, 0.1, 20))
    assert (e.low, e.high) == (None, None) and "unbounded" in e.reason


def test_all_successes_still_have_an_error() -> None:
    e, log = cost_of_success(Contrast(4.0, 0.0, math.inf), k=25, n=25)
    assert e.value == 4 and e.low < 4 < e.high
    assert log.usable
    assert cost_of_success(Contrast(math.nan, None, None), k=3, n=5)[0].value is None
    unknown, log = cost_of_success(one_sample([4.0]), k=1, n=1)
    assert unknown.value == 4 and unknown.low is None and not log.usable


def test_median_of_five_has_no_interval() -> None:
    found = median([1, 2, 3, 4, 5])
    assert found.estimate.value == 3 and found.estimate.low is None and found.coverage is None
    assert "too few" in found.estimate.reason
    assert median([]).estimate.value is None


def test_arms_that_do_not_overlap() -> None:
    c = brunner_munzel([5, 6, 7], [1, 2, 3])
    assert c.value == 1 and not c.usable and "overlap" in c.reason
    assert brunner_munzel([5], [1, 2]).value == 1


def test_bootstrap_refuses_small_samples() -> None:
    e = bca([np.arange(19.0)], lambda x: float(np.mean(x)), rng=rng())
    assert (e.value, e.low) == (9, None) and "too few" in e.reason


def test_resampling_is_a_function_of_its_seed() -> None:
    a, b = rng().normal(size=20), rng().normal(size=20) + 0.3
    first = permutation_p(a, b, rng=rng(), resamples=999)
    assert first == permutation_p(a, b, rng=rng(), resamples=999)
    assert permutation_p([1], b, rng=rng()) is None


def test_permutation_never_reports_zero() -> None:
    p = permutation_p(np.arange(20.0), np.arange(20.0) + 100, rng=rng(), resamples=999)
    assert p == pytest.approx(1 / 1000)


def test_sign_flips_of_five_invocations_cannot_reach_five_per_cent() -> None:
    assert sign_flip_p([1, 2, 3, 4, 5], rng=rng()) == 2 / 32
    assert sign_flip_p([], rng=rng()) is None
    assert sign_flip_p(np.ones(20) + rng().normal(size=20) * 0.1, rng=rng(), resamples=999) == 1 / 1000


def test_series_too_short_or_flat() -> None:
    assert lag1([1, 2]) is None and lag1([3, 3, 3]) is None
    assert correlation_time([3, 3, 3]) == 1
    assert not drift([1, 2]).usable
    assert change_points([1, 2, 3]) == []


def test_a_shift_is_found_where_it_is() -> None:
    x = np.r_[np.zeros(40), np.ones(60)] + rng().normal(size=100) * 0.2
    shifts = change_points(x)
    assert [s.index for s in shifts] == [40]
    assert shifts[0].after - shifts[0].before == pytest.approx(1, abs=0.15)


def test_noise_alone_rarely_shifts() -> None:
    r = rng()
    assert sum(bool(change_points(r.normal(size=100))) for _ in range(100)) <= 5


def test_outliers_where_most_values_are_equal() -> None:
    assert outliers([1.0] * 9 + [2.0]) == [9]
    assert (mad_z([1.0, 1.0]) == 0).all() and mad_z([]).size == 0
    assert outliers([1, 2, 3, 4, 5]) == []
    assert not trimmed_mean([]).usable


def test_slow_first_run_is_an_outlier() -> None:
    times = 4.0 + rng().normal(size=25) * 0.03
    times[0] += 0.6
    assert outliers(times) == [0]


def test_sweep_of_equal_values_is_all_luck() -> None:
    found = empirical_bayes([0.05, 0.05], 0.03)
    assert found.between_variance == 0 and found.values == pytest.approx((0.05, 0.05))
    assert empirical_bayes([0.05], 0.03, centre=0.0).values[0] == pytest.approx(0.05 * (1 - 0.09 / 0.25))
    assert empirical_bayes([1.0, 2.0], 0.0).values == (1, 2)


def test_posterior_spread_counts_the_estimated_prior() -> None:
    x = rng().normal(size=12)
    found = empirical_bayes(x, 1.0)
    without = [math.sqrt(w) for w in found.weights]
    assert all(s > w for s, w in zip(found.sds, without, strict=True))


def test_dunnett_needs_spread() -> None:
    with pytest.raises(ValueError, match="spread"):
        dunnett([[1.0, 1.0]], [2.0, 2.0])


def test_one_sided_simultaneous_limits_are_open() -> None:
    up = many_to_one([1.0, 2.0], [1.0, 1.0], [0.5, 0.5], df=20, alternative="greater")
    down = many_to_one([-1.0, -2.0], [1.0, 1.0], [0.5, 0.5], df=20, alternative="less")
    assert up.high == (math.inf, math.inf) and down.low == (-math.inf, -math.inf)
    assert up.p == pytest.approx(down.p) and up.low == pytest.approx([-h for h in down.high])


def test_tost_without_spread_or_margin() -> None:
    found = tost(one_sample([1.0]), low=-1, high=1)
    assert found.p is None and not found.holds(0.05)
    with pytest.raises(ValueError, match="low < high"):
        tost(one_sample([1.0, 2.0]), low=1, high=-1)


def test_a_tied_winner_is_worth_nothing_known() -> None:
    assert winner_interval(best=1.0, runner_up=1.0, se=0.1).value is None
    with pytest.raises(ValueError, match="runner_up"):
        winner_interval(best=0.0, runner_up=1.0, se=0.1)
    assert hybrid_winner_interval(lead=0.0, difference=1.0, se=0.1, control_se=0.1, k=3).value is None
    with pytest.raises(ValueError, match="k >= 2"):
        hybrid_winner_interval(lead=1.0, difference=1.0, se=0.1, control_se=0.1, k=1)


def test_looks_must_rise() -> None:
    for times in ((), (0.5, 0.5), (0.0, 1.0)):
        with pytest.raises(ValueError, match="rise"):
            efficacy_bounds(times, alpha=0.05)


def test_repeated_interval_needs_an_error() -> None:
    assert repeated_interval(one_sample([1.0]), 2.0) == (None, None)
    low, high = repeated_interval(Contrast(1.0, 0.5, math.inf), 2.0)
    assert (low, high) == (0.0, 2.0)
    wide = repeated_interval(Contrast(1.0, 0.5, 4), 2.0)
    assert wide[0] < low and wide[1] > high


def test_sprt_waits_for_15_runs_and_then_decides() -> None:
    x = rng().normal(94.1, 0.15, size=400)
    assert gsprt(x[:14], mu0=93.9, mu1=94.1).state == "continue"
    assert gsprt(x, mu0=93.9, mu1=94.1).state == "accept"
    assert gsprt(x, mu0=94.1, mu1=94.3).state == "reject"
    assert gsprt([1.0] * 20, mu0=0.0, mu1=1.0).state == "continue", "values without a spread have no error to judge by"


def test_confidence_sequences_start_unbounded_and_close_in() -> None:
    x = rng().normal(94, 0.15, size=400)
    assert t_mixture_sequence(x[:3], c2=25).low is None and "unbounded" in t_mixture_sequence(x[:3], c2=25).reason
    looks = running_intersection([t_mixture_sequence(x[:n], c2=25) for n in range(1, 400, 20)])
    widths = [b - a for a, b in looks]
    assert widths == sorted(widths, reverse=True) and looks[-1][0] < 94 < looks[-1][1]
    assert t_mixture_e_value([], mu0=0, c2=1) == 1
    assert beta_binomial_sequence(0, 0).value is None
    assert beta_binomial_sequence(20, 20).high == 1


def test_control_charts_find_a_loss_and_its_commit() -> None:
    z = np.r_[np.zeros(50), np.full(20, 1.5)]
    assert first_alarm(cusum(z), 4) == 50 + 3
    assert first_alarm(e_cusum(z, delta=0.8), math.log(1000)) == pytest.approx(58, abs=1)
    assert first_alarm(e_shiryaev_roberts(z, delta=0.8), math.log(1000)) <= 58
    assert first_alarm(cusum(np.zeros(5)), 4) is None
    assert cusum_threshold(arl=335.37) == pytest.approx(4, abs=1e-4)


def test_survival_without_events() -> None:
    assert kaplan_meier([1, 2], [False, False]).median() is None
    assert logrank_z([1, 2], [False, False], [3], [False]) is None
    assert not rmst([1, 2], [False, False], horizon=1).usable
    with pytest.raises(ValueError, match="outcomes"):
        kaplan_meier([1, 2], [True])


def test_correlation_of_constants() -> None:
    assert pearson([1, 1, 1], [1, 2, 3]).value is None
    assert pearson([1, 2, 3], [1, 2, 3]).low is None
    assert pearson([1, 2, 3, 4, 5], [2, 1, 4, 3, 5]).low < 0.8


def test_rank_correlations_against_another_program() -> None:
    rng = np.random.default_rng(5)
    for n in (4, 9, 40):
        x = np.round(rng.normal(size=n), 1)  # with ties
        y = np.round(x + rng.normal(size=n), 1)
        assert spearman(x, y).value == pytest.approx(scipy.stats.spearmanr(x, y).statistic)
        assert kendall(x, y).value == pytest.approx(scipy.stats.kendalltau(x, y).statistic)


def test_limits_of_rank_correlations_by_hand() -> None:
    """rho .9 over 5 pairs: z 1.4722, variance 1.405 / 2; tau .8: z 1.0986, variance .437 / 1."""
    x, y = [1, 2, 3, 4, 5], [1, 2, 3, 5, 4]
    rho, tau = spearman(x, y), kendall(x, y)
    assert (rho.value, tau.value) == (pytest.approx(0.9), pytest.approx(0.8))
    assert rho.low == pytest.approx(math.tanh(math.atanh(0.9) - 1.959964 * math.sqrt(1.405 / 2)), abs=1e-6)
    assert tau.high == pytest.approx(math.tanh(math.atanh(0.8) + 1.959964 * math.sqrt(0.437)), abs=1e-6)


@pytest.mark.parametrize("correlation", [spearman, kendall])
def test_rank_correlations_say_why_they_have_no_limits(correlation: Any) -> None:
    assert correlation([1, 1, 1], [1, 2, 3]).value is None
    assert correlation([1], [1]).value is None
    assert correlation([1, 2, 3], [1, 3, 2]).reason.startswith("fewer than")
    same = correlation([1, 2, 3, 4, 5, 6], [1, 8, 27, 64, 125, 216])
    assert (same.value, same.low, same.reason) == (1, None, "the ranks agree wholly")
    assert correlation([1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1]).reason == "the ranks are reversed"


def test_the_limits_of_spearmans_rho_hold_what_they_say() -> None:
    """Normal pairs with r = .8: rho is 6 / pi * asin(.4); 95 % limits of 12 pairs hold it in about 95 of 100 draws."""
    rng, truth, held = np.random.default_rng(11), 6 / math.pi * math.asin(0.4), 0
    for _ in range(2000):
        x = rng.normal(size=12)
        e = spearman(x, 0.8 * x + 0.6 * rng.normal(size=12))
        held += e.low is not None and e.low <= truth <= e.high
    assert 0.93 <= held / 2000 <= 0.98


def sweep(scale: float, seed: int, *, slope: float = -0.55, n: int = 100) -> list[tuple[float, np.ndarray]]:
    """Error 6 at time 4.1 / scale, sd .15, five lengths 8 % either way."""
    r = np.random.default_rng(seed)
    return [(4.1 * f / scale, 6 * f**slope + 0.15 * r.normal(size=n)) for f in (0.92, 0.96, 1, 1.04, 1.08)]


def points(arm: list[tuple[float, np.ndarray]]) -> list:  # type: ignore[type-arg]
    return [sweep_point(t, e) for t, e in arm]


def test_equal_accuracy_speed_up_covers_the_truth() -> None:
    covered, errors = 0, []
    for seed in range(200):
        log = iso_log_speedup(points(sweep(1.0, seed)), points(sweep(1.025, 1000 + seed)), target_error=6.0)
        covered += log.lower(0.025) < math.log(1.025) < log.upper(0.025)
        errors.append(log.value - math.log(1.025))
    assert 0.95 - 3 * math.sqrt(0.95 * 0.05 / 200) <= covered / 200
    assert abs(np.mean(errors)) < 3 * np.std(errors) / math.sqrt(200)
    assert np.std(errors) == pytest.approx(log.se, rel=0.2)


def test_error_of_the_time_grows_towards_the_ends_of_a_sweep() -> None:
    laws = [fit_power_law(points(sweep(1.0, seed))) for seed in range(400)]
    for target in (6.0, 6.2):
        found = [time_at(law, target_error=target) for law in laws]
        known = [c for c in found if c.usable]
        assert len(known) > 390
        assert np.mean([c.se for c in known]) == pytest.approx(np.std([c.value for c in known]), rel=0.12)


def test_power_law_is_recovered_without_noise() -> None:
    arm = [(t, 6 * (t / 4.1) ** -0.55 * (1 + np.array([-1e-9, 1e-9]))) for t in (3.0, 4.0, 5.0)]
    law = fit_power_law(points(arm))
    assert law.slope == pytest.approx(-0.55, rel=1e-6)
    e = iso_speedup(points(arm), points([(t / 2, x) for t, x in arm]), target_error=6.0)
    assert e.value == pytest.approx(2, rel=1e-6)


def test_nothing_is_extrapolated() -> None:
    e = iso_speedup(points(sweep(1.0, 1)), points(sweep(1.0, 2)), target_error=7.0)
    assert e.value is None and "outside the sweep" in e.reason and e.reason.startswith("control")
    rising = points(sweep(1.0, 1, slope=0.5))
    assert "does not fall" in iso_speedup(rising, rising, target_error=6.0).reason
    with pytest.raises(ValueError, match="two or more"):
        fit_power_law(points(sweep(1.0, 1))[:1])


def test_points_off_the_line_are_noticed() -> None:
    bent = sweep(1.0, 3)
    bent[2] = (bent[2][0], bent[2][1] + 0.3)
    assert fit_power_law(points(bent)).lack_of_fit_p < 1e-6
    assert fit_power_law(points(sweep(1.0, 3))).lack_of_fit_p > 0.01


def test_bootstrap_and_delta_agree_on_equal_accuracy() -> None:
    a, b = sweep(1.0, 4), sweep(1.03, 5)
    boot = iso_speedup_bootstrap(a, b, target_error=6.0, rng=rng(), resamples=400)
    delta = iso_speedup(points(a), points(b), target_error=6.0)
    assert boot.value == delta.value
    assert boot.high - boot.low == pytest.approx(delta.high - delta.low, rel=0.2)
    few = iso_speedup_bootstrap(sweep(1.0, 4, n=5), b, target_error=6.0, rng=rng(), resamples=10)
    assert few.low is None and few.reason
