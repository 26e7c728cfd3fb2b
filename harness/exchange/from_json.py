"""JSON Lines, and what hyperfine and pyperf write."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.errors import StoreError, UsageError, nearest
from harness.exchange.reading import READERS, Foreign, columns_of, plain, table_of

COMMAND_CLOCK = "the whole command, its process start included (hyperfine)"
PYPERF_CLOCK = "one call, the mean of a loop (pyperf)"
SECONDS = ("second", "")


# --- JSON Lines ----------------------------------------------------------------------------------------------


def read_lines(path: Path, renames: Mapping[str, str]) -> Foreign:
    """One object a run; objects in objects become dotted names. Blank lines are none."""
    rows, lines = list[dict[str, str]](), list[str]()
    for number, line in enumerate(_text(path).split("\n"), 1):
        if line.strip():
            lines.append(f"line {number}")
            rows.append(_row(line, f"{path} line {number}"))
    return Foreign(table_of(columns_of(rows), path), "jsonl", lines=tuple(lines))


def _row(line: str, where: str) -> dict[str, str]:
    """The object of a line as cells. Raises UsageError where it is none, or says one name twice."""
    try:
        found = json.loads(line, object_pairs_hook=_once)
        if isinstance(found, dict):
            return _once(_flat(found))
    except (ValueError, RecursionError) as problem:
        raise UsageError(
            f"{where}: is not JSON: {problem}. Every line must be one object. Mend it and import again."
        ) from None
    raise UsageError(
        f'{where}: is a {type(found).__name__}; every line must be one object, such as {{"seed": 1, "accuracy": 0.94}}.'
    )


def _once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Pairs as a table. Raises ValueError for a name that stands twice: one of the two would be lost."""
    out: dict[str, Any] = {}
    for name, value in pairs:
        if name in out:
            raise ValueError(f"the name {name!r} stands twice")
        out[name] = value
    return out


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, plain(value)


# --- hyperfine -----------------------------------------------------------------------------------------------


def read_hyperfine(path: Path, renames: Mapping[str, str]) -> Foreign:
    """The times of `hyperfine --export-json`: a command is an arm, each of its runs a process start of its own.

    All runs of one command come before those of the next, so that no two share a block; an exit code other than 0 is a crash.
    """
    results = _document(path).get("results")
    if not isinstance(results, list):
        raise _wrong(path, "hyperfine", "results")
    rows, lines, seen = list[dict[str, str]](), list[str](), Counter[str]()
    for place, result in enumerate(results, 1):
        where = f"result {place}"
        if not isinstance(result, dict) or not isinstance(result.get("times"), list):
            raise UsageError(
                f"{path} {where}: has no list 'times' of single runs, only their mean. Write the file with `hyperfine --export-json` "
                "(not --export-csv or --export-markdown)."
            )
        arm = _distinct(str(result.get("command") or f"command {place}"), seen)
        codes = result.get("exit_codes") or []
        for run, seconds in enumerate(result["times"]):
            code = codes[run] if run < len(codes) else 0
            rows.append(
                {
                    "arm": arm, "replicate": str(run), "block": str(run), "invocation": f"{place}.{run}", "time_s": plain(seconds),
                    "clock": COMMAND_CLOCK, "status": "completed" if code == 0 else "crashed",
                    "error": "" if code == 0 else "ended by a signal" if code is None else f"exit code {code}",
                }
            )  # fmt: skip
            lines.append(f"{where}, run {run + 1}")
    notes = (
        "hyperfine runs all of one command, then all of the next: their times were never interleaved, so a ratio of them cannot be "
        "claimed (`not-interleaved`); its warm-up runs are not in the file",
    )
    return Foreign(table_of(columns_of(rows), path), "hyperfine", frozenset(), notes=notes, lines=tuple(lines))


def _distinct(name: str, seen: Counter[str]) -> str:
    """The name, with a number where it stood there before: two arms never become one."""
    seen[name] += 1
    return name if seen[name] == 1 else f"{name} ({seen[name]})"


# --- pyperf --------------------------------------------------------------------------------------------------


