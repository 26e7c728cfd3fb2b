"""A report as Markdown, fit for a comment: the same sections without the plots. What comes from files can become neither a link,
a picture, a heading, a mention nor HTML.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from harness.report.escaping import markdown, markdown_row, markdown_sentence
from harness.report.page import Report
from harness.report.plain import plain
from harness.report.sections import Chapter, Grid, Section, alone_line

MOST_ROWS = 60
"""Longer tables are cut, and say so: a comment holds 65,536 characters."""
MOST_CHARACTERS = 60_000
SKIPPED = ("runs",)
"""Of these only what is missing is told."""


def page_markdown(report: Report) -> str:
    """The whole text; beyond 60,000 characters it is cut between two sections, and says what is left out."""
    parts = [f"# {markdown(report.title)}"]
    for chapter in report.chapters:
        parts += _chapter(chapter, several=len(report.chapters) > 1)
    tail = [
        f"Made by harness {markdown(report.version)} from:",
        "\n".join(f"- {markdown(line)}" for line in report.made_from),
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
        yield f"## {markdown(chapter.name)}"
    if chapter.question:
        yield markdown(chapter.question)
    yield "  \n".join(markdown(line) for line in chapter.terms)
    if not chapter.comparison.comparisons:
        yield markdown(alone_line(chapter.comparison))
    else:
        rows = tuple(chapter.verdicts)
        yield from _grid(Grid(("candidate", "verdict", "what it rests on"), rows, texts=(0, 1, 2)))
    for section in chapter.sections:
        if section.key in SKIPPED:
            yield from map(markdown_sentence, section.missing)
        else:
            yield from _section(section, "###" if several else "##")
    names = ", ".join(f"`harness export {plain(s.name)}`" for s in chapter.stores if re.fullmatch(r"[\w.-]+", s.name))
    yield f"Single rows are left out here; {names or '`harness export NAME`'} writes them."


def _section(section: Section, level: str) -> Iterator[str]:
    yield f"{level} {markdown(section.title)}"
    for line in (*section.missing, *section.says):
        yield markdown_sentence(line)
    for grid in section.grids:
        yield from _grid(grid)
    for item in section.items:
        weight = {"refuse": "refuses", "warn": "warning", "info": "to know"}[item.severity]
        told = [f"{message} ({arms})" if arms else message for arms, message in item.messages]
        head = f"**{markdown(item.code)}** {markdown(item.mark)} ({weight})"
        lines = [f"{head}: {markdown_sentence(told[0])}", *(markdown_sentence(one) for one in told[1:])]
        yield "  \n".join([*lines, *(f"→ {markdown_sentence(line)}" for line in item.advice)])
    if section.figures and not section.grids:
        yield f"Drawn in the HTML report: {markdown(', '.join(figure.title for figure in section.figures))}."


def _grid(grid: Grid) -> Iterator[str]:
    if grid.fold or grid.title:
        yield f"{markdown(grid.fold or grid.title)}:"
    rows = grid.rows[:MOST_ROWS]
    aligned = ["---" if i in grid.texts else "---:" for i in range(len(grid.header))]
    lines = [markdown_row(grid.header), "|" + "|".join(aligned) + "|", *(markdown_row(row) for row in rows)]
    yield "\n".join(lines)
    if len(grid.rows) > MOST_ROWS:
        yield f"{len(grid.rows) - MOST_ROWS} further rows are left out: the HTML report has them."
    if grid.note:
        yield markdown_sentence(grid.note)
