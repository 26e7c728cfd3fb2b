"""Reading a store: `runs.csv` as columns, with every line that is not a run counted."""

from __future__ import annotations

import csv
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import StoreError, UsageError, nearest
from harness.files import is_file
from harness.store.description import fault_of_description
from harness.store.schema import allowed_text, parse_cell

Column = list[str]
csv.field_size_limit(2**31 - 1)  # an error text may be long; the default of 128 KiB would make its store unreadable
LONGEST_NAME = 200
"""Bytes of a store's name: it is a folder, and part of the names of files."""


@dataclass(frozen=True)
class Table:
    """The rows of one `runs.csv` as columns of text; a missing column reads as all unknown.

    `torn` counts bytes of an unfinished last line, which is left out (an interrupted write).
    """

    name: str
    columns: Mapping[str, Column]
    rows: int
    torn: int = 0
    path: Path | None = None

    def text(self, name: str) -> Column:
        return self.columns.get(name) or [""] * self.rows

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Column as float64 (rows,), NaN where unknown. Raises StoreError with line, column and value."""
        cells = self.columns.get(name)
        if cells is None:
            return np.full(self.rows, np.nan)
        try:
            return np.array([float(c) if c else np.nan for c in cells], dtype=np.float64)
        except ValueError:
            raise self._bad(name, cells, lambda c: float(c) if c else 0.0) from None

    def integers(self, name: str) -> list[int | None]:
        """Column as whole numbers, None where unknown. Raises StoreError with line, column and value."""
        cells = self.text(name)
        try:
            return [parse_cell(name, c) for c in cells]
        except (ValueError, OverflowError):
            raise self._bad(name, cells, lambda c: parse_cell(name, c)) from None

    def flags(self, name: str) -> NDArray[np.bool_]:
        """Column of true/false as bool (rows,); unknown is False."""
        cells = self.columns.get(name)
        if cells is None:
            return np.zeros(self.rows, dtype=bool)
        known = {"true": True, "false": False, "": False}
        try:
            return np.array([known[c] if c in known else bool(parse_cell(name, c)) for c in cells], dtype=bool)
        except ValueError:
            raise self._bad(name, cells, lambda c: parse_cell(name, c)) from None

    def take(self, keep: Sequence[int] | NDArray[np.intp]) -> Table:
        """The rows of the given indices, in that order."""
        index = list(map(int, keep))
        return Table(self.name, {k: [v[i] for i in index] for k, v in self.columns.items()}, len(index), 0, self.path)

    def records(self) -> Iterator[dict[str, str]]:
        names = list(self.columns)
        for values in zip(*self.columns.values(), strict=True):
            yield dict(zip(names, values, strict=True))

    def _bad(self, name: str, cells: Column, parse: Any) -> StoreError:
        for line, text in enumerate(cells, 2):
            try:
                parse(text)
            except (ValueError, OverflowError):
                return StoreError(
                    f"{self.path or self.name} line {line}: column {name!r} holds {text!r}; "
                    f"allowed is {allowed_text(name)}. Restore the file from a copy, or mend that cell."
                )
        return StoreError(f"{self.path or self.name}: column {name!r} cannot be read.")


def read_table(path: Path, name: str) -> Table:
    """A CSV with a header as a Table. Raises StoreError where a line has another number of fields."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise StoreError(f"{path}: there is no such file.") from None
    except OSError as problem:
        raise StoreError(f"{path}: cannot be read: {problem.strerror}.") from problem
    return table_of_bytes(data, path, name)


def table_of_bytes(data: bytes, path: Path, name: str, separator: str = ",", *, folded: bool = False) -> Table:
    """The content of a CSV file as a Table; an unfinished last line is left out and counted in `torn`.

    `folded`: a cell in quotes may hold line breaks, as in files of other programs; in a store a row is one line, and a quote
    that is left open must not swallow the rows below it.
    """
    whole = data.rfind(b"\n") + 1
    torn = len(data) - whole
    try:
        lines = data[:whole].decode("utf-8-sig").split("\n")[:-1]
    except UnicodeDecodeError as problem:
        raise StoreError(f"{path}: is not UTF-8 text ({problem.reason} at byte {problem.start}).") from problem
    return _table(lines, path, name, torn, separator, folded)


