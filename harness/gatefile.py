"""`gate.toml`: the checks that a pipeline makes of every commit; file, check and key in every error.

[[checks]]
name = "digits"
experiment = "gate-digits.toml"     # or control = "STORE[:ARM]" and candidate = "STORE[:ARM]"
run = true                          # measure the commit; without it what is stored is judged
margin_pp = 0.1
max_slowdown = 0.01
layers = ["hard", "creep"]
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.comparison.layers import HARD_ALPHA, LAYERS
from harness.errors import SpecError, UsageError, nearest
from harness.files import is_file, is_folder
from harness.model.experiment import CLAIMS, target_in_vain
from harness.plugins import Knob
from harness.spec import SCALARS, TABLES, checked, read_file
from harness.store.read import checked_store_name

DEFAULT_DAYS = 180

KEYS: dict[str, Knob] = {
    knob.key: knob
    for knob in (
        Knob("name", str),
        Knob("experiment", str),
        Knob("control", str),
        Knob("candidate", str),
        Knob("run", bool),
        Knob("preset", str),
        Knob("seeds", int, low=1, high=65536),
        Knob("claim", str, choices=CLAIMS),
        Knob("target", float, low=0.0, high=1.0),
        Knob("margin_pp", float, low=0.0, high=100.0),
        Knob("max_slowdown", float, low=0.0, high=1.0),
        Knob("alpha", float, low=1e-6, high=0.5),
        Knob("hard_alpha", float, low=1e-9, high=0.1),
        Knob("layers", list),
        Knob("anchor_seeds", int, low=2, high=65536),
        Knob("budget_pp", float, low=0.0, high=100.0),
    )
}
OTHER_KEYS = ("expires",)
FILE_KEYS = ("checks", "history", "baseline")


@dataclass(frozen=True)
class Check:
    """One check. What is None was not stated: the experiment's own value holds, where it has one."""

    name: str
    where: str
    experiment: str | None = None
    control: str | None = None
    candidate: str | None = None
    run: bool = False
    preset: str | None = None
    seeds: int | None = None
    claim: str | None = None
    target: float | None = None
    margin_pp: float | None = None
    max_slowdown: float | None = None
    alpha: float | None = None
    hard_alpha: float = HARD_ALPHA
    layers: tuple[str, ...] = ("hard", "creep")
    anchor_seeds: int | None = None
    budget_pp: float | None = None
    expires: datetime.date | int = DEFAULT_DAYS

    def expiry(self, today: datetime.date) -> datetime.date:
        """When a baseline that is made `today` stops being valid."""
        return today + datetime.timedelta(days=self.expires) if isinstance(self.expires, int) else self.expires


@dataclass(frozen=True)
class GateFile:
    path: Path
    checks: tuple[Check, ...]
    history: Path
    baseline: Path


def read_gate_file(path: Path) -> GateFile:
    """The checks of a gate file. Raises SpecError; a file without a check is one, as it could only ever pass."""
    if not is_file(path):
        near = nearest(path.name, [p.name for p in path.parent.glob("*.toml")]) if is_folder(path.parent) else ""
        raise SpecError(f"There is no file {str(path)!r}. {near}".rstrip())
    raw = read_file(path)
    own = next((key for key in raw if key in (*SCALARS, *TABLES) and key not in KEYS), None)
    if "checks" not in raw and own is not None:
        raise SpecError(
            f"{path}: is an experiment file (key {own!r}), no gate file: `harness gate {path.stem}` judges the stored runs of the "
            "experiment; a gate file has a table [[checks]] for each judgement."
        )
    for key in raw:
        if key not in FILE_KEYS:
            hint = f"The key {key!r} belongs under [[checks]]." if key in KEYS else nearest(key, FILE_KEYS)
            raise SpecError(f"{path}: unknown key {key!r}. {hint}")
    tables = raw.get("checks")
    if isinstance(tables, Mapping) and tables:
        raise SpecError(
            f"{path}: a table [checks] is one check's keys in a place where a list is read: write [[checks]], in double brackets."
        )
    if not isinstance(tables, list) or not tables or not all(isinstance(table, Mapping) for table in tables):
        raise SpecError(
            f"{path}: there is no check in it, so that it could never fail. State at least one table [[checks]] with a name and an "
            "experiment, or with a control and a candidate."
        )
    checks = tuple(_check(table, f"{path}: [[checks]] number {number}", path) for number, table in enumerate(tables, 1))
    doubled = next((c.name for i, c in enumerate(checks) if c.name in [d.name for d in checks[:i]]), None)
    if doubled:
        raise SpecError(f"{path}: two checks are called {doubled!r}; every check has a name of its own.")
    return GateFile(
        path,
        checks,
        _beside(path, raw.get("history", f"{path.stem}-history.jsonl"), "history"),
        _beside(path, raw.get("baseline", f"{path.stem}-baseline.json"), "baseline"),
    )


