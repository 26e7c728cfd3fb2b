"""What the tests of the commands share: the program as a real process, small trainers, stores read back."""

from __future__ import annotations

import csv
import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

HARNESS = (sys.executable, "-m", "harness")
ENVIRON = {k: v for k, v in os.environ.items() if k != "HARNESS_DEBUG"} | {"NO_COLOR": "1"}

TRAIN = """\
import random


def train(seed, lr=0.1, steps=10):
    draw = random.Random(seed)
    for _ in range(steps):
        draw.random()
    return sum(draw.random() < 0.9 for _ in range(1000)), 1000
"""

SLOW = """\
import random
import time


def train(seed, pause=0.01):
    time.sleep(pause)
    return random.Random(seed).randrange(900, 1000), 1000
"""

RANGED = """\
import random
from dataclasses import dataclass
from pathlib import Path

from harness.trainer import Outcome, knob


@dataclass(frozen=True)
class Rate:
    start: float = knob(0.2, low=0.0, high=1.0)
    end: float = knob(0.1, low=0.0, high=1.0)


@dataclass(frozen=True)
class Config:
    epochs: int = knob(2, compute=True, low=1, high=50)
    kind: str = knob("plain", choices=("plain", "nesterov"))
    lr: Rate = knob(Rate())


class Ranged:
    name = "ranged"
    Config = Config
    clock = "training"
    sources = (Path(__file__),)
    libraries = ()
    environ = {}
    own_process = False

    def prepare(self, config):
        return "data-1"

    def train(self, config, *, seed, clock):
        with clock.running():
            return random.Random(f"{seed} {config.lr.end} {config.epochs}").randrange(900, 1000)

    def evaluate(self, trained, config, *, clock):
        return Outcome(correct=trained, total=1000, steps=config.epochs)


TRAINER = Ranged()
"""


def three_arms() -> str:
    """A CSV of 60 runs an arm: a control `a`, one with the `same` results in another order, one a whole point `worse`."""
    draw = random.Random(1)
    right = [round(draw.gauss(9400, 15)) for _ in range(60)]
    arms = {"a": right, "same": right[::-1], "worse": [n - 100 for n in right]}
    rows = [f"{arm},{seed},{n},10000" for arm, results in arms.items() for seed, n in enumerate(results)]
    return "\n".join(["arm,seed,correct,total", *rows]) + "\n"


def run_cli(*arguments: object, cwd: Path, timeout: float = 400.0, **environ: str) -> subprocess.CompletedProcess[str]:
    """`harness ARGUMENTS` in `cwd`, to its end."""
    return subprocess.run(
        [*HARNESS, *map(str, arguments)],
        cwd=cwd,
        env=ENVIRON | environ,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def start_cli(*arguments: object, cwd: Path) -> subprocess.Popen[str]:
    """`harness ARGUMENTS` as the leader of a session of its own, output left in `cwd`/output.txt."""
    with (cwd / "output.txt").open("w") as output:
        return subprocess.Popen(
            [*HARNESS, *map(str, arguments)],
            cwd=cwd,
            env=ENVIRON,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


def shared(
    factory: pytest.TempPathFactory, name: str, make: Callable[[Path], subprocess.CompletedProcess[str]]
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """What `make` leaves in a folder, made once, also where several test processes ask for it."""
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    folder, answer = root / name, root / f"{name}.json"
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not answer.exists():
            folder.mkdir()
            done = make(folder)
            answer.write_text(json.dumps([done.args, done.returncode, done.stdout, done.stderr]))
    return folder, subprocess.CompletedProcess(*json.loads(answer.read_text()))


def says(done: subprocess.CompletedProcess[str], code: int, *words: str) -> str:
    """Assert exit code and words of a message; return standard error. A traceback is never right."""
    assert done.returncode == code, f"exit {done.returncode}, not {code}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr + done.stdout
    assert "internal error" not in done.stderr
    flat = " ".join(done.stderr.split())
    for word in words:
        assert word in flat, f"{word!r} is not in: {done.stderr}"
    return done.stderr


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def rows_of(folder: Path, store: str, results: str = "results") -> list[dict[str, str]]:
    """Every row of a store, strictly: a known width, and a newline at the end of the file."""
    data = (folder / results / store / "runs.csv").read_bytes()
    assert data.endswith(b"\n"), "the last line is torn"
    lines = list(csv.reader(data.decode("utf-8").splitlines()))
    header, body = lines[0], lines[1:]
    assert all(len(row) == len(header) for row in body), "a row has another number of fields than the header"
    return [dict(zip(header, row, strict=True)) for row in body]


def counted(rows: list[dict[str, str]], arm: str | None = None) -> list[dict[str, str]]:
    """The completed runs that count."""
    return [
        row
        for row in rows
        if row["status"] == "completed" and row["warmup"] == "false" and (arm is None or row["arm"] == arm)
    ]


def failed(rows: list[dict[str, str]], arm: str) -> list[dict[str, str]]:
    return [row for row in rows if row["arm"] == arm and row["status"] != "completed"]


def ledger_of(folder: Path, store: str) -> list[dict[str, object]]:
    text = (folder / "results" / store / "ledger.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def children_of(pid: int) -> list[int]:
    """The living child processes of a process."""
    out = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(parent) == pid and state != "Z":
            out.append(int(stat.parent.name))
    return out


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition: Callable[[], object], seconds: float = 20.0) -> bool:
    """Whether `condition()` became true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.005)
    return False


def kill_session(process: subprocess.Popen[str]) -> None:
    """`kill -9` of the whole process group, as a scheduler or the kernel would."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
