"""Plans of looks: sizes, published bounds, and what is stored of them."""

from __future__ import annotations

import pytest

from harness.design.looks import plan_looks, plan_sprt, read_look_plan


def test_equal_looks_have_the_published_bounds() -> None:
    """224 runs in five equal looks of 50: Lan-DeMets O'Brien-Fleming at .05, futility HSD(-2) at power .9."""
    plan = plan_looks(224, alpha=0.05, timed=False)
    assert plan.runs == (50, 100, 150, 200, 250)
    assert plan.efficacy == pytest.approx((4.2292, 2.8881, 2.2981, 1.9618, 1.7397), abs=2e-4)
    assert plan.futility == pytest.approx((-1.040, -0.233, 0.454, 1.082, 1.740), abs=2e-3)


@pytest.mark.parametrize("fixed", [6, 10, 25, 100, 155, 1000])
def test_the_largest_sample_is_an_eighth_above_the_fixed_one_at_most(fixed: int) -> None:
    plan = plan_looks(fixed, alpha=0.05, timed=True)
    assert fixed <= plan.largest <= 1.12 * fixed
    assert list(plan.runs) == sorted(set(plan.runs)) and plan.runs[0] >= 2
    assert all(b - a >= 3 for a, b in zip((0, *plan.starts), plan.starts, strict=False)) or plan.runs[0] < 3
    assert plan.starts[0] <= plan.runs[0], "a process start makes at least one block"


def test_where_time_plays_no_part_process_starts_are_few() -> None:
    assert plan_looks(25, alpha=0.05, timed=False).starts == (1, 2, 3, 4, 5)
    assert plan_looks(25, alpha=0.05, timed=True).starts == (3, 6, 9, 12, 15)


def test_tiny_designs_look_less_often() -> None:
    assert len(plan_looks(4, alpha=0.05, timed=False).runs) == 1
    assert len(plan_looks(10, alpha=0.05, timed=False).runs) == 3


def test_a_likelihood_ratio_looks_from_15_on_to_three_times_the_fixed_size() -> None:
    plan = plan_sprt(20, alpha=0.05)
    assert (plan.runs[0], plan.runs[1], plan.largest) == (15, 20, 60)
    assert plan_sprt(3, alpha=0.05).runs == (15,)


def test_a_plan_is_read_back_as_it_was_written() -> None:
    plan = plan_looks(25, alpha=0.01, timed=True)
    assert read_look_plan(plan.as_dict()) == plan
    assert (plan.next_after(0), plan.next_after(plan.largest)) == (plan.runs[0], None)


@pytest.mark.parametrize(
    "change", [{"runs": []}, {"starts": [1]}, {"efficacy": [1.0]}, {"runs": ["many"] * 5}, {"mood": "good"}]
)
def test_what_is_no_plan_is_not_read(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"plan|belong"):
        read_look_plan(plan_looks(25, alpha=0.05, timed=True).as_dict() | change)
