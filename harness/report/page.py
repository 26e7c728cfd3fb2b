"""A report as one page of HTML: no script, no address, every picture drawn into it; the same bytes from the same stores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from harness.report.plain import listed, plain
from harness.report.sections import Chapter, Drawn, Section, alone_line


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
    template = environment.get_template("report.html")
    chapters = [_chapter(chapter, place, len(report.chapters)) for place, chapter in enumerate(report.chapters, 1)]
    return template.render(report=report, chapters=chapters, several=len(chapters) > 1)


def _chapter(chapter: Chapter, place: int, of: int) -> dict[str, Any]:
    key = f"e{place}"
    return {
        "key": key,
        "name": plain(chapter.name),
        "question": plain(chapter.question),
        "terms": chapter.terms,
        "verdicts": chapter.verdicts,
        "alone": "" if chapter.comparison.comparisons else alone_line(chapter.comparison),
        "sections": [_section(section, key) for section in chapter.sections],
        "of": of,
    }


def _section(section: Section, key: str) -> dict[str, Any]:
    return {
        "key": f"{key}-{section.key}",
        "title": section.title,
        "says": section.says,
        "missing": section.missing,
        "items": section.items,
        "grids": section.grids,
        "figures": [_figure(figure, key) for figure in section.figures],
    }


def _figure(drawn: Drawn, key: str) -> dict[str, Any]:
    from markupsafe import Markup

    from harness.report.plots.svg import inline

    name = f"{key}-{drawn.name}"
    svg = inline(drawn.draw(), key=name, title=plain(drawn.title), description=plain(drawn.says))
    return {"svg": Markup(svg), "caption": plain(drawn.caption), "title": plain(drawn.title), "wide": drawn.wide}  # noqa: S704


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


def figures_of(chapters: Sequence[Chapter]) -> int:
    return sum(len(section.figures) for chapter in chapters for section in chapter.sections)
