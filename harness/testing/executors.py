"""What every executor must hold to, as tests to inherit.

    from harness.testing import ExecutorChecks

    class TestMine(ExecutorChecks):
        def executor(self):
            return MyExecutor()

Needs pytest to be collected (the checks use its `tmp_path` and `monkeypatch`); each makes real campaigns of a few short runs with real
processes. What is asked is what a store must look like afterwards, whatever carried the runs.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from harness.app.preparing import RunOptions, prepare_run
from harness.app.running import RunReport, run
from harness.design.plan import block_order
from harness.errors import StoreError
from harness.executors.base import Executor, Finished
from harness.executors.local import LocalExecutor
from harness.spec import Request, load
from harness.store.read import read_table

Row = dict[str, str]

TRAINER = """\
import os
import random
import time
from pathlib import Path


def train(seed, how="fine", lr=0.1, pause=0.0):
    with Path("pids.txt").open("a") as pids:
        pids.write(f"{os.getpid()}\\n")
    time.sleep(pause)
    mark = Path(f"met-{how.replace(' ', '-')}-{seed}")
    if how == "raises":
        raise ArithmeticError("loss is nan")
    if how.endswith("once") and not mark.exists():
        mark.touch()
        if how == "leaves once":
            os._exit(3)
        if how == "hangs once":
            time.sleep(60)
        raise ArithmeticError("just once")
    return random.Random(f"{seed} {lr}").randrange(900, 1000), 1000
