"""The published study, repeated: its protocol is fooled in most campaigns, this harness at most as often as it says."""

from __future__ import annotations

from statistics import fmean

import pytest

from benchmarks.study import WORLDS, Campaign, document, repeat, share, table

AS_IN_THE_STUDY, NOTHING, SOMETHING = WORLDS


def at_most(rate: float, n: int) -> float:
    """The rate and three standard errors of it."""
    return rate + 3 * (rate * (1 - rate) / n) ** 0.5


def false_claims(done: list[Campaign]) -> tuple[float, float, float]:
    """How often the study's protocol ships each of its three mistakes."""
    return (
        share([c.study.false_faster for c in done]),
        share([c.study.false_better for c in done]),
        share([c.study.below_bar for c in done]),
    )


def test_a_few_studies() -> None:
    done = repeat(AS_IN_THE_STUDY, 8, seed=7)
    assert share([c.study.false_faster for c in done]) >= 0.4
    assert share([c.study.below_bar for c in done]) >= 0.4
    assert not any(c.harness.false_faster for c in done), "the same steps of the same work cannot be faster"
    assert sum(c.harness.below_bar for c in done) <= 2
    assert sum(c.screening_passes for c in done) == 0, "a screening run passed"
    assert "| this harness |" in document([table(AS_IN_THE_STUDY, done)], 8, 7)


def test_campaigns_can_be_repeated() -> None:
    assert repeat(NOTHING, 1, seed=3) == repeat(NOTHING, 1, seed=3) != repeat(NOTHING, 1, seed=4)


@pytest.mark.slow
def test_the_study_was_no_bad_luck() -> None:
    done = repeat(AS_IN_THE_STUDY, 200, seed=11)
    faster, _, below = false_claims(done)
    assert faster > 0.5 and below > 0.5
    assert fmean(c.study.claimed - c.study.truth for c in done if c.study.shipped) > 0.03
    shipped = [c.harness for c in done if c.harness.shipped]
    assert share([c.harness.below_bar for c in done]) <= at_most(0.05, len(done))
    assert share([c.harness.false_faster for c in done]) == 0
    assert share([c.blind.false_faster for c in done]) <= at_most(0.05, len(done))
    assert abs(fmean(o.claimed - o.truth for o in shipped)) < 0.01


@pytest.mark.slow
def test_where_nothing_differs_little_is_claimed() -> None:
    done = repeat(NOTHING, 200, seed=12)
    faster, better, _ = false_claims(done)
    assert faster > 0.5 and better > 0.1
    for protocol in ("harness", "blind"):
        outcomes = [getattr(c, protocol) for c in done]
        assert share([o.false_faster for o in outcomes]) <= at_most(0.05, len(done))
        assert share([o.false_better for o in outcomes]) <= at_most(0.05, len(done))


@pytest.mark.slow
def test_where_there_is_something_it_is_found() -> None:
    done = repeat(SOMETHING, 100, seed=13)
    shorter = [c for c in done if c.harness.shorter]
    assert share([c.harness.true_faster for c in shorter]) >= 0.9
    assert share([c.harness.shipped for c in done]) >= 0.6
