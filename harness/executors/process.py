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

from harness.processes import TAIL_BYTES, kill_group, tail_text


class WorkerDied(Exception):
    """The process ended without an answer; the message holds its exit status and last output."""


class WorkerTimeout(Exception):
    """No answer within the limit; the process has been killed."""


class Worker:
    """One process of `harness.worker`, with pipes of its own beside the trainer's standard output."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        down_read, down_write = os.pipe()
        up_read, up_write = os.pipe()
        root = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(p for p in (os.environ.get("PYTHONPATH"), root) if p)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "harness.worker", str(down_read), str(up_write)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(down_read, up_write),
                start_new_session=True,
                env=os.environ | {"PYTHONHASHSEED": "0", "PYTHONPATH": path} | dict(environ),
            )
        finally:
            os.close(down_read)
            os.close(up_write)
        self._down, self._up = down_write, up_read
        self._buffer = b""
        self._tail = b""
        self._drain = threading.Thread(target=self._drain_output, daemon=True)
        self._drain.start()

    def ask(self, request: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
        """The answer to one request. Raises WorkerDied, or WorkerTimeout once the process has been killed."""
        self.send(request)
        return self.wait(timeout_s)

    def send(self, request: Mapping[str, Any]) -> None:
        payload = json.dumps(request).encode() + b"\n"
        try:
            while payload:
                payload = payload[os.write(self._down, payload) :]
        except OSError:
            raise WorkerDied(self._epitaph()) from None

    def wait(self, timeout_s: float) -> dict[str, Any]:
        limit = time.monotonic() + timeout_s
        while b"\n" not in self._buffer:
            left = limit - time.monotonic()
            if left <= 0 or not select.select([self._up], [], [], left)[0]:
                self.kill()
                raise WorkerTimeout(f"no answer within {timeout_s:g} s; the process was killed")
            piece = os.read(self._up, TAIL_BYTES)
            if not piece:
                raise WorkerDied(self._epitaph())
            self._buffer += piece
        line, _, self._buffer = self._buffer.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def output_tail(self) -> str:
        return tail_text(self._tail)

    def end(self) -> None:
        """End the process from another thread: whoever waits for its answer finds it dead, and tidies up."""
        kill_group(self._process.pid)

    def kill(self) -> None:
        """End the process and all that it started, and close its pipes."""
        kill_group(self._process.pid)
        self._process.wait()
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
        for name in ("_down",) if keep_up else ("_down", "_up"):
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
