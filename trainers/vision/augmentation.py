"""RandomHorizontalFlip, RandomCrop, ColorJitter and RandomErasing, each on or off: whole batches on the device, or torchvision's.

`Batched` draws for every image of a batch at once, where the images lie. `Loaded` applies torchvision's transforms image by
image, in a loader's process. Both do the same to an image: mirror, pad and crop, jitter in [0, 1], normalise, erase.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms import v2

from trainers.airbench94_recipe import crop, mirrored_where, pad
from trainers.vision.tasks import Task, normalised, unit

GREY = (0.2989, 0.587, 0.114)  # as torchvision weighs red, green and blue
AREA, RATIO = (0.02, 0.33), (0.3, 3.3)  # of RandomErasing's rectangles, as in torchvision


@dataclass(frozen=True)
class Batched:
    """Augments batches on the device, from `generator`."""

    config: Any
    task: Task
    generator: torch.Generator

    def __call__(self, images: Tensor) -> Tensor:
        """(n, h, w, c) uint8 or float32 in [0, 1], to (n, h, w, c) float32, normalised."""
        c, images = self.config, unit(images)
        if c.flip:
            images = mirrored_where(self._uniform(images, len(images)) < 0.5, images)
        if c.crop:
            images = self._cropped(images)
        if c.jitter:
            images = jittered(
                images, *(self._factors(images, span) for span in (c.brightness, c.contrast, c.saturation))
            )
        images = normalised(images, self.task.mean, self.task.std)
        return self._erased(images) if c.erasing else images

    def _uniform(self, like: Tensor, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self.generator, device=like.device)

    def _factors(self, images: Tensor, span: float) -> Tensor:
        return 1 + span * (2 * self._uniform(images, len(images)) - 1)

    def _cropped(self, images: Tensor) -> Tensor:
        reach, side = self.config.crop_padding, images.shape[1]
        wide = pad(images, reach) if self.config.padding == "reflect" else F.pad(images, (0, 0, *(reach,) * 4))
        shifts = torch.randint(2 * reach + 1, (len(images), 2), generator=self.generator, device=images.device)
        return crop(wide, shifts, side)

    def _erased(self, images: Tensor) -> Tensor:
        """A rectangle of torchvision's range of areas and ratios, kept inside the image, becomes 0: the mean colour."""
        count, side = len(images), images.shape[1]
        area = side**2 * (AREA[0] + (AREA[1] - AREA[0]) * self._uniform(images, count))
        low, high = math.log(RATIO[0]), math.log(RATIO[1])
        root = torch.exp((low + (high - low) * self._uniform(images, count)) / 2)
        sizes = torch.stack([torch.sqrt(area) * root, torch.sqrt(area) / root], 1).round().clamp(1, side - 1)
        corners = (self._uniform(images, count, 2) * (side + 1 - sizes)).floor()
        chosen = self._uniform(images, count) < self.config.erasing_share
        places = torch.arange(side, device=images.device)
        inside = (places >= corners[..., None]) & (places < (corners + sizes)[..., None])  # (n, 2, side)
        gone = inside[:, 0, :, None] & inside[:, 1, None, :] & chosen[:, None, None]
        return images.masked_fill(gone[..., None], 0.0)


def jittered(images: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor) -> Tensor:
    """Images (n, h, w, c) in [0, 1], with a factor (n,) of each kind for each image; grey images have no saturation."""

    def blend(one: Tensor, other: Tensor, factor: Tensor) -> Tensor:
        factor = factor[:, None, None, None]
        return (factor * one + (1 - factor) * other).clamp(0, 1)

    images = blend(images, torch.zeros_like(images), brightness)
    images = blend(images, grey(images).mean((1, 2, 3), keepdim=True), contrast)
    return blend(images, grey(images), saturation) if images.shape[3] == 3 else images


def grey(images: Tensor) -> Tensor:
    """(n, h, w, 1); what has one channel stays."""
    if images.shape[3] == 1:
        return images
    return (images * torch.tensor(GREY, device=images.device)).sum(3, keepdim=True)


class Loaded:
    """Augments image by image with torchvision's transforms, from torch's own generator of the process."""

    def __init__(self, config: Any, task: Task) -> None:
        fill = {"padding": config.crop_padding, "padding_mode": config.padding}
        moves = [v2.RandomHorizontalFlip()] if config.flip else []
        moves += [v2.RandomCrop(task.side, **fill)] if config.crop else []
        amounts = (config.brightness, config.contrast, config.saturation)
        self.moves: Callable[[Tensor], Tensor] | None = v2.Compose(moves) if moves else None
        self.jitter = v2.ColorJitter(*amounts) if config.jitter else None
        self.erasing = v2.RandomErasing(p=config.erasing_share) if config.erasing else None
        self.mean, self.std = (torch.tensor(values)[:, None, None] for values in (task.mean, task.std))

    def __call__(self, images: Tensor) -> Tensor:
        """(n, c, h, w) uint8 or float32 in [0, 1], to (n, c, h, w) float32, normalised."""
        if self.moves is not None:
            images = torch.stack([self.moves(image) for image in images])
        images = unit(images)
        if self.jitter is not None:
            images = torch.stack([self.jitter(image) for image in images])
        images = (images - self.mean) / self.std
        if self.erasing is not None:
            images = torch.stack([self.erasing(image) for image in images])
        return images
