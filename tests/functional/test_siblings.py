"""One arm of a sweep, named alone, is still one of its candidates."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from typing import Any

import pytest

from harness.cli import run_cli


def sweep(path: Path, *, lucky: float) -> None:
    """A control and eight candidates of 25 runs; the last one is `lucky` points higher."""
    rng = random.Random(3)
    with path.open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["arm", "seed", "correct", "total", "stage"])
        for number, arm in enumerate(("base", *(f"c{i}" for i in range(8)))):
            draws = [rng.gauss(0, 1) for _ in range(25)]
            mean, sd = sum(draws) / 25, (sum(d * d for d in draws) / 25) ** 0.5
            for i, draw in enumerate(draws):
                accuracy = 0.94 + (lucky / 100 if arm == "c7" else 0.0) + 0.0015 * (draw - mean) / sd
                rows.writerow([arm, 1000 * number + i, round(10_000 * accuracy), 10_000, "confirm"])


def judged(capsys: pytest.CaptureFixture[str], *names: str) -> dict[str, Any]:
    assert run_cli(["compare", *names, "--claim", "accurate", "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)["comparisons"][-1]
    return found


def test_naming_the_best_alone_does_not_make_it_a_claim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    sweep(Path("x.csv"), lucky=0.08)
    assert run_cli(["import", "x.csv", "--as", "x"]) == 0
    capsys.readouterr()
    together, alone = judged(capsys, "x:base", "x"), judged(capsys, "x:base", "x:c7")
    for found in (together, alone):
        assert found["verdict"] == "inconclusive"
        assert "best-of-k" in [finding["code"] for finding in found["findings"]]


def test_an_effect_that_stands_among_all_stands_alone_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    sweep(Path("x.csv"), lucky=0.25)
    assert run_cli(["import", "x.csv", "--as", "x"]) == 0
    capsys.readouterr()
    assert judged(capsys, "x:base", "x:c7")["verdict"] == "pass"
