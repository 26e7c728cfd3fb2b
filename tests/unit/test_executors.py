"""The conformance suite of executors on the local one; on other engines it is run by `pytest -m reach`."""

from __future__ import annotations

from harness.executors.base import Executor
from harness.executors.local import LocalExecutor
from harness.testing import ExecutorChecks


class TestLocal(ExecutorChecks):
    def executor(self) -> Executor:
        return LocalExecutor()
