"""Child processes that never outlive their parent, and output that is drained but never hoarded."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
TAIL_BYTES = 65536


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent ends (Linux; elsewhere a closed pipe must do)."""
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def die_with_parent_and_all(pipe: int) -> None:
    """Ask the kernel to kill this process's whole group once nobody holds the other end of `pipe`, which nobody writes to.

    It does so at once, whatever the process is busy with, and reaches what the process started. `die_with_parent` does not, and
    is what is left where the kernel cannot: both together would be a race that leaves those alive.
    """
    try:
        fcntl.fcntl(pipe, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(pipe, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)
    except (OSError, AttributeError):
        die_with_parent()


def kill_group(pid: int) -> None:
    """Kill a process and all that it started (it leads a group of its own)."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def tail_text(tail: bytes, *, lines: int = 12) -> str:
    """The last lines of an output, as text."""
    return "\n".join(tail.decode("utf-8", "replace").strip().splitlines()[-lines:])
