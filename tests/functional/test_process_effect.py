"""A log of one configuration from ten processes, drawn with the structure of a public one: noise of time in the
process, noise of accuracy in the seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import run_cli

from benchmarks.process_effect import main, read, splits

PROCESSES, RUNS = 10, 40


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(14)
    process = np.repeat(rng.normal(0, 0.00105, PROCESSES), RUNS)
    n = PROCESSES * RUNS
    data = pd.DataFrame(
        {
            "run": np.arange(n),
            "invocation": np.repeat(np.arange(PROCESSES), RUNS),
            "accuracy": np.rint(rng.normal(9400.8, 13.2, n)) / 10_000,
            "time_s": 2.015 + process + rng.normal(0, 0.00054, n),
        }
    )
    path = tmp_path_factory.mktemp("log") / "runs.csv"
    data.assign(arm=np.where(data.invocation < PROCESSES // 2, "early", "late")).to_csv(path, index=False)
    return path


def test_components_and_splits_are_printed(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(log)])
    said = capsys.readouterr().out
    assert "time_s: 400 runs in 10 processes" in said and "accuracy: 400 runs in 10 processes" in said
    assert said.count("on 9 and 390 degrees of freedom") == 2
    assert said.count("of 252 splits") == 2


def test_run_level_tests_see_differences_in_time_that_processes_explain(log: Path) -> None:
    labels, measured = read(log)
    time = splits(measured["time_s"], labels)
    assert time.n == 252
    assert min(time.welch, time.mann_whitney) > 0.6 * time.n
    assert time.clustered <= 0.05 * time.n + 3 * (0.05 * 0.95 * time.n) ** 0.5
    accuracy = splits(measured["accuracy"], labels)
    assert accuracy.welch < 0.15 * accuracy.n, "accuracy has no process effect"


def test_an_odd_number_of_processes_has_no_halves() -> None:
    with pytest.raises(ValueError, match="found 3"):
        splits(np.arange(6.0), np.array(list("aabbcc")))


@pytest.mark.parametrize(("text", "word"), [("accuracy\n.94\n", "invocation"), ("invocation,loss\n1,2\n", "time_s")])
def test_a_log_without_the_columns_says_so(tmp_path: Path, text: str, word: str) -> None:
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(SystemExit, match=word):
        main([str(tmp_path / "bad.csv")])


def test_two_halves_of_it_are_refused(log: Path) -> None:
    done = run_cli("import", log, "--as", "log", "--map", "seed=run", cwd=log.parent)
    assert done.returncode == 0, done.stderr
    done = run_cli(
        "compare", "log:early", "log:late", "--claim", "faster", "--margin-pp", "0.5", cwd=log.parent
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "REFUSED" in done.stdout and "not-interleaved" in done.stdout
