"""What a newcomer ran into, and what the harness says of it now."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from frames import codes, judged, pair
from helpers import TRAIN, write

import harness
from harness.errors import UsageError


def test_a_script_that_ignores_its_seed_proves_nothing() -> None:
    a, b = pair(n=25)
    b = b.assign(correct=9600)
    one = judged(a, b, claim="accurate")
    assert codes(one).get("seed-ignored") == "refuse"
    assert one["verdict"] == "refused"


@pytest.mark.parametrize("correct", [0, 10_000])
def test_a_ceiling_is_no_ignored_seed(correct: int) -> None:
    a, b = pair(n=25)
    assert "seed-ignored" not in codes(judged(a, b.assign(correct=correct), claim="accurate"))


def test_different_test_sets_are_not_compared() -> None:
    a, b = pair(n=25)
    one = judged(a, b.assign(total=8000, correct=np.minimum(b["correct"], 7600)), claim="accurate")
    assert codes(one).get("data-mismatch") == "refuse"
    assert one["verdict"] == "refused"
    assert "10000 test examples" in next(f["message"] for f in one["findings"] if f["code"] == "data-mismatch")
    assert "data-mismatch" not in codes(judged(a, b, claim="accurate"))


def test_a_failed_attempt_binds_nobody_to_its_code(cli_inside, tmp_path) -> None:
    write(tmp_path, "train.py", "def train(seed):\n    raise ValueError('no data yet')\n")
    assert cli_inside("run", "train.py", "--seeds", 3, "-q").returncode == 5
    write(tmp_path, "train.py", TRAIN)
    assert cli_inside("run", "train.py", "--seeds", 3, "-q").returncode == 0
    write(tmp_path, "train.py", TRAIN + "\n# changed\n")
    assert cli_inside("run", "train.py", "--seeds", 5, "-q").returncode == 2


def test_a_preset_that_would_shrink_the_candidates_alone_is_refused(cli_inside, tmp_path) -> None:
    write(tmp_path, "base.toml", 'trainer = "digits"\nconfig.epochs = 3.0\n')
    sweep = 'extends = "base"\ncontrol = "base"\n[sweep.grid]\n"lr.end" = [0.1, 0.2]\n'
    write(tmp_path, "sweep.toml", sweep + "[presets.quick]\nseeds = 5\nconfig.epochs = 1.0\n")
    refused = cli_inside("run", "sweep.toml", "--preset", "quick", "--dry-run")
    assert refused.returncode == 2
    assert "the control 'base' has no such preset" in refused.stderr
    write(tmp_path, "sweep.toml", sweep + "[presets.quick]\nseeds = 5\n")
    assert cli_inside("run", "sweep.toml", "--preset", "quick", "--dry-run").returncode == 0
    write(tmp_path, "base.toml", 'trainer = "digits"\nconfig.epochs = 3.0\n[presets.quick]\nconfig.epochs = 1.0\n')
    shown = cli_inside("run", "sweep.toml", "--preset", "quick", "--dry-run", "--json")
    assert shown.stdout.count('"epochs": 1.0') == 3


@pytest.mark.parametrize("fields", [{"seed": "x"}, {"seed": 1.5}, {"time_s": "3"}, {"steps": True}])
def test_the_logger_refuses_what_it_could_not_read_again(tmp_path, fields) -> None:
    with harness.ExperimentLogger("x", results=tmp_path) as logger:
        with pytest.raises(UsageError, match="must be"):
            logger.log(**({"seed": 1, "accuracy": 0.5} | fields))
        logger.log(seed=np.int64(2), accuracy=np.float64(0.5), time_s=3)


def test_a_margin_that_is_no_number_is_a_usage_error() -> None:
    a, b = pair(n=25)
    with pytest.raises(UsageError, match=r"margin_pp is '0\.1'"):
        harness.compare(a, b, margin_pp="0.1")


def test_the_example_of_the_readme_runs(tmp_path, monkeypatch, capsys) -> None:
    root = Path(__file__).resolve().parents[2]
    shutil.copytree(root / "results", tmp_path / "results")
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", (root / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    exec(compile(example, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "digits-final" in printed and "baseline: 1 runs" in printed


def test_arms_that_one_logger_logs_in_blocks_are_interleaved(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(3):  # three process starts
        with harness.ExperimentLogger("mine") as logger:
            for block in range(4):
                for arm, time_s in (("old", 2.0), ("new", 1.0)):
                    logger.log(arm=arm, accuracy=0.9, block=block, time_s=time_s)
    one = harness.compare("mine:old", "mine:new", margin_pp=1).as_dict()["comparisons"][0]
    assert (one["time"]["design"], one["time"]["invocations"], one["time"]["speedup"]["value"]) == (
        "interleaved",
        3,
        2.0,
    )
