"""Trainer `classifier`: an ordinary image classifier, with every usual choice a key.

Five data sets, six networks, six optimisers and SAM over three of them, five schedules of the rate, a schedule of the batch
size, early stopping, four augmentations, 18 test-time views, and the settings that are said to make training faster:
workers, pinned memory, channels-last, mixed precision, torch.compile, matmul precision, cuDNN's benchmark.

What runs is in `classifier_recipe.py` and `vision/`, which need torch; this file declares the configuration and needs none.

On the clock: training with loading and augmentation, validation where a schedule or early stopping depends on it, and the
last evaluation. Off it: images into memory, building network and optimiser, compilation (in the warm-up that the harness
runs first), and validation that only informs.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.trainer import Clock, Outcome, knob

HERE = Path(__file__).parent
SIZES = {
    "mnist": (60_000, 10_000),
    "fashion-mnist": (60_000, 10_000),
    "cifar10": (50_000, 10_000),
    "cifar100": (50_000, 10_000),
    "oxford-iiit-pet": (3_680, 3_669),
}
"""Training and test images of each data set, so that a run's steps are known before its data are there."""
PRETRAINED = ("resnet18", "resnet50", "resnest14d", "resnest26d")
PARTS = ("tasks", "loading", "augmentation", "models", "bottleneck", "optimisers", "schedules", "views")
GRAPHS = ("reduce-overhead", "max-autotune")


@dataclass(frozen=True)
class Data:
    train_images: int = knob(0, compute=True, low=0, high=10_000_000, help="first images used to train; 0: all")
    validation_images: int = knob(
        0, compute=True, low=0, high=10_000_000, help="last training images held out to validate; 0: the test images"
    )
    test_images: int = knob(0, compute=True, low=0, high=10_000_000, help="first images used to test; 0: all")
    side: int = knob(0, compute=True, low=0, high=1024, help="images are resized once to side x side; 0: as stored")
    workers: int = knob(
        0, compute=True, low=0, high=256, help="processes that load and augment; 0: the images lie on the device"
    )
    pin_memory: bool | str = knob(
        False, compute=True, choices=(False, True, "auto"), help="page-locked host memory; auto: where there is CUDA"
    )
    persistent_workers: bool = knob(True, compute=True, help="workers live from epoch to epoch")
    non_blocking: bool = knob(True, compute=True, help="copies to the device do not wait (where memory is pinned)")
    cache: bool = knob(True, compute=True, help="images are kept as float32 in [0, 1], not converted for each batch")
    drop_last: bool = knob(False, compute=True, help="leave out the images that fill no whole batch")


@dataclass(frozen=True)
class Augmentation:
    flip: bool = knob(False, compute=True, help="RandomHorizontalFlip: mirror half of the images")
    crop: bool = knob(False, compute=True, help="RandomCrop: pad, and cut out a window at a random place")
    crop_padding: int = knob(4, compute=True, low=1, high=64, help="pixels on each side before the crop")
    padding: str = knob(
        "constant", compute=True, choices=("constant", "reflect"), help="what is padded: black, or mirrored"
    )
    jitter: bool = knob(False, compute=True, help="ColorJitter: random brightness, contrast and saturation")
    brightness: float = knob(0.2, low=0.0, high=1.0, help="largest change of brightness, as a fraction")
    contrast: float = knob(0.2, low=0.0, high=1.0, help="largest change of contrast, as a fraction")
    saturation: float = knob(0.2, low=0.0, high=1.0, help="largest change of saturation, as a fraction")
    erasing: bool = knob(False, compute=True, help="RandomErasing: a rectangle set to the mean colour")
    erasing_share: float = knob(0.5, low=0.0, high=1.0, help="share of the images that lose a rectangle")


@dataclass(frozen=True)
class Model:
    name: str = knob("resnet18", compute=True, choices=(*PRETRAINED, "mlp", "bottleneck"), help="the network")
    pretrained: bool = knob(False, compute=True, help="begin with ImageNet weights (timm's networks)")
    stem: str = knob(
        "auto", compute=True, choices=("auto", "imagenet", "small"), help="auto: small for images below 64 pixels"
    )
    hidden: tuple[int, ...] = knob((512, 256), compute=True, help="mlp: widths of its hidden layers")
    width: float = knob(1.0, compute=True, low=0.05, high=8.0, help="bottleneck: factor on the channels")
    depth: float = knob(1.0, compute=True, low=0.1, high=8.0, help="bottleneck: factor on the blocks of a stage")
    expansion: float = knob(6.0, compute=True, low=1.0, high=16.0, help="bottleneck: factor inside a block")


