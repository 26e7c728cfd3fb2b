"""A plan in words, before a run is spent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def dry_run_text(plan: Mapping[str, Any]) -> str:
    """What `harness run --dry-run` prints, from its JSON document."""
    lines = [f"{plan['experiment']}: {plan['question']}" if plan["question"] else plan["experiment"]]
    if plan["runs"] == 0:
        lines.append(f"complete: {plan['seeds']} seeds of every arm are in {plan['store']}; nothing to do")
    else:
        hours = "unknown time (no stored times yet)" if plan["hours"] is None else _duration(plan["hours"])
        lines.append(
            f"{plan['runs']} runs and {plan['warmups']} warm-ups in {plan['blocks']} blocks over {plan['invocations']} "
            f"invocations, about {hours}; stage {plan['stage']}, into {plan['store']}"
        )
    lines += _arms(plan["arms"])
    lines += [f"note: {note}" for note in plan["notes"]]
    return "\n".join(lines)


def _duration(hours: float) -> str:
    seconds = hours * 3600
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min" if hours < 2 else f"{hours:.1f} h"


def _arms(arms: list[dict[str, Any]]) -> list[str]:
    """Each arm with the keys in which it differs from the first."""
    base = arms[0]["config"]
    width = max(len(arm["name"]) for arm in arms)
    lines = []
    for arm in arms:
        differs = [f"{k}={v}" for k, v in arm["config"].items() if base.get(k) != v]
        what = ", ".join(differs) if differs else ("the reference" if arm is arms[0] else "the same configuration")
        lines.append(f"  {arm['name']:<{width}}  {arm['role']:<9}  {arm['completed']:>5} done   {what}")
    return lines
