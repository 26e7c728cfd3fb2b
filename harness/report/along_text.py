"""The answer of `harness speedup --along-run` in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def along_text(document: Mapping[str, Any]) -> str:
    """Medians, means up to the horizon, their difference, the log-rank test, and what all of it assumes."""
    horizon = f"{document['horizon']:g}"
    lines = [f"steps to {100 * document['target']:g} % of {document['metric']}, evaluated along the run"]
    for side in ("control", "candidate"):
        lines += _side(document[side], horizon)
    lines.append(f"mean up to step {horizon}, candidate - control: {_interval(document['rmst_difference'])}")
    test = document["logrank"]
    lines.append(f"log-rank: cannot be said: {test['reason']}" if test["p"] is None else _logrank(test))
    return "\n".join([*lines, *(f"note: {note}" for note in document["notes"])])


def _side(side: Mapping[str, Any], horizon: str) -> list[str]:
    median = f"median {side['median']:g}" if side["median"] is not None else f"no median: {side['reason']}"
    low, high = side["grid"]["evaluations"]
    grid = f"{low} evaluations a run" if low == high else f"{low} to {high} evaluations a run"
    if side["grid"]["gap"] is not None:
        least, most = side["grid"]["gap"]
        grid += f", every {least:g} steps" if least == most else f", {least:g} to {most:g} steps apart"
    lines = [
        f"{side['name']}: {side['reached']} of {side['n']} runs reached it, {side['censored']} censored; {median}",
        f"  mean up to step {horizon}: {_interval(side['rmst'])}",
        f"  {grid}: a time is late by up to one gap",
    ]
    gone = ", ".join(f"{count} {reason}" for reason, count in side["excluded"].items())
    return lines + ([f"  not counted: {gone}"] if gone else [])


def _interval(e: Mapping[str, Any]) -> str:
    if e["value"] is None:
        return f"cannot be said: {e['reason']}"
    if e["ci95"][0] is None:
        return f"{e['value']:.6g} steps, no interval: {e.get('reason', 'unknown spread')}"
    return f"{e['value']:.6g} steps [{e['ci95'][0]:.6g}, {e['ci95'][1]:.6g}]"


def _logrank(test: Mapping[str, Any]) -> str:
    sooner = "the candidate" if test["z"] > 0 else "the control"
    return f"log-rank: p = {test['p']:.3g} (two-sided), {sooner} reached it sooner (z = {test['z']:+.2f})"
