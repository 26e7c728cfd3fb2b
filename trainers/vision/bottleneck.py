"""A MobileNet of linear bottlenecks: expand 1x1, depthwise 3x3, project 1x1 without activation (MobileNetV2, with SiLU).

Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks" (arXiv 1801.04381), table 2, whose strides are set
for images of 32 x 32 pixels or for larger ones. Keys `width`, `depth` and `expansion` make it cheaper or dearer: at 32 x 32
pixels and 10 classes, width 1.2 needs about 130 million multiply-adds for an image, width 0.5 about 30 million.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class Stage:
    """`blocks` bottlenecks of `channels` outputs; the first of them strides by `stride`; the first stage does not expand."""

    channels: int
    blocks: int
    stride: int
    expands: bool = True


STEM, HEAD = 32, 1280
STAGES = (
    Stage(16, 1, 1, expands=False),
    Stage(24, 2, 2),
    Stage(32, 3, 2),
    Stage(64, 4, 2),
    Stage(96, 3, 1),
    Stage(160, 3, 2),
    Stage(320, 1, 1),
)
SMALL = 64
"""Images whose side is below this keep their size through the stem and the first two stages."""


class LinearBottleneck(nn.Module):
    """(n, inputs, h, w) to (n, outputs, h / stride, w / stride); the input is added where both have one shape."""

    def __init__(self, inputs: int, outputs: int, *, stride: int, expansion: float) -> None:
        super().__init__()
        hidden = eights(inputs * expansion) if expansion != 1 else inputs
        expand = [nn.Conv2d(inputs, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.SiLU()]
        self.body = nn.Sequential(
            *(expand if hidden != inputs else []),
            nn.Conv2d(hidden, hidden, 3, stride=stride, padding=1, groups=hidden, bias=False),
            nn.BatchNorm2d(hidden),
            nn.SiLU(),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(x)
        return x + out if self.residual else out


class BottleneckNet(nn.Module):
    """Images (n, channels, size, size) to logits (n, classes)."""

    def __init__(
        self, *, classes: int, channels: int, size: int, width: float = 1.0, depth: float = 1.0, expansion: float = 6.0
    ) -> None:
        super().__init__()
        small = size < SMALL
        inputs = eights(STEM * width)
        self.stem = nn.Sequential(
            nn.Conv2d(channels, inputs, 3, stride=1 if small else 2, padding=1, bias=False),
            nn.BatchNorm2d(inputs),
            nn.SiLU(),
        )
        blocks: list[nn.Module] = []
        for number, stage in enumerate(STAGES):
            outputs = eights(stage.channels * width)
            for place in range(max(1, math.ceil(stage.blocks * depth))):
                stride = stage.stride if place == 0 and not (small and number < 2) else 1
                blocks.append(
                    LinearBottleneck(inputs, outputs, stride=stride, expansion=expansion if stage.expands else 1)
                )
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        last = eights(HEAD * max(1.0, width))
        self.head = nn.Sequential(nn.Conv2d(inputs, last, 1, bias=False), nn.BatchNorm2d(last), nn.SiLU())
        self.classifier = nn.Linear(last, classes)

    def forward(self, x: Tensor) -> Tensor:
        pooled = self.head(self.blocks(self.stem(x))).mean((2, 3))
        logits: Tensor = self.classifier(pooled)
        return logits


def eights(channels: float) -> int:
    """The nearest multiple of eight, at least eight: widths that the processor's and the GPU's kernels like."""
    return max(8, int(channels / 8 + 0.5) * 8)
