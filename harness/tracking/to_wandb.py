"""Runs of Weights & Biases, offline until `wandb sync` is called: the arm is the group, the stage the job type."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from harness.errors import StoreError, UsageError, install
from harness.store.read import Store
from harness.tracking.runs import TrackedRun, Tracker, writable


class Wandb(Tracker):
    """The folder `wandb` with an offline run for each run.

    A run is written in a folder beside these and moved there when it is whole, so that one which an interrupt cut short is written
    anew by the same command.
    """

    def __init__(self, store: Store, folder: Path) -> None:
        self._wandb = _library()
        self.place = folder / "wandb"
        self.hint = f"`wandb sync {self.place}/offline-run-*` uploads them."
        self._store, self._folder = store, folder
        writable(folder, self.place)
        self._unfinished = self.place / f"unfinished-{store.name}"
        shutil.rmtree(self._unfinished, ignore_errors=True)

    def known(self) -> set[str]:
        return {path.name.rpartition("-")[2] for path in self.place.glob("offline-run-*")}

    def write(self, run: TrackedRun) -> None:
        try:
            self._write(run)
        except self._wandb.errors.Error as problem:
            raise StoreError(
                f"{self._folder}: W&B could not write a run: {problem}. The same command goes on."
            ) from problem

    def close(self) -> None:
        self._wandb.teardown()
        shutil.rmtree(self._unfinished, ignore_errors=True)

    def _write(self, run: TrackedRun) -> None:
        quiet = self._wandb.Settings(
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
        writable(self._folder, self._unfinished)
        live = self._wandb.init(
            project=self._store.name,
            dir=str(self._unfinished),
            id=run.id,
            name=run.name,
            group=run.group,
            job_type=run.job_type,
            tags=run.tags or None,
            notes=str(self._store.experiment.get("question", "")) or None,
            config=run.config,
            settings=quiet,
            reinit="finish_previous",
        )
        for step, values in run.history:
            live.log(dict(values), step=step)
        live.summary.update(dict(run.summary))
        written = Path(live.dir).parent
        live.finish(exit_code=1 if run.failed else 0)
        written.rename(self.place / written.name)


def _library() -> Any:
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # else its own errors are reported over the network
    try:
        import wandb
    except ImportError:
        raise UsageError(f"This needs Weights & Biases: {install('wandb')}.") from None
    return wandb
