"""What trainer `airbench94` runs, on one page: network, augmentation, optimiser, schedule, Lookahead, test-time views.

Constants come from its configuration (`airbench94.py`); the paper is arXiv 2404.00498. Shapes: images on the device are
(n, height, width, 3), normalised views enter the network as (n, 3, height, width) in channels-last memory.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.trainer import Clock, Metric, Outcome, synchronise_device
from trainers.airbench94 import Airbench94Config, steps_per_epoch
from trainers.datasets.sets import CIFAR10

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)  # as the recipe rounds them
CLASSES, SIDE, PATCH = 10, 32, 2
EVALUATION_BATCH = {"cuda": 2000, "cpu": 250}  # on a processor what fits its cache takes half the time


# --- device, precision, data --------------------------------------------------------------------------------


def device_of(config: Any) -> torch.device:
    if config.device == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            "device = 'cuda', and torch sees no CUDA device here. `--preset cpu` asks the same question at a size that "
            "a processor can run; `--set device=auto` runs the full size on whatever there is (an hour a run)"
        )
    return torch.device(
        "cuda" if config.device == "cuda" or (torch.cuda.is_available() and config.device == "auto") else "cpu"
    )


def precision_of(config: Any) -> str:
    if config.precision == "auto":
        return "fp16" if device_of(config).type == "cuda" else "fp32"
    if config.precision == "fp16" and device_of(config).type == "cpu":
        raise ValueError("precision = 'fp16' trains on CUDA only; on a processor use fp32 or bf16")
    return str(config.precision)


def autocast(config: Any) -> AbstractContextManager[Any]:
    """bf16 keeps its weights in fp32 (seven bits of mantissa would lose the updates); fp16 casts the network instead."""
    if precision_of(config) != "bf16":
        return nullcontext()
    return torch.autocast(device_of(config).type, dtype=torch.bfloat16)


@contextmanager
def memory_in_words() -> Iterator[None]:
    """Too little memory, said so that its reader knows what to change."""
    try:
        yield
    except (torch.cuda.OutOfMemoryError, RuntimeError) as problem:
        if isinstance(problem, torch.cuda.OutOfMemoryError) or "allocate memory" in str(problem):
            raise MemoryError(
                "too little memory on the device; lower batch_size, model.widths or data.train_images, "
                f"or free what else runs there ({str(problem).splitlines()[0]})"
            ) from problem
        raise


@dataclass(frozen=True)
class Images:
    """CIFAR-10 on the device: images (n, 32, 32, 3) in [0, 1], labels (n,) int64."""

    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor
    hash: str
    moved_s: float  # what loading and moving took, off every clock


def images_on_device(config: Any) -> Images:
    """Loaded, cut to size and moved once a process."""
    with memory_in_words():
        device, dtype = device_of(config), torch.float16 if precision_of(config) == "fp16" else torch.float32
        return _images(config.data.train_images, config.data.test_images, config.data.transfer, device, dtype)


@lru_cache(maxsize=4)
def _images(train: int, test: int, transfer: str, device: torch.device, dtype: torch.dtype) -> Images:
    arrays, data_hash = CIFAR10.load()
    synchronise_device()
    started = time.perf_counter()

    def moved(name: str, count: int) -> Tensor:
        tensor = torch.from_numpy(arrays[name][:count])
        if transfer == "non-blocking" and device.type == "cuda":
            return tensor.pin_memory().to(device, non_blocking=True)
        return tensor.to(device)

    train_x, test_x = (
        moved(f"{part}_images", count).to(dtype) / 255 for part, count in (("train", train), ("test", test))
    )
    train_y, test_y = (moved(f"{part}_labels", count).long() for part, count in (("train", train), ("test", test)))
    if (train, test) != (50_000, 10_000):
        data_hash = f"{data_hash}:{train}+{test}"  # another number of images is another task
    synchronise_device()
    return Images(train_x, train_y, test_x, test_y, data_hash, time.perf_counter() - started)


def normalised(images: Tensor) -> Tensor:
    mean, std = (torch.tensor(values, device=images.device, dtype=images.dtype) for values in (MEAN, STD))
    return (images - mean) / std


def as_input(images: Tensor) -> Tensor:
    """(n, height, width, 3) as (n, 3, height, width), without moving memory: channels last."""
    return images.permute(0, 3, 1, 2)


# --- network ------------------------------------------------------------------------------------------------


class Scale(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


class ConvGroup(nn.Module):
    """Convolution, pooling, norm, GELU, convolution, norm, GELU; with `residual` the pooled input joins before the last."""

    def __init__(self, inputs: int, outputs: int, *, residual: bool, norm_momentum: float) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding="same", bias=False)
        self.pool = nn.MaxPool2d(2)
        self.norm1 = nn.BatchNorm2d(outputs, eps=1e-12, momentum=norm_momentum)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding="same", bias=False)
        self.norm2 = nn.BatchNorm2d(outputs, eps=1e-12, momentum=norm_momentum)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, bias=False) if residual else None
        self.activation = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        out = self.norm2(self.conv2(self.activation(self.norm1(self.pool(self.conv1(x))))))
        if self.shortcut is not None:
            out = out + self.shortcut(self.pool(x))
        return self.activation(out)


def build(config: Any, generator: torch.Generator) -> nn.Sequential:
    """The network with its initial weights drawn from `generator`; whitening comes later, from the images."""
    whitened = 2 * 3 * PATCH**2
    widths = (whitened, *config.model.widths)
    groups = [
        ConvGroup(inputs, outputs, residual=config.model.residual, norm_momentum=config.model.norm_momentum)
        for inputs, outputs in pairwise(widths)
    ]
    network = nn.Sequential(
        nn.Conv2d(3, whitened, PATCH, padding=0, bias=True),
        nn.GELU(),
        *groups,
        nn.MaxPool2d(31 // 2 ** len(groups)),
        nn.Flatten(),
        nn.Linear(widths[-1], CLASSES, bias=False),
        Scale(config.model.scale),
    )
    initialise(network, generator)
    network.to(device_of(config), memory_format=torch.channels_last)
    if precision_of(config) == "fp16":
        network.half()
        for norm in norms(network):
            norm.float()
    return network


@torch.no_grad()
def initialise(network: nn.Sequential, generator: torch.Generator) -> None:
    """torch's default, drawn explicitly, then the identity on the first filters of every 3x3 convolution."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            bound = 1 / math.sqrt(module.weight[0].numel())
            module.weight.uniform_(-bound, bound, generator=generator)
            if module.bias is not None:
                module.bias.zero_()
        if isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3):
            nn.init.dirac_(module.weight[: module.in_channels])
    for norm in norms(network):
        norm.weight.requires_grad_(False)
    network[0].weight.requires_grad_(False)


