"""The writer of a store, killed, cut short and refused at every place where that can happen.

Each trial is a fork that writes runs through `ExperimentLogger` and says after each that it was stored. Whatever ends it, the
runs that it said so of must be there, whole and once, and the next writer must be able to go on.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.faults.common import Shown, excerpt, expect, fault, rows_of
from harness.errors import StoreError
from harness.logger import ExperimentLogger
from harness.model.run import RunRecord
from harness.trainer import Metric

CALLS = ("open", "write", "fsync", "ftruncate", "pread", "fstat", "stat", "replace", "unlink", "mkdir")
ROWS = 3
STARTS: dict[str, Callable[[Path], None]] = {}
TORN = b'r9.9,s,"an unfinished'


def start(function: Callable[[Path], None]) -> Callable[[Path], None]:
    STARTS[function.__name__] = function
    return function


@start
def new(folder: Path) -> None:
    """No store yet."""


@start
def torn(folder: Path) -> None:
    """Two whole rows, and an unfinished line below them, as an earlier kill leaves it."""
    with ExperimentLogger("s", results=folder) as logger:
        for seed in (100, 101):
            logger.log(run_id=f"before.{seed}", seed=seed, accuracy=0.5)
    with (folder / "s/runs.csv").open("ab") as file:
        file.write(TORN)


def write_runs(folder: Path, acknowledge: Callable[[], None]) -> None:
    """What a campaign writes: description, environment, ledger, and runs with metrics and masks."""
    with ExperimentLogger("s", results=folder) as logger:
        logger.describe({"name": "s", "arms": [{"name": "s"}]})
        logger.keep_environment("e", {"host": "here"})
        logger.note("campaign", runs=ROWS)
        for seed in range(ROWS):
            record = RunRecord(
                run_id=f"r.{seed}", experiment="s", arm="s", seed=seed, correct=1, total=2, accuracy=0.5, error="a, b"
            )
            logger.write(record, metrics=[Metric("loss", 0.5, step=1)], correct_mask=np.array([True, False]))
            acknowledge()


def forked(folder: Path, sabotage: Callable[[], None]) -> tuple[int, int, str]:
    """A writer in a process of its own: its wait status, the runs that it acknowledged, and the error that it was told."""
    reading, writing = os.pipe()
    own_write = os.write
    child = os.fork()
    if child == 0:
        code = 0
        try:
            os.close(reading)
            sabotage()
            write_runs(folder, lambda: own_write(writing, b"."))  # type: ignore[arg-type, return-value]
            code = 7 if getattr(sabotage, "fired", False) else 0
        except StoreError as problem:
            own_write(writing, b"E" + str(problem).encode())
            code = 3
        except BaseException as problem:  # noqa: BLE001 - the trial reports whatever else came out
            where = "".join(traceback.format_tb(problem.__traceback__)[-3:])
            own_write(writing, f"X{type(problem).__name__}: {problem}\n{where}".encode())
            code = 4
        finally:
            os._exit(code)
    os.close(writing)
    told = b""
    while piece := os.read(reading, 65536):
        told += piece
    os.close(reading)
    _, status = os.waitpid(child, 0)
    stored, _, words = told.decode().partition("E")
    expect("X" not in stored, f"the writer raised {told.decode()}")
    return status, stored.count("."), words


def lost_runs(folder: Path, before: int, stored: int) -> int:
    """Runs that were acknowledged and are gone, after the next writer has mended the store and gone on in it."""
    with ExperimentLogger("s", results=folder) as logger:
        after = RunRecord(run_id="after", experiment="s", arm="s", seed=999, accuracy=0.5)
        logger.write(after, metrics=[Metric("loss", 0.5)])
    rows = rows_of(folder / "s/runs.csv")
    ids = [row["run_id"] for row in rows]
    expect(len(ids) == len(set(ids)) and ids[-1] == "after", f"a row stands twice or is out of place: {ids}")
    expect(len(ids) <= before + stored + 2, f"there are more rows than were written: {ids}")
    for line in (folder / "s/ledger.jsonl").read_text(encoding="utf-8").splitlines():
        json.loads(line)
    described = folder / "s/experiment.json"
    expect(not described.exists() or json.loads(described.read_text()), "experiment.json is half written")
    wanted = [f"before.{seed}" for seed in (100, 101)][:before] + [f"r.{seed}" for seed in range(stored)]
    if stored:
        metrics = {row["run_id"] for row in rows_of(folder / "s/metrics.csv")}
        expect(metrics >= set(wanted[before:]), "metrics of a stored run are missing")
    return len(set(wanted) - set(ids))


class At:
    """Does something to the call number `number` of the calls that a writer makes to the system."""

    def __init__(
        self, number: int, act: Callable[..., Any], names: tuple[str, ...] = CALLS, *, lock: bool = True
    ) -> None:
        self.left, self.act, self.names, self.lock, self.fired = number, act, names, lock, False

    def __call__(self) -> None:
        for name in self.names:
            setattr(os, name, self._wrapped(name, getattr(os, name)))
        if self.lock:
            fcntl.flock = self._wrapped("flock", fcntl.flock)  # type: ignore[assignment]

    def _wrapped(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            self.left -= 1
            if self.left == 0:
                self.fired = True
                return self.act(name, real, arguments, named)
            return real(*arguments, **named)

        return call


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_before(name: str, real: Any, arguments: Any, named: Any) -> None:
    die()


def die_after(name: str, real: Any, arguments: Any, named: Any) -> None:
    real(*arguments, **named)
    die()


def die_within(name: str, real: Any, arguments: Any, named: Any) -> None:
    """Half of a write reaches the file."""
    if name == "write":
        real(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
    die()


def every(
    folder: Path, make: Callable[[int], Callable[[], None]], step: int, first: int = 1
) -> tuple[int, int, list[str]]:
    """Trials at place `first`, `first` + `step`, ... until a writer gets through: their number, the runs lost, what was told."""
    times = lost = 0
    told: list[str] = []
    for name, prepare in STARTS.items():
        for number in range(first, 100_000, step):
            place = folder / f"{name}-{number}"
            place.mkdir()
            prepare(place)
            before = 2 if name == "torn" else 0
            status, stored, words = forked(place, make(number))
            if status == 0 and stored == ROWS:  # the place was never reached
                break
            times += 1
            told += [words] if words else []
            lost += lost_runs(place, before, stored)
    return times, lost, told


@fault
def kill_at_every_call(folder: Path, quick: bool) -> Shown:
    times = lost = 0
    for act in (die_before, die_within, die_after):
        place = folder / act.__name__
        place.mkdir()
        n, gone, _ = every(place, lambda number, act=act: At(number, act), 23 if quick else 1, 4 if quick else 1)  # type: ignore[misc]
        times, lost = times + n, lost + gone
    return Shown(
        "`kill -9` of the writer", "before, within and after every call to the system that storing three runs makes", times, lost,
        "the next `run` says: an unfinished last line was cut off and kept in ledger.jsonl",
    )  # fmt: skip


@fault
def kill_at_every_line(folder: Path, quick: bool) -> Shown:
    def make(number: int) -> Callable[[], None]:
        left = number

        def trace(frame: Any, event: str, argument: Any) -> Any:
            nonlocal left
            if "/harness/" not in frame.f_code.co_filename:
                return None
            if event == "line":
                left -= 1
                if left == 0:
                    die()
            return trace

        return lambda: sys.settrace(trace)

    times, lost, _ = every(folder, make, 97 if quick else 3)
    return Shown(
        "`kill -9` of the writer, line by line",
        "at lines of its Python code, from the first to the last",
        times,
        lost,
        "the next `run` says: an unfinished last line was cut off and kept in ledger.jsonl",
    )


def refuse(number: int) -> Callable[..., Any]:
    def act(name: str, real: Any, arguments: Any, named: Any) -> Any:
        if name == "write" and len(arguments[1]) > 1:
            real(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
        raise OSError(number, os.strerror(number))

    return act


FAILING = ("open", "write", "fsync", "ftruncate", "pread", "stat", "replace", "mkdir")


def _refused(folder: Path, quick: bool, number: int, fault_name: str, tried: str, words: str) -> Shown:
    made = every(folder, lambda at: At(at, refuse(number), FAILING), 7 if quick else 1)
    expect(any(words in told for told in made[2]), f"{words!r} is not in {made[2]!r}")
    told = next(told for told in made[2] if words in told)
    return Shown(fault_name, tried, made[0], made[1], excerpt(told, *folder.iterdir()))


@fault
def disk_fails(folder: Path, quick: bool) -> Shown:
    return _refused(
        folder,
        quick,
        errno.EIO,
        "the disk fails (EIO)",
        "at every call; a write fails half-way",
        "the disk or its server failed",
    )


@fault
def disk_full_at_every_call(folder: Path, quick: bool) -> Shown:
    return _refused(
        folder,
        quick,
        errno.ENOSPC,
        "the disk is full (ENOSPC)",
        "at every call; a write fails half-way",
        "the disk is full",
    )


@fault
def server_forgets_the_file(folder: Path, quick: bool) -> Shown:
    return _refused(
        folder,
        quick,
        errno.ESTALE,
        "a file server forgets the file (ESTALE)",
        "at every call, renames among them",
        "the disk or its server",
    )


@fault
def no_locks(folder: Path, quick: bool) -> Shown:
    def make(number: int) -> Callable[[], None]:
        return At(number, refuse(errno.ENOLCK), ())

    times, lost, told = every(folder, make, 1)
    expect(told and all("cannot be locked" in one for one in told), f"{told}")
    return Shown(
        "a file system without locks (ENOLCK)", "at every lock", times, lost, excerpt(told[0], *folder.iterdir())
    )


@fault
def short_writes(folder: Path, quick: bool) -> Shown:
    real = os.write

    def make() -> None:
        os.write = lambda fd, data: real(fd, bytes(data)[:7])  # type: ignore[assignment]

    status, stored, _ = forked(folder, make)
    expect(status == 0 and stored == ROWS, "a writer of short writes did not get through")
    size = sum(path.stat().st_size for path in (folder / "s").glob("*.*"))
    return Shown(
        "short writes",
        "no write takes more than 7 bytes",
        size // 7,
        lost_runs(folder, 0, stored),
        "nothing: it goes on",
    )


@fault
def size_limit(folder: Path, quick: bool) -> Shown:
    """The kernel's own short write, then its refusal: a limit on the size of files."""
    times = lost = 0
    told = ""
    for limit in range(600, 1500, 150 if quick else 10):
        place = folder / str(limit)
        place.mkdir()
        torn(place)

        def make(limit: int = limit) -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

        _, stored, words = forked(place, make)
        if not words:
            break
        times, told = times + 1, words
        lost += lost_runs(place, 2, stored)
    return Shown(
        "a limit on the size of files (EFBIG)",
        "`ulimit -f` at many sizes, in the kernel",
        times,
        lost,
        excerpt(told, *folder.iterdir()),
    )


