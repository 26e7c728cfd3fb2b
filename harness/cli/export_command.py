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
    type=click.Path(path_type=Path, dir_okay=False),
    help="File: .csv, .jsonl or .parquet.  [default: CSV on standard output]",
)
@click.option("--completed", is_flag=True, help="Only completed runs, without warm-ups.")
@common
def command(
    names: tuple[str, ...], output: Path | None, completed: bool, results: Path, experiments: Path | None, quiet: bool,
    as_json: bool, json_file: Path | None,
) -> None:  # fmt: skip
    """Write the runs of one or several stores as one tidy file."""
    from harness.app import checking

    table = checking.export_table(names, results, completed=completed)
    if output is None and not as_json:
        import csv
        import sys

        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(table.columns)
        writer.writerows(zip(*table.columns.values(), strict=True))
        return
    from harness.exchange import export_rows

    document = {"schema": 1, "rows": table.rows, "file": None if output is None else str(output)}
    if output is None:
        document["runs"] = list(table.records())  # type: ignore[assignment]
    else:
        export_rows(table, output)
    answer(lambda: document, lambda: f"Wrote {table.rows} rows to {output}.", as_json=as_json, json_file=json_file)
