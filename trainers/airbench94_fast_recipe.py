"""What trainer `airbench94-fast` runs: `airbench94_recipe`'s network and whitening, another optimiser, loop and evaluation.

Constants come from its configuration (`airbench94_fast.py`). Nothing inside the loop waits for the device: every random
draw, index and sum stays there until the last step. Shapes as in `airbench94_recipe`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.trainer import Clock, Metric, Outcome
from trainers.airbench94 import steps_per_epoch
from trainers.airbench94_fast import FastConfig, TestTime
from trainers.airbench94_recipe import (
    SIDE,
    Images,
    as_input,
    autocast,
    build,
    device_of,
    images_on_device,
    memory_in_words,
    normalised,
    norms,
    pad,
    triangle,
    whiten,
)

QUINTIC = (3.4445, -4.7750, 2.0315)  # of K. Jordan's Muon: the steepest slope at 0 that still ends within .7 to 1.2


# --- augmentation -------------------------------------------------------------------------------------------


class Epochs:
    """The training images of each epoch in random order, moved and mirrored, in one gather."""

    def __init__(self, images: Tensor, labels: Tensor, config: Any, generator: torch.Generator) -> None:
        self.augment, self.generator, self.labels = config.augment, generator, labels
        self.padded = pad(normalised(images), self.augment.translate)
        alternating = self.augment.flip == "alternating"
        self.first = self._coin() if alternating else torch.zeros_like(labels, dtype=torch.bool)

    def epoch(self, number: int, count: int) -> tuple[Tensor, Tensor]:
        """The first `count` images (count, 32, 32, 3) of epoch `number` in its order, and their labels (count,)."""
        size = len(self.labels)
        reach = 2 * self.augment.translate + 1
        shifts = torch.randint(reach, (size, 2), generator=self.generator, device=self.labels.device)
        # The whole set mirrored before it is cropped, as `airbench94` does it: the same window, counted from the right.
        shifts[:, 1] = torch.where(self.first, reach - 1 - shifts[:, 1], shifts[:, 1])
        mirrored = self.first
        if self.augment.flip == "random":
            mirrored = self._coin()
        elif self.augment.flip == "alternating" and number % 2 == 1:
            mirrored = ~self.first
        order = torch.randperm(size, generator=self.generator, device=self.labels.device)[:count]
        return gather(self.padded, order, shifts, mirrored), self.labels[order]

    def _coin(self) -> Tensor:
        return torch.rand(len(self.labels), generator=self.generator, device=self.labels.device) < 0.5


def gather(padded: Tensor, order: Tensor, shifts: Tensor, mirrored: Tensor, side: int = SIDE) -> Tensor:
    """Shuffled, cropped and mirrored at once: image `order[i]` of padded (n, h, w, c), its window at `shifts` (n, 2).

    The window is mirrored where `mirrored` (n,). Returns (len(order), side, side, c).
    """
    steps = torch.arange(side, device=padded.device)
    rows = shifts[order, 0, None] + steps
    columns = shifts[order, 1, None] + torch.where(mirrored[order, None], side - 1 - steps, steps)
    return padded[order[:, None, None], rows[:, :, None], columns[:, None, :]]


# --- optimiser ----------------------------------------------------------------------------------------------


def newton_schulz(matrices: Tensor, iterations: int) -> Tensor:
    """Each matrix of (k, rows, columns) towards the nearest one with all singular values 1 (they end near .7 to 1.2)."""
    a, b, c = QUINTIC
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(iterations):
        square = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


class Muon:
    """Momentum, made orthogonal, on filters of constant norm (K. Jordan et al. 2024, https://kellerjordan.github.io/posts/muon).

    Filters (out, in, 3, 3) count as matrices (out, 9 in); those of one shape are stacked, so that each product is one call.
    """

    def __init__(self, filters: Iterable[Tensor], config: Any, orthogonalise: Callable[[Tensor, int], Tensor]) -> None:
        self.momentum, self.iterations = config.optim.muon_momentum, config.optim.newton_schulz
        self.orthogonalise = orthogonalise
        stacks: dict[tuple[int, ...], list[Tensor]] = {}
        for weight in filters:
            stacks.setdefault(tuple(weight.shape), []).append(weight)
        self.stacks = list(stacks.values())
        self.velocity = [torch.zeros_like(torch.stack([w.flatten(1) for w in ws])).detach() for ws in self.stacks]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        for weights, velocity in zip(self.stacks, self.velocity, strict=True):
            gradient = torch.stack([w.grad.flatten(1) for w in weights if w.grad is not None])
            velocity.mul_(self.momentum).add_(gradient)
            gradient.add_(velocity, alpha=self.momentum)
            dtype = (
                torch.bfloat16 if gradient.is_cuda else torch.float32
            )  # processors are slower in bf16 at these sizes
            update = self.orthogonalise(gradient.to(dtype), self.iterations).to(gradient.dtype)
            renormalise(weights)
            torch._foreach_add_(weights, [u.view_as(w) for u, w in zip(update, weights, strict=True)], alpha=-rate)


def renormalise(weights: list[Tensor]) -> None:
    """Each weight (out, ...) to the norm sqrt(out), that of a matrix with orthonormal rows."""
    norm = torch._foreach_norm(weights)
    torch._foreach_mul_(weights, [math.sqrt(len(w)) / n for n, w in zip(norm, weights, strict=True)])


def sgd(network: nn.Sequential, config: Any) -> torch.optim.SGD:
    """Nesterov SGD for what are no filters: whitening bias, norms' biases, last layer, in this order of groups."""
    decay = config.optim.decay * config.batch_size
    groups = [
        {"params": params, "lr": lr, "initial_lr": lr, "weight_decay": decay / lr if lr else 0.0}
        for params, lr in (
            ([network[0].bias], config.lr.bias),
            ([norm.bias for norm in norms(network)], config.lr.bias),
            ([head_of(network).weight], config.lr.head),
        )
    ]
    return torch.optim.SGD(groups, momentum=config.optim.momentum, nesterov=config.optim.momentum > 0, fused=True)


def head_of(network: nn.Sequential) -> nn.Linear:
    return next(module for module in network if isinstance(module, nn.Linear))


def filters_of(network: nn.Module) -> list[Tensor]:
    return [p for p in network.parameters() if p.ndim == 4 and p.requires_grad]


def schedules(config: Any, steps: int) -> tuple[list[float], list[float]]:
    """Fractions of the highest rates before each step: of all, and of the whitening bias (down to 0 by its last step)."""
    rates = triangle(steps, config.lr.start, config.lr.end, config.lr.peak).tolist()
    trained = math.ceil(round(config.whiten.bias_epochs * steps_per_epoch(config), 6))
    return rates, [max(0.0, 1 - step / trained) if trained else 0.0 for step in range(steps)]


# --- one network a process ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Machine:
    """A network at a fixed place in memory, and what was compiled for it: what is captured once can be used again."""

    network: nn.Sequential
    forward: Callable[[Tensor], Tensor]
    orthogonalise: Callable[[Tensor, int], Tensor]

    @torch.no_grad()
    def load(self, state: dict[str, Tensor]) -> None:
        for place, value in zip(self.network.state_dict().values(), state.values(), strict=True):
            place.copy_(value)


@lru_cache(maxsize=4)
def machine(config: FastConfig) -> Machine:
    network = build(config, torch.Generator().manual_seed(0))
    if config.compile == "off":
        return Machine(network, network, newton_schulz)
    # One graph a shape, mode and batch size; the default limit of 8 is used up by two arms, and what is above runs uncompiled.
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, 64)
    forward, orthogonalise = (torch.compile(f, mode=config.compile, dynamic=False) for f in (network, newton_schulz))
    return Machine(network, forward, orthogonalise)


