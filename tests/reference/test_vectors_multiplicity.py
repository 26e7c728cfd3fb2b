"""Many candidates: Dunnett, step-down and false-discovery adjustments, shrinkage, luck."""

from __future__ import annotations

import numpy as np
import pytest
from reference_samples import BH_1995
from scipy import stats
from statsmodels.stats.multitest import multipletests

from harness.stats.multiplicity import (
    benjamini_hochberg,
    benjamini_yekutieli,
    critical_value,
    dunnett,
    holm,
    loadings,
    upper_tail,
)
from harness.stats.selection import hybrid_winner_interval, winner_interval
from harness.stats.shrinkage import empirical_bayes, expected_luck, shrink_one


@pytest.mark.parametrize(
    ("k", "n", "control", "one", "two"),
    [
        (3, 1, 1, 2.0621, 2.3490),  # Dunnett (1955, 1964), tables at infinite df: 2.06, 2.35; 2.42, 2.69
        (9, 1, 1, 2.4170, 2.6862),
        (35, 1, 1, 2.7925, 3.0484),
        (3, 25, 1000, 2.1201, 2.3877),
        (9, 25, 1000, 2.5295, 2.7654),
        (35, 25, 1000, 2.9729, 3.1814),
    ],
)
def test_dunnett_critical_values(k: int, n: int, control: int, one: float, two: float) -> None:
    lam = loadings([n] * k, control)
    assert critical_value(lam) == pytest.approx(one, abs=5.1e-5)
    assert critical_value(lam, two_sided=True) == pytest.approx(two, abs=5.1e-5)


@pytest.mark.parametrize(("df", "one", "two"), [(5, 2.68, 3.29), (10, 2.34, 2.76), (20, 2.19, 2.54), (60, 2.10, 2.41)])
def test_dunnett_tables_at_finite_df(df: int, one: float, two: float) -> None:  # K = 3, equal n; Dunnett (1955, 1964)
    lam = loadings([1, 1, 1], 1)
    assert critical_value(lam, df=df) == pytest.approx(one, abs=0.0051)
    assert critical_value(lam, df=df, two_sided=True) == pytest.approx(two, abs=0.0051)


@pytest.mark.parametrize("df", [2, 24])
def test_joint_tail_against_scipy(df: int) -> None:  # quasi-Monte Carlo, unequal arms
    lam = np.array([0.2, 0.5, 0.9])
    shape = np.outer(lam, lam)
    np.fill_diagonal(shape, 1)
    want = 1 - stats.multivariate_t(shape=shape, df=df).cdf([2.0] * 3, random_state=1)
    assert upper_tail(2.0, lam, df=df) == pytest.approx(want, abs=2e-5)


def test_dunnett_blood_counts() -> None:
    """Dunnett (1955), table of blood counts of animals; scipy's tutorial gives p about .6201 and .0058 (RQMC)."""
    control = [7.40, 8.50, 7.20, 8.24, 9.84, 8.32]
    drugs = [[9.76, 8.80, 7.68, 9.36], [12.80, 9.68, 12.16, 9.20, 10.55]]
    found = dunnett(drugs, control)
    want = stats.dunnett(*[np.array(d) for d in drugs], control=np.array(control), rng=np.random.default_rng(1))
    assert found.statistics == pytest.approx((0.857032, 3.693752), rel=2e-6)
    assert found.p == pytest.approx(want.pvalue, abs=5e-4)
    assert found.p == pytest.approx((0.6201, 0.0058), abs=5e-4)
    assert found.low == pytest.approx((-1.257, 0.839), abs=2e-3)
    assert found.high == pytest.approx((2.557, 4.417), abs=2e-3)


@pytest.mark.parametrize("alternative", ["greater", "less"])
def test_one_sided_dunnett_against_scipy(alternative: str) -> None:
    rng = np.random.default_rng(7)
    control, groups = rng.normal(size=12), [rng.normal(m, size=n) for m, n in ((0.3, 6), (0.8, 9), (-0.5, 5))]
    want = stats.dunnett(*groups, control=control, alternative=alternative, rng=np.random.default_rng(1))
    assert dunnett(groups, control, alternative=alternative).p == pytest.approx(want.pvalue, abs=5e-4)  # type: ignore[arg-type]


