"""`harness gate`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from harness.cli.options import (
    ExperimentName,
    coloured,
    columns,
    common,
    promised,
    to_json,
    write_file,
)

SUMMARY = "GITHUB_STEP_SUMMARY"


@click.command("gate")
@click.argument("names", metavar="CONTROL CANDIDATE...", nargs=-1, required=True, type=ExperimentName())
@promised("no-regression")
@click.option(
    "--on-inconclusive",
    type=click.Choice(("fail", "pass")),
    default="fail",
    show_default=True,
    help="Whether an open question stops the pipeline (exit 3) or not (exit 0, and it says so).",
)
@click.option("--markdown", type=click.Path(path_type=Path, dir_okay=False), help="Write the table as Markdown.")
@click.option("--junitxml", type=click.Path(path_type=Path, dir_okay=False), help="Write JUnit XML.")
@click.option("--bencher", type=click.Path(path_type=Path, dir_okay=False), help="Write Bencher's metric format.")
@common
def command(names: tuple[str, ...], results: Path, as_json: bool, json_file: Path | None, **given: Any) -> int:
    """The judgement of `compare` as an exit code.

    \b
    0  pass                     3  inconclusive
    1  fail: refuted            4  refused, or a store missing, empty or damaged
    2  usage or configuration

    Writes gate.json (--json-file names another file), and Markdown into $GITHUB_STEP_SUMMARY where that is set.
    """
    from harness.app import gating
    from harness.app.judging import Asked
    from harness.errors import HarnessError
    from harness.report.bencher import bencher_metrics
    from harness.report.junit import broken_xml, junit_xml
    from harness.report.table import table_markdown, table_text

    asked = Asked(*(given[key] for key in ("claim", "target", "margin_pp", "max_slowdown", "alpha", "stage")))
    wanted = json_file or Path("gate.json")
    try:
        report = gating.gate(names, results, asked, given["on_inconclusive"])
    except HarnessError as problem:
        document = gating.broken(problem, given["on_inconclusive"])
        _write(wanted, to_json(document), given["junitxml"], broken_xml(str(problem)))
        _step_summary(f"**GATE: no judgement**: {problem}\n")
        raise
    document = report.as_dict()
    _write(wanted, to_json(document), given["junitxml"], junit_xml(report.comparison))
    page = f"**{report.sentence}**\n\n{table_markdown(report.comparison)}"
    if given["markdown"] is not None:
        write_file(given["markdown"], page)
    if given["bencher"] is not None:
        write_file(given["bencher"], to_json(bencher_metrics(report.comparison)) + "\n")
    _step_summary(page)
    if as_json:
        click.echo(to_json(document))
    else:
        click.echo(table_text(report.comparison, colour=coloured(), width=columns()), color=coloured() or None)
        click.echo(f"\n{report.sentence} (exit {report.exit_code}; {wanted})")
    return report.exit_code


def _write(wanted: Path, document: str, junit: Path | None, xml: str) -> None:
    write_file(wanted, document + "\n")
    if junit is not None:
        write_file(junit, xml)


def _step_summary(page: str) -> None:
    """GitHub shows what is appended to this file, up to 1 MiB, below the job."""
    place = os.environ.get(SUMMARY)
    if place:
        with Path(place).open("a", encoding="utf-8") as out:
            out.write(page[: 2**20 - 1] + "\n")
