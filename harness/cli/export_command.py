"""`harness export`."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import ExperimentName, answer, common


@click.command("export")
@click.argument("names", metavar="NAME...", nargs=-1, required=True, type=ExperimentName())
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="File: .csv, .jsonl or .parquet; of wandb the folder.  [default: CSV on standard output; of wandb: .]",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(("wandb",)),
    help="wandb: a Weights & Biases run for each run, offline; files are told by their ending.",
)
@click.option("--completed", is_flag=True, help="Only completed runs, without warm-ups.")
@common
def command(
    names: tuple[str, ...], output: Path | None, kind: str | None, completed: bool, results: Path, experiments: Path | None, quiet: bool,
    as_json: bool, json_file: Path | None,
) -> None:  # fmt: skip
    """Write the runs of one or several stores as one tidy file, or as runs of Weights & Biases (offline)."""
    from harness.app import checking

    if kind == "wandb":
        tracked = checking.track(names, results, output or Path(), completed=completed)
        facts = {"schema": 1, "folder": str(tracked.folder), "runs": tracked.written, "already_there": tracked.there}
        answer(lambda: facts, tracked.text, as_json=as_json, json_file=json_file)
        return
    from harness.exchange import export_rows, write_csv

    table = checking.export_table(names, results, completed=completed)
    if output is None and not as_json:
        import sys

        write_csv(table, sys.stdout)
        return
    document = {"schema": 1, "rows": table.rows, "file": None if output is None else str(output)}
    if output is None:
        document["runs"] = list(table.records())  # type: ignore[assignment]
    else:
        export_rows(table, output)
    answer(lambda: document, lambda: f"Wrote {table.rows} rows to {output}.", as_json=as_json, json_file=json_file)
