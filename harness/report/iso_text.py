"""The answer of `harness speedup` in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.comparison.words import ratio_interval
from harness.model.estimate import Estimate


def iso_text(document: Mapping[str, Any]) -> str:
    """The speed-up at equal accuracy, where each sweep reaches it, and the points behind it."""
    axis = document["axis"]
    unit = "s" if axis == "time_s" else "steps"
    e = document["speedup"]
    estimate = Estimate(e["value"], low=e["ci95"][0], high=e["ci95"][1], method=e["method"])
    shown = ratio_interval(estimate) if e["value"] is not None else f"cannot be said: {e['reason']}"
    lines = [f"speed-up at {100 * document['target']:g} %: {shown}"]
    for side in ("control", "candidate"):
        lines += _side(document[side], unit)
    return "\n".join([*lines, *(f"note: {note}" for note in document["notes"])])


def _side(sweep: Mapping[str, Any], unit: str) -> list[str]:
    reached = (
        "not reached within the sweep" if sweep["at_target"] is None else f"reached at {sweep['at_target']:.6g} {unit}"
    )
    lines = [f"{sweep['name']}: {reached}"]
    width = max((len(p["arm"]) for p in sweep["points"]), default=0)
    for p in sweep["points"]:
        shown = f"  {p['arm']:<{width}}  {p['length']:10.6g} {unit}  {100 * p['accuracy']:.3f} %  n {p['n']}"
        gone = ", ".join(f"{count} {reason}" for reason, count in p["excluded"].items())
        lines.append(shown + (f"  (not counted: {gone})" if gone else ""))
    return lines + [f"  left out: {one['arm']} ({one['reason']})" for one in sweep["left_out"]]
