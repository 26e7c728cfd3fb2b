"""Finding a trainer and reading what it declares: by entry point, by path, or as somebody's own function or script.

Nothing heavy is imported here: a function in a user's file is read from its syntax tree, and its file is
executed only in the worker process that runs it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import shlex
import sys
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from importlib import metadata
from pathlib import Path
from typing import Any

from harness.errors import TrainerError, nearest
from harness.files import is_file, is_folder
from harness.foreign import (
    FUNCTION_CLOCK,
    PROCESS_CLOCK,
    CommandTrainer,
    FunctionTrainer,
    call_text,
    script_command,
    script_text,
)
from harness.model.hashing import digest, digest_files
from harness.source import parameters_of, program_note, what_is_in
from harness.trainer import Trainer

GROUP = "harness.trainers"
ACCELERATED = frozenset(("torch", "jax", "tensorflow", "cupy"))
REQUIRED = ...
"""The default of a key that has none: a singleton that survives pickling."""


@dataclass(frozen=True)
class Knob:
    """One configuration key: its type, its default and what it changes.

    `own_default`: the trainer has a default that the harness cannot read, and is not told of one.
    """

    key: str
    kind: Any
    default: Any = REQUIRED
    compute: bool = False
    evaluation: bool = False
    process: bool = False
    low: float | None = None
    high: float | None = None
    choices: tuple[Any, ...] | None = None
    help: str = ""
    own_default: bool = False

    @property
    def required(self) -> bool:
        return self.default is REQUIRED


@dataclass(frozen=True)
class TrainerInfo:
    """What the harness knows of a trainer before it runs it.

    `open_ended`: keys beyond the declared ones are accepted (a command, a function with **kwargs).
    `declares_compute`: whether its compute-relevant keys are known; where not, `compute_hash` is unknown.
    `check`: raises ValueError where a whole configuration cannot work; `note`: what a reader should know of it.
    `call`: how it is called with a configuration, in words, where it takes keys that it does not declare.
    Of another revision than the working tree's: `commit`, the `root` that its modules are imported from, and `steps`, which
    tells the planned steps of a configuration, as its classes are not imported here.
    """

    ref: str
    name: str
    clock: str
    knobs: Mapping[str, Knob]
    sources: tuple[Path, ...]
    libraries: tuple[str, ...] | None = None
    environ: Mapping[str, str] = field(default_factory=dict)
    own_process: bool = False
    open_ended: bool = False
    declares_compute: bool = True
    config_class: type[Any] | None = None
    kind: str = ""
    check: Callable[[Mapping[str, Any]], None] | None = None
    call: Callable[[Mapping[str, Any]], str] | None = None
    note: str = ""
    root: Path | None = None
    commit: str | None = None
    steps: Callable[[Mapping[str, Any]], int | None] | None = None

    @property
    def accelerated(self) -> bool:
        """Whether it may use a GPU: one that names its libraries and none of these runs on the CPU, also beside a GPU."""
        return not self.libraries or bool(ACCELERATED.intersection(self.libraries))

    def code_hash(self, config: Mapping[str, Any]) -> str | None:
        """Hash of the trainer's own source files, or of the files that a command names; None where there are none."""
        sources = self.sources or _files_in(config.get("argv"))
        return digest_files(sources) if sources else None

    def defaults(self) -> dict[str, Any]:
        return {key: knob.default for key, knob in self.knobs.items() if not (knob.required or knob.own_default)}

    def config_hash(self, config: Mapping[str, Any]) -> str:
        """Hash of the configuration; of a script it does not hold the file's name, whose content is `code_hash`."""
        return digest([self.kind or self.name, dict(config)])

    def compute_hash(self, config: Mapping[str, Any], code_hash: str | None) -> str | None:
        """Hash of everything that decides how much work is done and how; None where the trainer does not say.

        The data's own hash is a column beside it.
        """
        if not self.declares_compute:
            return None
        work = {key: config[key] for key, knob in self.knobs.items() if knob.compute and key in config}
        return digest([self.name, code_hash, work])

    def training_hash(self, config: Mapping[str, Any]) -> str:
        """Hash of all that acts before evaluation: arms that agree in it can share one trained network."""
        trained = {k: v for k, v in config.items() if k not in self.knobs or not self.knobs[k].evaluation}
        return digest([self.name, trained])

    def process_key(self, config: Mapping[str, Any]) -> str:
        settings = {key: config[key] for key, knob in self.knobs.items() if knob.process and key in config}
        return digest([self.ref, [str(p) for p in self.sources], settings])


