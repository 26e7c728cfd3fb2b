"""Stores as pandas DataFrames, and DataFrames as files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.errors import StoreError
from harness.store.read import Store, Table
from harness.store.schema import FLAGS, FLOATS, INTEGERS

if TYPE_CHECKING:
    import pandas as pd


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
        except (TypeError, ValueError) as problem:
            raise StoreError(
                f"{table.path or table.name}: column {name!r}: {problem}. `harness verify {table.name}` shows the line."
            ) from problem
        data[name] = column
    return data
