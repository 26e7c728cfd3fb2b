"""Somebody's own function or program as a trainer: nothing in it needs to know of the harness."""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

from harness.errors import nearest
from harness.processes import TAIL_BYTES, die_with_parent
from harness.trainer import Clock, Metric, Outcome

FUNCTION_CLOCK = "the whole call of the user's function"
PROCESS_CLOCK = "the whole process, from its start to its end"
KNOWN = ("correct", "total", "accuracy", "loss", "steps", "epochs")
SHAPE = "an accuracy in [0, 1], a pair (correct, total), or a dict with 'accuracy' or 'correct' and 'total'"
STATED = re.compile(
    r"accuracy *[:= ] *(?P<number>[0-9]+\.?[0-9]*(?:e[+-]?[0-9]+)?|\.[0-9]+) *(?P<percent>%)?", re.IGNORECASE | re.ASCII
)
"""The words that a script may end with: `accuracy 0.9402`, `Accuracy: 94.02 %`; a percentage has its sign."""
LAST_LINE = (
    'print a last line such as {"correct": 9402, "total": 10000}, 0.9402 or accuracy: 94.02 %, '
    "or give the file a function train(seed) that returns one of these"
)
REFUSED_ARGUMENTS = (
    "it refuses its arguments: every key (--set, [config]) must be an option of the program, with a value that it takes"
)
NOT_ITS_ARGUMENTS = re.compile(
    r"unrecogni[sz]ed arguments?|no such option|unknown option|invalid (?:choice|value|\w+ value)|expected .*argument|ambiguous option|"
    r"arguments? (?:is|are) required|ignored explicit argument",
    re.IGNORECASE,
)
"""What argparse, click and getopt say of a command line that they do not take (exit status 2)."""


def outcome_from(result: Any) -> Outcome:
    """What a function returned, or a program printed, as an Outcome. Raises ValueError that says what is allowed."""
    if isinstance(result, Outcome):
        return result
    if isinstance(result, bool) or result is None:
        raise ValueError(f"the result is {result!r}; allowed is {SHAPE}")
    if isinstance(result, Mapping):
        return _from_mapping(result)
    if isinstance(result, Sequence) and not isinstance(result, str) and len(result) == 2:
        return _from_mapping({"correct": result[0], "total": result[1]})
    return _from_mapping({"accuracy": result})


def _from_mapping(result: Mapping[str, Any]) -> Outcome:
    if "accuracy" not in result and not {"correct", "total"} <= result.keys():
        found = ", ".join(map(str, result)) or "nothing"
        raise ValueError(f"the result has {found}; allowed is {SHAPE}")
    values = {key: _number(key, result[key]) for key in KNOWN if result.get(key) is not None}
    metrics = tuple(
        Metric(str(k), float(v)) for k, v in result.items() if k not in KNOWN and isinstance(v, int | float)
    )
    whole = {k: int(values[k]) for k in ("correct", "total", "steps") if k in values}
    rest = {k: values[k] for k in ("accuracy", "loss", "epochs") if k in values}
    return Outcome(**whole, **rest, metrics=metrics)  # type: ignore[arg-type]


def _number(key: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError) as problem:
        raise ValueError(f"{key} is {value!r}, which is not a number; allowed is {SHAPE}") from problem
    if key in ("correct", "total", "steps") and (not math.isfinite(number) or number != int(number)):
        raise ValueError(f"{key} is {value!r}; it must be a whole number")
    return number


@dataclass(frozen=True)
class FunctionTrainer:
    """A function `train(seed, **config)` of a user's file."""

    path: Path
    function: Callable[..., Any]
    clock: str = FUNCTION_CLOCK
    Config: type[Any] = dict
    libraries: Sequence[str] = ()
    own_process: bool = False

    @property
    def name(self) -> str:
        return f"{self.path.name}:{self.function.__name__}"

    @property
    def sources(self) -> Sequence[Path]:
        return (self.path,)

    @property
    def environ(self) -> Mapping[str, str]:
        return {}

    def prepare(self, config: Mapping[str, Any]) -> None:
        return None

    def train(self, config: Mapping[str, Any], *, seed: int, clock: Clock) -> Any:
        with clock.running():
            return self.function(seed=seed, **config)

    def evaluate(self, trained: Any, config: Mapping[str, Any], *, clock: Clock) -> Outcome:
        return outcome_from(trained)