def _files_in(argv: Any) -> tuple[Path, ...]:
    words = shlex.split(argv) if isinstance(argv, str) else [str(word) for word in argv or ()]
    return tuple(Path(word) for word in words[1:] if Path(word).is_file())


# --- reading a trainer's configuration ----------------------------------------------------------------------


def knobs_of(config_class: type[Any], prefix: str = "") -> dict[str, Knob]:
    """The flat keys of a (nested) frozen dataclass."""
    kinds = typing.get_type_hints(config_class)
    out: dict[str, Knob] = {}
    for entry in dataclasses.fields(config_class):
        key, kind = prefix + entry.name, kinds[entry.name]
        if dataclasses.is_dataclass(kind):
            nested = knobs_of(typing.cast(type[Any], kind), key + ".")
            own = _default_of(entry)
            if dataclasses.is_dataclass(own):
                given = _flatten_instance(own, key + ".")
                nested = {k: dataclasses.replace(v, default=given[k]) for k, v in nested.items()}
            out |= nested
        else:
            facts = {k: v for k, v in entry.metadata.items() if k in Knob.__dataclass_fields__}
            out[key] = Knob(key=key, kind=kind, default=_default_of(entry), **facts)
    return out


def _default_of(entry: dataclasses.Field[Any]) -> Any:
    if entry.default is not dataclasses.MISSING:
        return entry.default
    if entry.default_factory is not dataclasses.MISSING:
        return entry.default_factory()
    return REQUIRED


def _flatten_instance(instance: Any, prefix: str) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for entry in dataclasses.fields(instance):
        value = getattr(instance, entry.name)
        if dataclasses.is_dataclass(value):
            out |= _flatten_instance(value, prefix + entry.name + ".")
        else:
            out[prefix + entry.name] = value
    return out


def build_config(config_class: type[Any], flat: Mapping[str, Any]) -> Any:
    """An instance of the (nested) dataclass from flat dotted keys."""
    kinds = typing.get_type_hints(config_class)
    given: dict[str, Any] = {}
    for entry in dataclasses.fields(config_class):
        kind = kinds[entry.name]
        if dataclasses.is_dataclass(kind):
            inner = {k[len(entry.name) + 1 :]: v for k, v in flat.items() if k.startswith(entry.name + ".")}
            given[entry.name] = build_config(typing.cast(type[Any], kind), inner)
        elif entry.name in flat:
            value = flat[entry.name]
            given[entry.name] = tuple(value) if isinstance(value, list) and _is_tuple(kind) else value
    return config_class(**given)


def _is_tuple(kind: Any) -> bool:
    return kind is tuple or typing.get_origin(kind) is tuple


def check_value(knob: Knob, value: Any) -> Any:
    """`value` as the knob's type. Raises ValueError with the found value and what is allowed."""
    kinds = [k for k in _alternatives(knob.kind) if k is not type(None)]
    value = _fit(kinds, value)
    if value is _MISFIT:
        raise ValueError(f"must be {kind_text(knob.kind)}")
    if knob.choices is not None and value not in knob.choices:
        allowed = ", ".join(map(repr, knob.choices))
        raise ValueError(f"is not one of the choices: {allowed}")
    if isinstance(value, int | float) and not isinstance(value, bool):
        low, high = knob.low, knob.high
        if not (float("-inf") < value < float("inf")):
            raise ValueError("must be a finite number")
        if (low is not None and value < low) or (high is not None and value > high):
            raise ValueError(f"is out of range: allowed is {range_text(low, high)}")
    return value


def range_text(low: float | None, high: float | None) -> str:
    """An inclusive range in words; at least one end is known."""
    if low is None:
        return f"at most {high}"
    return f"at least {low}" if high is None else f"{low} to {high}"


_MISFIT = object()


def _alternatives(kind: Any) -> tuple[Any, ...]:
    origin = typing.get_origin(kind)
    return typing.get_args(kind) if origin is typing.Union or origin is types.UnionType else (kind,)


def kind_text(kind: Any) -> str:
    """A declared type in words: a number, a whole number or a text, ..."""
    if kind is Any:
        return "anything"
    return " or ".join(_kind_name(k) for k in _alternatives(kind) if k is not type(None))


