"""The upstream package `airbench` 0.1.8 on a processor: its own network, loader and training loop under a shim.

The package needs CUDA (`half().cuda()`, CUDA events, `torch.load` onto a GPU). Inside `on_cpu` these names do nothing, or
what a processor can do; everything else is the package's own code.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import torch


class Event:
    """A CUDA event that reads the processor's clock."""

    def __init__(self, enable_timing: bool = False) -> None:
        self.at = 0.0

    def record(self) -> None:
        self.at = time.perf_counter()

    def elapsed_time(self, other: Event) -> float:
        return 1e3 * (other.at - self.at)


@contextlib.contextmanager
def on_cpu(data: dict[str, dict[str, Any]], folder: Path, *, shim: bool = True) -> Iterator[Any]:
    """The package `airbench`, reading `data` (`train` and `test`, each with uint8 NHWC images and int64 labels).

    It reads its data from the current folder, which is `folder` meanwhile. Without `shim` it runs on the GPU as it is.
    """
    for part, values in data.items():
        (folder / "cifar10").mkdir(exist_ok=True)
        torch.save({**values, "classes": []}, folder / "cifar10" / f"{part}.pt")
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.chdir(folder))
        if not shim:
            import airbench

            yield airbench
            return
        patch = mock.patch.object
        stack.enter_context(patch(torch.Tensor, "half", torch.Tensor.float))
        stack.enter_context(patch(torch.nn.Module, "half", torch.nn.Module.float))
        stack.enter_context(patch(torch.nn.Module, "cuda", lambda self, *_: self))
        stack.enter_context(patch(torch.cuda, "synchronize", lambda *_: None))
        stack.enter_context(patch(torch.cuda, "Event", Event))
        load = torch.load
        stack.enter_context(patch(torch, "load", lambda path, map_location=None: load(path, map_location="cpu")))
        import airbench

        yield airbench
