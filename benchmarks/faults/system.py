"""Permissions, read-only folders, a kernel that kills at a call, and output that cannot be written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.faults.common import TRAIN, Shown, cli, environment, excerpt, expect, fault, once, rows_of, said, write

WRITER = """\
import sys
from pathlib import Path
from benchmarks.faults.writing import write_runs
write_runs(Path(sys.argv[1]), lambda: open(sys.argv[2], "ab", buffering=0).write(b"."))
"""
TRACED = ("flock", "fsync", "ftruncate", "rename", "mkdir", "pread64", "unlink", "write")


@fault
def kill_by_the_kernel(folder: Path, quick: bool) -> Shown:
    """The same as in the group `writing`, with every call that Python and its libraries make themselves: strace sends the signal."""
    from benchmarks.faults.writing import ROWS, STARTS, lost_runs

    if shutil.which("strace") is None:
        return Shown("`kill -9` from the kernel", "strace is not installed here", 0, 0, "")
    times = lost = 0
    for call in TRACED[:: 4 if quick else 1]:
        for name, prepare in STARTS.items():
            for number in range(1, 1000, 5 if quick else 2):
                place = folder / f"{call}-{name}-{number}"
                place.mkdir()
                prepare(place)
                acknowledged = place / "acknowledged"
                command = ["strace", "-f", "-qq", "-o", os.devnull, "-e", f"inject={call}:signal=KILL:when={number}"]
                command += [sys.executable, "-c", WRITER, str(place), str(acknowledged)]
                done = subprocess.run(command, env=environment(), capture_output=True, check=False)
                stored = acknowledged.stat().st_size if acknowledged.exists() else 0
                if done.returncode == 0 and stored == ROWS:
                    break
                expect(done.returncode != 1, f"strace cannot trace here: {done.stderr.decode()[:300]}")
                times += 1
                lost += lost_runs(place, 2 if name == "torn" else 0, stored)
    return Shown(
        "`kill -9` from the kernel",
        f"strace, at every second {', '.join(TRACED)}",
        times,
        lost,
        "the next `run` says: an unfinished last line was cut off and kept in ledger.jsonl",
    )


@fault
def a_folder_that_cannot_be_written(folder: Path, quick: bool) -> Shown:
    """Somebody else's results: everything that reads works, everything that writes says why not."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        place = Path(name)
        write(place, "train.py", TRAIN)
        write(place, "exp.toml", 'trainer = "train.py"\nmargin_pp = 1\n[[arms]]\nname = "a"\n[[arms]]\nname = "b"\n')
        run = ("run", "exp.toml", "--seeds", 3, "--set", "invocations=1", "-q")
        said(cli(*run, cwd=place), 0)
        write(place, "in.csv", "seed,accuracy\n1,0.5\n")
        before = (place / "results/exp/runs.csv").read_bytes()
        closed = [p for p in (place, *place.rglob("*")) if p.is_dir()]
        for path in closed:
            path.chmod(0o555)
        for path in place.rglob("*.*"):
            path.chmod(0o444)
        read = [
            ("compare", "exp"),
            ("show", "exp"),
            ("list",),
            ("plan", "exp"),
            ("export", "exp"),
            ("verify", "exp", "--no-rerun"),
        ]
        for command in read:
            said(cli(*command, cwd=place, bound=True), 0)
        told = said(cli(*run[:2], "--seeds", 4, "-q", cwd=place, bound=True), 4, "Permission denied")
        said(cli("import", "in.csv", "--as", "new", cwd=place, bound=True), 4, "Permission denied")
        for path in closed:
            path.chmod(0o755)
        expect((place / "results/exp/runs.csv").read_bytes() == before, "the store was changed")
        lost = once(rows_of(place / "results/exp/runs.csv"), ("a", "b"), 3)
        return Shown(
            "a store that is read only",
            "six commands that read, two that write",
            len(read) + 2,
            lost,
            excerpt(told, place),
        )


