"""A data set cut and resized for one configuration, in the host's memory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as TF

from trainers.datasets.sets import CIFAR10, CIFAR100, FASHION_MNIST, MNIST, PETS

SETS = {one.name: one for one in (MNIST, FASHION_MNIST, CIFAR10, CIFAR100, PETS)}
CHUNK = 1000


@dataclass(frozen=True, eq=False)
class Split:
    """Images (n, height, width, channels) uint8 and labels (n,) int64, on the host."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Task:
    """What there is to learn. `mean` and `std` are per channel, of pixels in [0, 1]; `hash` is of the data and of the cut."""

    name: str
    classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    train: Split
    validation: Split
    test: Split
    hash: str

    @property
    def side(self) -> int:
        return int(self.train.images.shape[1])

    @property
    def channels(self) -> int:
        return int(self.train.images.shape[3])


@lru_cache(maxsize=2)
def task(name: str, train: int, validation: int, test: int, side: int) -> Task:
    """The first `train` and the last `validation` training images, the first `test` test images; 0: all, none, all.

    Without held-out images the test images validate. Raises ValueError where there are not so many, DataError where the data
    cannot be had.
    """
    found = SETS[name]
    arrays, data_hash = found.load()
    there = len(arrays["train_labels"])
    count = train or there - validation
    if not 0 < count <= there - validation or test > len(arrays["test_labels"]):
        raise ValueError(
            f"the data set {name} has {there} training and {len(arrays['test_labels'])} test images; asked for are {train} to "
            f"train, {validation} to validate and {test} to test"
        )
    if (count, validation, test or len(arrays["test_labels"]), side) != (there, 0, len(arrays["test_labels"]), 0):
        data_hash = f"{data_hash}:{count}+{validation}+{test}@{side}"  # another cut is another task
    tested = _split(arrays, "test", slice(0, test or None), side)
    return Task(
        name=name,
        classes=found.classes,
        mean=found.mean,
        std=found.std,
        train=_split(arrays, "train", slice(0, count), side),
        validation=_split(arrays, "train", slice(there - validation, None), side) if validation else tested,
        test=tested,
        hash=data_hash,
    )


def _split(arrays: dict[str, np.ndarray], part: str, where: slice, side: int) -> Split:
    images = torch.from_numpy(np.ascontiguousarray(arrays[f"{part}_images"][where]))
    if side and images.shape[1:3] != (side, side):
        images = torch.cat([resized(chunk, side) for chunk in images.split(CHUNK)])
    return Split(images, torch.from_numpy(arrays[f"{part}_labels"][where].astype(np.int64)))


def resized(images: Tensor, side: int) -> Tensor:
    """(n, h, w, c) uint8 to (n, side, side, c) uint8."""
    return TF.resize(images.permute(0, 3, 1, 2), [side, side], antialias=True).permute(0, 2, 3, 1).contiguous()


def unit(images: Tensor) -> Tensor:
    """uint8 to float32 in [0, 1]; what is float already stays."""
    return images.float() / 255 if images.dtype == torch.uint8 else images


def normalised(images: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """(n, h, w, c) in [0, 1] to mean 0 and deviation 1 per channel."""
    return (images - torch.tensor(mean, device=images.device)) / torch.tensor(std, device=images.device)
