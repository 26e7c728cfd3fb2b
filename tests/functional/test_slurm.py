"""The Slurm executor: the conformance suite through submitit's own clusters, and the scripts that Slurm would get."""

from __future__ import annotations

from typing import ClassVar

import pytest

from harness.executors.base import Executor
from harness.executors.slurm import SlurmExecutor
from harness.testing import ExecutorChecks

pytestmark = pytest.mark.reach


class TestDebug(ExecutorChecks):
    """submitit's `debug`: the element runs in this process."""

    stores_before_next: ClassVar[bool] = False
    streams: ClassVar[bool] = False

    def executor(self) -> Executor:
        executor = SlurmExecutor()
        executor.settings = {"cluster": "debug"}
        return executor


class TestLocalProcesses(ExecutorChecks):
    """submitit's `local`: the element is a process of its own, that outlives whoever submitted it."""

    stores_before_next: ClassVar[bool] = False

    def executor(self) -> Executor:
        executor = SlurmExecutor()
        executor.settings = {"cluster": "local"}
        return executor
