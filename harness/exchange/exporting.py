"""A store's rows as one file: CSV, JSON Lines or Parquet."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import OutputError, UsageError, install
from harness.store.read import Store, Table
from harness.store.schema import cell, parse_cell

CONFIG = "config."
"""What the columns of a configuration begin with."""


def export_rows(table: Table, path: Path, kind: str | None = None) -> int:
    """Write a table as CSV, JSON Lines or Parquet, by the file's ending where no `kind` is given. Returns the number of rows."""
    chosen = kind or path.suffix.removeprefix(".")
    if chosen not in FORMATS:
        raise UsageError(f"{path}: the ending says the format; allowed is .csv, .jsonl or .parquet.")
    try:
        FORMATS[chosen](table, path)
    except OSError as problem:
        raise OutputError.of(path, problem, "-o") from problem
    return table.rows


def with_configuration(table: Table, stores: Sequence[Store]) -> Table:
    """The table with a column `config.KEY` for each key in which the arms of these stores differ; empty where an arm has it not."""
    configs = {(s.name, str(arm.get("name"))): _flat(arm.get("config")) for s in stores for arm in s.arms()}
    keys = dict.fromkeys(key for config in configs.values() for key in config)
    told = [key for key in keys if len({repr(config.get(key)) for config in configs.values()}) > 1]
    rows = list(zip(table.text("experiment"), table.text("arm"), strict=True))
    extra = {f"{CONFIG}{key}": [cell(configs.get(row, {}).get(key)) for row in rows] for key in told}
    return Table(table.name, {**table.columns, **extra}, table.rows, table.torn, table.path)


def _flat(config: Any) -> Mapping[str, Any]:
    """Plain values; lists as JSON."""
    found = config if isinstance(config, Mapping) else {}
    return {k: json.dumps(v) if isinstance(v, list | dict) else v for k, v in found.items()}


FORMULA = re.compile(r"'*\s*[=+\-@].*[(|!]", re.DOTALL)
"""What a spreadsheet takes for a formula that calls a function, another program or another sheet."""


def guarded(text: str) -> str:
    """`text`, with an apostrophe before what would be run; `import` takes it off again."""
    return f"'{text}" if FORMULA.match(text) else text


def unguarded(text: str) -> str:
    return text[1:] if text.startswith("'") and FORMULA.match(text) else text


def csv_text(table: Table) -> Iterator[str]:
    """Line by line, the header first; a text that a spreadsheet would run as a formula has an apostrophe before it."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    columns = [list(map(guarded, cells)) for cells in table.columns.values()]
    for row in itertools.chain([tuple(table.columns)], zip(*columns, strict=True)):
        writer.writerow(row)
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def jsonl_text(table: Table) -> Iterator[str]:
    """Line by line, an object a row; null is unknown."""
    typed = {name: _values(name, cells) for name, cells in table.columns.items()}
    for row in zip(*typed.values(), strict=True):
        plain = {
            k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in zip(typed, row, strict=True)
        }
        yield json.dumps(plain, ensure_ascii=False) + "\n"


def _export_csv(table: Table, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.writelines(csv_text(table))


def _export_jsonl(table: Table, path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(jsonl_text(table))


def _export_parquet(table: Table, path: Path) -> None:
    from harness.store.frames import dataframe_of

    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise UsageError(f"Parquet needs pyarrow: {install('parquet')}. Or export to .csv.") from None
    frame = dataframe_of(table)
    for name in table.columns:
        if name.startswith(CONFIG):
            frame[name] = _values(name, table.columns[name])
    frame.to_parquet(path, index=False)


def _values(name: str, cells: Sequence[str]) -> list[Any]:
    """Cells as values. A configuration's column is one of truths, of whole numbers or of numbers where all of its cells are."""
    if not name.startswith(CONFIG):
        return [parse_cell(name, text) for text in cells]
    if all(text in ("", "true", "false") for text in cells):
        return [None if text == "" else text == "true" for text in cells]
    for kind in (int, float):
        try:
            return [None if text == "" else kind(text) for text in cells]
        except ValueError:
            continue
    return [text or None for text in cells]


FORMATS: Mapping[str, Callable[[Table, Path], None]] = {
    "csv": _export_csv,
    "jsonl": _export_jsonl,
    "parquet": _export_parquet,
}
