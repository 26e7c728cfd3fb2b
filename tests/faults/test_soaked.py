"""Many short runs through the real runner: nothing grows."""

from __future__ import annotations

import json
import subprocess
import sys
import types

import numpy as np
import pytest

from benchmarks.soak import Growth, growth, slopes
from harness.cli.progress import MOST_DIFFERENCES, Display

MOST_DRIVER_KIB, MOST_WORKER_KIB = 1000, 100
"""After 1,000 runs more, at the upper limit; eight soaks of 2,000 runs had it at 404 and less for the driver, at 0 for the workers."""


def soaked(folder, train=None):
    """A soak of 2,000 runs in a process of its own: in a test's, what nobody uses any more is collected late."""
    arguments = "2000, Path(sys.argv[1])" + ("" if train is None else f", {train!r}")
    program = f"import dataclasses, json\nfrom benchmarks.soak import *\nprint(json.dumps(dataclasses.asdict(soak({arguments}))))"
    done = subprocess.run([sys.executable, "-c", program, str(folder)], capture_output=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.slow
def test_2000_runs_leave_no_file_open_and_little_memory(tmp_path):
    found = soaked(tmp_path)
    assert found["stored"] == 2000
    assert (found["files"]["high"], found["worker_files"]["high"]) == (0.0, 0.0)
    assert found["memory"]["high"] < MOST_DRIVER_KIB and found["worker_memory"]["high"] < MOST_WORKER_KIB


def test_a_growth_is_seen():
    """Lines that rise by 3 a thousand runs, with noise around them, and a level that stands still."""
    noise = np.random.default_rng(0).uniform(0, 0.4, 1000).tolist()
    found = growth(slopes([3 * i / 100 + noise[i] for i in range(1000)], every=10))
    assert found.low < 3 < found.high and found.low > 2.5
    flat = growth(slopes([5.0 + one for one in noise], every=10))
    assert flat.low < 0 < flat.high and flat.high < 0.5
    assert growth(slopes([7.0] * 1000, every=10)) == Growth(0.0, 0.0, 0.0)


@pytest.mark.parametrize("kind", ["noise", "steps"])
def test_the_limits_of_a_growth_hold_where_nothing_grows(kind):
    """Noise around a level, and memory that goes up and down by steps: 95 in 100 within what 400 draws leave open."""
    rng = np.random.default_rng(1)
    draws = rng.normal(size=(400, 450))
    found = [growth(slopes((d if kind == "noise" else d.cumsum()).tolist(), every=10)) for d in draws]
    assert 0.91 < np.mean([one.low < 0 < one.high for one in found]) < 0.99


def _display(candidates: int, seeds: int, claim: str | None = None) -> Display:
    arms = [types.SimpleNamespace(name=name) for name in ("control", *(f"c{i}" for i in range(candidates)))]
    experiment = types.SimpleNamespace(
        arms=arms, control=arms[0], candidates=arms[1:], seeds=seeds, claim=claim, stage="confirm"
    )
    prepared = types.SimpleNamespace(
        experiment=experiment, done={}, accuracies=lambda: {0: {"control": 0.5, "c0": 0.6}}, plan=None
    )
    return Display(prepared)


def _finished(arm: str, replicate: int, accuracy: float) -> object:
    record = types.SimpleNamespace(
        arm=arm,
        stage="confirm",
        replicate=replicate,
        accuracy=accuracy,
        warmup=False,
        status="completed",
        time_s=1.0,
        lane="exclusive",
    )
    return types.SimpleNamespace(record=record)


def test_the_display_of_a_long_campaign_keeps_differences_alone():
    display = _display(1, 5000)
    for replicate in range(1, 5000):
        display.take(_finished("c0", replicate, 0.61))
        display.take(_finished("control", replicate, 0.5 + replicate % 2 / 100))
    assert not display.blocks, "whole blocks are kept"
    assert display.gaps["c0"].n == 5000
    (line,) = display.differences()
    assert line.startswith("c0 +10.500 pp") or "10.5" in line


def test_a_block_counts_as_soon_as_the_pair_is_there():
    display = _display(2, 10)
    for replicate in range(1, 8):
        display.take(_finished("control", replicate, 0.5))
        display.take(_finished("c1", replicate, 0.4))
    (line,) = display.differences()
    assert line.startswith("c1 −10")
    assert not _display(MOST_DIFFERENCES + 1, 10).differences()


def test_a_campaign_of_times_alone_shows_no_difference_in_accuracy():
    """As `harness doctor` makes it: the same work against itself."""
    display = _display(1, 10, "time-only")
    for replicate in range(1, 8):
        display.take(_finished("control", replicate, 0.5))
        display.take(_finished("c0", replicate, 0.4))
    assert display.differences() == [] and "c0" in display.lines()[1]
