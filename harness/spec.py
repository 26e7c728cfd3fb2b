"""From `experiments/<name>.toml` (a YAML file, or somebody's own files) to an `Experiment`; file and key in every error.

An experiment is a diff: `extends` inherits the trainer, the configuration and the scientific constants, and
a preset is laid over each level of that chain before the next diff, so that what an experiment changes
always stands above what a preset shrinks.
"""

from __future__ import annotations

import itertools
import math
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness import yamlfile
from harness.errors import SpecError, TrainerError, UsageError, nearest
from harness.files import is_file, is_folder
from harness.model.experiment import CLAIMS, STAGES, Arm, Experiment, Role
from harness.model.hashing import digest
from harness.plugins import Knob, TrainerInfo, check_value, is_script, planned_steps, split_ref, trainer_info
from harness.revisions import info_at, info_of

SHIPPED = (
    Path(__file__).resolve().parent / "shipped" / "experiments",
    Path(__file__).resolve().parent.parent / "experiments",
)
DEFAULT_SEEDS = 25
SUFFIXES = (".toml", ".yaml", ".yml")

SCALARS: dict[str, Knob] = {
    knob.key: knob
    for knob in (
        Knob("question", str),
        Knob("extends", str),
        Knob("trainer", str),
        Knob("control", str),
        Knob("claim", str, choices=CLAIMS),
        Knob("target", float, low=0.0, high=1.0),
        Knob("margin_pp", float, low=0.0, high=100.0),
        Knob("max_slowdown", float, low=0.0, high=10.0),
        Knob("alpha", float, low=1e-6, high=0.5),
        Knob("record", bool),
        Knob("seeds", int, low=1, high=65536),
        Knob("stage", str, choices=STAGES),
        Knob("seed_root", int, low=0),
        Knob("invocations", int, low=1, high=10000),
        Knob("timeout_s", float, low=0.001),
        Knob("warmup", bool),
        Knob("skip_impossible", bool),
    )
}
LENGTH_KEYS = ("epochs", "steps")
TABLES = ("config", "sweep", "arms", "presets", "aliases", "ladder")
INHERITED = (
    "trainer",
    "claim",
    "target",
    "margin_pp",
    "max_slowdown",
    "alpha",
    "record",
    "seed_root",
    "timeout_s",
    "warmup",
    "skip_impossible",
)
SETTABLE = tuple(k for k in SCALARS if k not in ("extends", "trainer", "control", "question"))
ARM_KEYS = ("name", "config", "trainer", "git")
SWEEPS = ("grid", "one_at_a_time")
MOST_ARMS = 10_000
DEEPEST = 32
LADDER_KEYS = ("sizes", "keep")


@dataclass(frozen=True)
class Layer:
    """An experiment file with its chain of `extends` and the preset folded in, before arms are made."""

    name: str
    where: str
    scalars: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    own: dict[str, Any] = field(default_factory=dict)
    presets: frozenset[str] = frozenset()
    folder: Path = field(default_factory=Path.cwd)


# --- finding and reading files ------------------------------------------------------------------------------


def folders(given: Path | None) -> tuple[Path, ...]:
    """Where experiments are looked for: the given folder alone, or `./experiments` and then the shipped ones."""
    if given is not None:
        if not given.is_dir():
            raise SpecError(
                f"There is no folder {str(given)!r}. --experiments names the folder that holds the TOML files."
            )
        return (given,)
    return tuple(dict.fromkeys(p for p in (Path("experiments"), *SHIPPED) if p.is_dir()))


def available(given: Path | None) -> dict[str, Path]:
    """Every known experiment and its file; the first folder that has a name wins."""
    found: dict[str, Path] = {}
    for folder in folders(given):
        for path in sorted(folder.glob("*.toml")):
            found.setdefault(path.stem, path)
    return found