def test_adjusted_p_of_benjamini_and_hochberg() -> None:
    assert holm(BH_1995)[:5] == pytest.approx([0.0015, 0.0056, 0.0247, 0.1140, 0.2211])
    assert benjamini_hochberg(BH_1995)[:5] == pytest.approx([0.0015, 0.003, 0.0095, 0.035625, 0.0603])
    rejections = [int((f(BH_1995) <= 0.05).sum()) for f in (holm, benjamini_hochberg, benjamini_yekutieli)]
    assert rejections == [3, 4, 3]  # the paper: Bonferroni and Hochberg 3, theirs 4


@pytest.mark.parametrize(
    ("ours", "name"), [(holm, "holm"), (benjamini_hochberg, "fdr_bh"), (benjamini_yekutieli, "fdr_by")]
)
def test_adjusted_p_against_statsmodels(ours: object, name: str) -> None:
    p = np.random.default_rng(3).uniform(size=40) ** 3
    assert ours(p) == pytest.approx(multipletests(p, method=name)[1], rel=1e-12)  # type: ignore[operator]


def test_shrinkage_of_a_sweep() -> None:
    found = empirical_bayes((0.08, 0.05, 0.03, 0.03, 0.01, 0, -0.02, -0.03, -0.05), 0.03)
    assert found.centre == pytest.approx(0.0111111, rel=1e-5)
    assert found.between_variance == pytest.approx(0.000786111, rel=1e-6)
    assert found.weights == pytest.approx([0.4662273] * 9, rel=1e-6)
    wanted = (0.0432290, 0.0292422, 0.0199176, 0.0199176, 0.0105931, 0.0059308, -0.0033937, -0.0080560, -0.0173806)
    assert found.values == pytest.approx(wanted, abs=6e-8)


def test_posterior_spread_of_a_sweep() -> None:
    """Morris (1983), by hand: .0009 (1 - .5337727 8/9) + 2/6 .5337727² .0688889² = .00092368 for the best of nine."""
    found = empirical_bayes((0.08, 0.05, 0.03, 0.03, 0.01, 0, -0.02, -0.03, -0.05), 0.03)
    assert found.sds[0] == pytest.approx(0.00092368**0.5, rel=1e-5)


def test_shrinkage_of_a_wide_sweep() -> None:
    found = empirical_bayes((0.12, 0.08, 0.05, 0.02, 0, -0.02, -0.04, -0.06, -0.10), 0.03)
    assert found.between_variance == pytest.approx(0.003977778, rel=1e-6)
    assert found.weights[0] == pytest.approx(0.8154897, rel=1e-6)
    assert found.values[0] == pytest.approx(0.0988838, rel=1e-6)


def test_baseball_averages() -> None:
    """Efron and Morris (1975), table 1: 18 batting averages after 45 at bats, arcsine scale, sd 1; shrink by .791."""
    hits = np.array([18, 17, 16, 15, 14, 14, 13, 12, 11, 11, 10, 10, 10, 10, 10, 9, 8, 7])
    x = np.sqrt(45) * np.arcsin(2 * hits / 45 - 1)
    found = empirical_bayes(x, 1.0)
    # their factor (K - 3) / S is ours, (K - 1) / S, with K - 3 for K - 1
    assert (1 - found.weights[0]) * 15 / 17 == pytest.approx(0.791, abs=5e-4)


@pytest.mark.parametrize(("k", "luck"), [(3, 0.0254), (9, 0.0446), (20, 0.0560), (35, 0.0632)])
def test_luck_of_the_best(k: int, luck: float) -> None:  # se .03; Tippett (1925): .8463, 1.4850, 1.8675 sd
    assert expected_luck(k, 0.03) == pytest.approx(luck, abs=5.1e-5)


def test_luck_of_two_in_closed_form() -> None:
    assert expected_luck(2, 1.0) == pytest.approx(1 / np.sqrt(np.pi), rel=1e-9)


