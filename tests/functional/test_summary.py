"""`harness summary`: the shipped stores and a drawn sweep, as text, Markdown and JSON."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

import pytest

from harness.cli import run_cli

HEADER = "experiment arm n accuracy vs control time speed-up at target cost of a success"
RESULTS = Path(__file__).resolve().parents[2] / "results"


def sweep(path: Path) -> None:
    rng = random.Random(5)
    with path.open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["arm", "seed", "correct", "total", "stage"])
        for number, (arm, mean) in enumerate([("base", 0.94), ("low", 0.938), ("high", 0.943), ("same", 0.94)]):
            rows.writerows(
                [arm, 1000 * number + i, round(10_000 * rng.gauss(mean, 0.0015)), 10_000, "screen"] for i in range(25)
            )


def test_a_frozen_control_stands_once_and_each_experiment_ends_in_a_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    where = ["--results", str(RESULTS), "--markdown", str(page)]
    assert run_cli(["summary", "digits-baseline", "digits-final", *where]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert " ".join(lines[0].split()) == HEADER
    assert "564/1000 = 56.4 %" in lines[1] and "395/1000 = 39.5 %" in lines[2]
    assert "UNDER THE TARGET" in lines[-1]
    assert page.read_text().count("\n| ") == 2 and "UNDER THE TARGET" in page.read_text()


def test_of_a_sweep_the_best_is_shown_and_all_where_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    sweep(Path("x.csv"))
    assert run_cli(["import", "x.csv", "--as", "x"]) == 0
    capsys.readouterr()
    assert run_cli(["summary", "x:base", "x", "--json"]) == 0
    control, best = json.loads(capsys.readouterr().out)["rows"]
    assert (control["role"], control["arm"]["name"]) == ("control", "base")
    assert (best["arm"]["name"], best["candidates"], best["judged"]["verdict"]) == ("high", 3, "refused")
    assert best["shrunk_pp"] < best["difference_pp"]["value"]
    assert run_cli(["summary", "x:base", "x", "--all", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["rows"]) == 4


def test_a_missing_store_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["summary", "nosuch", "--results", str(tmp_path)]) == 4
    assert "There is no store 'nosuch'" in capsys.readouterr().err