def norms(network: nn.Module) -> list[nn.BatchNorm2d]:
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


@torch.no_grad()
def whiten(first: nn.Conv2d, images: Tensor, epsilon: float) -> None:
    """Set the filters of `first` to the eigenvectors of the images' patch covariance, over its spread, and their negatives.

    images (n, 3, height, width), normalised.
    """
    size = first.kernel_size[0]
    patches = images.float().unfold(2, size, 1).unfold(3, size, 1).permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(0, 2)
    values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
    filters = (vectors / torch.sqrt(values + epsilon)).T.reshape(-1, 3, size, size)
    first.weight.copy_(torch.cat([filters, -filters]))


# --- augmentation -------------------------------------------------------------------------------------------


class Epochs:
    """The training images of each epoch, moved and mirrored anew, in random order."""

    prepared_s: float | None = None
    """With `static`: seconds on the clock for what could be done before it starts."""

    def __init__(self, images: Tensor, labels: Tensor, config: Any, generator: torch.Generator) -> None:
        self.augment, self.generator, self.labels = config.augment, generator, labels
        started = time.perf_counter()
        images = normalised(images)
        if self.augment.flip == "alternating":
            images = mirrored_where(self._coin(len(images)), images)
        self.padded = pad(images, self.augment.translate)
        self.mirrored = self.padded.flip(2).contiguous() if self.augment.static else None
        if self.augment.static:
            synchronise_device()
            self.prepared_s = time.perf_counter() - started

    def epoch(self, number: int) -> tuple[Tensor, Tensor]:
        """All images (n, 32, 32, 3) and labels (n,) of epoch `number`."""
        odd = self.augment.flip == "alternating" and number % 2 == 1
        images = self.mirrored if odd and self.mirrored is not None else self.padded
        reach = 2 * self.augment.translate + 1
        shifts = torch.randint(reach, (len(images), 2), generator=self.generator, device=images.device)
        images = crop(images, shifts) if self.augment.translate else images
        if odd and self.mirrored is None:
            images = images.flip(2)
        if self.augment.flip == "random":
            images = mirrored_where(self._coin(len(images)), images)
        return images, self.labels

    def order(self) -> Tensor:
        return torch.randperm(len(self.labels), generator=self.generator, device=self.labels.device)

    def _coin(self, count: int) -> Tensor:
        return torch.rand(count, generator=self.generator, device=self.labels.device) < 0.5


