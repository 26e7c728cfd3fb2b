"""A comparison in the metric format of Bencher (bencher.dev, `bencher run --adapter json`)."""

from __future__ import annotations

from typing import Any

from harness.comparison.compare import ArmSummary, Comparison
from harness.model.estimate import Estimate


def bencher_metrics(comparison: Comparison) -> dict[str, Any]:
    """Accuracy, time and cost of a success of every arm, with their 95 % limits; what is unknown is left out."""
    arms = [comparison.control, *(one.candidate for one in comparison.comparisons)]
    return {arm.name: _measures(arm) for arm in arms}


def _measures(arm: ArmSummary) -> dict[str, Any]:
    named = {"accuracy": arm.accuracy, "time_s": arm.time_s, "cost_of_success_s": arm.cost_of_success_s}
    return {name: _metric(e) for name, e in named.items() if e.value is not None}


def _metric(e: Estimate) -> dict[str, float]:
    limits = {"lower_value": e.low, "upper_value": e.high}
    return {"value": float(e.value or 0.0)} | {key: float(v) for key, v in limits.items() if v is not None}
