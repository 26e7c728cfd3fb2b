"""`harness import`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.options import answer, common
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.exchange import Imported

FORMATS = ("csv", "jsonl", "wandb", "airbench", "hyperfine", "pyperf")


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--as", "name", required=True, metavar="NAME", help="Name of the new store.")
@click.option(
    "--map",
    "--column",
    "maps",
    multiple=True,
    metavar="COLUMN=THEIRS",
    help="Read a column under the file's own name for it.",
)
@click.option(
    "--format", "kind", type=click.Choice(FORMATS), help="What wrote the file.  [default: told by its content]"
)
@common
def command(
    file: Path, name: str, maps: tuple[str, ...], kind: str | None, results: Path, experiments: Path | None, quiet: bool,
    as_json: bool, json_file: Path | None,
) -> None:  # fmt: skip
    """Bring runs from elsewhere in as a store.

    \b
    csv        columns as in runs.csv; `seed` and `accuracy` (or `correct` and `total`) are required
    jsonl      JSON Lines, one object a run, the same names
    wandb      the table of runs that Weights & Biases exports: --map accuracy=val_acc --map arm=optimizer
    airbench   log.pt of an airbench script, read without running anything in it (needs torch)
    hyperfine  --export-json: a command is an arm; times alone
    pyperf     -o FILE: a benchmark is an arm, a process an invocation; times alone

    What is missing stays unknown, and the findings say what can therefore not be claimed. Fields of a CSV are separated by commas;
    by semicolons or tabs where the header has no comma. Numbers have a decimal point.
    """
    from harness.exchange import import_file

    done = import_file(file, name, results, _renames(maps), kind)
    document = {
        "schema": 1, "name": name, "format": done.kind, "rows": done.rows, "arms": dict(done.arms),
        "left_out": dict(done.left_out), "ignored_columns": list(done.unknown_columns), "unknown_columns": list(done.missing_columns),
        "notes": list(done.notes), "separator": done.separator,
    }  # fmt: skip
    answer(lambda: document, lambda: _text(done, results), as_json=as_json, json_file=json_file)


def _renames(maps: tuple[str, ...]) -> dict[str, str]:
    renames = {}
    for pair in maps:
        ours, equals, theirs = pair.partition("=")
        if not equals or not theirs:
            raise UsageError(f"--map {pair!r}: must be COLUMN=THEIRS, for example --map seed=replicate.")
        renames[ours] = theirs
    return renames


def _text(done: Imported, results: Path) -> str:
    from harness.comparison.words import shortened

    arms = ", ".join(f"{arm} {count}" for arm, count in done.arms.items())
    what = "" if done.kind == "csv" else f" from a file of {done.kind}"
    lines = [f"Imported {done.rows} rows{what} into {results / done.name}: {arms}."]
    lines += [f"Left out, and not in the store: {count} {reason}." for reason, count in done.left_out.items()]
    if done.separator != ",":
        lines.append(
            f"Read as separated by {'semicolons' if done.separator == ';' else 'tabs'}: the header has no comma."
        )
    if done.unknown_columns:
        names = shortened(", ".join(done.unknown_columns), 600)
        lines.append(f"Left aside, since a store has no such columns: {names}.")
    lines += [f"Note: {note}." for note in done.notes]
    told = ("seed", "accuracy", "time_s", "invocation", "block", "environment", "correct")
    missing = [c for c in told if c in done.missing_columns]
    if missing:
        lines.append(f"Unknown: {', '.join(missing)}; `harness compare` says what can therefore not be claimed.")
    return "\n".join(lines)
