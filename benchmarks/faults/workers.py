"""Workers that lie, stammer or fork: a trainer is other people's code, and can do to its process whatever it likes."""

from __future__ import annotations

from pathlib import Path

from benchmarks.faults.common import Shown, cli, counted, excerpt, expect, fault, once, rows_of, said, write

LIAR = """\
import json
import os
import random
import sys

import __main__ as worker

OUT = int(sys.argv[2])
EVALUATE = worker.Session._evaluate


def evaluate(self, arm, trained, seconds):
    answer = EVALUATE(self, arm, trained, seconds)
    lie = LIES.get(self.flat[arm].get("how"), {})
    return answer | lie


class Mute(Exception):
    pass


DESCRIBED = worker._described
worker._described = lambda problem: str(problem) if isinstance(problem, Mute) else DESCRIBED(problem)
worker.Session._evaluate = evaluate
LIES = {
    "another run": {"run_id": "../../stolen", "experiment": "other", "seed": 1, "replicate": 0, "block": 0, "attempt": 9, "warmup": True,
                    "status": "timeout", "config_hash": "0" * 12, "code_hash": "0" * 12, "stage": "final", "lane": "shared",
                    "invocation": "x",
                    "environment": "../../../evil", "git_commit": "f" * 40, "experiment_hash": "0", "host": "elsewhere"},
    "a word for a time": {"time_s": "fast"},
    "a list for a count": {"correct": [1]},
    "an accuracy of 7": {"correct": None, "total": None, "accuracy": 7},
    "no accuracy": {"correct": None, "total": None, "accuracy": None},
    "an accuracy that is NaN": {"correct": None, "total": None, "accuracy": float("nan")},
    "a negative time": {"time_s": -1.0},
    "more right than there are": {"correct": 11, "total": 10},
    "an object for a clock": {"clock": {"a": 1}},
    "a mask that is none": {"mask": [10**9, "AAAA"]},
    "metrics of two fields": {"metrics": [["loss", 1]]},
    "the result of another arm": {"arm": "fine"},
    "true for a count": {"correct": True, "total": 1},
}
SAID = {
    "garbage": b"\\xff\\xfe not json\\n",
    "a list": b"[1, 2]\\n",
    "an early answer": b'{"status": "completed", "results": []}\\n',
    "an answer to another request": b'{"id": 99, "status": "completed", "results": []}\\n',
    "brackets without end": b"[" * 200_000 + b"\\n",
    "half a line": b'{"id": ',
}
MUTE = {"a failure without a word": "", "a failure in blanks": " \\n "}


def train(seed, how="fine"):
    if how in SAID:
        os.write(OUT, SAID[how])
    if how == "100 MB":
        with os.fdopen(os.dup(OUT), "wb") as out:
            out.write(b"x" * 10**8 + b"\\n")
    if how == "a fork that comes back":
        os.fork()
    if how == "a word that is no text":
        raise FileNotFoundError("caf\\udce9.npy")
    if how in MUTE:
        raise Mute(MUTE[how])
    if how == "an escape":
        raise ValueError("\\x1b]0;title\\x07\\x1b[2J\\x00 gone")
    return random.Random(seed).randrange(900, 1000), 1000
"""
LIES = (
    "a word for a time", "a list for a count", "an accuracy of 7", "no accuracy", "an accuracy that is NaN", "a negative time",
    "more right than there are", "an object for a clock", "a mask that is none", "metrics of two fields", "the result of another arm",
    "true for a count", "garbage", "a list", "an early answer", "an answer to another request", "brackets without end", "half a line",
    "100 MB",
    "a word that is no text", "an escape", "a failure without a word", "a failure in blanks",
)  # fmt: skip
HARMLESS = ("another run", "a fork that comes back")
SEEDS = 2


def _toml(*names: str) -> str:
    arms = "".join(f'[[arms]]\nname = "{name}"\n[arms.config]\nhow = "{name}"\n' for name in names)
    return f'trainer = "liar.py"\ninvocations = 1\ntimeout_s = 20\n{arms}'


