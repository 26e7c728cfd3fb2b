"""Experiments of trainer `classifier` through the command line: YAML, resuming, sweeps, what a machine cannot run."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

from helpers import ENVIRON, counted, kill_session, rows_of, run_cli, says, start_cli, wait_until, write  # noqa: E402

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


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """Threads that wait for a core spin, and other tests use the cores too: minutes instead of seconds."""
    monkeypatch.setitem(ENVIRON, "OMP_NUM_THREADS", "1")


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
        "dataset": "cifar100", "data.workers": 3, "data.pin_memory": "auto",
        "augment.flip": True, "augment.crop": True, "augment.jitter": False,
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


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA here")
def test_tricks_that_a_processor_cannot_bear_are_listed_and_the_others_run(tmp_path):
    arms = [
        "batch_size=64",
        "precision=bf16-mixed",
        "precision=fp16-mixed",
        "data.pin_memory=true",
        "compile=max-autotune",
    ]
    chosen = [word for arm in arms for word in ("--arm", arm)]
    small = ["--set", "data.train_images=128", "--set", "data.test_images=50", "--set", "invocations=1"]
    done = run_cli("run", "tricks", "--preset", "cpu", "--seeds", 2, "-q", *small, *chosen, cwd=tmp_path)
    says(done, 0)
    assert {row["arm"] for row in counted(rows_of(tmp_path, "tricks"))} == {"control", *arms[:2]}
    shown = " ".join(run_cli("compare", "tricks", cwd=tmp_path).stdout.split())
    for arm in arms[2:]:
        assert f"not run: {arm}: {arm.partition('=')[0]} = " in shown
    assert "and there is no CUDA device here" in shown


@pytest.mark.parametrize("name", ["optimisers-mnist", "optimisers-cifar10"])
def test_the_loops_over_optimiser_schedule_and_rate_have_every_combination(cli_inside, name):
    plan = json.loads(cli_inside("run", name, "--preset", "cpu", "--dry-run", "--json").stdout)
    seen = {tuple(arm["config"][k] for k in ("optim.name", "schedule.name", "optim.lr")) for arm in plan["arms"]}
    assert len(plan["arms"]) == len(seen) == 4 * 3 * 5


def test_the_tricks_are_those_of_the_report_one_at_a_time(cli_inside):
    plan = json.loads(cli_inside("run", "tricks", "--skip-impossible", "--dry-run", "--json").stdout)
    names = {arm["name"] for arm in [*plan["arms"], *plan.get("not_run", [])]}
    report = {
        "batch_size": ["32", "64", "128", "256"], "data.workers": ["2", "4", "8", "12"],
        "data.pin_memory": ["false", "true"], "label_smoothing": ["0.0", "0.05", "0.1", "0.2"],
        "channels_last": ["false", "true"], "precision": ["fp16-mixed", "bf16-mixed", "fp32"],
        "compile": ["default", "reduce-overhead", "max-autotune", "off"],
        "matmul_precision": ["high", "medium", "highest"],
    }  # fmt: skip
    assert names == {"control"} | {f"{key}={value}" for key, values in report.items() for value in values}
    base = plan["arms"][0]["config"]
    for arm in plan["arms"]:
        assert sum(base[key] != value for key, value in arm["config"].items()) <= 1
    assert (base["model.name"], base["dataset"], base["batch_size"], base["data.workers"]) == (
        "resnet18",
        "cifar10",
        32,
        2,
    )


def test_arms_that_stop_early_at_different_epochs_are_not_compared_in_time(tmp_path):
    """As in a study of tricks whose arms stopped after 24 and 38 of 100 epochs."""
    stopping = "early_stopping.monitor = 'accuracy'\nearly_stopping.patience = 1\noptim.lr = 0.05\n"
    text = SMALL.replace("epochs = 2\n", "epochs = 12\n") + stopping
    text += '[[arms]]\nname = "a"\n[[arms]]\nname = "b"\nconfig = { label_smoothing = 0.2, batch_size = 8 }\n'
    write(tmp_path, "stops.toml", 'claim = "faster"\nmargin_pp = 50.0\n' + text)
    says(run_cli("run", "stops.toml", "--seeds", 3, "--set", "invocations=3", "-q", cwd=tmp_path), 0)
    epochs = {row["epochs"] for row in counted(rows_of(tmp_path, "stops"))}
    assert len(epochs) > 1, "every run made as many epochs: this shows nothing"
    (one,) = json.loads(run_cli("compare", "stops", "--json", cwd=tmp_path).stdout)["comparisons"]
    assert "unequal-training" in [finding["code"] for finding in one["findings"]]
    assert one["time"]["decision"]["decision"] == "refused"
    along = run_cli(
        "speedup", "stops:a", "stops:b", "--along-run", "--metric", "validation_accuracy", "--target", 0.1, cwd=tmp_path
    )
    says(along, 0)