@fault
def a_store_that_may_not_be_read(folder: Path, quick: bool) -> Shown:
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        place = Path(name)
        write(place, "train.py", TRAIN)
        for store in ("mine", "theirs"):
            said(cli("run", "train.py", "--seeds", 2, "--as", store, "-q", cwd=place), 0)
        place.chmod(0o755)
        told, times = "", 0
        commands = [
            ("compare", "theirs"),
            ("show", "theirs"),
            ("list",),
            ("run", "train.py", "--as", "new", "-q"),
            ("verify", "theirs"),
            ("export", "theirs"),
        ]
        for closed in ("results/theirs/runs.csv", "results/theirs/experiment.json", "results/theirs"):
            mode = (place / closed).stat().st_mode
            (place / closed).chmod(0)
            for command in commands:
                done = cli(*command, cwd=place, bound=True)
                expect(
                    done.returncode in (0, 2, 4) and "internal error" not in done.stderr + done.stdout,
                    f"{closed}: {command}: {done.stderr}",
                )
                told = done.stderr if (closed, command[0]) == ("results/theirs/runs.csv", "compare") else told
                times += 1
            (place / closed).chmod(mode)
        lost = sum(once(rows_of(place / f"results/{s}/runs.csv"), ("train",), 2) for s in ("mine", "theirs"))
        return Shown(
            "a store that others may not read",
            "runs.csv, experiment.json, the folder; six commands each",
            times,
            lost,
            excerpt(told, place),
        )


@fault
def the_mask_of_new_files(folder: Path, quick: bool) -> Shown:
    """Who may read and write a store is the umask's to say."""
    found = {}
    for mask in ("022", "002", "077"):
        program = f"from harness import ExperimentLogger as E; E('s{mask}', results='.').log(seed=1, accuracy=.5)"
        command = f'umask {mask}; exec "$0" -c "{program}"'
        subprocess.run(["bash", "-c", command, sys.executable], cwd=folder, env=environment(), check=True)
        found[mask] = f"{(folder / f's{mask}/runs.csv').stat().st_mode & 0o777:o}"
    expect(found == {"022": "644", "002": "664", "077": "600"}, f"modes are {found}")
    return Shown(
        "permissions of new files",
        "umask 022, 002, 077",
        3,
        0,
        ", ".join(f"{mask}: {mode}" for mask, mode in found.items()),
    )


@fault
def output_that_cannot_say_it(folder: Path, quick: bool) -> Shown:
    """A terminal of ASCII, a full output, a closed pipe."""
    write(folder, "train.py", TRAIN)
    write(folder, "exp.toml", 'trainer = "train.py"\nmargin_pp = 1\n[[arms]]\nname = "a"\n[[arms]]\nname = "b"\n')
    run = ("run", "exp.toml", "--seeds", 3, "-q")
    said(cli(*run, cwd=folder, PYTHONIOENCODING="ascii"), 0)
    for encoding in ("ascii", "latin-1", "cp1252"):
        done = cli("compare", "exp", cwd=folder, PYTHONIOENCODING=encoding)
        said(done, 0)
    with open(os.devnull) as nothing, open("/dev/full", "w") as full:  # noqa: PTH123
        command = [sys.executable, "-m", "harness", "list"]
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            stdin=nothing,
            text=True,
            check=False,
        )
    expect(done.returncode not in (0, 1) and "Traceback" not in done.stderr, f"exit {done.returncode}: {done.stderr}")
    piped = subprocess.run(
        ["bash", "-c", f'"{sys.executable}" -m harness export exp | head -c 10'],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    expect(not piped.stderr, piped.stderr)
    lost = once(rows_of(folder / "results/exp/runs.csv"), ("a", "b"), 3)
    return Shown(
        "output that cannot be written",
        "ASCII, Latin-1 and CP1252 terminals, /dev/full, a closed pipe",
        6,
        lost,
        excerpt(done.stderr),
    )
