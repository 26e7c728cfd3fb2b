"""The baseline and the history of a gate file: what every commit is held against, and what became of each.

Both are files that a pipeline keeps: the baseline is replaced whole, the history only ever grows.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import StoreError
from harness.store.append import LineFile

NUMBERS = ("n", "mean", "sd", "cumulative_pp")
TEXTS = ("id", "made", "expires", "commit", "code_hash", "config_hash", "data_hash", "environment")
RECORD_TEXTS = ("check", "anchor", "commit")
RECORD_NUMBERS = ("n", "mean", "z", "log_e")


def read_baselines(path: Path) -> dict[str, dict[str, Any]]:
    """The baseline of each check, by its name; none where there is no file. Raises StoreError where it is damaged."""
    if not path.is_file():
        return {}
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        checks = document["checks"]
        for name, one in checks.items():
            if not _sound(one):
                raise ValueError(f"the baseline of {name!r} lacks a number or a text, or has one that cannot be")
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError, AttributeError) as problem:
        raise StoreError(f"{path}: cannot be read as a baseline: {problem}. Restore it from a copy.") from problem
    return dict(checks)


def _sound(one: Any) -> bool:
    whole = all(isinstance(one[key], int | float) and not isinstance(one[key], bool) for key in NUMBERS)
    texts = all(isinstance(one[key], str) for key in TEXTS)
    first = one["original"]
    datetime.date.fromisoformat(one["expires"])
    return whole and texts and one["n"] >= 2 and one["sd"] > 0 and 0 <= one["mean"] <= 1 and 0 <= first["mean"] <= 1


def write_baselines(path: Path, checks: Mapping[str, Mapping[str, Any]]) -> None:
    """Replace the file in one step. Raises StoreError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        text = json.dumps({"schema": 1, "checks": dict(checks)}, indent=1, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as problem:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise StoreError(f"{path}: cannot be written: {problem.strerror}. The baseline is as it was.") from problem


def read_history(path: Path) -> list[dict[str, Any]]:
    """Every record; a last line that an interrupted writer left unfinished is none. Raises StoreError for any other damage."""
    if not path.is_file():
        return []
    try:
        data = path.read_bytes()
    except OSError as problem:
        raise StoreError(f"{path}: cannot be read: {problem.strerror}.") from problem
    out = []
    for number, line in enumerate(data[: data.rfind(b"\n") + 1].splitlines(), 1):
        try:
            record = json.loads(line)
            sound = all(isinstance(record[key], str) for key in RECORD_TEXTS)
            sound &= all(isinstance(record[key], int | float) for key in RECORD_NUMBERS)
        except (ValueError, KeyError, TypeError):
            sound = False
        if not sound:
            raise StoreError(
                f"{path} line {number}: is no record of a commit. Restore the file from a copy, or mend that line."
            )
        out.append(record)
    return out


def commits_since(records: Sequence[Mapping[str, Any]], check: str, anchor: str) -> list[Mapping[str, Any]]:
    """The commits of a check since its anchor, each once: of two pipelines that met at one commit, the first record counts."""
    found: dict[str, Mapping[str, Any]] = {}
    for record in records:
        if record["check"] == check and record["anchor"] == anchor and record.get("event") != "anchor":
            found.setdefault(record["commit"], record)
    return list(found.values())


def append_history(path: Path, record: Mapping[str, Any]) -> None:
    """Add one line, flushed to disk. Raises StoreError, and leaves the file as it was."""
    file = LineFile(path)
    try:
        file.append(json.dumps(dict(record), ensure_ascii=False, allow_nan=False).encode() + b"\n")
    finally:
        file.close()
