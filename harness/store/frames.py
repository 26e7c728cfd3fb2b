"""Rows of a store as the columns of a comparison, and as a pandas DataFrame."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.comparison.frame import FLAGS as FRAME_FLAGS
from harness.comparison.frame import NUMBERS, TEXTS, Frame, make_frame, text_column
from harness.errors import StoreError
from harness.store.large import LARGE_BYTES, large_columns, large_frame
from harness.store.read import Store, Table, read_table
from harness.store.schema import FLAGS, FLOATS, INTEGERS, LONGEST_S

if TYPE_CHECKING:
    import pandas as pd


def read_frame(store: Store) -> tuple[Frame, int]:
    """A store's runs as a frame, and the bytes of its torn last line. Raises StoreError with line, column and value."""
    if is_large(store.runs_path):
        large = large_frame(store.runs_path, store.name)
        if large is not None:
            _check_accuracies(large[0], store.runs_path)
            _check_times(large[0], store.runs_path)
            return large
    table = store.table()
    return frame_of(table), table.torn


def read_columns(path: Path, name: str, wanted: Collection[str]) -> Table:
    """A store's file where only some columns are asked for: of a large one no others are held in memory.

    Raises StoreError as `read_table` does.
    """
    large = large_columns(path, wanted) if is_large(path) else None
    if large is None:
        return read_table(path, name)
    columns, torn = large
    return Table(name, columns, len(next(iter(columns.values()), [])), torn, path)


def is_large(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > LARGE_BYTES


def frame_of(table: Table) -> Frame:
    """A table's text as typed columns. Raises StoreError with line, column and value."""
    columns: dict[str, Any] = {n: table.numbers(n) for n in NUMBERS if n in table.columns}
    columns |= {n: table.flags(n) for n in FRAME_FLAGS if n in table.columns}
    columns |= {n: text_column(table.columns[n]) for n in TEXTS if n in table.columns}
    frame = make_frame(columns, table.rows, table.name)
    _check_accuracies(frame, table.path or table.name)
    _check_times(frame, table.path or table.name)
    return frame


def _check_accuracies(frame: Frame, where: Path | str) -> None:
    with np.errstate(invalid="ignore"):
        wrong = np.flatnonzero((frame["accuracy"] < 0) | (frame["accuracy"] > 1))
    if wrong.size:
        raise StoreError(
            f"{where} line {wrong[0] + 2}: the accuracy is {frame['accuracy'][wrong[0]]:g}; "
            "it must lie between 0 and 1. Restore the file from a copy, or mend that line."
        )


def _check_times(frame: Frame, where: Path | str) -> None:
    with np.errstate(invalid="ignore"):
        wrong = np.flatnonzero(frame["time_s"] > LONGEST_S)
    if wrong.size:
        raise StoreError(
            f"{where} line {wrong[0] + 2}: time_s is {frame['time_s'][wrong[0]]:g}; it must be at most {LONGEST_S:.0e} seconds. "
            "Restore the file from a copy, or mend that line."
        )


def read_dataframe(store: Store) -> pd.DataFrame:
    """All rows of a store, typed: integers nullable, flags boolean, texts as strings, unknown missing."""
    return dataframe_of(store.table())


def dataframe_of(table: Table) -> pd.DataFrame:
    import pandas as pd

    data = pd.DataFrame({name: pd.array(cells, dtype="str") for name, cells in table.columns.items()})
    for name in data.columns:
        column = data[name].replace("", pd.NA)
        try:
            if name in INTEGERS:
                column = pd.to_numeric(column).astype("Int64")
            elif name in FLOATS:
                column = pd.to_numeric(column).astype("float64")
            elif name in FLAGS:
                column = column.str.lower().map({"true": True, "false": False, "1": True, "0": False}).astype("boolean")
        except (TypeError, ValueError, OverflowError) as problem:
            raise StoreError(
                f"{table.path or table.name}: column {name!r}: {problem}. `harness verify {table.name}` shows the line."
            ) from problem
        data[name] = column
    return data
