"""Runs written for MLflow and trackio, and read back by the real libraries in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.logger import ExperimentLogger
from harness.model.run import RunRecord
from harness.trainer import Metric

pytestmark = pytest.mark.reach

MLFLOW = """
import json, os, sys
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
from mlflow import MlflowClient
client = MlflowClient(tracking_uri=f"sqlite:///{sys.argv[1]}/mlflow.db")
found = {}
for experiment in client.search_experiments():
    for run in client.search_runs([experiment.experiment_id]):
        history = {key: [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, key)] for key in run.data.metrics}
        assert run.info.run_name not in found
        found[run.info.run_name] = {
            "project": experiment.name, "note": experiment.tags.get("mlflow.note.content"), "group": run.data.tags["group"],
            "tags": {k: v for k, v in run.data.tags.items() if not k.startswith("mlflow.")}, "config": dict(run.data.params),
            "summary": dict(run.data.metrics), "history": history, "status": run.info.status, "started": run.info.start_time,
            "ended": run.info.end_time,
        }
print("READ", json.dumps(found))
"""

TRACKIO = """
import json, os, sys
os.environ["TRACKIO_DIR"] = f"{sys.argv[1]}/trackio"
import trackio
from trackio.sqlite_storage import SQLiteStorage
found = {}
for run in trackio.Api().runs("steps"):
    config = run.config
    logs = SQLiteStorage.get_logs("steps", run.name, run_id=run.id)
    assert run.name not in found
    found[run.name] = {"config": config, "group": config["_Group"], "logs": logs}
print("READ", json.dumps(found))
"""


def harness(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    import os

    command = [sys.executable, "-m", "harness", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=os.environ | environ)


def read_back(script: str, folder: Path) -> dict[str, Any]:
    done = subprocess.run([sys.executable, "-c", script, str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("READ "))[5:])
    return found


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Two arms of one seed with their losses by epoch, a warm-up and a crash without any result."""
    with ExperimentLogger("steps", results=tmp_path / "results") as logger:
        config = {"lr.end": 0.1, "lr.max": 1.0, "epochs": 2}
        arms = [
            {"name": "plain", "role": "control", "config": config},
            {"name": "longer", "config": config | {"epochs": 3}},
        ]
        logger.describe({"name": "steps", "question": "Is longer better?", "arms": arms})
        for arm, epochs in (("plain", 2), ("longer", 3)):
            record = RunRecord(
                f"r.{arm}", "steps", arm, stage="confirm", host="box", seed=7, correct=9400 + epochs, total=10_000,
                accuracy=(9400 + epochs) / 10_000, time_s=1.5, started_at="2026-01-02T03:04:05.000Z", ended_at="2026-01-02T03:04:09.000Z",
            )  # fmt: skip
            along = [Metric("train_loss", 1 / (1 + e), step=e, unit="nats") for e in range(1, epochs + 1)]
            logger.write(
                record,
                metrics=[
                    *along,
                    Metric("accuracy_plain", 0.93, step=epochs),
                    Metric("macs", 5e8),
                    Metric("top-5 acc (%)", 99.5),
                ],
            )
        logger.log(arm="plain", seed=6, correct=9000, total=10_000, warmup=True)
        logger.log(arm="plain", seed=8, status="crashed", error="ValueError: diverged")
    return tmp_path


NAMES = {"plain seed 7", "longer seed 7", "plain seed 6", "plain seed 8"}


def test_mlflow_has_every_run_with_configuration_summary_and_history(store: Path) -> None:
    done = harness(store, "export", "steps", "--format", "mlflow", "-o", "tracked")
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "the library's own talk is no part of the answer"
    assert "Wrote 4 runs" in done.stdout and "mlflow ui --backend-store-uri sqlite:///" in done.stdout
    runs = read_back(MLFLOW, store / "tracked")
    assert set(runs) == NAMES
    one = runs["longer seed 7"]
    assert (one["project"], one["group"], one["note"]) == ("steps", "longer", "Is longer better?")
    assert one["config"] == {"lr.end": "0.1", "lr.max": "1.0", "epochs": "3"}
    assert one["tags"]["harness.seed"] == "7" and one["tags"]["harness.host"] == "box"
    kept = {key: one["summary"][key] for key in ("correct", "total", "accuracy", "time_s", "macs")}
    assert kept == {"correct": 9403, "total": 10_000, "accuracy": 0.9403, "time_s": 1.5, "macs": 5e8}
    assert one["history"]["train_loss"] == [[1, 1 / 2], [2, 1 / 3], [3, 1 / 4]]
    assert one["history"]["accuracy_plain"] == [[3, 0.93]]
    assert one["summary"]["top-5 acc ___"] == 99.5 and one["tags"]["harness.name.top-5 acc ___"] == "top-5 acc (%)"
    assert one["status"] == "FINISHED" and one["ended"] - one["started"] == 4000
    assert runs["plain seed 6"]["tags"]["warmup"] == "true"
    crashed = runs["plain seed 8"]
    assert crashed["status"] == "FAILED" and crashed["tags"]["crashed"] == "true" and crashed["summary"] == {}
    assert crashed["tags"]["harness.error"] == "ValueError: diverged"


