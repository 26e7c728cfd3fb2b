"""`harness import`."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import answer, common
from harness.errors import UsageError


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--as", "name", required=True, metavar="NAME", help="Name of the new store.")
@click.option(
    "--map", "maps", multiple=True, metavar="COLUMN=THEIRS", help="Read a column under the file's own name for it."
)
@common
def command(
    file: Path, name: str, maps: tuple[str, ...], results: Path, experiments: Path | None, quiet: bool, as_json: bool,
    json_file: Path | None,
) -> None:  # fmt: skip
    """Bring a CSV from elsewhere in as a store.

    Its columns are those of runs.csv; `seed` and either `correct` and `total` or `accuracy` are required. What is
    missing stays unknown, and the findings say what can therefore not be claimed. Fields are separated by commas; by semicolons
    or tabs where the header has no comma. Numbers have a decimal point.
    """
    from harness.exchange import import_csv

    renames = {}
    for pair in maps:
        ours, equals, theirs = pair.partition("=")
        if not equals or not theirs:
            raise UsageError(f"--map {pair!r}: must be COLUMN=THEIRS, for example --map seed=replicate.")
        renames[ours] = theirs
    done = import_csv(file, name, results, renames)
    document = {
        "schema": 1, "name": name, "rows": done.rows, "arms": dict(done.arms),
        "ignored_columns": list(done.unknown_columns), "unknown_columns": list(done.missing_columns),
        "separator": done.separator,
    }  # fmt: skip

    def text() -> str:
        arms = ", ".join(f"{arm} {count}" for arm, count in done.arms.items())
        lines = [f"Imported {done.rows} rows into {results / name}: {arms}."]
        if done.separator != ",":
            lines.append(
                f"Read as separated by {'semicolons' if done.separator == ';' else 'tabs'}: the header has no comma."
            )
        if done.unknown_columns:
            lines.append(f"Left aside, since a store has no such columns: {', '.join(done.unknown_columns)}.")
        missing = [c for c in ("time_s", "invocation", "block", "environment", "correct") if c in done.missing_columns]
        if missing:
            lines.append(f"Unknown: {', '.join(missing)}; `harness compare` says what can therefore not be claimed.")
        return "\n".join(lines)

    answer(lambda: document, text, as_json=as_json, json_file=json_file)
