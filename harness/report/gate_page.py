"""The outcome of a gate file: for a terminal, as Markdown, as JUnit XML, and in Bencher's format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree import ElementTree

from harness.comparison.compare import Comparison
from harness.report.bencher import bencher_metrics
from harness.report.escaping import markdown, markdown_row, markdown_sentence, xml
from harness.report.junit import TAGS
from harness.report.plain import name_of
from harness.report.table import COLOURS, table_markdown, table_text

Shown = Mapping[str, Comparison | None]
"""The comparison behind each check, by the check's name."""


def gate_text(document: Mapping[str, Any], shown: Shown, *, colour: bool = False, width: int | None = None) -> str:
    """Every check with its table and a line for each layer, from the JSON document."""
    parts = []
    for check in document["checks"]:
        comparison = shown.get(check["name"])
        table = "" if comparison is None else table_text(comparison, colour=colour, width=width) + "\n\n"
        at = f" at {check['commit']}" if check["commit"] else ""
        parts.append(f"check {check['name']}{at}\n\n{table}" + "\n".join(_lines(check, colour)))
    return "\n\n".join(parts)


def _lines(check: Mapping[str, Any], colour: bool) -> Iterator[str]:
    layers = _rows(check)
    width = max(len(name) for name, _, _ in layers)
    for name, verdict, message in layers:
        word = f"\x1b[1;{COLOURS[verdict]}m{verdict.upper()}\x1b[0m" if colour else verdict.upper()
        yield f"  {name:<{width}}  {word}  {message}"


def _rows(check: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Layer, verdict and sentence; a check that could not be judged is one refused row."""
    rows = [(one["layer"], one["verdict"], one["message"]) for one in check["layers"]]
    return rows + ([("check", "refused", check["problem"])] if check["problem"] else [])


def gate_markdown(document: Mapping[str, Any], shown: Shown) -> str:
    """One table of all layers, and each check's comparison below it."""
    lines = [f"**{markdown(document['gate']['message'])}**", "", "| check | layer | verdict | |", "|---|---|---|---|"]
    for check in document["checks"]:
        lines += [
            f"{markdown_row((name_of(check['name']), name, verdict))} {markdown_sentence(said)} |"
            for name, verdict, said in _rows(check)
        ]
    tables = [
        f"\n### {markdown(name_of(name))}\n\n{table_markdown(comparison)}"
        for name, comparison in shown.items()
        if comparison is not None
    ]
    return "\n".join([*lines, *tables]).rstrip() + "\n"


def gate_junit(document: Mapping[str, Any]) -> str:
    """A suite for each check, a test case for each layer: failures, errors (refused) and skipped (inconclusive)."""
    suites = ElementTree.Element("testsuites", name="harness gate")
    for check in document["checks"]:
        rows = _rows(check)
        counts = {tag: sum(TAGS.get(verdict) == tag for _, verdict, _ in rows) for tag in TAGS.values()}
        suite = ElementTree.SubElement(suites, "testsuite", name=xml(check["name"]), tests=str(len(rows)))
        suite.attrib |= {tag if tag == "skipped" else f"{tag}s": str(count) for tag, count in counts.items()}
        for name, verdict, said in rows:
            case = ElementTree.SubElement(suite, "testcase", classname=xml(check["name"]), name=xml(name))
            if verdict in TAGS:
                ElementTree.SubElement(case, TAGS[verdict], message=xml(said)).text = xml(said)
    ElementTree.indent(suites)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suites, encoding="unicode") + "\n"


def gate_bencher(shown: Shown) -> dict[str, Any]:
    """Every arm of every check, called `check:arm`."""
    out: dict[str, Any] = {}
    for name, comparison in shown.items():
        if comparison is not None:
            out |= {f"{name}:{arm}": measures for arm, measures in bencher_metrics(comparison).items()}
    return out