def test_single_candidate_shrinkage() -> None:
    assert shrink_one(0.08, 0.03) == pytest.approx(0.08 - 0.03**2 / 0.08)
    assert shrink_one(0.02, 0.03) == 0.0


@pytest.mark.parametrize(
    ("runner_up", "low", "high", "middle"),
    [
        (0.05, -0.0380, 0.1380, 0.0706),
        (0.07, -0.2543, 0.1304, 0.0251),
        (0.0, 0.0170, 0.1388, 0.0799),
        (-0.02, 0.0200, 0.1388, None),
    ],
)
def test_winner_interval(runner_up: float, low: float, high: float, middle: float | None) -> None:
    e = winner_interval(best=0.08, runner_up=runner_up, se=0.03)  # Andrews, Kitagawa and McCloskey (2024)
    assert (e.low, e.high) == (pytest.approx(low, abs=5.1e-5), pytest.approx(high, abs=5.1e-5))
    assert middle is None or e.value == pytest.approx(middle, abs=5.1e-5)


def test_a_clear_winner_is_worth_the_same_within_simultaneous_limits_and_a_close_one_does_not_run_away() -> None:
    clear = hybrid_winner_interval(lead=0.1, difference=0.08, se=0.03, control_se=0.0, k=9)
    alone = winner_interval(best=0.08, runner_up=-0.02, se=0.03)
    assert (clear.value, clear.low, clear.high) == pytest.approx((alone.value, alone.low, alone.high), abs=0.003)
    close = hybrid_winner_interval(lead=0.004, difference=0.08, se=0.03, control_se=0.0, k=9)
    alone = winner_interval(best=0.08, runner_up=0.076, se=0.03)
    assert close.low is not None and alone.low is not None
    assert alone.low < -0.5 < 0.08 - 3.7 * 0.03 < close.low


@pytest.mark.parametrize("control_se", [0.0, 1.0])
@pytest.mark.parametrize("truth", [(0.0,) * 9, (0.0, 0.5, 1.0), (3.0, 0.0, 0.0)])
def test_the_hybrid_interval_of_a_winner_holds_its_truth(truth: tuple[float, ...], control_se: float) -> None:
    """1,500 races but for the ties: coverage of 95 % or somewhat more, too high about as often as too low, within 3.5 standard errors."""
    rng, races, inside, above = np.random.default_rng(7), 1500, 0, 0
    for _ in range(races):
        x = np.array(truth) + rng.standard_normal(len(truth))
        first, second = np.argsort(x)[::-1][:2]
        away = x[first] - control_se * rng.standard_normal()
        e = hybrid_winner_interval(
            lead=x[first] - x[second], difference=away, se=1.0, control_se=control_se, k=len(truth)
        )
        if e.value is None or e.low is None or e.high is None:
            races -= 1
            continue
        inside += e.low <= truth[first] <= e.high
        above += e.value > truth[first]
    assert 0.95 - 3.5 * 0.0057 < inside / races < 0.97 + 3.5 * 0.0045
    assert 0.5 - 3.5 * 0.013 < above / races < 0.53 + 3.5 * 0.013


@pytest.mark.parametrize(
    ("k", "known_control", "control_25", "control_1000"), [(9, 0.034, 0.155, 0.037), (35, 0.126, 0.305, 0.136)]
)
def test_luck_of_eight_hundredths(k: int, known_control: float, control_25: float, control_1000: float) -> None:
    """How often the best of k null candidates of 25 runs (sd .15) stands .08 above its control."""
    se = 0.15 / 5
    assert upper_tail(0.08 / se, np.zeros(k)) == pytest.approx(known_control, abs=5.1e-4)
    assert upper_tail(0.08 / (se * 2**0.5), loadings([25] * k, 25)) == pytest.approx(control_25, abs=5.1e-4)
    wider = 0.15 * (1 / 25 + 1 / 1000) ** 0.5
    assert upper_tail(0.08 / wider, loadings([25] * k, 1000)) == pytest.approx(control_1000, abs=5.1e-4)
