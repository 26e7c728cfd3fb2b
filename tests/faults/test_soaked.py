"""Many short runs through the real runner: nothing grows."""

from __future__ import annotations

import types

import pytest

from benchmarks.soak import growth, soak, steps
from harness.cli.progress import MOST_DIFFERENCES, Display


@pytest.mark.slow
def test_2000_runs_leave_no_file_open_and_little_memory(tmp_path, capsys):
    soaked = soak(2000, tmp_path)
    assert soaked.stored == 2000
    assert (soaked.files.value, soaked.worker_files.value) == (0.0, 0.0)
    assert soaked.memory.low < 100 and soaked.worker_memory.low < 20, "KiB after 1,000 runs more"


def test_a_growth_is_seen():
    """Ten parts that rise by 3 a thousand runs, with noise around them."""
    found = growth(steps([3 * i / 100 + (i * 7 % 5) / 10 for i in range(1000)], every=10))
    assert found.low < 3 < found.high and found.low > 2.5
    flat = growth(steps([5.0 + (i * 7 % 5) / 10 for i in range(1000)], every=10))
    assert abs(flat.value) < 0.01


def _display(candidates: int, seeds: int) -> Display:
    arms = [types.SimpleNamespace(name=name) for name in ("control", *(f"c{i}" for i in range(candidates)))]
    experiment = types.SimpleNamespace(arms=arms, control=arms[0], candidates=arms[1:], seeds=seeds, stage="confirm")
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
