"""Optimisers, schedules, early stopping, test-time views and augmentations, each against its definition."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")
pytest.importorskip("pytorch_optimizer")

import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402
from torchvision.transforms.v2 import functional as TF  # noqa: E402

from trainers import classifier_recipe as recipe  # noqa: E402
from trainers.classifier import Augmentation, ClassifierConfig, Optimiser  # noqa: E402
from trainers.classifier import Schedule as Keys  # noqa: E402
from trainers.vision import optimisers, views  # noqa: E402
from trainers.vision.augmentation import Batched, Loaded, jittered  # noqa: E402
from trainers.vision.loading import Augmented  # noqa: E402
from trainers.vision.models import build  # noqa: E402
from trainers.vision.schedules import Schedule, Stopper  # noqa: E402
from trainers.vision.tasks import Split, Task  # noqa: E402

pytestmark = pytest.mark.train


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# --- optimisers ---------------------------------------------------------------------------------------------


def one_step(config: Optimiser, network: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> None:
    """One step of the trainer's own loop."""
    asked = ClassifierConfig(optim=config)
    optimiser = optimisers.make(network, config)
    schedule = Schedule(optimiser, asked.schedule, 1)
    run = recipe.Run(asked, network, network, optimiser, schedule, torch.amp.GradScaler("cpu", enabled=False))
    run.epoch([(images, labels)], torch.device("cpu"))


def problem(seed: int = 0) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    network = build("mlp", classes=4, channels=1, size=3, hidden=(5,), seed=seed).double()
    return network, torch.randn(8, 1, 3, 3, generator=generator(), dtype=torch.float64), torch.arange(8) % 4


def gradient(network: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> list[torch.Tensor]:
    loss = F.cross_entropy(network(images), labels)
    return list(torch.autograd.grad(loss, list(network.parameters())))


@pytest.mark.parametrize("base", ["sgd", "adam", "adamw"])
def test_sam_steps_along_the_gradient_where_the_first_one_points(base):
    """w - lr g(w + rho g(w) / |g(w)|), worked out beside it; of Adam's first step the sign of that gradient is left."""
    config = Optimiser(name="sam", base=base, lr=0.1, rho=0.3)
    network, images, labels = problem()
    before = [p.detach().clone() for p in network.parameters()]
    first = gradient(network, images, labels)
    norm = torch.sqrt(sum((g**2).sum() for g in first))
    moved, _, _ = problem()
    with torch.no_grad():
        for p, g in zip(moved.parameters(), first, strict=True):
            p += 0.3 * g / norm
    second = gradient(moved, images, labels)
    assert max((a - b).abs().max() for a, b in zip(first, second, strict=True)) > 1e-3  # or this shows nothing
    one_step(config, network, images, labels)
    for p, old, g in zip(network.parameters(), before, second, strict=True):
        step = g if base == "sgd" else g / (g.abs() + 1e-8)
        assert torch.allclose(p, old - 0.1 * step, atol=1e-9)


def test_sam_leaves_the_norms_statistics_to_the_first_pass():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(9, 5), nn.BatchNorm1d(5), nn.Linear(5, 4))
    images, labels = torch.randn(8, 1, 3, 3), torch.arange(8) % 4
    expected = 0.1 * network[1](network[0](images)).mean(0).detach()
    one_step(Optimiser(name="sam", lr=0.1, rho=0.5), network, images, labels)
    assert torch.allclose(network[2].running_mean, expected, atol=1e-6)
    assert network[2].momentum == 0.1


def test_muon_moves_filters_and_matrices_by_something_orthogonal():
    network = build("bottleneck", classes=4, channels=3, size=32, width=0.25, depth=0.1, seed=1)
    before = {key: p.detach().clone() for key, p in network.named_parameters()}
    images = torch.randn(8, 3, 32, 32, generator=generator())
    one_step(Optimiser(name="muon", lr=1.0, weight_decay=0.0), network, images, torch.arange(8) % 4)
    checked = 0
    for key, p in network.named_parameters():
        update = (before[key] - p.detach()).flatten(1) if p.ndim >= 2 else None
        if update is None or key == "classifier.weight":
            assert (before[key] - p).abs().max() < 2 * 3e-4  # AdamW's first step is its rate
            continue
        singular = torch.linalg.svdvals(update)
        scale = singular.max()
        assert singular.min() > 0.4 * scale, key  # five Newton-Schulz steps bring all singular values near one another
        checked += 1
    assert checked > 10


