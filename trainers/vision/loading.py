"""Batches of one epoch after another: from images that lie on the device, or from a DataLoader's processes.

Both give (images (n, c, h, w) float32 normalised, labels (n,) int64) on the device, and draw from the run's seed alone. What
the DataLoader gives depends on seed, epoch and place in the epoch, and so neither on the number of its processes, nor on
pinning, persistence or caching: these change the time and nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from trainers.vision.augmentation import Batched, Loaded
from trainers.vision.tasks import Split, Task, unit

Batch = tuple[Tensor, Tensor]


class Feed(Protocol):
    def epoch(self, number: int, size: int) -> Iterator[Batch]:
        """The batches of epoch `number` (from 1), `size` images each."""

    def close(self) -> None:
        """End what was started."""


def feed(config: Any, task: Task, device: torch.device, seed: int) -> Feed:
    """What the configuration asks for: the images on the device where it wants no workers."""
    if config.data.workers == 0:
        return Resident(config, task, device, seed)
    return Loader(config, task, device, seed)


def pinned(config: Any, device: torch.device) -> bool:
    """Whether host memory is to be page-locked: only copies to CUDA gain by it."""
    return bool(config.data.pin_memory) and device.type == "cuda"


@lru_cache(maxsize=4)
def on_device(task: Task, device: torch.device, cache: bool, pinned: bool, non_blocking: bool) -> Split:
    """The training images moved once a process; with `cache` as float32 in [0, 1]."""

    def moved(tensor: Tensor) -> Tensor:
        if pinned:
            return tensor.pin_memory().to(device, non_blocking=non_blocking)
        return tensor.to(device)

    images = moved(task.train.images)
    return Split(unit(images) if cache else images, moved(task.train.labels))


class Resident:
    """Images on the device; order and augmentation are drawn there, a whole batch at once."""

    def __init__(self, config: Any, task: Task, device: torch.device, seed: int) -> None:
        data = config.data
        self.split = on_device(task, device, data.cache, pinned(config, device), data.non_blocking)
        self.generator = torch.Generator(device).manual_seed(seed)
        self.augment = Batched(config.augment, task, self.generator)
        self.drop_last, self.channels_last = data.drop_last, config.channels_last

    def epoch(self, number: int, size: int) -> Iterator[Batch]:
        labels = self.split.labels
        order = torch.randperm(len(labels), generator=self.generator, device=labels.device)
        for chosen in order.split(size):
            if self.drop_last and len(chosen) < size:
                return
            images = self.augment(self.split.images[chosen]).permute(0, 3, 1, 2)
            yield images if self.channels_last else images.contiguous(), labels[chosen]

    def close(self) -> None:
        return None


class Order(Sampler[list[tuple[int, int]]]):
    """Batches of (epoch, image) in the order that seed and epoch give; `number` and `size` are set for each epoch."""

    def __init__(self, images: int, seed: int, drop_last: bool) -> None:
        self.images, self.seed, self.drop_last = images, seed, drop_last
        self.number, self.size = 1, 1

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        generator = torch.Generator().manual_seed(mixed(self.seed, self.number))
        for chosen in torch.randperm(self.images, generator=generator).split(self.size):
            if not (self.drop_last and len(chosen) < self.size):
                yield [(self.number, place) for place in chosen.tolist()]

    def __len__(self) -> int:
        return self.images // self.size if self.drop_last else -(-self.images // self.size)


@lru_cache(maxsize=2)
def planes(task: Task, cache: bool) -> Tensor:
    """The training images as (n, c, h, w), converted once a process: with `cache` float32 in [0, 1], else uint8."""
    images = task.train.images.permute(0, 3, 1, 2).contiguous()
    return unit(images) if cache else images


class Augmented(Dataset[Batch]):
    """Whole batches of augmented images, made in the loader's process."""

    def __init__(self, config: Any, task: Task, seed: int) -> None:
        self.images = planes(task, config.data.cache)
        self.labels, self.seed = task.train.labels, seed
        self.augment = Loaded(config.augment, task)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitems__(self, chosen: list[tuple[int, int]]) -> Batch:
        torch.default_generator.manual_seed(mixed(self.seed, *chosen[0]))  # of this process, which does nothing else
        places = torch.tensor([place for _, place in chosen])
        return self.augment(self.images[places]), self.labels[places]


class Loader:
    """torch's DataLoader with `workers` processes; they live on between epochs where they are persistent."""

    def __init__(self, config: Any, task: Task, device: torch.device, seed: int) -> None:
        data = config.data
        self.order = Order(len(task.train), seed, data.drop_last)
        self.device, self.non_blocking = device, data.non_blocking
        self.memory = torch.channels_last if config.channels_last else torch.contiguous_format
        self.loader = DataLoader(
            Augmented(config, task, seed),
            batch_sampler=self.order,
            num_workers=data.workers,
            pin_memory=pinned(config, device),
            persistent_workers=data.persistent_workers,
            collate_fn=_as_it_is,
            generator=torch.Generator().manual_seed(seed),
        )

    def epoch(self, number: int, size: int) -> Iterator[Batch]:
        self.order.number, self.order.size = number, size
        for images, labels in self.loader:
            moved = images.to(self.device, non_blocking=self.non_blocking, memory_format=self.memory)
            yield moved, labels.to(self.device, non_blocking=self.non_blocking)

    def close(self) -> None:
        """End the processes now, and not when memory is next cleared."""
        running = self.loader._iterator
        if running is not None:
            running._shutdown_workers()
            self.loader._iterator = None


def _as_it_is(batch: Any) -> Any:
    return batch


def mixed(*numbers: int) -> int:
    """A generator's seed from several numbers."""
    return int.from_bytes(hashlib.blake2b(repr(numbers).encode(), digest_size=7).digest(), "big")
