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
from typing import IO, Any, Protocol, runtime_checkable

from harness.errors import HarnessError, UsageError, nearest

try:
    import fcntl
except ImportError:  # pragma: no cover - not on Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["CacheError", "DataError", "Dataset", "Facts", "cache_folder", "exclusive", "named", "names", "scratch"]

GROUP = "harness.datasets"
CACHE_VARIABLE = "HARNESS_DATA"


class DataError(HarnessError):
    """Data that cannot be had, or is not what it should be (exit 5: what was asked for could not be had)."""

    exit_code = 5


class CacheError(DataError):
    """A cache folder that cannot be written or locked."""


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


def points() -> dict[str, metadata.EntryPoint]:
    """Installed data sets by name, none of them imported. Two plugins of one name are an error that shows both."""
    found: dict[str, metadata.EntryPoint] = {}
    for point in metadata.entry_points(group=GROUP):
        known = found.setdefault(point.name, point)
        if known.value != point.value:
            raise UsageError(
                f"Two installed data sets are called {point.name!r}: {known.value} and {point.value}. Uninstall one of them."
            )
    return found


def names() -> list[str]:
    return sorted(points())


def named(name: str) -> Dataset:
    """The data set of that name. Raises UsageError: an unknown name with the nearest known one, or a broken plugin."""
    known = points()
    if name not in known:
        raise UsageError(f"Unknown data set {name!r}. {nearest(name, known)} `harness data list` shows them all.")
    plugin = f"The data set {name!r} ({known[name].value})"
    try:
        found: Any = known[name].load()
    except Exception as problem:
        raise UsageError(
            f"{plugin} cannot be loaded: {type(problem).__name__}: {problem}. Repair or uninstall its plugin."
        ) from problem
    if not isinstance(found, Dataset):
        raise UsageError(f"{plugin} breaks its contract: it is no harness.datasets.Dataset. Repair or uninstall it.")
    return found


def cache_folder() -> Path:
    """`$HARNESS_DATA`, else the user's cache folder (XDG base directories); absolute. Raises CacheError."""
    given, base = os.environ.get(CACHE_VARIABLE), os.environ.get("XDG_CACHE_HOME")
    try:
        if given:
            return Path(given).expanduser().absolute()
        return (Path(base) if base else Path.home() / ".cache").absolute() / "speedrun-harness"
    except RuntimeError as problem:
        raise CacheError(
            f"There is no folder for data ({given or '~'}: {problem}). Name one in the variable {CACHE_VARIABLE}."
        ) from problem


@contextlib.contextmanager
def exclusive(name: str, say: Callable[[str], None] = lambda text: None) -> Iterator[Path]:
    """The cache folder, held by one process at a time for this data set; released however that process ends.

    What killed fetches of this data set left there goes first. `say` hears of a wait. Raises CacheError.
    """
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / f".{name}.lock").open("a")
    except OSError as problem:
        reason = "it is no folder" if folder.exists() and not folder.is_dir() else problem.strerror
        raise CacheError(_unusable(folder, f"cannot be written: {reason}")) from problem
    with lock:
        try:
            _hold(lock, lambda: say(f"{name}: another process is fetching it; waiting for that ..."))
        except OSError as problem:
            raise CacheError(_unusable(folder, f"cannot be locked: {problem.strerror}")) from problem
        shutil.rmtree(_parts(folder, name), ignore_errors=True)
        yield folder


def _unusable(folder: Path, why: str) -> str:
    return f"The folder for data {folder} {why}. Name another one in the variable {CACHE_VARIABLE}."


def _hold(lock: IO[str], on_wait: Callable[[], None]) -> None:
    if fcntl is not None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(lock, fcntl.LOCK_EX)


@contextlib.contextmanager
def scratch(folder: Path, name: str) -> Iterator[Path]:
    """A temporary folder inside the cache, gone afterwards. Call it while `exclusive(name)` is held."""
    parts = _parts(folder, name)
    parts.mkdir(exist_ok=True)
    try:
        yield Path(tempfile.mkdtemp(dir=parts))  # a new name: a killed fetch's npm may still write to its own
    finally:
        shutil.rmtree(parts, ignore_errors=True)


def _parts(folder: Path, name: str) -> Path:
    return folder / f".{name}.part"


# --- what `harness data` answers ---------------------------------------------------------------------------


def fetch(wanted: Sequence[str], say: Callable[[str], None]) -> dict[str, Any]:
    """Bring data sets into the cache; the facts of each, and the failures. Raises UsageError."""
    return _each(wanted, lambda dataset: dataset.fetch(say))


def verify(wanted: Sequence[str]) -> dict[str, Any]:
    """Read cached data sets again; the facts of each, and the failures. Raises UsageError."""
    return _each(wanted, lambda dataset: dataset.verify())


def require_all(document: Mapping[str, Any]) -> None:
    """Raises DataError where a document of `fetch` or `verify` has failures."""
    errors = [row["error"] for row in document["failures"]]
    if errors:
        raise DataError("\n".join(errors))


def _each(wanted: Sequence[str], facts_of: Callable[[Dataset], Facts]) -> dict[str, Any]:
    found = {name: named(name) for name in wanted}  # every name is checked before the first download
    rows, failures = [], []
    for name, dataset in found.items():
        try:
            rows.append(_as_dict(facts_of(dataset)))
        except DataError as problem:
            failures.append({"name": name, "error": str(problem)})
    return {"schema": 1, "datasets": rows, "failures": failures}


def listed() -> dict[str, Any]:
    """Every data set that a plugin provides, with the cached file where there is one, or why it cannot be loaded."""
    return {"schema": 1, "cache": str(cache_folder()), "datasets": [_listed(name) for name in names()]}


def _listed(name: str) -> dict[str, Any]:
    try:
        dataset = named(name)
    except UsageError as problem:
        return {"name": name, "about": "", "cached": None, "error": str(problem)}
    path = dataset.cached()
    return {"name": name, "about": dataset.about, "cached": str(path) if path else None}


def _as_dict(facts: Facts) -> dict[str, Any]:
    shapes = {key: list(shape) for key, shape in facts.shapes.items()}
    return {"name": facts.name, "path": str(facts.path), "hash": facts.hash, "source": facts.source, "shapes": shapes}
