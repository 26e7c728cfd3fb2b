"""Data sets as plugins: found by entry point, fetched once into a cache, verified by the hash of their pixels.

A data set ends in one file of arrays, whatever source it came from. The file is written whole or not at all, under a
lock: a killed or failed download leaves nothing that a later run could take for the data.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from harness.errors import HarnessError, UsageError, nearest

try:
    import fcntl
except ImportError:  # pragma: no cover - not on Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["DataError", "Dataset", "Facts", "cache_folder", "exclusive", "named", "names", "scratch"]

GROUP = "harness.datasets"
CACHE_VARIABLE = "HARNESS_DATA"


class DataError(HarnessError):
    """Data that cannot be had, or is not what it should be (exit 5: what was asked for could not be had)."""

    exit_code = 5


@dataclass(frozen=True)
class Facts:
    """What is known of a data set in the cache: where it lies, from which source it came, its shapes and its hash."""

    name: str
    path: Path
    hash: str
    source: str
    shapes: Mapping[str, tuple[int, ...]]


@runtime_checkable
class Dataset(Protocol):
    """What a plugin of the entry point group `harness.datasets` provides."""

    @property
    def name(self) -> str: ...
    @property
    def about(self) -> str: ...

    def fetch(self, say: Callable[[str], None]) -> Facts:
        """Bring the data into the cache unless they are there; `say` hears of each source tried. Raises DataError."""

    def verify(self) -> Facts:
        """Read the cached file again and compare it with the hashes that are known. Raises DataError."""

    def cached(self) -> Path | None:
        """The cached file, or None."""


def names() -> list[str]:
    return sorted({point.name for point in metadata.entry_points(group=GROUP)})


def named(name: str) -> Dataset:
    """The data set of that name. Raises UsageError with the nearest known name."""
    points = {point.name: point for point in metadata.entry_points(group=GROUP)}
    if name not in points:
        raise UsageError(f"Unknown data set {name!r}. {nearest(name, points)} `harness data list` shows them all.")
    found: Any = points[name].load()
    if not isinstance(found, Dataset):
        raise UsageError(f"The data set {name!r} breaks its contract: it is no harness.datasets.Dataset.")
    return found


def cache_folder() -> Path:
    """`$HARNESS_DATA`, else the user's cache folder (XDG base directories)."""
    given = os.environ.get(CACHE_VARIABLE)
    if given:
        return Path(given).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "speedrun-harness"


@contextlib.contextmanager
def exclusive(name: str) -> Iterator[Path]:
    """The cache folder, held by one process at a time for this data set; released however that process ends."""
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / f".{name}.lock").open("a")
    except OSError as problem:
        raise DataError(
            f"{folder}: cannot be written: {problem.strerror}. Name another folder in the variable {CACHE_VARIABLE}."
        ) from problem
    with lock:
        if fcntl is not None:
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


@contextlib.contextmanager
def scratch(folder: Path, name: str) -> Iterator[Path]:
    """A temporary folder inside the cache, gone afterwards; what killed fetches of this name left goes first.

    Call it while `exclusive(name)` is held.
    """
    for left in folder.glob(f".{name}-*.part"):
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f".{name}-", suffix=".part", dir=folder) as made:
        yield Path(made)


# --- what `harness data` answers ---------------------------------------------------------------------------


def fetch(wanted: Sequence[str], say: Callable[[str], None]) -> dict[str, Any]:
    """Bring data sets into the cache; the facts of each. Raises DataError, UsageError."""
    found = [named(name) for name in wanted]  # every name is checked before the first download
    return {"schema": 1, "datasets": [_as_dict(each.fetch(say)) for each in found]}


def verify(wanted: Sequence[str]) -> dict[str, Any]:
    return {"schema": 1, "datasets": [_as_dict(each.verify()) for each in [named(name) for name in wanted]]}


def listed() -> dict[str, Any]:
    """Every data set that a plugin provides, with the cached file where there is one."""
    found = [named(name) for name in names()]
    rows = [{"name": d.name, "about": d.about, "cached": str(p) if (p := d.cached()) else None} for d in found]
    return {"schema": 1, "cache": str(cache_folder()), "datasets": rows}


def _as_dict(facts: Facts) -> dict[str, Any]:
    shapes = {key: list(shape) for key, shape in facts.shapes.items()}
    return {"name": facts.name, "path": str(facts.path), "hash": facts.hash, "source": facts.source, "shapes": shapes}
