"""What passes cost, as a table: multiply-adds beside the time that they take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.comparison.words import number

HEADER = ("arm", "n", "MACs", "parameters", "latency", "images/s", "peak memory", "device idle")


def costs_lines(costs: Mapping[str, Any]) -> list[str]:
    """The table of every arm and a sentence on the ranks of each setting; `costs` is `Costs.as_dict()`."""
    lines: list[str] = ["what a pass costs (MACs of one image; latency: mean over runs of the median pass)"]
    alone = len(costs["arms"]) > 1 and all(one["arms"] == 1 for one in costs["agreement"])
    if alone:
        lines += [f"  {line}" for line in _grid([_cells(arm) for arm in costs["arms"]])]
        lines += ["  no two arms have one setting, so there are no ranks to compare"]
    for agreement in () if alone else costs["agreement"]:
        arms = [arm for arm in costs["arms"] if arm["setting"] == agreement["setting"]]
        if agreement["setting"]:
            lines += ["", f"  {agreement['setting']}"]
        lines += [f"  {line}" for line in _grid([_cells(arm) for arm in arms])]
        lines += [f"  {_rank_sentence(agreement)}"]
    reasons = {arm["device_idle"].get("reason", "") for arm in costs["arms"] if arm["device_idle"]["value"] is None}
    lines += [f"  device idle: {reason}" for reason in sorted(reasons - {""})]
    if any(arm["device_idle"]["value"] is None for arm in costs["arms"]):
        lines.append("  peak memory: of the whole process where there is no accelerator")
    if costs["left_out"]:
        lines.append(f"  left out without these metrics: {costs['left_out']} of the runs")
    return lines


def _grid(rows: Sequence[Sequence[str]]) -> list[str]:
    cells = [HEADER, *rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(HEADER))]
    return [
        "  ".join(
            c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]


def _cells(arm: Mapping[str, Any]) -> list[str]:
    idle, peak, parameters = arm["device_idle"]["value"], arm["peak_memory_mb"], arm["parameters"]
    return [
        arm["arm"],
        str(arm["n"]),
        millions(arm["macs"]),
        "-" if parameters is None else millions(parameters),
        interval(arm["latency_ms"], "ms"),
        interval(arm["throughput"], ""),
        "-" if peak is None else f"{peak:.0f} MB",
        "-" if idle is None else f"{100 * idle:.0f} %",
    ]


def millions(count: float) -> str:
    return f"{count / 1e6:.3g} M" if count < 1e9 else f"{count / 1e6:.0f} M"


def interval(estimate: Mapping[str, Any], unit: str) -> str:
    """A value with its half-width, both to the digit that the half-width knows: 24.6 ± .8 ms."""
    value, (low, high) = estimate["value"], estimate["ci95"]
    if value is None:
        return "-"
    if low is None or high is None:
        return f"{value:.3g} {unit}".rstrip()
    half = (high - low) / 2
    places = next((p for p in range(7) if half * 10**p >= 1), 6)
    return f"{value:.{places}f} ± {number(half, places)} {unit}".rstrip()


def _rank_sentence(agreement: Mapping[str, Any]) -> str:
    """The correlations with their intervals, and how far single process starts differ."""
    if agreement["spearman"]["value"] is None:
        return f"no rank correlation over {agreement['arms']} arm{'' if agreement['arms'] == 1 else 's'}"
    told = ", ".join(f"{sign} {_coefficient(agreement[name])}" for name, sign in (("spearman", "ρ"), ("kendall", "τ")))
    within = agreement["spearman_by_invocation"]
    starts = "" if within is None else f"; ρ in single process starts {_limits(within)}"
    return f"ranks of MACs and latency over {agreement['arms']} arms: {told}{starts}"


def _coefficient(estimate: Mapping[str, Any]) -> str:
    low, high = estimate["ci95"]
    shown = number(estimate["value"], 2, sign=True)
    return f"{shown} [{number(low, 2, sign=True)}, {number(high, 2, sign=True)}]" if low is not None else shown


def _limits(pair: Sequence[float]) -> str:
    low, high = (number(x, 2, sign=True) for x in pair)
    return low if low == high else f"{low} to {high}"
