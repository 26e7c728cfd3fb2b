"""The exceptions of the harness, all of them a user can meet.

    HarnessError                 anything that is the user's to mend; printed without a traceback
    ├── UsageError               a name, flag or value that cannot be (exit 2)
    │   ├── SpecError            an experiment file: file, key and the nearest known name
    │   └── TrainerError         a trainer that is not there, or breaks its contract
    ├── StoreError               a store that is missing, empty, damaged or full (exit 4)
    ├── OutputError              a file that cannot be written (exit 4)
    ├── IncompleteError          runs asked for that could not be had (exit 5)
    └── DataError                data that cannot be had, or is damaged (exit 5; in harness/datasets.py)
        └── CacheError           a cache folder that cannot be written or locked

Every message says what was wrong, the value found, what is allowed and what to do next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

__all__ = [
    "HarnessError",
    "IncompleteError",
    "OutputError",
    "SpecError",
    "StoreError",
    "TrainerError",
    "UsageError",
    "install",
    "nearest",
]

PACKAGES = {"parquet": "pyarrow", "slurm": "submitit", "train": "torch"}
"""The package that matters of an extra that is not called like it."""


class HarnessError(Exception):
    """A mistake that its reader can mend."""

    exit_code = 2


class UsageError(HarnessError):
    """A name, flag or value that cannot be."""

    exit_code = 2


class SpecError(UsageError):
    """An experiment file that cannot be read as one."""


class TrainerError(UsageError):
    """A trainer that is not there, or that breaks its contract."""


class StoreError(HarnessError):
    """A store that is missing, empty, damaged or full."""

    exit_code = 4


class OutputError(HarnessError):
    """A file or folder, asked for beside the store, that cannot be written."""

    exit_code = 4

    @classmethod
    def of(cls, path: Path, problem: OSError, option: str) -> OutputError:
        """`option` is what names another place."""
        missing = "Make its folder, or name" if isinstance(problem, FileNotFoundError) else "Name"
        return cls(f"{path}: cannot be written: {problem.strerror or problem}. {missing} another with {option}.")


class IncompleteError(HarnessError):
    """Runs that were asked for and could not be had."""

    exit_code = 5


def install(extra: str) -> str:
    """How to get what an optional part of the harness needs."""
    package = PACKAGES.get(extra, extra)
    return (
        f"`uv sync --extra {extra}` or `pip install '.[{extra}]'` in a clone of the harness, or `pip install {package}`"
    )


def nearest(found: str, allowed: Iterable[str], *, most: int = 12) -> str:
    """A sentence that names the nearest of `allowed`, or lists them when nothing is near."""
    names = sorted(set(allowed))
    close = difflib.get_close_matches(found, names, n=1, cutoff=0.6)
    if close:
        return f"Did you mean {close[0]!r}?"
    if not names:
        return "There is nothing to choose from yet."
    shown = ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
    return f"Allowed: {shown}."
