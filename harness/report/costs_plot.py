"""Multiply-adds against measured latency, both on logarithmic axes, as a picture."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from harness.errors import UsageError

ENDINGS = ("svg", "png", "pdf")
MARKERS = "osD^vP*X"
FONT, LETTER, GAP = 8, 0.6, 6
"""Of an arm's name: its size in points, the width of a letter as a share of it, and its distance from the point."""
SIDES = {"right": (1, 0), "left": (-1, 0), "below": (0, -1), "above": (0, 1)}


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
    axes.legend(loc="upper left")
    _name(figure, axes, costs["arms"])
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


def _name(figure: Any, axes: Any, arms: list[Mapping[str, Any]]) -> None:
    """Each arm's name beside its point, at the first of four sides where it covers no point and no other name."""
    figure.draw_without_rendering()  # where the points lie in the picture is known after its layout
    unit = figure.dpi / 72
    points = [tuple(axes.transData.transform((a["macs"] / 1e6, a["latency_ms"]["value"]))) for a in arms]
    taken = [(x - GAP * unit, y - GAP * unit, x + GAP * unit, y + GAP * unit) for x, y in points]
    frame = axes.get_window_extent()
    for arm, (x, y) in zip(arms, points, strict=True):
        wide, high = LETTER * FONT * len(arm["arm"]) * unit, FONT * unit
        boxes = {
            side: (
                x + (GAP * right) * unit + wide * (right - 1) / 2,
                y + (GAP * up) * unit + high * (up - 1) / 2,
                x + (GAP * right) * unit + wide * (right + 1) / 2,
                y + (GAP * up) * unit + high * (up + 1) / 2,
            )
            for side, (right, up) in SIDES.items()
        }
        free = [
            side
            for side, box in boxes.items()
            if box[0] > frame.x0 and box[2] < frame.x1 and not any(_cross(box, other) for other in taken)
        ]
        right, up = SIDES[free[0] if free else "right"]
        taken.append(boxes[free[0] if free else "right"])
        axes.annotate(
            arm["arm"],
            (arm["macs"] / 1e6, arm["latency_ms"]["value"]),
            xytext=(GAP * right, GAP * up),
            textcoords="offset points",
            ha=("right", "center", "left")[right + 1],
            va=("top", "center", "bottom")[up + 1],
            fontsize=FONT,
        )


def _cross(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
