"""What jobs write on the way to the store is taken in whole, once, and by nobody else while they may still be at work."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.errors import StoreError, UsageError
from harness.executors.base import Finished
from harness.executors.slurm import Jobs, SlurmExecutor, _looks
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


def test_what_a_file_system_shows_late_is_waited_for(tmp_path: Path) -> None:
    """The jobs are out of the queue, and their file is seen a moment later."""
    lines = b"".join(line_of(attempt(number)) for number in range(3)) + b'{"ended": {}}\n'
    late = threading.Timer(0.3, lambda: (tmp_path / "0.jsonl").write_bytes(lines))
    late.start()
    looks = _looks(SpoolReader(tmp_path), Jobs("local", []), 1, 0.05, 20.0)
    found = [finished for look in looks for finished in look]
    late.join()
    assert [finished.record.run_id for finished in found] == ["i.0", "i.1", "i.2"]


def slurm_takes_up(folder: Path) -> dict[str, int]:
    executor = SlurmExecutor()
    executor.settings = {"cluster": "local", "grace": "0.1"}
    with ExperimentLogger("x", results=folder) as logger:
        return executor.take_up(folder / "x", lambda f: logger.write(f.record))


@pytest.mark.parametrize("next_command", [taken_up, slurm_takes_up])
def test_a_submission_without_its_last_lines_is_kept_and_looked_at_once_more(tmp_path: Path, next_command: Any) -> None:
    place = submission(tmp_path, 2, ended=False)
    assert slurm_takes_up(tmp_path)["rows"] == 2
    kept = tmp_path / "x" / "failed-jobs" / place.name
    assert not place.parent.exists() and (kept / "0.jsonl").exists() and has_spool(tmp_path / "x")
    with (kept / "0.jsonl").open("ab") as file:  # shown by the file system after that
        file.write(line_of(attempt(2)))
    assert next_command(tmp_path) == {"rows": 1, "known": 2, "repeated": 0}
    assert stored(tmp_path) == ["i.0", "i.1", "i.2"]
    assert (kept / "0.jsonl").exists() and not has_spool(tmp_path / "x")


def test_all_that_one_look_finds_is_flushed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    submission(tmp_path, 40)
    fsync, flushes = os.fsync, []

    def counted(descriptor: int) -> None:
        flushes.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        fsync(descriptor)

    with ExperimentLogger("x", results=tmp_path) as logger:
        logger.log(seed=0, accuracy=0.5, run_id="before")
        monkeypatch.setattr(os, "fsync", counted)
        assert take_up(tmp_path / "x", lambda f: logger.write(f.record), logger.together)["rows"] == 40
    assert flushes == [tmp_path / "x" / "runs.csv"]
    assert stored(tmp_path) == ["before", *(f"i.{number}" for number in range(40))]


@pytest.mark.parametrize(("ask", "program"), [(Jobs.running, "squeue"), (Jobs.cancel, "scancel")])
def test_where_slurm_is_not_there_it_is_said_so(monkeypatch: pytest.MonkeyPatch, ask: Any, program: str) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UsageError, match=rf"no Slurm on this machine \(no program {program} on PATH\).*login node"):
        ask(Jobs("slurm", ["7_0"]))


def test_of_cancelled_jobs_nothing_stays_once_their_last_rows_are_stored(tmp_path: Path) -> None:
    place = submission(tmp_path, 2, ended=False)
    facts = json.loads((place / "submission.json").read_text())
    (place / "submission.json").write_text(json.dumps(facts | {"cancelled": True}))
    assert taken_up(tmp_path)["rows"] == 2, "no job is waited for"
    assert taken_up(tmp_path)["known"] == 2
    assert not has_spool(tmp_path / "x") and not (tmp_path / "x" / "failed-jobs").exists()


@pytest.mark.parametrize("line", [b"not JSON\n", b'{"record": {"run_id": "r"}}\n', b'{"record": {"no": 1}}\n', b"[]\n"])
def test_a_line_that_is_no_attempt_is_named(tmp_path: Path, line: bytes) -> None:
    place = submission(tmp_path, 1, ended=False)
    size = (place / "0.jsonl").stat().st_size
    with (place / "0.jsonl").open("ab") as file:
        file.write(line)
    with pytest.raises(StoreError, match=rf"0\.jsonl at byte {size}: is not an attempt"):
        taken_up(tmp_path)
    assert stored(tmp_path) == ["i.0"] and place.exists()
