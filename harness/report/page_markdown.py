"""A report as Markdown, fit for a comment: the same sections without the plots. What comes from files can become neither a link,
a picture, a heading, a mention nor HTML.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from harness.report.page import Report
from harness.report.plain import plain
from harness.report.sections import Chapter, Grid, Section, alone_line

MOST_ROWS = 60
"""Longer tables are cut, and say so: a comment holds 65,536 characters."""
MOST_CHARACTERS = 60_000
SKIPPED = ("runs",)
"""Of these only what is missing is told."""
_SPECIAL = re.compile(r"[\\`*_\[\]<>|~$&]")
_AT_START = re.compile(r"^([-+#=]|\d+[.)](?=\s|$))")
_ACTIVE = re.compile(r"@|#(?=\w)|(?<=\w):(?=//)|\bwww(?=\.)|\bmailto(?=:)", re.IGNORECASE)
APART = "\u200b"
"""A space without width: it keeps a forge from reading a name as somebody's, or an address as a link."""


def escaped(text: str) -> str:
    """Text that Markdown shows as it stands, wherever it begins; mentions, references and addresses are only text, too."""
    return _AT_START.sub(lambda m: f"{m[0][:-1]}\\{m[0][-1]}", _within(plain(text)))


def said(text: str) -> str:
    """A sentence of the harness, in which words between backticks are code; what is within them is taken as it stands."""
    parts = re.split(r"`([^`]+)`", plain(text))
    shown = [f"`{part}`".replace("|", "\\|") if i % 2 else _within(part) for i, part in enumerate(parts)]
    return _AT_START.sub(lambda m: f"{m[0][:-1]}\\{m[0][-1]}", "".join(shown))


def _within(line: str) -> str:
    return _ACTIVE.sub(lambda m: m[0] + APART, _SPECIAL.sub(lambda m: f"\\{m[0]}", line))


def page_markdown(report: Report) -> str:
    """The whole text; beyond 60,000 characters it is cut between two sections, and says what is left out."""
    parts = [f"# {escaped(report.title)}"]
    for chapter in report.chapters:
        parts += _chapter(chapter, several=len(report.chapters) > 1)
    tail = [
        f"Made by harness {escaped(report.version)} from:",
        "\n".join(f"- {escaped(line)}" for line in report.made_from),
    ]
    return "\n\n".join([*_cut(parts, MOST_CHARACTERS - sum(map(len, tail))), *tail]) + "\n"


def _cut(parts: Sequence[str], room: int) -> list[str]:
    kept: list[str] = []
    for number, part in enumerate(parts):
        room -= len(part) + 2
        if room < 0:
            return [
                *kept,
                f"{len(parts) - number} further parts are left out, as a comment holds no more: the HTML report has them.",
            ]
        kept.append(part)
    return kept


def _chapter(chapter: Chapter, *, several: bool) -> Iterator[str]:
    if several:
        yield f"## {escaped(chapter.name)}"
    if chapter.question:
        yield escaped(chapter.question)
    yield "  \n".join(escaped(line) for line in chapter.terms)
    if not chapter.comparison.comparisons:
        yield escaped(alone_line(chapter.comparison))
    else:
        rows = tuple(chapter.verdicts)
        yield from _grid(Grid(("candidate", "verdict", "what it rests on"), rows, texts=(0, 1, 2)))
    for section in chapter.sections:
        if section.key in SKIPPED:
            yield from map(said, section.missing)
        else:
            yield from _section(section, "###" if several else "##")
    names = ", ".join(f"`harness export {plain(s.name)}`" for s in chapter.stores if re.fullmatch(r"[\w.-]+", s.name))
    yield f"Single rows are left out here; {names or '`harness export NAME`'} writes them."


def _section(section: Section, level: str) -> Iterator[str]:
    yield f"{level} {escaped(section.title)}"
    for line in (*section.missing, *section.says):
        yield said(line)
    for grid in section.grids:
        yield from _grid(grid)
    for item in section.items:
        weight = {"refuse": "refuses", "warn": "warning", "info": "to know"}[item.severity]
        told = [f"{message} ({arms})" if arms else message for arms, message in item.messages]
        head = f"**{escaped(item.code)}** {escaped(item.mark)} ({weight})"
        lines = [f"{head}: {said(told[0])}", *(said(one) for one in told[1:])]
        yield "  \n".join([*lines, *(f"→ {said(line)}" for line in item.advice)])
    if section.figures and not section.grids:
        yield f"Drawn in the HTML report: {escaped(', '.join(figure.title for figure in section.figures))}."


def _grid(grid: Grid) -> Iterator[str]:
    if grid.fold or grid.title:
        yield f"{escaped(grid.fold or grid.title)}:"
    rows = grid.rows[:MOST_ROWS]
    aligned = ["---" if i in grid.texts else "---:" for i in range(len(grid.header))]
    lines = [_line(grid.header), "|" + "|".join(aligned) + "|", *(_line(row) for row in rows)]
    yield "\n".join(lines)
    if len(grid.rows) > MOST_ROWS:
        yield f"{len(grid.rows) - MOST_ROWS} further rows are left out: the HTML report has them."
    if grid.note:
        yield said(grid.note)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_within(plain(cell)) or " " for cell in cells) + " |"
