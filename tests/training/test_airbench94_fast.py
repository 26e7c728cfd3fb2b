"""Trainer `airbench94-fast`: its optimiser, its gather, its views, and that they are the plain recipe's where they must be."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from harness.plugins import load_trainer, trainer_info  # noqa: E402
from harness.testing import TrainerChecks  # noqa: E402
from harness.trainer import Clock, Outcome  # noqa: E402
from trainers import airbench94_fast_recipe as recipe  # noqa: E402
from trainers import airbench94_recipe as plain  # noqa: E402
from trainers.airbench94 import Data, Model, Whitening, total_steps  # noqa: E402
from trainers.airbench94_fast import TRAINER, Augmentation, FastConfig, LearningRate  # noqa: E402
from trainers.airbench94_fast import TestTime as Views  # noqa: E402

pytestmark = pytest.mark.train
CONFIG = FastConfig(
    epochs=2.4,
    batch_size=64,
    model=Model(widths=(8, 16, 16), scale=1 / 16),
    whiten=Whitening(images=200, bias_epochs=1.0),
    data=Data(train_images=320, test_images=200),
    tta=Views(batch=50),
    device="cpu",
)


def run(config: FastConfig, seed: int) -> tuple[Any, Outcome]:
    trained = TRAINER.train(config, seed=seed, clock=Clock())
    return trained, TRAINER.evaluate(trained, config, clock=Clock())


class TestConformance(TrainerChecks):
    trainer = TRAINER
    config = {  # noqa: RUF012
        "steps": 5,
        "batch_size": 64,
        "model.widths": [8, 16, 16],
        "whiten.images": 64,
        "data.train_images": 192,
        "data.test_images": 100,
        "tta.batch": 50,
        "device": "cpu",
    }


# --- optimiser ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3, 32, 72), (1, 16, 16), (2, 72, 8)])
def test_newton_schulz_ends_near_an_orthogonal_matrix_with_the_same_singular_vectors(shape: tuple[int, ...]) -> None:
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    out = recipe.newton_schulz(matrices, 5)
    values = torch.linalg.svdvals(out)
    small = (
        torch.linalg.svdvals(matrices) / matrices.norm(dim=(1, 2))[:, None] < 0.02
    )  # too small to have grown in five
    assert (values[~small] > 0.6).all() and (values < 1.25).all()
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    inside = left.mT @ out @ right.mT
    assert torch.allclose(inside, torch.diag_embed(torch.diagonal(inside, dim1=1, dim2=2)), atol=1e-4)


def test_newton_schulz_treats_each_matrix_of_a_stack_alone() -> None:
    matrices = (
        torch.randn((3, 8, 20), generator=torch.Generator().manual_seed(2))
        * torch.tensor([1.0, 50, 0.01])[:, None, None]
    )
    alone = torch.cat([recipe.newton_schulz(m[None], 3) for m in matrices])
    assert torch.allclose(recipe.newton_schulz(matrices, 3), alone, atol=1e-5)


def test_weights_are_renormalised_to_the_root_of_their_number_of_filters() -> None:
    weights = [torch.randn(out, 5, 3, 3) for out in (8, 8, 16)]
    direction = [w / w.norm() for w in weights]
    recipe.renormalise(weights)
    for weight, before in zip(weights, direction, strict=True):
        assert float(weight.norm()) == pytest.approx(math.sqrt(len(weight)), rel=1e-5)
        assert torch.allclose(weight / weight.norm(), before, atol=1e-6)


def test_a_step_of_muon_is_the_textbook_one_for_every_filter() -> None:
    network = plain.build(CONFIG, torch.Generator().manual_seed(3))
    filters = recipe.filters_of(network)
    assert [tuple(w.shape) for w in filters] == [(8, 24, 3, 3), (8, 8, 3, 3), (16, 8, 3, 3)] + 3 * [(16, 16, 3, 3)]
    muon = recipe.Muon(filters, CONFIG, recipe.newton_schulz)
    generator = torch.Generator().manual_seed(4)
    speed = [torch.zeros_like(w) for w in filters]
    for _ in range(2):
        expected = []
        for w, v in zip(filters, speed, strict=True):
            w.grad = torch.randn(w.shape, generator=generator)
            v.mul_(0.6).add_(w.grad)
            update = recipe.newton_schulz((w.grad + 0.6 * v).reshape(1, len(w), -1), 3).view(w.shape)
            expected.append(w.detach() * math.sqrt(len(w)) / w.detach().norm() - 0.1 * update)
        muon.step(0.1)
        for w, value in zip(filters, expected, strict=True):
            assert torch.allclose(w, value, atol=1e-5)


def test_schedules_fall_linearly_to_zero_and_the_whitening_bias_stops_early() -> None:
    rates, bias = recipe.schedules(CONFIG, total_steps(CONFIG))
    assert total_steps(CONFIG) == 12
    assert (rates[0], bias[0]) == (1.0, 1.0)
    assert rates[-2] == pytest.approx(1 / 12) and rates[-1] == 0.0
    assert bias[4] == pytest.approx(1 / 5) and bias[5:] == [0.0] * 7
    never = replace(CONFIG, whiten=Whitening(bias_epochs=0.0))
    assert recipe.schedules(never, 3)[1] == [0.0] * 3
    warm = recipe.schedules(replace(CONFIG, lr=LearningRate(start=0.2, end=0.1, peak=0.5)), 12)[0]
    assert (warm[0], warm[6], warm[12]) == (0.2, 1.0, 0.1)


# --- augmentation -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flip", ["alternating", "random", "none"])
@pytest.mark.parametrize("translate", [0, 2])
def test_one_gather_equals_crop_then_flip_then_index_of_the_plain_recipe(flip: str, translate: int) -> None:
    config = replace(CONFIG, augment=Augmentation(flip=flip, translate=translate))
    old = replace(CONFIG, augment=plain_augmentation(flip, translate))
    images = torch.rand((40, 32, 32, 3), generator=torch.Generator().manual_seed(5))
    labels = torch.arange(40)
    ours = recipe.Epochs(images, labels, config, torch.Generator().manual_seed(6))
    theirs = plain.Epochs(images, labels, old, torch.Generator().manual_seed(6))
    for number in range(3):
        got, names = ours.epoch(number, 33)
        moved, their_labels = theirs.epoch(number)
        order = theirs.order()[:33]
        assert torch.equal(names, their_labels[order]) and torch.equal(got, moved[order])
        assert plain.as_input(got).is_contiguous(memory_format=torch.channels_last)


def plain_augmentation(flip: str, translate: int) -> Any:
    from trainers.airbench94 import Augmentation as Plain

    return Plain(flip=flip, translate=translate, static=False)


# --- views --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [0, 1, 2])
def test_views_of_all_images_are_those_of_the_plain_recipe(level: int) -> None:
    network = plain.build(CONFIG, torch.Generator().manual_seed(7)).eval()
    images = torch.rand((70, 3, 32, 32), generator=torch.Generator().manual_seed(8))
    tta = Views(level=level, weight=0.3, mirrored=1.0, shifted=1.0, batch=32)
    with torch.no_grad():
        assert torch.allclose(recipe.views(network, images, tta), plain.views(network, images, level, 0.3), atol=1e-6)


def test_further_views_are_for_the_least_certain_images_only() -> None:
    network = plain.build(CONFIG, torch.Generator().manual_seed(7)).eval()
    images = torch.rand((70, 3, 32, 32), generator=torch.Generator().manual_seed(8))
    with torch.no_grad():
        mirrored = recipe.views(network, images, Views(level=1, batch=10))
        found = recipe.views(network, images, Views(level=2, shifted=0.25, batch=10))
        whole = plain.views(network, images, 2, 0.5)
    lead = -(mirrored.topk(2).values.diff(dim=1).squeeze(1))
    shifted = torch.zeros(70, dtype=torch.bool).index_fill(0, lead.topk(20, largest=False).indices, True)
    assert torch.allclose(found[shifted], whole[shifted], atol=1e-6)
    assert torch.equal(found[~shifted], mirrored[~shifted])


# --- the whole ----------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bits_whatever_ran_before() -> None:
    first, outcome = run(CONFIG, 9)
    bits = {name: value.clone() for name, value in first.state.items()}
    run(CONFIG, 10)
    again, repeated = run(CONFIG, 9)
    assert all(torch.equal(bits[name], value) for name, value in again.state.items())
    assert (outcome.correct, outcome.loss) == (repeated.correct, repeated.loss)
    assert TRAINER.evaluate(first, CONFIG, clock=Clock()).loss == outcome.loss, "a later run must not change a network"


def test_it_learns() -> None:
    config = replace(CONFIG, steps=60, data=Data(train_images=640, test_images=400))
    _, outcome = run(config, 11)
    assert outcome.correct > 0.25 * outcome.total
    assert outcome.steps == 60 and outcome.epochs == 6.0
    losses = [m.value for m in outcome.metrics]
    assert len(losses) == 6 and losses[-1] < losses[0]


def test_rates_that_diverge_are_recorded_and_not_raised() -> None:
    config = replace(CONFIG, steps=6, lr=LearningRate(muon=1e3, bias=1e3, head=1e3))
    _, outcome = run(config, 12)
    assert outcome.total == 200 and 0 <= outcome.correct <= 200
    assert outcome.steps == 6


def test_it_is_read_without_torch_and_has_the_clock_of_the_plain_trainer() -> None:
    info = trainer_info("airbench94-fast")
    assert info.clock == load_trainer("airbench94").clock
    keys = set(info.knobs)
    assert {"epochs", "steps", "batch_size", "label_smoothing", "precision", "compile", "device"} <= keys
    assert {k for k in trainer_info("airbench94").knobs if k.startswith(("data.", "model.", "whiten.", "tta."))} <= keys
    assert total_steps(FastConfig()) == 200
    code = "import sys; from trainers.airbench94_fast import TRAINER; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.slow
def test_a_compiled_network_learns_the_same_and_is_not_compiled_again_for_another_seed() -> None:
    config = replace(CONFIG, steps=12)
    try:
        _, compiled = run(replace(config, compile="default"), 13)
    except Exception as problem:  # noqa: BLE001 - whatever stops a compiler here, the message says
        pytest.skip(f"torch.compile does not work here: {type(problem).__name__}: {str(problem)[:200]}")
    _, eager = run(config, 13)
    assert abs(compiled.correct - eager.correct) <= 8 and compiled.loss == pytest.approx(eager.loss, rel=0.02)
    from torch._dynamo.utils import counters

    before = counters["stats"]["unique_graphs"]
    run(replace(config, compile="default"), 14)
    assert counters["stats"]["unique_graphs"] == before
