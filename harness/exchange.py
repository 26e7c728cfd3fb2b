"""A CSV from elsewhere as a store: checked cell by cell, nothing dropped, unknown stays unknown."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from harness.errors import StoreError, UsageError, nearest
from harness.files import is_file
from harness.logger import ExperimentLogger, checked_record
from harness.model.run import COLUMNS, RunRecord
from harness.store.read import Table, checked_store_name, holds_lines, table_of_bytes
from harness.store.schema import FLAGS, FLOATS, INTEGERS, allowed_text, parse_cell, row_of


@dataclass(frozen=True)
class Imported:
    """What came in: rows by arm, and the columns of the file that no column of a store takes."""

    name: str
    rows: int
    arms: Mapping[str, int]
    unknown_columns: tuple[str, ...]
    missing_columns: tuple[str, ...]
    separator: str = ","


def import_csv(path: Path, name: str, results: Path, renames: Mapping[str, str] | None = None) -> Imported:
    """Write the rows of `path` to the new store `name`. Raises before anything is written.

    `renames` maps a column of the store to the file's own name for it. Invocation ids are prefixed with the
    store's name: arms are interleaved only when they came in one file.
    """
    if not is_file(path):
        near = nearest(path.name, [p.name for p in path.parent.glob("*.csv")]) if path.parent.is_dir() else ""
        raise UsageError(f"There is no file {str(path)!r}. {near}".rstrip())
    whole, separator = _whole(path)
    table = _renamed(whole, renames or {}, path)
    _check_columns(table, path)
    records = [_record(cells, line, name, path) for line, cells in enumerate(table.records(), 2)]
    _check_unique(records, path)
    if holds_lines(results / checked_store_name(name) / "runs.csv"):
        raise UsageError(
            f"The store {str(results / name)!r} exists already. Choose another --as NAME, or delete that folder."
        )
    with ExperimentLogger(name, results=results) as logger:
        logger.describe(_description(name, records, path))
        logger.note("import", file=path.name, rows=len(records))
        logger.write_rows([row_of(record) for record in records])
    known = [c for c in table.columns if c in COLUMNS]
    return Imported(
        name,
        len(records),
        Counter(record.arm for record in records),
        tuple(c for c in table.columns if c not in COLUMNS),
        tuple(c for c in COLUMNS if c not in known and c not in ("run_id", "experiment", "arm", "status", "warmup")),
        separator,
    )


def _whole(path: Path) -> tuple[Table, str]:
    """The file's rows and what separates their fields; a last line without its newline is whole in a foreign file."""
    try:
        data = path.read_bytes()
    except OSError as problem:
        raise UsageError(f"{path}: cannot be read: {problem.strerror}.") from problem
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


def _renamed(table: Table, renames: Mapping[str, str], path: Path) -> Table:
    columns = dict(table.columns)
    for ours, theirs in renames.items():
        if ours not in COLUMNS:
            raise UsageError(f"--map {ours}={theirs}: a store has no column {ours!r}. {nearest(ours, COLUMNS)}")
        if theirs not in table.columns:
            raise UsageError(
                f"--map {ours}={theirs}: {path} has no column {theirs!r}. {nearest(theirs, table.columns)}"
            )
        columns[ours] = table.columns[theirs]
        if theirs not in renames and theirs not in COLUMNS:
            columns.pop(theirs, None)
    return Table(table.name, columns, table.rows, table.torn, table.path)


def _check_columns(table: Table, path: Path) -> None:
    have = set(table.columns)
    missing = ["'seed'"] if "seed" not in have else []
    if "accuracy" not in have and not {"correct", "total"} <= have:
        missing.append("'accuracy' (or 'correct' and 'total')")
    if missing:
        first = missing[0].split("'")[1]
        raise UsageError(
            f"{path}: {'the column' if len(missing) == 1 else 'the columns'} {' and '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} missing; it has {', '.join(table.columns)}. "
            f"Name it with --map, for example --map {first}=THEIR_NAME. {nearest(first, have)}"
        )
    if table.rows == 0:
        raise UsageError(f"{path}: has a header and no rows; there is nothing to import.")