def find(name: str, given: Path | None) -> Path:
    """The file of an experiment named by name, alias or path."""
    if name.endswith(SUFFIXES):
        path = Path(name)
        if not is_file(path):
            there = path.parent.iterdir() if is_folder(path.parent) else ()
            beside = [p.name for p in there if p.suffix in SUFFIXES and not _is_gate_file(p)]
            raise SpecError(f"There is no file {name!r}. {nearest(path.name, beside) if beside else ''}".rstrip())
        return path
    known = available(given)
    name = canonical(name, given)
    if name not in known:
        file = next((name + ending for ending in (*SUFFIXES, ".py") if is_file(Path(name + ending))), None)
        if file is not None:
            raise SpecError(f"Unknown experiment {name!r}, but there is a file {file!r}: name it with its ending.")
        raise SpecError(
            f"Unknown experiment {name!r}. {nearest(name, (*known, *_files_here()))} `harness list` shows all of them; "
            "a path to a TOML or YAML file, or your own train.py, works too."
        )
    return known[name]


def _is_gate_file(path: Path) -> bool:
    """Whether a file holds the checks of `harness gate`; what cannot be read holds none."""
    try:
        return "checks" in read_file(path)
    except SpecError:
        return False


def canonical(name: str, given: Path | None) -> str:
    """The experiment that `name` is another name of (key `aliases` of its file); else `name` itself."""
    known = available(given)
    if name in known:
        return name
    for stem, path in known.items():
        try:
            if name in _aliases(tomllib.loads(path.read_text(encoding="utf-8")), str(path)):
                return stem
        except (OSError, ValueError, RecursionError, SpecError):
            continue  # a broken file says so where it is asked for itself
    return name


def _aliases(raw: Mapping[str, Any], where: str) -> list[str]:
    found = raw.get("aliases", [])
    if not isinstance(found, list) or not all(isinstance(name, str) and name for name in found):
        raise SpecError(f"{where}: 'aliases' must be a list of names, found {found!r}.")
    return found


def read_file(path: Path) -> dict[str, Any]:
    """The tables of a TOML or YAML file, which mean the same from here on."""
    kind = "YAML" if path.suffix in (".yaml", ".yml") else "TOML"
    try:
        text = path.read_text(encoding="utf-8")
        found = tomllib.loads(text) if kind == "TOML" else yamlfile.parse(text)
    except UnicodeDecodeError as problem:
        raise SpecError(f"{path}: not UTF-8 text: {problem}. Save it as UTF-8.") from problem
    except OSError as problem:
        raise SpecError(f"{path}: cannot be read: {problem.strerror}.") from problem
    except RecursionError as problem:
        raise SpecError(f"{path}: {TOO_DEEP}") from problem
    except ValueError as problem:
        raise SpecError(f"{path}: not valid {kind}: {problem}. Mend that line and run again.") from problem
    if _is_too_deep(found):
        raise SpecError(f"{path}: {TOO_DEEP}")
    return found


TOO_DEEP = (
    f"its lists or tables are nested more than {DEEPEST} deep; no key of an experiment needs that. Write it flatter."
)


def _is_too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        level = [part for one in level if isinstance(one, dict | list) for part in _parts(one)]
    return any(isinstance(one, dict | list) for one in level)


def _parts(value: Any) -> Any:
    return value.values() if isinstance(value, dict) else value