@pytest.mark.parametrize(
    ("config", "kind", "expected"),
    [
        (Optimiser(lr=0.3, momentum=0.9, nesterov=True, weight_decay=0.01), "SGD", {"momentum": 0.9, "nesterov": True}),
        (Optimiser(name="adam", lr=0.3, beta1=0.8, beta2=0.95, weight_decay=0.01), "Adam", {"betas": (0.8, 0.95)}),
        (Optimiser(name="adamw", lr=0.3, eps=1e-6, weight_decay=0.01), "AdamW", {"eps": 1e-6}),
        (Optimiser(name="rmsprop", lr=0.3, alpha=0.9, momentum=0.5, weight_decay=0.01), "RMSprop", {"alpha": 0.9, "momentum": 0.5}),
        (Optimiser(name="sam", base="adamw", lr=0.3, rho=0.1, weight_decay=0.01), "SAM", {"rho": 0.1}),
    ],
)  # fmt: skip
def test_optimisers_take_their_keys(config, kind, expected):
    made = optimisers.make(problem()[0], config)
    assert type(made).__name__ == kind
    for group in made.param_groups:
        assert group["lr"] == 0.3 and group["weight_decay"] == 0.01
        assert expected.items() <= group.items()


def test_nesterovs_step_by_hand():
    network, images, labels = problem()
    before = [p.detach().clone() for p in network.parameters()]
    found = gradient(network, images, labels)
    one_step(Optimiser(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01), network, images, labels)
    for p, old, g in zip(network.parameters(), before, found, strict=True):
        decayed = g + 0.01 * old
        assert torch.allclose(p, old - 0.1 * (decayed + 0.9 * decayed), atol=1e-12)


# --- schedules ----------------------------------------------------------------------------------------------


def rates(keys: Keys, epochs: int, steps: int, losses: list[float] | None = None, name: str = "sgd") -> list[float]:
    """The rate of each step, `steps` in an epoch."""
    optimiser = optimisers.make(problem()[0], Optimiser(name=name, lr=0.5))
    schedule = Schedule(optimiser, keys, epochs * steps)
    seen = []
    for epoch in range(epochs):
        for _ in range(steps):
            seen.append(schedule.rate)
            optimisers.scheduled(optimiser).step()  # without gradients it moves nothing
            schedule.after_step()
        schedule.after_epoch(losses[epoch] if losses else None)
    return seen


@pytest.mark.parametrize("name", ["sgd", "sam", "muon"])
def test_without_a_schedule_the_rate_stays(name):
    assert rates(Keys(), 3, 2, name=name) == [0.5] * 6


@pytest.mark.parametrize("name", ["sgd", "sam", "muon"])
def test_the_step_schedule_multiplies_every_so_many_epochs(name):
    found = rates(Keys(name="step", step_size=2, gamma=0.3), 5, 2, name=name)
    assert found == pytest.approx([0.5] * 4 + [0.15] * 4 + [0.045] * 2)


def test_the_cosine_reaches_its_end():
    found = rates(Keys(name="cosine", end=0.1), 2, 5)
    assert found == pytest.approx([0.05 + 0.45 * (1 + math.cos(math.pi * step / 10)) / 2 for step in range(10)])


def test_one_cycle_rises_to_the_rate_and_falls():
    found = rates(Keys(name="one-cycle", warmup=0.4), 2, 5)
    assert max(found) == pytest.approx(0.5) and found.index(max(found)) == 3  # 0.4 of 10 steps, the first counted
    assert found[0] == pytest.approx(0.5 / 25)
    assert found[:4] == sorted(found[:4]) and found[3:] == sorted(found[3:], reverse=True)
    assert found[-1] < 1e-3


def test_the_plateau_lowers_the_rate_exactly_when_the_loss_stood_still_longer_than_is_borne():
    losses = [1.0, 0.9, 0.9, 0.95, 0.9, 0.8, 0.8, 0.8, 0.8]
    found = rates(Keys(name="plateau", patience=2, factor=0.5), 9, 1, losses)
    # Epochs 3, 4 and 5 are no better than epoch 2: two are borne, after the third the rate halves. Again after 7, 8, 9.
    assert found == [0.5] * 5 + [0.25] * 4
    assert rates(Keys(name="plateau", patience=1, factor=0.5), 9, 1, losses) == [0.5] * 4 + [0.25] * 4 + [0.125]