def _table(lines: list[str], path: Path, name: str, torn: int, separator: str, folded: bool) -> Table:
    rows: list[list[str]] = []
    text = [line + "\n" for line in lines] if folded else lines
    try:
        rows.extend(csv.reader(text, delimiter=separator, strict=True))
    except csv.Error as problem:
        raise StoreError(
            f"{path} line {_line_of_row(text, separator, len(rows))}: is not CSV: {_told(problem)}. "
            "Restore the file from a copy, or mend that line; nothing was changed."
        ) from problem
    if not folded and len(rows) < len(lines):
        raise StoreError(
            f"{path} line {_first_folded(lines, separator)}: a quote is left open, which would swallow the lines below. "
            "Restore the file from a copy, or mend that line; nothing was changed."
        )
    if not rows or not any(rows[0]):
        raise StoreError(f"{path}: is empty: it has no header and no runs. Run the experiment, or delete the file.")
    header, body = rows[0], rows[1:]
    if len(set(header)) < len(header):
        twice = next(h for h in header if header.count(h) > 1)
        raise StoreError(f"{path}: the column {twice!r} stands twice in the header.")
    width = len(header)
    for number, row in enumerate(body, 2):
        if len(row) != width:
            raise StoreError(
                f"{path} line {number}: has {len(row)} fields where the header has {width}. "
                "Restore the file from a copy, or mend that line; nothing was changed."
            )
    columns = (
        {h: list(c) for h, c in zip(header, zip(*body, strict=True), strict=True)} if body else {h: [] for h in header}
    )
    return Table(name, columns, len(body), torn, path)


def _told(problem: csv.Error) -> str:
    """What the reader complained of, in words for people."""
    words = str(problem).partition(" - ")[0]
    return "a quote is left open, or text stands behind a closing one" if "unexpected end" in words else words


def _line_of_row(lines: list[str], separator: str, row: int) -> int:
    """The line on which row number `row` (from 0) begins."""
    reader = csv.reader(lines, delimiter=separator, strict=True)
    for _ in range(row):
        next(reader)
    return reader.line_num + 1


def _first_folded(lines: list[str], separator: str) -> int:
    """The first line whose row goes on below it."""
    reader = csv.reader(lines, delimiter=separator, strict=True)
    return next((number for number, _ in enumerate(reader, 1) if reader.line_num > number), 1)


@dataclass(frozen=True)
class Store:
    """A folder `results/<name>` with its runs and the experiment that they were made for."""

    name: str
    folder: Path
    experiment: dict[str, Any] = field(default_factory=dict)

    @property
    def runs_path(self) -> Path:
        return self.folder / "runs.csv"

    @property
    def exists(self) -> bool:
        return is_there(self.runs_path)

    def table(self) -> Table:
        """All rows. Raises StoreError where there is no run."""
        table = read_table(self.runs_path, self.name)
        if table.rows == 0:
            raise StoreError(f"{self.runs_path}: holds no run yet. `harness run {self.name}` makes some.")
        return table

    def arms(self) -> list[dict[str, Any]]:
        arms = self.experiment.get("arms", [])
        return arms if isinstance(arms, list) else []


def checked_store_name(name: str) -> str:
    """`name`, where it can be a folder of its own under the results. Raises UsageError."""
    if not name or "/" in name or "\\" in name or name.startswith(".") or not name.isprintable():
        raise UsageError(f"The name {name!r} cannot be a store: use letters, digits, '-', '_' and '.'.")
    if len(name.encode()) > LONGEST_NAME:
        raise UsageError(
            f"The name {name[:40]!r}... cannot be a store: it has {len(name.encode())} bytes of at most {LONGEST_NAME}. Name one with --as."
        )
    return name


