"""The experiments of the CIFAR-10 study, as far as they can be read without torch."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.cli import run_cli
from harness.spec import Request, load_experiment

ROOT = Path(__file__).resolve().parents[2]
STUDY = {  # arms beside the control, seeds
    "baseline": (0, 1000),
    "exp210-lr-peak": (8, 25),
    "exp220-lr-start": (7, 25),
    "exp230-lr-end": (7, 25),
    "exp310-lookahead": (10, 25),
    "exp410-tta-weights": (9, 25),
    "exp420-early-stop": (1, 25),
    "exp421-early-stop-lr": (1, 25),
    "epochs": (9, 25),
    "final": (1, 1000),
    "exp510-final-longer": (1, 1000),
    "exp520-tta-refine": (5, 200),
    "exp530-revalidate": (4, 200),
    "exp000-airbench94-modified": (6, 25),
}
ALIASES = {
    "exp201": "exp230-lr-end",
    "exp201-lr-end": "exp230-lr-end",
    "exp202": "exp210-lr-peak",
    "exp203": "exp220-lr-start",
    "exp301": "exp310-lookahead",
    "exp401": "exp410-tta-weights",
    "exp421": "exp421-early-stop-lr",
    "exp000": "exp000-airbench94-modified",
}


def dry_run(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert run_cli(["run", *arguments, "--dry-run", "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize("preset", [(), ("--preset", "cpu")])
@pytest.mark.parametrize("name", STUDY)
def test_every_experiment_expands_to_its_arms(
    name: str, preset: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = dry_run(capsys, name, *preset, "--results", str(tmp_path))
    candidates, seeds = STUDY[name]
    assert [arm["role"] for arm in plan["arms"]] == ["control"] + ["candidate"] * candidates
    assert (plan["seeds"], plan["runs"]) == (seeds, seeds * (candidates + 1))
    assert plan["question"] and plan["hours"] is None


@pytest.mark.parametrize(("alias", "name"), ALIASES.items())
def test_other_names_mean_the_same_experiment(alias: str, name: str) -> None:
    assert load_experiment(alias, Request()) == load_experiment(name, Request())


@pytest.mark.parametrize("preset", [(), ("--preset", "cpu")])
def test_the_sweep_over_test_time_weights_costs_one_training_a_seed(
    preset: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = dry_run(capsys, "exp410-tta-weights", *preset, "--seeds", "25", "--results", str(tmp_path))
    assert (plan["runs"], plan["trainings"]) == (250, 25)
    assert dry_run(capsys, "exp520", "--results", str(tmp_path))["trainings"] == 200


def steps(name: str, **request: Any) -> dict[str, int]:
    from harness.plugins import planned_steps, trainer_info

    experiment = load_experiment(name, Request(**request))
    found = {arm.name: planned_steps(trainer_info(arm.trainer), arm.config) for arm in experiment.arms}
    return {arm: count for arm, count in found.items() if count is not None}


def test_lengths_come_to_the_published_steps() -> None:
    assert steps("exp420") == {"baseline": 476, "epochs=9.8": 471}
    assert set(steps("exp421").values()) == {476, 466}
    assert steps("final") == {"baseline": 476, "final": 466}
    swept = [math.ceil(48 * tenths / 10) for tenths in range(91, 100)]
    assert list(steps("epochs").values()) == [476, *swept]
    assert steps("exp000")["all"] == 256


def test_the_preset_keeps_the_shares_of_the_length() -> None:
    full, small = steps("epochs"), steps("epochs", preset="cpu")
    for (_, a), (_, b) in zip(full.items(), small.items(), strict=True):
        assert abs(a / 476 - b / 248) < 0.003
    assert steps("final", preset="cpu")["final"] == 244


def test_each_change_of_the_modified_script_stands_alone_and_all_together() -> None:
    experiment = load_experiment("exp000", Request())
    assert experiment.control is not None
    base = experiment.control.config
    changes = {arm.name: {k for k, v in arm.config.items() if v != base[k]} for arm in experiment.candidates}
    together = changes.pop("all")
    assert together == set().union(*changes.values())
    assert changes["batch-1536"] == {"batch_size", "lr.max"}
    assert experiment.arm("batch-1536").config["lr.max"] == 17.25


def test_two_lengths_that_come_to_the_same_are_told_before_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "same.toml"
    path.write_text('extends = "baseline"\ncontrol = "baseline"\n[sweep.grid]\nepochs = [9.91, 9.8]\n')
    plan = dry_run(capsys, str(path), "--results", str(tmp_path))
    assert [arm["steps"] for arm in plan["arms"]] == [476, 476, 471]
    (note,) = plan["notes"]
    assert "epochs=9.91 comes to the same 476 steps as baseline" in note


def test_keys_that_do_not_go_together_are_told_before_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run_cli(["run", "baseline", "--set", "data.train_images=500", "--dry-run", "--results", str(tmp_path)])
    assert code == 2
    assert "batch_size 1024 is more than data.train_images 500" in capsys.readouterr().err


def test_a_dry_run_imports_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from harness.cli import run_cli;"
        f"run_cli(['run', 'exp000', '--dry-run', '--results', {str(tmp_path)!r}]);"
        "run_cli(['show', 'airbench94']); sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
