"""Sample sizes. R's power.t.test for the exact ones, normal quantiles for the tables."""

from __future__ import annotations

import pytest
from statsmodels.stats.power import TTestIndPower

from harness.stats.power import (
    detectable_difference,
    fractional_runs,
    invocations,
    power_one_sample,
    power_two_sample,
    power_two_sided,
    runs_to_prove,
    seeds_balanced,
    seeds_one_sample,
    seeds_vs_control,
    why_unreachable,
)

TABLE = [  # difference, sd: fixed bar, 1000-run control one- and two-sided, balanced one- and two-sided (90 % power)
    (0.01, 0.15, 1927, None, None, 3854, 4729),
    (0.015, 0.15, 857, 5964, None, 1713, 2102),
    (0.02, 0.15, 482, 930, 1446, 964, 1183),
    (0.03, 0.15, 215, 273, 357, 429, 526),
    (0.05, 0.15, 78, 84, 105, 155, 190),
    (0.10, 0.15, 20, 20, 25, 39, 48),
    (0.02, 0.16, 549, 1213, 2054, 1097, 1345),
    (0.03, 0.16, 244, 323, 427, 488, 598),
    (0.015, 0.16, 975, 38026, None, 1949, 2392),
]


@pytest.mark.parametrize(("d", "sd", "bar", "control", "control2", "balanced", "balanced2"), TABLE)
def test_seeds(d: float, sd: float, bar: int, control: int, control2: int, balanced: int, balanced2: int) -> None:
    assert seeds_one_sample(difference=d, sd=sd) == bar
    assert seeds_vs_control(difference=d, sd=sd, control_runs=1000) == control
    assert seeds_vs_control(difference=d, sd=sd, control_runs=1000, alpha=0.025) == control2
    assert seeds_balanced(difference=d, sd=sd) == balanced
    assert seeds_balanced(difference=d, sd=sd, alpha=0.025) == balanced2


def test_unreachable_says_what_would_do() -> None:
    assert seeds_vs_control(difference=0.01, sd=0.15, control_runs=1000) is None
    text = why_unreachable(difference=0.01, sd=0.15, control_runs=1000)
    assert "1927" in text and "3854" in text
    assert why_unreachable(difference=0.03, sd=0.15, control_runs=1000) == ""
    assert seeds_one_sample(difference=0.0, sd=0.15) is None


@pytest.mark.parametrize(
    ("difference", "one", "two"),
    [(0.02, 483.07, 964.1), (0.03, 215.46, 428.9), (0.05, 78.45, 154.8), (0.1, 20.70, 39.2)],
)
def test_exact_t_sizes(difference: float, one: float, two: float) -> None:
    effect = difference / 0.15
    assert fractional_runs(effect=effect, alpha=0.05, power=0.9, arms=1) == pytest.approx(one, abs=0.006)
    assert fractional_runs(effect=effect, alpha=0.05, power=0.9, arms=2) == pytest.approx(two, abs=0.06)
    assert seeds_one_sample(difference=difference, sd=0.15, exact_t=True) == int(one) + 1
    assert seeds_balanced(difference=difference, sd=0.15, exact_t=True) == int(two) + 1


def test_power_t_test_of_r() -> None:
    assert power_two_sided(effect=1, n1=20, n2=20) == pytest.approx(0.8689530, rel=1e-6)  # n = 20, delta = 1
    assert fractional_runs(effect=1, alpha=0.025, power=0.9, arms=2) == pytest.approx(22.021088, abs=2e-5)
    assert fractional_runs(effect=0.5, alpha=0.05, power=0.8, arms=2) == pytest.approx(50.150783, rel=1e-7)


def test_power_against_statsmodels() -> None:
    for effect, n1, n2 in ((0.2, 25, 1000), (0.5, 10, 10), (0.13, 200, 200)):
        want = TTestIndPower().power(effect, n1, 0.05, ratio=n2 / n1, alternative="larger")
        assert power_two_sample(effect=effect, n1=n1, n2=n2) == pytest.approx(want, rel=1e-6)


@pytest.mark.parametrize(
    ("n", "bar", "control"),
    [
        (5, 0.196, 0.197),
        (10, 0.139, 0.140),
        (25, 0.088, 0.089),
        (50, 0.062, 0.064),
        (100, 0.044, 0.046),
        (200, 0.031, 0.034),
        (500, 0.020, 0.024),
        (1000, 0.014, 0.020),
    ],
)
def test_detectable_difference(n: int, bar: float, control: float) -> None:
    assert detectable_difference(sd=0.15, n=n) == pytest.approx(bar, abs=5.1e-4)
    assert detectable_difference(sd=0.15, n=n, control_runs=1000) == pytest.approx(control, abs=5.1e-4)


@pytest.mark.parametrize(("estimate", "total"), [(0.03, 84), (0.009, 298), (0.0, 930), (-0.02, None)])
def test_runs_to_prove(estimate: float, total: int | None) -> None:  # margin .02, 25 runs now, 1000 control runs
    more = runs_to_prove(estimate=estimate, margin=0.02, sd=0.15, n=25, control_runs=1000)
    assert more == (None if total is None else total - 25)


@pytest.mark.parametrize(("percent", "runs"), [(0.1, 1030), (0.2, 258), (0.5, 42), (1, 11), (2, 3)])
def test_time_runs_if_they_were_independent(percent: float, runs: int) -> None:  # sd .0323 s on 4.166 s
    assert seeds_balanced(difference=percent / 100, sd=0.0323 / 4.166) == runs


def test_invocations_use_t() -> None:
    """z would ask for 9 at a ratio of one sd of the invocation means; t asks for more, and never below 5."""
    s = invocations(log_ratio=0.01, sd_between=0.01)
    assert s == 11
    assert power_one_sample(effect=1, n=11) >= 0.9 > power_one_sample(effect=1, n=10)
    assert invocations(log_ratio=0.05, sd_between=0.01) == 5
    assert invocations(log_ratio=0.0, sd_between=0.01) is None
