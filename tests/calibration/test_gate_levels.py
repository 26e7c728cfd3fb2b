"""The error rates that docs/gate.md states, on fewer repeats: the rules of the benchmark are those of the gate."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks import gate
from harness.comparison.layers import creep_path, residual


@pytest.fixture(scope="module")
def null() -> gate.Commits:
    return gate.commits(np.zeros(gate.COMMITS), np.random.default_rng(11))


def by_200(alarms: np.ndarray) -> float:
    return float(alarms.any(axis=1).mean())


def test_the_chart_of_the_benchmark_is_that_of_the_gate(null: gate.Commits) -> None:
    one = residual(n=gate.N, mean=0.94, sd=None, anchor={"mean": 0.94, "sd": 0.0015, "n": gate.ANCHOR}, control=None)
    z = (null.mean - null.anchor) / gate.SE - one.allowance
    ours = [creep_path(row.tolist()) for row in z[:20]]
    assert np.array_equal(np.array(ours) >= math.log(gate.THRESHOLD), gate.creep(null)[:20])


def test_false_alarms_over_200_commits(null: gate.Commits) -> None:
    assert 0.15 < by_200(gate.hard(null)) < 0.21, "200 tests at .001"
    assert by_200(gate.hard_confirmed(null)) < 0.005
    assert by_200(gate.creep(null)) < 0.02
    assert by_200(gate.creep_of_small_anchor(null)) < 0.025, "the luck of a small anchor is allowed for"
    assert by_200(gate.against_previous(0.05)(null)) > 0.99
    assert gate.against_anchor(0.05)(null).sum(axis=1).mean() == pytest.approx(10, abs=0.7)


@pytest.mark.parametrize(("loss", "median"), [(0.05, 9), (0.03, 21)])
def test_the_delay_of_the_chart(loss: float, median: float) -> None:
    drawn = gate.commits(gate.step(loss), np.random.default_rng(12))
    seen, commits = gate.delay(gate.creep(drawn))
    assert seen > 0.96 and abs(commits - median) <= 1


def test_without_a_change_the_chart_runs_for_a_thousand_commits_or_more() -> None:
    for mean, _, late in gate.run_length(seed=13, most=4000, repeats=300):
        assert mean > 1000, "cut at 4,000, so that the true mean is larger still"
        assert late < 0.05, "of the charts, those of unlucky anchors among them"
