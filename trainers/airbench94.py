"""Trainer `airbench94`: 94 % on CIFAR-10 in 9.9 epochs, every constant of the recipe a key.

Claim, by its author on one A100: 94.01 % mean accuracy (sd about 0.15 percentage points) over 1,000 runs in 3.83 s, 0.36
PFLOP a run. K. Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", arXiv 2404.00498 (2024). This is an
implementation of its own, from the paper's constants; what runs is in `airbench94_recipe.py`, which needs torch. This
file declares the configuration and needs none.

On the clock: whitening initialisation, training with augmentation, evaluation. Off it: images to the device, building
network and optimiser, compilation (which happens in the warm-up that the harness runs first).
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.trainer import Clock, Outcome, knob

HERE = Path(__file__).parent
TRAIN_IMAGES, TEST_IMAGES = 50_000, 10_000


@dataclass(frozen=True)
class LearningRate:
    max: float = knob(11.5, low=0.0, high=1e6, help="peak learning rate per 1,024 examples")
    start: float = knob(0.2, low=0.0, high=1.0, help="first learning rate, as a fraction of lr.max")
    end: float = knob(0.07, low=0.0, high=1.0, help="last learning rate, as a fraction of lr.max")
    peak: float = knob(0.23, low=0.0, high=1.0, help="where the peak lies, as a fraction of all steps")


@dataclass(frozen=True)
class Optimiser:
    momentum: float = knob(0.85, low=0.0, high=0.999, help="Nesterov momentum of SGD")
    weight_decay: float = knob(0.0153, low=0.0, high=10.0, help="decoupled weight decay per 1,024 examples")
    bias_scaler: float = knob(
        64.0, low=0.0, high=1e6, help="learning rate of the norms' biases, times that of the rest"
    )


@dataclass(frozen=True)
class Lookahead:
    schedule: str = knob("cubic", compute=True, choices=("cubic", "constant", "off"), help="how the decay grows")
    k: int = knob(5, compute=True, low=1, high=1000, help="steps between two updates of the slow weights")
    alpha: float = knob(0.95**5, low=0.0, high=1.0, help="decay at the end (cubic), or all along (constant)")


@dataclass(frozen=True)
class Model:
    widths: tuple[int, ...] = knob((64, 256, 256), compute=True, help="channels of the three groups")
    residual: bool = knob(False, compute=True, help="add a 1x1 convolution of each group's pooled input to its output")
    scale: float = knob(1 / 9, low=0.0, high=100.0, help="factor on the logits")
    norm_momentum: float = knob(0.4, low=0.0, high=1.0, help="weight of a new batch in the norms' running statistics")


@dataclass(frozen=True)
class Whitening:
    images: int = knob(
        5000, compute=True, low=16, high=TRAIN_IMAGES, help="first training images whose patches are used"
    )
    epsilon: float = knob(5e-4, low=0.0, high=1.0, help="added to the eigenvalues of the patches' covariance")
    bias_epochs: float = knob(3, compute=True, low=0, high=1000, help="epochs in which the whitening bias is trained")


@dataclass(frozen=True)
class Augmentation:
    flip: str = knob("alternating", compute=True, choices=("alternating", "random", "none"), help="mirror images")
    translate: int = knob(2, compute=True, low=0, high=8, help="pixels that an image is moved by at most")
    static: bool = knob(False, compute=True, help="pad and mirror the whole set once, on the clock, instead of anew")


@dataclass(frozen=True)
class Data:
    train_images: int = knob(TRAIN_IMAGES, compute=True, low=16, high=TRAIN_IMAGES, help="first images used to train")
    test_images: int = knob(TEST_IMAGES, compute=True, low=1, high=TEST_IMAGES, help="first images used to test")
    transfer: str = knob("plain", choices=("plain", "non-blocking"), help="how images reach the device, off the clock")


@dataclass(frozen=True)
class TestTime:
    level: int = knob(
        2, compute=True, evaluation=True, choices=(0, 1, 2), help="0 plain, 1 mirror, 2 mirror and shifts"
    )
    weight: float = knob(0.5, evaluation=True, low=0.0, high=1.0, help="weight of the untranslated views at level 2")


@dataclass(frozen=True)
class Airbench94Config:
    epochs: float = knob(9.9, compute=True, low=0.001, high=1000.0, help="passes over the training images")
    steps: int = knob(0, compute=True, low=0, high=10_000_000, help="optimiser steps; above 0 it overrides epochs")
    batch_size: int = knob(
        1024, compute=True, low=1, high=TRAIN_IMAGES, help="images in a step; a remainder is dropped"
    )
    label_smoothing: float = knob(0.2, low=0.0, high=0.99, help="probability spread evenly over all ten classes")
    lr: LearningRate = knob(LearningRate())
    optim: Optimiser = knob(Optimiser())
    lookahead: Lookahead = knob(Lookahead())
    model: Model = knob(Model())
    whiten: Whitening = knob(Whitening())
    augment: Augmentation = knob(Augmentation())
    data: Data = knob(Data())
    tta: TestTime = knob(TestTime())
    precision: str = knob("auto", compute=True, choices=("auto", "fp32", "fp16", "bf16"), help="auto: fp16 on CUDA")
    compile: str = knob("off", compute=True, choices=("off", "default", "max-autotune"), help="mode of torch.compile")
    device: str = knob("auto", compute=True, choices=("auto", "cuda", "cpu"), help="auto: CUDA where there is one")


def steps_per_epoch(config: Airbench94Config) -> int:
    """Whole batches in the training images. Raises ValueError where not even one is."""
    if config.batch_size > config.data.train_images:
        raise ValueError(
            f"batch_size {config.batch_size} is more than data.train_images {config.data.train_images}: no whole batch"
        )
    return config.data.train_images // config.batch_size


def total_steps(config: Airbench94Config) -> int:
    """`steps` where it is above 0, else the whole number of steps that covers `epochs`: 476 for the recipe."""
    # Rounded first: 48 * 9.7 must not become more than it is by the error of a float.
    covering = max(1, math.ceil(round(steps_per_epoch(config) * config.epochs, 6)))
    return config.steps or covering


class Airbench94:
    """See the top of this file; the contract is `harness.trainer.Trainer`."""

    name = "airbench94"
    Config = Airbench94Config
    clock = "whitening initialisation, training with augmentation, evaluation"
    sources = (Path(__file__), HERE / "airbench94_recipe.py")
    libraries = ("torch", "numpy")
    own_process = False

    @property
    def environ(self) -> Mapping[str, str]:
        """A number of threads that was set: on a processor times and the last bits depend on it."""
        threads = os.environ.get("OMP_NUM_THREADS")
        return {"OMP_NUM_THREADS": threads} if threads else {}

    @cached_property
    def recipe(self) -> ModuleType:
        from trainers import airbench94_recipe

        return airbench94_recipe

    def check_config(self, config: Mapping[str, Any]) -> None:
        """Keys that cannot work together, told before the first run (flat keys)."""
        widths = config["model.widths"]
        if not 1 <= len(widths) <= 4 or not all(isinstance(w, int) and 0 < w <= 8192 for w in widths):
            raise ValueError(f"model.widths is {widths}: allowed are one to four whole numbers from 1 to 8192")

    def planned_steps(self, config: Airbench94Config) -> int:
        return total_steps(config)

    def prepare(self, config: Airbench94Config) -> str:
        """Images to the device, once a process. Raises ValueError where the configuration asks for what is not here."""
        return self.recipe.images_on_device(config).hash

    def train(self, config: Airbench94Config, *, seed: int, clock: Clock) -> Any:
        return self.recipe.train(config, total_steps(config), seed=seed, clock=clock)

    def evaluate(self, trained: Any, config: Airbench94Config, *, clock: Clock) -> Outcome:
        return self.recipe.evaluate(trained, config, clock=clock)


TRAINER = Airbench94()
