"""How every figure looks: one palette, one type, no chart junk. matplotlib is imported by what draws, never by what computes.

A figure is measured in points; on a page one point is one pixel at the figure's own width. The colours below are those of paper;
`svg.py` puts the variables of a page in their place, so each stands for one role and for nothing else.
"""

from __future__ import annotations

import math
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

INK, MUTED, GRID, PAPER = "#1b1f24", "#59636e", "#d5dae0", "#ffffff"
SERIES = ("#0072b2", "#c24e00", "#007a5a", "#a0487f", "#8a6100")
"""Blue, vermilion, green, purple and ochre of Okabe and Ito (2008), darkened to 4.5:1 on paper."""
VARIABLES = {INK: "--ink", MUTED: "--muted", GRID: "--grid", PAPER: "--paper"} | {
    colour: f"--s{i}" for i, colour in enumerate(SERIES, 1)
}
MARKERS = ("o", "s", "^", "D", "v")
DASHES: tuple[Any, ...] = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (7, 2, 1.5, 2)), (0, (4, 1.5)))
MOST_SERIES = len(SERIES)
SIZE = 11.0
SMALL = 10.0
FAMILY = "DejaVu Sans"
"""It comes with matplotlib, so that the same runs give the same picture everywhere; a page puts its reader's own font in its place."""
MINUS = "−"


@contextmanager
def applied() -> Iterator[None]:
    """matplotlib's settings while a figure is made; those of the reader's own session stay as they are."""
    import matplotlib

    settings: Any = {
        "font.family": FAMILY,
        "font.size": SIZE,
        "text.color": INK,
        "text.parse_math": False,
        "axes.edgecolor": MUTED,
        "axes.labelcolor": INK,
        "axes.linewidth": 0.8,
        "axes.titlesize": SIZE,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.labelcolor": MUTED,
        "ytick.labelcolor": MUTED,
        "xtick.labelsize": SMALL,
        "ytick.labelsize": SMALL,
        "figure.facecolor": PAPER,
        "axes.facecolor": "none",
        "lines.linewidth": 1.5,
        "path.simplify": False,
    }
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a name may be written in letters that this font lacks; a page's font has them
        yield


def new_figure(width: float, height: float) -> Any:
    """An empty figure of so many points, on no list of open figures."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width / 72, height / 72), dpi=72)


def add_axes(figure: Any, left: float, bottom: float, right: float, top: float) -> Any:
    """Axes whose edges lie at these distances in points from the left and lower edge of the figure; open to the top and right."""
    width, height = figure.get_size_inches() * 72
    axes = figure.add_axes((left / width, bottom / height, (right - left) / width, (top - bottom) / height))
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(length=3, width=0.8, pad=3)
    axes.set_axisbelow(True)
    return axes


# --- text -----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def width_of(text: str, size: float = SIZE, *, bold: bool = False) -> float:
    """The width of a text in points. Letters that the font lacks count as wide as they may be."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    wide = sum(1 for c in text if ord(c) > 0x2BFF or unicodedata.east_asian_width(c) in "WF")
    rest = "".join(c for c in text if not (ord(c) > 0x2BFF or unicodedata.east_asian_width(c) in "WF"))
    font = FontProperties(family=FAMILY, size=size, weight="bold" if bold else "normal")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        known = text_to_path.get_text_width_height_descent(rest, font, ismath=False)[0] if rest else 0.0
    return float(known) + 1.1 * size * wide


def fitted(text: str, room: float, size: float = SIZE) -> str:
    """The text, cut in its middle where it is wider than `room` points: names of arms mostly differ at their ends."""
    if width_of(text, size) <= room:
        return text
    kept = min(len(text), 200)
    while kept > 2:
        kept -= 1
        head = math.ceil(kept / 2)
        short = f"{text[:head]}…{text[len(text) - (kept - head) :]}"
        if width_of(short, size) <= room:
            return short
    return "…"


def fitted_all(texts: Sequence[str], room: float, size: float = SIZE) -> list[str]:
    return [fitted(text, room, size) for text in texts]


# --- axes -----------------------------------------------------------------------------------------------------


def nice_ticks(low: float, high: float, most: int = 5) -> tuple[list[float], int]:
    """At most so many round numbers within [low, high], and the decimals that they need."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low:
        return [low], 2
    raw = (high - low) / max(1, most)
    power = math.floor(math.log10(raw))
    step = next(m * 10.0**power for m in (1, 2, 5, 10, 20) if _count(low, high, m * 10.0**power) <= most)
    first = math.ceil(low / step - 1e-9)
    ticks = [round(step * k, 12) + 0.0 for k in range(first, first + most + 1) if step * k <= high + 1e-9 * step]
    return ticks, max(0, -math.floor(math.log10(step) + 1e-9))


def _count(low: float, high: float, step: float) -> int:
    return math.floor(high / step + 1e-9) - math.ceil(low / step - 1e-9) + 1


def decimal(x: float, decimals: int, *, sign: bool = False) -> str:
    """A number with its minus sign as wide as a plus."""
    text = f"{abs(x):.{decimals}f}"
    negative = x < 0 and float(text) != 0
    return (MINUS if negative else "+" if sign and float(text) != 0 else "") + text


def set_ticks(axis: Any, low: float, high: float, *, most: int = 5, sign: bool = False, unit: str = "") -> None:
    """Round ticks with as many decimals as they need."""
    ticks, decimals = nice_ticks(low, high, most)
    axis.set_ticks(ticks, labels=[decimal(t, decimals, sign=sign) + unit for t in ticks])


def widened(low: float, high: float, share: float = 0.06) -> tuple[float, float]:
    """Limits with some air; equal ones, but for rounding, get a width."""
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        air = abs(low) * 0.01 or 1.0
        return low - air, high + air
    air = share * (high - low)
    return low - air, high + air


def grid(axes: Any, which: str) -> None:
    axes.grid(axis=which, color=GRID, linewidth=0.6)


def key(figure: Any, handles: Sequence[Any], labels: Sequence[str], *, left: float, top: float, columns: int) -> None:
    """What colours and marks mean, in a row above the axes; `left` and `top` in points from the lower left corner."""
    width, height = figure.get_size_inches() * 72
    legend = figure.legend(
        handles, [f"{i}" for i in range(len(labels))], loc="upper left", bbox_to_anchor=(left / width, top / height),
        ncols=columns, frameon=False, fontsize=SMALL, handlelength=1.8, columnspacing=1.4, handletextpad=0.5, borderpad=0,
        borderaxespad=0, labelspacing=0.35,
    )  # fmt: skip
    for text, label in zip(
        legend.get_texts(), labels, strict=True
    ):  # a label may begin with what a legend would leave out
        text.set_text(label)
        text.set_color(INK)


def key_columns(labels: Sequence[str], room: float) -> int:
    """How many columns of a key fit into `room` points."""
    widest = max(width_of(label, SMALL) for label in labels) + 1.8 * SMALL + 0.5 * SMALL + 1.4 * SMALL
    return max(1, min(len(labels), int((room + 1.4 * SMALL) // widest)))


def key_height(labels: int, columns: int) -> float:
    """The height of a key in points."""
    return math.ceil(labels / columns) * SMALL * 1.55
