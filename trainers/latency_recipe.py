"""What trainer `latency` runs: a network made ready, its passes timed, its multiply-adds counted, its answers checked.

Shapes: images (batch, channels, size, size) drawn from a normal distribution, labels (batch,) drawn from all classes,
both on the device before the clock starts. Times are in milliseconds a pass.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from harness.trainer import Clock, Metric, Outcome, synchronise_device
from trainers.airbench94_recipe import device_of
from trainers.latency import LatencyConfig
from trainers.vision import models

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
CALIBRATION = 32
"""Images that the norms' running statistics are taken from."""
PROFILED = 5
"""Passes whose kernels are looked at for the time in which the device works."""
RATE, MOMENTUM = 1e-3, 0.9


@contextmanager
def memory_in_words() -> Iterator[None]:
    """Too little memory, said so that its reader knows what to change."""
    try:
        yield
    except (torch.cuda.OutOfMemoryError, RuntimeError) as problem:
        if isinstance(problem, torch.cuda.OutOfMemoryError) or "allocate memory" in str(problem):
            first = str(problem).splitlines()[0]
            raise MemoryError(
                f"too little memory on the device; lower batch, model.size or model.width, or free what else runs there ({first})"
            ) from problem
        raise


# --- what is measured ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Subject:
    """A network on the device as it is timed; `forward` is the network, compiled where that is asked for."""

    network: nn.Module
    forward: Callable[[Tensor], Tensor]
    device: torch.device
    parameters: int
    macs: int


def build(config: LatencyConfig, seed: int) -> nn.Module:
    """The network on the processor in fp32, every norm with a weight of 1 (some start at 0, which would hide their branch)."""
    m = config.model
    network = models.build(
        m.name,
        classes=m.classes,
        channels=m.channels,
        size=m.size,
        stem=m.stem,
        hidden=m.hidden,
        width=m.width,
        depth=m.depth,
        expansion=m.expansion,
        seed=seed,
    )
    for norm in norms(network):
        nn.init.ones_(norm.weight)
    return network


def norms(network: nn.Module) -> list[nn.BatchNorm2d]:
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


def multiply_adds(network: nn.Module, shape: tuple[int, ...]) -> int:
    """Multiply-adds of one forward pass over an input of `shape`: those of convolutions and matrix products alone.

    Torch's counter has two floating-point operations for each. Norms, activations and pooling are not counted.
    """
    copy = network.to("meta").eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        copy(torch.empty(shape, device="meta"))
    return int(counter.get_total_flops()) // 2


@lru_cache(maxsize=4)
def subject(config: LatencyConfig) -> Subject:
    """Built, compiled and run once a process. The weights of a run come later, into the same memory."""
    if config.threads:
        torch.set_num_threads(config.threads)
    with memory_in_words():
        device, m = device_of(config), config.model
        torch.backends.cudnn.benchmark = True
        network = build(config, 0)
        parameters = sum(p.numel() for p in network.parameters())
        macs = multiply_adds(build(config, 0), (1, m.channels, m.size, m.size))
        network = network.to(device)
        if config.cast == "weights":
            network = network.to(DTYPES[config.dtype])
        if config.channels_last:
            network = network.to(memory_format=torch.channels_last)
        network.train(config.mode == "step")
        forward = network if config.compile == "off" else torch.compile(network, mode=config.compile)
        made = Subject(network, forward, device, parameters, macs)
        images, labels = batch(config, torch.Generator(device).manual_seed(0), device)
        Passes(made, config, images, labels).once()
        synchronise_device()
        return made


def batch(config: LatencyConfig, generator: torch.Generator, device: torch.device) -> tuple[Tensor, Tensor]:
    """One batch of drawn images in fp32 and their labels."""
    m = config.model
    images = torch.randn((config.batch, m.channels, m.size, m.size), generator=generator, device=device)
    return images, torch.randint(m.classes, (config.batch,), generator=generator, device=device)


class Passes:
    """One batch passed through the network again and again: `once` is what the clock times."""

    def __init__(self, what: Subject, config: LatencyConfig, images: Tensor, labels: Tensor) -> None:
        self.forward, self.config, self.labels = what.forward, config, labels
        self.device = what.device
        self.images = self.as_input(images)
        self.graphs = config.compile in ("reduce-overhead", "max-autotune") and self.device.type == "cuda"
        self.once: Callable[[], Tensor] = self._forward if config.mode == "forward" else self._step
        if config.mode == "step":
            self.optimiser = torch.optim.SGD(what.network.parameters(), lr=RATE, momentum=MOMENTUM)

    def as_input(self, images: Tensor) -> Tensor:
        """Images in the dtype and memory format in which the network takes them."""
        if self.config.cast == "weights":
            images = images.to(DTYPES[self.config.dtype])
        return images.contiguous(memory_format=torch.channels_last) if self.config.channels_last else images

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.config.cast == "weights":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=DTYPES[self.config.dtype])

    def _forward(self) -> Tensor:
        return self.logits(self.images)

    def logits(self, images: Tensor) -> Tensor:
        if self.graphs:
            torch.compiler.cudagraph_mark_step_begin()
        with torch.no_grad(), self._autocast():
            return self.forward(images)

    def _step(self) -> Tensor:
        if self.graphs:
            torch.compiler.cudagraph_mark_step_begin()
        with self._autocast():
            logits = self.forward(self.images)
            loss = F.cross_entropy(logits.float(), self.labels)
        loss.backward()
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        return logits.detach()


# --- one run ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Measured:
    """What one run gave: which images got the class that fp32 gives them, the loss on drawn labels, and its metrics."""

    same: Tensor
    loss: float | None
    metrics: tuple[Metric, ...]