def mirrored_where(chosen: Tensor, images: Tensor) -> Tensor:
    return torch.where(chosen[:, None, None, None], images.flip(2), images)


def pad(images: Tensor, pixels: int) -> Tensor:
    """Reflected at the edges: (n, h, w, c) becomes (n, h + 2 pixels, w + 2 pixels, c)."""
    if pixels == 0:
        return images
    return F.pad(as_input(images), (pixels,) * 4, mode="reflect").permute(0, 2, 3, 1).contiguous()


def crop(padded: Tensor, shifts: Tensor, side: int = SIDE) -> Tensor:
    """The window of each image that begins at its shift: padded (n, h, w, c), shifts (n, 2), result (n, side, side, c)."""
    windows = padded.unfold(1, side, 1).unfold(2, side, 1)  # (n, places, places, c, side, side), a view
    return windows[torch.arange(len(padded), device=padded.device), shifts[:, 0], shifts[:, 1]].permute(0, 2, 3, 1)


# --- optimiser ----------------------------------------------------------------------------------------------


def triangle(steps: int, start: float, end: float, peak: float) -> Tensor:
    """`steps + 1` fractions of the highest rate: from `start` to 1 in int(peak * steps) steps, then down to `end`."""
    top = int(peak * steps)
    up = start + (1 - start) * torch.arange(top, dtype=torch.float64) / max(1, top)
    return torch.cat([up, torch.linspace(1.0, end, steps - top + 1, dtype=torch.float64)])


def sgd(network: nn.Sequential, config: Any) -> torch.optim.SGD:
    """Nesterov SGD on the summed loss; rate and decay decoupled from momentum and batch size (the paper's section 3)."""
    kilostep = 1024 * (1 + 1 / (1 - config.optim.momentum))
    rate, decay = config.lr.max / kilostep, config.optim.weight_decay * config.batch_size / kilostep
    norm_rate = rate * config.optim.bias_scaler
    norm_biases = [norm.bias for norm in norms(network)]
    skip = {id(p) for p in norm_biases}
    others = [p for p in network.parameters() if p.requires_grad and id(p) not in skip]
    groups = [
        {"params": params, "lr": lr, "initial_lr": lr, "weight_decay": decay / lr if lr else 0.0}
        for params, lr in ((norm_biases, norm_rate), (others, rate))
    ]
    return torch.optim.SGD(groups, momentum=config.optim.momentum, nesterov=config.optim.momentum > 0, fused=True)


class SlowWeights:
    """Lookahead (Zhang et al. 2019) over all floating-point state, the norms' running statistics included."""

    def __init__(self, network: nn.Module) -> None:
        self.fast = [v for v in network.state_dict().values() if v.is_floating_point()]
        self.slow = [v.clone() for v in self.fast]

    @torch.no_grad()
    def update(self, decay: float) -> None:
        """slow = decay * slow + (1 - decay) * fast, and the network takes them."""
        if decay < 1:
            torch._foreach_lerp_(self.slow, self.fast, 1 - decay)
        torch._foreach_copy_(self.fast, self.slow)


def decays(steps: int, config: Any) -> Tensor:
    """Lookahead's decay after each number of steps, (steps + 1,)."""
    progress = torch.arange(steps + 1, dtype=torch.float64) / steps
    return config.lookahead.alpha * (progress**3 if config.lookahead.schedule == "cubic" else torch.ones_like(progress))


# --- training and evaluation --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trained:
    network: nn.Module
    steps: int
    epochs: float
    metrics: tuple[Metric, ...]