def flatten(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables as dotted keys: {"lr": {"end": 1}} and {"lr.end": 1} are the same."""
    out: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            out |= flatten(value, f"{prefix}{key}.")
        else:
            out[prefix + key] = value
    return out


# --- checking -----------------------------------------------------------------------------------------------


def _check_scalars(
    raw: Mapping[str, Any], where: str, allowed: Sequence[str], tables: Sequence[str] = ()
) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in raw.items():
        if key in tables:
            continue
        if key not in allowed:
            raise SpecError(f"{where}: unknown key {key!r}. {nearest(key, [*allowed, *tables])}")
        out[key] = checked(SCALARS[key], value, f"{where}: key {key!r}")
    return out


def checked(knob: Knob, value: Any, where: str) -> Any:
    """`value` as the knob's type, or a SpecError that names place, value and what is allowed."""
    try:
        return check_value(knob, value)
    except ValueError as problem:
        raise SpecError(f"{where}: the value {value!r} {problem}.") from problem


def check_config(info: TrainerInfo, config: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The overrides of `config`, each checked against the trainer's declaration."""
    out: dict[str, Any] = {}
    for key, value in config.items():
        if key == "seed" and key not in info.knobs:
            raise SpecError(
                f"{where}: the key 'seed' is the harness's own: it gives {info.name} another seed each run, and the arms of a block "
                "the same one. Leave it out; --seeds N says how many seeds, seed_root = N chooses others."
            )
        if key in info.knobs:
            out[key] = checked(info.knobs[key], value, f"{where}: key {key!r} of trainer {info.name}")
        elif info.open_ended:
            out[key] = value
        else:
            raise SpecError(f"{where}: trainer {info.name} has no key {key!r}. {nearest(key, info.knobs)}")
        if not _is_plain(value):
            raise SpecError(
                f"{where}: key {key!r}: the value {value!r} must be a text, a finite number, true or false, "
                'or a list of them. Write a date as a text: "2024-01-01".'
            )
    return out


def _is_plain(value: Any) -> bool:
    """Whether a value that no trainer declares can be hashed, stored and handed to a program."""
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))


