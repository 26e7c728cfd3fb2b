"""`harness run`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click

from harness.cli.options import Count, ExperimentName, answer, campaign_options, coloured, columns, common, warn


@click.command("run")
@click.argument("names", metavar="EXPERIMENT...", nargs=-1, required=True, type=ExperimentName())
@click.option("--seeds", type=Count(1, 65536), help="Seeds per arm.  [default: the experiment's]")
@click.option("--stage", type=click.Choice(("screen", "confirm", "final")), help="Stage; each has fresh seeds.")
@click.option(
    "--until-decided", is_flag=True, help="Look as planned before the first run, and stop as soon as it is decided."
)
@click.option(
    "--mode",
    type=click.Choice(("group-sequential", "sprt")),
    help="How to look: five times, or every five runs (accuracy only).  [default: group-sequential]",
)
@click.option("--past-futility", is_flag=True, help="Go on where the plan would stop for lack of prospects.")
@click.option("--skip-impossible", is_flag=True, help="List arms that this machine cannot run, and run the others.")
@campaign_options
@common
def command(
    names: tuple[str, ...],
    seeds: int | None,
    sets: tuple[str, ...],
    preset: str | None,
    arms: tuple[str, ...],
    stage: str | None,
    executor: str,
    settings: tuple[str, ...],
    workers: int | None,
    retries: int,
    store_name: str | None,
    until_decided: bool,
    mode: Literal["group-sequential", "sprt"] | None,
    past_futility: bool,
    skip_impossible: bool,
    dry_run: bool,
    results: Path,
    experiments: Path | None,
    quiet: bool,
    as_json: bool,
    json_file: Path | None,
) -> None:
    """Run what is missing up to N seeds per arm, in randomised interleaved blocks.

    EXPERIMENT is a name (see `harness list`), a TOML file, or your own train.py[:function]; two Python files
    are interleaved, the first is the control. The same command again goes on where it stopped.
    """
    from dataclasses import replace

    from harness import spec
    from harness.app import machine, preparing, running
    from harness.errors import UsageError

    request = spec.Request(spec.parse_sets(sets), preset, arms, seeds, stage, experiments)
    found = [
        machine.fitting(replace(one, skip_impossible=one.skip_impossible or skip_impossible))
        for one in spec.load(names, request)
    ]
    if store_name and len(found) > 1:
        raise UsageError("--as names one store, and several experiments were given: run them one by one.")
    told = preparing.parse_settings(settings)
    options = preparing.RunOptions(results, store_name, executor, workers, retries, settings=told)
    if until_decided:
        _until_decided(found, options, mode, stage is not None, past_futility, dry_run, quiet, as_json, json_file)
        return
    if mode or past_futility:
        raise UsageError("--mode and --past-futility belong to --until-decided: add it, or leave them out.")
    prepared = [preparing.prepare_run(experiment, options) for experiment in found]
    for warning in dict.fromkeys(w for one in prepared for w in one.warnings):
        warn(f"warning: {warning}")
    if dry_run:
        _dry_run(prepared, options, as_json, json_file)
        return
    reports = [campaign(one, options, quiet or as_json) for one in prepared]
    judged = [running.judged_run(report, results) for report in reports]
    documents = [running.run_document(report, verdict) for report, verdict in zip(reports, judged, strict=True)]
    texts = [
        running.run_text(report, verdict, colour=coloured(), width=columns())
        for report, verdict in zip(reports, judged, strict=True)
    ]
    answer(
        lambda: documents[0] if len(documents) == 1 else {"schema": 1, "experiments": documents},
        lambda: "\n\n".join(texts),
        as_json=as_json,
        json_file=json_file,
    )
    for report in reports:
        running.require_complete(report)


def campaign(prepared: Any, options: Any, silent: bool) -> Any:
    """Run what a prepared campaign lacks, with its progress; the report of how it ended."""
    from harness.app import running
    from harness.cli.progress import progress

    with progress(prepared, silent=silent) as on_finished:
        report = running.run(prepared, options, on_finished, tell=None if silent else _tell)
    for repair in report.repairs:
        warn(f"repaired: {repair}")
    return report


def _tell(line: str) -> None:
    click.echo(line, err=True)


def _until_decided(
    found: list[Any],
    options: Any,
    mode: Literal["group-sequential", "sprt"] | None,
    stage_given: bool,
    past_futility: bool,
    dry_run: bool,
    quiet: bool,
    as_json: bool,
    json_file: Path | None,
) -> None:
    from harness.app import running, sequential
    from harness.errors import UsageError
    from harness.report.plan_text import dry_run_text, looks_text

    if len(found) > 1:
        raise UsageError("--until-decided decides one experiment at a time: give them one by one.")
    if mode == "sprt" and past_futility:
        raise UsageError(
            "--past-futility goes beyond the lower bound of a group-sequential plan, which is no obligation. That of --mode sprt ends "
            "the test: leave one of the two out."
        )
    sequence = sequential.plan_sequence(found[0], options, mode=mode or "group-sequential", stage_given=stage_given)
    for warning in sequence.whole().warnings:
        warn(f"warning: {warning}")
    if dry_run:
        document = sequence.as_dict()
        standing = sequential.standing(sequence)
        if standing is not None and standing.stopped(past_futility=past_futility):
            document |= {"runs": 0, "warmups": 0, "blocks": 0, "invocations": 0, "trainings": 0, "hours": 0.0}
        text = f"{dry_run_text(document)}\n{looks_text(sequence.plan)}"
        answer(lambda: document, lambda: text, as_json=as_json, json_file=json_file)
        return
    ended = sequential.run_until_decided(
        sequence, lambda one, at: campaign(one, at, quiet or as_json), past_futility=past_futility
    )
    document = sequential.sequence_document(ended, running.run_document(ended.report, ended.judged))
    text = running.run_text(ended.report, ended.judged, colour=coloured(), width=columns())
    answer(
        lambda: document,
        lambda: text if ended.look else f"{text}\n\nNo look yet: runs are missing.",
        as_json=as_json,
        json_file=json_file,
    )
    running.require_complete(ended.report)


def _dry_run(prepared: list[Any], options: Any, as_json: bool, json_file: Path | None) -> None:
    from harness.app.preparing import submission_text
    from harness.report.plan_text import dry_run_text

    scripts = [submission_text(one, options) for one in prepared]
    documents = [
        one.as_dict() | ({} if script is None else {"submission": script})
        for one, script in zip(prepared, scripts, strict=True)
    ]
    texts = [
        dry_run_text(document) + ("" if script is None else f"\n\nWhat would be submitted:\n\n{script.rstrip()}")
        for document, script in zip(documents, scripts, strict=True)
    ]
    answer(
        lambda: documents[0] if len(documents) == 1 else {"schema": 1, "experiments": documents},
        lambda: "\n\n".join(texts),
        as_json=as_json,
        json_file=json_file,
    )
