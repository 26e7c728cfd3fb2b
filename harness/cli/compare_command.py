"""`harness compare`."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import ExperimentName, answer, coloured, columns, common, promised, write_file


@click.command("compare")
@click.argument("names", metavar="CONTROL CANDIDATE...", nargs=-1, required=True, type=ExperimentName())
@promised("faster")
@click.option(
    "--markdown", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write the table as Markdown."
)
@common
def command(
    names: tuple[str, ...],
    claim: str | None,
    target: float | None,
    margin_pp: float | None,
    max_slowdown: float | None,
    alpha: float | None,
    stage: str | None,
    markdown: Path | None,
    results: Path,
    experiments: Path | None,
    quiet: bool,
    as_json: bool,
    json_file: Path | None,
) -> None:
    """Compare candidates with a control: table, findings and one verdict.

    A name is a store (a name under results/), EXPERIMENT:ARM, or an arm's name where it is unique. One name
    alone compares the arms of that store with its own control.
    """
    from harness.app import judging
    from harness.report.table import table_markdown, table_text

    asked = judging.Asked(claim, target, margin_pp, max_slowdown, alpha, stage)
    judged = judging.judge(names, results, asked)
    if markdown is not None:
        write_file(markdown, table_markdown(judged), "--markdown")
    answer(
        judged.as_dict,
        lambda: table_text(judged, colour=coloured(), width=columns()),
        as_json=as_json,
        json_file=json_file,
    )
