"""One thing that was looked at, and where it stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

State = Literal["ok", "warn", "bad", "unknown"]
STATES: tuple[State, ...] = ("bad", "warn", "unknown", "ok")


@dataclass(frozen=True)
class Check:
    """`found` is the value in words, `advice` what to do about it (with the command), empty where there is nothing to do."""

    group: str
    name: str
    state: State
    found: str
    advice: str = ""
    value: Any = None

    def as_dict(self) -> dict[str, Any]:
        return {
            "group": self.group, "name": self.name, "state": self.state, "found": self.found, "value": self.value,
            "advice": self.advice,
        }  # fmt: skip


def worst(checks: Sequence[Check]) -> State:
    """The state of the whole: what is unknown outweighs nothing."""
    states = {check.state for check in checks}
    return next((state for state in ("bad", "warn") if state in states), "ok")
