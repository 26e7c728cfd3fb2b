"""Trainer `digits`: what it promises beyond the contract that every trainer is tested against."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.trainer import Clock, Outcome, Trainer
from trainers.digits import (
    BLANK,
    TRAIN_SIZE,
    TRAINER,
    Data,
    Digits,
    DigitsConfig,
    Network,
    log_softmax,
    total_steps,
    translate,
    triangle,
)

ROOT = Path(__file__).resolve().parents[2]


def config(**changes: Any) -> DigitsConfig:
    """The default configuration, shortened to 30 steps, with changes such as `tta={"weight": 1.0}`."""
    base = DigitsConfig(epochs=5.0)
    whole = {
        key: dataclasses.replace(getattr(base, key), **value) if isinstance(value, dict) else value
        for key, value in changes.items()
    }
    return dataclasses.replace(base, **whole)


def run(trainer: Digits, what: DigitsConfig, seed: int) -> tuple[Outcome, str]:
    """The outcome, and a hash of every parameter bit and every number of the outcome."""
    trainer.prepare(what)
    trained = trainer.train(what, seed=seed, clock=Clock())
    outcome = trainer.evaluate(trained, what, clock=Clock())
    parts = [trained.network.parameters.tobytes(), outcome.correct_mask.tobytes()]
    parts += [repr((outcome.correct, outcome.loss, outcome.metrics)).encode()]
    return outcome, hashlib.sha256(b"".join(parts)).hexdigest()


def test_it_keeps_the_form_of_a_trainer() -> None:
    assert isinstance(TRAINER, Trainer)
    outcome, _ = run(TRAINER, config(), 1)
    assert outcome.total == 1497 and outcome.correct == outcome.correct_mask.sum()
    assert (outcome.steps, outcome.epochs) == (30, 5.0)
    losses = [m.value for m in outcome.metrics if m.metric == "train_loss"]
    assert len(losses) == 5 and losses[-1] < losses[0]
    assert [m.step for m in outcome.metrics if m.metric == "train_loss"] == [6, 12, 18, 24, 30]


def test_a_default_run_learns_to_read_digits() -> None:
    outcome, _ = run(TRAINER, DigitsConfig(), 0)
    assert 0.96 < outcome.correct / outcome.total < 0.995
    assert outcome.loss == pytest.approx(0.22, abs=0.05)


def test_same_seed_gives_the_same_bits_whatever_ran_before() -> None:
    _, alone = run(Digits(), config(), 7)
    run(TRAINER, config(hidden=33, lr={"max": 0.05}, augment={"shift": 2}), 3)
    np.random.default_rng().standard_normal(1001)
    _, later = run(TRAINER, config(), 7)
    assert later == alone
    assert run(TRAINER, config(), 8)[1] != alone


def test_same_seed_gives_the_same_bits_in_another_process() -> None:
    # Each starts with the trainer's `environ`, as the harness starts it: with two BLAS threads the bits are others.
    env = os.environ | TRAINER.environ | {"PYTHONPATH": str(ROOT)}

    def digest(before: str) -> str:
        program = f"from tests.unit.test_digits import *\n{before}\nprint(run(TRAINER, config(), 7)[1])"
        command = [sys.executable, "-c", program]
        return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True).stdout

    after_others = "run(TRAINER, config(hidden=17), 1); run(TRAINER, config(augment={'shift': 0}), 2)"
    assert digest("") == digest(after_others) != ""


def test_a_run_that_changes_only_lr_end_shares_start_and_images() -> None:
    """Same seed, same first step: what differs between two arms is the change under test alone."""
    first = [TRAINER.train(config(steps=1, lr={"end": end}), seed=5, clock=Clock()) for end in (0.0, 1.0)]
    assert np.array_equal(first[0].network.parameters, first[1].network.parameters)
    later = [TRAINER.train(config(steps=9, lr={"end": end}), seed=5, clock=Clock()) for end in (0.0, 1.0)]
    assert not np.array_equal(later[0].network.parameters, later[1].network.parameters)


def test_everything_a_run_does_is_on_the_clock_and_preparing_is_not() -> None:
    trainer, clock = Digits(), Clock()
    assert "data" not in vars(trainer)
    trainer.prepare(config())
    assert "data" in vars(trainer)
    trained = trainer.train(config(), seed=1, clock=clock)
    training = clock.elapsed_s
    trainer.evaluate(trained, config(), clock=clock)
    assert training is not None and clock.elapsed_s is not None and 0 < training < clock.elapsed_s


def test_evaluating_does_not_change_the_network() -> None:
    TRAINER.prepare(config())
    trained = TRAINER.train(config(), seed=2, clock=Clock())
    before = trained.network.parameters.copy()
    first = TRAINER.evaluate(trained, config(), clock=Clock())
    for weight in (0.0, 0.4, 1.0):
        TRAINER.evaluate(trained, config(tta={"weight": weight}), clock=Clock())
    TRAINER.evaluate(trained, config(tta={"level": 0}), clock=Clock())
    again = TRAINER.evaluate(trained, config(), clock=Clock())
    assert np.array_equal(trained.network.parameters, before)
    assert np.array_equal(first.correct_mask, again.correct_mask) and first.loss == again.loss


def test_all_weight_on_the_untranslated_view_is_no_test_time_shift_at_all() -> None:
    trained = TRAINER.train(config(), seed=2, clock=Clock())
    plain = TRAINER.evaluate(trained, config(tta={"level": 0}), clock=Clock())
    whole = TRAINER.evaluate(trained, config(tta={"weight": 1.0}), clock=Clock())
    shifted = TRAINER.evaluate(trained, config(tta={"weight": 0.0}), clock=Clock())
    assert np.array_equal(plain.correct_mask, whole.correct_mask) and plain.loss == whole.loss
    assert not np.array_equal(plain.correct_mask, shifted.correct_mask)
    shown = [m.value for m in shifted.metrics if m.metric == "accuracy_plain"]
    assert shown == [pytest.approx(plain.correct / plain.total)]


@pytest.mark.parametrize("peak", [0.0, 0.25, 0.99, 1.0])
def test_triangle(peak: float) -> None:
    rates = triangle(200, 0.2, 0.07, peak)
    top = int(peak * 200)
    assert len(rates) == 201 and rates[top] == rates.max() == 1.0
    assert rates[0] == (0.2 if top else 1.0)
    assert rates[-1] == (0.07 if top < 200 else 1.0)
    assert (np.diff(rates[: top + 1]) > 0).all() and (np.diff(rates[top:]) < 0).all()


@pytest.mark.parametrize(
    ("changes", "steps"),
    [
        ({"epochs": 100.0}, 600),
        ({"epochs": 97.0}, 582),
        ({"epochs": 9.7}, 59),  # 58.2 rounded up
        ({"epochs": 0.01}, 1),
        ({"epochs": 23.1, "batch_size": 30}, 231),  # 10 * 23.1 is 231.00000000000003 in floating point
        ({"epochs": 2.0, "batch_size": 160}, 2),  # 140 of 300 images are dropped in each epoch
        ({"epochs": 100.0, "steps": 7}, 7),
    ],
)
def test_steps(changes: dict[str, Any], steps: int) -> None:
    assert total_steps(config(**changes)) == steps


def test_an_epoch_cut_short_is_counted_as_what_it_was() -> None:
    outcome, _ = run(TRAINER, config(steps=7), 1)
    assert (outcome.steps, outcome.epochs) == (7, pytest.approx(7 / 6))
    assert [m.step for m in outcome.metrics if m.metric == "train_loss"] == [6, 7]


def test_the_gradient_is_the_slope_of_the_loss() -> None:
    rng = np.random.Generator(np.random.PCG64(0))
    network = Network(16, rng)
    x, y = rng.standard_normal((20, 64), np.float32), np.eye(10, dtype=np.float32)[rng.integers(10, size=20)]

    def loss(values: np.ndarray) -> float:
        network.parameters[:] = values
        return -float((y * log_softmax(network.forward(x)[-1])).sum(dtype=np.float64)) / 20

    at = network.parameters.copy()
    values = network.forward(x)
    network.backward(values, (np.exp(log_softmax(values[-1])) - y) / np.float32(20))
    gradient = network.gradient.copy()
    for direction in (gradient, rng.standard_normal(at.shape, np.float32)):
        unit = direction / np.linalg.norm(direction)
        measured = (loss(at + 1e-2 * unit) - loss(at - 1e-2 * unit)) / 2e-2
        assert measured == pytest.approx(float(gradient @ unit), rel=0.02, abs=2e-3)


def test_translate_moves_ink_and_brings_in_paper() -> None:
    image = np.arange(64, dtype=np.float32).reshape(1, 8, 8)
    moved = translate(image, 1, -2)
    assert np.array_equal(moved[0, 1:, :6], image[0, :7, 2:])
    assert (moved[0, 0] == np.float32(BLANK)).all() and (moved[0, :, 6:] == np.float32(BLANK)).all()
    assert np.array_equal(translate(image, 0, 0), image)


def test_the_data_are_the_digits_and_cannot_be_written_to() -> None:
    data = Data.load()
    assert data.train_x.shape == (TRAIN_SIZE, 8, 8) and data.test_x.shape == (1797 - TRAIN_SIZE, 8, 8)
    counts = np.bincount(data.train_y, minlength=10) + np.bincount(data.test_y, minlength=10)
    assert counts.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert data.hash == TRAINER.prepare(config()) == "4970ac16861a"
    assert data.train_x.min() == np.float32(BLANK)
    for array in (data.train_x, data.train_y, data.test_x, data.test_y):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_a_rate_that_diverges_is_a_bad_outcome_and_not_an_error() -> None:
    outcome, _ = run(TRAINER, config(lr={"max": 10.0}, optim={"momentum": 0.999}, steps=60), 1)
    assert outcome.correct < 0.5 * outcome.total
    assert outcome.loss is None or np.isfinite(outcome.loss)


def test_the_baseline_states_every_default() -> None:
    text = (ROOT / "experiments" / "digits-baseline.toml").read_text(encoding="utf-8")
    stated = tomllib.loads(text)["config"]
    nested = dataclasses.asdict(DigitsConfig())
    flat = {k if sub is None else f"{k}.{sub}": v for k, sub, v in _leaves(nested)}
    assert json.dumps(stated, sort_keys=True) == json.dumps(flat, sort_keys=True)


def _leaves(nested: dict[str, Any]) -> list[tuple[str, str | None, Any]]:
    rows: list[tuple[str, str | None, Any]] = []
    for key, value in nested.items():
        rows += [(key, sub, v) for sub, v in value.items()] if isinstance(value, dict) else [(key, None, value)]
    return rows
