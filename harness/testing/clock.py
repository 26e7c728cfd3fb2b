"""Time that passes when a test says so."""

from __future__ import annotations

from harness.trainer import Clock


class FakeTime:
    """Call it for the time, `advance` to let time pass; `.clock()` is a Clock that reads it."""

    def __init__(self, start: float = 0.0) -> None:
        self.now = start

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds

    def clock(self) -> Clock:
        return Clock(now=self, synchronise=lambda: None)
