"""Runs as typed columns: what the comparison reads, wherever it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

NUMBERS = ("correct", "total", "accuracy", "time_s", "steps", "epochs", "block", "position", "replicate", "seed")
FLAGS = ("warmup",)
TEXTS = (
    "run_id", "experiment", "arm", "stage", "lane", "config_hash", "compute_hash", "code_hash", "data_hash", "invocation",
    "status", "clock", "started_at", "host", "device", "cuda", "cudnn", "torch", "cpu", "throttle", "environment",
    "trained_run",
)  # fmt: skip


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
        return Frame({k: v[mask] for k, v in self.columns.items()}, int(mask.sum()), self.source)

    def take(self, index: NDArray[np.intp]) -> Frame:
        return Frame({k: v[index] for k, v in self.columns.items()}, len(index), self.source)

    def known(self, name: str) -> set[str]:
        """The distinct known values of a text column."""
        return set(self.columns[name].tolist()) - {""}

    def has_unknown(self, name: str) -> bool:
        return bool(self.rows) and "" in set(self.columns[name].tolist())

    def in_time(self) -> NDArray[np.intp]:
        """Row numbers in the order of running: by start where it is known, else by process, block and row."""
        if self.rows and not self.has_unknown("started_at"):
            return np.argsort(self["started_at"].astype(str), kind="stable")
        number: dict[str, int] = {}
        process = np.array([number.setdefault(name, len(number)) for name in self["invocation"].tolist()])
        return np.lexsort((self["position"], self["block"], process))


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
    names = frames[0].columns
    columns = {k: np.concatenate([f.columns[k] for f in frames]) for k in names}
    return Frame(columns, sum(f.rows for f in frames), frames[0].source)


def text_column(values: Sequence[str]) -> NDArray[Any]:
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out
