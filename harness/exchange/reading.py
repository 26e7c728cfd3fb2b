"""Which format a file from elsewhere has, by its content, and its runs as rows under a store's own column names."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import StoreError, UsageError, nearest
from harness.store.read import Table, table_of_bytes

READERS = {
    "csv": "harness.exchange.reading:read_csv",
    "wandb": "harness.exchange.from_wandb:read",
    "jsonl": "harness.exchange.from_json:read_lines",
    "hyperfine": "harness.exchange.from_json:read_hyperfine",
    "pyperf": "harness.exchange.from_json:read_pyperf",
    "airbench": "harness.exchange.from_airbench:read",
}
"""A format is one function (path, renames) -> Foreign and one line here."""
ALWAYS = frozenset(("seed", "accuracy"))


@dataclass(frozen=True)
class Foreign:
    """The runs of a file as rows of text, a row a run.

    `required` of seed and accuracy must be known of every run (the others of the two may be unknown in this format);
    `left_out` runs that are no rows, by reason; `lines` where each row stood in the file.
    """

    table: Table
    kind: str
    required: frozenset[str] = ALWAYS
    left_out: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    separator: str = ","
    lines: tuple[str, ...] = ()

    def line_of(self, row: int) -> str:
        """Where a row stood, in words."""
        return self.lines[row] if self.lines else f"line {row + 2}"


def read_foreign(path: Path, kind: str | None, renames: Mapping[str, str]) -> Foreign:
    """The runs of a file. Raises UsageError or StoreError that says where it is not what it should be."""
    try:
        with path.open("rb") as file:
            head = file.read(1 << 16)
    except OSError as problem:
        raise StoreError(f"{path}: cannot be read: {problem.strerror}.") from problem
    chosen = kind or told_by(head, path)
    if chosen not in READERS:
        raise UsageError(f"--format {chosen}: there is no such format. {nearest(chosen, READERS)}")
    module, _, name = READERS[chosen].partition(":")
    found = getattr(importlib.import_module(module), name)(path, renames)
    assert isinstance(found, Foreign)
    return found


def told_by(head: bytes, path: Path) -> str:
    """The format that a file's first bytes show; CSV where they show none."""
    if head.startswith((b"PK\x03\x04", b"\x80")):  # an archive of torch's, or a pickle
        return "airbench"
    if head.startswith(b"\x1f\x8b"):
        raise UsageError(f"{path}: is compressed. Unpack it (gunzip) and import what comes out.")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"{"):
        return _json_kind(path)
    if text.startswith(b"["):
        raise UsageError(f"{path}: is a JSON list. Write one object a line (JSON Lines): jq -c '.[]' FILE > runs.jsonl")
    return "wandb" if _is_wandb(text) else "csv"


def _json_kind(path: Path) -> str:
    """A whole document of hyperfine's or pyperf's, or objects line by line."""
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return "jsonl"
    if isinstance(document, dict) and isinstance(document.get("benchmarks"), list):
        return "pyperf"
    results = document.get("results") if isinstance(document, dict) else None
    if isinstance(results, list) and all(isinstance(one, dict) and "command" in one for one in results):
        return "hyperfine"
    return "jsonl"


def _is_wandb(head: bytes) -> bool:
    """Whether the header is that of a table of runs that was exported from Weights & Biases."""
    names = {name.strip().strip('"') for name in head.partition(b"\n")[0].decode("utf-8", "replace").split(",")}
    return {"Name", "State"} <= names and bool({"Created", "Runtime", "ID"} & names)


def table_of(columns: Mapping[str, list[str]], path: Path) -> Table:
    """Columns of equal length as a table."""
    return Table(path.stem, dict(columns), len(next(iter(columns.values()), [])), 0, path)


def columns_of(rows: list[dict[str, str]]) -> dict[str, list[str]]:
    """Rows as columns, every name that any row has; empty where a row has it not."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return {name: [row.get(name, "") for row in rows] for name in names}


def plain(value: Any) -> str:
    """A value of JSON as a cell: null is unknown."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else repr(value) if isinstance(value, int | float) else json.dumps(value)


def read_csv(path: Path, renames: Mapping[str, str]) -> Foreign:
    """A table with a header; a last line without its newline is whole in a foreign file."""
    table, separator = csv_table(path)
    return Foreign(table, "csv", separator=separator)


def csv_table(path: Path) -> tuple[Table, str]:
    """The rows and what separates their fields."""
    data = path.read_bytes()
    separator = _separator(data, path)
    if data and not data.endswith(b"\n"):
        data += b"\n"
    return table_of_bytes(data, path, path.stem, separator, folded=True), separator


def _separator(data: bytes, path: Path) -> str:
    """A comma; a semicolon or a tab where the header has no comma and one of them. Raises UsageError where it has both."""
    header = data.partition(b"\n")[0].decode("utf-8", "replace")
    if "," in header:
        return ","
    found = [sign for sign in (";", "\t") if sign in header]
    if len(found) > 1:
        raise UsageError(
            f"{path}: its header holds semicolons and tabs and no comma: {header.strip()!r}. Fields must be separated by one of "
            "comma, semicolon and tab; save the file again and import it."
        )
    return found[0] if found else ","
