"""What every trainer must hold to, as tests to inherit.

    from harness.testing import TrainerChecks

    class TestMine(TrainerChecks):
        trainer = TRAINER
        config = {"epochs": 1}        # a configuration that runs in a moment; other keys keep their defaults

Needs pytest only to be collected; the checks are plain assertions. A trainer that sets `environ` must be tested in a
process that was started with it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from harness.plugins import build_config, check_value, knobs_of
from harness.trainer import Clock, Outcome, Trainer


class TrainerChecks:
    """Inherit and set `trainer`, and `config` where the defaults take long."""

    trainer: ClassVar[Any]
    config: ClassVar[Mapping[str, Any]] = {}
    seeds: ClassVar[tuple[int, int]] = (11, 2_000_000_011)

    def _ready(self) -> Any:
        """The configuration, with its trainer prepared."""
        defaults = {key: knob.default for key, knob in knobs_of(self.trainer.Config).items() if not knob.required}
        config = build_config(self.trainer.Config, defaults | dict(self.config))
        self.trainer.prepare(config)
        return config

    def _run(self, config: Any, seed: int) -> tuple[Outcome, Clock]:
        clock = Clock()
        trained = self.trainer.train(config, seed=seed, clock=clock)
        return self.trainer.evaluate(trained, config, clock=clock), clock

    def test_it_has_the_form_of_a_trainer(self) -> None:
        assert isinstance(self.trainer, Trainer)
        assert self.trainer.name
        assert self.trainer.clock, "say in words what is on the clock"
        assert all(Path(source).is_file() for source in self.trainer.sources), "sources must be files that exist"

    def test_its_configuration_is_a_frozen_dataclass_whose_defaults_are_allowed(self) -> None:
        config_class: Any = self.trainer.Config
        is_dataclass = dataclasses.is_dataclass(config_class)
        assert is_dataclass
        assert config_class.__dataclass_params__.frozen, "a configuration must not change while it runs"
        for knob in knobs_of(config_class).values():
            assert knob.required or check_value(knob, _listed(knob.default)) is not None

    def test_it_counts_whole_examples(self) -> None:
        outcome, _ = self._run(self._ready(), self.seeds[0])
        assert outcome.correct is not None, "return correct and total: a bar needs exact counts"
        assert outcome.total is not None
        assert 0 <= outcome.correct <= outcome.total
        if outcome.correct_mask is not None:
            assert int(outcome.correct_mask.sum()) == outcome.correct
            assert len(outcome.correct_mask) == outcome.total

    def test_it_starts_the_clock(self) -> None:
        _, clock = self._run(self._ready(), self.seeds[0])
        assert clock.elapsed_s is not None, "use `with clock.running():` around what is to be timed"

    def test_the_same_seed_gives_the_same_result_whatever_ran_before(self) -> None:
        config = self._ready()
        first, _ = self._run(config, self.seeds[0])
        self._run(config, self.seeds[1])
        again, _ = self._run(config, self.seeds[0])
        assert (first.correct, first.accuracy, first.loss) == (again.correct, again.accuracy, again.loss)

    def test_another_seed_gives_another_network(self) -> None:
        config = self._ready()
        results = {self._loss_or_count(config, seed) for seed in (*self.seeds, 12, 13)}
        assert len(results) > 1, "four seeds gave one result: is the seed used?"

    def test_evaluation_can_be_repeated_on_one_network(self) -> None:
        config = self._ready()
        trained = self.trainer.train(config, seed=self.seeds[0], clock=Clock())
        first, second = (self.trainer.evaluate(trained, config, clock=Clock()) for _ in range(2))
        assert (first.correct, first.loss) == (second.correct, second.loss), "evaluation must not change the network"

    def _loss_or_count(self, config: Any, seed: int) -> Any:
        outcome, _ = self._run(config, seed)
        return outcome.loss if outcome.loss is not None else outcome.correct


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
