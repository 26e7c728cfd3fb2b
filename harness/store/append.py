"""Appending whole lines to a file that several processes write at once, and that may have been torn.

Each append takes the file's lock, mends what an interrupted writer left, writes one line, and flushes it to
disk. Where the disk is full the file is cut back to what it was: a line is there whole or not at all.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from harness.errors import StoreError
from harness.store.whole import MODE, NOFOLLOW, sync_folder, write_whole

try:
    import fcntl
except ImportError:  # pragma: no cover - not on this platform
    fcntl = None  # type: ignore[assignment]

TAIL = 65536


class LineFile:
    """An append-only file of lines, kept open between appends.

    `on_torn` is told the bytes of an unfinished last line before they are cut off. `durable`: on the disk when `append`
    returns; without it a power cut (not a kill) may lose the last lines. `linked`: the file may be a symbolic link.
    """

    def __init__(
        self,
        path: Path,
        *,
        header: bytes = b"",
        on_torn: Callable[[bytes], None] | None = None,
        durable: bool = True,
        linked: bool = False,
    ) -> None:
        self.path = path
        self._header = header
        self._on_torn = on_torn
        self._durable = durable
        self._flags = os.O_APPEND | (0 if linked else NOFOLLOW)
        self._fd = _opened(path, self._flags)

    def append(self, line: bytes) -> None:
        """Write one line that ends in a newline. Raises StoreError, and leaves the file as it was."""
        with self._held():
            torn, size = self._mend()
            self._add(line, size)
        self._tell(torn)

    def append_all(self, lines: bytes) -> None:
        """Write many lines; to a file without a line in one step, so that whoever is interrupted leaves none of them."""
        with self._held():
            torn, size = self._mend()
            if size:
                self._add(lines, size)
            else:
                write_whole(self.path, self._header + lines)
                before, self._fd = self._fd, _opened(self.path, self._flags)
                os.close(before)
        self._tell(torn)

    def _add(self, lines: bytes, size: int) -> None:
        try:
            self._write(lines if size else self._header + lines)
        except OSError:
            with contextlib.suppress(OSError):  # where it fails, the next writer cuts off what is unfinished
                os.ftruncate(self._fd, size)
            raise
        if not size and self._durable:
            sync_folder(self.path.parent)

    def _tell(self, torn: bytes) -> None:
        if torn and self._on_torn is not None:
            self._on_torn(torn)

    def mend(self) -> None:
        """Cut off an unfinished last line, telling `on_torn`."""
        with self._held():
            torn, _ = self._mend()
        self._tell(torn)

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        """The file, locked, and still the one of that name. What the system refuses meanwhile becomes a StoreError."""
        try:
            _lock(self._fd)
            try:
                self.require_in_place()
                yield
            finally:
                _unlock(self._fd)
        except OSError as problem:
            raise _failed(self.path, problem) from problem

    def require_in_place(self) -> None:
        """Raise StoreError where the file's name no longer leads to the file that is open: rows written to that would be lost."""
        try:
            if os.path.samestat(self.path.stat(), os.fstat(self._fd)):
                return
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError as problem:
            raise _failed(self.path, problem) from problem
        raise StoreError(
            f"{self.path}: was deleted, moved or replaced while this program wrote to it. Nothing was written to what "
            "stands there now. Give the same command again: it goes on from the runs that the file holds."
        )

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


def _opened(path: Path, flags: int) -> int:
    """A plain file of a store, made where it is missing. Raises StoreError; what would lead elsewhere is no such file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | flags, MODE)
    except OSError as problem:
        raise _failed(path, problem) from problem
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise StoreError(
            f"{path}: is no plain file, so that no rows can be kept in it. Move it away, or use --results DIR."
        )
    return descriptor


def _lock(fd: int, *, wait: bool = True) -> None:
    if fcntl is not None:
        fcntl.flock(fd, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)


def _unlock(fd: int) -> None:
    if fcntl is not None:
        with contextlib.suppress(OSError):  # the end of the process, or of the file, releases it as well
            fcntl.flock(fd, fcntl.LOCK_UN)


def _failed(path: Path, problem: OSError) -> StoreError:
    if problem.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreError(
            f"{path}: the disk is full. The file holds every run up to the last one, whole. "
            "Free some space (or name another folder with --results) and give the same command again: it goes on."
        )
    if problem.errno in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
        return StoreError(
            f"{path}: cannot be locked: {problem.strerror}. Without locks two writers could tear each other's rows, so nothing was "
            "written. Use --results DIR on a local disk, or have this file system mounted with locks."
        )
    if problem.errno == errno.ELOOP:
        return StoreError(
            f"{path}: is a symbolic link, and rows are written only to files of the store's own folder. Put the file itself there, "
            "link the whole folder, or use --results DIR."
        )
    if problem.errno in (errno.EIO, errno.ESTALE):
        return StoreError(
            f"{path}: cannot be written: {problem.strerror}: the disk or its server failed. Every row that was written before is as "
            "it was. Once the disk is well (or with --results DIR) give the same command again: it goes on."
        )
    return StoreError(
        f"{path}: cannot be written: {problem.strerror}. Check the folder's permissions or use --results DIR."
    )


class CampaignLock:
    """At most one campaign at a time writes to a store; held until the process ends, however it ends."""

    def __init__(self, folder: Path) -> None:
        path = folder / "campaign.lock"
        self._fd = _opened(path, NOFOLLOW)
        try:
            _lock(self._fd, wait=False)
        except BlockingIOError as problem:
            holder = os.pread(self._fd, 64, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._fd)
            raise StoreError(
                f"{folder}: another campaign is writing to this store (process {holder}). "
                "Wait until it ends, or use another --results folder."
            ) from problem
        except OSError as problem:
            os.close(self._fd)
            raise _failed(path, problem) from problem
        with contextlib.suppress(OSError):  # the number is for people; the lock holds without it
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