"""

SAME = ("arm", "stage", "replicate", "block", "seed", "position", "attempt", "status", "correct", "total", "accuracy", "lane",
        "config_hash", "compute_hash", "code_hash", "experiment_hash")  # fmt: skip
"""What two executors must agree in, of runs that count."""


class ExecutorChecks:
    """Inherit and give `executor`.

    `stores_before_next`: whether an attempt is in the store before its invocation's next run starts; `streams`: whether it is there
    before the whole invocation is over; `patience_s`: how long processes may take to end.
    """

    stores_before_next: ClassVar[bool] = True
    streams: ClassVar[bool] = True
    lane: ClassVar[str] = "exclusive"
    patience_s: ClassVar[float] = 15.0

    def executor(self) -> Executor:
        raise NotImplementedError

    # --- how the checks run something ------------------------------------------------------------------------

    def campaign(
        self,
        folder: Path,
        text: str,
        *,
        seeds: int = 6,
        invocations: int = 2,
        store: str = "x",
        sink: Callable[[Finished], None] | None = None,
        executor: Executor | None = None,
        sets: Mapping[str, Any] | None = None,
        retries: int = 1,
    ) -> RunReport:
        """`harness run x.toml` in `folder` with the executor that is checked."""
        (folder / "train.py").write_text(TRAINER, encoding="utf-8")
        (folder / "x.toml").write_text(text, encoding="utf-8")
        request = Request({"invocations": invocations} | dict(sets or {}), None, (), seeds, None, None)
        (experiment,) = load([str(folder / "x.toml")], request)
        options = RunOptions(results=folder / "results", store_name=store, retries=retries)
        return run(prepare_run(experiment, options), options, sink, executor=executor or self.executor())

    def rows(self, folder: Path, store: str = "x") -> list[Row]:
        """Every row of a store, of which none is torn."""
        table = read_table(folder / "results" / store / "runs.csv", store)
        assert table.torn == 0, "the last line is torn"
        return list(table.records())

    def inside(self, folder: Path, monkeypatch: Any) -> Path:
        monkeypatch.chdir(folder)
        return folder

    # --- what is checked --------------------------------------------------------------------------------------

    def test_it_makes_the_rows_that_the_local_executor_makes(self, tmp_path: Path, monkeypatch: Any) -> None:
        """Seeds, results, blocks, positions, attempts and hashes; and the local executor finds nothing left to do."""
        folder = self.inside(tmp_path, monkeypatch)
        report = self.campaign(folder, TWO_ARMS)
        assert not report.missing and not report.given_up
        mine = counted(self.rows(folder))
        assert {row["lane"] for row in mine} == {self.lane}
        assert self.campaign(folder, TWO_ARMS, executor=LocalExecutor()).prepared.complete
        (folder / "results").rename(folder / "elsewhere")
        self.campaign(folder, TWO_ARMS, executor=LocalExecutor())
        locally = counted(self.rows(folder))
        same = SAME if self.lane == "exclusive" else tuple(name for name in SAME if name != "lane")
        assert facts(mine, same) == facts(locally, same)

    def test_blocks_are_whole_and_run_in_their_own_order(self, tmp_path: Path, monkeypatch: Any) -> None:
        folder = self.inside(tmp_path, monkeypatch)
        self.campaign(folder, TWO_ARMS, seeds=8)
        rows = counted(self.rows(folder))
        for replicate in range(8):
            block = sorted((r for r in rows if r["replicate"] == str(replicate)), key=lambda r: r["started_at"])
            assert [r["arm"] for r in block] == list(block_order(["a", "b"], 0, "x", "confirm", replicate))
            assert [r["position"] for r in block] == ["0", "1"]
            assert len({(r["invocation"], r["block"], r["seed"]) for r in block}) == 1
        for invocation in {r["invocation"] for r in rows}:
            mine = [r for r in rows if r["invocation"] == invocation]
            ordered = sorted(mine, key=lambda r: (r["started_at"], r["ended_at"]))
            assert all(a["ended_at"] <= b["started_at"] for a, b in itertools.pairwise(ordered))

    def test_every_arm_is_warmed_up_once_in_every_invocation(self, tmp_path: Path, monkeypatch: Any) -> None:
        folder = self.inside(tmp_path, monkeypatch)
        self.campaign(folder, TWO_ARMS, seeds=6, invocations=3)
        rows = self.rows(folder)
        warm = Counter((r["invocation"], r["arm"]) for r in rows if r["warmup"] == "true")
        runs = {(r["invocation"], r["arm"]) for r in counted(rows)}
        assert set(warm) == runs and len(runs) == 6 and set(warm.values()) == {1}
        assert not {r["seed"] for r in rows if r["warmup"] == "true"} & {r["seed"] for r in counted(rows)}

    def test_what_is_known_of_a_run_stands_in_its_row(self, tmp_path: Path, monkeypatch: Any) -> None:
        folder = self.inside(tmp_path, monkeypatch)
        self.campaign(folder, TWO_ARMS, seeds=2, invocations=1)
        for row in counted(self.rows(folder)):
            for name in ("run_id", "host", "device", "python", "cpu", "environment", "time_s", "clock", "started_at"):
                assert row[name], f"{name} is unknown"
            assert (folder / "results" / "x" / "environments" / f"{row['environment']}.json").is_file()

    def test_a_run_that_fails_once_is_a_row_and_is_made_again(self, tmp_path: Path, monkeypatch: Any) -> None:
        folder = self.inside(tmp_path, monkeypatch)
        for how, status in (("raises once", "crashed"), ("leaves once", "crashed"), ("hangs once", "timeout")):
            store = how.replace(" ", "-")
            text = f'{TWO_ARMS}[arms.config]\nhow = "{how}"\n'
            report = self.campaign(
                folder, text, seeds=1, invocations=1, store=store, sets={"timeout_s": 0.5, "warmup": False}
            )
            assert not report.missing, report.given_up
            rows = self.rows(folder, store)
            assert_each_once(rows, 1)
            failed = [r for r in rows if r["status"] != "completed" and r["warmup"] == "false"]
            assert [(r["arm"], r["status"], r["attempt"]) for r in failed] == [("b", status, "1")]
            assert failed[0]["error"]
            assert [r["attempt"] for r in counted(rows) if r["arm"] == "b"] == ["2"]

    def test_an_arm_that_only_fails_is_given_up_and_the_others_finish(self, tmp_path: Path, monkeypatch: Any) -> None:
        folder = self.inside(tmp_path, monkeypatch)
        report = self.campaign(folder, f'{TWO_ARMS}[arms.config]\nhow = "raises"\n', seeds=5, invocations=1)
        assert report.missing == {"b": 5}
        assert set(report.given_up) == {"b"} and "loss is nan" in report.given_up["b"]
        rows = self.rows(folder)
        assert len([r for r in counted(rows) if r["arm"] == "a"]) == 5
        failed = [r for r in rows if r["arm"] == "b"]
        assert 3 <= len(failed) <= 4 and {r["status"] for r in failed} == {"crashed"}

    def test_the_same_again_runs_nothing_and_more_seeds_run_what_is_missing(
        self, tmp_path: Path, monkeypatch: Any
    ) -> None:
        folder = self.inside(tmp_path, monkeypatch)
        self.campaign(folder, TWO_ARMS, seeds=2, invocations=1)
        first = (folder / "results/x/runs.csv").read_bytes()
        assert self.campaign(folder, TWO_ARMS, seeds=2, invocations=1).prepared.complete
        assert (folder / "results/x/runs.csv").read_bytes() == first
        self.campaign(folder, TWO_ARMS, seeds=4, invocations=1)
        assert (folder / "results/x/runs.csv").read_bytes().startswith(first)
        assert_each_once(self.rows(folder), 4)

    def test_ctrl_c_ends_every_process_and_leaves_a_store_that_goes_on(self, tmp_path: Path, monkeypatch: Any) -> None:
        folder = self.inside(tmp_path, monkeypatch)
        text = TWO_ARMS + "[config]\npause = 0.05\n"
        stopped = False
        try:
            self.campaign(folder, text, seeds=10, sink=after(6, KeyboardInterrupt()))
        except KeyboardInterrupt:
            stopped = True
        assert stopped, "the interrupt must reach the caller"
        pids = {int(line) for line in (folder / "pids.txt").read_text().split()}
        assert pids and until(lambda: not any(map(is_alive, pids)), self.patience_s), "a worker outlived the campaign"
        kept = counted(self.rows(folder))
        assert 0 < len(kept) <= 20 and (len(kept) < 20 or not self.streams)
        report = self.campaign(folder, text, seeds=10)
        assert not report.missing
        rows = self.rows(folder)
        assert_each_once(rows, 10)
        assert [r["run_id"] for r in counted(rows)][: len(kept)] == [r["run_id"] for r in kept]

    def test_a_store_that_cannot_be_written_ends_the_campaign(self, tmp_path: Path, monkeypatch: Any) -> None:
        folder = self.inside(tmp_path, monkeypatch)
        problem = StoreError("the disk is full")
        raised = None
        try:
            self.campaign(folder, TWO_ARMS, seeds=10, sink=after(5, problem))
        except StoreError as found:
            raised = found
        assert raised is problem
        if self.stores_before_next:
            time.sleep(0.3)
            assert len(self.rows(folder)) == 5, "nothing is run, and nothing is stored, once storing has failed"
        assert not self.campaign(folder, TWO_ARMS, seeds=10).missing
        assert_each_once(self.rows(folder), 10)

    def test_an_attempt_is_stored_before_the_next_begins(self, tmp_path: Path, monkeypatch: Any) -> None:
        if not self.stores_before_next:
            return
        folder = self.inside(tmp_path, monkeypatch)
        started: list[int] = []

        def look(finished: Finished) -> None:
            time.sleep(0.05)
            pids = folder / "pids.txt"
            started.append(len(pids.read_text().split()) if pids.exists() else 0)

        self.campaign(folder, TWO_ARMS, seeds=3, invocations=1, sink=look)
        assert started == list(range(1, 9)), "a run began while the one before was being stored"

    def test_arms_that_cannot_share_a_process_share_an_invocation(self, tmp_path: Path, monkeypatch: Any) -> None:
        folder = self.inside(tmp_path, monkeypatch)
        (folder / "other.py").write_text(TRAINER, encoding="utf-8")
        text = 'trainer = "train.py"\n[config]\npause = 0.02\n[[arms]]\nname = "a"\n[[arms]]\nname = "b"\ntrainer = "other.py"\n'
        report = self.campaign(folder, text, seeds=4, invocations=2)
        assert not report.missing
        rows = self.rows(folder)
        assert_each_once(rows, 4)
        assert len({r["invocation"] for r in rows}) == 2
        for invocation in {r["invocation"] for r in rows}:
            mine = sorted((r for r in rows if r["invocation"] == invocation), key=lambda r: r["started_at"])
            assert {r["arm"] for r in mine} == {"a", "b"}
            assert all(a["ended_at"] <= b["started_at"] for a, b in itertools.pairwise(mine)), "runs overlap"
        assert len(set((folder / "pids.txt").read_text().split())) == 4


TWO_ARMS = 'trainer = "train.py"\n[[arms]]\nname = "a"\n[[arms]]\nname = "b"\n'


def counted(rows: Iterable[Row]) -> list[Row]:
    """The completed runs that count."""
    return [r for r in rows if r["status"] == "completed" and r["warmup"] == "false"]


def facts(rows: Iterable[Row], names: Iterable[str]) -> list[tuple[str, ...]]:
    """Some columns of rows, in an order of their own."""
    names = list(names)
    return sorted(tuple(row[name] for name in names) for row in rows)


def assert_each_once(rows: list[Row], seeds: int, arms: Iterable[str] = ("a", "b")) -> None:
    """Exactly one completed run of every arm and replicate, and no run id twice."""
    for arm in arms:
        assert sorted(int(r["replicate"]) for r in counted(rows) if r["arm"] == arm) == list(range(seeds))
    assert len({r["run_id"] for r in rows}) == len(rows)


def after(count: int, problem: BaseException) -> Callable[[Finished], None]:
    """A sink that raises when it is given its `count`th attempt."""
    seen: list[Finished] = []

    def sink(finished: Finished) -> None:
        seen.append(finished)
        if len(seen) == count:
            raise problem

    return sink


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that ended and was not yet asked for is none."""
    with contextlib.suppress(OSError, ValueError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    if Path("/proc/self").exists():
        return False
    with contextlib.suppress(OSError):
        os.kill(pid, 0)
        return True
    return False


def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether `condition()` became true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False
