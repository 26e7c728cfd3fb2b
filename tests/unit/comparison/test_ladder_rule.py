"""Which arms of a ladder go on: ranked by the claim, and none dropped without a reason."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from frames import exactly, pair
from scipy import integrate, special

from harness.comparison.frame import make_frame, text_column
from harness.comparison.ladder import A_A, Standing, believed, choose, order, proof_chance, scores, standings
from harness.comparison.pair import Promise
from harness.comparison.samples import Sample, make_sample
from harness.stats.power import assurance, seeds_one_sample


def standing(arm: str, **facts: Any) -> Standing:
    base = {"n": 25, "accuracy": 0.94, "difference_pp": 0.0, "se_pp": 0.03, "shrunk_pp": 0.0, "speedup": 1.0}
    return Standing(arm, **(base | {"speedup_by": "blocks", "chance": 0.5} | facts))


def names(choice: Any) -> list[str]:
    return [s.arm for s in choice.kept]


def test_without_uncertainty_the_chance_of_a_proof_is_the_power() -> None:
    n = seeds_one_sample(difference=0.02, sd=0.15, power=0.9)
    assert n is not None
    at = assurance(estimate=0.0, uncertainty=0.0, null=-0.02, standard_error=0.15 / math.sqrt(n))
    assert at == pytest.approx(0.9, abs=1e-3)


def test_with_it_the_chance_is_the_mean_power() -> None:
    """Against the integral of the power over the belief."""

    def weighed(x: float) -> float:
        power = special.ndtr((x + 0.02) / 0.01 - 1.6448536269514722)
        return float(power * math.exp(-((x - 0.01) ** 2) / (2 * 0.015**2)) / (0.015 * math.sqrt(2 * math.pi)))

    expected = integrate.quad(weighed, -0.2, 0.2)[0]
    found = assurance(estimate=0.01, uncertainty=0.015, null=-0.02, standard_error=0.01)
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("estimate", "chance"), [(0.1, 1.0), (-0.1, 0.0), (0.0, 0.0)])
def test_where_nothing_is_uncertain_it_is_yes_or_no(estimate: float, chance: float) -> None:
    assert assurance(estimate=estimate, uncertainty=0.0, null=0.0, standard_error=0.0) == chance


def test_accurate_ranks_by_the_shrunken_difference() -> None:
    arms = [standing("a", shrunk_pp=-0.01), standing("b", shrunk_pp=0.03), standing("c", shrunk_pp=0.02, speedup=2.0)]
    assert names(choose("accurate", arms, 2)) == ["b", "c"]
    assert names(choose("no-regression", arms, 3)) == ["b", "c", "a"]
    assert names(choose("equivalent", arms, 2)) == ["a", "c"]
    assert names(choose("time-only", arms, 2)) == ["c", "b"]


def test_faster_wants_speed_that_can_be_proven_not_to_cost_accuracy() -> None:
    """The fastest that will hardly be proven not worse stands behind one nearly as fast."""
    arms = [
        standing("fastest", speedup=1.06, chance=0.1),
        standing("fast", speedup=1.05, chance=0.8),
        standing("safe", speedup=1.01, chance=1.0),
    ]
    assert names(choose("faster", arms, 3)) == ["fast", "safe", "fastest"]


def test_a_slower_arm_is_not_the_better_for_being_hopeless() -> None:
    arms = [standing("slow", speedup=0.9, chance=0.0), standing("less", speedup=0.95, chance=0.9), standing("same")]
    assert names(choose("faster", arms, 3)) == ["same", "less", "slow"]


def test_the_same_work_is_ranked_by_accuracy() -> None:
    arms = [standing("a", shrunk_pp=0.01), standing("b", shrunk_pp=0.02), standing("c", shrunk_pp=0.0, speedup=None)]
    assert names(choose("faster", arms, 3)) == ["b", "a", "c"]


def test_ties_go_by_the_order_of_the_experiment() -> None:
    assert order([1.0, 2.0, 2.0, 1.0], [0.0] * 4) == [1, 2, 0, 3]
    assert scores("faster", [0.0, 0.0], [0.1, -0.1], [0.5, 0.5]).tolist() == [0.05, -0.1]


def test_every_dropped_arm_has_its_reason_and_a_refuted_one_takes_no_place() -> None:
    arms = [
        standing("a", shrunk_pp=0.3, out="UNDER THE TARGET: ..."),
        *(standing(f"b{i}", shrunk_pp=-i / 100) for i in range(3)),
    ]
    choice = choose("accurate", arms, 2)
    assert names(choice) == ["b0", "b1"]
    assert {s.arm: reason for s, reason in choice.dropped} == {
        "b2": "rank 3: 2 of 3 go on",
        "a": "UNDER THE TARGET: ...",
    }
    assert choose("accurate", arms[:1], 1).kept == ()


def test_few_arms_are_hardly_pulled_and_none_are_pulled_together() -> None:
    """Two tell nothing of how arms differ; where six differ by less than their errors a third of each difference is left."""
    theta, tau = believed([0.02, -0.05], [0.03, 0.03])
    assert theta.tolist() == pytest.approx([0.02, -0.05]) and tau.tolist() == pytest.approx([0.03, 0.03])
    small = [0.01, 0.005, 0.0, -0.005, -0.01, -0.012]
    theta, tau = believed(small, [0.03] * 6)
    assert theta.tolist() == pytest.approx([d / 3 for d in small])
    assert tau.tolist() == pytest.approx([0.03 / math.sqrt(3)] * 6)


# --- from runs ----------------------------------------------------------------------------------------------


def sample(name: str, accuracies: Any, **texts: str) -> Sample:
    values = np.asarray(accuracies, dtype=np.float64)
    known = {"arm": name, "config_hash": f"config-{name}", "status": "completed", "stage": "screen"} | texts
    columns: dict[str, Any] = {k: text_column([v] * values.size) for k, v in known.items()}
    columns |= {"accuracy": values, "seed": np.arange(values.size, dtype=np.float64)}
    return make_sample(name, [make_frame(columns, values.size, name)])


def drawn(name: str, mean: float, n: int = 25, seed: int = 1) -> Sample:
    return sample(name, exactly(np.random.default_rng(seed), n, mean, 0.0015))


def test_the_numbers_are_those_of_a_comparison() -> None:
    control, arms = drawn("base", 0.94), [drawn(f"a{i}", 0.94 + 0.0005 * i, seed=2 + i) for i in range(5)]
    found = standings(control, arms, Promise("accurate"), final_runs=1000)
    assert [s.difference_pp for s in found] == pytest.approx([0.05 * i for i in range(5)], abs=1e-9)
    assert all(0 <= s.shrunk_pp <= s.difference_pp + 1e-12 for s in found)
    assert [s.chance for s in found] == sorted(s.chance for s in found)
    assert {s.speedup_by for s in found} == {"no times"}


def test_a_copy_of_the_control_goes_no_further() -> None:
    control, arms = drawn("base", 0.94), [drawn("copy", 0.95, seed=2), drawn("other", 0.93, seed=3)]
    found = standings(control, arms, Promise("no-regression", margin_pp=5.0), final_runs=100, copies=["copy"])
    assert [s.out for s in found] == [A_A, ""]
    assert [s.shrunk_pp for s in found] == pytest.approx([0.0, -1.0]), "nor does it say anything of the others"
    assert [s.out for s in standings(control, arms[:1], Promise("accurate"), final_runs=9, copies=["copy"])] == [A_A]


def test_what_is_refuted_already_goes_no_further() -> None:
    control, arms = drawn("base", 0.94), [drawn("low", 0.935, seed=2), drawn("good", 0.9401, seed=3)]
    found = standings(control, arms, Promise("faster", target=0.94, margin_pp=0.02), final_runs=100)
    assert found[0].out.startswith("UNDER THE TARGET") and not found[1].out


def test_times_are_taken_from_blocks_and_from_steps_where_there_are_none() -> None:
    a, b = pair(speedup=1.25)
    sides = [_frame_sample(f) for f in (a, b)]
    (found,) = standings(sides[0], sides[1:], Promise("faster", margin_pp=0.2), final_runs=100)
    assert found.speedup == pytest.approx(1.25, abs=0.02) and found.speedup_by == "blocks"
    sides = [_frame_sample(f.assign(lane="shared")) for f in (a, b)]
    (found,) = standings(sides[0], sides[1:], Promise("faster", margin_pp=0.2), final_runs=100)
    assert found.speedup == pytest.approx(400 / 320) and found.speedup_by == "steps"


def _frame_sample(frame: Any) -> Sample:
    columns = {n: frame[n].to_numpy() for n in frame.columns}
    texts = {n: text_column([str(x) for x in v]) for n, v in columns.items() if v.dtype.kind not in "fib"}
    numbers = {
        n: v.astype(bool if v.dtype.kind == "b" else np.float64) for n, v in columns.items() if v.dtype.kind in "fib"
    }
    return make_sample(str(frame["arm"].iloc[0]), [make_frame(texts | numbers, len(frame), "drawn")])


def test_the_chance_is_that_of_the_harder_endpoint() -> None:
    facts = {"shrunk": 0.0, "uncertainty": 0.01, "error": 0.005, "mean_error": 0.005}
    both = Promise("faster", target=0.94, margin_pp=0.02)
    margin = proof_chance(Promise("faster", margin_pp=0.02), above_target=None, **facts)
    assert proof_chance(both, above_target=1.0, **facts) == margin
    assert proof_chance(both, above_target=0.0, **facts) < 0.3 < margin
    assert proof_chance(Promise("faster"), above_target=None, **facts) == 1.0, "nothing is asked of the accuracy"
    assert proof_chance(Promise("equivalent", margin_pp=0.02), above_target=None, **facts | {"shrunk": 0.05}) < 0.1


def test_a_sweep_of_one_value_has_no_spread_and_no_crash() -> None:
    flat = [sample(n, [0.94] * 5) for n in ("base", "a", "b")]
    found = standings(flat[0], flat[1:], Promise("accurate"), final_runs=10)
    assert [s.chance for s in found] == [0.0, 0.0] and all(s.se_pp in (None, 0.0) for s in found)