def read_pyperf(path: Path, renames: Mapping[str, str]) -> Foreign:
    """Values of pyperf: a benchmark is an arm, each of its processes an invocation, its warm-ups are warm-ups.

    The values of a process are its runs in turn. Benchmarks that measure anything but seconds are left out, and counted.
    """
    suite = _document(path)
    benchmarks = suite.get("benchmarks")
    if not isinstance(benchmarks, list):
        raise _wrong(path, "pyperf", "benchmarks")
    version = str(suite.get("version", "1.0"))
    if not version.startswith("1."):  # the numbers of older files meant something else
        raise UsageError(
            f"{path}: is of an older version of pyperf's format ({version}; read is 1.0): python -m pyperf convert FILE -o NEW"
        )
    common, left_out, seen = _facts(suite), Counter[str](), Counter[str]()
    rows, lines = list[dict[str, str]](), list[str]()
    for place, benchmark in enumerate(benchmarks, 1):
        if not isinstance(benchmark, dict) or not isinstance(benchmark.get("runs"), list):
            raise _wrong(path, "pyperf", f"runs of benchmark {place}")
        facts = common | _facts(benchmark)
        arm = _distinct(facts.get("name") or f"benchmark {place}", seen)
        runs = benchmark["runs"]
        if not all(isinstance(run, dict) for run in runs):
            raise _wrong(path, "pyperf", f"runs of benchmark {place}")
        if facts.get("unit", "") not in SECONDS:
            left_out[f"values of {arm!r}, which are no seconds but {facts['unit']}"] += sum(
                len(r.get("values") or ()) for r in runs
            )
            continue
        for process, run in enumerate(runs, 1):
            told = _told(facts | _facts(run)) | {"arm": arm, "invocation": f"{place}.{process}", "clock": PYPERF_CLOCK}
            for number, (warm, value) in enumerate(_values(run, f"{path} benchmark {place}, process {process}")):
                rows.append(told | {"warmup": plain(warm), "block": str(number), "time_s": plain(value)})
                lines.append(f"benchmark {place}, process {process}, value {number + 1}")
    notes = (
        "pyperf runs all processes of one benchmark, then all of the next: their times were never interleaved, so a ratio of them "
        "cannot be claimed (`not-interleaved`)",
    )
    return Foreign(
        table_of(columns_of(rows), path), "pyperf", frozenset(), dict(left_out), notes if len(benchmarks) > 1 else (), lines=tuple(lines)
    )  # fmt: skip


def _values(run: Mapping[str, Any], where: str) -> Iterator[tuple[bool, Any]]:
    """Warm-ups, stored as (loops, seconds of one), then the values."""
    try:
        for _, value in run.get("warmups") or ():
            yield True, value
        for value in run.get("values") or ():
            yield False, value
    except (TypeError, ValueError):
        raise UsageError(
            f"{where}: 'warmups' must be pairs and 'values' numbers. Write the file with pyperf again."
        ) from None


def _facts(part: Mapping[str, Any]) -> dict[str, str]:
    found = part.get("metadata")
    return {str(k): plain(v) for k, v in found.items()} if isinstance(found, Mapping) else {}


def _told(facts: Mapping[str, str]) -> dict[str, str]:
    """The columns of a store that pyperf's metadata fill."""
    python = facts.get("python_version", "").split(" ")[0]
    named = {
        "host": facts.get("hostname", ""),
        "cpu": facts.get("cpu_model_name", ""),
        "python": python,
        "device": "cpu",
    }
    return named | {"started_at": facts.get("date", "").replace(" ", "T")}


# --- both ----------------------------------------------------------------------------------------------------


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as problem:
        raise StoreError(f"{path}: is not UTF-8 text ({problem.reason} at byte {problem.start}).") from problem


def _document(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(_text(path))
    except (ValueError, RecursionError) as problem:
        raise UsageError(
            f"{path}: is not JSON: {problem}. Write it again, or name the format it has with --format."
        ) from None
    return found if isinstance(found, dict) else {}


def _wrong(path: Path, program: str, key: str) -> UsageError:
    return UsageError(
        f"{path}: is no file of {program}: it has no list {key!r}. Name its format with --format. {nearest('', READERS)}"
    )