def train(config: Airbench94Config, steps: int, *, seed: int, clock: Clock) -> Trained:
    """One network from `seed` alone."""
    with memory_in_words():
        data, device = images_on_device(config), device_of(config)
        torch.backends.cudnn.benchmark = True
        generator = torch.Generator(device).manual_seed(seed)
        network = build(config, torch.Generator().manual_seed(seed))
        optimiser = sgd(network, config)
        forward = network if config.compile == "off" else torch.compile(network, mode=config.compile)
        with clock.running():
            losses, static_s = fit(network, forward, optimiser, data, config, steps, generator)
        metrics = [Metric("train_loss", loss, step=step, unit="nats") for step, loss in losses]
        metrics.append(Metric("data_to_device", data.moved_s, unit="s"))
        if static_s is not None:
            metrics.append(Metric("static_transforms", static_s, unit="s"))
        return Trained(forward, steps, steps / steps_per_epoch(config), tuple(metrics))


def fit(
    network: nn.Sequential,
    forward: Any,
    optimiser: torch.optim.SGD,
    data: Images,
    config: Any,
    steps: int,
    generator: torch.Generator,
) -> tuple[list[tuple[int, float]], float | None]:
    """Whitening, then `steps` steps. Returns (steps done, mean loss an example) of each epoch; `Epochs.prepared_s`."""
    whiten(network[0], as_input(normalised(data.train_x[: config.whiten.images])), config.whiten.epsilon)
    epochs = Epochs(data.train_x, data.train_y, config, generator)
    per_epoch, size = steps_per_epoch(config), config.batch_size
    rates = triangle(steps, config.lr.start, config.lr.end, config.lr.peak).tolist()
    slow = None if config.lookahead.schedule == "off" else SlowWeights(network)
    decay = decays(steps, config).tolist()
    network.train()
    told: list[tuple[int, Tensor]] = []
    for step in range(steps):
        number, place = divmod(step, per_epoch)
        if place == 0:
            images, labels = epochs.epoch(number)
            order, total = epochs.order(), torch.zeros((), device=labels.device)
            network[0].bias.requires_grad_(number < config.whiten.bias_epochs)
        for group in optimiser.param_groups:
            group["lr"] = group["initial_lr"] * rates[step]
        chosen = order[place * size : (place + 1) * size]
        with autocast(config):
            logits = forward(as_input(images[chosen]))
            loss = F.cross_entropy(
                logits, labels[chosen], label_smoothing=config.label_smoothing, reduction="none"
            ).sum()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        total += loss.detach()
        if slow is not None and step + 1 == steps:
            slow.update(1.0)
        elif slow is not None and (step + 1) % config.lookahead.k == 0:
            slow.update(decay[step + 1])
        if place == per_epoch - 1 or step == steps - 1:
            told.append((step + 1, total / ((place + 1) * size)))
    return [(step, value.item()) for step, value in told], epochs.prepared_s


@torch.no_grad()
def evaluate(trained: Trained, config: Any, *, clock: Clock) -> Outcome:
    """Accuracy on the test images with the configured views; the accuracy of the plain view is told beside it."""
    data = images_on_device(config)
    trained.network.eval()
    with memory_in_words(), clock.running(), autocast(config):
        logits = views(trained.network, as_input(normalised(data.test_x)), config.tta.level, config.tta.weight)
        loss = F.cross_entropy(logits, data.test_y)
        right = logits.argmax(1) == data.test_y
        correct = int(right.sum())
    return Outcome(
        correct=correct,
        total=len(right),
        loss=loss.item() if math.isfinite(loss.item()) else None,
        steps=trained.steps,
        epochs=trained.epochs,
        metrics=trained.metrics,
        correct_mask=right.cpu().numpy(),
    )


def views(network: nn.Module, images: Tensor, level: int, weight: float) -> Tensor:
    """Logits (n, 10) in fp32: plain; averaged with the mirror image; and with two diagonal shifts by one pixel as well."""

    def plain(x: Tensor) -> Tensor:
        return network(x.contiguous(memory_format=torch.channels_last)).float()

    def mirror(x: Tensor) -> Tensor:
        return plain(x) if level == 0 else 0.5 * plain(x) + 0.5 * plain(x.flip(3))

    def translated(x: Tensor) -> Tensor:
        if level < 2:
            return mirror(x)
        wide, side = F.pad(x, (1, 1, 1, 1), mode="reflect"), x.shape[-1]
        moved = (mirror(wide[:, :, 0:side, 0:side]) + mirror(wide[:, :, 2 : side + 2, 2 : side + 2])) / 2
        return weight * mirror(x) + (1 - weight) * moved

    return torch.cat([translated(batch) for batch in images.split(EVALUATION_BATCH[images.device.type])])