@fault
def delayed_rename(folder: Path, quick: bool) -> Shown:
    """A file server that answers late, and another writer that comes in between."""
    real = os.replace

    def slow() -> None:
        def replace(source: Any, target: Any) -> None:
            time.sleep(0.05)
            real(source, target)
            time.sleep(0.05)

        os.replace = replace  # type: ignore[assignment]

    times = lost = 0
    for number in range(1 if quick else 5):
        place = folder / str(number)
        place.mkdir()
        reading, writing = os.pipe()
        other = os.fork()
        if other == 0:
            os.close(reading)
            time.sleep(0.02 * number)
            with ExperimentLogger("s", results=place) as logger:
                for seed in range(50):
                    logger.log(run_id=f"o.{seed}", seed=seed, accuracy=0.5)
                    os.write(writing, b".")
            os._exit(0)
        os.close(writing)
        status, stored, words = forked(place, slow)
        expect(status == 0 and stored == ROWS, f"the slow writer did not get through: {words}")
        os.waitpid(other, 0)
        others = len(os.read(reading, 100))
        os.close(reading)
        ids = {row["run_id"] for row in rows_of(place / "s/runs.csv")}
        lost += len(({f"o.{seed}" for seed in range(others)} | {f"r.{seed}" for seed in range(ROWS)}) - ids)
        times += others + stored
    return Shown(
        "renames that come late, beside a second writer",
        "each rename waits .1 s; the runs of both",
        times,
        lost,
        "nothing: both go on",
    )


