"""Runs of trackio in its local database: a store is a project, the arm the group."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.errors import StoreError, UsageError, install
from harness.store.read import Store
from harness.tracking.runs import TrackedRun, Tracker, writable

FOLDER = "trackio"


class Trackio(Tracker):
    """The folder `trackio` with a database a project.

    Each run is written in one step of trackio's own storage, below `trackio.init`: that would start a thread a run, write to
    standard output, send to a server that a variable names, and know no other time than now.
    """

    def __init__(self, store: Store, folder: Path) -> None:
        self.place = folder / FOLDER
        self.hint = f"`TRACKIO_DIR={self.place} trackio show` shows them."
        writable(folder, self.place)
        self._storage = _storage(self.place)
        self._project = store.name
        try:
            self._storage.validate_project_name(store.name)
        except ValueError as problem:
            raise UsageError(
                f"{store.name}: trackio takes no project of that name: {problem} Copy the store's folder to another name."
            ) from None

    def known(self) -> set[str]:
        return {str(record["id"]) for record in self._storage.get_run_records(self._project)}

    def write(self, run: TrackedRun) -> None:
        last = run.history[-1][0] if run.history else 0
        rows = [(step, dict(values)) for step, values in run.history] + [(last, dict(run.summary))]
        moment = datetime.fromtimestamp(run.started_s, UTC) if run.started_s is not None else datetime.now(UTC)
        told = {"_Created": moment.isoformat(), "_Group": run.group, "_Username": run.host or None}
        try:
            self._storage.bulk_log(
                project=self._project, run=run.name, run_id=run.id, metrics_list=[values for _, values in rows],
                steps=[step for step, _ in rows], timestamps=[moment.isoformat()] * len(rows),
                config=run.config | {"job_type": run.job_type, "tags": list(run.tags), "failed": run.failed} | told,
            )  # fmt: skip
        except TypeError as problem:
            raise UsageError(
                f"This version of trackio stores runs in another way ({problem}): {install('trackio')}."
            ) from problem
        except (OSError, ValueError, RuntimeError) as problem:
            raise StoreError(
                f"{self.place}: trackio could not write a run: {problem}. The same command goes on."
            ) from problem


def _storage(place: Path) -> Any:
    """trackio's storage in the folder `place`; a process has one such folder, which is fixed at the import."""
    os.environ["TRACKIO_DIR"] = str(place.resolve())
    os.environ["HF_HUB_OFFLINE"] = "1"  # nothing leaves the machine
    try:
        from trackio import utils
        from trackio.sqlite_storage import SQLiteStorage
    except ImportError:
        raise UsageError(f"This needs trackio: {install('trackio')}.") from None
    if Path(utils.TRACKIO_DIR) != place.resolve():
        raise UsageError(
            f"trackio writes to {utils.TRACKIO_DIR} in this process already. Export to {place} from a process of its own."
        )
    return SQLiteStorage
