"""`harness show`."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import ExperimentName, answer, common


@click.command("show")
@click.argument("name", type=ExperimentName())
@click.option("--preset", help="Show the experiment under this preset.")
@common
def command(
    name: str,
    preset: str | None,
    results: Path,
    experiments: Path | None,
    quiet: bool,
    as_json: bool,
    json_file: Path | None,
) -> None:
    """Show one experiment: its question, arms and configuration, the runs so far and the ledger."""
    from harness import app

    document = app.show(name, results, experiments, preset)
    answer(lambda: document, lambda: app.show_text(document), as_json=as_json, json_file=json_file)
