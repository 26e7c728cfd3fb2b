"""Test-time views: the logits of an image, averaged over its shifted and mirrored copies."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor


def logits(network: Callable[[Tensor], Tensor], images: Tensor, views: int, shift: int) -> Tensor:
    """(n, classes) in fp32 of images (n, c, h, w): one view, two (mirrored too), or 18 (nine shifts, each mirrored too)."""
    total = torch.zeros((), device=images.device)
    for view in copies(images, views, shift):
        total = total + network(view).float()
    return total / views


def copies(images: Tensor, views: int, shift: int) -> Iterator[Tensor]:
    """The views, each (n, c, h, w) in the memory order of `images`; what a shift brings in is reflected at the edge."""
    for moved in shifted(images, shift) if views == 18 else (images,):
        yield moved
        if views > 1:
            yield moved.flip(3)


def shifted(images: Tensor, shift: int) -> Iterator[Tensor]:
    """The images themselves, and moved by `shift` pixels to each of the eight sides."""
    yield images
    height, width = images.shape[2:]
    wide = F.pad(images, (shift,) * 4, mode="reflect")
    order = torch.channels_last if images.is_contiguous(memory_format=torch.channels_last) else torch.contiguous_format
    for down in (0, shift, 2 * shift):
        for right in (0, shift, 2 * shift):
            if (down, right) != (shift, shift):
                yield wide[:, :, down : down + height, right : right + width].contiguous(memory_format=order)
