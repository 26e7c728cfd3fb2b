"""`harness speedup`."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import ExperimentName, answer, common, target_accuracy


@click.command("speedup")
@click.argument("control", type=ExperimentName())
@click.argument("candidate", type=ExperimentName())
@click.option(
    "--target",
    callback=target_accuracy,
    metavar="A",
    help="Accuracy at which both are read.  [default: the experiment's]",
)
@common
def command(
    control: str, candidate: str, target: float | None, results: Path, experiments: Path | None, quiet: bool, as_json: bool,
    json_file: Path | None,
) -> None:  # fmt: skip
    """How much faster at equal accuracy, from two sweeps over training length (epochs or steps).

    Each name is a store whose arms are training lengths. Nothing is extrapolated.
    """
    from harness import app
    from harness.report.iso_text import iso_text

    document = app.speedup(control, candidate, results, target)
    answer(lambda: document, lambda: iso_text(document), as_json=as_json, json_file=json_file)
