"""What trainer `classifier` runs: one loop over epochs, its steps, validation between them, and the evaluation at the end.

Constants come from its configuration (`classifier.py`); the parts are in `vision/`. Nothing inside an epoch waits for the
device, unless a step needs the host. Batches are (n, channels, height, width).
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.trainer import Clock, Metric, Outcome
from trainers.airbench94_recipe import device_of, memory_in_words
from trainers.classifier import (
    ClassifierConfig,
    Model,
    batch_size_at,
    refuse_without_cuda,
    total_steps,
    validation_decides,
)
from trainers.vision import optimisers, views
from trainers.vision.loading import Batch, feed
from trainers.vision.models import build
from trainers.vision.schedules import Schedule, Stopper
from trainers.vision.tasks import Split, Task, normalised, task, unit

Forward = Callable[[Tensor], Tensor]


# --- what is made ready once a process ----------------------------------------------------------------------


def prepare(config: ClassifierConfig) -> str:
    """Settings, images and pretrained weights; the hash of the data (and of the weights that training begins with)."""
    refuse(config)
    with memory_in_words():
        settle(config)
        found = task_of(config)
        total_steps(config, len(found.train))
        if config.data.cache:
            for split in {found.validation, found.test}:
                ready(found, split, device_of(config), memory_order(config))
        if not config.model.pretrained:
            return found.hash
        return f"{found.hash}+{weights_hash(config.model, found.classes, found.channels, found.side)}"


def refuse(config: ClassifierConfig) -> None:
    """Raises ValueError where torch has not what the configuration asks for."""
    if device_type(config) == "cpu":
        refuse_without_cuda(config)


def device_type(config: ClassifierConfig) -> str:
    return "cuda" if config.device != "cpu" and torch.cuda.is_available() else "cpu"


def settle(config: ClassifierConfig) -> None:
    """The settings that are set once in a process."""
    torch.set_float32_matmul_precision(config.matmul_precision)
    torch.backends.cudnn.benchmark = config.cudnn_benchmark


def memory_order(config: ClassifierConfig) -> torch.memory_format:
    return torch.channels_last if config.channels_last else torch.contiguous_format


def task_of(config: ClassifierConfig) -> Task:
    data = config.data
    return task(config.dataset, data.train_images, data.validation_images, data.test_images, data.side)


@lru_cache(maxsize=2)
def weights_hash(model: Model, classes: int, channels: int, side: int) -> str:
    """Hash of the network's first weights: pretrained ones are data that the result depends on."""
    network = network_from(model, classes, channels, side, seed=0)
    found = hashlib.sha256()
    for value in network.state_dict().values():
        found.update(value.numpy().tobytes())
    return found.hexdigest()[:12]


def network_from(model: Model, classes: int, channels: int, side: int, seed: int) -> nn.Module:
    return build(
        model.name,
        classes=classes,
        channels=channels,
        size=side,
        pretrained=model.pretrained,
        stem=model.stem,
        hidden=model.hidden,
        width=model.width,
        depth=model.depth,
        expansion=model.expansion,
        seed=seed,
    )


def network_of(config: ClassifierConfig, found: Task, seed: int) -> tuple[nn.Module, Forward]:
    """The network with its first weights on the device, and what runs it: itself, or its compiled form.

    What is compiled is built once in a process and takes each run's weights, so that only the first run compiles.
    """
    device, memory = device_of(config), memory_order(config)
    fresh = network_from(config.model, found.classes, found.channels, found.side, seed)
    if config.compile == "off":
        network = fresh.to(device, memory_format=memory)
        return network, network
    network, forward = _compiled(config.model, found, device, memory, config.compile, config.precision)
    network.load_state_dict(fresh.state_dict())
    return network, forward


@lru_cache(maxsize=4)
def _compiled(
    model: Model, found: Task, device: torch.device, memory: torch.memory_format, mode: str, precision: str
) -> tuple[nn.Module, Forward]:
    network = network_from(model, found.classes, found.channels, found.side, 0).to(device, memory_format=memory)
    return network, torch.compile(network, mode=mode)