def _kind_name(kind: Any) -> str:
    names = {float: "a number", int: "a whole number", bool: "true or false", str: "a text"}
    return names.get(kind, "a list" if _is_list(kind) else getattr(kind, "__name__", str(kind)))


def _is_list(kind: Any) -> bool:
    return kind in (list, tuple) or typing.get_origin(kind) in (list, tuple)


def _fit(kinds: list[Any], value: Any) -> Any:
    for kind in kinds:
        if kind is Any or (kind is bool and isinstance(value, bool)):
            return value
        if kind is int and isinstance(value, int) and not isinstance(value, bool):
            return value
        if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        if (kind is str and isinstance(value, str)) or (_is_list(kind) and isinstance(value, list | tuple)):
            return list(value) if _is_list(kind) else value
        if typing.get_origin(kind) is typing.Literal and value in typing.get_args(kind):
            return value
    return _MISFIT


# --- lookup -------------------------------------------------------------------------------------------------


@cache
def entry_points() -> dict[str, metadata.EntryPoint]:
    """Installed trainers by name. Two plugins of one name are an error that shows both."""
    found: dict[str, metadata.EntryPoint] = {}
    for point in metadata.entry_points(group=GROUP):
        known = found.setdefault(point.name, point)
        if known.value != point.value:
            raise TrainerError(
                f"Two installed plugins are called {point.name!r}: {known.value} and {point.value}. "
                "Uninstall one of them, or name the file of the one you mean."
            )
    return found


def is_script(ref: str) -> bool:
    """Whether a reference means a Python file (`train.py`, `dir/train.py:name`)."""
    return split_ref(ref)[0].endswith(".py")


def split_ref(ref: str) -> tuple[str, str | None]:
    """`path.py:name` → (path.py, name); a name without path → (name, None)."""
    head, colon, tail = ref.rpartition(":")
    return (head, tail) if colon and head.endswith(".py") else (ref, None)


def trainer_info(ref: str, folder: Path | None = None) -> TrainerInfo:
    """What the trainer `ref` declares; paths are taken relative to `folder`. Raises TrainerError."""
    if is_script(ref):
        return _script_info(ref, folder or Path.cwd())
    return _plugin_info(ref)


def load_trainer(ref: str, folder: Path | None = None) -> Trainer:
    """The trainer object itself; executes its module. For the worker process."""
    if not is_script(ref):
        return _load_entry_point(ref)
    path, name = _script_path(ref, folder or Path.cwd())
    kind, found = what_is_in(path, name)
    if kind == "command":
        return script_command(path)
    if kind == "trainer":
        return _checked(getattr(_imported(path), found), ref)
    module = import_file(path)
    return FunctionTrainer(path=path, function=getattr(module, found))


def planned_steps(info: TrainerInfo, config: Mapping[str, Any]) -> int | None:
    """Optimiser steps of a run, where the trainer tells them in advance (an optional method `planned_steps(config)`).

    Raises TrainerError where the trainer finds that its keys do not go together.
    """
    if info.steps is not None:
        return info.steps(config)
    if info.config_class is None or info.open_ended:
        return None
    tell = getattr(load_trainer(info.ref), "planned_steps", None)
    if tell is None:
        return None
    try:
        return int(tell(build_config(info.config_class, config)))
    except ValueError as problem:
        raise TrainerError(f"trainer {info.name}: {problem}") from problem


def machine_refusal(info: TrainerInfo, config: Mapping[str, Any]) -> str | None:
    """Why this machine cannot run the configuration, where the trainer says so (an optional method `check_machine(config)`)."""
    if info.config_class is None or info.open_ended or info.commit is not None:
        return None
    check = getattr(load_trainer(info.ref), "check_machine", None)
    try:
        if check is not None:
            check(build_config(info.config_class, config))
    except ValueError as problem:
        return str(problem)
    return None


@cache
def _plugin_info(name: str) -> TrainerInfo:
    return _info_of(_load_entry_point(name), name)


def _info_of(trainer: Trainer, ref: str) -> TrainerInfo:
    return TrainerInfo(
        ref=ref,
        name=trainer.name,
        clock=trainer.clock,
        knobs=knobs_of(trainer.Config),
        sources=tuple(Path(p) for p in trainer.sources),
        libraries=tuple(trainer.libraries),
        environ=dict(trainer.environ),
        own_process=trainer.own_process,
        open_ended=bool(getattr(trainer, "open_ended", False)),
        declares_compute=not getattr(trainer, "open_ended", False),
        config_class=trainer.Config,
        check=getattr(trainer, "check_config", None),
        call=trainer.call_text if isinstance(trainer, CommandTrainer) else None,
    )