@dataclass(frozen=True)
class Optimiser:
    name: str = knob(
        "sgd", compute=True, choices=("sgd", "adam", "adamw", "muon", "rmsprop", "sam"), help="the optimiser"
    )
    base: str = knob("sgd", compute=True, choices=("sgd", "adam", "adamw"), help="sam: the optimiser under it")
    lr: float = knob(0.01, low=0.0, high=1e4, help="learning rate")
    weight_decay: float = knob(0.0, low=0.0, high=100.0, help="weight decay (decoupled in adamw and muon)")
    momentum: float = knob(0.0, low=0.0, high=0.9999, help="sgd, rmsprop: momentum")
    nesterov: bool = knob(False, compute=True, help="sgd: Nesterov's momentum")
    beta1: float = knob(0.9, low=0.0, high=0.9999, help="adam, adamw: decay of the mean gradient")
    beta2: float = knob(0.999, low=0.0, high=0.999999, help="adam, adamw: decay of the mean square")
    eps: float = knob(1e-8, low=0.0, high=1.0, help="adam, adamw, rmsprop: added to the denominator")
    alpha: float = knob(0.99, low=0.0, high=0.999999, help="rmsprop: decay of the mean square")
    rho: float = knob(0.05, low=0.0, high=10.0, help="sam: radius of the neighbourhood")
    muon_momentum: float = knob(0.95, low=0.0, high=0.9999, help="muon: Nesterov momentum")
    muon_steps: int = knob(5, compute=True, low=1, high=20, help="muon: Newton-Schulz iterations")
    muon_adam_lr: float = knob(3e-4, low=0.0, high=1e4, help="muon: rate of AdamW for norms, biases and the last layer")


@dataclass(frozen=True)
class Schedule:
    name: str = knob(
        "none", compute=True, choices=("none", "step", "plateau", "cosine", "one-cycle"), help="schedule of the rate"
    )
    step_size: int = knob(10, low=1, high=100_000, help="step: epochs between two reductions")
    gamma: float = knob(0.1, low=0.0, high=1.0, help="step: factor of a reduction")
    patience: int = knob(5, low=0, high=100_000, help="plateau: epochs without a better validation loss that are borne")
    factor: float = knob(0.1, low=0.0, high=0.9999, help="plateau: factor of a reduction")
    end: float = knob(0.0, low=0.0, high=1.0, help="cosine: last rate, as a fraction of optim.lr")
    warmup: float = knob(
        0.3, low=0.001, high=0.999, help="one-cycle: where the highest rate lies, as a fraction of all steps"
    )


@dataclass(frozen=True)
class BatchSchedule:
    max: int = knob(0, compute=True, low=0, high=1_000_000, help="batch size at the end; 0: it stays as it is")
    start: int = knob(1, compute=True, low=1, high=100_000, help="epoch (from 1) up to which the batch size stays")
    end: int = knob(2, compute=True, low=2, high=100_000, help="epoch at which the highest batch size is reached")
    every: int = knob(1, compute=True, low=1, high=100_000, help="epochs between two changes")


@dataclass(frozen=True)
class EarlyStopping:
    monitor: str = knob(
        "off", compute=True, choices=("off", "loss", "accuracy"), help="what must improve on validation"
    )
    patience: int = knob(10, compute=True, low=1, high=100_000, help="epochs without improvement after which it stops")
    least: float = knob(0.0, low=0.0, high=100.0, help="what counts as an improvement (nats, or a fraction)")


@dataclass(frozen=True)
class Evaluation:
    batch_size: int = knob(500, compute=True, low=1, high=100_000, help="images at once in validation and evaluation")
    validate: bool = knob(True, compute=True, help="validate after each epoch")
    views: int = knob(
        1, compute=True, evaluation=True, choices=(1, 2, 18), help="2: mirrored too; 18: nine shifts, each mirrored too"
    )
    shift: int = knob(1, evaluation=True, low=1, high=16, help="pixels of a shift in the 18 views")


