"""Whole campaigns that are killed, doubled, deleted under way, and whose clock is set back."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.faults.common import (
    Shown,
    cli,
    counted,
    environment,
    excerpt,
    expect,
    fault,
    inside,
    once,
    rows_of,
    said,
    write,
)

SLOW = """\
import random
import time
from pathlib import Path


def train(seed, pause=0.02):
    time.sleep(pause)
    while Path("wait").exists():
        time.sleep(0.01)
    return random.Random(seed).randrange(900, 1000), 1000
"""
ARMS = 'trainer = "slow.py"\n[[arms]]\nname = "a"\n[[arms]]\nname = "b"\n'
SEEDS = 10
RUN = ("run", "slow.toml", "--seeds", SEEDS, "--set", "invocations=2", "-q")


def _begun(folder: Path) -> Path:
    """The files of a campaign; its runs.csv."""
    write(folder, "slow.py", SLOW)
    write(folder, "slow.toml", ARMS)
    return folder / "results/slow/runs.csv"


def started(*arguments: object, cwd: Path) -> subprocess.Popen[str]:
    """`harness ARGUMENTS` as the leader of a session of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "harness", *map(str, arguments)], cwd=cwd, env=environment(), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def ended(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def until(holds: Callable[[], object], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 60
    while not holds() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.002)


@fault
def kill_the_campaign(folder: Path, quick: bool) -> Shown:
    """`kill -9` of the driver at random moments; what it had stored stays, byte by byte, and the same command ends it."""
    path, choose, times, lost = _begun(folder), random.Random(1), 0, 0
    for _ in range(3 if quick else 25):
        before = path.read_bytes() if path.exists() else b""
        process = started(*RUN, cwd=folder)
        stood = lines(path)
        until(lambda stood=stood: lines(path) > stood, process)  # type: ignore[misc]
        time.sleep(choose.uniform(0, 0.1))
        os.killpg(process.pid, signal.SIGKILL)
        ended(process)
        times += 1
        now = path.read_bytes() if path.exists() else b""
        whole = before[: before.rfind(b"\n") + 1]
        lost += not now.startswith(whole)
        if len(counted(rows_of(path))) == 2 * SEEDS if now.endswith(b"\n") else False:
            shutil.rmtree(path.parent)
    said(cli(*RUN, cwd=folder), 0)
    lost += once(rows_of(path), ("a", "b"), SEEDS)
    return Shown(
        "`kill -9` of a campaign",
        "driver and workers, at random moments, then the same command",
        times,
        lost,
        "nothing: it goes on where it stopped",
    )


@fault
def two_campaigns_at_once(folder: Path, quick: bool) -> Shown:
    """One of them works; the others say which process does."""
    path, told, times = _begun(folder), "", 0
    for number in range(1 if quick else 4):
        shutil.rmtree(path.parent, ignore_errors=True)
        processes = [started(*RUN, cwd=folder) for _ in range(2 + number)]
        done = [ended(process) for process in processes]
        times += len(done)
        expect(sum(one.returncode == 0 for one in done) >= 1, f"none of them worked: {done}")
        for one in done:
            if one.returncode != 0:
                told = said(one, 4, "another campaign is writing to this store (process")
        expect(once(rows_of(path), ("a", "b"), SEEDS) == 0, "runs are missing")
    write(folder, "wait", "")
    first = started(*RUN, "--as", "other", cwd=folder)
    holder = folder / "results/other/campaign.lock"
    until(lambda: holder.exists() and holder.read_text() == str(first.pid), first)
    told = said(cli(*RUN, "--as", "other", cwd=folder), 4, f"process {first.pid}") or told
    (folder / "wait").unlink()
    expect(ended(first).returncode == 0, "the first campaign was disturbed")
    lost = once(rows_of(folder / "results/other/runs.csv"), ("a", "b"), SEEDS)
    return Shown(
        "two `run` of one experiment at once",
        "started together, and one while the other runs",
        times + 2,
        lost,
        excerpt(told),
    )


@fault
def the_folder_is_deleted_under_way(folder: Path, quick: bool) -> Shown:
    path = _begun(folder)
    process = started(*RUN, cwd=folder)
    until(lambda: lines(path) > 6, process)
    kept = folder / "kept"
    path.parent.rename(kept)
    told = said(ended(process), 4, "was deleted, moved or replaced")
    expect(not path.parent.exists(), "a folder was made in its place")
    stored = rows_of(kept / "runs.csv")
    shutil.move(kept, path.parent)
    said(cli(*RUN, cwd=folder), 0)
    rows = rows_of(path)
    lost = once(rows, ("a", "b"), SEEDS) + (rows[: len(stored)] != stored)
    return Shown(
        "the results folder goes away under way",
        "moved while a campaign runs; put back, and the same command",
        1,
        lost,
        excerpt(told),
    )


BACK = """\
import datetime
import itertools
import random

import harness.model.run as run

HOURS = itertools.count()


def utc_now():
    return (datetime.datetime(2030, 1, 1, 12) - datetime.timedelta(hours=next(HOURS))).isoformat() + "Z"


run.utc_now = utc_now


def train(seed, pause=0.0):
    return random.Random(seed).randrange(900, 1000), 1000
"""


@fault
def the_clock_runs_backwards(folder: Path, quick: bool) -> Shown:
    """The worker's time of day goes back an hour at every look; times of runs come from another clock."""
    path = _begun(folder)
    write(folder, "slow.py", BACK)
    said(cli(*RUN, "--set", "margin_pp=1", cwd=folder), 0)
    rows = counted(rows_of(path))
    back = sum(row["ended_at"] < row["started_at"] for row in rows)
    expect(back == len(rows), "the clock did not go back: this shows nothing")
    expect(all(0 <= float(row["time_s"]) < 1 for row in rows), "a time was taken from the time of day")
    for command in (
        ("compare", "slow"),
        ("verify", "slow", "--no-rerun"),
        ("show", "slow"),
        ("export", "slow", "-o", "x.csv"),
    ):
        said(inside(*command, cwd=folder), 0)
    return Shown(
        "the clock of the day runs backwards",
        "an hour at every look, in the worker",
        back,
        once(rows, ("a", "b"), SEEDS),
        "nothing: durations come from a clock that only runs forward",
    )


@fault
def import_is_killed(folder: Path, quick: bool) -> Shown:
    """A file comes in whole or not at all, and can be brought in again."""
    body = "".join(f"{seed},0.5,{seed % 7}\n" for seed in range(20_000))
    write(folder, "in.csv", "seed,accuracy,arm\n" + body)
    path, choose, times = folder / "results/there/runs.csv", random.Random(2), 0
    for _ in range(3 if quick else 25):
        shutil.rmtree(folder / "results", ignore_errors=True)
        process = started("import", "in.csv", "--as", "there", cwd=folder)
        until(lambda: (folder / "results/there").exists(), process)
        time.sleep(choose.uniform(0, 0.05))
        os.killpg(process.pid, signal.SIGKILL)
        ended(process)
        found = lines(path)
        expect(found in (0, 20_001), f"{found} lines of 20,001 came in")
        times += 1
        if not found:
            said(cli("import", "in.csv", "--as", "there", cwd=folder), 0)
        expect(lines(path) == 20_001, "the second import did not bring it in")
    return Shown(
        "`kill -9` of an import",
        "20,000 rows, at random moments",
        times,
        0,
        "nothing: all rows are there, or none and it can be given again",
    )


@fault
def what_is_not_committed(folder: Path, quick: bool) -> Shown:
    """Uncommitted changes are kept beside the runs, a secret in them too, unless HARNESS_NO_PATCH is set."""
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "init.defaultBranch=main"]
    _begun(folder)
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *arguments], cwd=folder, check=True, capture_output=True)
    write(folder, "slow.py", SLOW + '\nTOKEN = "hunter2"\n')
    said(cli(*RUN, "--as", "with", cwd=folder), 0)
    said(cli(*RUN, "--as", "without", cwd=folder, HARNESS_NO_PATCH="1"), 0)
    kept = {
        name: any(
            "hunter2" in p.read_text(errors="replace") for p in (folder / "results" / name).rglob("*") if p.is_file()
        )
        for name in ("with", "without")
    }
    expect(kept == {"with": True, "without": False}, f"where the secret stands: {kept}")
    rows = rows_of(folder / "results/without/runs.csv")
    expect(
        {row["git_dirty"] for row in rows} == {"true"} and len({row["git_commit"] for row in rows} - {""}) == 1,
        "the row does not say it",
    )
    entries = [json.loads(line) for line in (folder / "results/without/ledger.jsonl").read_text().splitlines()]
    entry = next(e for e in entries if e["event"] == "patch-left-out")
    lost = once(rows, ("a", "b"), SEEDS)
    told = f"ledger: patch-left-out, {entry['bytes']} bytes, {entry['why']}; the rows say git_dirty = true"
    return Shown(
        "a patch with a secret", "kept in patches/ by default; `HARNESS_NO_PATCH=1` leaves it out", 2, lost, told
    )
