"""What statistics hand to people: an estimate, a decision, a finding."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

Verdict = Literal["pass", "fail", "inconclusive", "refused"]
Severity = Literal["refuse", "warn", "info"]


def finite(x: float | None) -> float | None:
    """`x`, or None where it is not a finite number (JSON knows neither NaN nor infinity)."""
    return None if x is None or not math.isfinite(x) else float(x)


NO_SD = "sd: this method rests on no standard deviation of runs"


@dataclass(frozen=True)
class Estimate:
    """A point estimate with its two-sided 95 % interval.

    `value` None means that the number does not exist; `reason` then says why. A single missing limit
    is an unbounded interval.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    sd: float | None = None
    method: str = ""
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        out: dict[str, Any] = {
            "value": finite(self.value),
            "ci95": [finite(self.low), finite(self.high)],
            "sd": finite(self.sd),
            "method": self.method,
        }
        reason = self.reason or (NO_SD if self.sd is None and self.value is not None else "")
        return out | ({"reason": reason} if reason else {})

    def scaled(self, factor: float) -> Estimate:
        """The same estimate in another unit (`factor` > 0)."""

        def times(x: float | None) -> float | None:
            return None if x is None else x * factor

        return Estimate(times(self.value), times(self.low), times(self.high), times(self.sd), self.method, self.reason)


NO_ESTIMATE = Estimate(None, method="none", reason="not asked for")


@dataclass(frozen=True)
class Decision:
    """One endpoint's outcome: proven, refuted, neither, or a question that the data cannot bear.

    `bound` is the one-sided confidence bound that was held against `margin`; `p` the one-sided p-value.
    """

    decision: Verdict
    bound: float | None = None
    p: float | None = None
    margin: float | None = None
    reason: str = ""
    more_runs: int | None = None

    def as_dict(self) -> dict[str, Any]:
        return {
            "decision": self.decision,
            "bound": finite(self.bound),
            "p": finite(self.p),
            "margin": finite(self.margin),
            "reason": self.reason,
        }


@dataclass(frozen=True)
class Finding:
    """One thing that a reader must know about the data, named by a code of the documentation."""

    code: str
    severity: Severity
    message: str
    advice: str
    refuses: frozenset[str] = frozenset()  # of {"accuracy", "time", "time-superiority"}

    def as_dict(self) -> dict[str, Any]:
        return {"code": self.code, "severity": self.severity, "message": self.message, "advice": self.advice}
