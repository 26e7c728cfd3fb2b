"""Files that are replaced in one step, so that they are never seen half written, whatever ends the writer."""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from pathlib import Path

from harness.errors import StoreError

NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
MODE = 0o666
"""Less what the user's umask takes away: who may read and write a store is the user's to say."""


LEFT_AFTER_S = 3600.0
"""No file takes so long to write: a temporary one that is older was left by a writer that was killed."""


def write_whole(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Replace a file by `content`. Raises StoreError; the file is then as it was.

    `durable`: on the disk before its name points to it; without it a power cut (not a kill) may leave it empty.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)  # of a killed writer that had the same numbers
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | NOFOLLOW, MODE), "wb") as file:
            file.write(content)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as problem:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise StoreError(
            f"{path}: cannot be written: {problem.strerror}. Free some space or use --results DIR; "
            "runs.csv is whole, and the same command goes on where it stopped."
        ) from problem


def left_over(folder: Path) -> list[Path]:
    """Temporary files in a store's folder, and in those of it, whose writers were killed, on whichever machine that was."""
    found = []
    for path in (*folder.glob(".*"), *folder.glob("*/.*")):
        with contextlib.suppress(OSError):  # a writer has just put it into its place
            if re.search(r"\.\d+\.\d+$", path.name) and path.stat().st_mtime < time.time() - LEFT_AFTER_S:
                found.append(path)
    return sorted(found)


def sync_folder(folder: Path) -> None:
    """See that the name of a new file is on the disk, where the system lets a folder be flushed."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
