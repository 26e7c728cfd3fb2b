"""Runs of MLflow in a local SQLite file: a store is an experiment, the configuration its parameters, the rest of a row its tags."""

from __future__ import annotations

import logging
import os
import posixpath
import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harness.errors import StoreError, UsageError, install
from harness.model.hashing import digest
from harness.store.read import Store
from harness.tracking.runs import ORIGIN, TrackedRun, Tracker, writable

FILE = "mlflow.db"
ID = f"{ORIGIN}.id"
MOST_METRICS, MOST_PARAMETERS = 1000, 100
"""In one call, as MLflow allows."""
REFUSED = re.compile(r"[^\w.\- :]")
"""In a name that is no path."""
CUT = 200
"""MLflow takes 250 characters; the tag that holds the key itself has a longer name."""


class Mlflow(Tracker):
    """The file `mlflow.db`; a run that an interrupted export left unfinished is removed and written anew."""

    def __init__(self, store: Store, folder: Path) -> None:
        self._mlflow = _library()
        self.place = folder / FILE
        uri = f"sqlite:///{self.place.resolve()}"
        self.hint = f"`mlflow ui --backend-store-uri {uri}` shows them."
        writable(folder, folder)
        try:
            self._client = self._mlflow.MlflowClient(tracking_uri=uri)
            self._experiment = self._experiment_id(store, folder)
        except self._mlflow.exceptions.MlflowException as problem:
            raise StoreError(
                f"{self.place}: MLflow cannot open it: {problem}. Name another folder with -o."
            ) from problem

    def known(self) -> set[str]:
        whole: set[str] = set()
        token = None
        while True:
            page = self._client.search_runs([self._experiment], page_token=token)
            for run in page:
                if ID not in run.data.tags:
                    continue
                if run.info.status == "RUNNING":
                    self._client.delete_run(run.info.run_id)
                else:
                    whole.add(run.data.tags[ID])
            token = page.token
            if not token:
                return whole

    def write(self, run: TrackedRun) -> None:
        try:
            self._write(run)
        except self._mlflow.exceptions.MlflowException as problem:
            raise StoreError(
                f"{self.place}: MLflow could not write a run: {problem}. The same command goes on."
            ) from problem

    def _write(self, run: TrackedRun) -> None:
        entities = self._mlflow.entities
        began = int(1000 * (run.started_s or time.time()))
        ended = max(began, int(1000 * (run.ended_s or run.started_s or time.time())))
        tags = {ID: run.id, "group": run.group, "job_type": run.job_type} | dict.fromkeys(run.tags, "true")
        tags |= {f"{ORIGIN}.{name}": str(value) for name, value in run.origin.items()}
        told = names_of([*run.settings, *(key for _, at in run.history for key in at), *run.summary])
        tags |= {f"{ORIGIN}.name.{name}": key for key, name in told.items() if name != key}
        made = self._client.create_run(self._experiment, start_time=began, tags=tags, run_name=run.name).info.run_id
        parameters = [entities.Param(told[key], str(value)) for key, value in run.settings.items()]
        metrics = [
            entities.Metric(told[key], value, began, step) for step, at in run.history for key, value in at.items()
        ]
        last = run.history[-1][0] if run.history else 0
        metrics += [entities.Metric(told[key], float(value), ended, last) for key, value in run.summary.items()]
        for i in range(0, len(parameters), MOST_PARAMETERS):
            self._client.log_batch(made, params=parameters[i : i + MOST_PARAMETERS])
        for i in range(0, len(metrics), MOST_METRICS):
            self._client.log_batch(made, metrics=metrics[i : i + MOST_METRICS])
        self._client.set_terminated(made, "FAILED" if run.failed else "FINISHED", end_time=ended)

    def _experiment_id(self, store: Store, folder: Path) -> str:
        found = self._client.get_experiment_by_name(store.name)
        if found is not None:
            return str(found.experiment_id)
        question = str(store.experiment.get("question", ""))
        place = (folder / "mlflow-artifacts").resolve().as_uri()
        tags = {"mlflow.note.content": question} if question else None
        return str(self._client.create_experiment(store.name, artifact_location=place, tags=tags))


def names_of(keys: Iterable[str]) -> dict[str, str]:
    """Each key with the name that MLflow takes it under: its own, or one with `_` for what is refused. No two share a name."""
    every = sorted(set(keys))
    names = {key: key for key in every if _is_allowed(key)}
    for key in every:
        if key not in names:
            name = REFUSED.sub("_", key)[:CUT]
            name = f"_{name}" if name.startswith(".") else name
            names[key] = f"{name}_{digest(key)}" if name in names.values() else name
    return names


def _is_allowed(key: str) -> bool:
    """Whether MLflow takes a metric or a parameter of this name, which is a path to it."""
    is_path = posixpath.normpath(key) == key and not key.startswith(("/", "..")) and key != "."
    return is_path and len(key) <= CUT and not REFUSED.search(key.replace("/", ""))


def _library() -> Any:
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # nothing leaves the machine
    os.environ["DO_NOT_TRACK"] = "true"
    try:
        import mlflow
        import mlflow.entities
        import mlflow.exceptions
    except ImportError:
        raise UsageError(f"This needs MLflow: {install('mlflow')}.") from None
    logging.getLogger("mlflow").setLevel(logging.WARNING)  # it tells of every table that it makes
    return mlflow
