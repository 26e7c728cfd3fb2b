"""`ExperimentLogger` as users of the Python interface meet it."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from helpers import rows_of

from harness import ExperimentLogger, load
from harness.errors import StoreError, UsageError
from harness.model.run import COLUMNS, RunRecord, utc_now
from harness.store.append import LineFile
from harness.trainer import Metric


@pytest.fixture
def logger(tmp_path):
    with ExperimentLogger("log", results=tmp_path, target=0.94) as made:
        yield made


def test_a_row_is_there_when_log_returns(logger, tmp_path):
    logger.log(arm="a", seed=1, correct=9402, total=10_000, time_s=4.1)
    (row,) = rows_of(tmp_path, "log", results=".")
    assert tuple(row) == COLUMNS
    assert (row["arm"], row["seed"], row["accuracy"], row["time_s"]) == ("a", "1", "0.9402", "4.1")
    assert (row["status"], row["warmup"], row["experiment"]) == ("completed", "false", "log")
    assert row["loss"] == row["replicate"] == row["environment"] == "", "unknown is empty, never 0"
    assert row["run_id"].startswith(row["invocation"]) and row["ended_at"].endswith("Z")


def test_numpy_values_and_flags(logger, tmp_path):
    logger.log(seed=np.int64(7), correct=np.int32(1), total=np.int64(3), time_s=np.float32(0.5), warmup=np.bool_(True))
    (row,) = rows_of(tmp_path, "log", results=".")
    assert (row["seed"], row["correct"], row["time_s"], row["warmup"]) == ("7", "1", "0.5", "true")
    assert float(row["accuracy"]) == 1 / 3, "to the last bit"
    assert row["arm"] == "log"


BAD = [
    ({"sed": 1, "accuracy": 0.9}, r"no column 'sed'. Did you mean 'seed'\?"),
    ({"seed": 1}, "needs 'correct' and 'total', or 'accuracy'"),
    ({"seed": 1, "correct": 5}, "'correct' and 'total' belong together"),
    ({"seed": 1, "correct": 11, "total": 10}, "correct is 11 of total 10"),
    ({"seed": 1, "correct": -1, "total": 10}, "correct is -1 of total 10"),
    ({"seed": 1, "correct": 0, "total": 0}, "total > 0"),
    ({"seed": 1, "accuracy": 94.0}, r"accuracy is 94.0; .* \(a fraction, not a percentage\)"),
    ({"seed": 1, "accuracy": float("nan")}, "accuracy is nan"),
    ({"seed": 1, "accuracy": 0.9, "time_s": -1.0}, "time_s is -1.0"),
    ({"seed": 1, "accuracy": 0.9, "time_s": float("inf")}, "time_s is inf"),
    ({"seed": 1, "accuracy": 0.9, "time_s": 1e308}, r"time_s is 1e\+308; .* from 0 to 1e\+09"),
    ({"seed": 1, "accuracy": 0.9, "time_s": float("nan")}, "time_s is nan"),
    ({"seed": 1, "accuracy": 0.9, "status": "ok"}, "status is 'ok'; allowed is completed, crashed, timeout"),
]


@pytest.mark.parametrize(("fields", "message"), BAD)
def test_what_cannot_be_is_refused_and_not_written(logger, tmp_path, fields, message):
    with pytest.raises(UsageError, match=message):
        logger.log(**fields)
    assert (tmp_path / "log/runs.csv").read_bytes() == b""


def test_an_accuracy_that_contradicts_its_counts_gives_way(logger):
    assert logger.log(seed=1, correct=1, total=4, accuracy=0.9).accuracy == 0.25


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", ".hidden", "a\nb"])
def test_names_that_cannot_be_a_folder(tmp_path, name):
    with pytest.raises(UsageError, match="cannot be a store"):
        ExperimentLogger(name, results=tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_metrics_and_masks_lie_beside_the_row(logger, tmp_path):
    mask = np.array([True, False, True] * 5)
    metrics = [Metric("accuracy", 0.5, step=1), Metric("power", 31.25, unit="W")]
    logger.write(RunRecord("r,1", "log", "a", accuracy=0.5), metrics=metrics, correct_mask=mask)
    assert (tmp_path / "log/metrics.csv").read_text().splitlines() == [
        "run_id,metric,unit,step,value", '"r,1",accuracy,,1,0.5', '"r,1",power,W,,31.25',
    ]  # fmt: skip
    packed = np.load(tmp_path / "log/correct/r,1.npy")
    assert np.array_equal(np.unpackbits(packed, count=15).astype(bool), mask)


def test_the_summary(logger, capsys):
    for seed, correct in enumerate((9390, 9400, 9410, 9420)):
        logger.log(arm="a", seed=seed, correct=correct, total=10_000, time_s=4.0 + correct / 10_000)
    logger.log(arm="a", seed=9, correct=1, total=10_000, time_s=99.0, warmup=True)
    logger.log(arm="a", seed=4, status="crashed", error="out of memory")
    (summary,) = logger.summary("a")
    facts = summary.as_dict()
    assert (facts["n"], facts["warmups"], facts["failed"]) == (4, 1, 1)
    assert facts["accuracy"]["value"] == pytest.approx(0.9405, abs=1e-12)
    assert facts["accuracy"]["sd"] == pytest.approx(0.0012909944487358056, rel=1e-12)
    assert facts["success"]["value"] == 0.75, "9400 of 10000 reaches 0.94"
    logger.print_summary()
    assert "94.05" in capsys.readouterr().out
    assert logger.summary("nobody") == []


def test_load_gives_what_was_logged(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with ExperimentLogger("log") as logger:
        logger.log(arm="a", seed=3, correct=1, total=3, git_dirty=True)
        logger.log(arm="b", seed=4, status="crashed", error="no, not today")
    frame = load("log")
    assert list(frame["arm"]) == ["a", "b"] and list(frame["seed"]) == [3, 4]
    assert frame["accuracy"][0] == 1 / 3 and frame["accuracy"].isna()[1]
    assert frame["git_dirty"][0] and frame["git_dirty"].isna()[1] and frame["error"][1] == "no, not today"
    with pytest.raises(StoreError, match=r"no store 'lag'.*Did you mean 'log'\?"):
        load("lag")


def test_two_loggers_of_one_store_make_different_run_ids(tmp_path):
    with ExperimentLogger("log", results=tmp_path) as one, ExperimentLogger("log", results=tmp_path) as two:
        for seed, logger in enumerate((one, two, one)):
            logger.log(seed=seed, accuracy=0.5)
    rows = rows_of(tmp_path, "log", results=".")
    assert len({row["run_id"] for row in rows}) == 3 and len({row["invocation"] for row in rows}) == 2


def test_a_seed_that_an_arm_has_already_is_told_once(tmp_path):
    with ExperimentLogger("log", results=tmp_path) as logger, warnings.catch_warnings():
        warnings.simplefilter("error")
        logger.log(arm="a", seed=1, accuracy=0.5)
        logger.log(arm="b", seed=1, accuracy=0.5)
        logger.log(arm="a", seed=2, accuracy=0.5, status="crashed")
        logger.log(arm="a", seed=2, accuracy=0.5)
        logger.log(arm="a", seed=3, accuracy=0.5, warmup=True)
    with ExperimentLogger("log", results=tmp_path) as logger:
        logger.log(arm="a", seed=3, accuracy=0.5)
        with pytest.warns(UserWarning, match="holds a run of 'a' with seed 2 already.*duplicate-seeds") as caught:
            logger.log(arm="a", seed=2, accuracy=0.5)
        assert caught[0].filename == __file__
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            logger.log(arm="a", seed=1, accuracy=0.5)


def test_a_store_with_further_columns_keeps_them(tmp_path):
    path = tmp_path / "log/runs.csv"
    path.parent.mkdir()
    path.write_text(",".join([*COLUMNS, "note"]) + "\n" + "," * len(COLUMNS) + "kept\n")
    with ExperimentLogger("log", results=tmp_path) as logger:
        logger.log(seed=1, accuracy=0.5)
    rows = rows_of(tmp_path, "log", results=".")
    assert [row["note"] for row in rows] == ["kept", ""] and rows[1]["accuracy"] == "0.5"


def test_the_header_of_another_program_is_refused(tmp_path):
    path = tmp_path / "log/runs.csv"
    path.parent.mkdir()
    path.write_text("epoch,loss\n1,0.5\n")
    with pytest.raises(StoreError, match=r"its header lacks run_id, experiment.*harness import"):
        ExperimentLogger("log", results=tmp_path)
    assert path.read_text() == "epoch,loss\n1,0.5\n"


def test_the_ledger_and_the_description(logger, tmp_path):
    logger.note("look", p=0.04, why="ü")
    logger.note("look", p=0.03)
    lines = [json.loads(line) for line in (tmp_path / "log/ledger.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(line["event"], line["p"]) for line in lines] == [("look", 0.04), ("look", 0.03)] and lines[0]["why"] == "ü"
    logger.describe({"target": 0.94})
    logger.describe({"target": 0.95})
    assert json.loads((tmp_path / "log/experiment.json").read_text()) == {"target": 0.95}
    logger.keep_patch("abc", b"+1\n")
    logger.keep_environment("e1", {"cpu": "x"})
    kept = sorted(str(p.relative_to(tmp_path / "log")) for p in (tmp_path / "log").rglob("*") if p.is_file())
    assert kept == ["environments/e1.json", "experiment.json", "ledger.jsonl", "patches/abc.patch", "runs.csv"]


def test_all_rows_or_none(tmp_path, monkeypatch):
    def full(self, payload):
        raise OSError(28, "No space left on device")

    with ExperimentLogger("log", results=tmp_path) as logger:
        logger.log(seed=1, accuracy=0.5)
        before = (tmp_path / "log/runs.csv").read_bytes()
        monkeypatch.setattr(LineFile, "_write", full)
        with pytest.raises(StoreError, match="the disk is full"):
            logger.write_rows([b"x\n", b"y\n"])
        assert (tmp_path / "log/runs.csv").read_bytes() == before


def test_times_are_utc(logger):
    assert utc_now()[10] == "T" and utc_now().endswith("Z") and len(utc_now()) == 24