def test_trackio_has_every_run_with_configuration_summary_and_history(store: Path) -> None:
    done = harness(
        store, "export", "steps", "--format", "trackio", "-o", "tracked", TRACKIO_SERVER_URL="http://127.0.0.1:9"
    )
    assert done.returncode == 0, done.stderr
    assert "Wrote 4 runs" in done.stdout and "trackio show" in done.stdout
    runs = read_back(TRACKIO, store / "tracked")
    assert set(runs) == NAMES
    one = runs["longer seed 7"]
    assert one["group"] == "longer" and one["config"]["lr"] == {"end": 0.1, "max": 1.0} and one["config"]["epochs"] == 3
    assert one["config"]["harness"]["seed"] == 7 and one["config"]["_Created"].startswith("2026-01-02T03:04:05")
    along = [(log["step"], log["train_loss"]) for log in one["logs"] if "train_loss" in log]
    assert along == [(1, 1 / 2), (2, 1 / 3), (3, 1 / 4)]
    last = one["logs"][-1]
    assert {k: last[k] for k in ("correct", "accuracy", "time_s", "macs")} == {
        "correct": 9403, "accuracy": 0.9403, "time_s": 1.5, "macs": 5e8,
    }  # fmt: skip
    assert runs["plain seed 6"]["config"]["tags"] == ["warmup"]
    assert runs["plain seed 8"]["config"]["failed"] is True and "accuracy" not in runs["plain seed 8"]["logs"][-1]


@pytest.mark.parametrize(("kind", "script"), [("mlflow", MLFLOW), ("trackio", TRACKIO)])
def test_the_same_command_again_writes_nothing_twice(kind: str, script: str, store: Path) -> None:
    harness(store, "export", "steps", "--format", kind, "--completed", "-o", "tracked")
    assert set(read_back(script, store / "tracked")) == {"plain seed 7", "longer seed 7"}
    done = harness(store, "export", "steps", "--format", kind, "-o", "tracked", "--json")
    assert json.loads(done.stdout) == {"schema": 1, "folder": "tracked", "runs": 2, "already_there": 2}
    assert set(read_back(script, store / "tracked")) == NAMES


def test_mlflow_writes_anew_what_an_interrupted_export_left(store: Path) -> None:
    harness(store, "export", "steps", "--format", "mlflow", "--completed", "-o", "tracked")
    broken = """
import sys
from mlflow import MlflowClient
client = MlflowClient(tracking_uri=f"sqlite:///{sys.argv[1]}/mlflow.db")
run = client.search_runs([client.get_experiment_by_name("steps").experiment_id])[0]
client.update_run(run.info.run_id, status="RUNNING")
"""
    subprocess.run([sys.executable, "-c", broken, str(store / "tracked")], check=True, capture_output=True)
    done = harness(store, "export", "steps", "--format", "mlflow", "--completed", "-o", "tracked", "--json")
    assert json.loads(done.stdout)["runs"] == 1
    assert set(read_back(MLFLOW, store / "tracked")) == {"plain seed 7", "longer seed 7"}


@pytest.mark.parametrize("kind", ["mlflow", "trackio"])
def test_a_folder_that_cannot_be_written_is_an_error(kind: str, store: Path) -> None:
    (store / "taken").write_text("a file")
    done = harness(store, "export", "steps", "--format", kind, "-o", "taken")
    assert done.returncode == 4 and "cannot be written" in done.stderr and "Traceback" not in done.stderr
