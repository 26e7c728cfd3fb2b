"""`harness export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.options import ExperimentName, answer, common
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.store.read import Table

TABLES = ("csv", "jsonl", "parquet")
SERVICES = ("wandb", "mlflow", "trackio")


@click.command("export")
@click.argument("names", metavar="NAME...", nargs=-1, required=True, type=ExperimentName())
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="File: .csv, .jsonl or .parquet; of a service the folder.  [default: CSV on standard output; of a service: .]",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice((*TABLES, *SERVICES)),
    help="wandb, mlflow, trackio: a run there for each run, offline. csv, jsonl, parquet: one table, with a column for each key of "
    "the configuration that differs. Without it the rows as they are, in the format of the file's ending.",
)
@click.option("--completed", is_flag=True, help="Only completed runs, without warm-ups.")
@common
def command(
    names: tuple[str, ...], output: Path | None, kind: str | None, completed: bool, results: Path, experiments: Path | None, quiet: bool,
    as_json: bool, json_file: Path | None,
) -> None:  # fmt: skip
    """Write the runs of one or several stores as one tidy file, or as runs of a tracking service (offline)."""
    from harness.app import checking
    from harness.comparison.words import counted

    if kind in SERVICES:
        tracked = checking.track(kind, names, results, output or Path(), completed=completed)
        facts = {"schema": 1, "folder": str(output or Path()), "runs": tracked.written, "already_there": tracked.there}
        answer(lambda: facts, tracked.text, as_json=as_json, json_file=json_file)
        return
    table = checking.export_table(names, results, completed=completed, configured=kind is not None)
    if kind == "parquet" and output is None:
        raise UsageError(
            "--format parquet needs a file to write to: name it with -o FILE. (csv and jsonl can be printed.)"
        )
    if output is None and not as_json:
        _print(table, kind)
        return
    document = {"schema": 1, "rows": table.rows, "file": None if output is None else str(output)}
    if output is None:
        document["runs"] = list(table.records())  # type: ignore[assignment]
    else:
        from harness.exchange import export_rows

        export_rows(table, output, kind)
    none = ""
    if completed and not table.rows:
        none = f" No run of {', '.join(names)} is completed: without --completed every attempt is written (columns status and error)."
    answer(
        lambda: document,
        lambda: f"Wrote {counted(table.rows, 'row')} to {output}.{none}",
        as_json=as_json,
        json_file=json_file,
    )


def _print(table: Table, kind: str | None) -> None:
    """The table on standard output, as CSV or JSON Lines."""
    import sys

    from harness.exchange.exporting import csv_text, jsonl_text

    sys.stdout.writelines(jsonl_text(table) if kind == "jsonl" else csv_text(table))
