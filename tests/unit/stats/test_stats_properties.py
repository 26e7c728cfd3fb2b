"""What must hold for any data: swapping, scaling, shifting, nesting, and the limits between methods."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import special

from harness.stats.anytime import t_mixture_sequence, tuned_c2
from harness.stats.clustered import clustered_mean
from harness.stats.contrast import Contrast
from harness.stats.equivalence import tost
from harness.stats.means import hedges_g, one_sample, welch
from harness.stats.multiplicity import (
    adjusted_p,
    benjamini_hochberg,
    benjamini_yekutieli,
    critical_value,
    dunnett,
    holm,
    loadings,
)
from harness.stats.outliers import mad_z, yuen
from harness.stats.power import detectable_by_t, runs_to_prove, seeds_balanced, seeds_vs_control
from harness.stats.proportions import (
    clopper_pearson,
    jeffreys,
    miettinen_nurminen,
    newcombe,
    two_proportion_p,
    wilson,
)
from harness.stats.quantiles import median
from harness.stats.ranks import brunner_munzel
from harness.stats.ratios import fieller, log_delta, log_ratio_to_ratio
from harness.stats.sequential import efficacy_bounds, equal_looks
from harness.stats.series import lag1
from harness.stats.shrinkage import empirical_bayes
from harness.stats.survival import logrank_z

FAST = settings(max_examples=40, deadline=None)
values = st.floats(-10, 10, allow_nan=False).map(lambda x: round(x, 3))
samples = st.lists(values, min_size=4, max_size=20).filter(lambda x: np.ptp(x) > 0.1)
factors = st.floats(0.01, 100)


def close(value: float | None) -> object:
    return None if value is None else pytest.approx(value, rel=1e-7, abs=1e-9)


@FAST
@given(samples, samples)
def test_swapping_the_arms_turns_a_difference_round(a: list[float], b: list[float]) -> None:
    for method in (welch, yuen):
        forth, back = method(a, b).estimate(), method(b, a).estimate()
        assert (forth.value, forth.low, forth.high) == (
            close(-back.value),
            close(None if back.high is None else -back.high),
            close(None if back.low is None else -back.low),
        )
    assert hedges_g(a, b).low == close(-hedges_g(b, a).high)
    assert brunner_munzel(a, b).value == close(1 - brunner_munzel(b, a).value)


@FAST
@given(samples, samples, factors, st.floats(-1000, 1000))
def test_units_and_origin_change_no_verdict(a: list[float], b: list[float], factor: float, shift: float) -> None:
    plain = welch(a, b)
    moved = welch(np.array(a) * factor + shift, np.array(b) * factor + shift)
    assert moved.value / factor == pytest.approx(plain.value, abs=1e-6)
    assert moved.p_two_sided() == pytest.approx(plain.p_two_sided(), rel=1e-4)
    assert plain.scaled(factor).p_two_sided() == close(plain.p_two_sided())


@FAST
@given(samples)
def test_order_does_not_matter_to_independent_runs(x: list[float]) -> None:
    assert one_sample(sorted(x)).se == close(one_sample(x).se)
    assert median(sorted(x)) == median(x)


@FAST
@given(samples)
def test_doubled_data_shrinks_the_error(x: list[float]) -> None:
    n = len(x)
    once, twice = one_sample(x), one_sample(x + x)
    assert once.se is not None and twice.se is not None
    assert twice.se / once.se == pytest.approx(math.sqrt((n - 1) / (2 * n - 1)))


@FAST
@given(samples, st.floats(0.5, 0.9), st.floats(0.01, 0.09))
def test_levels_nest(x: list[float], confidence: float, more: float) -> None:
    for inner, outer in (
        (one_sample(x).estimate(confidence), one_sample(x).estimate(confidence + more)),
        (wilson(3, 9, confidence=confidence), wilson(3, 9, confidence=confidence + more)),
        (clopper_pearson(3, 9, confidence=confidence), clopper_pearson(3, 9, confidence=confidence + more)),
        (
            miettinen_nurminen(3, 9, 5, 8, confidence=confidence),
            miettinen_nurminen(3, 9, 5, 8, confidence=confidence + more),
        ),
    ):
        assert outer.low <= inner.low <= inner.high <= outer.high


counts = st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@FAST
@given(counts)
def test_failures_mirror_successes(count: tuple[int, int]) -> None:
    k, n = count
    for method in (wilson, clopper_pearson, jeffreys):
        e, mirror = method(k, n), method(n - k, n)
        assert (e.low, e.high) == (close(1 - mirror.high), close(1 - mirror.low))
        assert 0 <= e.low <= e.value <= e.high <= 1


@FAST
@given(counts, counts)
def test_rate_differences_turn_round(one: tuple[int, int], two: tuple[int, int]) -> None:
    for method in (newcombe, miettinen_nurminen):
        e, back = method(*one, *two), method(*two, *one)
        assert (e.low, e.high) == (pytest.approx(-back.high, abs=1e-8), pytest.approx(-back.low, abs=1e-8))
        assert e.low <= e.value + 1e-12 and e.value - 1e-12 <= e.high
    assert two_proportion_p(*one, *two)[0] == pytest.approx(two_proportion_p(*two, *one)[0], rel=1e-6)


positive = st.lists(st.floats(3, 5).map(lambda x: round(x, 3)), min_size=3, max_size=15).filter(
    lambda x: np.ptp(x) > 0.01
)


@FAST
@given(positive, positive)
def test_swapping_the_arms_inverts_a_ratio(a: list[float], b: list[float]) -> None:
    x, y = one_sample(a), one_sample(b)
    for forth, back in (
        (fieller(x, y), fieller(y, x)),
        (log_ratio_to_ratio(log_delta(x, y)), log_ratio_to_ratio(log_delta(y, x))),
    ):
        assert forth.low is not None and forth.high is not None and back.high is not None
        assert (forth.value, forth.low, forth.high) == (
            close(1 / back.value),
            close(1 / back.high),
            close(1 / back.low),
        )


@FAST
@given(st.integers(2, 6), st.integers(1, 5), st.integers(0, 2**32))
def test_equal_clusters_are_a_t_test_on_cluster_means(clusters: int, size: int, seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=(clusters, size)) + np.random.default_rng(seed + 1).normal(
        size=(clusters, 1)
    )
    found = clustered_mean(x.ravel(), np.repeat(np.arange(clusters), size)).contrast
    want = one_sample(x.mean(axis=1))
    assert (found.value, found.se, found.df) == (close(want.value), close(want.se), want.df)


@FAST
@given(st.integers(0, 2**32))
def test_labels_and_order_of_clusters_do_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, g = rng.normal(size=12), rng.integers(0, 4, size=12)
    assume(len(set(g.tolist())) > 1)
    shuffled = rng.permutation(12)
    first = clustered_mean(x, g)
    second = clustered_mean(x[shuffled], [f"process {i}" for i in g[shuffled]])
    assert first.contrast.se == close(second.contrast.se)
    assert first.icc == close(second.icc)


@FAST
@given(samples, samples, st.floats(0.1, 5), st.floats(0.01, 0.2))
def test_equivalence_is_the_interval_inside_the_margins(
    a: list[float], b: list[float], margin: float, alpha: float
) -> None:
    c = welch(a, b)
    found = tost(c, low=-margin, high=margin, alpha=alpha)
    assert found.low is not None and found.high is not None
    assert found.holds(alpha) == (-margin < found.low and found.high < margin)


@FAST
@given(samples, samples, st.floats(0, 3), st.floats(0, 3))
def test_a_wider_margin_never_takes_a_pass_away(a: list[float], b: list[float], m: float, more: float) -> None:
    c = welch(a, b)
    rounding = 1 + 1e-12  # the distribution function of t is monotone to the last bit or two
    assert c.p_greater(-(m + more)) <= c.p_greater(-m) * rounding


@FAST
@given(samples, st.floats(-5, 5), st.floats(0.001, 0.2))
def test_bounds_and_p_values_agree(x: list[float], null: float, alpha: float) -> None:
    c = one_sample(x)
    assert (c.p_greater(null) < alpha) == (c.lower(alpha) > null)
    assert (c.p_less(null) < alpha) == (c.upper(alpha) < null)


@FAST
@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=30))
def test_adjustments_are_ordered(p: list[float]) -> None:
    bonferroni = np.minimum(1, np.array(p) * len(p))
    adjusted = holm(p)
    assert (np.array(p) <= adjusted + 1e-15).all() and (adjusted <= bonferroni + 1e-12).all()
    assert (benjamini_hochberg(p) <= adjusted + 1e-12).all()
    assert (benjamini_hochberg(p) <= benjamini_yekutieli(p) + 1e-12).all()
    assert (np.argsort(adjusted, kind="stable")[0]) == int(np.argmin(p)) or adjusted.min() == adjusted[np.argmin(p)]


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 12), st.floats(0.05, 0.95), st.sampled_from([3.0, 20.0, math.inf]), st.booleans())
def test_dunnett_lies_between_one_test_and_bonferroni(k: int, lam: float, df: float, two_sided: bool) -> None:
    c = critical_value([lam] * k, df=df, two_sided=two_sided)
    one = critical_value([lam], df=df, two_sided=two_sided)
    tail = 0.025 if two_sided else 0.05
    assert one < c <= Contrast(0, 1, df).quantile(tail / k) + 1e-9
    assert adjusted_p([c] * k, [lam] * k, df=df, two_sided=two_sided)[0] == pytest.approx(0.05, rel=1e-6)


@FAST
@given(samples, samples)
def test_dunnett_of_one_candidate_is_the_pooled_t_test(a: list[float], b: list[float]) -> None:
    from scipy import stats

    want = stats.ttest_ind(a, b)
    found = dunnett([a], b)
    assert found.p[0] == pytest.approx(want.pvalue, rel=1e-7)
    assert (found.low[0], found.high[0]) == pytest.approx(tuple(want.confidence_interval()), rel=1e-7, abs=1e-9)


@FAST
@given(st.lists(values, min_size=3, max_size=12), st.floats(0.01, 5))
def test_shrinkage_keeps_order_and_pulls_inwards(x: list[float], se: float) -> None:
    found = empirical_bayes(x, se)
    assert all(abs(s - found.centre) <= abs(v - found.centre) + 1e-12 for v, s in zip(x, found.values, strict=True))
    order = np.argsort(x, kind="stable")
    assert (np.diff(np.array(found.values)[order]) >= -1e-9).all()
    assert all(0 <= w <= 1 for w in found.weights)


@FAST
@given(st.floats(0.005, 0.2), st.floats(0.001, 0.1), st.integers(5, 5000))
def test_more_effect_needs_fewer_runs(difference: float, extra: float, control: int) -> None:
    less = seeds_vs_control(difference=difference, sd=0.15, control_runs=control)
    more = seeds_vs_control(difference=difference + extra, sd=0.15, control_runs=control)
    assert less is None or (more is not None and more <= less)
    fewer = seeds_balanced(difference=difference, sd=0.15)
    assert fewer is not None and fewer >= seeds_balanced(difference=difference + extra, sd=0.15)
    assert runs_to_prove(estimate=difference, margin=0, sd=0.15, n=10**9) == 1


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 6), st.floats(0.005, 0.2))
def test_sequential_bounds_are_no_easier_than_the_fixed_one(looks: int, alpha: float) -> None:
    bounds = efficacy_bounds(equal_looks(looks), alpha=alpha)
    fixed = Contrast(0, 1, math.inf).quantile(alpha)
    assert bounds[-1] >= fixed - 1e-7
    assert list(bounds) == sorted(bounds, reverse=True)
    if looks == 1:
        assert bounds[0] == pytest.approx(fixed, rel=1e-9)


@FAST
@given(samples, st.floats(2, 500))
def test_a_confidence_sequence_holds_the_fixed_interval(x: list[float], tuned: float) -> None:
    fixed, anytime = one_sample(x).estimate(), t_mixture_sequence(x, c2=tuned_c2(tuned))
    if anytime.low is not None:
        assert anytime.low < fixed.low < fixed.high < anytime.high


@FAST
@given(samples, factors, st.floats(-100, 100))
def test_series_and_robust_scores_know_no_unit(x: list[float], factor: float, shift: float) -> None:
    moved = np.array(x) * factor + shift
    assert lag1(moved) == pytest.approx(lag1(x), abs=1e-6)
    if np.median(np.abs(np.array(x) - np.median(x))) > 1e-3:
        assert mad_z(moved) == pytest.approx(mad_z(x), rel=1e-5, abs=1e-6)


@FAST
@given(st.lists(st.integers(1, 30), min_size=3, max_size=12), st.lists(st.integers(1, 30), min_size=3, max_size=12))
def test_logrank_depends_on_the_order_of_times_only(a: list[int], b: list[int]) -> None:
    ends = [True] * len(a), [True] * len(b)
    forth = logrank_z(a, ends[0], b, ends[1])
    squared = logrank_z(np.array(a) ** 2.0, ends[0], np.array(b) ** 2.0, ends[1])
    back = logrank_z(b, ends[1], a, ends[0])
    assert forth == close(squared)
    assert back == close(None if forth is None else -forth)


@FAST
@given(st.integers(1, 40), st.integers(1, 40))
def test_loadings_of_equal_arms_correlate_by_half(n: int, control: int) -> None:
    lam = loadings([n, n], control)
    assert lam[0] * lam[1] == pytest.approx(n / (n + control))


@pytest.mark.parametrize("n", [2, 3, 5, 30])
@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_a_difference_that_is_called_detectable_is_shown_nine_times_in_ten(n: int, alpha: float) -> None:
    """40,000 pairs of samples that differ by just as much, each judged by t: what normal quantiles promise is shown far less often."""
    se, df = math.sqrt(2 / n), 2.0 * (n - 1)
    shift = detectable_by_t(se=se, df=df, alpha=alpha)
    assert shift is not None
    draws = np.random.default_rng(7).normal(size=(2, 40_000, n))
    difference = draws[1].mean(axis=1) + shift - draws[0].mean(axis=1)
    error = np.sqrt(draws.var(axis=2, ddof=1).sum(axis=0) / n)
    shown = special.stdtr(df, -difference / error) < alpha
    assert shown.mean() == pytest.approx(0.9, abs=0.006)


def test_where_no_power_can_be_computed_nothing_is_called_detectable() -> None:
    assert detectable_by_t(se=1.0, df=1.0, alpha=1e-6) is None
