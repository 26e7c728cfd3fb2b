"""Runs as typed columns: what the comparison reads, wherever it came from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

NUMBERS = (
    "correct", "total", "accuracy", "time_s", "steps", "epochs", "block", "position", "replicate", "seed", "sm_clock_mhz",
    "temperature_c",
)  # fmt: skip
FLAGS = ("warmup",)
TEXTS = (
    "run_id", "experiment", "arm", "stage", "lane", "config_hash", "compute_hash", "code_hash", "data_hash", "invocation",
    "status", "clock", "started_at", "host", "device", "cuda", "cudnn", "torch", "cpu", "throttle", "environment",
    "trained_run", "git_commit", "git_dirty",
)  # fmt: skip


class Later(Mapping[str, NDArray[Any]]):
    """Columns that are made when they are first read, and kept: most comparisons never look at most columns."""

    def __init__(self, names: Sequence[str], make: Callable[[str], NDArray[Any]]) -> None:
        self._names = tuple(names)
        self._make = make
        self._made: dict[str, NDArray[Any]] = {}

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class Picked(Later):
    """Chosen rows of other columns, by row number; rows picked from picked rows refer to the first columns."""

    def __init__(self, columns: Mapping[str, NDArray[Any]], index: NDArray[np.intp]) -> None:
        self.source: Mapping[str, NDArray[Any]] = columns.source if isinstance(columns, Picked) else columns
        self.index: NDArray[np.intp] = columns.index[index] if isinstance(columns, Picked) else index
        super().__init__(tuple(columns), lambda name: self.source[name][self.index])


@dataclass(frozen=True)
class Frame:
    """Columns of equal length: numbers as float64 (NaN unknown), flags as bool, texts as object ('' unknown)."""

    columns: Mapping[str, NDArray[Any]]
    rows: int
    source: str = ""

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.columns[name]

    def where(self, mask: NDArray[np.bool_]) -> Frame:
        if mask.all():
            return self
        return self.take(np.flatnonzero(mask))

    def take(self, index: NDArray[np.intp]) -> Frame:
        return Frame(Picked(self.columns, index), len(index), self.source)

    def known(self, name: str) -> set[str]:
        """The distinct known values of a text column."""
        return set(self.columns[name].tolist()) - {""}

    def has_unknown(self, name: str) -> bool:
        return bool(self.rows) and "" in set(self.columns[name].tolist())

    def groups(self, *names: str) -> tuple[NDArray[np.intp], list[tuple[Any, ...]]]:
        """Each row's number among the distinct combinations of these columns, and the combinations as they first appear."""
        codes, found = codes_of(row_keys(*(self[name] for name in names)))
        rows = np.zeros(len(found), dtype=np.intp)
        rows[codes[::-1]] = np.arange(self.rows)[::-1]  # the last write stands: the first row of each
        return codes, [tuple(self[name][row] for name in names) for row in rows.tolist()]

    def in_time(self) -> NDArray[np.intp]:
        """Row numbers in the order of running: by start where it is known, else by process, block and row."""
        if self.rows and not self.has_unknown("started_at"):
            starts = self["started_at"].tolist()
            return np.array(sorted(range(self.rows), key=starts.__getitem__), dtype=np.intp)  # nearly in order already
        return np.lexsort((self["position"], self["block"], codes_of(self["invocation"])[0]))


def make_frame(columns: Mapping[str, NDArray[Any]], rows: int, source: str) -> Frame:
    """A frame with every column that the comparison reads; a missing one, and what is not finite, is unknown.

    Where the counts are known, the accuracy is their quotient: a stored one may have been rounded.
    """
    full: dict[str, NDArray[Any]] = {}
    for name in NUMBERS:
        values = columns.get(name, np.full(rows, np.nan))
        full[name] = np.where(np.isfinite(values), values, np.nan)
    for name in FLAGS:
        full[name] = columns.get(name, np.zeros(rows, dtype=bool))
    for name in TEXTS:
        full[name] = columns.get(name, np.full(rows, "", dtype=object))
    counted = ~np.isnan(full["correct"]) & (full["total"] > 0)
    exact = np.divide(full["correct"], full["total"], out=np.full(rows, np.nan), where=counted)
    full["accuracy"] = np.where(counted, exact, full["accuracy"])
    return Frame(full, rows, source)


def concatenate(frames: Sequence[Frame]) -> Frame:
    """The rows of several frames, one after another."""
    if len(frames) == 1:
        return frames[0]
    columns = Later(tuple(frames[0].columns), lambda name: np.concatenate([f.columns[name] for f in frames]))
    return Frame(columns, sum(f.rows for f in frames), frames[0].source)


def codes_of(column: NDArray[Any]) -> tuple[NDArray[np.intp], list[Any]]:
    """Each row's number among the distinct values, and those values in the order of their first appearance."""
    cells = column.tolist()
    values = list(dict.fromkeys(cells))
    if len(values) == 1:
        return np.zeros(len(cells), dtype=np.intp), values
    number = {value: i for i, value in enumerate(values)}
    return np.fromiter(map(number.__getitem__, cells), dtype=np.intp, count=len(cells)), values


def row_keys(*columns: NDArray[Any]) -> NDArray[np.int64]:
    """A whole number a row (n,), the same where all `columns` (n,), texts or numbers, are the same."""
    keys = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        if column.dtype == object:
            codes, values = codes_of(column)
            count = len(values)
        else:
            found, codes = np.unique(column, return_inverse=True)
            count = found.size
        if count > 1:
            if keys.size and int(keys.max()) > 2**62 // count:
                keys = np.unique(keys, return_inverse=True)[1].astype(np.int64)
            keys = keys * count + codes
    return keys


def rows_by_code(codes: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """The row numbers of each code 0, 1, ... in the order of the rows."""
    return np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1]) if codes.size else []


def text_column(values: Sequence[str]) -> NDArray[Any]:
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out
