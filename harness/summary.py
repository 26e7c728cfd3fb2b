"""What one store's arms show by themselves, as the study's logger printed it: an arm a paragraph."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.comparison.words import percent_interval, seconds_interval
from harness.model.estimate import Estimate
from harness.stats.means import one_sample
from harness.stats.moments import moments
from harness.stats.proportions import wilson


@dataclass(frozen=True)
class Summary:
    """Accuracy, time and success of one arm; `successful_time_s` over the runs that reached the target."""

    arm: str
    n: int
    failed: int
    warmups: int
    accuracy: Estimate
    time_s: Estimate
    successful_time_s: Estimate
    success: Estimate

    def as_dict(self) -> dict[str, Any]:
        return {
            "arm": self.arm,
            "n": self.n,
            "failed": self.failed,
            "warmups": self.warmups,
            "accuracy": self.accuracy.as_dict(),
            "time_s": self.time_s.as_dict(),
            "successful_time_s": self.successful_time_s.as_dict(),
            "success": self.success.as_dict(),
        }

    def __str__(self) -> str:
        sd = "" if self.accuracy.sd is None else f" (sd {100 * self.accuracy.sd:.3f} pp)"
        lines = [f"{self.arm}: {self.n} runs" + (f", {self.failed} failed attempts" if self.failed else "")]
        lines.append(f"  accuracy         {percent_interval(self.accuracy)}{sd}")
        if self.time_s.value is not None:
            lines.append(f"  time             {seconds_interval(self.time_s)}")
        if self.success.value is not None:
            low, high = 100 * (self.success.low or 0), 100 * (self.success.high or 0)
            k = round(self.success.value * self.n)
            lines.append(f"  at the target    {k}/{self.n} = {100 * self.success.value:.1f} % [{low:.1f}, {high:.1f}]")
            if self.successful_time_s.value is not None:
                lines.append(f"  successful runs  {seconds_interval(self.successful_time_s)}")
        return "\n".join(lines)


def summarise(table: Any, target: float | None) -> Iterator[Summary]:
    """One summary an arm; intervals are 95 %: t for accuracy, clustered by invocation for time, Wilson for rates."""
    from harness.comparison.samples import FAILED, UNREADABLE, make_sample, successes, timed
    from harness.store.frames import frame_of

    frame = frame_of(table)
    for arm in dict.fromkeys(frame["arm"].tolist()):
        rows = frame.where(frame["arm"] == arm)
        sample = make_sample(arm, [rows])
        times = timed(sample)[0]
        good = successes(times, target) if target is not None and times.rows else np.zeros(times.rows, dtype=bool)
        k = int(successes(sample.runs, target).sum()) if target is not None and sample.n else None
        yield Summary(
            arm=arm,
            n=sample.n if sample.untold is None else sample.untold.rows,
            failed=sum(sample.excluded.get(reason, 0) for reason in (FAILED, UNREADABLE)),
            warmups=sample.excluded.get("warm-ups", 0),
            accuracy=one_sample(sample.accuracy).estimate() if sample.n else Estimate(None, reason="no runs"),
            time_s=_time(times),
            successful_time_s=_time(times.where(good))
            if target is not None
            else Estimate(None, reason="no target was stated"),
            success=wilson(k, sample.n) if k is not None else Estimate(None, reason="no target was stated"),
        )


def _time(frame: Any) -> Estimate:
    from harness.stats.clustered import clustered_mean

    if not frame.rows:
        return Estimate(None, reason="no times")
    m = moments(frame["time_s"])
    if frame.has_unknown("invocation"):
        return Estimate(m.mean, sd=m.sd, method="mean", reason="invocations unknown")
    return clustered_mean(frame["time_s"], frame["invocation"]).contrast.estimate()
