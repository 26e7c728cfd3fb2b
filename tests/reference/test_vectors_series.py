"""Series in time order and times to target."""

from __future__ import annotations

import numpy as np
import pytest
from reference_samples import AML_MAINTAINED, AML_OTHERS, MAVRO, MICHELSO
from scipy import stats

from harness.stats.correlation import pearson
from harness.stats.series import change_points, correlation_time, drift, effective_n
from harness.stats.survival import kaplan_meier, logrank_z, rmst, rmst_difference


@pytest.mark.parametrize(("x", "tau", "n_eff"), [(MAVRO, 11.0450, 4.527), (MICHELSO, 4.2115, 23.74)])
def test_correlation_time(x: np.ndarray, tau: float, n_eff: float) -> None:  # initial monotone sequence, Geyer (1992)
    assert correlation_time(x) == pytest.approx(tau, abs=5.1e-5)
    assert effective_n(x) == pytest.approx(n_eff, rel=2e-4)


@pytest.mark.parametrize(("rho", "n_eff"), [(0.1, 818), (0.5, 333), (0.9, 53)])
def test_effective_n_of_autoregressive_runs(rho: float, n_eff: float) -> None:
    """n (1 - rho) / (1 + rho) for n = 1000, from a series long enough to know it."""
    rng = np.random.default_rng(2)
    x, noise = np.zeros(100_000), rng.normal(size=100_000)
    for i in range(1, x.size):
        x[i] = rho * x[i - 1] + noise[i]
    assert effective_n(x) / 100 == pytest.approx(n_eff, rel=0.1)


def test_drift_against_scipy() -> None:
    y = np.random.default_rng(4).normal(size=30) + 0.05 * np.arange(30)
    want, found = stats.linregress(np.arange(30), y), drift(y)
    assert (found.value, found.se) == (pytest.approx(want.slope), pytest.approx(want.stderr))
    assert found.p_two_sided() == pytest.approx(want.pvalue)


def test_annual_flow_of_the_nile() -> None:
    """Cobb (1978): the flow fell once, between 1898 and 1899, by 247 (10^8 m³)."""
    from statsmodels.datasets import nile

    shifts = change_points(nile.load_pandas().data["volume"].to_numpy())
    assert [1871 + s.index for s in shifts] == [1899]
    assert shifts[0].after - shifts[0].before == pytest.approx(-247.8, abs=0.5)


@pytest.mark.parametrize(("n", "reach"), [(25, 0.395), (100, 0.196), (200, 0.139)])
def test_what_pairs_know_of_their_correlation(n: int, reach: float) -> None:  # Fisher z at r = 0
    x = np.linspace(-1, 1, n)
    e = pearson(x, x**2)
    assert (e.value, e.high) == (pytest.approx(0, abs=1e-12), pytest.approx(reach, abs=5.1e-4))


def test_kaplan_meier_of_leukaemia() -> None:  # R: survfit(Surv(time, status) ~ x, aml)
    curve = kaplan_meier(*AML_MAINTAINED)
    assert curve.times == (9, 13, 18, 23, 31, 34, 48)
    assert curve.shares == pytest.approx((0.9091, 0.8182, 0.7159, 0.6136, 0.4909, 0.3682, 0.1841), abs=5.1e-5)
    other = kaplan_meier(*AML_OTHERS)
    wanted = (0.8333, 0.6667, 0.5833, 0.4861, 0.3889, 0.2917, 0.1944, 0.0972, 0)
    assert other.times == (5, 8, 12, 23, 27, 30, 33, 43, 45)
    assert other.shares == pytest.approx(wanted, abs=5.1e-5)
    assert (curve.median(), other.median()) == (31, 23)


def test_logrank_of_leukaemia() -> None:  # R: survdiff, chisq = 3.4, p = .0653
    z = logrank_z(*AML_MAINTAINED, *AML_OTHERS)
    assert z == pytest.approx(-1.8429294, rel=1e-7)
    assert z is not None
    assert 2 * stats.norm.sf(abs(z)) == pytest.approx(0.0653393, rel=1e-6)


def test_restricted_means_of_leukaemia() -> None:
    a, b = rmst(*AML_MAINTAINED, horizon=30), rmst(*AML_OTHERS, horizon=30)
    assert (a.value, b.value) == (pytest.approx(24.602273, rel=1e-7), pytest.approx(19.694444, rel=1e-7))
    gap = rmst_difference(*AML_MAINTAINED, *AML_OTHERS, horizon=30)
    assert gap.value == pytest.approx(24.602273 - 19.694444, rel=1e-6)
    assert gap.se == pytest.approx(np.hypot(a.se, b.se))


def test_restricted_mean_without_censoring_is_the_mean() -> None:
    t = np.random.default_rng(6).exponential(size=50)
    found = rmst(t, np.ones(50), horizon=float(t.max()))
    assert found.value == pytest.approx(t.mean())
    assert found.se == pytest.approx(t.std() / np.sqrt(50))  # Greenwood's is the divisor-n variance
