"""Ratios of means, log ratios and the expected cost of a success."""

from __future__ import annotations

import math

import pytest
from reference_samples import ORANGE_JUICE, VITAMIN_C

from harness.stats.clustered import clustered_mean
from harness.stats.contrast import Contrast
from harness.stats.means import one_sample
from harness.stats.ratios import (
    cost_of_success,
    cost_ratio,
    cost_ratio_from_speedup,
    fieller,
    log_delta,
    log_difference,
    log_ratio_to_ratio,
    ratio_lower,
    wilson_cost,
)


def close(value: float, rel: float = 1e-6) -> object:
    return pytest.approx(value, rel=rel)


BASE = Contrast(4.166, 0.002 / 1.96, math.inf)  # a published study: 4.166 +- .002 s, 522 of 1000 reached the target
FINAL = Contrast(4.082, 0.002 / 1.96, math.inf)  # and 4.082 +- .002 s, 425 of 1000


def test_tooth_growth_ratio() -> None:  # R: mratios::ttestratio (Fieller, Welch-type df 50.0608)
    e = fieller(one_sample(ORANGE_JUICE), one_sample(VITAMIN_C))
    assert (e.value, e.low, e.high) == (close(1.2181175), close(0.9906811), close(1.5259076))
    log = log_delta(one_sample(ORANGE_JUICE), one_sample(VITAMIN_C))
    e = log_ratio_to_ratio(log)
    assert log.df == close(50.0608)
    assert (e.low, e.high) == (close(0.9837320), close(1.5083481))


def test_speed_up_of_1000_runs() -> None:  # 1.020578 [1.019878, 1.021278] by either method
    base, final = (Contrast(m, 0.0323 / math.sqrt(1000), 999.0) for m in (4.166, 4.082))
    for e in (fieller(base, final), log_ratio_to_ratio(log_delta(base, final))):
        assert (e.value, e.low, e.high) == (close(1.020578), close(1.019878, 2e-6), close(1.021278, 2e-6))


def test_cost_of_success() -> None:
    e, log = cost_of_success(BASE, k=522, n=1000)
    assert (e.value, e.low, e.high) == (close(7.98084), close(7.52124, 5e-6), close(8.46853, 5e-6))
    assert log.value == close(math.log(4.166 / 0.522))
    e, _ = cost_of_success(FINAL, k=425, n=1000)
    assert (e.value, e.low, e.high) == (close(9.60471), close(8.93663, 5e-6), close(10.32273, 5e-6))
    e, _ = cost_of_success(Contrast(4.04, 0.05 / 1.96, math.inf), k=17, n=25)
    assert (e.value, e.low, e.high) == (close(5.94118), close(4.53903, 5e-6), close(7.77646, 5e-6))


@pytest.mark.parametrize(
    ("time_s", "k", "low", "high"), [(4.166, 522, 7.53596, 8.48446), (4.082, 425, 8.95433, 10.34190)]
)
def test_cost_of_success_by_wilson(time_s: float, k: int, low: float, high: float) -> None:
    assert wilson_cost(time_s, k=k, n=1000) == (close(low), close(high))


def test_cost_ratio() -> None:  # 1.20347 [1.09620, 1.32124], z = 3.888
    base, final = cost_of_success(BASE, k=522, n=1000)[1], cost_of_success(FINAL, k=425, n=1000)[1]
    e = cost_ratio(final, base)
    assert (e.value, e.low, e.high) == (close(1.20347), close(1.09620, 5e-6), close(1.32124, 1e-5))
    gap = log_difference(final, base)
    assert gap.se is not None
    assert gap.value / gap.se == close(3.888, 2e-4)


def test_cost_ratio_from_the_speed_up_is_the_same() -> None:
    log_speedup = log_delta(BASE, FINAL)
    e = cost_ratio_from_speedup(log_speedup, k_first=425, n_first=1000, k_second=522, n_second=1000)
    assert (e.value, e.low, e.high) == (close(1.20347), close(1.09620, 5e-6), close(1.32124, 1e-5))
    certain = cost_ratio_from_speedup(log_speedup, k_first=25, n_first=25, k_second=25, n_second=25)
    assert certain.low < 4.082 / 4.166 < certain.high


def test_cost_without_success_has_only_a_lower_limit() -> None:  # T / (1 - .025^(1/25)), by the closed form at k = 0
    e, log = cost_of_success(BASE, k=0, n=25)
    assert (e.value, e.high, log.usable) == (None, None, False)
    assert e.low == close(4.166 / (1 - 0.025 ** (1 / 25)))
    assert "only a lower limit" in e.reason


def test_speed_up_from_clustered_blocks() -> None:
    """Three invocations whose mean log ratios are .01, .02, .03: exp(.02), t on 2 degrees of freedom, by hand."""
    d = clustered_mean([0.0, 0.02, 0.01, 0.03, 0.02, 0.04], ["a", "a", "b", "b", "c", "c"]).contrast
    e = log_ratio_to_ratio(d)
    assert e.value == close(math.exp(0.02))
    assert e.high == close(math.exp(0.02 + 4.302652730 * 0.01 / math.sqrt(3)))
    assert ratio_lower(d, alpha=0.05) == close(math.exp(0.02 - 2.919985580 * 0.01 / math.sqrt(3)))