@cache
def _load_entry_point(name: str) -> Trainer:
    points = entry_points()
    if name not in points:
        raise TrainerError(
            f"Unknown trainer {name!r}. {nearest(name, points)} "
            "A trainer is an installed plugin (entry point group 'harness.trainers') or a path ending in .py."
        )
    try:
        trainer = points[name].load()
    except Exception as problem:
        raise TrainerError(
            f"The trainer plugin {name!r} ({points[name].value}) cannot be loaded: "
            f"{type(problem).__name__}: {problem}. Repair or uninstall it."
        ) from problem
    return _checked(trainer, name)


def _checked(trainer: Any, ref: str) -> Trainer:
    wanted = (
        "name",
        "Config",
        "clock",
        "sources",
        "libraries",
        "environ",
        "own_process",
        "prepare",
        "train",
        "evaluate",
    )
    missing = [name for name in wanted if not hasattr(trainer, name)]
    if missing:
        raise TrainerError(
            f"The trainer {ref!r} breaks its contract: it lacks {', '.join(missing)}. See harness/trainer.py."
        )
    if not (isinstance(trainer.Config, type) and dataclasses.is_dataclass(trainer.Config)):
        raise TrainerError(
            f"The trainer {ref!r} breaks its contract: its Config is {trainer.Config!r}; "
            "it must be a frozen dataclass. See harness/trainer.py."
        )
    return typing.cast(Trainer, trainer)


# --- files --------------------------------------------------------------------------------------------------


def _script_path(ref: str, folder: Path) -> tuple[Path, str | None]:
    text, name = split_ref(ref)
    path = folder / text
    if is_file(path):
        return path.resolve(), name
    known = [p.name for p in path.parent.glob("*.py")] if is_folder(path.parent) else []
    near = nearest(Path(text).name, known) if known else ""
    raise TrainerError(f"There is no file {text!r} (looked for {str(path)!r}). {near}".rstrip())


def _script_info(ref: str, folder: Path) -> TrainerInfo:
    path, name = _script_path(ref, folder)
    kind, found = what_is_in(path, name)
    absolute = f"{path}:{name}" if name else str(path)
    if kind == "trainer":
        return _info_of(load_trainer(ref, folder), absolute)
    if kind == "function":
        knobs, open_ended = _function_knobs(path, found)
        return TrainerInfo(
            ref=absolute,
            name=f"{path.name}:{found}",
            clock=FUNCTION_CLOCK,
            knobs=knobs,
            sources=(path,),
            open_ended=open_ended,
            declares_compute=False,
            kind=f"function {found}",
            call=partial(call_text, found) if open_ended else None,
        )
    return TrainerInfo(
        ref=absolute,
        name=path.name,
        clock=PROCESS_CLOCK,
        knobs={},
        sources=(path,),
        own_process=True,
        open_ended=True,
        declares_compute=False,
        kind="script",
        call=partial(script_text, path),
        note=program_note(path, name),
    )


def _function_knobs(path: Path, name: str) -> tuple[dict[str, Knob], bool]:
    """Keys from the function's own parameters, and whether it takes others; a default that is no literal stays its own business."""
    parameters, open_ended = parameters_of(path, name)
    knobs = {p.name: Knob(p.name, p.kind, choices=p.choices) for p in parameters if p.required}
    knobs |= {
        p.name: Knob(p.name, p.kind, p.default, choices=p.choices, own_default=p.default is None)
        for p in parameters
        if not p.required
    }
    return {p.name: knobs[p.name] for p in parameters}, open_ended


def _imported(path: Path) -> types.ModuleType:
    """The module of a trainer file; what it prints goes to standard error, what it raises becomes a TrainerError."""
    try:
        with contextlib.redirect_stdout(sys.stderr):
            return import_file(path)
    except (Exception, SystemExit) as problem:
        raise TrainerError(
            f"The trainer file {path.name} cannot be imported: {type(problem).__name__}: {problem}. "
            f"`python {path}` shows where; mend it and run again."
        ) from problem


def import_file(path: Path) -> types.ModuleType:
    """Execute a user's file as a module of its own; its folder can be imported from, as with `python file.py`."""
    name = f"_harness_user_{path.stem}_{digest(str(path))}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