def complete_config(info: TrainerInfo, config: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Defaults and overrides together, checked; a required key that nobody gave is an error."""
    whole = info.defaults() | check_config(info, config, where)
    missing = [key for key, knob in info.knobs.items() if knob.required and key not in whole]
    if missing:
        flags = " ".join(f"--set {key}=VALUE" for key in missing)
        raise SpecError(
            f"{where}: trainer {info.name} needs {', '.join(missing)}: state it in [config] or with {flags}."
        )
    return dict(sorted(whole.items()))


# --- layers -------------------------------------------------------------------------------------------------


def read_layer(name: str, given: Path | None, preset: str | None, seen: tuple[str, ...] = ()) -> Layer:
    """One experiment file over what it extends, with the preset laid over each level."""
    path = find(name, given)
    where = str(path)
    if path.stem in seen:
        raise SpecError(f"{where}: 'extends' goes in a circle: {' → '.join((*seen, path.stem))}.")
    raw = read_file(path)
    if "checks" in raw:
        raise SpecError(f"{where}: is a gate file, no experiment: `harness gate {where}` judges its checks.")
    own = _check_scalars(raw, where, tuple(SCALARS), TABLES)
    _check_tables(raw, where)
    base = Layer(path.stem, where)
    if "extends" in own:
        given_there = path.parent if given is None and name.endswith(SUFFIXES) else given
        base = _parent(own["extends"], given_there, given, preset, (*seen, path.stem), where)
    scalars = _laid_over({k: v for k, v in base.scalars.items() if k in INHERITED}, own)
    config = base.config | flatten(raw.get("config", {}))
    presets = base.presets | set(raw.get("presets", {}))
    layer = Layer(path.stem, where, scalars, config, raw, frozenset(presets), path.parent)
    return _with_preset(layer, preset)


def _laid_over(below: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The scalars of a layer over those below it. `alpha` and `record` both state the error rate: the nearest word holds."""
    silent = {"record"} if "alpha" in own else {"alpha"} if own.get("record") else set[str]()
    return {k: v for k, v in below.items() if k not in silent} | dict(own)


def _files_here() -> list[str]:
    return [path.name for path in Path().iterdir() if path.suffix in SUFFIXES and not _is_gate_file(path)]


def _parent(
    name: str, near: Path | None, given: Path | None, preset: str | None, seen: tuple[str, ...], where: str
) -> Layer:
    """The extended experiment: beside the file first, then wherever experiments are looked for."""
    try:
        beside = near / f"{name}.toml" if near is not None else None
        return read_layer(str(beside) if beside is not None and is_file(beside) else name, given, preset, seen)
    except SpecError as problem:
        if f"Unknown experiment {name!r}" in str(problem):
            raise SpecError(f"{where}: key 'extends': {problem}") from problem
        raise


def _check_tables(raw: Mapping[str, Any], where: str) -> None:
    for table in ("config", "sweep", "presets", "ladder"):
        if not isinstance(raw.get(table, {}), Mapping):
            raise SpecError(f"{where}: {table!r} must be a table: [{table}].")
    for key in raw.get("sweep", {}):
        if key not in SWEEPS:
            raise SpecError(f"{where}: unknown table [sweep.{key}]. {nearest(key, SWEEPS)}")
        if not isinstance(raw["sweep"][key], Mapping):
            raise SpecError(
                f"{where}: [sweep.{key}] must be a table of keys and their values, found {raw['sweep'][key]!r}."
            )
    for key, value in raw.get("ladder", {}).items():
        if key not in LADDER_KEYS:
            raise SpecError(f"{where}: [ladder]: unknown key {key!r}. {nearest(key, LADDER_KEYS)}")
        if not isinstance(value, list):
            raise SpecError(f"{where}: [ladder] key {key!r}: must be a list, found {value!r}.")
    _aliases(raw, where)
    if not isinstance(raw.get("arms", []), list):
        raise SpecError(f"{where}: 'arms' must be a list of tables: [[arms]].")
    for name, preset in raw.get("presets", {}).items():
        if not isinstance(preset, Mapping):
            raise SpecError(f"{where}: [presets.{name}] must be a table.")
        if not isinstance(preset.get("config", {}), Mapping):
            raise SpecError(f"{where}: [presets.{name}.config] must be a table, found {preset['config']!r}.")
        _check_scalars(preset, f"{where}: [presets.{name}]", SETTABLE, ("config", "sweep", "arms"))


def _with_preset(layer: Layer, preset: str | None) -> Layer:
    table = layer.own.get("presets", {}).get(preset) if preset else None
    if table is None:
        return layer
    scalars = _check_scalars(table, f"{layer.where}: [presets.{preset}]", SETTABLE, ("config", "sweep", "arms"))
    own = layer.own | {k: table[k] for k in ("sweep", "arms") if k in table}
    _check_tables(own, f"{layer.where}: [presets.{preset}]")
    return replace(
        layer,
        scalars=_laid_over(layer.scalars, scalars),
        config=layer.config | flatten(table.get("config", {})),
        own=own,
    )


# --- arms ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Draft:
    """An arm before its configuration is completed and hashed."""

    name: str
    trainer: str
    config: dict[str, Any]
    where: str
    folder: Path
    git: str | None = None
    left_out: tuple[str, ...] = ()


def _value_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "[" + " ".join(map(_value_text, value)) + "]" if isinstance(value, list) else str(value)


def _sweep_drafts(layer: Layer, base: Draft) -> Iterator[Draft]:
    sweep = layer.own.get("sweep", {})
    for kind in SWEEPS:
        table = flatten(sweep.get(kind, {}))
        for key, values in table.items():
            if not isinstance(values, list) or not values:
                raise SpecError(
                    f"{layer.where}: [sweep.{kind}] key {key!r}: must be a list of values, found {values!r}."
                )
        if kind == "grid" and math.prod(map(len, table.values())) > MOST_ARMS:
            sizes = " x ".join(str(len(values)) for values in table.values())
            raise SpecError(
                f"{layer.where}: [sweep.grid] has {sizes} arms; at most {MOST_ARMS} can be one experiment. Sweep fewer keys or values, or "
                "one key at a time ([sweep.one_at_a_time])."
            )
        points: Iterator[tuple[tuple[str, Any], ...]]
        if kind == "grid":
            points = iter(itertools.product(*[[(k, v) for v in vs] for k, vs in table.items()]) if table else ())
        else:
            points = iter(((k, v),) for k, vs in table.items() for v in vs)
        for point in points:
            name = ",".join(f"{key}={_value_text(value)}" for key, value in point)
            yield replace(base, name=name, config=base.config | dict(point), where=f"{layer.where}: [sweep.{kind}]")


def _listed_drafts(layer: Layer, base: Draft) -> Iterator[Draft]:
    for number, table in enumerate(layer.own.get("arms", []), 1):
        where = f"{layer.where}: [[arms]] number {number}"
        if not isinstance(table, Mapping):
            raise SpecError(f"{where}: must be a table of its own, [[arms]], found {table!r}.")
        unknown = next((k for k in table if k not in ARM_KEYS), None)
        if unknown:
            raise SpecError(f"{where}: unknown key {unknown!r}. {nearest(unknown, ARM_KEYS)}")
        name = table.get("name")
        if not isinstance(name, str) or not name:
            raise SpecError(f"{where}: 'name' is missing: every arm has a name of its own.")
        if not isinstance(table.get("config", {}), Mapping):
            raise SpecError(f"{where}: 'config' must be a table.")
        git = table.get("git")
        if git is not None and (not isinstance(git, str) or not git.strip()):
            raise SpecError(f"{where}: 'git' must be a revision, such as \"origin/main\" or a commit, found {git!r}.")
        trainer = str(table.get("trainer", base.trainer))
        left_out = _foreign_keys(base, trainer, git, where)
        config = {k: v for k, v in base.config.items() if k not in left_out} | flatten(table.get("config", {}))
        yield replace(base, name=name, config=config, where=where, trainer=trainer, git=git, left_out=left_out)


def _foreign_keys(base: Draft, trainer: str, git: str | None, where: str) -> tuple[str, ...]:
    """Keys of the experiment's configuration that its own trainer has and the arm's other trainer, or revision of it, has not."""
    if trainer == base.trainer and git is None:
        return ()
    other, own = _info(replace(base, trainer=trainer, git=git, where=where)), trainer_info(base.trainer, base.folder)
    return tuple(
        k for k in base.config if not other.open_ended and k not in other.knobs and (own.open_ended or k in own.knobs)
    )


def _drafts(layer: Layer, given: Path | None, preset: str | None) -> tuple[list[Draft], str | None]:
    """All arms and the name of the control among them (None: a lone arm without control)."""
    trainer = layer.scalars.get("trainer")
    if trainer is None:
        raise SpecError(f"{layer.where}: 'trainer' is missing: name one (see `harness list`), or extend an experiment.")
    base = Draft(layer.name, trainer, layer.config, f"{layer.where}: [config]", layer.folder)
    drafts = [*_sweep_drafts(layer, base), *_listed_drafts(layer, base)]
    control = layer.scalars.get("control")
    if not drafts:
        drafts = [base]
        if control is None:
            return drafts, None
    names = [draft.name for draft in drafts]
    if control is None and layer.own.get("arms") and not layer.own.get("sweep"):
        return drafts, names[0]
    if control in names and not (control == layer.name and len(names) == 1):
        return drafts, control
    if control is None:
        return [replace(base, name="control"), *drafts], "control"
    other = _control_layer(control, layer, given, preset, names)
    if preset and preset not in other.presets and _preset_config(layer, preset):
        raise SpecError(
            f"{layer.where}: [presets.{preset}] changes the configuration, and the control {other.name!r} has no such preset: it "
            f"would run at another size than the candidates. Define [presets.{preset}] in {other.where} (it is inherited by extends)."
        )
    draft = Draft(
        other.name, other.scalars.get("trainer", trainer), other.config, f"{other.where}: [config]", other.folder
    )
    return [draft, *drafts], other.name


def _preset_config(layer: Layer, preset: str) -> bool:
    """Whether the experiment's own preset changes keys of the trainer."""
    return bool(layer.own.get("presets", {}).get(preset, {}).get("config"))


def _control_layer(control: str, layer: Layer, given: Path | None, preset: str | None, arms: list[str]) -> Layer:
    near = layer.folder if given is None else given
    beside = near / f"{control}.toml"
    try:
        return read_layer(str(beside) if is_file(beside) else control, given, preset)
    except SpecError as problem:
        if f"Unknown experiment {control!r}" in str(problem):
            raise SpecError(
                f"{layer.where}: key 'control': {control!r} is neither an arm of this experiment nor an experiment. "
                f"{nearest(control, [*arms, *available(given)])}"
            ) from problem
        raise


def _info(draft: Draft) -> TrainerInfo:
    """What the draft's trainer declares, at its revision; an error names the arm."""
    try:
        return info_at(draft.trainer, draft.git, draft.folder)
    except UsageError as problem:
        raise problem if draft.git is None else SpecError(f"{draft.where}: {problem}") from problem


def _finish(draft: Draft, role: str, sets: Mapping[str, Any]) -> Arm:
    info = _info(draft)
    own = check_config(info, draft.config, draft.where)
    own |= check_config(info, sets, "--set")
    config = complete_config(info, own, draft.where)
    _check_whole(info, config, draft.where)
    hashed = info.config_hash(_told_to_script(info, own) if info.kind else config)
    ref = info.ref if draft.git is None else trainer_info(draft.trainer, draft.folder).ref
    shown: Role = "control" if role == "control" else "candidate"
    return Arm(draft.name, shown, ref, config, hashed, info.commit, draft.git)


def _told_to_script(info: TrainerInfo, own: Mapping[str, Any]) -> dict[str, Any]:
    """The keys that change something: a script's defaults are part of its code, and to state one is to state nothing."""
    defaults = info.defaults()
    return {key: value for key, value in own.items() if key not in defaults or defaults[key] != value}


def _check_whole(info: TrainerInfo, config: Mapping[str, Any], where: str) -> None:
    """What the trainer itself says of a whole configuration, before the first run."""
    try:
        if info.check is not None:
            info.check(config)
    except ValueError as problem:
        raise SpecError(f"{where}: trainer {info.name}: {problem}") from problem


def _refuse_contested(drafts: Sequence[Draft], sets: Mapping[str, Any]) -> None:
    """A key that the arms differ in cannot be set for all of them: it would silently make them one."""
    for key in sets:
        values = {repr(draft.config[key]) if key in draft.config else "the default" for draft in drafts}
        if len(values) > 1:
            raise SpecError(
                f"--set {key}: the arms of this experiment differ in {key!r} ({', '.join(sorted(values)[:6])}); setting it "
                "for all would make them the same. Change it in the experiment file, or set another key."
            )


def parse_sets(pairs: Sequence[str]) -> dict[str, Any]:
    """`key=value` pairs; the right side is read as TOML, and as plain text where it is not."""
    out: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key.strip():
            raise SpecError(f"--set {pair!r}: must be key=value, for example --set lr.end=0.05.")
        key, value = key.strip(), _value(text)
        if key in out and (type(out[key]), out[key]) != (type(value), value):
            raise SpecError(
                f"--set {key}: given twice, as {out[key]!r} and {value!r}; --set holds for every arm. To compare values, make them arms "
                f"of an experiment file: [sweep.grid] with {_toml_key(key)} = [{_value_text(out[key])}, {_value_text(value)}], or one "
                "[[arms]] table each."
            )
        out[key] = value
    return out


def _toml_key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else f'"{key}"'


def _value(text: str) -> Any:
    try:
        found = tomllib.loads(f"x = {text}")
    except (ValueError, RecursionError):  # a number of thousands of digits is no TOML either
        bare = re.fullmatch(r"\s*[+-]?\.[0-9]+\s*", text)  # .05, which TOML writes 0.05
        return float(text) if bare else text
    return text if len(found) > 1 or _is_too_deep(found) else found["x"]  # a second line is none of its business


@dataclass(frozen=True)
class Request:
    """What a command line asks of an experiment beyond its name."""

    sets: Mapping[str, Any] = field(default_factory=dict)
    preset: str | None = None
    arms: tuple[str, ...] = ()
    seeds: int | None = None
    stage: str | None = None
    experiments: Path | None = None


def load_experiment(name: str, request: Request = Request()) -> Experiment:
    """The experiment of a name or TOML path, complete and checked."""
    layer = read_layer(name, request.experiments, request.preset)
    if request.preset and request.preset not in layer.presets:
        raise SpecError(
            f"{layer.where}: there is no preset {request.preset!r}. {nearest(request.preset, layer.presets)}"
        )
    drafts, control = _drafts(layer, request.experiments, request.preset)
    return _assemble(layer, drafts, control, request)


def stated_ladder(name: str, request: Request = Request()) -> dict[str, Any]:
    """The table `[ladder]` of an experiment's own file, with the `where` of its errors; empty for Python files."""
    if is_script(name):
        return {}
    layer = read_layer(name, request.experiments, request.preset)
    return {"where": f"{layer.where}: [ladder]", **layer.own.get("ladder", {})}


def load_scripts(paths: Sequence[str], request: Request = Request()) -> Experiment:
    """The experiment of one or several Python files; the first of several is the control."""
    names = _script_names(paths)
    if request.preset:
        raise SpecError(f"{' '.join(paths)}: a script has no preset {request.preset!r}; --set changes a key instead.")
    folder = Path.cwd()
    drafts = [Draft(n, p, {}, p, folder) for n, p in zip(names, paths, strict=True)]
    name = "-vs-".join(names)
    layer = Layer(name, " ".join(paths))
    return _assemble(layer, drafts, names[0] if len(names) > 1 else None, request)


def _script_names(paths: Sequence[str]) -> list[str]:
    """Stems, with the function's or the folder's name before them where stems agree."""
    parts = [split_ref(p) for p in paths]
    names = [Path(path).stem for path, _ in parts]
    if len(set(names)) < len(names):
        names = [f"{n}-{f}" if f else n for n, (_, f) in zip(names, parts, strict=True)]
    if len(set(names)) < len(names):
        names = [f"{Path(p).resolve().parent.name}-{n}" for n, (p, _) in zip(names, parts, strict=True)]
    if len(set(names)) < len(names):
        raise SpecError(f"The same file is named twice: {', '.join(paths)}. An A/A needs two copies.")
    return names


def _assemble(layer: Layer, drafts: list[Draft], control: str | None, request: Request) -> Experiment:
    doubled = next((name for name, times in Counter(draft.name for draft in drafts).items() if times > 1), None)
    if doubled is not None:
        raise SpecError(f"{layer.where}: two arms are called {doubled!r}; every arm has a name of its own.")
    unfit = next((d.name for d in drafts if not d.name.isprintable()), None)
    if unfit is not None:
        raise SpecError(f"{layer.where}: the arm name {unfit!r} cannot be printed; use letters, digits and signs.")
    config_sets, scalar_sets = _split_sets(request.sets, drafts)
    _refuse_contested(drafts, config_sets)
    lone = len(drafts) == 1
    arms = [_finish(d, "control" if lone or d.name == control else "candidate", config_sets) for d in drafts]
    arms.sort(key=lambda arm: arm.role != "control")
    scalars = _laid_over(layer.scalars, scalar_sets)
    scalars |= {k: v for k, v in (("seeds", request.seeds), ("stage", request.stage)) if v is not None}
    own_notes = (trainer_info(d.trainer, d.folder).note for d in drafts)
    notes = (*_notes(arms), *_left_out(drafts), *dict.fromkeys(note for note in own_notes if note))
    return Experiment(
        name=layer.name,
        arms=tuple(_chosen(arms, request.arms, layer.where)),
        question=scalars.get("question", ""),
        claim=scalars.get("claim"),
        target=scalars.get("target"),
        margin_pp=scalars.get("margin_pp"),
        max_slowdown=scalars.get("max_slowdown"),
        alpha=scalars.get("alpha", 0.01 if scalars.get("record") else 0.05),
        seeds=scalars.get("seeds", DEFAULT_SEEDS),
        stage=scalars.get("stage", "screen" if len(arms) > 2 else "confirm"),
        seed_root=scalars.get("seed_root", 0),
        invocations=scalars.get("invocations"),
        timeout_s=scalars.get("timeout_s"),
        warmup=scalars.get("warmup", True),
        skip_impossible=scalars.get("skip_impossible", False),
        preset=request.preset,
        notes=notes,
    )


def _split_sets(sets: Mapping[str, Any], drafts: Sequence[Draft]) -> tuple[dict[str, Any], dict[str, Any]]:
    """`--set` names a key of the trainer, or else one of the experiment (`--set timeout_s=20`)."""
    declared = {key for draft in drafts for key in trainer_info(draft.trainer, draft.folder).knobs}
    scalars = {k: checked(SCALARS[k], v, f"--set {k}") for k, v in sets.items() if k in SETTABLE and k not in declared}
    return {k: v for k, v in sets.items() if k not in scalars}, scalars


def _notes(arms: Sequence[Arm]) -> Iterator[str]:
    control = next((arm for arm in arms if arm.role == "control"), None)
    for arm in arms:
        if arm.git is not None:
            yield f"{arm.name} runs the trainer as revision {arm.source} has it"
        if control is None or arm is control:
            continue
        if (arm.trainer, arm.git, arm.config_hash) == (control.trainer, control.git, control.config_hash):
            yield f"{arm.name} has the control's configuration: a built-in A/A, any difference is noise"
    yield from _same_length(arms)


def _left_out(drafts: Sequence[Draft]) -> Iterator[str]:
    for draft in drafts:
        if draft.left_out:
            keys = ", ".join(sorted(draft.left_out))
            at = f" at revision {draft.git}" if draft.git else ""
            yield f"{draft.name}: its trainer {draft.trainer}{at} has no {keys}: left out, the other keys of [config] hold"


def _same_length(arms: Sequence[Arm]) -> Iterator[str]:
    """Arms that differ in their length alone, and come to the same number of steps."""
    first: dict[tuple[str, int], Arm] = {}
    for arm in arms:
        steps = planned_steps(info_of(arm), arm.config)
        if steps is None:
            continue
        rest = {k: v for k, v in arm.config.items() if k.rpartition(".")[2] not in LENGTH_KEYS}
        other = first.setdefault((digest([arm.trainer, arm.git, rest]), steps), arm)
        if other is not arm and other.config_hash != arm.config_hash:
            yield (
                f"{arm.name} comes to the same {steps} steps as {other.name}: the same training, any difference is noise. "
                "Name lengths in steps to tell them apart"
            )


def _chosen(arms: Sequence[Arm], names: Sequence[str], where: str) -> list[Arm]:
    """The named arms, and the control with them: without it nothing could be compared."""
    known = [arm.name for arm in arms]
    for name in names:
        if name not in known:
            raise SpecError(f"{where}: there is no arm {name!r}. {nearest(name, known)}")
    return [arm for arm in arms if not names or arm.name in names or arm.role == "control"]


def load(names: Sequence[str], request: Request) -> list[Experiment]:
    """What `harness run` was given: experiments one by one, or Python files as the arms of one experiment."""
    scripts = [name for name in names if is_script(name)]
    if not scripts:
        return [load_experiment(name, request) for name in names]
    if len(scripts) < len(names):
        other = next(name for name in names if name not in scripts)
        raise TrainerError(
            f"Python files and experiments cannot be mixed in one command: found {other!r} beside {scripts[0]!r}."
        )
    return [load_scripts(names, request)]