def test_stopping_on_loss_and_on_accuracy():
    losses = [1.0, 0.8, 0.8, 0.79, 0.85, 0.8, 0.9]
    stopper = Stopper("loss", 3, 0.0)
    assert [stopper.after_epoch(loss, 0.0) for loss in losses] == [False] * 6 + [True]
    strict = Stopper("loss", 3, 0.05)  # an improvement by 0.01 is none
    assert [strict.after_epoch(loss, 0.0) for loss in losses[:5]] == [False] * 4 + [True]
    accuracy = Stopper("accuracy", 2, 0.0)
    assert [accuracy.after_epoch(9.0, value) for value in (0.1, 0.3, 0.3, 0.2)] == [False, False, False, True]
    assert not any(Stopper("off", 1, 0.0).after_epoch(1.0, 0.5) for _ in range(9))
    diverged = Stopper("loss", 2, 0.0)
    assert [diverged.after_epoch(value, 0.1) for value in (1.0, math.nan, math.nan)] == [False, False, True]


# --- test-time views ----------------------------------------------------------------------------------------


def test_eighteen_views_are_nine_shifts_each_mirrored_too_and_their_logits_are_averaged():
    images = torch.arange(2 * 1 * 4 * 4, dtype=torch.float32).reshape(2, 1, 4, 4)
    seen: list[torch.Tensor] = []

    def network(batch: torch.Tensor) -> torch.Tensor:
        seen.append(batch.clone())
        return torch.stack([batch[:, 0, 0, 0], batch[:, 0, 1, 2] ** 2], 1)

    found = views.logits(network, images, 18, 1)
    wide = F.pad(images, (1, 1, 1, 1), mode="reflect")
    expected = []
    for down in range(3):
        for right in range(3):
            moved = wide[:, :, down : down + 4, right : right + 4]
            expected += [moved, torch.flip(moved, (3,))]
    assert len(seen) == 18
    assert sorted(v.flatten().tolist() for v in seen) == sorted(v.flatten().tolist() for v in expected)
    assert len({tuple(v.flatten().tolist()) for v in seen}) == 18
    by_hand = torch.stack([torch.stack([v[:, 0, 0, 0], v[:, 0, 1, 2] ** 2], 1) for v in expected]).mean(0)
    assert torch.allclose(found, by_hand)


@pytest.mark.parametrize(("count", "shift", "calls"), [(1, 1, 1), (2, 1, 2), (18, 2, 18)])
def test_the_number_of_views(count, shift, calls):
    images = torch.randn(1, 3, 8, 8, generator=generator())
    assert len(list(views.copies(images, count, shift))) == calls
    ordered = images.contiguous(memory_format=torch.channels_last)
    assert all(v.is_contiguous(memory_format=torch.channels_last) for v in views.copies(ordered, 18, shift))


# --- augmentation -------------------------------------------------------------------------------------------


def task(images: torch.Tensor, mean: tuple[float, ...] = (0.0,) * 3, std: tuple[float, ...] = (1.0,) * 3) -> Task:
    split = Split(images, torch.zeros(len(images), dtype=torch.int64))
    return Task("made", 10, mean, std, split, split, split, "")


def pictures(count: int = 200, side: int = 8, channels: int = 3) -> torch.Tensor:
    """Different in every pixel, none of them 0."""
    return torch.randint(40, 255, (count, side, side, channels), generator=generator(), dtype=torch.uint8)


def both_ways(images: torch.Tensor, **keys: Any) -> list[torch.Tensor]:
    """Augmented as a batch, and by torchvision, (n, h, w, c) both."""
    config, made = Augmentation(**keys), task(images)
    torch.manual_seed(0)
    loaded = Loaded(config, made)(images.permute(0, 3, 1, 2).contiguous())
    return [Batched(config, made, generator())(images), loaded.permute(0, 2, 3, 1)]


