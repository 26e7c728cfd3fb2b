"""Runs written for Weights & Biases by the real library, and read back from its offline files, record by record."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("wandb")

from wandb.proto import wandb_internal_pb2 as protocol

from harness.logger import ExperimentLogger
from harness.model.run import RunRecord
from harness.trainer import Metric

pytestmark = pytest.mark.train
BLOCK = 32_768  # the files are LevelDB logs after a header of seven bytes


def records(path: Path) -> Iterator[Any]:
    """The records of one offline file; each may be cut over several blocks."""
    data, place, whole = path.read_bytes(), 7, b""
    assert data.startswith(b":W&B")
    while place + 7 <= len(data):
        if BLOCK - place % BLOCK < 7:
            place += BLOCK - place % BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", data[place : place + 7])
        whole += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last of its parts
            record = protocol.Record()
            record.ParseFromString(whole)
            yield record
            whole = b""


def read_back(folder: Path) -> dict[str, dict[str, Any]]:
    """Every offline run under `folder` by its name: what stands in its file."""
    found = {}
    for path in sorted(folder.glob("wandb/offline-run-*/run-*.wandb")):
        facts: dict[str, Any] = {"summary": {}, "history": []}
        for record in records(path):
            match record.WhichOneof("record_type"):
                case "run":
                    run = record.run
                    config = {item.key: json.loads(item.value_json) for item in run.config.update}
                    facts |= {"id": run.run_id, "project": run.project, "group": run.run_group, "job": run.job_type}
                    facts |= {"config": config, "tags": list(run.tags), "host": run.host, "notes": run.notes}
                    name = run.display_name
                case "summary":
                    facts["summary"] |= {
                        item.key or ".".join(item.nested_key): json.loads(item.value_json)
                        for item in record.summary.update
                    }
                case "history":
                    items = {
                        item.key or ".".join(item.nested_key): json.loads(item.value_json)
                        for item in record.history.item
                    }
                    facts["history"].append({k: v for k, v in items.items() if k not in ("_timestamp", "_runtime")})
                case "exit":
                    facts["exit_code"] = record.exit.exit_code
        assert name not in found
        found[name] = facts
    return found


def harness(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "harness", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Two arms of one seed with their losses by epoch, a warm-up and a crash."""
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
                accuracy=(9400 + epochs) / 10_000, time_s=1.5,
            )  # fmt: skip
            along = [Metric("loss", 1 / (1 + e), step=e, unit="nats") for e in range(1, epochs + 1)]
            logger.write(record, metrics=[*along, Metric("accuracy_plain", 0.93, step=epochs), Metric("macs", 5e8)])
        logger.log(arm="plain", seed=6, correct=9000, total=10_000, warmup=True)
        logger.log(arm="plain", seed=8, status="crashed", error="ValueError: diverged")
    return tmp_path


def test_every_run_comes_back_with_config_summary_and_history(store: Path) -> None:
    done = harness(store, "export", "steps", "--format", "wandb", "-o", "tracked")
    assert done.returncode == 0, done.stderr
    assert "Wrote 4 runs" in done.stdout and "wandb sync" in done.stdout
    runs = read_back(store / "tracked")
    assert set(runs) == {"plain seed 7", "longer seed 7", "plain seed 6", "plain seed 8"}
    one = runs["longer seed 7"]
    assert (one["project"], one["group"], one["job"], one["host"]) == ("steps", "longer", "confirm", "box")
    assert one["notes"] == "Is longer better?"
    assert one["config"]["lr"] == {"end": 0.1, "max": 1.0} and one["config"]["epochs"] == 3
    assert one["config"]["harness"]["seed"] == 7 and one["config"]["harness"]["arm"] == "longer"
    kept = {key: one["summary"][key] for key in ("correct", "total", "accuracy", "time_s", "macs")}
    assert kept == {"correct": 9403, "total": 10_000, "accuracy": 0.9403, "time_s": 1.5, "macs": 5e8}
    assert one["history"] == [
        {"_step": 1, "loss": 1 / 2},
        {"_step": 2, "loss": 1 / 3},
        {"_step": 3, "loss": 1 / 4, "accuracy_plain": 0.93},
    ]
    assert one["exit_code"] == 0 and one["tags"] == []
    assert runs["plain seed 6"]["tags"] == ["warmup"]
    crashed = runs["plain seed 8"]
    assert crashed["exit_code"] == 1 and crashed["tags"] == ["crashed"] and "accuracy" not in crashed["summary"]
    assert crashed["config"]["harness"]["error"] == "ValueError: diverged"


def test_the_same_command_again_writes_nothing_twice(store: Path) -> None:
    harness(store, "export", "steps", "--format", "wandb", "--completed", "-o", "tracked")
    first = read_back(store / "tracked")
    assert set(first) == {"plain seed 7", "longer seed 7"}
    done = harness(store, "export", "steps", "--format", "wandb", "-o", "tracked", "--json")
    assert json.loads(done.stdout) == {"schema": 1, "folder": "tracked", "runs": 2, "already_there": 2}
    assert len(read_back(store / "tracked")) == 4


ENDED = """
import os
import wandb
from harness.cli import main
begin, begun = wandb.init, []
def init(**settings):
    live = begin(**settings)
    begun.append(live)
    if len(begun) == 2:
        os._exit(9)
    return live
wandb.init = init
main()
"""
"""An export whose process ends at once while its second run is being written."""


def test_a_run_that_was_being_written_is_written_anew(store: Path) -> None:
    export = ["export", "steps", "--format", "wandb", "-o", "tracked"]
    ended = subprocess.run([sys.executable, "-c", ENDED, *export], cwd=store, capture_output=True)
    assert ended.returncode == 9
    done = harness(store, *export, "--json")
    assert json.loads(done.stdout) == {"schema": 1, "folder": "tracked", "runs": 3, "already_there": 1}
    runs = read_back(store / "tracked")
    assert len(runs) == 4 and all("exit_code" in run for run in runs.values())
    assert {path.name.partition("-")[0] for path in (store / "tracked/wandb").iterdir()} == {"offline"}


def test_it_stays_offline_whatever_the_environment_says(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    done = harness(store, "export", "steps", "--format", "wandb", "--completed", "-o", "tracked")
    assert done.returncode == 0, done.stderr
    assert len(read_back(store / "tracked")) == 2


def test_a_folder_that_cannot_be_written_is_an_error(store: Path) -> None:
    (store / "taken").write_text("a file")
    done = harness(store, "export", "steps", "--format", "wandb", "-o", "taken")
    assert done.returncode == 4 and "cannot be written" in done.stderr and "Traceback" not in done.stderr
