"""The contract between the harness and a trainer, and the clock that the harness owns.

A trainer is an object with the attributes of `Trainer`. Its configuration is a frozen dataclass whose
fields are declared with `knob(...)`, so that what a key may be, whether it changes the amount of work,
and whether it acts at evaluation only can be read without running (or importing) anything heavy. Nested
dataclasses give dotted keys (`lr.end`). This module never imports torch.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

__all__ = ["Clock", "Metric", "Outcome", "Trainer", "knob"]


def knob(
    default: Any,
    *,
    compute: bool = False,
    evaluation: bool = False,
    process: bool = False,
    low: float | None = None,
    high: float | None = None,
    choices: Sequence[Any] | None = None,
    help: str = "",  # noqa: A002 - the word that users of dataclasses and click expect
) -> Any:
    """A configuration field with what the harness must know of it.

    compute     the value decides how much work is done or how (batch, steps, precision): part of `compute_hash`
    evaluation  the value acts at evaluation only: arms that differ in nothing else share one training
    process     the value is set once in a process: arms that differ in it get a process each
    low, high   inclusive range of a number;  choices  the allowed values
    """
    facts = {
        "compute": compute,
        "evaluation": evaluation,
        "process": process,
        "low": low,
        "high": high,
        "choices": tuple(choices) if choices is not None else None,
        "help": help,
    }
    if dataclasses.is_dataclass(default) or isinstance(default, list | dict):
        return dataclasses.field(default_factory=lambda: default, metadata=facts)
    return dataclasses.field(default=default, metadata=facts)


@dataclass(frozen=True)
class Metric:
    """One value of the long table `metrics.csv`."""

    metric: str
    value: float
    step: int | None = None
    unit: str = ""


@dataclass(frozen=True)
class Outcome:
    """What one run gave: `correct` of `total` test examples, or an `accuracy` where only that is known.

    `correct_mask` is a boolean array (total,) of which examples were right.
    """

    correct: int | None = None
    total: int | None = None
    accuracy: float | None = None
    loss: float | None = None
    steps: int | None = None
    epochs: float | None = None
    metrics: tuple[Metric, ...] = ()
    correct_mask: Any = None


def synchronise_device() -> None:
    """Wait for the accelerator, where the trainer has loaded torch and uses one."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.synchronize()


class Clock:
    """The harness's stopwatch: it runs only inside `with clock.running():`, and synchronises the device at both ends.

    It may be entered several times; the seconds add up. Entering it inside itself is an error.
    """

    def __init__(
        self, now: Callable[[], float] = time.perf_counter, synchronise: Callable[[], None] = synchronise_device
    ) -> None:
        self._now = now
        self._synchronise = synchronise
        self._elapsed = 0.0
        self._entered = 0
        self._inside = False

    @contextmanager
    def running(self) -> Iterator[None]:
        if self._inside:
            raise RuntimeError("the clock is running already: `with clock.running():` must not be nested")
        self._inside = True
        self._entered += 1
        self._synchronise()
        start = self._now()
        try:
            yield
        finally:
            self._synchronise()
            self._elapsed += self._now() - start
            self._inside = False

    @property
    def elapsed_s(self) -> float | None:
        """Seconds on the clock, or None where it was never started."""
        return self._elapsed if self._entered else None


@runtime_checkable
class Trainer(Protocol):
    """What a plugin provides (entry point group `harness.trainers`, or a path).

    name        how users call it
    Config      frozen dataclass of `knob` fields
    clock       what is on the clock, in words: "training, evaluation"; two clocks are never compared as one
    sources     the trainer's own source files, hashed into `code_hash`
    libraries   distributions whose version may change the result: part of the environment's fingerprint
    environ     environment variables that its process must start with (thread counts, ...)
    own_process True where no two of its arms may share a process
    """

    @property
    def name(self) -> str: ...
    @property
    def Config(self) -> type[Any]: ...
    @property
    def clock(self) -> str: ...
    @property
    def sources(self) -> Sequence[Path]: ...
    @property
    def libraries(self) -> Sequence[str]: ...
    @property
    def environ(self) -> Mapping[str, str]: ...
    @property
    def own_process(self) -> bool: ...

    # Optional: `planned_steps(config) -> int`, the optimiser steps of a run, or ValueError where keys do not go together.
    # It is asked before the first run, so that two lengths that come to the same are told in time.
    # Optional: `check_machine(config)`, ValueError where this machine cannot run the configuration (a precision or a mode that its
    # device has not). It is asked before the first run, too, in the process of the command: it must not load anything heavy.

    def prepare(self, config: Any) -> str | None:
        """Untimed: load data, build what is built once, compile. Returns the hash of the data, where known."""

    def train(self, config: Any, *, seed: int, clock: Clock) -> Any:
        """Train one network from `seed` alone; same seed, same network to the last bit, whatever ran before."""

    def evaluate(self, trained: Any, config: Any, *, clock: Clock) -> Outcome:
        """Score what `train` returned. Must not change it: several arms may be scored on one training."""
