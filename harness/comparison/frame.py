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


def make_frame(columns: Mapping[str, NDArray[Any]], rows: int, source: str) -> Frame:
    """A frame with every column that the comparison reads; a missing one is all unknown."""
    full: dict[str, NDArray[Any]] = {}
    for name in NUMBERS:
        full[name] = columns.get(name, np.full(rows, np.nan))
    for name in FLAGS:
        full[name] = columns.get(name, np.zeros(rows, dtype=bool))
    for name in TEXTS:
        full[name] = columns.get(name, np.full(rows, "", dtype=object))
    if "accuracy" not in columns or np.isnan(full["accuracy"]).any():
        with np.errstate(invalid="ignore", divide="ignore"):
            full["accuracy"] = np.where(np.isnan(full["accuracy"]), full["correct"] / full["total"], full["accuracy"])
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
