"""The baseline and the history of a gate file: what every commit is held against, and what became of each.

Both are files that a pipeline keeps: the baseline is replaced whole, the history only ever grows.
"""

from __future__ import annotations

import contextlib
import datetime
import itertools
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import StoreError
from harness.store.append import LineFile

SCHEMA = 1
TEXTS = ("id", "made", "expires", "commit", "code_hash", "config_hash", "data_hash", "environment")
RECORD_TEXTS = ("check", "anchor", "commit")
LARGEST = 1e100
"""Numbers beyond it are none that runs could have given, and their sums would overflow."""


def read_baselines(path: Path) -> dict[str, dict[str, Any]]:
    """The baseline of each check, by its name; none where there is no file. Raises StoreError where it is damaged."""
    if not path.is_file():
        return {}
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise StoreError(f"{path}: cannot be read: {problem.strerror}.") from problem
    except (ValueError, RecursionError) as problem:  # also text that is not UTF-8
        raise StoreError(f"{path}: is no JSON: {problem}. {RESTORE}") from problem
    fault = _fault_of_file(document)
    if fault:
        raise StoreError(f"{path}: cannot be read as a baseline: {fault}. {RESTORE}")
    return dict(document["checks"])


RESTORE = "Restore the file from a copy, such as an earlier commit of it."


def _fault_of_file(document: Any) -> str:
    """What makes a document no file of baselines; empty where nothing does."""
    if not isinstance(document, Mapping):
        return "it must be an object with the keys 'schema' and 'checks'"
    missing = [key for key in ("schema", "checks") if key not in document]
    if missing:
        return f"{_quoted(missing)} {'is' if len(missing) == 1 else 'are'} missing"
    if document["schema"] != SCHEMA or isinstance(document["schema"], bool):
        return f"'schema' is {document['schema']!r}; this version of the harness reads {SCHEMA}"
    if not isinstance(document["checks"], Mapping):
        return "'checks' must be an object with a baseline for each check"
    faults = ((name, _fault(one)) for name, one in document["checks"].items())
    return next((f"the baseline of {name!r}: {fault}" for name, fault in faults if fault), "")


def _fault(one: Any) -> str:
    """What makes an object no baseline; empty where nothing does."""
    if not isinstance(one, Mapping):
        return "it must be an object"
    missing = [key for key in (*TEXTS, "n", "mean", "sd", "cumulative_pp", "original") if key not in one]
    if missing:
        return f"{_quoted(missing)} {'is' if len(missing) == 1 else 'are'} missing"
    text = next((key for key in TEXTS if not isinstance(one[key], str)), None)
    if text:
        return f"{text!r} is {one[text]!r}; it must be a text"
    try:
        datetime.date.fromisoformat(one["expires"])
    except ValueError:
        return f"'expires' is {one['expires']!r}; it must be a date such as 2030-01-31"
    first = one["original"].get("mean") if isinstance(one["original"], Mapping) else None
    sound = {
        "n": (one["n"], "a whole number of 2 or more", isinstance(one["n"], int) and _within(one["n"], 2, 1e12)),
        "mean": (one["mean"], "a number from 0 to 1", _within(one["mean"], 0, 1)),
        "sd": (one["sd"], "a number above 0", _within(one["sd"], 1e-100, 1)),
        "cumulative_pp": (one["cumulative_pp"], "a number from -100 to 100", _within(one["cumulative_pp"], -100, 100)),
        "original.mean": (first, "a number from 0 to 1", _within(first, 0, 1)),
    }
    return next(
        (f"{key!r} is {found!r}; it must be {what}" for key, (found, what, holds) in sound.items() if not holds), ""
    )


def _within(value: Any, low: float, high: float) -> bool:
    """Whether it is a number between both; NaN, the infinities and truth values are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))


def write_baselines(path: Path, checks: Mapping[str, Mapping[str, Any]]) -> None:
    """Replace the file in one step. Raises StoreError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        text = json.dumps({"schema": SCHEMA, "checks": dict(checks)}, indent=1, ensure_ascii=False, allow_nan=False)
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
        except (ValueError, RecursionError):
            record = None
        fault = _fault_of_record(record)
        if fault:
            raise StoreError(
                f"{path} line {number}: is no record of a commit: {fault}. Restore the file from a copy, or mend that line."
            )
        out.append(record)
    return out


