"""A report as one page of HTML: no script, no address, every picture drawn into it; the same bytes from the same stores."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from markupsafe import Markup, escape

from harness.report.plain import listed, name_of, plain
from harness.report.sections import Chapter, Drawn, Section, alone_line

VERDICTS = ("pass", "fail", "inconclusive", "refused")
MOST_VERDICTS = 12
"""Of more verdicts those that decide nothing are folded."""
FEW_VERDICTS = 3
"""So many of one experiment are told at the top of a page of several, of more their numbers."""


@dataclass(frozen=True)
class Report:
    """What `harness report` shows: the experiments in the order in which they were named, and the version that shows them."""

    chapters: tuple[Chapter, ...]
    version: str

    @property
    def title(self) -> str:
        return listed((plain(chapter.name, 60) for chapter in self.chapters), 4)

    @property
    def made_from(self) -> list[str]:
        """The state of every store that was read, each once."""
        stores = {store.name: store for chapter in self.chapters for store in chapter.stores}
        return [
            f"{plain(s.name)}: runs.csv of {s.rows} rows (sha256 {s.runs_sha256[:12]}), ledger of {len(s.ledger)} entries "
            + (
                f"(sha256 {s.ledger_sha256[:12]}, the last of {plain(s.ledger[-1].get('at', 'unknown time'), 40)})"
                if s.ledger
                else ""
            )
            for s in stores.values()
        ]


@dataclass(frozen=True)
class Said:
    """One verdict: the candidate, and what the verdict rests on."""

    arm: str
    verdict: str
    headline: str


@dataclass(frozen=True)
class Told:
    """Verdicts as they are told: all of a few; of many those that decide something, and the others folded, by verdict."""

    counts: str
    open: tuple[Said, ...]
    folded: tuple[tuple[str, tuple[Said, ...]], ...]


def told_first(verdicts: Sequence[Said]) -> Told:
    counts = Counter(one.verdict for one in verdicts)
    shown = ", ".join(f"{counts[v]} {v}" for v in VERDICTS if counts[v])
    if len(verdicts) <= MOST_VERDICTS:
        return Told(shown, tuple(verdicts), ())
    decided = tuple(one for one in verdicts if one.verdict in ("pass", "fail"))
    first = sorted(decided, key=lambda one: one.verdict != "pass")
    folded = [
        (f"{counts[v]} {v}", tuple(one for one in verdicts if one.verdict == v)) for v in ("inconclusive", "refused")
    ]
    if len(first) > MOST_VERDICTS:
        folded.insert(0, (f"{len(first) - MOST_VERDICTS} more decided", tuple(first[MOST_VERDICTS:])))
    return Told(shown, tuple(first[:MOST_VERDICTS]), tuple((name, rows) for name, rows in folded if rows))


def page_html(report: Report) -> str:
    """The whole page. Needs jinja2 and matplotlib."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("harness.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["coded"] = _coded
    template = environment.get_template("report.html")
    chapters = [_chapter(chapter, place) for place, chapter in enumerate(report.chapters, 1)]
    return template.render(report=report, chapters=chapters, several=len(chapters) > 1)


def _chapter(chapter: Chapter, place: int) -> dict[str, Any]:
    key = f"e{place}"
    return {
        "key": key,
        "name": name_of(chapter.name),
        "question": plain(chapter.question),
        "terms": chapter.terms,
        "verdicts": told_first([Said(*one) for one in chapter.verdicts]),
        "first": [Said(*one) for one in chapter.verdicts[:FEW_VERDICTS]]
        if len(chapter.verdicts) <= FEW_VERDICTS
        else [],
        "alone": "" if chapter.comparison.comparisons else alone_line(chapter.comparison),
        "rows": _rows([_section(section, key) for section in chapter.sections]),
    }


def _rows(sections: Sequence[dict[str, Any]]) -> list[list[list[dict[str, Any]]]]:
    """Rows of columns of sections: neighbours that need half of the page take turns in two columns; every other one is alone."""
    rows: list[list[list[dict[str, Any]]]] = []
    for half, group in groupby(sections, key=lambda section: bool(section["half"])):
        found = list(group)
        rows += [[found[::2], found[1::2]]] if half and len(found) > 1 else [[[section]] for section in found]
    return rows


def _coded(text: str) -> Markup:
    """Words between backticks as code; everything is escaped."""
    parts = re.split(r"`([^`]+)`", text)
    return Markup("").join(Markup("<code>{}</code>").format(p) if i % 2 else escape(p) for i, p in enumerate(parts))


def _section(section: Section, key: str) -> dict[str, Any]:
    return {
        "key": f"{key}-{section.key}",
        "title": section.title,
        "says": section.says,
        "missing": section.missing,
        "items": section.items,
        "grids": section.grids,
        "half": section.half,
        "figures": [_figure(figure, key) for figure in section.figures],
    }


def _figure(drawn: Drawn, key: str) -> dict[str, Any]:
    from harness.report.plots.svg import inline

    name = f"{key}-{drawn.name}"
    svg = inline(drawn.draw(), key=name, title=plain(drawn.title), description=plain(drawn.says))
    return {"svg": Markup(svg), "caption": plain(drawn.caption), "title": plain(drawn.title), "wide": drawn.wide}


def plot_files(report: Report, ending: str) -> Iterator[tuple[str, bytes]]:
    """Every figure as a file of its own: name (without folder) and content."""
    from harness.report.plots.svg import file_of

    used: dict[str, int] = {}
    for chapter in report.chapters:
        for section in chapter.sections:
            for drawn in section.figures:
                name = f"{file_name(chapter.name)}-{drawn.name}"
                used[name] = used.get(name, 0) + 1
                again = f"-{used[name]}" if used[name] > 1 else ""
                yield f"{name}{again}.{ending}", file_of(drawn.draw(), ending, salt=name)


def file_name(text: str) -> str:
    """A name as a part of a file's name: letters, digits, `-`, `_`, `.` and nothing that leads elsewhere."""
    shown = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in text).strip(".-")
    return shown[:80] or "experiment"
