"""`harness summary`."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import ExperimentName, answer, common, write_file


@click.command("summary")
@click.argument("names", metavar="[CONTROL] EXPERIMENT...", nargs=-1, required=True, type=ExperimentName())
@click.option("--all", "every", is_flag=True, help="Every candidate of a sweep, not only its best.")
@click.option(
    "--markdown", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write the table as Markdown."
)
@common
def command(
    names: tuple[str, ...],
    every: bool,
    markdown: Path | None,
    results: Path,
    experiments: Path | None,
    quiet: bool,
    as_json: bool,
    json_file: Path | None,
) -> None:
    """Several experiments in one table: what each ends with, and the verdict on it.

    A store of a single arm in the first place is the frozen control that the others are compared with; without one,
    each experiment is held against the control that ran interleaved with it. Of a sweep the best is shown, ranked by its
    shrunken difference; its verdict is the one that `compare` gives.
    """
    from harness.app import judging
    from harness.report import overview

    rows = judging.summary(names, results, every=every)
    if markdown is not None:
        write_file(markdown, overview.overview_markdown(rows), "--markdown")
    answer(
        lambda: {"schema": 1, "rows": [row.as_dict() for row in rows]},
        lambda: overview.overview_text(rows),
        as_json=as_json,
        json_file=json_file,
    )