def autocast(config: ClassifierConfig) -> AbstractContextManager[Any]:
    if config.precision == "fp32":
        return nullcontext()
    dtype = torch.float16 if config.precision == "fp16-mixed" else torch.bfloat16
    return torch.autocast(device_type(config), dtype=dtype)


# --- training -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trained:
    network: nn.Module
    forward: Forward
    steps: int
    epochs: int
    metrics: tuple[Metric, ...]


@dataclass
class Sums:
    """Loss and right answers of one epoch, summed on the device, and the memory in use after its first forward pass."""

    loss: Tensor
    right: Tensor
    seen: int = 0
    memory_mb: float = 0.0

    @classmethod
    def on(cls, device: torch.device) -> Sums:
        return cls(torch.zeros((), device=device), torch.zeros((), device=device, dtype=torch.int64))

    def add(self, logits: Tensor, labels: Tensor, loss: Tensor) -> None:
        if self.seen == 0:
            self.memory_mb = memory_in_use(logits.device)
        self.loss += loss.detach().float() * len(labels)
        self.right += (logits.detach().argmax(1) == labels).sum()
        self.seen += len(labels)

    def told(self, part: str, epoch: int) -> Iterator[Metric]:
        """Mean loss, accuracy and memory as metrics; they wait for the device."""
        yield Metric(f"{part}_loss", self.loss.item() / self.seen, step=epoch, unit="nats")
        yield Metric(f"{part}_accuracy", self.right.item() / self.seen, step=epoch, unit="fraction")
        yield Metric(f"{part}_memory", self.memory_mb, step=epoch, unit="MB")


