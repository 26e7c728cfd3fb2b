"""The experiments of the efficiency lab, as far as they can be read without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.spec import Request, load_experiment

ROOT = Path(__file__).resolve().parents[2]
LAB = ROOT / "experiments"
HOW = ("latency-resnet18", "latency-bottleneck130", "latency-bottleneck28")


def loaded(name: str, preset: str | None = None):
    return load_experiment(name, Request(preset=preset, experiments=LAB))


@pytest.mark.parametrize("preset", [None, "cpu"])
@pytest.mark.parametrize("name", ["latency-macs", *HOW])
def test_arms_make_the_same_number_of_passes_of_one_size(name: str, preset: str | None) -> None:
    """Times are compared by run: another batch or number of passes would decide the verdict."""
    experiment = loaded(name, preset)
    assert (experiment.claim, experiment.stage) == ("time-only", "confirm")
    for key in ("batch", "iterations", "mode", "device", "threads", "model.size"):
        assert len({arm.config[key] for arm in experiment.arms}) == 1, key
    assert len({arm.config_hash for arm in experiment.arms}) == len(experiment.arms)


def test_multiply_adds_are_asked_of_networks_alone() -> None:
    experiment = loaded("latency-macs")
    base = experiment.arms[0]
    assert base.name == "resnet18" and base.role == "control"
    for arm in experiment.candidates:
        assert all(key.startswith("model.") for key, value in arm.config.items() if base.config[key] != value), arm.name


@pytest.mark.parametrize("preset", [None, "cpu"])
def test_settings_are_asked_of_one_network_each_and_are_the_same_for_all(preset: str | None) -> None:
    lab = [loaded(name, preset) for name in HOW]
    for experiment in lab:
        assert experiment.arms[0].name == "eager"
        networks = {tuple((k, str(v)) for k, v in a.config.items() if k.startswith("model.")) for a in experiment.arms}
        assert len(networks) == 1
    settings = [{a.name: {k: v for k, v in a.config.items() if "model." not in k} for a in e.arms} for e in lab]
    assert settings[0] == settings[1] == settings[2]
    if preset == "cpu":
        assert not any(config["dtype"] == "fp16" for config in settings[0].values())


def test_what_they_would_run_is_told_without_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from harness.cli import run_cli;"
        f"code = run_cli(['run', 'latency-macs', '--preset', 'cpu', '--dry-run', '--experiments', {str(LAB)!r}]);"
        "print(code, 'torch' in sys.modules, 'timm' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "225 runs and 45 warm-ups" in done.stdout
    assert done.stdout.splitlines()[-1] == "0 False False"