@dataclass(frozen=True)
class ClassifierConfig:
    dataset: str = knob("cifar10", compute=True, choices=tuple(SIZES), help="the data set")
    epochs: int = knob(10, compute=True, low=1, high=100_000, help="passes over the training images, at most")
    batch_size: int = knob(128, compute=True, low=1, high=1_000_000, help="images in a step")
    label_smoothing: float = knob(0.0, low=0.0, high=0.99, help="probability spread evenly over all classes")
    channels_last: bool = knob(False, compute=True, help="memory order of images and filters")
    precision: str = knob(
        "fp32", compute=True, choices=("fp32", "fp16-mixed", "bf16-mixed"), help="fp16-mixed needs CUDA"
    )
    compile: str = knob("off", compute=True, choices=("off", "default", *GRAPHS), help="mode of torch.compile")
    matmul_precision: str = knob(
        "highest", compute=True, process=True, choices=("highest", "high", "medium"), help="of fp32 matrix products"
    )
    cudnn_benchmark: bool = knob(
        True, compute=True, process=True, help="cuDNN tries its algorithms and takes the fastest"
    )
    device: str = knob("auto", compute=True, choices=("auto", "cuda", "cpu"), help="auto: CUDA where there is one")
    data: Data = knob(Data())
    augment: Augmentation = knob(Augmentation())
    model: Model = knob(Model())
    optim: Optimiser = knob(Optimiser())
    schedule: Schedule = knob(Schedule())
    batch_schedule: BatchSchedule = knob(BatchSchedule())
    early_stopping: EarlyStopping = knob(EarlyStopping())
    evaluation: Evaluation = knob(Evaluation())


def batch_size_at(config: ClassifierConfig, epoch: int) -> int:
    """Images in a step of `epoch` (from 1): grows linearly from `batch_size` to `max`, changing only every so many epochs."""
    plan = config.batch_schedule
    if not plan.max or epoch < plan.start:
        return config.batch_size
    passed = (min(epoch, plan.end) - plan.start) // plan.every * plan.every
    return round(config.batch_size + (plan.max - config.batch_size) * passed / (plan.end - plan.start))


def steps_in(config: ClassifierConfig, images: int, epoch: int) -> int:
    """Optimiser steps of `epoch` (from 1) over so many images."""
    size = batch_size_at(config, epoch)
    return images // size if config.data.drop_last else -(-images // size)


def total_steps(config: ClassifierConfig, images: int) -> int:
    """Optimiser steps where nothing stops it early. Raises ValueError where an epoch has none."""
    steps = [steps_in(config, images, epoch) for epoch in range(1, config.epochs + 1)]
    if not all(steps):
        raise ValueError(f"an epoch of {images} images has no whole batch of {config.batch_size}: lower batch_size")
    return sum(steps)


def validation_decides(config: ClassifierConfig) -> bool:
    """Whether training depends on validation, which is then part of it, and on the clock."""
    return config.schedule.name == "plateau" or config.early_stopping.monitor != "off"