def test_without_augmentation_images_are_normalised_and_nothing_else():
    images = pictures(5)
    made = task(images, (0.1, 0.2, 0.3), (0.5, 0.6, 0.7))
    expected = (images / 255 - torch.tensor([0.1, 0.2, 0.3])) / torch.tensor([0.5, 0.6, 0.7])
    batched = Batched(Augmentation(), made, generator())(images)
    loaded = Loaded(Augmentation(), made)(images.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    assert torch.allclose(batched, expected, atol=1e-6) and torch.allclose(loaded, expected, atol=1e-6)


def test_half_of_the_images_are_mirrored():
    images = pictures()
    for found in both_ways(images, flip=True):
        plain = images / 255
        same = (found == plain).flatten(1).all(1)
        mirrored = (found == plain.flip(2)).flatten(1).all(1)
        assert (same ^ mirrored).all()
        assert 70 < mirrored.sum() < 130


@pytest.mark.parametrize("padding", ["constant", "reflect"])
def test_crops_are_windows_of_the_padded_image_in_every_place(padding):
    images = pictures(400)
    chw = images.permute(0, 3, 1, 2) / 255
    wide = F.pad(chw, (2, 2, 2, 2), mode=padding).permute(0, 2, 3, 1)
    for found in both_ways(images, crop=True, crop_padding=2, padding=padding):
        places = []
        for number in range(len(images)):
            here = [
                (down, right)
                for down in range(5)
                for right in range(5)
                if torch.allclose(wide[number, down : down + 8, right : right + 8], found[number])
            ]
            assert len(here) == 1
            places += here
        assert len(set(places)) == 25


def test_jitter_is_torchvisions_of_the_same_factors():
    images = pictures(6) / 255
    factors = [0.7 + 0.6 * torch.rand(6, generator=generator(seed)) for seed in (1, 2, 3)]
    found = jittered(images, *factors)
    for number in range(6):
        one = images[number].permute(2, 0, 1)
        one = TF.adjust_brightness(one, float(factors[0][number]))
        one = TF.adjust_contrast(one, float(factors[1][number]))
        one = TF.adjust_saturation(one, float(factors[2][number]))
        assert torch.allclose(found[number].permute(2, 0, 1), one, atol=2e-3)


def test_jitter_changes_every_image_of_its_own_within_the_range():
    images = torch.full((100, 4, 4, 3), 100, dtype=torch.uint8)
    for found in both_ways(images, jitter=True, brightness=0.3, contrast=0.0, saturation=0.0):
        levels = found.mean((1, 2, 3)) / (100 / 255)
        assert 0.69 < levels.min() < 0.75 and 1.25 < levels.max() < 1.31
        assert len(levels.unique()) > 50


def test_jitter_takes_grey_images():
    images = pictures(4, channels=1)
    made = task(images, (0.0,), (1.0,))
    config = Augmentation(jitter=True)
    assert Batched(config, made, generator())(images).shape == images.shape
    assert Loaded(config, made)(images.permute(0, 3, 1, 2)).shape == (4, 1, 8, 8)


def test_erasing_takes_one_rectangle_of_a_share_of_the_images():
    images, shares = pictures(600, side=32), []
    for found in both_ways(images, erasing=True, erasing_share=0.5):
        gone = (found == 0).all(3)
        assert torch.equal(found[~gone], (images / 255)[~gone])
        assert 240 < gone.flatten(1).any(1).sum() < 360
        for one in gone[gone.flatten(1).any(1)]:
            rows, columns = one.any(1).nonzero(), one.any(0).nonzero()
            top, left = rows.min(), columns.min()
            assert one[top : rows.max() + 1, left : columns.max() + 1].all()
        shares.append(gone.float().mean((1, 2))[gone.flatten(1).any(1)])
    for share in shares:  # 2 to 33 per cent of the area, evenly
        assert 0.01 < share.min() < 0.05 and 0.28 < share.max() < 0.36
    assert abs(shares[0].mean() - shares[1].mean()) < 0.02


def test_draws_are_new_for_every_batch():
    images = pictures(50)
    augment = Batched(Augmentation(flip=True), task(images), generator())
    assert not torch.equal(augment(images), augment(images))


def test_a_loader_draws_anew_for_every_batch_and_every_epoch_and_alike_for_the_same():
    """Of equal images, so that only the draws can make a difference."""
    images = pictures(1).repeat(64, 1, 1, 1)
    asked = replace(ClassifierConfig(), augment=Augmentation(flip=True, crop=True))
    state = torch.get_rng_state()
    try:
        batches = Augmented(asked, task(images), 7)
        places = [(1, range(32)), (1, range(32, 64)), (2, range(32)), (1, range(32))]
        made = [batches.__getitems__([(epoch, place) for place in those])[0] for epoch, those in places]
        other = Augmented(asked, task(images), 8).__getitems__([(1, place) for place in range(32)])[0]
    finally:
        torch.set_rng_state(state)
    assert torch.equal(made[0], made[3])
    for one in (made[1], made[2], other):
        assert not torch.equal(made[0], one)