def fresh_state(config: FastConfig, seed: int) -> dict[str, Tensor]:
    """The initial weights of `seed`: those of `airbench94`, with the last layer's spread brought to 1."""
    network = build(config, torch.Generator().manual_seed(seed))
    weight = head_of(network).weight.data
    weight.div_(weight.std())
    return network.state_dict()


# --- training and evaluation --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trained:
    machine: Machine
    state: dict[str, Tensor]
    steps: int
    epochs: float
    metrics: tuple[Metric, ...]


def train(config: FastConfig, steps: int, *, seed: int, clock: Clock) -> Trained:
    """One network from `seed` alone."""
    with memory_in_words():
        data = images_on_device(config)
        torch.backends.cudnn.benchmark = True
        generator = torch.Generator(device_of(config)).manual_seed(seed)
        built = machine(replace(config, tta=TestTime()))  # arms that are only scored otherwise share it
        built.load(fresh_state(config, seed))
        optimisers = Muon(filters_of(built.network), config, built.orthogonalise), sgd(built.network, config)
        with clock.running():
            losses = fit(built, *optimisers, data, config, steps, generator)
        metrics = [Metric("train_loss", loss, step=step, unit="nats") for step, loss in losses]
        state = {name: value.clone() for name, value in built.network.state_dict().items()}
        return Trained(built, state, steps, steps / steps_per_epoch(config), tuple(metrics))