def _gone(folder: Path, act: Callable[[Path], None], words: str) -> tuple[int, str]:
    """A store that is changed from outside between two runs of a writer that holds it open."""
    logger = ExperimentLogger("s", results=folder)
    logger.log(run_id="r.0", seed=0, accuracy=0.5)
    act(folder)
    try:
        logger.log(run_id="r.1", seed=1, accuracy=0.5)
    except StoreError as problem:
        expect(words in str(problem), str(problem))
        return 0, excerpt(str(problem), folder)
    finally:
        logger.close()
    raise AssertionError("a run went to a file that nobody will find")


def deleted(folder: Path) -> None:
    (folder / "s").rename(folder / ".deleted")
    for path in (folder / ".deleted").iterdir():
        path.unlink()


def moved(folder: Path) -> None:
    (folder / "s").rename(folder / "elsewhere")


def saved_by_an_editor(folder: Path) -> None:
    path = folder / "s/runs.csv"
    copy = path.with_suffix(".tmp")
    copy.write_bytes(path.read_bytes())
    copy.replace(path)


@fault
def store_goes_away(folder: Path, quick: bool) -> Shown:
    told, lost = "", 0
    acts = (deleted, moved, saved_by_an_editor)
    for act in acts:
        place = folder / act.__name__
        place.mkdir()
        _, told = _gone(place, act, "was deleted, moved or replaced")
        kept = [p for p in place.rglob("runs.csv") if "r.0" in p.read_text()]
        lost += act is not deleted and not kept
    return Shown(
        "the store goes away while it is written",
        "deleted, moved, replaced by an editor that saves",
        len(acts),
        lost,
        told,
    )


