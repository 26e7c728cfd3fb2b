"""Multiply-adds against measured latency, both on logarithmic axes, as a picture."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from harness.errors import UsageError

ENDINGS = ("svg", "png", "pdf")
MARKERS = "osD^vP*X"


def costs_picture(costs: Mapping[str, Any], title: str, ending: str) -> bytes:
    """The picture as a file's content. `costs` is `Costs.as_dict()`; one marker for each setting, 95 % limits as bars.

    Raises UsageError where the ending is none that it can draw.
    """
    if ending not in ENDINGS:
        raise UsageError(f"A picture ends in {', '.join('.' + e for e in ENDINGS)}; found {'.' + ending!r}.")
    import matplotlib
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    for place, agreement in enumerate(costs["agreement"]):
        _draw(axes, [a for a in costs["arms"] if a["setting"] == agreement["setting"]], agreement, MARKERS[place % 8])
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.margins(x=0.12, y=0.12)
    axes.set_xlabel("multiply-adds of one image (millions)")
    axes.set_ylabel("latency of a pass (ms, mean of medians, 95 %)")
    axes.set_title(title)
    axes.grid(which="both", alpha=0.25)
    axes.legend(loc="best")
    buffer = io.BytesIO()
    fixed = {"Date": None} if ending == "svg" else {}
    with matplotlib.rc_context({"svg.hashsalt": title, "svg.fonttype": "none"}):
        figure.savefig(buffer, format=ending, metadata=fixed)
    return buffer.getvalue()


def _draw(axes: Any, arms: list[Mapping[str, Any]], agreement: Mapping[str, Any], marker: str) -> None:
    x = [arm["macs"] / 1e6 for arm in arms]
    y = [arm["latency_ms"]["value"] for arm in arms]
    ends = [arm["latency_ms"]["ci95"] for arm in arms]
    below = [0.0 if low is None else v - max(low, 0.02 * v) for v, (low, _) in zip(y, ends, strict=True)]
    above = [0.0 if high is None else high - v for v, (_, high) in zip(y, ends, strict=True)]
    rho = agreement["spearman"]["value"]
    told = agreement["setting"] or "measured"
    label = told if rho is None else f"{told} (ρ = {rho:.2f}, {len(arms)} arms)"
    axes.errorbar(x, y, yerr=[below, above], fmt=marker, capsize=3, label=label)
    for arm, at, height in zip(arms, x, y, strict=True):
        place = {"xytext": (4, 5), "textcoords": "offset points", "rotation": 45, "rotation_mode": "anchor"}
        axes.annotate(arm["arm"], (at, height), fontsize=8, **place)
