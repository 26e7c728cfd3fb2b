"""Conformance checks that a plugin's own tests can import, and a clock that tests can set."""

from harness.testing.clock import FakeTime
from harness.testing.executors import ExecutorChecks
from harness.testing.trainers import TrainerChecks

__all__ = ["ExecutorChecks", "FakeTime", "TrainerChecks"]