@fault
def links_and_devices(folder: Path, quick: bool) -> Shown:
    """What a store of somebody else's could make this one write to."""
    told, times = "", 0
    precious = folder / "precious.txt"
    makers: list[Callable[[Path], None]] = [
        lambda p: p.symlink_to(precious),
        lambda p: p.symlink_to(folder / "not-there"),
        lambda p: p.symlink_to(p),
        lambda p: os.mkfifo(p),
        lambda p: p.mkdir(),
    ]
    for name in ("runs.csv", "ledger.jsonl", "campaign.lock"):
        for number, make in enumerate(makers):
            place = folder / f"{name}-{number}" / "s"
            place.mkdir(parents=True)
            precious.write_text("not a store")
            make(place / name)
            times += 1
            try:
                if name == "campaign.lock":
                    from harness.store.append import CampaignLock

                    CampaignLock(place)
                else:
                    ExperimentLogger("s", results=place.parent)
            except StoreError as problem:
                told = str(problem) if "symbolic" in str(problem) else told
            else:
                raise AssertionError(f"{name} of kind {number} was taken for a file of the store")
            expect(
                precious.read_text() == "not a store" and not (folder / "not-there").exists(),
                "something else was written to",
            )
    place = folder / "linked"
    (folder / "big-disk").mkdir()
    place.symlink_to(folder / "big-disk")
    with ExperimentLogger("s", results=place) as logger:
        logger.log(seed=1, accuracy=0.5)
    lost = 1 - len(rows_of(folder / "big-disk/s/runs.csv"))
    return Shown(
        "links and devices in a store",
        "runs.csv, ledger, lock: a link elsewhere, to nothing, to itself, a pipe, a folder; results/ as a link works",
        times + 1, lost, excerpt(told, *folder.iterdir()),
    )  # fmt: skip
