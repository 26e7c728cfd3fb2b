"""What a campaign shows while it runs, of attempts that are none of its own and of failures that say nothing."""

from __future__ import annotations

import json

import pytest
from helpers import TRAIN, counted, rows_of, says, write

from harness.executors.answers import Garbled, status_of
from harness.executors.base import Finished
from harness.executors.spool import SpoolWriter
from harness.model.run import RunRecord

ARMS = 'trainer = "train.py"\ninvocations = 1\n[[arms]]\nname = "a"\n[[arms]]\nname = "b"\n'


def left_on_the_way(folder, *runs: tuple[str, str, int]) -> None:
    """Completed runs (arm, stage, replicate) that an earlier campaign of the store `two` did not take in."""
    place = folder / "results/two/spool/s1"
    place.mkdir(parents=True)
    write(place, "submission.json", json.dumps({"elements": 1, "jobs": []}))
    writer = SpoolWriter(place / "0.jsonl")
    for arm, stage, replicate in runs:
        name = f"i.{arm}{stage}{replicate}"
        writer.append(Finished(RunRecord(name, "two", arm, stage=stage, replicate=replicate, accuracy=0.5, time_s=1.0)))
    writer.end(given_up={})
    writer.close()


def test_runs_that_were_left_on_the_way_count_where_they_were_asked_for(cli_inside, tmp_path):
    write(tmp_path, "train.py", TRAIN)
    write(tmp_path, "two.toml", ARMS)
    left_on_the_way(tmp_path, ("b", "confirm", 0), ("a", "final", 0), ("a", "confirm", 7), ("a", "confirm", 1))
    done = cli_inside("run", "two.toml", "--arm", "a", "--seeds", 4)
    says(done, 0, "two: 4 runs in", "4/4 runs, 0 s left; a ")
    rows = rows_of(tmp_path, "two")
    assert len(rows) == 4 + 3 + 1, "what was left, what was missing, and a warm-up"
    assert sorted(int(r["replicate"]) for r in counted(rows, "a") if r["stage"] == "confirm") == [0, 1, 2, 3, 7]
    assert not (tmp_path / "results/two/spool").exists()


@pytest.mark.parametrize("error", ["", " \n ", None])
def test_a_failure_without_a_word_is_no_answer(error):
    with pytest.raises(Garbled, match="allowed is 'completed', or 'crashed' with an error"):
        status_of({"status": "crashed", "error": error}, "completed")
