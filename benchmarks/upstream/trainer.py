"""The upstream package as a trainer, so that the harness itself can say whether ours has become slower.

Its own network, loader, training loop and evaluation run; the harness's clock runs exactly while the package's own CUDA
events would (whitening, each epoch's training) and during the final evaluation. On a GPU the package runs as it is, on a
processor under the shim. Needs the dependency group `train`.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest import mock

from harness.trainer import Clock, Outcome, knob
from trainers.airbench94 import TRAINER as OURS
from trainers.airbench94 import Airbench94Config, Data, LearningRate, Model, TestTime, total_steps


@dataclass(frozen=True)
class UpstreamConfig:
    """The keys of `airbench94` that the package lets its caller choose."""

    epochs: float = knob(9.9, compute=True, low=0.001, high=1000.0)
    batch_size: int = knob(1024, compute=True, low=1, high=50_000)
    lr: LearningRate = knob(LearningRate())
    model: Model = knob(Model())
    data: Data = knob(Data())
    tta: TestTime = knob(TestTime())
    device: str = knob("auto", compute=True, choices=("auto", "cuda", "cpu"))


class Upstream:
    name = "airbench-0.1.8"
    Config = UpstreamConfig
    clock = OURS.clock
    sources = (Path(__file__), Path(__file__).with_name("shim.py"))
    libraries = OURS.libraries
    own_process = True  # the shim changes torch for the whole process

    @property
    def environ(self) -> Mapping[str, str]:
        return OURS.environ

    def __init__(self) -> None:
        self._open = contextlib.ExitStack()
        self._ready: dict[Any, Any] = {}

    @cached_property
    def _recipe(self) -> Any:
        from trainers import airbench94_recipe

        return airbench94_recipe

    def planned_steps(self, config: UpstreamConfig) -> int:
        return total_steps(_ours(config))

    def prepare(self, config: UpstreamConfig) -> str:
        import torch

        from benchmarks.upstream.shim import on_cpu
        from trainers.datasets.sets import CIFAR10

        images = self._recipe.images_on_device(_ours(config))
        if not self._ready:
            arrays, _ = CIFAR10.load()
            folder = Path(self._open.enter_context(tempfile.TemporaryDirectory()))
            sizes = {"train": config.data.train_images, "test": config.data.test_images}
            raw = {
                part: {
                    "images": torch.from_numpy(arrays[f"{part}_images"][:n]),
                    "labels": torch.from_numpy(arrays[f"{part}_labels"][:n]).long(),
                }
                for part, n in sizes.items()
            }
            on_gpu = self._recipe.device_of(config).type == "cuda"
            self._ready["airbench"] = self._open.enter_context(on_cpu(raw, folder, shim=not on_gpu))
        return str(images.hash)

    def train(self, config: UpstreamConfig, *, seed: int, clock: Clock) -> Any:
        import torch

        airbench = self._ready["airbench"]
        torch.manual_seed(seed)
        widths = dict(zip(("block1", "block2", "block3"), config.model.widths, strict=True))
        loader = airbench.CifarLoader(
            "cifar10", batch_size=config.batch_size, aug={"flip": True, "translate": 2}, altflip=True
        )
        with events_on(clock):
            return airbench.train94(
                loader,
                epochs=config.epochs,
                learning_rate=config.lr.max,
                make_net=lambda: airbench.make_net94(widths),
                verbose=False,
            )

    def evaluate(self, trained: Any, config: UpstreamConfig, *, clock: Clock) -> Outcome:
        airbench = self._ready["airbench"]
        loader = airbench.CifarLoader("cifar10", train=False, batch_size=2000)
        with clock.running():
            logits = airbench.infer(trained, loader, config.tta.level)
            right = logits.argmax(1) == loader.labels
            correct = int(right.sum())
        ours = _ours(config)
        return Outcome(correct=correct, total=len(right), steps=total_steps(ours), correct_mask=right.cpu().numpy())


def _ours(config: UpstreamConfig) -> Airbench94Config:
    return Airbench94Config(
        epochs=config.epochs, batch_size=config.batch_size, model=config.model, data=config.data, device=config.device
    )


@contextlib.contextmanager
def events_on(clock: Clock) -> Iterator[None]:
    """The package's pair of CUDA events (it makes `starter`, then `ender`) starts and stops the harness's clock."""
    import torch

    stack: list[Any] = []

    class Event:
        made = 0

        def __init__(self, enable_timing: bool = False) -> None:
            self.starts = Event.made % 2 == 0
            Event.made += 1

        def record(self) -> None:
            if self.starts:
                stack.append(clock.running())
                stack[-1].__enter__()
            else:
                stack.pop().__exit__(None, None, None)

        def elapsed_time(self, other: Event) -> float:
            return 0.0

    with mock.patch.object(torch.cuda, "Event", Event):
        yield


TRAINER = Upstream()