def refuse_without_cuda(config: ClassifierConfig) -> None:
    """Raises ValueError for what a machine without CUDA cannot do, or cannot do as it is meant."""
    here = "and there is no CUDA device here"
    if config.device == "cuda":
        raise ValueError(f"device = 'cuda', {here}; device = 'auto' takes what there is")
    if config.precision == "fp16-mixed":
        raise ValueError(f"precision = 'fp16-mixed' trains on CUDA only, {here}; use fp32 or bf16-mixed")
    if config.data.pin_memory is True:
        raise ValueError(f"data.pin_memory = true speeds up copies to an accelerator, {here}; set it to false or auto")
    if config.compile in GRAPHS:
        raise ValueError(f"compile = {config.compile!r} uses CUDA graphs, {here}; use off or default")
    if config.compile != "off" and not (os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")):
        raise ValueError(f"compile = {config.compile!r} needs a C++ compiler on a processor, and none is found (g++)")


class Classifier:
    """See the top of this file; the contract is `harness.trainer.Trainer`."""

    name = "classifier"
    Config = ClassifierConfig
    clock = "training with loading and augmentation, validation where training depends on it, evaluation"
    libraries = ("torch", "torchvision", "timm", "pytorch_optimizer", "numpy")
    own_process = False

    @property
    def sources(self) -> tuple[Path, ...]:
        return (
            Path(__file__),
            HERE / "classifier_recipe.py",
            HERE / "airbench94_recipe.py",
            *(HERE / "vision" / f"{part}.py" for part in PARTS),
        )

    @property
    def environ(self) -> Mapping[str, str]:
        """A number of threads that was set: on a processor times and the last bits depend on it."""
        threads = os.environ.get("OMP_NUM_THREADS")
        return {"OMP_NUM_THREADS": threads} if threads else {}

    @cached_property
    def recipe(self) -> ModuleType:
        from trainers import classifier_recipe

        return classifier_recipe

    def check_config(self, config: Mapping[str, Any]) -> None:
        """Keys that cannot work together, told before the first run (flat keys)."""
        optimiser = config["optim.base"] if config["optim.name"] == "sam" else config["optim.name"]
        if config["optim.nesterov"] and optimiser == "sgd" and not config["optim.momentum"]:
            raise ValueError("optim.nesterov needs optim.momentum above 0 (0.9 is usual)")
        if config["optim.name"] == "sam" and config["precision"] == "fp16-mixed":
            raise ValueError(
                "optim.name = 'sam' takes two gradients a step, which fp16's loss scaling does not follow: use bf16-mixed"
            )
        if config["model.pretrained"] and config["model.name"] not in PRETRAINED:
            raise ValueError(
                f"model.pretrained: there are no weights of {config['model.name']!r}; models that have them: {', '.join(PRETRAINED)}"
            )
        hidden = config["model.hidden"]
        if len(hidden) > 16 or not all(isinstance(width, int) and 0 < width <= 65_536 for width in hidden):
            raise ValueError(f"model.hidden is {hidden}: allowed are up to 16 whole numbers from 1 to 65536")
        top = config["batch_schedule.max"]
        if top and top < config["batch_size"]:
            raise ValueError(
                f"batch_schedule.max is {top}, below batch_size {config['batch_size']}; it must not be less"
            )
        if top and config["batch_schedule.end"] <= config["batch_schedule.start"]:
            start, end = config["batch_schedule.start"], config["batch_schedule.end"]
            raise ValueError(f"batch_schedule.end is {end}; it must come after batch_schedule.start {start}")
        if not config["evaluation.validate"] and (
            config["early_stopping.monitor"] != "off" or config["schedule.name"] == "plateau"
        ):
            raise ValueError(
                "evaluation.validate = false, and early_stopping.monitor or schedule.name = 'plateau' needs validation"
            )
        self._check_images(config)

    def _check_images(self, config: Mapping[str, Any]) -> None:
        """Numbers of images that the data set has not."""
        train, test = SIZES[config["dataset"]]
        held, wanted = config["data.validation_images"], config["data.train_images"]
        if held >= train or wanted + held > train:
            raise ValueError(
                f"data.train_images {wanted} and data.validation_images {held}: {config['dataset']} has {train} training images"
            )
        if config["data.test_images"] > test:
            raise ValueError(
                f"data.test_images is {config['data.test_images']}: {config['dataset']} has {test} test images"
            )

    def check_machine(self, config: ClassifierConfig) -> None:
        """Raises ValueError where this machine cannot run the configuration. Needs no torch."""
        from harness.provenance import visible_gpus

        if config.device == "cpu" or not visible_gpus(os.environ):
            refuse_without_cuda(config)

    def planned_steps(self, config: ClassifierConfig) -> int:
        train, _ = SIZES[config.dataset]
        return total_steps(config, config.data.train_images or train - config.data.validation_images)

    def prepare(self, config: ClassifierConfig) -> str:
        """Images into memory, weights where they are pretrained. Raises ValueError and DataError where it cannot run here."""
        return str(self.recipe.prepare(config))

    def train(self, config: ClassifierConfig, *, seed: int, clock: Clock) -> Any:
        return self.recipe.train(config, seed=seed, clock=clock)

    def evaluate(self, trained: Any, config: ClassifierConfig, *, clock: Clock) -> Outcome:
        return self.recipe.evaluate(trained, config, clock=clock)


TRAINER = Classifier()