def _beside(path: Path, name: Any, key: str) -> Path:
    if not isinstance(name, str) or not name or not name.isprintable():
        raise SpecError(f"{path}: key {key!r}: the value {name!r} must be a file name.")
    return path.parent / name


def _check(table: Mapping[str, Any], where: str, path: Path) -> Check:
    found: dict[str, Any] = {}
    for key, value in table.items():
        if key in OTHER_KEYS:
            continue
        if key not in KEYS:
            raise SpecError(f"{where}: unknown key {key!r}. {nearest(key, [*KEYS, *OTHER_KEYS])}")
        value = _share(value, f"{where}: key {key!r}") if key == "max_slowdown" else value
        found[key] = checked(KEYS[key], value, f"{where}: key {key!r}")
    if "expires" in table:
        found["expires"] = _expires(table["expires"], where)
    name = found.get("name")
    if not name:
        raise SpecError(f"{where}: 'name' is missing: every check has a name of its own.")
    try:
        checked_store_name(name)
    except UsageError as problem:
        raise SpecError(f"{where}: {problem}") from problem
    found["layers"] = _layers(found.get("layers"), found, where)
    _check_sources(found, where)
    vain = target_in_vain(found.get("target"), found["claim"]) if "claim" in found else ""
    if vain:
        raise SpecError(f"{where}: key 'target': {vain}")
    experiment = found.get("experiment")
    if experiment and experiment.endswith(".toml"):
        found["experiment"] = str(path.parent / experiment)
    return Check(where=f"{where} ({name})", **found)


def _share(value: Any, where: str) -> Any:
    """ "1%" as 0.01, numbers from 0 to 1 as they are. Raises SpecError for other texts, and for what can only be meant in per cent."""
    number = value
    if isinstance(value, str):
        text, percent, rest = value.strip().partition("%")
        try:
            number = float(text) / 100 if percent and not rest else None
        except ValueError:
            number = None
        if number is None:
            raise SpecError(
                f'{where}: the value {value!r} is no share; allowed is 0 to 1, such as 0.01, or in per cent, "1%".'
            )
    if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number) or 0 <= number <= 1:
        return number
    meant = f'; write {number / 100:g} or "{number:g}%"' if number is value and 1 < number <= 100 else ""
    raise SpecError(f"{where}: the value {value!r} would be {100 * number:g} %{meant}. Allowed is 0 to 1 (0% to 100%).")


def _expires(value: Any, where: str) -> datetime.date | int:
    """A date, or a number of days."""
    if isinstance(value, datetime.datetime):
        return value.date()
    if isinstance(value, datetime.date) or (
        isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 3660
    ):
        return value
    raise SpecError(
        f"{where}: key 'expires': the value {value!r} must be a date such as 2030-01-31, or a number of days (1 to 3660)."
    )


def _layers(given: list[Any] | None, found: Mapping[str, Any], where: str) -> tuple[str, ...]:
    """The layers asked for; by default those of every commit, and the claim where one is stated."""
    if given is None:
        return ("claim", "hard", "creep") if "claim" in found else ("hard", "creep")
    for layer in given:
        if layer not in LAYERS:
            raise SpecError(f"{where}: key 'layers': unknown layer {layer!r}. {nearest(str(layer), LAYERS)}")
    if not given:
        raise SpecError(
            f"{where}: key 'layers' is empty, so that the check could never fail. Allowed: {', '.join(LAYERS)}."
        )
    return tuple(layer for layer in LAYERS if layer in given)


def _check_sources(found: Mapping[str, Any], where: str) -> None:
    stores = [key for key in ("control", "candidate") if key in found]
    if ("experiment" in found) == bool(stores) or len(stores) == 1:
        raise SpecError(
            f"{where}: what is judged must be stated once: 'experiment', or 'control' and 'candidate' (stores); found "
            f"{', '.join(key for key in ('experiment', *stores) if key in found) or 'neither'}."
        )
    if stores:
        unfit = next((key for key in ("run", "seeds", "preset", "anchor_seeds") if found.get(key)), None)
        if unfit:
            raise SpecError(f"{where}: key {unfit!r} needs an 'experiment': stored runs are judged as they are.")
