"""The CIFAR-10 experiments run for real, at a tiny size: shared trainings, refusals, diverging rates, missing CUDA."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from harness.cli import run_cli  # noqa: E402

pytestmark = pytest.mark.train
TINY = ["data.train_images=256", "data.test_images=200", "whiten.images=100", "model.widths=[4, 8, 8]"]


def run(capsys: pytest.CaptureFixture[str], results: Path, *arguments: str, sets: list[str] = TINY) -> dict[str, Any]:
    given = [word for key in sets for word in ("--set", key)]
    code = run_cli(["run", *arguments, *given, "--preset", "cpu", "--results", str(results), "--json", "-q"])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert code == 0
    return found


def rows(results: Path, name: str) -> list[dict[str, str]]:
    with (results / name / "runs.csv").open(newline="") as source:
        return [row for row in csv.DictReader(source) if row["warmup"] == "false"]


def test_test_time_weights_are_scored_on_shared_networks_and_compared_in_pairs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, tmp_path, "exp410-tta-weights", "--seeds", "3")
    stored = rows(tmp_path, "exp410-tta-weights")
    assert len(stored) == 30 and len({row["trained_run"] for row in stored}) == 3
    by_arm: dict[str, list[str]] = {}
    for row in sorted(stored, key=lambda r: int(r["seed"])):
        by_arm.setdefault(row["arm"], []).append(row["correct"])
    assert by_arm["tta.weight=0.5"] == by_arm["baseline"], "the same network, scored in the same way"
    assert len({tuple(counts) for counts in by_arm.values()}) > 1
    assert run_cli(["compare", "exp410-tta-weights", "--results", str(tmp_path), "--json"]) == 0
    judged = json.loads(capsys.readouterr().out)
    assert {c["accuracy"]["difference_pp"]["method"] for c in judged["comparisons"]} == {"paired t, shared networks"}


def test_a_learning_rate_cannot_make_training_faster(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, tmp_path, "exp230-lr-end", "--arm", "lr.end=0.05", "--seeds", "3")
    assert run_cli(["compare", "exp230-lr-end", "--results", str(tmp_path), "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)["comparisons"]
    assert one["time"]["decision"]["decision"] == "refused"
    assert "compute-neutral" in [finding["code"] for finding in one["findings"]]


def test_a_diverging_rate_is_recorded_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arms = ["exp420-early-stop", "--seeds", "2"]
    run(capsys, tmp_path, *arms, sets=[*TINY, "lr.max=1e6", "optim.bias_scaler=1e6"])
    stored = rows(tmp_path, "exp420-early-stop")
    assert [row["status"] for row in stored] == ["completed"] * 4
    assert all(float(row["accuracy"]) < 0.3 for row in stored)


def test_every_row_tells_data_clock_steps_and_environment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, tmp_path, "exp420-early-stop", "--seeds", "2")
    for row in rows(tmp_path, "exp420-early-stop"):
        assert row["data_hash"].endswith(":256+200") and row["clock"].startswith("whitening")
        assert row["torch"] == torch.__version__ and row["environment"] and row["code_hash"]
        assert row["steps"] == "16" and row["total"] == "200"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA here")
def test_the_full_size_says_what_to_do_where_there_is_no_cuda(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(["run", "baseline", "--seeds", "1", "--results", str(tmp_path), "-q"]) == 5
    said = capsys.readouterr().err
    assert "no CUDA device" in said and "--preset cpu" in said


def test_a_command_that_loads_torch_ends_without_a_word_of_it(tmp_path: Path) -> None:
    """Extensions of torch complain of objects that are alive at the end, where these were never looked through."""
    code = "import sys, torch, torchvision; import harness.cli; sys.argv = ['harness', 'list']; harness.cli.main()"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
