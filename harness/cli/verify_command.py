"""`harness verify`."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import ExperimentName, answer, common


@click.command("verify")
@click.argument("name", type=ExperimentName())
@click.option("--run", "run_id", metavar="RUN_ID", help="The run to make again.  [default: one from the middle]")
@click.option("--no-rerun", is_flag=True, help="Only check the files.")
@common
def command(
    name: str, run_id: str | None, no_rerun: bool, results: Path, experiments: Path | None, quiet: bool, as_json: bool,
    json_file: Path | None,
) -> int:  # fmt: skip
    """Check every row and file of a store, and run one stored seed again: it must give the same result."""
    from harness.app import checking

    report = checking.verify(name, results, run_id=run_id, rerun=not no_rerun)
    answer(report.as_dict, report.text, as_json=as_json, json_file=json_file)
    return 0 if report.sound else 4
