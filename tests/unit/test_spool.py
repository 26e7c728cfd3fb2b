"""What jobs write on the way to the store is taken in whole, once, and by nobody else while they may still be at work."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from harness.errors import StoreError
from harness.executors.base import Finished
from harness.executors.spool import Intake, SpoolReader, SpoolWriter, finished_of, has_spool, line_of, take_up
from harness.logger import ExperimentLogger
from harness.model.run import RunRecord
from harness.trainer import Metric


def attempt(number: int, *, replicate: int | None = None, invocation: str = "i") -> Finished:
    record = RunRecord(
        run_id=f"{invocation}.{number}", experiment="x", arm="a", stage="confirm", seed=number, invocation=invocation,
        replicate=number if replicate is None else replicate, correct=900 + number, total=1000, accuracy=(900 + number) / 1000,
        environment="e1", time_s=0.1 + number,
    )  # fmt: skip
    return Finished(record, (Metric("loss", 0.5, 3, "nat"),), np.arange(11) % 3 == 0, {"context": {"host": "h"}})


def submission(folder: Path, count: int, *, ended: bool = True, name: str = "s1") -> Path:
    place = folder / "x" / "spool" / name
    place.mkdir(parents=True)
    (place / "submission.json").write_text(
        json.dumps({"at": name, "executor": "slurm", "elements": 1, "jobs": ["7_0"]})
    )
    writer = SpoolWriter(place / "0.jsonl")
    for number in range(count):
        writer.append(attempt(number))
    if ended:
        writer.end(given_up={})
    writer.close()
    return place


def stored(folder: Path) -> list[str]:
    return [line.split(",")[0] for line in (folder / "x" / "runs.csv").read_text().splitlines()[1:]]


def taken_up(folder: Path) -> dict[str, int]:
    with ExperimentLogger("x", results=folder) as logger:
        return take_up(folder / "x", lambda f: logger.write(f.record, metrics=f.metrics, correct_mask=f.correct_mask))


def test_an_attempt_is_the_same_after_its_line() -> None:
    before = attempt(3)
    after = finished_of(json.loads(line_of(before)))
    assert (after.record, after.metrics, after.environment) == (before.record, before.metrics, before.environment)
    assert after.correct_mask.tolist() == before.correct_mask.tolist()


def test_an_environment_is_written_once(tmp_path: Path) -> None:
    place = submission(tmp_path, 3)
    lines = [json.loads(line) for line in (place / "0.jsonl").read_text().splitlines()]
    assert ["environment" in line for line in lines] == [True, False, False, False]


def test_an_unfinished_line_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "0.jsonl"
    whole = line_of(attempt(0)) + line_of(attempt(1))
    reader = SpoolReader(tmp_path)
    seen = []
    for end in (10, len(line_of(attempt(0))) - 1, len(line_of(attempt(0))), len(whole) - 1, len(whole)):
        path.write_bytes(whole[:end])
        seen.append([finished.record.run_id for finished in reader.new()])
    assert seen == [[], [], ["i.0"], [], ["i.1"]]


def test_what_jobs_wrote_is_stored_once_and_the_spool_is_gone(tmp_path: Path) -> None:
    submission(tmp_path, 4)
    assert has_spool(tmp_path / "x")
    assert taken_up(tmp_path) == {"rows": 4, "known": 0, "repeated": 0}
    assert stored(tmp_path) == ["i.0", "i.1", "i.2", "i.3"] and not has_spool(tmp_path / "x")
    submission(tmp_path, 5, name="again")  # a driver that died between storing a row and removing the spool
    assert taken_up(tmp_path) == {"rows": 1, "known": 4, "repeated": 0}
    assert stored(tmp_path) == ["i.0", "i.1", "i.2", "i.3", "i.4"]


def test_a_run_that_two_jobs_made_counts_once(tmp_path: Path) -> None:
    intake_rows: list[str] = []
    (tmp_path / "x").mkdir()
    intake = Intake(tmp_path / "x", lambda finished: intake_rows.append(finished.record.run_id))
    for finished in (attempt(0), attempt(0, invocation="other"), attempt(1)):
        intake.take(finished)
    assert intake_rows == ["i.0", "i.1"] and intake.facts() == {"rows": 2, "known": 0, "repeated": 1}


def test_jobs_that_may_be_at_work_are_not_overtaken(tmp_path: Path) -> None:
    place = submission(tmp_path, 2, ended=False)
    with pytest.raises(StoreError, match=r"array 7_0\) have not ended.*--executor slurm.*scancel"):
        taken_up(tmp_path)
    assert stored(tmp_path) == ["i.0", "i.1"], "what they wrote so far is stored"
    assert place.exists()


@pytest.mark.parametrize("line", [b"not JSON\n", b'{"record": {"run_id": "r"}}\n', b'{"record": {"no": 1}}\n', b"[]\n"])
def test_a_line_that_is_no_attempt_is_named(tmp_path: Path, line: bytes) -> None:
    place = submission(tmp_path, 1, ended=False)
    size = (place / "0.jsonl").stat().st_size
    with (place / "0.jsonl").open("ab") as file:
        file.write(line)
    with pytest.raises(StoreError, match=rf"0\.jsonl at byte {size}: is not an attempt"):
        taken_up(tmp_path)
    assert stored(tmp_path) == ["i.0"] and place.exists()
