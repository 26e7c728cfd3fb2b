"""Time to target along the run: the same numbers as the Kaplan-Meier curve gives, and notes for what they assume."""

from __future__ import annotations

import numpy as np
import pytest

from harness.comparison.along import Curve, Followed, along_run, followed
from harness.comparison.frame import make_frame, text_column
from harness.comparison.samples import Sample, make_sample
from harness.stats.survival import rmst_difference

GRID = np.arange(10.0, 101.0, 10.0)


def arm(name: str, values: list[np.ndarray], steps: np.ndarray = GRID) -> tuple[Sample, dict[str, Curve]]:
    runs = [f"{name}{i}" for i in range(len(values))]
    columns = {"seed": np.arange(float(len(values))), "accuracy": np.array([v[-1] for v in values])}
    frame = make_frame(columns | {"run_id": text_column(runs)}, len(runs), name)
    return make_sample(name, [frame]), {run: Curve(steps[: len(v)], v) for run, v in zip(runs, values, strict=True)}


def rising(at: float, steps: np.ndarray = GRID) -> np.ndarray:
    """Reaches .94 at step `at`."""
    return np.where(steps >= at, 0.94, 0.9)


def side(name: str, at: list[float], steps: np.ndarray = GRID) -> Followed:
    sample, curves = arm(name, [rising(t, steps) for t in at], steps)
    found = followed(sample, curves, 0.94)
    assert found is not None
    return found


def test_the_restricted_mean_is_the_area_under_kaplan_and_meier() -> None:
    control, candidate = side("a", [30, 50, 50, 70, 200]), side("b", [10, 20, 40, 40, 60, 200])
    assert (control.censored, candidate.censored) == (1, 1)
    found = along_run(control, candidate, target=0.94, metric="m")
    area = rmst_difference(candidate.times, candidate.reached, control.times, control.reached, horizon=found.horizon)
    assert found.horizon == 100
    assert found.difference.value == pytest.approx(area.value)
    low, high = found.difference.low, found.difference.high
    assert low is not None
    assert high is not None
    assert high - low > 2 * 1.96 * (area.se or 0), "t and n - 1: wider than Greenwood's normal interval at n = 5"


def test_the_horizon_ends_where_the_first_run_is_censored() -> None:
    control = side("a", [30, 50, 200])
    candidate = side("b", [20, 30, 200], GRID[:6])
    found = along_run(control, candidate, target=0.94, metric="m")
    assert found.horizon == 60
    assert any("train for different lengths (100 and 60 steps)" in note for note in found.notes)
    assert any("evaluated at different steps" in note for note in found.notes)


def test_a_stored_float32_reaches_its_target() -> None:
    sample, curves = arm("a", [np.full(10, float(np.float32(0.94))), rising(50)])
    found = followed(sample, curves, 0.94)
    assert found is not None
    assert found.times.tolist() == [10, 50]


def test_evaluations_without_a_number_and_early_ends_are_said() -> None:
    values = rising(200)
    values[3] = np.nan
    sample, curves = arm("a", [values, rising(200)[:5], rising(40)])
    broken = followed(sample, curves, 0.94)
    assert broken is not None
    found = along_run(broken, side("b", [20, 30]), target=0.94, metric="m")
    assert found.horizon == 50
    assert any("1 evaluations hold no number" in note for note in found.notes)
    assert any("missed the target ended at different steps (50 to 100)" in note for note in found.notes)


def test_without_any_success_there_is_no_test_and_no_median() -> None:
    document = along_run(side("a", [200, 200]), side("b", [200, 200]), target=0.94, metric="m").as_dict()
    assert document["logrank"]["p"] is None
    assert "no run of either arm" in document["logrank"]["reason"]
    assert document["control"]["median"] is None
    assert document["rmst_difference"]["ci95"] == [None, None]
