"""`harness aa`."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import Count, ExperimentName, Number, answer, common


@click.command("aa")
@click.argument("names", metavar="EXPERIMENT", nargs=-1, required=True, type=ExperimentName())
@click.option(
    "--repeats",
    type=Count(100, 100_000),
    default=2000,
    show_default=True,
    help="Shuffles: random halves and label swaps.",
)
@click.option("--alpha", type=Number(1e-6, 0.5), metavar="A", help="One-sided error rate.  [default: the experiment's]")
@click.option("--margin-pp", type=Number(0, 100), metavar="M", help="Margin of the whole verdict.")
@click.option("--seed", type=Count(0), default=0, show_default=True, help="Seed of the shuffles.")
@common
def command(
    names: tuple[str, ...], repeats: int, alpha: float | None, margin_pp: float | None, seed: int, results: Path,
    experiments: Path | None, quiet: bool, as_json: bool, json_file: Path | None,
) -> None:  # fmt: skip
    """A/A: how often this judgement raises a false alarm on these stored runs.

    What is shuffled, so that nothing differs: for accuracy the control's runs, over two disjoint halves; for time the labels
    of the arms, in whole invocations. The interval of a rate is that of the shuffles (Monte Carlo), not that of new runs.
    """
    from harness.app import judging
    from harness.report.aa_text import aa_text

    document = judging.aa(names, results, judging.Asked(alpha=alpha, margin_pp=margin_pp), repeats=repeats, seed=seed)
    answer(lambda: document, lambda: aa_text(document), as_json=as_json, json_file=json_file)
