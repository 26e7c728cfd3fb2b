"""A file from elsewhere as a store: checked cell by cell, nothing dropped uncounted, unknown stays unknown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import UsageError, nearest
from harness.exchange.exporting import unguarded
from harness.exchange.reading import Foreign, read_foreign
from harness.files import is_file
from harness.logger import ExperimentLogger, checked_record
from harness.model.run import COLUMNS, RunRecord
from harness.store.read import Table, checked_store_name, holds_lines
from harness.store.schema import allowed_text, cell, parse_cell, row_of


@dataclass(frozen=True)
class Imported:
    """What came in: rows by arm, what did not by reason, and the columns of the file that no column of a store takes."""

    name: str
    rows: int
    arms: Mapping[str, int]
    unknown_columns: tuple[str, ...]
    missing_columns: tuple[str, ...]
    separator: str = ","
    kind: str = "csv"
    left_out: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def import_file(
    path: Path, name: str, results: Path, renames: Mapping[str, str] | None = None, kind: str | None = None
) -> Imported:
    """Write the runs of `path` to the new store `name`. Raises before anything is written.

    `kind` is the format, told by the content where it is None. `renames` maps a column of the store to the file's own name for
    it. Invocation ids are prefixed with the store's name: arms are interleaved only when they came in one file.
    """
    if not is_file(path):
        near = nearest(path.name, [p.name for p in path.parent.glob("*.*")]) if path.parent.is_dir() else ""
        raise UsageError(f"There is no file {str(path)!r}. {near}".rstrip())
    foreign = read_foreign(path, kind, renames or {})
    table = _renamed(foreign.table, renames or {}, path)
    _check_columns(table, foreign, path)
    records = [
        _record(cells, foreign.line_of(row), row + 1, name, path, foreign) for row, cells in enumerate(table.records())
    ]
    _check_unique(records, foreign, path)
    if holds_lines(results / checked_store_name(name) / "runs.csv"):
        raise UsageError(
            f"The store {str(results / name)!r} exists already. Choose another --as NAME, or delete that folder."
        )
    with ExperimentLogger(name, results=results) as logger:
        logger.describe(_description(name, records, path, foreign))
        facts = {"left_out": dict(foreign.left_out), "notes": list(foreign.notes)}
        logger.note(
            "import", file=path.name, format=foreign.kind, rows=len(records), **{k: v for k, v in facts.items() if v}
        )
        logger.write_rows([row_of(record) for record in records])
    known = [c for c in table.columns if c in COLUMNS and any(table.text(c))]
    return Imported(
        name,
        len(records),
        Counter(record.arm for record in records),
        tuple(c for c in table.columns if c not in COLUMNS),
        tuple(c for c in COLUMNS if c not in known and c not in ("run_id", "experiment", "arm", "status", "warmup")),
        foreign.separator,
        foreign.kind,
        foreign.left_out,
        foreign.notes,
    )


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


def _check_columns(table: Table, foreign: Foreign, path: Path) -> None:
    have = set(table.columns)
    missing = ["'seed'"] if "seed" in foreign.required and "seed" not in have else []
    if "accuracy" in foreign.required and "accuracy" not in have and not {"correct", "total"} <= have:
        missing.append("'accuracy' (or 'correct' and 'total')")
    if missing:
        first = missing[0].split("'")[1]
        raise UsageError(
            f"{path}: {'the column' if len(missing) == 1 else 'the columns'} {' and '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} missing; it has {', '.join(table.columns)}. "
            f"Name it with --map, for example --map {first}=THEIR_NAME. {nearest(first, have)}"
        )
    if table.rows == 0:
        what = "has a header and no rows" if foreign.kind == "csv" else "holds no runs"
        raise UsageError(f"{path}: {what}; there is nothing to import.{_left_out(foreign)}")


def _left_out(foreign: Foreign) -> str:
    return "".join(f" Left out: {count} {reason}." for reason, count in foreign.left_out.items())


def _record(cells: Mapping[str, str], line: str, number: int, name: str, path: Path, foreign: Foreign) -> RunRecord:
    values: dict[str, object] = {}
    for column in COLUMNS:
        text = unguarded(cells.get(column, ""))
        try:
            values[column] = parse_cell(column, text)
        except (ValueError, OverflowError):
            raise UsageError(
                f"{path} {line}: column {column!r} holds {text!r}; allowed is {allowed_text(column)}"
                f"{_decimal_hint(text)}. Mend it and import again."
            ) from None
    if values["seed"] is None and "seed" in foreign.required:
        raise UsageError(f"{path} {line}: the cell of 'seed' is empty; every run needs its seed.")
    invocation = values["invocation"]
    values |= {
        "run_id": values["run_id"] or f"{name}.{number}",
        "experiment": name,
        "arm": cell(values["arm"]) or name,  # as it will stand in its rows
        "invocation": None if invocation is None else f"{name}/{invocation}",
        "status": values["status"] or "completed",
        "warmup": bool(values["warmup"]),
    }
    try:
        return checked_record(RunRecord(**values), timing="accuracy" not in foreign.required)  # type: ignore[arg-type]
    except UsageError as problem:
        raise UsageError(f"{path} {line}: {problem}. Mend it and import again.") from problem


def _decimal_hint(text: str) -> str:
    head, comma, tail = text.strip().partition(",")
    return f" (with a decimal point: {head}.{tail})" if comma and head.lstrip("+-").isdigit() and tail.isdigit() else ""


def _check_unique(records: Sequence[RunRecord], foreign: Foreign, path: Path) -> None:
    seen: dict[str, str] = {}
    for row, record in enumerate(records):
        line = foreign.line_of(row)
        if record.run_id in seen:
            raise UsageError(
                f"{path} {line}: the run id {record.run_id!r} stands already in {seen[record.run_id]}; "
                "every run has an id of its own. Remove the repeat, or drop the column 'run_id' to have ids made."
            )
        seen[record.run_id] = line


def _description(name: str, records: Sequence[RunRecord], path: Path, foreign: Foreign) -> dict[str, object]:
    """No role is given to imported arms, unless one of them says by its name that it is the control."""
    arms = list(dict.fromkeys(record.arm for record in records))
    roles = {arm: "control" if arm in ("control", "baseline") else "candidate" for arm in arms}
    if sum(role == "control" for role in roles.values()) != 1 or len(arms) == 1:
        roles = dict.fromkeys(arms, "")
    described = [{"name": arm, "role": role} for arm, role in roles.items()]
    return {"name": name, "imported": path.name, "format": foreign.kind, "arms": described}
