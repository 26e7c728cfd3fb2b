"""Ladders on drawn runs whose truth is known: unbiased, with the coverage and the error rate that they say."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.ladder import (
    ACCURATE,
    BAR,
    BASELINE,
    FASTER,
    GAINS,
    Outcome,
    climb,
    document,
    mixture,
    nothing,
    stacked,
    study,
    trade,
)
from harness.design.ladder import Ladder


def start(world, campaigns: int, seed: int):
    rng = np.random.default_rng(seed)
    return rng, world(rng, campaigns)


def below_the_bar(o: Outcome) -> float:
    return float((o.shipped & (o.truth < BAR)).sum() / o.shipped.sum())


def test_a_few_ladders_beat_the_best_of_the_screening() -> None:
    naive, ladder = study(*start(mixture, 300, 1)), climb(*start(mixture, 300, 1), Ladder(), ACCURATE)
    assert np.mean(naive.shown - naive.truth) > 0.04 > 0.002 > abs(np.mean(ladder.shown - ladder.truth))
    assert ladder.truth.mean() > naive.truth.mean() + 0.01
    assert ladder.runs == 35 * 25 + 10 * 200 + 1000 + 1225
    assert (ladder.shipped & (ladder.truth < BAR)).sum() == 0


def test_three_in_four_stacks_of_the_study_lie_below_their_bar_and_no_ladders() -> None:
    assert below_the_bar(stacked(np.random.default_rng(2), 300, None)) > 0.6
    assert below_the_bar(stacked(np.random.default_rng(2), 100, Ladder())) == 0


def test_the_tables_are_made_and_can_be_made_again() -> None:
    assert document(20, 3) == document(20, 3) != document(20, 4)


@pytest.mark.slow
@pytest.mark.parametrize("world", [mixture, nothing])
def test_the_last_stage_is_unbiased_and_its_interval_holds(world) -> None:
    done = climb(*start(world, 20_000, 5), Ladder(), ACCURATE)
    assert abs(np.mean(done.shown - done.truth)) < 0.0002
    assert done.covered.mean() == pytest.approx(0.95, abs=3 * (0.05 * 0.95 / 20_000) ** 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("ladder", [Ladder(), Ladder((10, 100, 1000), ("12", "1")), Ladder((25, 1000), ("1",))])
def test_where_nothing_differs_alpha_is_kept_whatever_was_tried(ladder: Ladder) -> None:
    done = climb(*start(nothing, 20_000, 6), ladder, ACCURATE)
    assert (done.truth == BASELINE).all()
    assert done.shipped.mean() <= 0.05 + 3 * (0.05 * 0.95 / 20_000) ** 0.5


@pytest.mark.slow
def test_the_rule_for_faster_proves_more_speed_than_the_fastest_first() -> None:
    rule, fastest = (
        climb(*start(trade, 4000, 7), Ladder(), FASTER, GAINS, rank=rank)
        for rank in ("rule", "fastest that is not refuted")
    )
    assert (rule.gain * rule.shipped).mean() > 1.2 * (fastest.gain * fastest.shipped).mean()
    assert rule.shipped.mean() > fastest.shipped.mean()