def _fault_of_record(record: Any) -> str:
    """What makes a line of the history none; empty where nothing does."""
    if not isinstance(record, Mapping):
        return "it is no JSON object"
    missing = [key for key in (*RECORD_TEXTS, "n", "mean", "z", "log_e") if key not in record]
    if missing:
        return f"{_quoted(missing)} {'is' if len(missing) == 1 else 'are'} missing"
    text = next((key for key in RECORD_TEXTS if not isinstance(record[key], str)), None)
    if text:
        return f"{text!r} is {record[text]!r}; it must be a text"
    limits = {"n": (1, LARGEST), "mean": (0, 1), "z": (-LARGEST, LARGEST), "log_e": (-LARGEST, LARGEST)}
    wrong = next((key for key, (low, high) in limits.items() if not _within(record[key], low, high)), None)
    if wrong:
        return f"{wrong!r} is {record[wrong]!r}; it must be a finite number that runs can give"
    number = record.get("number", 0)
    if not isinstance(number, int) or not _within(number, 0, LARGEST):
        return f"'number' is {number!r}; it must be a whole number, counted from the anchor"
    return ""


@dataclass(frozen=True)
class Chart:
    """The commits of a check since its anchor, each once, and the number that the next record has."""

    commits: tuple[Mapping[str, Any], ...]
    following: int


def read_chart(path: Path, check: str, anchor: str) -> Chart:
    """The commits of a check since its anchor: of two pipelines that met at one commit, the first record counts.

    Raises StoreError where the file does not hold the anchor's own line and every record from there to its last one:
    what is not there would be taken for commits that lost nothing. Records that are cut off its end cannot be missed.
    """
    lines = [one for one in read_history(path) if one["check"] == check and one["anchor"] == anchor]
    way_out = (
        "Restore the file from a copy (the pipeline's cache, an earlier commit of it); or, where there is none, begin the chart "
        "anew with `harness gate FILE --re-anchor` at another commit"
    )
    if not any(one.get("event") == "anchor" for one in lines):
        said = "does not hold the line of" if path.is_file() else "is not there, which holds the commits since"
        raise StoreError(f"{path}: {said} the anchor {anchor} of {check!r}, so that creep cannot be seen. {way_out}.")
    numbers = {one["number"] for one in lines if "number" in one}
    if any("number" not in one for one in lines):
        raise StoreError(f"{path}: a record of {check!r} since its anchor {anchor} has no number. {way_out}.")
    last = max(numbers)
    gaps = list(itertools.islice((number for number in range(last) if number not in numbers), 12))
    if gaps:
        told = f"record {gaps[0]}" if len(gaps) == 1 else f"records {', '.join(map(str, gaps))}"
        raise StoreError(
            f"{path}: {told} of {check!r} since its anchor {anchor} (the last one is {last}) "
            f"{'is' if len(gaps) == 1 else 'are'} missing. {way_out}."
        )
    commits: dict[str, Mapping[str, Any]] = {}
    for one in lines:
        if one.get("event") != "anchor":
            commits.setdefault(one["commit"], one)
    return Chart(tuple(commits.values()), last + 1)


def anchor_record(check: str, baseline: Mapping[str, Any]) -> dict[str, Any]:
    """The line of the history that a chart begins with."""
    facts = {key: baseline[key] for key in ("n", "mean", "sd", "cumulative_pp")}
    head = {"at": baseline["made"], "event": "anchor", "check": check, "anchor": baseline["id"], "number": 0}
    return head | {"commit": baseline["commit"], "z": 0.0, "log_e": 0.0, "alarm": False} | facts


def append_history(path: Path, record: Mapping[str, Any]) -> None:
    """Add one line, flushed to disk. Raises StoreError, and leaves the file as it was."""
    file = LineFile(path, linked=True)  # a pipeline may keep it elsewhere
    try:
        file.append(json.dumps(dict(record), ensure_ascii=False, allow_nan=False).encode() + b"\n")
    finally:
        file.close()
