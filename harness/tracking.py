"""Stored runs as runs of Weights & Biases, written offline: nothing leaves the machine until `wandb sync` is called.

One run of a store becomes one run there: its arm is the group, its stage the job type, its configuration and where it came
from the config, its results the summary, what was measured along it the history. W&B is imported only when this is called.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import StoreError, UsageError
from harness.model.hashing import digest
from harness.store.metrics import read_series, read_values
from harness.store.read import Store, Table
from harness.store.schema import parse_cell

RESULTS = ("correct", "total", "accuracy", "loss", "time_s", "steps", "epochs", "peak_memory_bytes")
ORIGIN = "harness"
"""Key of the config that holds every other column of `runs.csv`."""


@dataclass(frozen=True)
class Tracked:
    """What was written: new runs, and those that lay in the folder already."""

    folder: Path
    written: int
    there: int

    def text(self) -> str:
        again = f" ({self.there} were there already)" if self.there else ""
        runs = self.folder / "wandb"
        return f"Wrote {self.written} runs to {runs}{again}. `wandb sync {runs}/offline-run-*` uploads them."


@dataclass(frozen=True)
class TrackedRun:
    """One run as W&B takes it; `history` are values by metric at each step, in order."""

    id: str
    name: str
    group: str
    job_type: str
    tags: tuple[str, ...]
    host: str
    config: Mapping[str, Any]
    history: tuple[tuple[int, Mapping[str, float]], ...]
    summary: Mapping[str, Any]
    failed: bool


def export_wandb(store: Store, table: Table, folder: Path) -> Tracked:
    """Write the rows of `table`, runs of `store`, under `folder`; a run that lies there already is not written again.

    Raises UsageError where W&B is not installed, StoreError where the folder cannot be written.
    """
    wandb = _wandb()
    _writable(folder)
    known = {path.name.rpartition("-")[2] for path in (folder / "wandb").glob("offline-run-*")}
    runs = list(tracked_runs(store, table))
    fresh = [run for run in runs if run.id not in known]
    try:
        for run in fresh:
            _write(wandb, run, store, folder)
    except wandb.errors.Error as problem:
        raise StoreError(f"{folder}: W&B could not write a run: {problem}. The same command goes on.") from problem
    finally:
        wandb.teardown()
    return Tracked(folder, len(fresh), len(runs) - len(fresh))


def tracked_runs(store: Store, table: Table) -> Iterator[TrackedRun]:
    """The rows as W&B's runs, in their order; warm-ups and failed attempts too, with a tag."""
    values, series = read_values(store), read_series(store)
    configs = {arm["name"]: arm.get("config", {}) for arm in store.arms()}
    for cells in table.records():
        row = {name: parse_cell(name, text) for name, text in cells.items()}
        run, arm = str(row.get("run_id")), str(row.get("arm") or store.name)
        told = {name: row[name] for name in RESULTS if row.get(name) is not None}
        origin = {name: value for name, value in row.items() if name not in RESULTS and value is not None}
        status = row.get("status") or "completed"
        yield TrackedRun(
            id=digest(f"{store.name}/{run}"),
            name=f"{arm} seed {row.get('seed')}",
            group=arm,
            job_type=row.get("stage") or "run",
            tags=tuple(tag for tag, is_so in (("warmup", row.get("warmup")), (status, status != "completed")) if is_so),
            host=row.get("host") or "",
            config=nested(configs.get(arm, {})) | {ORIGIN: origin},
            history=tuple(sorted(series.get(run, {}).items())),
            summary=values.get(run, {}) | told,
            failed=status != "completed",
        )


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted keys as tables in tables; beside a key `lr` of its own, `lr.end` stays as it is."""
    out: dict[str, Any] = {}
    for key, value in flat.items():
        *tables, last = key.split(".")
        if any(".".join(tables[: i + 1]) in flat for i in range(len(tables))):
            out[key] = value
            continue
        place = out
        for name in tables:
            place = place.setdefault(name, {})
        place[last] = value
    return out


def _wandb() -> Any:
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # else its own errors are reported over the network
    try:
        import wandb
    except ImportError:
        raise UsageError("This needs Weights & Biases: pip install 'speedrun-harness[wandb]'.") from None
    return wandb


def _writable(folder: Path) -> None:
    """W&B would write to a temporary folder instead, and say so where nobody looks."""
    try:
        (folder / "wandb").mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise StoreError(f"{folder}: cannot be written: {problem.strerror}. Name another folder with -o.") from problem
    if not os.access(folder / "wandb", os.W_OK):
        raise StoreError(f"{folder}: cannot be written. Name another folder with -o.")


def _write(wandb: Any, run: TrackedRun, store: Store, folder: Path) -> None:
    quiet = wandb.Settings(
        mode="offline",
        silent=True,
        console="off",
        host=run.host,
        disable_git=True,
        disable_code=True,
        x_disable_stats=True,
        x_disable_meta=True,
        x_save_requirements=False,
    )
    live = wandb.init(
        project=store.name,
        dir=str(folder),
        id=run.id,
        name=run.name,
        group=run.group,
        job_type=run.job_type,
        tags=run.tags or None,
        notes=str(store.experiment.get("question", "")) or None,
        config=dict(run.config),
        settings=quiet,
        reinit="finish_previous",
    )
    for step, values in run.history:
        live.log(dict(values), step=step)
    live.summary.update(dict(run.summary))
    live.finish(exit_code=1 if run.failed else 0)
