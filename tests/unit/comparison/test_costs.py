"""What passes cost: means over process starts, settings told apart, ranks of multiply-adds against latency."""

from __future__ import annotations

from typing import Any

import pytest

from harness.comparison.costs import PassRun, costs_of, settings_of
from harness.report.costs_text import costs_lines, interval, millions

LATENCY = {"small": 6.0, "medium": 9.0, "large": 8.0, "huge": 20.0}
MACS = {"small": 28e6, "medium": 130e6, "large": 560e6, "huge": 1300e6}


def runs(factor: float = 1.0, suffix: str = "", **more: float) -> list[PassRun]:
    """Four arms, three process starts of two runs; a start is 2 % slower than the one before."""
    out = []
    for arm, ms in LATENCY.items():
        for start in range(3):
            for run in range(2):
                took = factor * ms * (1 + 0.02 * start) * (1 + 0.001 * run)
                values = {"macs": MACS[arm], "latency_median": took, "throughput": 8000 / took, "parameters": 1e6}
                out.append(PassRun(arm + suffix, f"p{start}", values | more, 2**20 * 700))
    return out


def test_latency_is_the_mean_of_process_starts_with_their_error() -> None:
    costs = costs_of(runs(), {})
    small = costs.arms[0]
    assert (small.arm, small.n, small.macs) == ("small", 6, 28e6)
    mean = 6.0 * 1.02 * 1.0005
    assert small.latency_ms.value == pytest.approx(mean)
    # Three starts 2 % apart: sd .02 of 6.003 ms, over the root of 3, times t(2) = 4.3027.
    reach = 4.302652729911275 * 0.02 * 6.0 * 1.0005 / 3**0.5
    assert small.latency_ms.low == pytest.approx(mean - reach)
    assert small.peak_memory_mb == 700


def test_arms_stand_in_the_order_of_their_multiply_adds_and_their_ranks_are_correlated() -> None:
    costs = costs_of(runs(), {})
    assert [arm.arm for arm in costs.arms] == ["small", "medium", "large", "huge"]
    (one,) = costs.agreement
    assert one.spearman.value == pytest.approx(0.8)  # one neighbouring pair of four is swapped
    assert one.kendall.value == pytest.approx(4 / 6)
    assert one.within == pytest.approx((0.8, 0.8))


def test_arms_of_another_setting_are_ranked_by_themselves() -> None:
    """Half precision is slower for every network here: pooled, the ranks would agree less than in either setting."""
    both = [*runs(), *runs(3.0, "-bf16")]
    names = {run.arm for run in both}
    configs: dict[str, dict[str, Any]] = {
        name: {"dtype": "bf16" if name.endswith("bf16") else "fp32", "model.name": name, "batch": 8} for name in names
    }
    costs = costs_of(both, configs)
    assert [(a.setting, a.arms) for a in costs.agreement] == [("dtype=fp32", 4), ("dtype=bf16", 4)]
    assert [a.spearman.value for a in costs.agreement] == pytest.approx([0.8, 0.8])
    assert [arm.setting for arm in costs.arms] == ["dtype=fp32"] * 4 + ["dtype=bf16"] * 4


def test_keys_of_the_network_make_no_setting() -> None:
    assert settings_of({"a": {"model.width": 1.0, "batch": 8}, "b": {"model.width": 2.0, "batch": 8}}) == {
        "a": "",
        "b": "",
    }


def test_runs_without_the_metrics_are_counted() -> None:
    costs = costs_of([*runs(), PassRun("small", "p0", {"macs": 28e6})], {})
    assert costs.left_out == 1
    assert "  left out without these metrics: 1 of the runs" in costs_lines(costs.as_dict())


def test_what_is_not_known_is_said_to_be_so() -> None:
    costs = costs_of([PassRun("a", "", {"macs": 1e6, "latency_median": 2.0})], {})
    (one,) = costs.arms
    assert one.latency_ms.value == 2.0 and one.latency_ms.low is None and "unknown" in one.latency_ms.reason
    assert one.idle.value is None and "processor" in one.idle.reason
    assert one.parameters is None and one.peak_memory_mb is None
    text = "\n".join(costs_lines(costs.as_dict()))
    assert "no rank correlation over 1 arm" in text


def test_settings_of_one_network_stand_in_one_table() -> None:
    both = [run for run in [*runs(), *runs(3.0, "-bf16")] if run.arm in ("small", "small-bf16")]
    configs = {"small": {"dtype": "fp32"}, "small-bf16": {"dtype": "bf16"}}
    lines = costs_lines(costs_of(both, configs).as_dict())
    assert sum("latency" in line for line in lines[1:]) == 1  # the header, once
    assert any("no ranks to compare" in line for line in lines) and not any("dtype" in line for line in lines)


def test_idle_time_of_a_device_is_told_where_it_was_measured() -> None:
    costs = costs_of(runs(device_idle=0.9), {})
    assert costs.arms[0].idle.value == pytest.approx(0.9)
    assert "90 %" in "\n".join(costs_lines(costs.as_dict()))


@pytest.mark.parametrize(
    ("value", "half", "shown"),
    [(24.6123, 0.83, "24.6 ± .8 ms"), (24.6123, 12.0, "25 ± 12 ms"), (0.3241, 0.0026, "0.324 ± .003 ms")],
)
def test_a_value_is_shown_to_the_digit_that_is_known(value: float, half: float, shown: str) -> None:
    assert interval({"value": value, "ci95": [value - half, value + half]}, "ms") == shown


@pytest.mark.parametrize(("count", "shown"), [(1_706_496, "1.71 M"), (555_422_720, "555 M"), (1.298e9, "1298 M")])
def test_multiply_adds_are_told_in_millions(count: float, shown: str) -> None:
    assert millions(count) == shown
