"""The networks by name: residual networks of timm, a plain multi-layer perceptron, and the linear-bottleneck MobileNet."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from harness.datasets import DataError
from harness.errors import UsageError, nearest
from trainers.vision.bottleneck import SMALL, BottleneckNet

TIMM = ("resnet18", "resnet50", "resnest14d", "resnest26d")
NAMES = (*TIMM, "mlp", "bottleneck")
STEMS = ("auto", "imagenet", "small")


def build(
    name: str,
    *,
    classes: int,
    channels: int,
    size: int,
    pretrained: bool = False,
    stem: str = "auto",
    hidden: Sequence[int] = (512, 256),
    width: float = 1.0,
    depth: float = 1.0,
    expansion: float = 6.0,
    seed: int = 0,
) -> nn.Module:
    """Network `name` for images (n, channels, size, size), giving logits (n, classes), on the processor in fp32.

    Its weights are drawn from `seed` alone and torch's own generator is left as it was. `stem` of the residual networks:
    "imagenet" quarters the image before the first block, "small" keeps its size (as for CIFAR), "auto" is "small" for images
    below 64 pixels a side without pretrained weights. `hidden` are the layers of "mlp"; `width`, `depth` and `expansion` are
    of "bottleneck". Raises UsageError for an unknown name and DataError where pretrained weights cannot be had.
    """
    if name not in NAMES:
        raise UsageError(f"There is no model {name!r}. {nearest(name, NAMES)}")
    if pretrained and name not in TIMM:
        raise UsageError(f"There are no pretrained weights of {name!r}. Models that have them: {', '.join(TIMM)}.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if name == "mlp":
            return mlp((channels * size * size, *hidden, classes))
        if name == "bottleneck":
            return BottleneckNet(
                classes=classes, channels=channels, size=size, width=width, depth=depth, expansion=expansion
            )
        network = _from_timm(name, classes, channels, pretrained)
        if stem == "small" or (stem == "auto" and size < SMALL and not pretrained):
            keep_size(network)
        return network


def mlp(widths: Sequence[int]) -> nn.Sequential:
    """Linear layers with a ReLU between each two: widths (inputs, hidden ..., outputs)."""
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def _from_timm(name: str, classes: int, channels: int, pretrained: bool) -> Any:
    import timm  # seconds to import, and only these models need it

    try:
        return timm.create_model(name, pretrained=pretrained, num_classes=classes, in_chans=channels)
    except Exception as problem:
        if not pretrained:
            raise
        reason = " ".join(str(problem).split())[:300] or type(problem).__name__
        raise DataError(
            f"The pretrained weights of {name} could not be had ({type(problem).__name__}: {reason}). Check the network, or "
            "copy the Hugging Face cache of a machine that has them (variable HF_HOME), or set model.pretrained=false."
        ) from problem


def keep_size(network: Any) -> None:
    """Make a residual network of timm take small images: no stride and no pooling before its first block."""
    first = network.conv1
    if isinstance(first, nn.Sequential):  # the deep stem of the "d" variants: three convolutions of 3x3
        first[0].stride = (1, 1)
    else:
        network.conv1 = nn.Conv2d(first.in_channels, first.out_channels, 3, stride=1, padding=1, bias=False)
        nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
    network.maxpool = nn.Identity()
