"""`harness list`."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import answer, common


@click.command("list")
@common
def command(results: Path, experiments: Path | None, quiet: bool, as_json: bool, json_file: Path | None) -> None:
    """List experiments with their questions, stores with their runs, trainers and data sets."""
    from harness.app import showing

    document = showing.listing(results, experiments)
    answer(lambda: document, lambda: showing.listing_text(document), as_json=as_json, json_file=json_file)