def fit(
    built: Machine,
    muon: Muon,
    others: torch.optim.SGD,
    data: Images,
    config: FastConfig,
    steps: int,
    generator: torch.Generator,
) -> list[tuple[int, float]]:
    """Whitening, then `steps` steps. Returns (steps done, mean loss an example) of each epoch."""
    network, per_epoch, size = built.network, steps_per_epoch(config), config.batch_size
    whiten(network[0], as_input(normalised(data.train_x[: config.whiten.images])), config.whiten.epsilon)
    epochs = Epochs(data.train_x, data.train_y, config, generator)
    rates, bias_rates = schedules(config, steps)
    network.train()
    told: list[tuple[int, Tensor]] = []
    for step in range(steps):
        number, place = divmod(step, per_epoch)
        if place == 0:
            images, labels = epochs.epoch(number, min(per_epoch, steps - step) * size)
            images, total = as_input(images), torch.zeros((), device=labels.device)
        network[0].bias.requires_grad_(bias_rates[step] > 0)
        for group, rate in zip(others.param_groups, (bias_rates[step], rates[step], rates[step]), strict=True):
            group["lr"] = group["initial_lr"] * rate
        batch = slice(place * size, (place + 1) * size)
        with autocast(config):
            logits = built.forward(images[batch])
            loss = F.cross_entropy(
                logits, labels[batch], label_smoothing=config.label_smoothing, reduction="none"
            ).sum()
        network.zero_grad(set_to_none=True)
        loss.backward()
        others.step()
        muon.step(config.lr.muon * rates[step])
        total += loss.detach()
        if place == per_epoch - 1 or step == steps - 1:
            told.append((step + 1, total / ((place + 1) * size)))
    return [(step, value.item()) for step, value in told]


@torch.no_grad()
def evaluate(trained: Trained, config: FastConfig, *, clock: Clock) -> Outcome:
    """Accuracy on the test images with the configured views."""
    data, built = images_on_device(config), trained.machine
    built.load(trained.state)
    built.network.eval()
    with memory_in_words(), clock.running(), autocast(config):
        logits = views(built.forward, as_input(normalised(data.test_x)), config.tta)
        loss = F.cross_entropy(logits, data.test_y)
        right = logits.argmax(1) == data.test_y
        correct = int(right.sum())
    return Outcome(
        correct=correct,
        total=len(right),
        loss=loss.item() if math.isfinite(loss.item()) else None,
        steps=trained.steps,
        epochs=trained.epochs,
        metrics=trained.metrics,
        correct_mask=right.cpu().numpy(),
    )


def views(network: Callable[[Tensor], Tensor], images: Tensor, tta: TestTime) -> Tensor:
    """Logits (n, 10) in fp32: plain, then averaged with the mirror image, then with two shifts by one pixel, both mirrored.

    Each stage is for the least certain images only: those with the smallest lead of the first class over the second.
    With shares of 1 these are the views of `airbench94`.
    """

    def plain(x: Tensor) -> Tensor:
        parts = x.split(tta.batch)
        # Copied, because a CUDA graph writes its next result to the same place.
        return torch.cat(
            [network(p.contiguous(memory_format=torch.channels_last)).to(torch.float32, copy=True) for p in parts]
        )

    def mirror(x: Tensor) -> Tensor:
        return 0.5 * plain(x) + 0.5 * plain(x.flip(3))

    logits = plain(images)
    if tta.level >= 1:
        chosen = least_certain(logits, tta.mirrored, tta.batch)
        logits[chosen] = 0.5 * logits[chosen] + 0.5 * plain(images[chosen].flip(3))
    if tta.level >= 2:
        chosen = least_certain(logits, tta.shifted, tta.batch)
        wide, side = F.pad(images[chosen], (1, 1, 1, 1), mode="reflect"), images.shape[-1]
        moved = (mirror(wide[:, :, 0:side, 0:side]) + mirror(wide[:, :, 2 : side + 2, 2 : side + 2])) / 2
        logits[chosen] = tta.weight * logits[chosen] + (1 - tta.weight) * moved
    return logits


def least_certain(logits: Tensor, share: float, batch: int) -> Tensor:
    """Numbers of the images whose first class leads least: `share` of them, rounded up to whole batches."""
    count = min(len(logits), math.ceil(round(share * len(logits) / batch, 6)) * batch)
    first, second = logits.topk(2).values.unbind(1)
    return (first - second).topk(count, largest=False).indices
