"""The path of a sequential campaign: each endpoint of its claim from look to look, between the bounds that were planned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.comparison.compare import CandidateResult, Comparison
from harness.comparison.looks import Trail
from harness.report.plain import name_of
from harness.report.plots import style
from harness.report.plots.shared import Absent

WIDTH, HEIGHT = 440.0, 300.0


@dataclass(frozen=True)
class Path:
    """One endpoint of one candidate; `planned` are the numbers of runs of all looks, `bounds` and `floors` theirs (z) where planned."""

    arm: str
    trail: Trail
    planned: tuple[int, ...]
    bounds: tuple[float, ...]
    floors: tuple[float, ...]


def paths_of(comparison: Comparison) -> tuple[Path, ...] | Absent:
    """The `sequential.trails` of `harness compare --json`."""
    planned = [one for one in comparison.comparisons if one.look is not None]
    if not planned:
        return Absent("These runs were not looked at by a sequential plan (`harness run --until-decided` makes one).")
    found = tuple(path for one in planned for path in _paths(one, comparison.promise.alpha))
    return found or Absent("The first look of the plan is still to come.")


def _paths(one: CandidateResult, alpha: float) -> list[Path]:
    """The looks to come are shown where they are known: of accuracy, at the level that was planned with."""
    look = one.look
    assert look is not None
    plan = look.plan
    out = []
    for trail in look.trails:
        whole = not trail.endpoint.startswith("time") and trail.unit == "z" and alpha == plan.alpha
        bounds = plan.efficacy if whole else trail.upper
        floors = plan.futility if whole else trail.lower
        out.append(Path(name_of(one.candidate.name), trail, plan.runs if whole else trail.n, bounds, floors))
    return out


def draw_path(path: Path) -> Any:
    """Statistic against runs an arm, with the bound that proves it and the one below which it is hopeless."""
    from matplotlib.lines import Line2D

    with style.applied():
        trail = path.trail
        labels = ["statistic at a look", "proven above"] + (["hopeless below"] if path.floors else [])
        columns = style.key_columns(labels, WIDTH - 72)
        above = style.key_height(len(labels), columns) + 14
        figure = style.new_figure(WIDTH, HEIGHT)
        axes = style.add_axes(figure, 58, 46, WIDTH - 14, HEIGHT - above)
        lines = [
            Line2D([], [], color=style.INK, marker="o", markersize=5, linewidth=1.4),
            Line2D([], [], color=style.SERIES[2], marker="^", markersize=4.5, linestyle=style.DASHES[1]),
            Line2D([], [], color=style.SERIES[1], marker="v", markersize=4.5, linestyle=style.DASHES[2]),
        ]
        style.key(figure, lines[: len(labels)], labels, left=58, top=HEIGHT - 5, columns=columns)
        known = [(n, z) for n, z in zip(trail.n, trail.at, strict=True) if z is not None]
        values = [z for _, z in known] + [*path.bounds, *path.floors, 0.0]
        low, high = style.widened(min(values), max(values), 0.08)
        axes.set_ylim(low, high)
        last = max(path.planned)
        axes.set_xlim(0, last * 1.05)
        style.set_ticks(axes.yaxis, low, high, most=6, sign=True)
        every = max(1, -(-len(path.planned) // 10))
        axes.set_xticks(path.planned[::every], labels=[f"{n}" for n in path.planned[::every]])
        style.grid(axes, "y")
        axes.axhline(0, color=style.MUTED, linewidth=0.8, zorder=1)
        small = 4.5 if len(path.planned) <= 12 else 0
        axes.plot(
            path.planned, path.bounds, color=style.SERIES[2], marker="^", markersize=small, linestyle=style.DASHES[1]
        )
        if path.floors:
            axes.plot(
                path.planned,
                path.floors,
                color=style.SERIES[1],
                marker="v",
                markersize=small,
                linestyle=style.DASHES[2],
            )
        axes.plot(
            [n for n, _ in known],
            [z for _, z in known],
            color=style.INK,
            marker="o",
            markersize=5,
            linewidth=1.4,
            zorder=4,
        )
        axes.set_xlabel("runs an arm", labelpad=6)
        axes.set_ylabel(f"{trail.unit} of {trail.endpoint}", labelpad=6)
        return figure
