"""The estimate after a group-sequential plan stopped: its definition at the first look, its median and its coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.stats.sequential import after_stopping, efficacy_bounds, equal_looks, hwang_shih_decani, plan, stagewise_p

TIMES = equal_looks(5)
BOUNDS = efficacy_bounds(TIMES, alpha=0.05)


def test_at_the_first_look_it_is_the_plain_estimate() -> None:
    found = after_stopping(TIMES, BOUNDS, look=0, z=4.5)
    assert found.median == pytest.approx(4.5 / math.sqrt(0.2), abs=1e-8)
    assert found.low == pytest.approx((4.5 - 1.959963985) / math.sqrt(0.2), abs=1e-7)


def test_with_one_look_it_is_the_fixed_interval() -> None:
    found = after_stopping([1.0], [1.645], look=0, z=2.0)
    assert (found.median, found.low, found.high) == pytest.approx((2.0, 0.040036, 3.959964), abs=1e-6)


def test_a_stop_for_efficacy_is_taken_down_and_a_run_to_the_end_is_not_far_from_plain() -> None:
    early = after_stopping(TIMES, BOUNDS, look=2, z=BOUNDS[2] + 0.05)
    assert early.median < (BOUNDS[2] + 0.05) / math.sqrt(TIMES[2]) - 0.01
    last = after_stopping(TIMES, BOUNDS, look=4, z=0.3)
    assert last.median == pytest.approx(0.3, abs=0.02)


def test_a_higher_z_at_the_same_look_means_a_higher_drift() -> None:
    values = [after_stopping(TIMES, BOUNDS, look=3, z=z).median for z in (2.0, 2.5, 3.0)]
    assert values == sorted(values)


def test_an_earlier_stop_for_efficacy_means_a_higher_drift() -> None:
    values = [after_stopping(TIMES, BOUNDS, look=k, z=BOUNDS[k]).median for k in range(5)]
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("drift", [0.0, 2.9265])
def test_p_at_the_truth_is_uniform_and_so_the_median_is_unbiased_and_the_interval_covers(drift: float) -> None:
    campaigns = 400
    rng = np.random.default_rng(5)
    steps = rng.normal(drift * 0.2, math.sqrt(0.2), (campaigns, 5)).cumsum(axis=1)
    z = steps / np.sqrt(TIMES)
    crossed = z >= np.array(BOUNDS)
    look = np.where(crossed.any(axis=1), crossed.argmax(axis=1), 4).tolist()
    p = np.array(
        [stagewise_p(TIMES[: k + 1], BOUNDS, z=float(row[k]), drift=drift) for k, row in zip(look, z, strict=True)]
    )
    for share in (0.025, 0.5, 0.975):
        assert abs((p < share).mean() - share) < 3 * math.sqrt(share * (1 - share) / campaigns)
    one = after_stopping(TIMES, BOUNDS, look=look[0], z=float(z[0, look[0]]))
    for value, share in ((one.median, 0.5), (one.low, 0.025), (one.high, 0.975)):
        found = stagewise_p(TIMES[: look[0] + 1], BOUNDS, z=float(z[0, look[0]]), drift=value)
        assert found == pytest.approx(share, abs=1e-7)


@pytest.mark.parametrize("drift", [0.0, 2.9265])
def test_stops_for_futility_are_the_least_extreme_ends(drift: float) -> None:
    """With both bounds obeyed p is uniform too; leaving futility out, the ends of nothing would look too small."""
    campaigns = 400
    lower = plan(TIMES, alpha=0.05, futility=hwang_shih_decani(-2)).futility
    assert lower is not None
    rng = np.random.default_rng(6)
    z = rng.normal(drift * 0.2, math.sqrt(0.2), (campaigns, 5)).cumsum(axis=1) / np.sqrt(TIMES)
    out = (z >= np.array(BOUNDS)) | (z < np.array(lower))
    look = np.where(out.any(axis=1), out.argmax(axis=1), 4).tolist()
    ends = [(k, float(row[k])) for k, row in zip(look, z, strict=True)]
    p = np.array([stagewise_p(TIMES[: k + 1], BOUNDS, lower, z=x, drift=drift) for k, x in ends])
    for share in (0.025, 0.5, 0.975):
        assert abs((p < share).mean() - share) < 3 * math.sqrt(share * (1 - share) / campaigns)
    if drift == 0:
        ignoring = np.array([stagewise_p(TIMES[: k + 1], BOUNDS, z=x) for k, x in ends])
        assert (ignoring < 0.5).mean() < 0.46