def memory_in_use(device: torch.device) -> float:
    """MB of the device's memory, or of this process's where there is no other device."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device) / 1e6
    try:
        with open("/proc/self/statm") as statm:  # noqa: PTH123 - no file of anybody's
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except OSError:
        return float("nan")


@dataclass
class Run:
    """One training under way."""

    config: ClassifierConfig
    network: nn.Module
    forward: Forward
    optimiser: torch.optim.Optimizer
    schedule: Schedule
    scaler: torch.amp.GradScaler
    steps: int = 0
    metrics: list[Metric] = field(default_factory=list)

    def epoch(self, batches: Iterable[Batch], device: torch.device) -> Sums:
        """One step for each batch."""
        sums = Sums.on(device)
        self.network.train()
        for images, labels in batches:
            try:
                self.step(images, labels, sums)
            except ValueError as problem:
                if len(labels) > 1 or "more than 1 value per channel" not in str(problem):
                    raise
                raise ValueError(
                    "the last batch of an epoch has a single image, of which the network's norms know no spread: set "
                    "data.drop_last=true, or another batch_size or data.train_images"
                ) from problem
            self.schedule.after_step()
            self.steps += 1
        return sums

    def step(self, images: Tensor, labels: Tensor, sums: Sums) -> None:
        """Gradient and update; of SAM two gradients, the second where the first one points."""

        def backward() -> tuple[Tensor, Tensor]:
            with autocast(self.config):
                logits = self.forward(images)
                loss = F.cross_entropy(logits, labels, label_smoothing=self.config.label_smoothing)
            self.scaler.scale(loss).backward()
            return logits, loss

        self.optimiser.zero_grad(set_to_none=True)
        sums.add(*_with(labels, *backward()))
        if self.config.optim.name == "sam":
            with optimisers.statistics_kept(self.network):
                self.optimiser.step(
                    backward
                )  # SAM moves the weights, forgets the first gradient and asks for the second
            return
        self.scaler.step(self.optimiser)
        self.scaler.update()


def _with(labels: Tensor, logits: Tensor, loss: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return logits, labels, loss


def train(config: ClassifierConfig, *, seed: int, clock: Clock) -> Trained:
    """One network from `seed` alone."""
    refuse(config)
    with memory_in_words():
        settle(config)
        found, device = task_of(config), device_of(config)
        network, forward = network_of(config, found, seed)
        optimiser = optimisers.make(network, config.optim)
        schedule = Schedule(optimiser, config.schedule, total_steps(config, len(found.train)))
        scaler = torch.amp.GradScaler(device.type, enabled=config.precision == "fp16-mixed")
        run = Run(config, network, forward, optimiser, schedule, scaler)
        source = feed(config, found, device, seed)
        try:
            epochs = fit(run, source.epoch, found, device, clock)
        finally:
            source.close()
        return Trained(network, forward, run.steps, epochs, tuple(run.metrics))


def fit(
    run: Run, batches: Callable[[int, int], Iterable[Batch]], found: Task, device: torch.device, clock: Clock
) -> int:
    """Epoch after epoch, until the last one or until early stopping says so. Returns the epochs made."""
    config, waiting = run.config, []
    stopping = config.early_stopping
    stopper = Stopper(stopping.monitor, stopping.patience, stopping.least)
    for epoch in range(1, config.epochs + 1):
        size, rate, before = batch_size_at(config, epoch), run.schedule.rate, clock.elapsed_s or 0.0
        validated: Sums | None = None
        stop = False
        with clock.running():
            trained = run.epoch(batches(epoch, size), device)
            if validation_decides(config):
                validated = validate(run, found.validation, found, device)
                loss, accuracy = (metric.value for metric in list(validated.told("validation", epoch))[:2])
                run.schedule.after_epoch(loss)
                stop = stopper.after_epoch(loss, accuracy)
            else:
                run.schedule.after_epoch(None)
        run.metrics += [
            Metric("epoch_time", (clock.elapsed_s or 0.0) - before, step=epoch, unit="s"),
            Metric("learning_rate", rate, step=epoch),
            Metric("batch_size", size, step=epoch),
        ]
        if validated is None and config.evaluation.validate:
            validated = validate(run, found.validation, found, device)
        waiting.append((epoch, trained, validated))
        if stop:
            break
    for epoch, trained, validated in waiting:
        run.metrics += [*trained.told("train", epoch), *(validated.told("validation", epoch) if validated else ())]
    return waiting[-1][0]


@torch.no_grad()
def validate(run: Run, split: Split, found: Task, device: torch.device) -> Sums:
    """The plain view of every validation image."""
    sums = Sums.on(device)
    run.network.eval()
    with autocast(run.config):
        for images, labels in batches_of(run.config, split, found, device):
            logits = run.forward(images)
            sums.add(logits, labels, F.cross_entropy(logits, labels))
    return sums


# --- evaluation ---------------------------------------------------------------------------------------------


@torch.no_grad()
def evaluate(trained: Trained, config: ClassifierConfig, *, clock: Clock) -> Outcome:
    """Accuracy on the test images, averaged over the configured views."""
    found, device = task_of(config), device_of(config)
    trained.network.eval()
    with memory_in_words(), clock.running(), autocast(config):
        told = [
            (views.logits(trained.forward, images, config.evaluation.views, config.evaluation.shift), labels)
            for images, labels in batches_of(config, found.test, found, device)
        ]
        logits, labels = torch.cat([one for one, _ in told]), torch.cat([one for _, one in told])
        loss = F.cross_entropy(logits, labels).item()
        right = (logits.argmax(1) == labels).cpu().numpy()
    return Outcome(
        correct=int(right.sum()),
        total=len(right),
        loss=loss if math.isfinite(loss) else None,
        steps=trained.steps,
        epochs=trained.epochs,
        metrics=trained.metrics,
        correct_mask=right,
    )


def batches_of(config: ClassifierConfig, split: Split, found: Task, device: torch.device) -> Iterator[Batch]:
    """Normalised images in order, without augmentation: moved and converted once a process where they are cached."""
    order = memory_order(config)
    size = config.evaluation.batch_size
    if config.data.cache:
        images, labels = ready(found, split, device, order)
        yield from zip(images.split(size), labels.split(size), strict=True)
        return
    for images, labels in zip(split.images.split(size), split.labels.split(size), strict=True):
        yield as_batch(images.to(device), found, order), labels.to(device)


@lru_cache(maxsize=4)
def ready(found: Task, split: Split, device: torch.device, order: torch.memory_format) -> Batch:
    return as_batch(split.images.to(device), found, order), split.labels.to(device)


def as_batch(images: Tensor, found: Task, order: torch.memory_format) -> Tensor:
    """(n, h, w, c) uint8 to (n, c, h, w) float32, normalised."""
    return normalised(unit(images), found.mean, found.std).permute(0, 3, 1, 2).contiguous(memory_format=order)
