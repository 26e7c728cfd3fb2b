"""`harness plan`."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import Count, ExperimentName, Number, answer, common


@click.command("plan")
@click.argument("name", required=False, metavar="[EXPERIMENT]", type=ExperimentName())
@click.option(
    "--difference-pp",
    type=Number(min=0, min_open=True),
    metavar="D",
    help="Difference to be shown, in points.",
)
@click.option(
    "--sd-pp",
    type=Number(min=0, min_open=True),
    metavar="S",
    help="Standard deviation of the accuracy of one run.",
)
@click.option("--seeds", type=Count(2), metavar="N", help="Seeds per arm that you can afford: what do they show?")
@click.option(
    "--power",
    type=Number(0.5, 0.9999),
    default=0.9,
    show_default=True,
    help="Chance to show it if it is there.",
)
@click.option("--alpha", type=Number(1e-6, 0.5), default=0.05, show_default=True, help="One-sided error rate.")
@click.option(
    "--control-runs",
    type=Count(2),
    metavar="N0",
    help="Frozen control runs; without, both arms are made anew.",
)
@click.option("--looks", type=Count(1, 50), metavar="K", help="Bounds of a sequential plan with K looks.")
@click.option("--price-per-hour", type=Number(min=0), metavar="P", help="Price of the device, for the cost.")
@common
def command(
    name: str | None, difference_pp: float | None, sd_pp: float | None, seeds: int | None, power: float, alpha: float,
    control_runs: int | None, looks: int | None, price_per_hour: float | None, results: Path, experiments: Path | None,
    quiet: bool, as_json: bool, json_file: Path | None,
) -> None:  # fmt: skip
    """Seeds needed, differences that can be shown, hours and price: before a run is spent.

    With EXPERIMENT the standard deviation and the time of a run come from its stored runs (the control's), the difference
    from its margin; the answer says whose runs they are. Where all candidates are scored on the control's networks, the
    seeds are those of pairs, and the hours those of the trainings. `--looks` gives the bounds of a sequential plan.
    """
    from harness.app import planning
    from harness.design.power import Wish

    wish = Wish(sd_pp, difference_pp, seeds, power, alpha, control_runs, looks)
    document = planning.plan(wish, name, results, experiments, price_per_hour)
    from harness.report.plan_text import plan_text

    answer(lambda: document, lambda: plan_text(document), as_json=as_json, json_file=json_file)
