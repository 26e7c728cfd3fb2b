"""A worker process as its parent sees it: started, asked, waited for with a limit, killed with all its children."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import IncompleteError
from harness.processes import TAIL_BYTES, kill_group, tail_text

MOST_ANSWER_BYTES = 2**28
"""A longer answer is none: what a run gives is some numbers, its metrics and one bit for each test example."""
LOOK_EVERY_S = 1.0
"""So often it is looked whether a silent process is still there: a child that it forked may hold its pipe open."""


class WorkerDied(Exception):
    """The process ended without an answer; the message holds its exit status and last output."""


class WorkerTimeout(Exception):
    """No answer within the limit; the process has been killed."""


class Worker:
    """One process of `harness.worker`, with pipes of its own beside the trainer's standard output.

    Raises IncompleteError where the machine has no room for one. Requests are numbered, and so are their answers: a process that
    answers anything else is ended, as what it says next would be taken for another run's.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        try:
            self._process, self._down, self._up, self._life = _started(environ)
        except OSError as problem:
            raise IncompleteError(
                f"A worker process cannot be started: {problem.strerror}. Every finished run is stored. Use fewer --workers, or raise "
                "the limit (`ulimit -n` of open files, `ulimit -u` of processes), and give the same command again."
            ) from problem
        self._asked, self._killed = 0, False
        self._buffer = bytearray()
        self._tail = b""
        self._drain = threading.Thread(target=self._drain_output, daemon=True)
        self._drain.start()

    def ask(self, request: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
        """The answer to one request. Raises WorkerDied, or WorkerTimeout once the process has been killed."""
        self.send(request)
        return self.wait(timeout_s)

    def send(self, request: Mapping[str, Any]) -> None:
        self._asked += 1
        payload = json.dumps({"id": self._asked, **request}).encode() + b"\n"
        try:
            while payload:
                payload = payload[os.write(self._down, payload) :]
        except OSError:
            raise WorkerDied(self._epitaph()) from None

    def wait(self, timeout_s: float) -> dict[str, Any]:
        limit, end, seen = time.monotonic() + timeout_s, -1, 0
        while (end := self._buffer.find(b"\n", seen)) < 0:
            seen = len(self._buffer)
            if seen > MOST_ANSWER_BYTES:
                raise self.mistrusted(f"it answered with more than {MOST_ANSWER_BYTES} bytes")
            left = limit - time.monotonic()
            if left <= 0 or not self._has_said(left):
                if left > LOOK_EVERY_S:
                    continue
                self.kill()
                raise WorkerTimeout(f"no answer within {timeout_s:g} s; the process was killed")
            piece = os.read(self._up, TAIL_BYTES)
            if not piece:
                raise WorkerDied(self._epitaph())
            self._buffer += piece
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return self._read(line)

    def mistrusted(self, why: str) -> WorkerDied:
        """End a process that does not keep to the protocol; what to raise."""
        self.kill()
        return WorkerDied(f"{why}; the process was killed")

    def _has_said(self, seconds: float) -> bool:
        """Whether there is something to read before so many seconds, or the next look, are over. Raises WorkerDied."""
        poll = select.poll()  # not `select`, which cannot watch a descriptor above 1023
        poll.register(self._up, select.POLLIN)
        if poll.poll(1000 * min(seconds, LOOK_EVERY_S)):
            return True
        if self._process.poll() is None:
            return False
        if poll.poll(0):  # its last words
            return True
        raise WorkerDied(self._epitaph())

    def _read(self, line: bytes) -> dict[str, Any]:
        """The answer of that line, if it is the one to the last request."""
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise self.mistrusted(f"it answered with {line[:120]!r}, which is no JSON object")
        if answer.get("id") != self._asked:
            raise self.mistrusted(
                f"it gave an answer that nobody asked for (to request {str(answer.get('id'))[:40]} where {self._asked} is open)"
            )
        return answer

    def output_tail(self) -> str:
        return tail_text(self._tail)

    def end(self) -> None:
        """End the process from another thread: whoever waits for its answer finds it dead, and tidies up."""
        kill_group(self._process.pid)

    def kill(self) -> None:
        """End the process and all that it started, and close its pipes."""
        if not self._killed:  # the number of a process that is gone may be somebody else's by now
            kill_group(self._process.pid)
            self._process.wait()
            self._killed = True
        self._close()

    def close(self) -> None:
        """Let the process end by itself, for a moment, then end it; nobody waits for that but the end of the program."""
        self._close(keep_up=True)
        threading.Thread(target=self._see_off).start()

    def _see_off(self) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=2.0)
        self.kill()

    def _epitaph(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=2.0)
        self._drain.join(timeout=1.0)
        status = self._process.poll()
        how = f"killed by signal {-status}" if status is not None and status < 0 else f"exit status {status}"
        tail = self.output_tail()
        return f"the process ended without an answer ({how})" + (f"; it printed last: {tail}" if tail else "")

    def _close(self, *, keep_up: bool = False) -> None:
        for name in ("_down",) if keep_up else ("_down", "_up", "_life"):
            fd = getattr(self, name)
            if fd >= 0:
                os.close(fd)
                setattr(self, name, -1)

    def _drain_output(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        with stream:
            while piece := stream.read1(TAIL_BYTES):  # type: ignore[attr-defined]
                self._tail = (self._tail + piece)[-TAIL_BYTES:]


def _started(environ: Mapping[str, str]) -> tuple[subprocess.Popen[bytes], int, int, int]:
    """A worker process, with the ends of the pipes to and from it and of the one whose closing ends it and all that it started.

    Raises OSError, and leaves nothing open.
    """
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(p for p in (os.environ.get("PYTHONPATH"), root) if p)
    ends: list[int] = []
    try:
        for _ in range(3):
            ends += os.pipe()
        down_read, down_write, up_read, up_write, life_read, life_write = ends
        theirs = (down_read, up_write, life_read)
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "harness.worker", *map(str, theirs)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=theirs,
            start_new_session=True,
            env=os.environ | {"PYTHONHASHSEED": "0", "PYTHONPATH": path} | dict(environ),
        )
    except BaseException:
        for end in ends:
            os.close(end)
        raise
    for end in theirs:
        os.close(end)
    return process, down_write, up_read, life_write
