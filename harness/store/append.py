"""Appending whole lines to a file that several processes write at once, and that may have been torn.

Each append takes the file's lock, mends what an interrupted writer left, writes one line, and flushes it to
disk. Where the disk is full the file is cut back to what it was: a line is there whole or not at all.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from pathlib import Path

from harness.errors import StoreError

try:
    import fcntl
except ImportError:  # pragma: no cover - not on this platform
    fcntl = None  # type: ignore[assignment]

TAIL = 65536


class LineFile:
    """An append-only file of lines, kept open between appends.

    `on_torn` is told the bytes of an unfinished last line before they are cut off. `durable`: on the disk when `append`
    returns; without it a power cut (not a kill) may lose the last lines.
    """

    def __init__(
        self, path: Path, *, header: bytes = b"", on_torn: Callable[[bytes], None] | None = None, durable: bool = True
    ) -> None:
        self.path = path
        self._header = header
        self._on_torn = on_torn
        self._durable = durable
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as problem:
            raise _failed(path, problem) from problem

    def append(self, line: bytes) -> None:
        """Write one line that ends in a newline. Raises StoreError, and leaves the file as it was."""
        _lock(self._fd)
        try:
            torn, size = self._mend()
            payload = line if size else self._header + line
            try:
                self._write(payload)
            except OSError as problem:
                os.ftruncate(self._fd, size)
                raise _failed(self.path, problem) from problem
        finally:
            _unlock(self._fd)
        if torn and self._on_torn is not None:
            self._on_torn(torn)

    def mend(self) -> None:
        """Cut off an unfinished last line, telling `on_torn`."""
        _lock(self._fd)
        try:
            torn, _ = self._mend()
        finally:
            _unlock(self._fd)
        if torn and self._on_torn is not None:
            self._on_torn(torn)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _write(self, payload: bytes) -> None:
        view = memoryview(payload)
        while view:
            view = view[os.write(self._fd, view) :]
        if self._durable:
            os.fsync(self._fd)

    def _mend(self) -> tuple[bytes, int]:
        """The unfinished last line that was cut off (empty: none) and the size of the whole lines."""
        size = os.fstat(self._fd).st_size
        if size == 0 or os.pread(self._fd, 1, size - 1) == b"\n":
            return b"", size
        start, end = size, size
        while start > 0:
            step = max(0, start - TAIL)
            piece = os.pread(self._fd, start - step, step)
            cut = piece.rfind(b"\n")
            if cut >= 0:
                start = step + cut + 1
                break
            start = step
        torn = os.pread(self._fd, end - start, start)
        os.ftruncate(self._fd, start)
        return torn, start


def _lock(fd: int, *, wait: bool = True) -> None:
    if fcntl is not None:
        fcntl.flock(fd, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)


def _unlock(fd: int) -> None:
    if fcntl is not None:
        fcntl.flock(fd, fcntl.LOCK_UN)


def _failed(path: Path, problem: OSError) -> StoreError:
    if problem.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreError(
            f"{path}: the disk is full. The file holds every run up to the last one, whole. "
            "Free some space (or name another folder with --results) and give the same command again: it goes on."
        )
    return StoreError(
        f"{path}: cannot be written: {problem.strerror}. Check the folder's permissions or use --results DIR."
    )


class CampaignLock:
    """At most one campaign at a time writes to a store; held until the process ends, however it ends."""

    def __init__(self, folder: Path) -> None:
        path = folder / "campaign.lock"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as problem:
            raise _failed(path, problem) from problem
        try:
            _lock(self._fd, wait=False)
        except BlockingIOError as problem:
            holder = os.pread(self._fd, 64, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._fd)
            raise StoreError(
                f"{folder}: another campaign is writing to this store (process {holder}). "
                "Wait until it ends, or use another --results folder."
            ) from problem
        with contextlib.suppress(OSError):  # the number is for people; the lock holds without it
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
