"""A plan in words, before a run is spent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from harness.comparison.words import counted

if TYPE_CHECKING:
    from harness.design.looks import LookPlan


def dry_run_text(plan: Mapping[str, Any]) -> str:
    """What `harness run --dry-run` prints, from its JSON document."""
    lines = [f"{plan['experiment']}: {plan['question']}" if plan["question"] else plan["experiment"]]
    if plan["runs"] == 0:
        done = min(arm["completed"] for arm in plan["arms"])
        lines.append(
            f"complete: {counted(done, 'seed')} of every arm {'is' if done == 1 else 'are'} in {plan['store']}; nothing to do"
        )
    else:
        hours = "unknown time (no stored times yet)" if plan["hours"] is None else duration(plan["hours"])
        lines.append(
            f"{_runs(plan)} and {counted(plan['warmups'], 'warm-up')} in {counted(plan['blocks'], 'block')} over "
            f"{counted(plan['invocations'], 'invocation')}, about {hours}; stage {plan['stage']}, into {plan['store']}"
        )
    lines += arm_lines(plan["arms"])
    lines += call_lines(plan["arms"])
    lines += not_run_lines(plan.get("not_run", ()))
    lines += [f"note: {note}" for note in plan["notes"]]
    return "\n".join(lines)


def not_run_lines(arms: Iterable[Mapping[str, str]]) -> list[str]:
    """Arms that the machine could not run, with the reason: nothing is dropped unsaid. Arms that agree share a line."""
    lines: dict[str, list[str]] = {}
    for arm in arms:
        lines.setdefault(arm["reason"], []).append(arm["name"])
    return [f"not run: {', '.join(names)}: {reason}" for reason, names in lines.items()]


def looks_text(plan: LookPlan) -> str:
    """The looks of a sequential plan: runs an arm, process starts and bounds."""
    if plan.mode == "sprt":
        return (
            f"looks at {plan.runs[0]} runs an arm and every {plan.runs[1] - plan.runs[0] if len(plan.runs) > 1 else 0} on, at most "
            f"{plan.largest}; sequential probability ratio test at alpha {plan.alpha:g}, power {plan.power:g}"
        )
    rows = zip(plan.runs, plan.starts, plan.efficacy, plan.futility, strict=True)
    lines = [
        f"looks, in place of {plan.fixed} runs an arm in one go (one-sided alpha {plan.alpha:g}, power {plan.power:g})"
    ]
    for k, (runs, starts, high, low) in enumerate(rows, 1):
        end = "decided or not" if k == len(plan.runs) else f"hopeless below z {low:+.2f}"
        lines.append(f"  {k}  {runs:>5} runs an arm  {starts:>3} process starts  proven above z {high:.2f}, {end}")
    return "\n".join(lines)


def _runs(plan: Mapping[str, Any]) -> str:
    shared = plan["trainings"] < plan["runs"]
    return counted(plan["runs"], "run") + (f" scored on {counted(plan['trainings'], 'training')}" if shared else "")


def duration(hours: float) -> str:
    seconds = hours * 3600
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min" if hours < 2 else f"{hours:.1f} h"


def arm_lines(arms: list[dict[str, Any]]) -> list[str]:
    """Each arm with the keys in which it differs from the first."""
    width = max(len(arm["name"]) for arm in arms)
    lines = []
    for arm in arms:
        what = "the reference" if arm is arms[0] else differences(arm, arms[0])
        what = f"revision {arm['revision']}, {what}" if arm.get("git") else what
        steps = "" if arm["steps"] is None else f"{arm['steps']:>6} steps"
        lines.append(f"  {arm['name']:<{width}}  {arm['role']:<9}  {arm['completed']:>5} done {steps}  {what}")
    return lines


def call_lines(arms: Iterable[Mapping[str, Any]]) -> list[str]:
    """How each arm's program or function is called, where the keys that it takes are not known beforehand."""
    calls = {arm["name"]: arm["call"] for arm in arms if "call" in arm}
    width = max(map(len, calls), default=0)
    return ["called, with the seed of each run for SEED:"] * bool(calls) + [
        f"  {n:<{width}}  {c}" for n, c in calls.items()
    ]


def differences(arm: Mapping[str, Any], base: Mapping[str, Any]) -> str:
    """In what an arm differs from another: its program, and the keys of its configuration."""
    keys = [*arm["config"], *(key for key in base["config"] if key not in arm["config"])]
    parts = [f"{k}={arm['config'].get(k, 'default')}" for k in keys if arm["config"].get(k) != base["config"].get(k)]
    if arm["trainer"] != base["trainer"]:
        parts.insert(0, f"trainer {arm['trainer']}")
    return ", ".join(parts) or "the same configuration"