def is_there(path: Path) -> bool:
    """Whether there is a file. Raises StoreError where its folder does not let that be known."""
    try:
        return is_file(path)
    except OSError as problem:
        raise StoreError(
            f"{path}: cannot be read: {problem.strerror}. Check the permissions of its folder."
        ) from problem


def holds_lines(path: Path) -> bool:
    """Whether a file is there with at least one whole line: its header."""
    if not is_there(path):
        return False
    try:
        with path.open("rb") as file:
            return file.readline().endswith(b"\n")
    except OSError as problem:
        raise StoreError(f"{path}: cannot be read: {problem.strerror}.") from problem


def open_store(results: Path, name: str) -> Store:
    """The store `name`; it may not exist yet. Raises StoreError where its description is damaged."""
    folder = results / name
    path = folder / "experiment.json"
    if not is_there(path):
        return Store(name, folder)
    try:
        experiment = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError) as problem:
        raise StoreError(f"{path}: cannot be read as JSON: {problem}. Restore it from a copy.") from problem
    fault = fault_of_description(experiment)
    if fault:
        raise StoreError(f"{path}: {fault}. Restore it from a copy.")
    return Store(name, folder, experiment)


def store_names(results: Path) -> list[str]:
    """Every store of a results folder."""
    return sorted(p.parent.name for p in results.glob("*/runs.csv")) if results.is_dir() else []


def existing_store(results: Path, name: str, others: Collection[str] = ()) -> Store:
    """The store `name`, or that of the experiment file `name`.

    Raises StoreError with the nearest name where there is none, of `others` too (names of arms).
    """
    store = open_store(results, name)
    if not store.exists and name.endswith((".toml", ".yaml", ".yml")):
        store = open_store(results, Path(name).stem)
    if not store.exists:
        _require_possible(name)
        names = store_names(results)
        if not names:
            raise StoreError(
                f"There is no store {name!r}: {str(results)!r} holds no runs. "
                f"`harness run {name}` makes some; --results DIR looks elsewhere."
            )
        raise StoreError(
            f"There is no store {name!r} under {str(results)!r}. {_near(name, names, others)} "
            "An experiment has a store once `harness run NAME` has made its runs; --results DIR looks elsewhere."
        )
    return store


def _near(name: str, stores: Sequence[str], others: Collection[str]) -> str:
    """The nearest store, else the nearest of the other names, else all stores."""
    close = nearest(name, stores)
    other = nearest(name, others) if others else ""
    return other if close.startswith("Allowed") and other.startswith("Did you mean") else close


def _require_possible(name: str) -> None:
    """Raise UsageError for what can be neither a store nor an experiment, so that nobody is told to run it."""
    if name.endswith((".toml", ".yaml", ".yml", ".py")):
        return
    try:
        checked_store_name(name)
    except UsageError as problem:
        raise UsageError(
            f"{name!r} can be neither a store nor an experiment: a store is a folder's name under --results DIR, an experiment a name "
            "or a path that ends in .toml. `harness list` shows both."
        ) from problem


def first_value(store: Store, arm: str, column: str) -> str:
    """A column of the first row of an arm, read no further than that; empty where there is no such row, column or file."""
    try:
        with store.runs_path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            return next((row.get(column) or "" for row in csv.DictReader(file) if row.get("arm") == arm), "")
    except (OSError, csv.Error):
        return ""


def ledger_of(store: Store) -> list[dict[str, Any]]:
    """What was asked of a store's runs, and when; a line that cannot be read is kept as it stands."""
    path = store.folder / "ledger.jsonl"
    if not is_there(path):
        return []
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as problem:
        raise StoreError(f"{path}: cannot be read: {problem.strerror}.") from problem
    return [_entry(line) for line in text.split("\n") if line.strip()]


def _entry(line: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        entry = None
    return entry if isinstance(entry, dict) else {"event": "unreadable", "line": line}
