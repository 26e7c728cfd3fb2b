"""The shipped conformance checks, on the shipped trainer and on trainers that break the contract."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.testing import FakeTime, TrainerChecks
from harness.trainer import Outcome, knob
from trainers.digits import TRAINER


class TestDigits(TrainerChecks):
    trainer = TRAINER
    config = {"epochs": 3.0}  # noqa: RUF012


@dataclass(frozen=True)
class Config:
    size: int = knob(100, low=1)


class Deaf:
    """Uses global randomness instead of its seed, and never starts the clock."""

    name, clock, Config = "deaf", "nothing", Config
    sources, libraries, own_process = (Path(__file__),), (), False
    environ: dict[str, str] = {}  # noqa: RUF012

    def prepare(self, config: Any) -> None:
        return None

    def train(self, config: Any, *, seed: int, clock: Any) -> Any:
        return None

    def evaluate(self, trained: Any, config: Any, *, clock: Any) -> Outcome:
        return Outcome(correct=random.randrange(10**9), total=10**9)


class ChecksOfDeaf(TrainerChecks):
    trainer = Deaf()


@pytest.mark.parametrize(
    "check",
    [
        "test_it_starts_the_clock",
        "test_the_same_seed_gives_the_same_result_whatever_ran_before",
        "test_evaluation_can_be_repeated_on_one_network",
    ],
)
def test_the_checks_find_a_trainer_that_breaks_the_contract(check: str) -> None:
    with pytest.raises(AssertionError):
        getattr(ChecksOfDeaf(), check)()


def test_the_clock_adds_up_what_ran_inside_it_and_nothing_else() -> None:
    time = FakeTime()
    clock = time.clock()
    assert clock.elapsed_s is None
    for seconds in (2.0, 3.0):
        with clock.running():
            time.advance(seconds)
        time.advance(100)
    assert clock.elapsed_s == 5.0


def test_the_clock_stops_where_the_trainer_raises_and_refuses_to_be_nested() -> None:
    time = FakeTime()
    clock = time.clock()
    with pytest.raises(ValueError, match="diverged"), clock.running():
        time.advance(1)
        raise ValueError("diverged")
    assert clock.elapsed_s == 1.0
    with clock.running(), pytest.raises(RuntimeError, match="nested"), clock.running():
        pass
