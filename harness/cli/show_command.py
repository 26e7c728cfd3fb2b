"""`harness show`."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import ExperimentName, answer, common


@click.command("show")
@click.argument("name", type=ExperimentName())
@click.option("--preset", help="Show the experiment under this preset.")
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Draw multiply-adds against latency (.svg, .png, .pdf) of a store of trainer `latency`.",
)
@common
def command(
    name: str,
    preset: str | None,
    plot: Path | None,
    results: Path,
    experiments: Path | None,
    quiet: bool,
    as_json: bool,
    json_file: Path | None,
) -> None:
    """Show an experiment, a trainer or a store.

    An experiment (its name, or a path to its TOML): question, arms, configuration. A trainer (its name, or a path to its .py):
    what is on the clock, and its keys with type, default, range and what they change. A store: the runs so far and the ledger; of
    trainer `latency` also what a pass of each arm costs.
    """
    from harness.app import showing

    document = showing.show(name, results, experiments, preset)
    if plot is not None:
        showing.costs_file(document, plot)
    answer(lambda: document, lambda: showing.show_text(document), as_json=as_json, json_file=json_file)
