"""Stored runs as runs of a tracking service, written offline: nothing leaves the machine.

One run of a store becomes one run there, with the same identity at every export: one that is there already is not written
again. A service is imported only when it is written for. Another service is one file with a `Tracker`, and one line here.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from harness.errors import UsageError, nearest
from harness.store.read import Store, Table
from harness.tracking.runs import Tracked, TrackedRun, Tracker, nested, tracked_runs

__all__ = ["TRACKERS", "Tracked", "TrackedRun", "Tracker", "export_runs", "nested", "tracked_runs"]

TRACKERS = {
    "wandb": "harness.tracking.to_wandb:Wandb",
    "mlflow": "harness.tracking.to_mlflow:Mlflow",
    "trackio": "harness.tracking.to_trackio:Trackio",
}


def export_runs(kind: str, store: Store, table: Table, folder: Path) -> Tracked:
    """Write the rows of `table`, runs of `store`, under `folder`; a run that lies there already is not written again.

    Raises UsageError where the service is not installed, StoreError where the folder cannot be written.
    """
    if kind not in TRACKERS:
        raise UsageError(f"--format {kind}: there is no such service. {nearest(kind, TRACKERS)}")
    module, _, name = TRACKERS[kind].partition(":")
    opened = getattr(importlib.import_module(module), name)(store, folder)
    assert isinstance(opened, Tracker)
    with opened as tracker:
        known = tracker.known()
        runs = list(tracked_runs(store, table))
        fresh = [run for run in runs if run.id not in known]
        for run in fresh:
            tracker.write(run)
    return Tracked(tracker.place, len(fresh), len(runs) - len(fresh), tracker.hint)
