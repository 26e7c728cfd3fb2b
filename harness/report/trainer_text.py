"""What a trainer declares, as JSON and as people read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.plugins import Knob, TrainerInfo, kind_text, range_text


def trainer_document(info: TrainerInfo) -> dict[str, Any]:
    """Name, clock and every configuration key of a trainer, as JSON; nothing is run for it."""
    return {
        "name": info.name,
        "clock": info.clock,
        "declares_compute": info.declares_compute,
        "open_ended": info.open_ended,
        "own_process": info.own_process,
        "libraries": None if info.libraries is None else list(info.libraries),
        "sources": [str(path) for path in info.sources],
        "note": info.note,
        "keys": [_key(knob) for knob in info.knobs.values()],
    }


def _key(knob: Knob) -> dict[str, Any]:
    """One key; a default that does not exist, or that only the trainer knows, is null (see `required`)."""
    known = not (knob.required or knob.own_default)
    default = list(knob.default) if isinstance(knob.default, tuple) else knob.default
    return {
        "key": knob.key,
        "type": kind_text(knob.kind),
        "required": knob.required,
        "default": default if known else None,
        "default_known": known,
        "low": knob.low,
        "high": knob.high,
        "choices": None if knob.choices is None else list(knob.choices),
        "compute": knob.compute,
        "evaluation": knob.evaluation,
        "process": knob.process,
        "help": knob.help,
    }


def trainer_lines(trainer: Mapping[str, Any]) -> list[str]:
    """Clock and keys, a line each: name, default, what is allowed, what it changes, what it means."""
    lines = [f"trainer {trainer['name']}", f"on the clock: {trainer['clock']}"]
    if trainer["note"]:
        lines.append(f"note: {trainer['note']}")
    rows = [_row(key) for key in trainer["keys"]]
    widths = [max((len(row[i]) for row in rows), default=0) for i in range(4)]
    lines += ["", "configuration"]
    lines += [
        "  " + "  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[4]]).rstrip() for row in rows
    ]
    if trainer["open_ended"]:
        lines.append("  any other key is passed on")
    if not trainer["declares_compute"]:
        lines.append("It does not declare which keys are compute-relevant: `compute_hash` stays unknown.")
    return lines


def _row(key: Mapping[str, Any]) -> list[str]:
    roles = {"compute": "compute-relevant", "evaluation": "evaluation only", "process": "process-wide"}
    default = "required" if key["required"] else _value(key["default"]) if key["default_known"] else "its own default"
    return [key["key"], default, _allowed(key), ", ".join(words for k, words in roles.items() if key[k]), key["help"]]


def _allowed(key: Mapping[str, Any]) -> str:
    if key["choices"] is not None:
        return " | ".join(map(_value, key["choices"]))
    if key["low"] is None and key["high"] is None:
        return str(key["type"])
    return f"{key['type']}, {range_text(key['low'], key['high'])}"


def _value(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else '""' if value == "" else str(value)
