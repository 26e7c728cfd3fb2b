"""Trainer `airbench94-fast`: the task and the accuracy bar of `airbench94`, in fewer steps and fewer test-time views.

What differs from `airbench94`: Muon on the convolution filters (200 steps of 2,000 images instead of 476 of 1,024, no
lookahead), one gather an epoch for shuffling, cropping and mirroring, a network that is built once in a process (so that
what was compiled or captured is used again), and test-time views for the least certain images only.

What it showed beside `airbench94` at the preset `cpu` stands in docs/airbench94.md. Not measured: anything on a GPU. Neither
the full-size recipe below, nor `compile` with CUDA graphs, nor `tta.shifted` below 1 at full size has ever run there.
The author of the Muon recipe claims 94.01 % mean accuracy over 200 runs in 2.59 s on one A100 (K. Jordan,
cifar10-airbench, `airbench94_muon`); the constants are his, the code is not. What runs is in `airbench94_fast_recipe.py`,
which needs torch; this file declares the configuration and needs none.

On the clock, off the clock: as `airbench94`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.trainer import Clock, Outcome, knob
from trainers.airbench94 import HERE, TRAIN_IMAGES, Data, Model, Whitening, total_steps
from trainers.airbench94 import TRAINER as PLAIN


@dataclass(frozen=True)
class LearningRate:
    muon: float = knob(0.24, low=0.0, high=1e3, help="highest rate of the 3x3 filters, whose norm is sqrt(filters)")
    bias: float = knob(0.053, low=0.0, high=1e3, help="highest rate of the norms' and the whitening bias")
    head: float = knob(0.67, low=0.0, high=1e3, help="highest rate of the last layer")
    start: float = knob(1.0, low=0.0, high=1.0, help="first rates, as a fraction of the highest")
    end: float = knob(0.0, low=0.0, high=1.0, help="last rates, as a fraction of the highest")
    peak: float = knob(0.0, low=0.0, high=1.0, help="where the highest rates lie, as a fraction of all steps")


@dataclass(frozen=True)
class Optimiser:
    muon_momentum: float = knob(0.6, low=0.0, high=0.999, help="Nesterov momentum of Muon")
    newton_schulz: int = knob(3, compute=True, low=1, high=20, help="Newton-Schulz iterations of Muon")
    momentum: float = knob(0.85, low=0.0, high=0.999, help="Nesterov momentum of SGD, for biases and last layer")
    decay: float = knob(2e-6, low=0.0, high=1.0, help="what SGD takes off a weight in a step, per image of the batch")


@dataclass(frozen=True)
class Augmentation:
    flip: str = knob("alternating", compute=True, choices=("alternating", "random", "none"), help="mirror images")
    translate: int = knob(2, compute=True, low=0, high=8, help="pixels that an image is moved by at most")


@dataclass(frozen=True)
class TestTime:
    level: int = knob(
        2, compute=True, evaluation=True, choices=(0, 1, 2), help="0 plain, 1 mirror, 2 mirror and shifts"
    )
    weight: float = knob(0.5, evaluation=True, low=0.0, high=1.0, help="weight of the untranslated views at level 2")
    mirrored: float = knob(
        1.0, compute=True, evaluation=True, low=0.0, high=1.0, help="share of images, least certain first, mirrored too"
    )
    shifted: float = knob(
        0.25, compute=True, evaluation=True, low=0.0, high=1.0, help="share of images, least certain first, shifted too"
    )
    batch: int = knob(2000, compute=True, evaluation=True, low=1, high=100_000, help="images at once in evaluation")


@dataclass(frozen=True)
class FastConfig:
    epochs: float = knob(8.0, compute=True, low=0.001, high=1000.0, help="passes over the training images")
    steps: int = knob(0, compute=True, low=0, high=10_000_000, help="optimiser steps; above 0 it overrides epochs")
    batch_size: int = knob(
        2000, compute=True, low=1, high=TRAIN_IMAGES, help="images in a step; a remainder is dropped"
    )
    label_smoothing: float = knob(0.2, low=0.0, high=0.99, help="probability spread evenly over all ten classes")
    lr: LearningRate = knob(LearningRate())
    optim: Optimiser = knob(Optimiser())
    model: Model = knob(Model(scale=1 / 256))
    whiten: Whitening = knob(Whitening())
    augment: Augmentation = knob(Augmentation())
    data: Data = knob(Data())
    tta: TestTime = knob(TestTime())
    precision: str = knob("auto", compute=True, choices=("auto", "fp32", "fp16", "bf16"), help="auto: fp16 on CUDA")
    compile: str = knob(
        "off",
        compute=True,
        choices=("off", "default", "reduce-overhead", "max-autotune"),
        help="mode of torch.compile; the last two use CUDA graphs, and none on a processor",
    )
    device: str = knob("auto", compute=True, choices=("auto", "cuda", "cpu"), help="auto: CUDA where there is one")


class Airbench94Fast:
    """See the top of this file; the contract is `harness.trainer.Trainer`."""

    name = "airbench94-fast"
    Config = FastConfig
    clock = PLAIN.clock
    sources = (Path(__file__), HERE / "airbench94_fast_recipe.py", *PLAIN.sources)
    libraries = PLAIN.libraries
    own_process = False

    @property
    def environ(self) -> Mapping[str, str]:
        return PLAIN.environ

    @cached_property
    def recipe(self) -> ModuleType:
        from trainers import airbench94_fast_recipe

        return airbench94_fast_recipe

    def planned_steps(self, config: FastConfig) -> int:
        return total_steps(config)

    def prepare(self, config: FastConfig) -> str:
        """Images to the device, once a process. Raises ValueError where the configuration asks for what is not here."""
        return self.recipe.images_on_device(config).hash

    def train(self, config: FastConfig, *, seed: int, clock: Clock) -> Any:
        return self.recipe.train(config, total_steps(config), seed=seed, clock=clock)

    def evaluate(self, trained: Any, config: FastConfig, *, clock: Clock) -> Outcome:
        return self.recipe.evaluate(trained, config, clock=clock)


TRAINER = Airbench94Fast()
