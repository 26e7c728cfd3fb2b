"""Images per second of trainer `classifier` beside a straightforward script of the same work, interleaved in one run.

    python -m benchmarks.classifier_throughput [--rounds 9] [--model mlp] [--images 4000] [--epochs 2] [--workers 2]

The same network, batch size, augmentation (mirror, crop), loss and optimiser on real CIFAR-10, three ways:

script    what a tutorial does: a torchvision-style data set of PIL images, transforms v2 image by image, a DataLoader
workers   the trainer with as many loader processes
device    the trainer with its images on the device, augmented a batch at a time (data.workers = 0)

Each round runs all three in random order; the time is that of the epochs, the start of the processes included. Told are images
per second (median) and the ratio to the script: geometric mean over the rounds, with its 95 % interval (t, rounds as blocks).
A small network shows the loading; with a large one (--model resnet18) the three come closer, as the network takes the time.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from scipy import stats
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from harness.plugins import build_config, knobs_of
from harness.trainer import Clock
from trainers import classifier_recipe as recipe
from trainers.classifier import TRAINER, ClassifierConfig
from trainers.vision.tasks import Task

BATCH = 128


class Pictures(Dataset[Any]):
    """What torchvision's CIFAR10 is: a PIL image for each place, and its transform."""

    def __init__(self, found: Task) -> None:
        self.images, self.labels = found.train.images.numpy(), found.train.labels.tolist()
        self.transform = v2.Compose(
            [
                v2.RandomHorizontalFlip(),
                v2.RandomCrop(found.side, padding=4),
                v2.ToImage(),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize(found.mean, found.std),
            ]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, place: int) -> tuple[Any, int]:
        return self.transform(Image.fromarray(self.images[place])), self.labels[place]


def script(config: ClassifierConfig) -> float:
    """Seconds of the straightforward loop."""
    found, device = recipe.task_of(config), recipe.device_of(config)
    network = recipe.network_of(config, found, 0)[0]
    optimiser = torch.optim.SGD(network.parameters(), lr=config.optim.lr)
    started = time.perf_counter()
    loader = DataLoader(
        Pictures(found), BATCH, shuffle=True, num_workers=config.data.workers, persistent_workers=True, pin_memory=device.type == "cuda"
    )  # fmt: skip
    network.train()
    for _ in range(config.epochs):
        total, right = torch.zeros((), device=device), torch.zeros((), device=device)
        for images, labels in loader:
            images, labels = images.to(device, non_blocking=True), labels.to(device, non_blocking=True)
            optimiser.zero_grad()
            logits = network(images)
            loss = F.cross_entropy(logits, labels)
            loss.backward()
            optimiser.step()
            total += loss.detach()
            right += (logits.argmax(1) == labels).sum()
        total.item(), right.item()
    return time.perf_counter() - started


def trainer(config: ClassifierConfig) -> float:
    """Seconds on the trainer's clock."""
    clock = Clock()
    TRAINER.train(config, seed=0, clock=clock)
    return clock.elapsed_s or math.nan


def configuration(arguments: argparse.Namespace, workers: int) -> ClassifierConfig:
    keys = {key: knob.default for key, knob in knobs_of(ClassifierConfig).items()}
    keys |= {
        "model.name": arguments.model,
        "model.hidden": (64,),
        "data.train_images": arguments.images,
        "data.test_images": 100,
        "data.workers": workers,
        "data.pin_memory": workers > 0 and torch.cuda.is_available(),
        "epochs": arguments.epochs,
        "batch_size": BATCH,
        "augment.flip": True,
        "augment.crop": True,
        "evaluation.validate": False,
    }
    made: ClassifierConfig = build_config(ClassifierConfig, keys)
    TRAINER.prepare(made)
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--model", default="mlp")
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    with_workers, on_device = configuration(arguments, arguments.workers), configuration(arguments, 0)
    ways: dict[str, Callable[[], float]] = {
        "script": lambda: script(with_workers),
        "workers": lambda: trainer(with_workers),
        "device": lambda: trainer(on_device),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    draw = random.Random(0)
    for round_number in range(-1, arguments.rounds):
        for name in draw.sample(sorted(ways), len(ways)):
            taken = ways[name]()
            if round_number >= 0:  # the first round warms everything up
                seconds[name].append(taken)
    seen = arguments.images * arguments.epochs
    print(
        f"{arguments.model}, {seen:,} images of CIFAR-10 in batches of {BATCH}, {arguments.workers} workers, {arguments.rounds} rounds"
    )
    for name, times in seconds.items():
        logs = [math.log(base / own) for base, own in zip(seconds["script"], times, strict=True)]
        mean = statistics.fmean(logs)
        reach = (
            0.0
            if name == "script"
            else stats.t.ppf(0.975, len(logs) - 1) * statistics.stdev(logs) / math.sqrt(len(logs))
        )
        low, high = math.exp(mean - reach), math.exp(mean + reach)
        rate = seen / statistics.median(times)
        print(f"{name:<8} {rate:>9,.0f} images/s   {math.exp(mean):.2f}× the script's rate [{low:.2f}, {high:.2f}]")


if __name__ == "__main__":
    main()
