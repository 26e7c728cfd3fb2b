"""`harness plan`."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import Count, ExperimentName, Number, answer, common

MOST = 10**9
"""More runs than anybody makes."""


@click.command("plan")
@click.argument("names", nargs=-1, metavar="[EXPERIMENT]", type=ExperimentName())
@click.option(
    "--difference-pp",
    type=Number(0, 100, min_open=True),
    metavar="D",
    help="Difference to be shown, in points.",
)
@click.option(
    "--sd-pp",
    type=Number(0, 100, min_open=True),
    metavar="S",
    help="Standard deviation of the accuracy of one run.",
)
@click.option("--seeds", type=Count(2, MOST), metavar="N", help="Seeds per arm that you can afford: what do they show?")
@click.option(
    "--power",
    type=Number(0.5, 0.9999),
    default=0.9,
    show_default=True,
    help="Chance to show it if it is there.",
)
@click.option("--alpha", type=Number(1e-6, 0.5), help="One-sided error rate.  [default: the experiment's, else 0.05]")
@click.option(
    "--control-runs",
    type=Count(2, MOST),
    metavar="N0",
    help="Frozen control runs; without, both arms are made anew.",
)
@click.option("--looks", type=Count(1, 50), metavar="K", help="Bounds of a sequential plan with K looks.")
@click.option("--price-per-hour", type=Number(0, 1e9), metavar="P", help="Price of the device, for the cost.")
@common
def command(
    names: tuple[str, ...], difference_pp: float | None, sd_pp: float | None, seeds: int | None, power: float,
    alpha: float | None, control_runs: int | None, looks: int | None, price_per_hour: float | None, results: Path,
    experiments: Path | None, quiet: bool, as_json: bool, json_file: Path | None,
) -> None:  # fmt: skip
    """Seeds needed, differences that can be shown, hours and price: before a run is spent.

    EXPERIMENT is a name, a TOML file, a store, or your own train.py (two Python files: the first is the control). With it the
    standard deviations and the time of a run come from its stored runs, the difference from its margin; the answer says
    whose runs they are, and ends with a command to paste. Where all candidates are scored on the control's networks, the seeds are
    those of pairs, and the hours those of the trainings. `--looks` gives the bounds of a sequential plan.
    """
    from harness.app import planning
    from harness.design.power import Wish

    wish = Wish(sd_pp, difference_pp, seeds, power, control_runs=control_runs, looks=looks)
    document = planning.plan(wish, names, results, experiments, price_per_hour, alpha)
    from harness.report.design_text import design_text

    answer(lambda: document, lambda: design_text(document), as_json=as_json, json_file=json_file)
