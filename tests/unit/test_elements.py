"""An element of a Slurm array that is cut off and started again, and what its driver makes of it: without any Slurm."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.app.preparing import trainer_infos
from harness.design.plan import make_plan
from harness.executors.base import Campaign, Finished, Provenance
from harness.executors.slurm import Element
from harness.executors.spool import SpoolWriter, rows_of_shard
from harness.model.run import RunRecord
from harness.spec import Request, load

TRAIN = "def train(seed):\n    return seed % 100, 100\n"


class Cut(BaseException):
    """The job is gone."""


def element_of(folder: Path, *, seeds: int = 4, invocations: int = 1) -> Element:
    """Arms a and b, so many invocations in one element."""
    for name in ("a.py", "b.py"):
        (folder / name).write_text(TRAIN)
    (experiment,) = load([str(folder / "a.py"), str(folder / "b.py")], Request(seeds=seeds))
    infos = trainer_infos(experiment)
    plan = make_plan(
        ["a", "b"], experiment="x", stage="confirm", seeds=seeds, seed_root=0, slot=5, done=(), invocations=invocations
    )
    known = {arm: Provenance(info.code_hash({})) for arm, info in infos.items()}
    campaign = Campaign(experiment, plan, infos, known, slot=5, experiment_hash="h").portable()
    warmups = [
        10 * number for number in range(invocations)
    ]  # before each of the invocations that this element has of them
    return Element(campaign, {}, str(folder / "0.jsonl"), str(folder), "exclusive", warmups)


@contextmanager
def cut_after(rows: int) -> Iterator[None]:
    """The job is gone after so many rows of this start."""
    append, left = SpoolWriter.append, [rows]

    def counted(self: SpoolWriter, finished: Finished) -> None:
        if not left[0]:
            raise Cut
        left[0] -= 1
        append(self, finished)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Cut):
        patch.setattr(SpoolWriter, "append", counted)
        yield


def is_whole(rows: list[RunRecord], seeds: int) -> None:
    done = [(row.arm, row.replicate) for row in rows if row.status == "completed" and not row.warmup]
    assert sorted(done) == [(arm, number) for arm in "ab" for number in range(seeds)]
    assert len({row.run_id for row in rows}) == len(rows)


def test_an_element_that_is_cut_off_again_while_it_starts_loses_one_run_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    element = element_of(tmp_path)
    with cut_after(5):  # two warm-ups and three runs
        element()
    for _ in range(3):
        with cut_after(1):  # the row of the loss before it, and none of its own
            element()
    element()
    rows = rows_of_shard(Path(element.shard))
    is_whole(rows, 4)
    lost = [row for row in rows if row.status != "completed"]
    assert [row.warmup for row in lost] == [False, True, True, True], "a start that made no run cost none"
    assert len({row.invocation for row in lost}) == 4


def test_a_cut_between_two_invocations_of_an_element_is_a_start_of_the_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    element = element_of(tmp_path, invocations=2)
    with cut_after(6):  # all of the first
        element()
    element()
    rows = rows_of_shard(Path(element.shard))
    is_whole(rows, 4)
    (lost,) = [row for row in rows if row.status != "completed"]
    assert lost.warmup and [row.run_id for row in rows if row.invocation == lost.invocation] == [lost.run_id]


def test_each_invocation_of_an_element_has_the_warm_ups_that_the_campaign_gave_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    element = element_of(tmp_path, invocations=2)
    element()
    warm = [row.seed for row in rows_of_shard(Path(element.shard)) if row.warmup]
    assert warm == [element.campaign.warmup_seed(number) for number in (0, 1, 10, 11)]


def test_an_element_that_refuses_says_so_and_leaves_no_file_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    element = element_of(tmp_path)
    (tmp_path / "a.py").write_text(TRAIN + "# another version\n")
    element()
    assert "its code there is" in Path(element.shard).read_text()
    opened = [fd.readlink() for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink()]
    assert Path(element.shard) not in opened
