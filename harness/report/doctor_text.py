"""The answer of `harness doctor` in words."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Mapping
from typing import Any

COLOURS = {"ok": "32", "warn": "33", "bad": "31", "unknown": "2"}
FITNESS = {
    "ok": "nothing was found that speaks against timing here",
    "warn": "times can be taken here, with care: see what says `warn`",
    "bad": "do not trust times that are taken now: see what says `bad`",
}
WIDTH = 130


def doctor_text(document: Mapping[str, Any], *, colour: bool = False) -> str:
    """A line a check with what to do below it, then the noise floor and what can be seen above it."""
    lines = [f"{document['host']}: {FITNESS[document['state']]}"]
    for group, checks in itertools.groupby(document["checks"], key=lambda check: check["group"]):
        lines += ["", str(group)]
        for check in checks:
            lines += _check_lines(check, colour=colour)
    return "\n".join([*lines, "", *noise_lines(document)])


def _check_lines(check: Mapping[str, Any], *, colour: bool) -> list[str]:
    state = f"{check['state']:<7}"
    shown = f"\x1b[{COLOURS[check['state']]}m{state}\x1b[0m" if colour else state
    lines = [f"  {shown}  {check['name']:<18}  {check['found']}"]
    if check["advice"]:
        lines += textwrap.wrap(
            check["advice"], WIDTH, initial_indent=" " * 31, subsequent_indent=" " * 31, break_long_words=False
        )
    return lines


def noise_lines(document: Mapping[str, Any]) -> list[str]:
    """How times of equal work scatter here, and the effects that this leaves to be seen."""
    noise = document["noise"]
    if noise is None:
        return [f"noise floor: unknown: {document['noise_reason']}"]
    low, high = noise["ratio"]["ci95"]
    alarm = noise["false_alarms"]
    lines = [
        f"noise floor, of {noise['workload']} against itself: {noise['blocks']} blocks in {noise['starts']} process starts, "
        f"{_seconds(noise['time_s'])} a run, {noise['took_s']:.0f} s in all",
        f"  a run scatters by {_percent(noise['run_sd']['within'])} within a process start, by {_percent(noise['run_sd']['between'])} "
        "between them",
        f"  a pair of adjacent runs by {_percent(noise['pair_sd']['within'])} and {_percent(noise['pair_sd']['between'])}; the mean of a "
        f"process start by {_percent(noise['start_sd'])} ({_range(noise['start_sd_ci95'])})",
        f"  the two arms, which do the same: {noise['ratio']['value']:.4f}× [{low:.4f}, {high:.4f}]",
        f"  false alarms where nothing differs, at alpha {noise['alpha']:g}: {_alarms(alarm)}",
        "",
        f"the smallest difference in time worth testing here, seen {100 * noise['power']:.0f} times of 100 at one-sided alpha "
        f"{noise['alpha']:g} (what the A/A leaves open)",
    ]
    for plan in noise["reach"]:
        found = (
            "cannot be said"
            if plan["detectable"] is None
            else f"{_percent(plan['detectable'])} ({_range(plan['range'])})"
        )
        lines.append(f"  {plan['seeds']:>4} seeds an arm in {plan['starts']:>2} process starts: {found}")
    for need in noise["need"]:
        lines.append(f"  to see {100 * need['effect']:g} %: {_need(need)}")
    return lines


def _alarms(alarm: Mapping[str, Any]) -> str:
    if "reason" in alarm:
        return f"cannot be said: {alarm['reason']}"
    how = (
        f"all {alarm['repeats']} swaps of the labels"
        if alarm["exhaustive"]
        else f"{alarm['repeats']} random swaps of the labels"
    )
    return f"{100 * alarm['rate']:.1f} % of {how}"


def _need(need: Mapping[str, Any]) -> str:
    if need["starts"] is None:
        return "no number of process starts will do"
    low, high = need["range"]
    spread = "" if low == high else f" ({low} to {high if high is not None else 'any number'})"
    return (
        f"{need['starts']} process starts{spread} of {need['blocks_per_start']} blocks, {need['seeds']} seeds an arm: "
        f"--seeds {need['seeds']} --set invocations={need['starts']}"
    )


def _percent(share: float | None) -> str:
    if share is None:
        return "an unknown share"
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.0f} %"


def _range(limits: Any) -> str:
    low, high = limits
    return "unknown" if low is None or high is None else f"{_percent(low)} to {_percent(high)}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds >= 0.1 else f"{1000 * seconds:.3g} ms"
