"""`harness ladder`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from harness.cli.options import ExperimentName, answer, campaign_options, coloured, columns, common, warn


@click.command("ladder")
@click.argument("names", metavar="EXPERIMENT", nargs=-1, required=True, type=ExperimentName())
@click.option(
    "--sizes",
    metavar="N,N,N",
    help="Fresh runs an arm in the stages screen, confirm and final (two: screen and final).  [default: 25,200,1000]",
)
@click.option(
    "--keep",
    metavar="K,K",
    help="Arms that go on after each stage but the last: a number, or a share (at most 10).  [default: 1/3,1]",
)
@click.option(
    "--without",
    multiple=True,
    metavar="ARM",
    help="Go on without this arm, whose runs cannot be had; the ledger and the end say so. May be given again.",
)
@campaign_options
@common
def command(
    names: tuple[str, ...],
    sizes: str | None,
    keep: str | None,
    without: tuple[str, ...],
    sets: tuple[str, ...],
    preset: str | None,
    arms: tuple[str, ...],
    executor: str,
    settings: tuple[str, ...],
    workers: int | None,
    retries: int,
    store_name: str | None,
    dry_run: bool,
    results: Path,
    experiments: Path | None,
    quiet: bool,
    as_json: bool,
    json_file: Path | None,
) -> None:
    """Screen many arms cheaply, give the promising ones more runs, decide on one with fresh seeds.

    EXPERIMENT is a sweep (see `harness list`), a TOML file, or several Python files of which the first is the control. Arms are
    ranked on all of their runs so far; the verdict rests on the last stage's fresh runs alone. The same command again goes
    on where it stopped; the plan is kept in the store and cannot change on the way.
    """
    from harness import spec
    from harness.app import laddering, machine, preparing, running
    from harness.cli.run_command import campaign
    from harness.design.ladder import parse_ladder
    from harness.errors import UsageError
    from harness.report.escaping import terminal

    request = spec.Request(spec.parse_sets(sets), preset, arms, None, None, experiments)
    found = spec.load(names, request)
    if len(found) > 1:
        raise UsageError(f"A ladder is climbed by one experiment at a time; found {', '.join(names)}.")
    ladder = parse_ladder(sizes, keep, spec.stated_ladder(names[0], request))
    experiment = laddering.planned_ladder(machine.fitting(found[0]), ladder, " ".join(names))
    told = preparing.parse_settings(settings)
    options = preparing.RunOptions(results, store_name, executor, workers, retries, settings=told)
    for warning in laddering.before_the_first_run(experiment, ladder, options):
        warn(f"warning: {warning}")
    if dry_run:
        from harness.report.ladder_text import plan_text

        plan = laddering.dry_run(experiment, ladder, options)
        answer(lambda: plan, lambda: plan_text(plan), as_json=as_json, json_file=json_file)
        return
    silent = quiet or as_json

    def make_runs(prepared: Any) -> Any:
        return campaign(prepared, options, silent)

    def tell(line: str) -> None:
        if not silent:
            click.echo(terminal(line), err=True)

    climbed = laddering.climb(experiment, ladder, options, make_runs, tell, without)
    answer(
        lambda: laddering.ladder_document(climbed),
        lambda: laddering.ladder_text(climbed, colour=coloured(), width=columns()),
        as_json=as_json,
        json_file=json_file,
    )
    if climbed.incomplete is not None:
        control = experiment.arms[0].name
        ways = " ".join(f"--without {name}" for name in climbed.incomplete.missing if name != control)
        running.require_complete(climbed.incomplete, otherwise=f" Or go on without: {ways}." if ways else "")
