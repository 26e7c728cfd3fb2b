"""Trainer `classifier`: what each of its keys does, on real images."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

from harness.datasets import DataError  # noqa: E402
from harness.plugins import build_config, knobs_of  # noqa: E402
from harness.testing import TrainerChecks  # noqa: E402
from harness.trainer import Clock, Outcome  # noqa: E402
from trainers import classifier_recipe as recipe  # noqa: E402
from trainers.classifier import TRAINER, ClassifierConfig, batch_size_at, total_steps  # noqa: E402
from training.test_datasets_torchvision import cifar100, pets, server  # noqa: E402, F401 - fixtures

pytestmark = pytest.mark.train
SMALL: dict[str, Any] = {
    "dataset": "cifar10",
    "data.train_images": 150,
    "data.test_images": 60,
    "model.name": "mlp",
    "model.hidden": (16,),
    "batch_size": 32,
    "epochs": 2,
    "device": "cpu",
}
ALL = {"augment.flip": True, "augment.crop": True, "augment.jitter": True, "augment.erasing": True}


def flat(changes: dict[str, Any]) -> dict[str, Any]:
    return {key: knob.default for key, knob in knobs_of(ClassifierConfig).items()} | SMALL | changes


def config(**changes: Any) -> ClassifierConfig:
    """The small configuration with changes such as `optim__lr=0.1`."""
    whole = flat({key.replace("__", "."): value for key, value in changes.items()})
    TRAINER.check_config(whole)
    made: ClassifierConfig = build_config(ClassifierConfig, whole)
    return made


def run(seed: int = 1, **changes: Any) -> Outcome:
    return run_of(config(**changes), seed)


def run_of(asked: ClassifierConfig, seed: int = 1) -> Outcome:
    TRAINER.prepare(asked)
    clock = Clock()
    return TRAINER.evaluate(TRAINER.train(asked, seed=seed, clock=clock), asked, clock=clock)


def told(outcome: Outcome, name: str) -> list[float]:
    """The values of a metric, epoch by epoch."""
    found = [(metric.step, metric.value) for metric in outcome.metrics if metric.metric == name]
    assert [step for step, _ in found] == list(range(1, len(found) + 1))
    return [value for _, value in found]


def result(outcome: Outcome) -> tuple[Any, ...]:
    return outcome.correct, outcome.loss, told(outcome, "train_loss")


class TestOnTheDevice(TrainerChecks):
    trainer = TRAINER
    config = SMALL | ALL


class TestFromWorkers(TrainerChecks):
    trainer = TRAINER
    config = SMALL | ALL | {"data.workers": 2}


# --- loading ------------------------------------------------------------------------------------------------


def test_workers_pinning_persistence_and_caching_change_the_time_and_nothing_else():
    first = run(data__workers=2, augment__flip=True, augment__crop=True, augment__erasing=True)
    for change in (
        {"data__workers": 1},
        {"data__workers": 3},
        {"data__persistent_workers": False},
        {"data__cache": False},
        {"data__non_blocking": False},
    ):
        again = {"data__workers": 2, "augment__flip": True, "augment__crop": True, "augment__erasing": True} | change
        assert result(run(**again)) == result(first), change


def test_caching_on_the_device_changes_no_bit():
    assert result(run(data__cache=True, augment__crop=True)) == result(run(data__cache=False, augment__crop=True))


@pytest.mark.parametrize("workers", [0, 2])
def test_every_epoch_sees_every_image_once_in_an_order_of_its_own(workers):
    asked = config(data__workers=workers)
    found = recipe.task_of(asked)
    source = recipe.feed(asked, found, torch.device("cpu"), 5)
    try:
        epochs = [torch.cat([images for images, _ in source.epoch(number, 32)]) for number in (1, 2)]
    finally:
        source.close()
    plain = recipe.as_batch(found.train.images, found, torch.contiguous_format).sum((1, 2, 3))
    sums = [epoch.sum((1, 2, 3)) for epoch in epochs]
    assert not torch.allclose(sums[0], sums[1])
    for one in sums:
        assert torch.allclose(one.sort().values, plain.sort().values, atol=1e-2)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_remainder_is_used_or_dropped_as_the_key_says(workers):
    assert run(data__workers=workers, epochs=1).steps == 5  # 150 images: four batches of 32 and one of 22
    assert run(data__workers=workers, epochs=1, data__drop_last=True).steps == 4


def test_loader_processes_end_with_the_run():
    import os

    from helpers import children_of, wait_until

    before = set(children_of(os.getpid()))
    run(data__workers=2, epochs=1)
    assert wait_until(lambda: set(children_of(os.getpid())) <= before)


def test_held_out_images_validate_and_are_not_trained_on():
    found = recipe.task_of(config(data__validation_images=40))
    all_of = recipe.task_of(config(data__train_images=0))
    assert len(found.train) == 150 and len(found.validation) == 40
    assert torch.equal(found.validation.images, all_of.train.images[-40:])
    assert torch.equal(found.train.images, all_of.train.images[:150])
    assert torch.equal(all_of.validation.images, all_of.test.images)
    assert found.hash != recipe.task_of(config()).hash != all_of.hash


def test_images_are_resized_once():
    found = recipe.task_of(config(data__side=20))
    assert found.train.images.shape == (150, 20, 20, 3) and found.train.images.dtype == torch.uint8
    assert run(data__side=20, epochs=1).total == 60


# --- data sets ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10"])
def test_real_data_sets_train_and_are_normalised_by_their_own_moments(name):
    asked = config(dataset=name, data__train_images=0, data__test_images=100)
    found = recipe.task_of(asked)
    images = recipe.as_batch(found.train.images[:20_000], found, torch.contiguous_format)
    assert images.mean((0, 2, 3)).abs().max() < 0.02
    assert (images.std((0, 2, 3)) - 1).abs().max() < 0.02
    outcome = run(dataset=name, data__train_images=1000, optim__name="adam", optim__lr=0.003)
    assert outcome.correct > (30 if name != "cifar10" else 9)  # of 60: digits and clothes are learnt at once


def test_cifar100_in_torchvisions_format_trains(cifar100):  # noqa: F811
    recipe.task.cache_clear()
    try:
        outcome = run(dataset="cifar100", data__train_images=0, data__test_images=0, batch_size=4)
        assert (outcome.total, outcome.steps) == (5, 6)
        assert recipe.task_of(config(dataset="cifar100", data__train_images=0, data__test_images=0)).classes == 100
    finally:
        recipe.task.cache_clear()


def test_pets_in_torchvisions_format_train(pets):  # noqa: F811
    recipe.task.cache_clear()
    try:
        whole = config(dataset="oxford-iiit-pet", data__train_images=0, data__test_images=0, batch_size=2, epochs=1)
        assert run_of(whole).total == len(recipe.task_of(whole).test)
        assert recipe.task_of(whole).side == 224
        small = dataclasses.replace(whole, data=dataclasses.replace(whole.data, side=64))
        assert run_of(small).total == len(recipe.task_of(whole).test)
    finally:
        recipe.task.cache_clear()


def test_data_that_cannot_be_had_are_an_error_with_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("HARNESS_DATA", str(tmp_path))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr("torchvision.datasets.CIFAR100.url", "http://127.0.0.1:9/no")
    with pytest.raises(DataError, match="cifar100 could not be had"):
        TRAINER.prepare(config(dataset="cifar100"))


# --- models -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnest14d", "resnest26d", "mlp", "bottleneck"])
def test_every_model_is_trained_and_evaluated(name):
    outcome = run(model__name=name, data__train_images=8, data__test_images=4, batch_size=4, epochs=1, optim__lr=0.001)
    assert outcome.steps == 2 and outcome.total == 4 and outcome.loss is not None


def test_pretrained_weights_that_cannot_be_had_are_told_before_the_first_run(monkeypatch, tmp_path):
    import huggingface_hub.constants as hub

    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(DataError, match=r"pretrained weights of resnet18 could not be had.*model.pretrained=false"):
        TRAINER.prepare(config(model__name="resnet18", model__pretrained=True))


def test_a_compiled_network_is_built_once_and_takes_the_weights_of_each_seed():
    asked = config(compile="default")
    found = recipe.task_of(asked)
    (first, forward), (second, again) = (recipe.network_of(asked, found, seed) for seed in (1, 2))
    assert first is second and forward is again
    plain, _ = recipe.network_of(config(), found, 2)
    state, wanted = second.state_dict(), plain.state_dict()
    assert all(torch.equal(state[key], wanted[key]) for key in wanted)


# --- batch sizes --------------------------------------------------------------------------------------------


def test_the_batch_size_grows_linearly_and_only_at_the_interval():
    asked = config(
        batch_size=64, epochs=80, batch_schedule__max=128, batch_schedule__start=30, batch_schedule__end=80,
        batch_schedule__every=10,
    )  # fmt: skip
    sizes = [batch_size_at(asked, epoch) for epoch in range(1, 91)]
    assert sizes[:39] == [64] * 39
    assert [sizes[epoch - 1] for epoch in (39, 40, 49, 50, 60, 70, 79, 80, 90)] == [
        64,
        77,
        77,
        90,
        102,
        115,
        115,
        128,
        128,
    ]
    assert len(set(sizes)) == 6


@pytest.mark.parametrize("workers", [0, 2])
def test_the_batches_seen_have_the_size_of_their_epoch(workers):
    changes = {"batch_schedule__max": 96, "batch_schedule__start": 1, "batch_schedule__end": 3, "epochs": 4}
    asked = config(data__workers=workers, **changes)
    source = recipe.feed(asked, recipe.task_of(asked), torch.device("cpu"), 1)
    try:
        seen = [
            [len(labels) for _, labels in source.epoch(epoch, batch_size_at(asked, epoch))] for epoch in range(1, 5)
        ]
    finally:
        source.close()
    assert seen == [[32, 32, 32, 32, 22], [64, 64, 22], [96, 54], [96, 54]]
    outcome = run(data__workers=workers, **changes)
    assert told(outcome, "batch_size") == [32, 64, 96, 96]
    assert outcome.steps == 12 == TRAINER.planned_steps(asked) == total_steps(asked, 150)


# --- early stopping, metrics --------------------------------------------------------------------------------


@pytest.mark.parametrize("monitor", ["loss", "accuracy"])
def test_a_real_run_stops_after_its_patience(monitor):
    """At a rate of 0 nothing improves after the first epoch, and the rule says to stop two epochs later."""
    changes = {"early_stopping__monitor": monitor, "early_stopping__patience": 2, "epochs": 9}
    assert run(optim__lr=0.0, **changes).epochs == 3
    stopped = run(optim__lr=0.02, epochs=60, early_stopping__monitor=monitor, early_stopping__patience=3)
    values = told(stopped, f"validation_{monitor}")
    better = min if monitor == "loss" else max
    assert stopped.epochs == 60 or values.index(better(values)) == stopped.epochs - 1 - 3


def test_metrics_of_every_epoch_are_there_and_true():
    asked = config(epochs=3, optim__lr=0.0)
    TRAINER.prepare(asked)
    trained = TRAINER.train(asked, seed=1, clock=Clock())
    outcome = TRAINER.evaluate(trained, asked, clock=Clock())
    names = {metric.metric for metric in outcome.metrics}
    parts = {f"{part}_{what}" for part in ("train", "validation") for what in ("loss", "accuracy", "memory")}
    assert names == parts | {"epoch_time", "learning_rate", "batch_size"}
    assert all(len(told(outcome, name)) == 3 for name in names)
    assert told(outcome, "validation_accuracy")[-1] == outcome.correct / outcome.total  # the test images validate here
    assert told(outcome, "validation_loss")[-1] == pytest.approx(outcome.loss, rel=1e-5)
    found = recipe.task_of(asked)
    with torch.no_grad():
        logits = trained.network(recipe.as_batch(found.train.images, found, torch.contiguous_format))
    right = (logits.argmax(1) == found.train.labels).float().mean().item()
    assert told(outcome, "train_accuracy")[0] == pytest.approx(
        right, abs=1e-6
    )  # a rate of 0: the same network all along
    assert all(value > 50 for value in told(outcome, "train_memory"))
    assert sum(told(outcome, "epoch_time")) > 0


def test_validation_is_on_the_clock_only_where_training_depends_on_it(monkeypatch):
    inside: list[bool] = []
    real = recipe.validate

    def watched(*arguments: Any) -> Any:
        inside.append(clock._inside)
        return real(*arguments)

    monkeypatch.setattr(recipe, "validate", watched)
    for changes, expected in (({}, False), ({"schedule__name": "plateau"}, True)):
        clock, asked = Clock(), config(**changes)
        TRAINER.prepare(asked)
        TRAINER.train(asked, seed=1, clock=clock)
        assert inside == [expected] * 2
        inside.clear()


def test_validation_can_be_left_out():
    outcome = run(evaluation__validate=False)
    assert "validation_loss" not in {metric.metric for metric in outcome.metrics}
    assert outcome.loss == run().loss


# --- the settings that are said to make it faster -------------------------------------------------------------


def test_channels_last_and_bf16_are_what_the_network_sees():
    seen: list[tuple[bool, Any]] = []

    def watching(network: Any) -> Any:
        def hook(module: Any, inputs: Any, output: Any) -> None:
            seen.append((inputs[0].is_contiguous(memory_format=torch.channels_last), output.dtype))

        network.conv1.register_forward_hook(hook)
        return network

    for changes, expected in (
        ({}, (False, torch.float32)),
        ({"channels_last": True}, (True, torch.float32)),
        ({"precision": "bf16-mixed"}, (False, torch.bfloat16)),
    ):
        for workers in (0, 1):
            asked = config(model__name="resnet18", data__train_images=8, batch_size=4, data__workers=workers, **changes)
            found = recipe.task_of(asked)
            network, forward = recipe.network_of(asked, found, 1)
            watching(network)
            source = recipe.feed(asked, found, torch.device("cpu"), 1)
            images, _ = next(iter(source.epoch(1, 4)))
            with recipe.autocast(asked):
                forward(images)
            source.close()
            assert seen.pop() == expected, changes
            assert network.conv1.weight.is_contiguous(memory_format=torch.channels_last) == expected[0]


def test_label_smoothing_raises_the_loss_that_is_trained_on():
    plain, smooth = (run(label_smoothing=value, optim__lr=0.0, epochs=1) for value in (0.0, 0.2))
    assert told(plain, "train_loss") != told(smooth, "train_loss")
    assert plain.loss == smooth.loss  # evaluation knows of none


def test_matmul_precision_and_benchmark_are_set_in_the_process():
    try:
        TRAINER.prepare(config(matmul_precision="high", cudnn_benchmark=False))
        assert torch.get_float32_matmul_precision() == "high"
        assert not torch.backends.cudnn.benchmark
    finally:
        TRAINER.prepare(config())
    assert torch.get_float32_matmul_precision() == "highest"
    assert torch.backends.cudnn.benchmark
    knobs = knobs_of(ClassifierConfig)
    assert {key for key, knob in knobs.items() if knob.process} == {"matmul_precision", "cudnn_benchmark"}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA here")
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"precision": "fp16-mixed"}, "fp16-mixed"),
        ({"data__pin_memory": True}, "data.pin_memory"),
        ({"compile": "reduce-overhead"}, "CUDA graphs"),
        ({"compile": "max-autotune"}, "CUDA graphs"),
        ({"device": "cuda"}, "no CUDA device"),
    ],
)
def test_what_a_processor_cannot_bear_is_told_without_torch_and_with_it(changes, said):
    for ask in (TRAINER.check_machine, TRAINER.prepare):
        with pytest.raises(ValueError, match=said):
            ask(config(**changes))


# --- keys ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"optim.nesterov": True}, "optim.momentum above 0"),
        ({"optim.name": "sam", "precision": "fp16-mixed"}, "two gradients a step"),
        ({"model.name": "mlp", "model.pretrained": True}, "models that have them: resnet18"),
        ({"model.hidden": (0,)}, "whole numbers from 1"),
        ({"batch_schedule.max": 8}, "below batch_size 32"),
        ({"batch_schedule.max": 64, "batch_schedule.start": 3, "batch_schedule.end": 3}, "must come after"),
        ({"evaluation.validate": False, "early_stopping.monitor": "loss"}, "needs validation"),
        ({"data.validation_images": 50_000}, "has 50000 training images"),
        ({"data.test_images": 10_001}, "has 10000 test images"),
    ],
)
def test_keys_that_cannot_work_together_are_told_before_the_first_run(changes, said):
    with pytest.raises(ValueError, match=said):
        TRAINER.check_config(flat(changes))


def test_a_last_batch_of_one_image_is_told_with_what_to_do():
    changes = {"model__name": "resnet18", "model__stem": "imagenet", "data__train_images": 9, "batch_size": 4}
    with pytest.raises(ValueError, match=r"a single image.*data\.drop_last=true"):
        run(**changes)
    assert run(**changes, data__drop_last=True).steps == 4


def test_a_batch_larger_than_the_data_is_an_error_only_where_it_would_be_dropped():
    with pytest.raises(ValueError, match="no whole batch"):
        TRAINER.planned_steps(config(batch_size=200, data__drop_last=True))
    assert TRAINER.planned_steps(config(batch_size=200)) == 2


def test_it_learns():
    outcome = run(
        dataset="mnist", data__train_images=4000, data__test_images=1000, model__hidden=(128,), optim__name="adamw",
        optim__lr=0.003, epochs=4, schedule__name="one-cycle", batch_size=64,
    )  # fmt: skip
    assert outcome.correct > 880 and math.isfinite(outcome.loss)
    assert np.diff(told(outcome, "train_loss")).max() < 0
