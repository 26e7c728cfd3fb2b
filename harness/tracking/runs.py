"""A stored run as every tracking service takes it, and what a service has to offer to be written for."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from harness.errors import StoreError
from harness.model.hashing import digest
from harness.store.metrics import read_series, read_values
from harness.store.read import Store, Table
from harness.store.schema import parse_cell

RESULTS = ("correct", "total", "accuracy", "loss", "time_s", "steps", "epochs", "peak_memory_bytes")
ORIGIN = "harness"
"""Key of the config that holds every other column of `runs.csv`."""


@dataclass(frozen=True)
class Tracked:
    """What was written: new runs, and those that lay there already; `hint` says what to do with them."""

    folder: Path
    written: int
    there: int
    hint: str = ""

    def text(self) -> str:
        again = f" ({self.there} were there already)" if self.there else ""
        return f"Wrote {self.written} runs to {self.folder}{again}. {self.hint}".rstrip()


@dataclass(frozen=True)
class TrackedRun:
    """One run as a service takes it; `history` are values by metric at each step, in order."""

    id: str
    name: str
    group: str
    job_type: str
    tags: tuple[str, ...]
    host: str
    settings: Mapping[str, Any]
    origin: Mapping[str, Any]
    history: tuple[tuple[int, Mapping[str, float]], ...]
    summary: Mapping[str, Any]
    failed: bool
    started_s: float | None = None
    ended_s: float | None = None

    @property
    def config(self) -> dict[str, Any]:
        """The arm's configuration as tables in tables, and where the run came from under `harness`."""
        return nested(self.settings) | {ORIGIN: dict(self.origin)}


class Tracker(ABC):
    """One service's place below a folder, open for writing; a context that closes it."""

    place: Path
    hint: str

    @abstractmethod
    def known(self) -> set[str]:
        """The ids of the runs that lie there, whole."""

    @abstractmethod
    def write(self, run: TrackedRun) -> None:
        """Write one run. Raises StoreError where that fails; the same command then goes on."""

    def close(self) -> None:  # noqa: B027 - not every service has something to close
        """Let go of what the service holds."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def writable(folder: Path, inside: Path) -> None:
    """Make the folder `inside`. Raises StoreError that names `folder`: a service would write elsewhere, and say so where nobody looks."""
    try:
        inside.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise StoreError(f"{folder}: cannot be written: {problem.strerror}. Name another folder with -o.") from problem
    if not os.access(inside, os.W_OK):
        raise StoreError(f"{folder}: cannot be written. Name another folder with -o.")


def tracked_runs(store: Store, table: Table) -> Iterator[TrackedRun]:
    """The rows as a service's runs, in their order; warm-ups and failed attempts too, with a tag."""
    values, series = read_values(store), read_series(store)
    configs = {arm["name"]: arm.get("config") or {} for arm in store.arms()}
    for cells in table.records():
        row = {name: parse_cell(name, text) for name, text in cells.items()}
        run, arm = str(row.get("run_id")), str(row.get("arm") or store.name)
        told = {name: row[name] for name in RESULTS if row.get(name) is not None}
        origin = {name: value for name, value in row.items() if name not in RESULTS and value is not None}
        status = row.get("status") or "completed"
        yield TrackedRun(
            id=digest(f"{store.name}/{run}"),
            name=f"{arm} seed {row.get('seed')}",
            group=arm,
            job_type=row.get("stage") or "run",
            tags=tuple(tag for tag, is_so in (("warmup", row.get("warmup")), (status, status != "completed")) if is_so),
            host=row.get("host") or "",
            settings=configs.get(arm, {}),
            origin=origin,
            history=tuple(sorted(series.get(run, {}).items())),
            summary=values.get(run, {}) | told,
            failed=status != "completed",
            started_s=_seconds(row.get("started_at")),
            ended_s=_seconds(row.get("ended_at")),
        )


def _seconds(moment: str | None) -> float | None:
    """A time of day as seconds since 1970; None where it is unknown or no time."""
    try:
        return None if moment is None else datetime.fromisoformat(moment).timestamp()
    except ValueError:
        return None


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted keys as tables in tables; beside a key `lr` of its own, `lr.end` stays as it is."""
    out: dict[str, Any] = {}
    for key, value in flat.items():
        *tables, last = key.split(".")
        if any(".".join(tables[: i + 1]) in flat for i in range(len(tables))):
            out[key] = value
            continue
        place = out
        for name in tables:
            place = place.setdefault(name, {})
        place[last] = value
    return out
