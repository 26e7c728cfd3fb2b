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
@click.option(
    "--along-run",
    is_flag=True,
    help="Steps until single runs reach the target, from a metric that was evaluated along them. Two arms, no sweeps.",
)
@click.option(
    "--metric", default="test_accuracy", show_default=True, metavar="NAME", help="With --along-run: which metric."
)
@common
def command(
    control: str, candidate: str, target: float | None, along_run: bool, metric: str, results: Path,
    experiments: Path | None, quiet: bool, as_json: bool, json_file: Path | None,
) -> None:  # fmt: skip
    """How much faster at equal accuracy, from two sweeps over training length (epochs or steps).

    Each name is a store whose arms are training lengths, or an arm of the sweep that is meant (EXPERIMENT:ARM). Arms that
    differ in more than their length are left out and named. Nothing is extrapolated.

    With --along-run: Kaplan-Meier medians, restricted means and the log-rank test of the steps to the target. Not for a
    learning rate that anneals to the end of the run.
    """
    from harness.app import lengths

    if along_run:
        from harness.report.along_text import along_text

        document = lengths.along_run((control, candidate), results, target, metric)
        answer(lambda: document, lambda: along_text(document), as_json=as_json, json_file=json_file)
        return
    from harness.report.iso_text import iso_text

    document = lengths.speedup(control, candidate, results, target)
    answer(lambda: document, lambda: iso_text(document), as_json=as_json, json_file=json_file)
