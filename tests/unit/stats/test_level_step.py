"""A lasting step in times: found where it is, and seldom where only process starts differ."""

from __future__ import annotations

import numpy as np
import pytest

from harness.stats.level import lasting_step

PER_ARM = 0.005


def drawn(rng: np.random.Generator, starts: int, runs: int, process_sd: float) -> np.ndarray:
    """Times of `runs` runs in each process start, in units of one run's spread, around 200."""
    return 200 + rng.normal(size=starts * runs) + process_sd * np.repeat(rng.normal(size=starts), runs)


def processes(starts: int, runs: int) -> list[int]:
    return np.repeat(np.arange(starts), runs).tolist()


@pytest.mark.parametrize(("starts", "runs"), [(5, 5), (3, 10), (10, 6)])
@pytest.mark.parametrize("process_sd", [0.0, 1.0, 3.0])
def test_process_starts_of_different_speed_are_no_step(starts: int, runs: int, process_sd: float) -> None:
    """At most 1 false alarm in 100 (asked for are .5 %): 300 draws, where 9 or more would be seen once in 250 at 1 %."""
    rng, clusters = np.random.default_rng(20_261_123), processes(starts, runs)
    found = [lasting_step(drawn(rng, starts, runs, process_sd), clusters) for _ in range(300)]
    assert sum(step is not None and step.p < PER_ARM for step in found) < 9


def test_the_same_series_without_its_process_starts_would_alarm_often() -> None:
    """What the clustering is for."""
    rng = np.random.default_rng(20_261_123)
    found = [lasting_step(drawn(rng, 5, 12, 3.0)) for _ in range(100)]
    assert sum(step is not None and step.p < PER_ARM for step in found) > 10, "asked for is 1 in 200"


@pytest.mark.parametrize("at", [30, 25, 41])
def test_a_step_is_found_at_its_place_within_a_process_and_between_two(at: int) -> None:
    rng, clusters = np.random.default_rng(3), processes(10, 6)
    times = drawn(rng, 10, 6, 0.5)
    times[at:] += 10
    step = lasting_step(times, clusters)
    assert step is not None
    assert step.index == at
    assert step.p < PER_ARM
    assert step.after - step.before == pytest.approx(10, abs=1)


def test_a_drift_is_no_step() -> None:
    rng = np.random.default_rng(3)
    assert lasting_step(drawn(rng, 10, 6, 0.0) + np.linspace(0, 20, 60), processes(10, 6)) is None


def test_within_one_process_a_step_is_found_and_dependence_seldom_taken_for_one() -> None:
    rng = np.random.default_rng(5)
    times = 200 + rng.normal(size=60)
    times[22:] += 4
    step = lasting_step(times, ["p"] * 60)
    assert step is not None
    assert (step.index, step.p < PER_ARM) == (22, True)
    alarms = 0
    for _ in range(200):
        noise = rng.normal(size=101)
        for i in range(1, 101):
            noise[i] += 0.5 * noise[i - 1]
        found = lasting_step(200 + noise[1:])
        alarms += found is not None and found.p < PER_ARM
    assert alarms < 7


def test_a_long_series_is_searched_to_the_run_and_quickly() -> None:
    rng = np.random.default_rng(6)
    times = drawn(rng, 20, 1000, 0.2)
    times[12_345:] += 3
    step = lasting_step(times, processes(20, 1000))
    assert step is not None
    assert abs(step.index - 12_345) < 10
    assert step.p < PER_ARM


def test_equal_times_and_few_runs_have_no_step() -> None:
    assert lasting_step(np.full(40, 0.2), processes(5, 8)) is None
    assert lasting_step([1.0, 2.0, 3.0]) is None