@fault
def answers_that_are_none(folder: Path, quick: bool) -> Shown:
    """The attempt is a row with what was answered, its process is ended, and the other arms lose nothing."""
    write(folder, "liar.py", LIAR)
    lies = [name for name in LIES if name != "100 MB" or not quick]
    write(folder, "lies.toml", _toml("fine", *lies))
    done = cli("run", "lies.toml", "--seeds", SEEDS, "--retries", 0, cwd=folder)
    said(done, 5, "Some runs could not be had")
    rows = rows_of(folder / "results/lies/runs.csv")
    for name in lies:
        mine = [row for row in rows if row["arm"] == name]
        expect(mine and {row["status"] for row in mine} == {"crashed"}, f"{name}: {[r['status'] for r in mine]}")
        expect(all(row["accuracy"] == row["time_s"] == "" for row in mine), f"{name}: numbers of a lie were stored")
    told = next(row["error"] for row in rows if row["arm"] == "a word for a time")
    return Shown(
        "a worker that answers nonsense", ", ".join(lies), len([r for r in rows if r["status"] == "crashed"]), once(rows, ("fine",), SEEDS),
        f"crashed: {excerpt(told)}",
    )  # fmt: skip


@fault
def a_worker_that_lies_about_its_run(folder: Path, quick: bool) -> Shown:
    """Who made a run is the driver's own knowledge."""
    write(folder, "liar.py", LIAR)
    write(folder, "lies.toml", _toml("fine", *HARMLESS))
    said(cli("run", "lies.toml", "--seeds", 5, "-q", cwd=folder), 0)
    rows = rows_of(folder / "results/lies/runs.csv")
    mine = counted(rows, "another run")
    for row in mine:
        partner = next(r for r in counted(rows, "fine") if r["block"] == row["block"])
        same = (
            "experiment",
            "seed",
            "replicate",
            "invocation",
            "stage",
            "lane",
            "environment",
            "git_commit",
            "host",
            "experiment_hash",
            "code_hash",
        )
        expect(all(row[key] == partner[key] for key in same), f"a lie was stored: {row}")
        expect(
            row["run_id"].startswith(row["invocation"]) and row["config_hash"] != "0" * 12, f"a lie was stored: {row}"
        )
    expect(
        not (folder / "evil.json").exists() and not list(folder.rglob("*stolen*")),
        "a file was written outside of the store",
    )
    lost = once(rows, ("fine", *HARMLESS), 5)
    return Shown(
        "a worker that lies about its run",
        "another run id, experiment, seed, hash, status, a path as its environment; a fork that answers too",
        len(mine) + len(counted(rows, HARMLESS[1])), lost, "nothing: the row says what the driver knows",
    )  # fmt: skip


@fault
def a_machine_without_room(folder: Path, quick: bool) -> Shown:
    """Too few open files for the workers: what was made stays, and the same command goes on."""
    import subprocess
    import sys

    from benchmarks.faults.common import environment

    write(folder, "train.py", "def train(seed):\n    return 0.9\n")
    command = [
        sys.executable,
        "-m",
        "harness",
        "run",
        "train.py",
        "--seeds",
        "40",
        "--set",
        "invocations=40",
        "--workers",
        "40",
        "-q",
    ]
    limited = ["bash", "-c", 'ulimit -n 48; exec "$0" "$@"', *command]
    done = subprocess.run(
        limited, cwd=folder, env=environment(), capture_output=True, text=True, timeout=300, check=False
    )
    told = said(done, 5, "Too many open files")
    path = folder / "results/train/runs.csv"
    before = path.read_bytes() if path.exists() else b""
    said(cli("run", "train.py", "--seeds", 40, "--set", "invocations=2", "-q", cwd=folder), 0)
    expect(path.read_bytes().startswith(before), "rows were changed")
    return Shown(
        "no more open files (EMFILE)",
        "`ulimit -n 48`, 40 workers at a time",
        1,
        once(rows_of(path), ("train",), 40),
        excerpt(told, folder),
    )
