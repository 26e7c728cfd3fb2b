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
    """Show an experiment, a trainer or a store.

    An experiment (its name, or a path to its TOML): question, arms, configuration. A trainer (its name, or a path to its .py):
    what is on the clock, and its keys with type, default, range and what they change. A store: the runs so far and the ledger.
    """
    from harness.app import showing

    document = showing.show(name, results, experiments, preset)
    answer(lambda: document, lambda: showing.show_text(document), as_json=as_json, json_file=json_file)
