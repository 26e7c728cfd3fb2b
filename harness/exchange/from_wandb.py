"""The table of runs that Weights & Biases exports as CSV: a row a run, with its state, configuration and summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from harness.errors import UsageError
from harness.exchange.reading import Foreign, csv_table
from harness.store.read import Table

STATES = {"finished": "completed", "crashed": "crashed", "failed": "crashed", "killed": "crashed"}
"""How its states end a run; one that is still going has no result yet."""
OWN = {"run_id": "ID", "started_at": "Created", "arm": "Group"}
"""Columns of a store that it names otherwise."""


def read(path: Path, renames: Mapping[str, str]) -> Foreign:
    """Its rows with their states as ours. Runs that are not over, or finished without an accuracy, are left out and counted."""
    whole, separator = csv_table(path)
    if "State" not in whole.columns:
        raise UsageError(
            f"{path}: is no table of runs of Weights & Biases: it has no column 'State'; it has {', '.join(whole.columns)}. "
            "Export it from the table of a project's runs, or import it with --format csv."
        )
    columns = dict(whole.columns)
    kept, lines, left_out, status = list[int](), list[str](), Counter[str](), list[str]()
    accuracy = _accuracy(columns, renames)
    for row, state in enumerate(whole.text("State")):
        ended = STATES.get(state.strip().lower())
        if ended is None:
            left_out[f"in state {state.strip() or 'unknown'}"] += 1
        elif ended == "completed" and accuracy is not None and not accuracy[row]:
            left_out["finished without an accuracy"] += 1
        else:
            kept.append(row)
            status.append(ended)
            lines.append(f"line {row + 2}")
    columns.pop("State")
    for ours, theirs in OWN.items():
        cells = [columns[theirs][row] for row in kept] if theirs in columns else []
        if ours in columns or ours in renames or not any(cells):
            continue
        if all(cells):
            columns[ours] = columns.pop(theirs)
        elif ours == "arm":
            raise UsageError(
                f"{path} {lines[cells.index('')]}: the cell of {theirs!r} is empty where other runs have one, so that its arm is unknown. "
                "Fill it in, or name another column with --map arm=THEIRS."
            )
    table = Table(whole.name, columns, whole.rows, whole.torn, path).take(kept)
    shown = Table(table.name, {**table.columns, "status": status}, table.rows, 0, path)
    notes = (
        ()
        if "seed" in columns or "seed" in renames
        else ("which seeds were used is unknown: no column 'seed' (--map seed=THEIRS)",)
    )
    required = frozenset(("accuracy",))
    return Foreign(shown, "wandb", required, dict(left_out), notes, separator, tuple(lines))


def _accuracy(columns: Mapping[str, list[str]], renames: Mapping[str, str]) -> list[str] | None:
    """The cells that say how good a run was; None where no column does."""
    for name in ("accuracy", "correct"):
        found = columns.get(renames.get(name, name))
        if found is not None:
            return found
    return None
