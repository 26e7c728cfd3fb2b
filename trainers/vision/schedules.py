"""The rate from step to step or epoch to epoch, by torch's schedulers; and the rule that stops early."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR, ReduceLROnPlateau, StepLR

from trainers.vision.optimisers import scheduled


class Schedule:
    """torch's scheduler, asked after every step (cosine, one-cycle) or every epoch (step, plateau)."""

    def __init__(self, optimiser: Optimizer, config: Any, steps: int) -> None:
        """`config` are the keys `schedule.*`; `steps` are those of the whole run."""
        followed = scheduled(optimiser)
        rates = [group["lr"] for group in followed.param_groups]
        self.groups = followed.param_groups
        self.by_step: Any = None
        self.by_epoch: Any = None
        self.plateau: ReduceLROnPlateau | None = None
        if config.name == "step":
            self.by_epoch = StepLR(followed, config.step_size, config.gamma)
        elif config.name == "plateau":
            self.plateau = ReduceLROnPlateau(followed, factor=config.factor, patience=config.patience)
        elif config.name == "cosine":
            self.by_step = CosineAnnealingLR(followed, steps, eta_min=config.end * rates[0])
        elif config.name == "one-cycle":
            options = {"total_steps": steps, "pct_start": config.warmup, "cycle_momentum": False}
            self.by_step = OneCycleLR(followed, rates, **options) if steps > 1 else None
        self.left = steps

    @property
    def rate(self) -> float:
        """The rate of the first group."""
        return float(self.groups[0]["lr"])

    def after_step(self) -> None:
        self.left -= 1
        if self.by_step is not None and self.left > 0:
            self.by_step.step()

    def after_epoch(self, validation_loss: float | None) -> None:
        if self.by_epoch is not None:
            self.by_epoch.step()
        if self.plateau is not None and validation_loss is not None:
            self.plateau.step(validation_loss)


@dataclass
class Stopper:
    """Says after which epoch to stop: `patience` epochs in a row none of which was better than the best by more than `least`."""

    monitor: str
    patience: int
    least: float
    best: float = field(default=float("-inf"))
    waited: int = 0

    def after_epoch(self, loss: float | None, accuracy: float | None) -> bool:
        """Whether to stop now; a loss that is no number is no improvement."""
        value = {"loss": None if loss is None else -loss, "accuracy": accuracy}.get(self.monitor)
        if value is None:
            return False
        if value > self.best + self.least:
            self.best, self.waited = value, 0
        else:
            self.waited += 1
        return self.waited >= self.patience
