"""Experiments of trainer `classifier` through the command line: YAML, resuming, sweeps, what a machine cannot run."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

from helpers import counted, kill_session, rows_of, run_cli, says, start_cli, wait_until, write  # noqa: E402

from trainers.datasets.sets import CIFAR100  # noqa: E402
from training.test_datasets_torchvision import cifar100, server  # noqa: E402, F401 - fixtures

pytestmark = pytest.mark.train
ROOT = Path(__file__).resolve().parents[2]
CURRENT = ROOT / "configs" / "current_config.yaml"
SMALL = """\
trainer = "classifier"
[config]
dataset = "cifar10"
data.train_images = 64
data.test_images = 40
model.name = "mlp"
model.hidden = [8]
augment.crop = true
batch_size = 16
epochs = 2
device = "cpu"
"""
RATES = SMALL + '[[arms]]\nname = "a"\n[[arms]]\nname = "b"\nconfig = { optim.lr = 0.1 }\n'


def metrics_of(folder: Path, store: str) -> list[dict[str, str]]:
    with (folder / "results" / store / "metrics.csv").open(newline="") as source:
        return list(csv.DictReader(source))


def test_the_shipped_yaml_file_runs_its_first_epochs_on_cifar100(cifar100, tmp_path):  # noqa: F811
    """In torchvision's format, twelve images of it."""
    CIFAR100.fetch(lambda text: None)
    sets = ["data.train_images=0", "data.test_images=0", "data.workers=1", "batch_size=4", "evaluation.batch_size=3"]
    sets += ["batch_schedule.max=8", "batch_schedule.start=1", "batch_schedule.end=2", "batch_schedule.every=1"]
    given = [word for pair in sets for word in ("--set", pair)]
    data = os.environ["HARNESS_DATA"]
    done = run_cli("run", CURRENT, "--preset", "cpu", "-q", *given, cwd=tmp_path, HARNESS_DATA=data)
    says(done, 0)
    (row,) = counted(rows_of(tmp_path, "current_config"))
    assert (row["total"], row["steps"], row["epochs"]) == ("5", "5", "2.0")  # 3 of 4 images, then 2 of 8 and the rest
    metrics = metrics_of(tmp_path, "current_config")
    sizes = [(m["step"], float(m["value"])) for m in metrics if m["metric"] == "batch_size"]
    assert sizes == [("1", 4.0), ("2", 8.0)]
    assert {"train_loss", "train_accuracy", "train_memory", "validation_loss", "validation_accuracy"} <= {
        m["metric"] for m in metrics
    }


def test_the_shipped_yaml_file_states_what_was_reported(cli_inside):
    done = cli_inside("run", CURRENT, "--dry-run", "--json")
    (arm,) = json.loads(done.stdout)["arms"]
    config = arm["config"]
    stated = {
        "dataset": "cifar100", "data.workers": 3, "augment.flip": True, "augment.crop": True, "augment.jitter": False,
        "augment.erasing": True, "model.name": "resnest26d", "model.pretrained": False, "optim.name": "sgd",
        "optim.lr": 0.0003, "optim.weight_decay": 0.005, "optim.momentum": 0.99, "optim.nesterov": True,
        "schedule.name": "step", "schedule.step_size": 20, "schedule.gamma": 0.3, "epochs": 80, "batch_size": 64,
        "evaluation.batch_size": 500, "device": "auto", "early_stopping.monitor": "accuracy",
        "early_stopping.patience": 10, "batch_schedule.max": 128, "batch_schedule.start": 30, "batch_schedule.end": 80,
        "batch_schedule.every": 10, "evaluation.views": 18,
    }  # fmt: skip
    assert {key: config[key] for key in stated} == stated
    assert arm["steps"] == 39 * 782 + 10 * (650 + 556 + 491 + 435) + 391  # 64, 77, 90, 102, 115 and 128 images a step


@pytest.mark.slow
def test_a_campaign_that_is_killed_in_the_middle_ends_with_the_same_runs(tmp_path):
    """Also with workers of the loader's own, which end with it."""
    for name in ("whole", "torn"):
        write(tmp_path / name, "rates.toml", RATES + '[[arms]]\nname = "c"\nconfig = { data.workers = 1 }\n')
    command = ("run", "rates.toml", "--seeds", 3, "-q", "--set", "invocations=2")
    says(run_cli(*command, cwd=tmp_path / "whole"), 0)
    torn = tmp_path / "torn" / "results" / "rates" / "runs.csv"
    process = start_cli(*command, cwd=tmp_path / "torn")
    assert wait_until(lambda: torn.exists() and torn.read_bytes().count(b"\n") > 5, 90)
    kill_session(process)
    assert len(counted(rows_of(tmp_path / "torn", "rates"))) < 9
    says(run_cli(*command, cwd=tmp_path / "torn"), 0)
    stores = [counted(rows_of(tmp_path / name, "rates")) for name in ("whole", "torn")]
    told = [
        sorted((r["arm"], r["replicate"], r["seed"], r["block"], r["correct"], r["loss"], r["steps"]) for r in rows)
        for rows in stores
    ]
    assert len(told[0]) == 9 and told[0] == told[1]