def measure(config: LatencyConfig, *, seed: int, clock: Clock) -> Measured:
    """The weights and images of `seed`, checked against fp32, warmed up, timed."""
    with memory_in_words():
        what = subject(config)
        generator = torch.Generator(what.device).manual_seed(seed)
        batches = [batch(config, generator, what.device) for _ in range(checked_batches(config))]
        expected = take_weights(what.network, config, seed, what.device, [images for images, _ in batches])
        passes = Passes(what, config, *batches[0])
        same, loss = check(passes, config, batches, expected)
        del expected, batches
        if what.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        for _ in range(config.warmup):
            passes.once()
        with clock.running():
            times = awaited(passes.once, config.iterations)
        metrics = [*latencies(times, config.batch), *costs(what, passes, config)]
        return Measured(same, loss, tuple(metrics))


def checked_batches(config: LatencyConfig) -> int:
    """Whole batches that hold `check_images`; one for a step, as the next would be another network's."""
    return 1 if config.mode == "step" else -(-config.check_images // config.batch)


def take_weights(
    network: nn.Module, config: LatencyConfig, seed: int, device: torch.device, images: list[Tensor]
) -> list[Tensor]:
    """The weights of `seed` into `network`, in place; returns the classes (batch,) that they give each batch in fp32, eager.

    The norms' statistics come from drawn images: with those of a new network the activations of a deep one would vanish,
    and arithmetic on vanishing numbers takes a processor longer.
    """
    reference = build(config, seed).to(device).train()
    m = config.model
    generator = torch.Generator(device).manual_seed(seed + 1)
    drawn = torch.randn((CALIBRATION, m.channels, m.size, m.size), generator=generator, device=device)
    with torch.no_grad():
        usual = {norm: norm.momentum for norm in norms(reference)}
        for norm in usual:
            norm.momentum = 1.0
        reference(drawn)
        for norm, momentum in usual.items():
            norm.momentum = momentum
        network.load_state_dict(reference.state_dict())
        reference.train(config.mode == "step")
        return [reference(one).argmax(1) for one in images]


def check(
    passes: Passes, config: LatencyConfig, batches: list[tuple[Tensor, Tensor]], expected: list[Tensor]
) -> tuple[Tensor, float | None]:
    """Which images of all batches get their expected class (n,), and the mean cross-entropy on the drawn labels.

    In mode `step` these are the answers of the first step, before its update.
    """
    step = config.mode == "step"
    logits = [(passes.once() if step else passes.logits(passes.as_input(x))).float().clone() for x, _ in batches]
    same = torch.cat([one.argmax(1) == classes for one, classes in zip(logits, expected, strict=True)])
    loss = F.cross_entropy(torch.cat(logits), torch.cat([labels for _, labels in batches]))
    return same.cpu(), loss.item() if bool(loss.isfinite()) else None


def awaited(once: Callable[[], Tensor], count: int) -> list[float]:
    """Seconds of `count` passes, each waited for before the next begins."""
    times = []
    for _ in range(count):
        started = time.perf_counter()
        once()
        synchronise_device()
        times.append(time.perf_counter() - started)
    return times


def latencies(times: list[float], images: int) -> list[Metric]:
    mean = statistics.fmean(times)
    return [
        Metric("latency_median", 1000 * statistics.median(times), unit="ms"),
        Metric("latency_mean", 1000 * mean, unit="ms"),
        Metric("throughput", images / mean, unit="images/s"),
    ]


def costs(what: Subject, passes: Passes, config: LatencyConfig) -> list[Metric]:
    """Multiply-adds and parameters; on CUDA the memory of the passes, and how long the device stands still in them.

    A processor has no row of either: there the thread that waits is the one that works, and memory is the whole process's.
    """
    out = [Metric("macs", float(what.macs), unit="MACs/image"), Metric("parameters", float(what.parameters))]
    if what.device.type != "cuda":
        return out
    out.append(Metric("peak_memory", torch.cuda.max_memory_allocated() / 2**20, unit="MB"))
    queued = queued_seconds(passes.once, config.iterations)
    out.append(Metric("throughput_queued", config.batch / queued, unit="images/s"))
    busy = busy_seconds(passes.once)
    if busy is not None:
        out.append(Metric("device_idle", max(0.0, 1 - busy / queued), unit="fraction"))
    return out


def queued_seconds(once: Callable[[], Tensor], count: int) -> float:
    """Seconds a pass where the next is sent off before the last is done."""
    synchronise_device()
    started = time.perf_counter()
    for _ in range(count):
        once()
    synchronise_device()
    return (time.perf_counter() - started) / count


def busy_seconds(once: Callable[[], Tensor]) -> float | None:
    """Seconds a pass in which at least one kernel or copy runs on the device; None where the profiler saw none."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as seen:
        for _ in range(PROFILED):
            once()
        synchronise_device()
    ranges = device_ranges(seen.events())
    return covered(ranges) / 1e6 / PROFILED if ranges else None


def device_ranges(events: Iterable[Any]) -> list[tuple[float, float]]:
    """Start and end in microseconds of what ran on the device; a named region, which spans its gaps, is none."""
    return [
        (event.time_range.start, event.time_range.end)
        for event in events
        if event.device_type == torch.autograd.DeviceType.CUDA and not event.is_user_annotation
    ]


def covered(ranges: Iterable[tuple[float, float]]) -> float:
    """The length of the line that the ranges (start, end) cover together; what overlaps counts once."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(ranges):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def outcome(measured: Measured, config: LatencyConfig) -> Outcome:
    return Outcome(
        correct=int(measured.same.sum()),
        total=len(measured.same),
        loss=measured.loss,
        steps=config.iterations,
        metrics=measured.metrics,
    )
