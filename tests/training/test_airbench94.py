"""Trainer `airbench94`: the recipe's numbers, and each of its parts against its definition."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from harness.plugins import trainer_info  # noqa: E402
from harness.testing import TrainerChecks  # noqa: E402
from harness.trainer import Clock  # noqa: E402
from trainers import airbench94_recipe as recipe  # noqa: E402
from trainers.airbench94 import TRAINER, Airbench94Config, total_steps  # noqa: E402

pytestmark = pytest.mark.train
SMALL: dict[str, Any] = {
    "batch_size": 32,
    "steps": 12,
    "model.widths": [4, 8, 8],
    "whiten.images": 200,
    "data.train_images": 320,
    "data.test_images": 200,
    "device": "cpu",
}


def config(**changes: Any) -> Airbench94Config:
    """The recipe with changes such as `tta={"level": 0}`."""
    base = Airbench94Config()
    whole = {
        key: dataclasses.replace(getattr(base, key), **value) if isinstance(value, dict) else value
        for key, value in changes.items()
    }
    return dataclasses.replace(base, **whole)


def small(**changes: Any) -> Airbench94Config:
    sizes: dict[str, Any] = {
        "data": {"train_images": 320, "test_images": 200},
        "whiten": {"images": 200},
        "model": {"widths": (4, 8, 8)},
        "batch_size": 32,
        "steps": 12,
        "device": "cpu",
    }
    return config(
        **{
            key: sizes.get(key, {}) | value if isinstance(value, dict) else value
            for key, value in (sizes | changes).items()
        }
    )


def generator(seed: int = 0) -> Any:
    return torch.Generator().manual_seed(seed)


def run(what: Airbench94Config, seed: int = 1) -> Any:
    trained = TRAINER.train(what, seed=seed, clock=Clock())
    return TRAINER.evaluate(trained, what, clock=Clock())


class TestAirbench94(TrainerChecks):
    trainer = TRAINER
    config = SMALL


def test_the_recipe_has_the_published_numbers_of_parameters_and_steps() -> None:
    network = recipe.build(config(device="cpu"), generator())
    fixed = sum(norm.weight.numel() for norm in recipe.norms(network))
    count = sum(p.numel() for p in network.parameters())
    assert (count, count - fixed) == (1_972_792, 1_971_640)
    assert sum(p.numel() for p in network.parameters() if p.requires_grad) == 1_971_352
    assert total_steps(config()) == 476
    assert [total_steps(config(epochs=e)) for e in (9.1, 9.7, 9.8, 8.0)] == [437, 466, 471, 384]
    assert total_steps(config(epochs=8.0, batch_size=1536)) == 256
    assert total_steps(config(steps=77)) == 77


def test_the_schedule_rises_from_start_to_one_and_falls_to_end() -> None:
    rates = recipe.triangle(476, 0.2, 0.07, 0.23)
    assert len(rates) == 477
    assert rates[0] == pytest.approx(0.2) and rates[109] == 1.0 and rates[476] == pytest.approx(0.07)
    assert (rates.diff()[:109] > 0).all() and (rates.diff()[109:] < 0).all()
    assert rates.diff()[:109].std() < 1e-12 and rates.diff()[109:].std() < 1e-12, "two straight lines"


@pytest.mark.parametrize(("peak", "top"), [(0.0, 0), (1.0, 10)])
def test_the_schedule_at_its_edges(peak: float, top: int) -> None:
    rates = recipe.triangle(10, 0.5, 0.25, peak)
    assert len(rates) == 11 and rates[top] == 1.0 and torch.isfinite(rates).all()


def test_whitened_patches_are_uncorrelated_with_the_spread_that_epsilon_leaves() -> None:
    data = recipe.images_on_device(small())
    images = recipe.as_input(recipe.normalised(data.train_x))
    first = torch.nn.Conv2d(3, 24, 2)
    recipe.whiten(first, images, 5e-4)
    with torch.no_grad():
        out = torch.nn.functional.conv2d(images, first.weight)[:, :12].permute(1, 0, 2, 3).flatten(1).double()
    covariance = out @ out.T / out.shape[1]
    off = covariance - torch.diag(covariance.diagonal())
    assert off.abs().max() < 5e-3
    assert (covariance.diagonal() <= 1 + 1e-3).all() and covariance.diagonal().max() == pytest.approx(1, abs=1e-3)
    assert torch.equal(first.weight[12:], -first.weight[:12])


def test_convolutions_begin_as_the_identity_on_their_inputs() -> None:
    network = recipe.build(small(), generator())
    group = network[3]
    x = torch.randn(2, group.conv1.in_channels, 6, 6)
    with torch.no_grad():
        out = group.conv1(x)
    assert torch.allclose(out[:, : x.shape[1]], x, atol=1e-6)
    assert not torch.allclose(out[:, x.shape[1] :][:, :1], x[:, :1], atol=1e-2), "the rest is torch's default"
    bound = 1 / math.sqrt(group.conv1.weight[0].numel())
    rest = group.conv1.weight[x.shape[1] :]
    assert rest.abs().max() <= bound and rest.abs().max() > 0.8 * bound
    assert (network[0].bias == 0).all()


def test_norms_have_the_recipes_constants_and_no_trained_weight() -> None:
    for norm in recipe.norms(recipe.build(small(), generator())):
        assert (norm.eps, norm.momentum) == (1e-12, 0.4)
        assert (norm.weight == 1).all() and not norm.weight.requires_grad and norm.bias.requires_grad


def test_the_residual_group_adds_the_projected_pooled_input_before_the_last_activation() -> None:
    group = recipe.build(small(model={"residual": True}), generator())[2].eval()
    x = torch.randn(2, 24, 10, 10)
    with torch.no_grad():
        path = group.norm2(group.conv2(group.activation(group.norm1(group.pool(group.conv1(x))))))
        expected = torch.nn.functional.gelu(path + group.shortcut(torch.nn.functional.max_pool2d(x, 2)))
        assert torch.equal(group(x), expected)
    assert group.shortcut.kernel_size == (1, 1)


def test_rates_and_decays_are_decoupled_as_published() -> None:
    what = config(device="cpu")
    biases, rest = recipe.sgd(recipe.build(what, generator()), what).param_groups
    kilostep = 1024 * (1 + 1 / 0.15)
    assert kilostep == pytest.approx(7850.7, abs=0.05)
    assert rest["lr"] == pytest.approx(11.5 / kilostep)
    assert biases["lr"] == pytest.approx(64 * 11.5 / kilostep)
    for group in (biases, rest):
        assert group["lr"] * group["weight_decay"] == pytest.approx(0.0153 * 1024 / kilostep)
    assert sum(p.numel() for p in biases["params"]) == 1152
    assert sum(p.numel() for p in rest["params"]) == 1_971_352 - 1152


def test_lookahead_follows_its_definition() -> None:
    layer = torch.nn.Linear(2, 2)
    start = layer.weight.detach().clone()
    slow = recipe.SlowWeights(layer)
    with torch.no_grad():
        layer.weight += 1
    slow.update(0.75)
    assert torch.allclose(layer.weight, 0.75 * start + 0.25 * (start + 1))
    with torch.no_grad():
        layer.weight += 5
    slow.update(1.0)
    assert torch.allclose(layer.weight, start + 0.25), "at the end the network takes the slow weights"


def test_lookahead_covers_running_statistics_and_leaves_counters_alone() -> None:
    norm = torch.nn.BatchNorm2d(3)
    slow = recipe.SlowWeights(norm)
    norm(torch.randn(4, 3, 2, 2) + 7)
    moved = norm.running_mean.clone()
    slow.update(0.5)
    assert torch.allclose(norm.running_mean, moved / 2)
    assert norm.num_batches_tracked == 1


def test_lookahead_decays() -> None:
    cubic = recipe.decays(476, config())
    assert cubic[476] == pytest.approx(0.95**5) and cubic[238] == pytest.approx(0.95**5 / 8) and cubic[0] == 0
    constant = recipe.decays(10, config(lookahead={"schedule": "constant", "alpha": 0.5}))
    assert (constant == 0.5).all()


def test_crop_takes_the_window_at_each_shift() -> None:
    padded = torch.arange(2 * 6 * 6 * 3, dtype=torch.float32).reshape(2, 6, 6, 3)
    out = recipe.crop(padded, torch.tensor([[0, 2], [1, 0]]), side=4)
    assert torch.equal(out[0], padded[0, 0:4, 2:6]) and torch.equal(out[1], padded[1, 1:5, 0:4])


def epochs(images: Any, what: Airbench94Config, count: int) -> list[Any]:
    given = recipe.Epochs(images, torch.zeros(len(images), dtype=torch.long), what, generator(5))
    return [given.epoch(number)[0] for number in range(count)]


def test_alternating_flip_shows_each_image_and_its_mirror_in_turn() -> None:
    images = torch.rand(40, 32, 32, 3)
    plain = recipe.normalised(images)
    first, second, third = epochs(images, config(augment={"translate": 0}), 3)
    mirrored = torch.tensor([bool(torch.equal(a, b.flip(1))) for a, b in zip(first, plain, strict=True)])
    assert 5 < mirrored.sum() < 35, "a random half begins mirrored"
    assert torch.equal(second, first.flip(2)) and torch.equal(third, first)


@pytest.mark.parametrize("static", [False, True])
def test_translation_moves_every_image_by_at_most_two_pixels_and_anew_each_epoch(static: bool) -> None:
    images = torch.rand(30, 32, 32, 3)
    what = config(augment={"flip": "none" if not static else "alternating", "translate": 2, "static": static})
    first, second = epochs(images, what, 2)
    wide = recipe.pad(recipe.normalised(images), 2)
    windows = [wide[:, y : y + 32, x : x + 32] for y in range(5) for x in range(5)]
    windows += [window.flip(2) for window in windows] if static else []
    for epoch in (first, second):
        found = torch.stack([(epoch == window).flatten(1).all(1) for window in windows])
        assert found.any(0).all()
    assert not torch.equal(first, second)


def test_static_transforms_show_the_mirrors_of_the_same_images() -> None:
    images = torch.rand(20, 32, 32, 3)
    base, static = ({"translate": 0, "static": s} for s in (False, True))
    for a, b in zip(epochs(images, config(augment=base), 3), epochs(images, config(augment=static), 3), strict=True):
        assert torch.equal(a, b)


def test_reflection_at_the_edges() -> None:
    images = torch.arange(16.0).reshape(1, 4, 4, 1).expand(1, 4, 4, 3).contiguous()
    row = recipe.pad(images, 2)[0, 2, :, 0]
    assert row.tolist() == [2, 1, 0, 1, 2, 3, 2, 1]


def test_test_time_views_follow_their_definition() -> None:
    network = recipe.build(small(), generator()).eval()
    images = recipe.as_input(recipe.normalised(recipe.images_on_device(small()).test_x))[:7]
    wide = torch.nn.functional.pad(images, (1, 1, 1, 1), mode="reflect")

    def mirror(x: Any) -> Any:
        return (network(x) + network(x.flip(3))) / 2

    with torch.no_grad():
        expected = 0.3 * mirror(images) + 0.7 * (mirror(wide[:, :, :32, :32]) + mirror(wide[:, :, 2:, 2:])) / 2
        assert torch.allclose(recipe.views(network, images, 2, 0.3), expected, atol=1e-5)
        assert torch.allclose(recipe.views(network, images, 1, 0.3), mirror(images), atol=1e-5)
        assert torch.allclose(recipe.views(network, images, 0, 0.3), network(images), atol=1e-5)


def test_the_whitening_bias_stops_after_its_epochs() -> None:
    def bias(epochs: float) -> Any:
        return (
            TRAINER.train(small(steps=30, whiten={"bias_epochs": epochs}), seed=1, clock=Clock())
            .network[0]
            .bias.detach()
        )

    assert (bias(0) == 0).all()
    assert (bias(1) != 0).any() and not torch.equal(bias(1), bias(9))


def test_frozen_parts_stay_as_they_were() -> None:
    what = small()
    network = TRAINER.train(what, seed=1, clock=Clock()).network
    first = torch.nn.Conv2d(3, 24, 2)
    data = recipe.images_on_device(what)
    recipe.whiten(first, recipe.as_input(recipe.normalised(data.train_x[:200])), 5e-4)
    assert torch.equal(network[0].weight, first.weight)
    assert all((norm.weight == 1).all() for norm in recipe.norms(network))


def test_a_rate_too_high_is_a_bad_outcome_and_no_error() -> None:
    outcome = run(small(lr={"max": 1e6}, optim={"bias_scaler": 1e6}))
    assert outcome.total == 200 and outcome.correct <= 60


def test_a_network_of_nans_is_scored_as_it_answers() -> None:
    trained = TRAINER.train(small(), seed=1, clock=Clock())
    with torch.no_grad():
        trained.network[-2].weight.fill_(math.nan)
    outcome = TRAINER.evaluate(trained, small(), clock=Clock())
    assert outcome.loss is None and 0 < outcome.correct < 60


def test_it_learns_and_more_steps_learn_more() -> None:
    big: dict[str, Any] = {
        "data": {"train_images": 2000, "test_images": 500},
        "lr": {"max": 23.0},
        "batch_size": 64,
        "model": {"widths": (8, 16, 16)},
    }
    accuracy = [run(small(steps=steps, **big)).correct / 500 for steps in (5, 150)]
    assert accuracy[0] < 0.25 < 0.3 < accuracy[1]


def test_arms_that_differ_in_evaluation_alone_share_a_training() -> None:
    info = trainer_info("airbench94")
    evaluation = {key for key, knob in info.knobs.items() if knob.evaluation}
    assert evaluation == {"tta.level", "tta.weight"}
    base = info.defaults()
    assert info.training_hash(base) == info.training_hash(base | {"tta.weight": 0.3, "tta.level": 0})
    assert info.training_hash(base) != info.training_hash(base | {"lr.end": 0.05})


def test_learning_rates_do_not_change_the_work_and_steps_do() -> None:
    info = trainer_info("airbench94")
    base = info.defaults()
    work = info.compute_hash(base, "code")
    for key, value in (("lr.end", 0.05), ("lr.peak", 0.15), ("tta.weight", 0.3), ("data.transfer", "non-blocking")):
        assert info.compute_hash(base | {key: value}, "code") == work, key
    for key, value in (("epochs", 9.7), ("batch_size", 1536), ("model.residual", True), ("augment.static", True)):
        assert info.compute_hash(base | {key: value}, "code") != work, key


def test_cuda_that_is_not_there_is_told_with_the_preset_to_use() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is CUDA here")
    with pytest.raises(ValueError, match="--preset cpu"):
        TRAINER.prepare(small(device="cuda"))
    with pytest.raises(ValueError, match="fp32 or bf16"):
        TRAINER.train(small(precision="fp16"), seed=1, clock=Clock())


def test_too_little_memory_is_told_in_words() -> None:
    with pytest.raises(MemoryError, match="lower batch_size"), recipe.memory_in_words():
        torch.empty(2**60)


def test_keys_that_do_not_go_together_are_told() -> None:
    with pytest.raises(ValueError, match="no whole batch"):
        total_steps(small(batch_size=400))
    with pytest.raises(ValueError, match="one to four"):
        TRAINER.check_config({"model.widths": []})


def test_bf16_trains_about_as_well() -> None:
    big: dict[str, Any] = {"steps": 100, "data": {"train_images": 1000, "test_images": 500}, "lr": {"max": 23.0}}
    exact, short = (run(small(precision=precision, **big)) for precision in ("fp32", "bf16"))
    assert abs(exact.correct - short.correct) < 60
    assert np.isfinite(short.loss)


def test_static_transforms_tell_the_seconds_that_another_clock_would_leave_out() -> None:
    names = {m.metric: m for m in run(small(augment={"static": True})).metrics}
    assert names["static_transforms"].value > 0 and names["data_to_device"].value > 0
    assert "static_transforms" not in {m.metric for m in run(small()).metrics}
