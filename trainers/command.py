"""Trainer `command`: any program, in any language, as an arm of an experiment.

    trainer = "command"
    [config]
    argv = ["python", "train.py", "--seed", "{seed}", "--lr", "{lr}"]
    lr = 0.1

`{seed}` and every other key of the configuration are filled into the arguments; the last line that the program
prints is read as JSON: an accuracy, [correct, total], or an object with `accuracy` or `correct` and `total`.
On the clock: the whole process, from its start to its end.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.foreign import CommandTrainer
from harness.trainer import knob


@dataclass(frozen=True)
class Config:
    argv: list[str] | str = knob("", help="the program and its arguments; {seed} and {key} are filled in")
    cwd: str = knob("", help="folder that it runs in; empty: the current one")


class Command(CommandTrainer):
    open_ended = True


TRAINER = Command(Config=Config)