@dataclass(frozen=True)
class CommandTrainer:
    """Any program: `{seed}` and `{key}` in its arguments are filled in, its last line of output is read by `printed`.

    `argv` None: it comes from the configuration key `argv`. Else every key is appended as an option of its own.
    """

    name: str = "command"
    argv: tuple[str, ...] | None = None
    sources: Sequence[Path] = ()
    clock: str = PROCESS_CLOCK
    Config: type[Any] = dict
    libraries: Sequence[str] = ()
    own_process: bool = True

    @property
    def environ(self) -> Mapping[str, str]:
        return {}

    def check_config(self, config: Mapping[str, Any]) -> None:
        """Raises ValueError where `argv` is missing, or a placeholder in it is no key of the configuration."""
        settings = _settings(config)
        for word in self._words(config):
            for found in PLACEHOLDER.finditer(word):
                key = found["key"]
                if key and key not in settings and key != "seed":
                    raise ValueError(
                        f"the argument {word!r} holds {{{key}}}, which is no key of the configuration. "
                        f"{nearest(key, ['seed', *settings])} Write {{{{{key}}}}} where the program itself is to see {{{key}}}."
                    )

    def call_text(self, config: Mapping[str, Any]) -> str:
        """The command line, with SEED where the seed will stand."""
        values = {key: _text(value) for key, value in _settings(config).items()} | {"seed": "SEED"}
        return shlex.join([_fill(word, values) for word in self._words(config)])

    def prepare(self, config: Mapping[str, Any]) -> None:
        return None

    def train(self, config: Mapping[str, Any], *, seed: int, clock: Clock) -> str:
        argv = self._filled(config, seed)
        environ = os.environ | {"SEED": str(seed), "HARNESS_SEED": str(seed)}
        cwd = config.get("cwd") or None
        try:
            with clock.running():
                child = subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    env=environ,
                    cwd=cwd,
                    preexec_fn=die_with_parent,
                )
                said: list[str] = []
                listener = threading.Thread(target=lambda: said.append(_drain(child.stderr, lines=3)))
                listener.start()
                with child:  # its end closes both pipes, so they are read to the end before
                    last = _drain(child.stdout)
                    listener.join()
        except FileNotFoundError as problem:
            raise RuntimeError(
                f"there is no program or folder {problem.filename!r}; check 'argv' and 'cwd'"
            ) from problem
        if child.returncode != 0:
            words = f"it said on standard error: {said[0]}" if said[0] else f"it printed last: {last}"
            if child.returncode == 2 and NOT_ITS_ARGUMENTS.search(said[0]):
                words += f"; {REFUSED_ARGUMENTS}"
            raise RuntimeError(f"{shlex.join(argv)} ended with exit status {child.returncode}; {words}")
        return last

    def evaluate(self, trained: str, config: Mapping[str, Any], *, clock: Clock) -> Outcome:
        return outcome_from(printed(trained))

    def _filled(self, config: Mapping[str, Any], seed: int) -> list[str]:
        settings = _settings(config)
        values = {key: _text(value) for key, value in settings.items()} | {"seed": str(seed)}
        extra = options_of(settings) if self.argv else []
        return [_fill(word, values) for word in self._words(config)] + extra

    def _words(self, config: Mapping[str, Any]) -> list[str]:
        if self.argv is not None:
            return list(self.argv)
        given = config.get("argv")
        words = shlex.split(given) if isinstance(given, str) else [str(word) for word in given or ()]
        if not words:
            raise ValueError(
                "the key 'argv' is missing: it is the program with its arguments, e.g. "
                '["python", "train.py", "--seed", "{seed}"]'
            )
        return words


PLACEHOLDER = re.compile(r"\{\{(?P<kept>[A-Za-z_][\w.-]*)\}\}|(?<![$\\])\{(?P<key>[A-Za-z_][\w.-]*)\}")
"""`{key}`, and `{{key}}` for braces that the program is to see; `${key}` is the shell's."""


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in config.items() if k not in ("argv", "cwd")}


def _fill(word: str, values: Mapping[str, str]) -> str:
    """Replace `{key}` by its value; other braces of a program's own (`{"a": 1}`, `${HOME}`) stay as they are."""

    def value(found: re.Match[str]) -> str:
        return "{" + found["kept"] + "}" if found["kept"] else values.get(found["key"], found[0])

    return PLACEHOLDER.sub(value, word)


def options_of(settings: Mapping[str, Any]) -> list[str]:
    """Every key as an option of a script: `--lr 0.1`; true is the bare `--amp`, false is left out."""
    parts: list[str] = []
    for key, value in settings.items():
        if value is not False:
            parts += [f"--{key}"] if value is True else [f"--{key}", _text(value)]
    return parts


def printed(line: str) -> Any:
    """What a program's last line of output says: JSON, or `accuracy` and a number. Raises ValueError that says what is allowed."""
    if not line:
        raise ValueError(f"the program printed nothing; {LAST_LINE}")
    stated = STATED.fullmatch(line)
    if stated is None:
        try:
            return json.loads(line)
        except ValueError as problem:
            raise ValueError(
                f"the last line of output is {line[:120]!r}, which tells no accuracy; {LAST_LINE}"
            ) from problem
    number = Decimal(stated["number"])
    if stated["percent"]:
        return float(number / 100)
    if number > 1:
        raise ValueError(
            f"the last line of output is {line[:120]!r}; allowed is a fraction from 0 to 1, or a percentage with its % sign"
        )
    return float(number)


def _text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, bool | list) else str(value)


def _drain(stream: IO[bytes] | None, *, lines: int = 1) -> str:
    """The last lines that are not blank; of the rest at most the last 64 KiB are held at any time."""
    tail = b""
    assert stream is not None
    while chunk := stream.read1(TAIL_BYTES):  # type: ignore[attr-defined]
        tail = (tail + chunk)[-TAIL_BYTES:]
    found = [line.strip() for line in tail.decode("utf-8", "replace").splitlines() if line.strip()]
    return " | ".join(found[-lines:])


def script_command(path: Path) -> CommandTrainer:
    """A script without a `train` function, run as a program; it gets `--seed N` where it speaks of that flag."""
    return CommandTrainer(name=path.name, argv=(sys.executable, str(path), *_seeded(path)), sources=(path,))


def _seeded(path: Path) -> tuple[str, ...]:
    return ("--seed", "{seed}") if "--seed" in path.read_text(encoding="utf-8") else ()


def script_text(path: Path, config: Mapping[str, Any]) -> str:
    """The command line of a script as a reader knows it, with SEED where the seed will stand."""
    seed = " --seed SEED" if _seeded(path) else ""
    return f"python {shlex.quote(path.name)}{seed} {shlex.join(options_of(_settings(config)))}".rstrip()


def call_text(function: str, config: Mapping[str, Any]) -> str:
    """The call of a function as a reader knows it."""
    return f"{function}({', '.join(['seed=SEED', *(f'{key}={value!r}' for key, value in config.items())])})"