def _record(cells: Mapping[str, str], line: int, name: str, path: Path) -> RunRecord:
    values: dict[str, object] = {}
    for column in COLUMNS:
        text = unguarded(cells.get(column, ""))
        try:
            values[column] = parse_cell(column, text)
        except (ValueError, OverflowError):
            raise UsageError(
                f"{path} line {line}: column {column!r} holds {text!r}; allowed is {allowed_text(column)}"
                f"{_decimal_hint(text)}. Mend it and import again."
            ) from None
    if values["seed"] is None:
        raise UsageError(f"{path} line {line}: the cell of 'seed' is empty; every run needs its seed.")
    invocation = values["invocation"]
    values |= {
        "run_id": values["run_id"] or f"{name}.{line - 1}",
        "experiment": name,
        "arm": values["arm"] or name,
        "invocation": None if invocation is None else f"{name}/{invocation}",
        "status": values["status"] or "completed",
        "warmup": bool(values["warmup"]),
    }
    try:
        return checked_record(RunRecord(**values))  # type: ignore[arg-type]
    except UsageError as problem:
        raise UsageError(f"{path} line {line}: {problem}. Mend it and import again.") from problem


def _decimal_hint(text: str) -> str:
    head, comma, tail = text.strip().partition(",")
    return f" (with a decimal point: {head}.{tail})" if comma and head.lstrip("+-").isdigit() and tail.isdigit() else ""


def _check_unique(records: Sequence[RunRecord], path: Path) -> None:
    seen: dict[str, int] = {}
    for line, record in enumerate(records, 2):
        if record.run_id in seen:
            raise UsageError(
                f"{path} line {line}: the run id {record.run_id!r} stands already in line {seen[record.run_id]}; "
                "every run has an id of its own. Remove the repeat, or drop the column 'run_id' to have ids made."
            )
        seen[record.run_id] = line


def _description(name: str, records: Sequence[RunRecord], path: Path) -> dict[str, object]:
    """No role is given to imported arms, unless one of them says by its name that it is the control."""
    arms = list(dict.fromkeys(record.arm for record in records))
    roles = {arm: "control" if arm in ("control", "baseline") else "candidate" for arm in arms}
    if sum(role == "control" for role in roles.values()) != 1 or len(arms) == 1:
        roles = dict.fromkeys(arms, "")
    return {"name": name, "imported": path.name, "arms": [{"name": arm, "role": role} for arm, role in roles.items()]}


def export_rows(table: Table, path: Path) -> int:
    """Write a table as CSV, JSON Lines or Parquet, by the file's ending. Returns the number of rows."""
    if path.suffix not in (".csv", ".jsonl", ".parquet"):
        raise UsageError(f"{path}: the ending says the format; allowed is .csv, .jsonl or .parquet.")
    try:
        if path.suffix == ".csv":
            _export_csv(table, path)
        elif path.suffix == ".jsonl":
            _export_jsonl(table, path)
        else:
            _export_parquet(table, path)
    except OSError as problem:
        raise StoreError(f"{path}: cannot be written: {problem.strerror or problem}.") from problem
    return table.rows


def write_csv(table: Table, file: TextIO) -> None:
    """A table as CSV; a text that a spreadsheet would run as a formula has an apostrophe before it."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(table.columns)
    columns = [
        c if name in (*INTEGERS, *FLOATS, *FLAGS) else list(map(guarded, c)) for name, c in table.columns.items()
    ]
    writer.writerows(zip(*columns, strict=True))


FORMULA = re.compile(r"'*\s*[=+\-@].*[(|!]", re.DOTALL)
"""What a spreadsheet takes for a formula that calls a function, another program or another sheet."""


def guarded(text: str) -> str:
    """`text`, with an apostrophe before what would be run; `import` takes it off again."""
    return f"'{text}" if FORMULA.match(text) else text


def unguarded(text: str) -> str:
    return text[1:] if text.startswith("'") and FORMULA.match(text) else text


def _export_csv(table: Table, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        write_csv(table, file)


def _export_jsonl(table: Table, path: Path) -> None:
    import json
    import math

    with path.open("w", encoding="utf-8") as file:
        for cells in table.records():
            values = {k: parse_cell(k, v) for k, v in cells.items()}
            plain = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}
            file.write(json.dumps(plain, ensure_ascii=False) + "\n")


def _export_parquet(table: Table, path: Path) -> None:
    from harness.store.frames import dataframe_of

    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise UsageError("Parquet needs pyarrow: pip install 'speedrun-harness[parquet]', or export to .csv.") from None
    dataframe_of(table).to_parquet(path, index=False)
