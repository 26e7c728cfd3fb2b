"""Trainer `latency`: how long one pass of a network takes, and what it costs: time, multiply-adds, parameters, memory.

A run builds a network with weights drawn from its seed and passes one batch of drawn images through it, `iterations` times,
forward only or as whole training steps. Nothing is learnt, so the counts of a run are not of right answers: `correct` of
`total` images are those to which the network as it is timed (its dtype, memory format, compilation) gives the same class
as the same weights in fp32 and eager. What runs is in `latency_recipe.py`, which needs torch. This file declares the
configuration and needs none.

On the clock: the passes, each awaited. Off it: building, compilation, warm-up passes, counting, the check against fp32.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.trainer import Clock, Outcome, knob

HERE = Path(__file__).parent
MODELS = ("resnet18", "resnet50", "resnest14d", "resnest26d", "mlp", "bottleneck")
STEMS = ("auto", "imagenet", "small")
DTYPES = ("fp32", "bf16", "fp16")


@dataclass(frozen=True)
class Model:
    name: str = knob("resnet18", compute=True, choices=MODELS, help="network")
    classes: int = knob(10, compute=True, low=2, high=100_000, help="outputs")
    channels: int = knob(3, compute=True, low=1, high=1024, help="channels of an image")
    size: int = knob(32, compute=True, low=8, high=4096, help="pixels along a side of an image")
    stem: str = knob("auto", compute=True, choices=STEMS, help="of residual networks; auto: small below 64 pixels")
    hidden: tuple[int, ...] = knob((512, 256), compute=True, help="widths of the hidden layers of mlp")
    width: float = knob(1.0, compute=True, low=0.05, high=10.0, help="factor on the channels of bottleneck")
    depth: float = knob(1.0, compute=True, low=0.05, high=10.0, help="factor on the blocks of bottleneck")
    expansion: float = knob(6.0, compute=True, low=1.0, high=16.0, help="channels inside a block of bottleneck")


@dataclass(frozen=True)
class LatencyConfig:
    model: Model = knob(Model())
    mode: str = knob("forward", compute=True, choices=("forward", "step"), help="step: forward, backward and update")
    batch: int = knob(32, compute=True, low=1, high=1_000_000, help="images in a pass")
    iterations: int = knob(50, compute=True, low=1, high=1_000_000, help="passes on the clock")
    warmup: int = knob(5, low=1, high=10_000, help="passes before them, off the clock, in every run")
    check_images: int = knob(256, low=1, high=1_000_000, help="images compared with fp32, in whole batches; step: one")
    dtype: str = knob("fp32", compute=True, choices=DTYPES, help="number format")
    cast: str = knob("weights", compute=True, choices=("weights", "autocast"), help="how dtype is reached")
    channels_last: bool = knob(False, compute=True, help="memory format of images and convolutions")
    compile: str = knob(
        "off",
        compute=True,
        choices=("off", "default", "reduce-overhead", "max-autotune"),
        help="mode of torch.compile",
    )
    device: str = knob("auto", compute=True, choices=("auto", "cuda", "cpu"), help="auto: CUDA where there is one")
    threads: int = knob(0, compute=True, process=True, low=0, high=4096, help="of a processor; 0 leaves it to torch")


class Latency:
    """See the top of this file; the contract is `harness.trainer.Trainer`."""

    name = "latency"
    Config = LatencyConfig
    clock = "passes over one batch that lies on the device, each awaited"
    sources = (
        Path(__file__),
        HERE / "latency_recipe.py",
        HERE / "airbench94_recipe.py",
        HERE / "vision" / "models.py",
        HERE / "vision" / "bottleneck.py",
    )
    libraries = ("torch", "timm", "numpy")
    # A process for each arm: what one has compiled, allocated or tuned must not be there when the next is timed.
    own_process = True

    @property
    def environ(self) -> Mapping[str, str]:
        """A number of threads that was set: on a processor times depend on it."""
        threads = os.environ.get("OMP_NUM_THREADS")
        return {"OMP_NUM_THREADS": threads} if threads else {}

    @cached_property
    def recipe(self) -> ModuleType:
        from trainers import latency_recipe

        return latency_recipe

    def check_config(self, config: Mapping[str, Any]) -> None:
        """Keys that cannot work together, told before the first run (flat keys)."""
        hidden = config["model.hidden"]
        if not all(isinstance(width, int) and 0 < width <= 1_000_000 for width in hidden):
            raise ValueError(f"model.hidden is {hidden}: allowed are whole numbers from 1 to 1000000")
        if config["mode"] == "step" and config["batch"] < 2:
            raise ValueError(
                "batch is 1 and mode is 'step': batch norm needs two images to train on; set batch=2 or more"
            )
        if config["cast"] == "autocast" and config["dtype"] == "fp32":
            raise ValueError("cast is 'autocast' and dtype is 'fp32': there is nothing to cast; set dtype=bf16 or fp16")

    def planned_steps(self, config: LatencyConfig) -> int:
        return config.iterations

    def prepare(self, config: LatencyConfig) -> str:
        """The network built, compiled and run once. Raises ValueError where the configuration asks for what is not here."""
        self.recipe.subject(config)
        model = config.model
        return f"drawn:{model.channels}x{model.size}x{model.size}:{model.classes}"

    def train(self, config: LatencyConfig, *, seed: int, clock: Clock) -> Any:
        return self.recipe.measure(config, seed=seed, clock=clock)

    def evaluate(self, trained: Any, config: LatencyConfig, *, clock: Clock) -> Outcome:
        return self.recipe.outcome(trained, config)


TRAINER = Latency()
