"""What every fault has in common: a name, what was tried and how often, the completed runs that were lost, what the user saw."""

from __future__ import annotations

import contextlib
import csv
import ctypes
import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TRAIN = """\
import random


def train(seed, lr=0.1):
    return random.Random(seed).randrange(900, 1000), 1000
"""
MOST_SEEN = 220


@dataclass(frozen=True)
class Shown:
    """One line of the table. `lost`: completed runs that were acknowledged and are no longer there."""

    fault: str
    tried: str
    times: int
    lost: int
    seen: str


Fault = Callable[[Path, bool], Shown]
"""Makes the fault in an empty folder; `quick` is a part of the places where it could strike."""

GROUPS: dict[str, dict[str, Fault]] = {}


def fault(function: Fault) -> Fault:
    """Register a fault under its function's name, in the group of its module."""
    group = function.__module__.rpartition(".")[2]
    GROUPS.setdefault(group, {})[function.__name__] = function
    return function


def expect(holds: object, what: str) -> None:
    """What must hold of a fault, else the benchmark ends here."""
    if not holds:
        raise AssertionError(what)


def excerpt(text: str, *folders: Path) -> str:
    """A message as the table shows it: on one line, without the places of this machine."""
    for folder in folders:
        text = text.replace(f"{folder}/", "").replace(str(folder), ".")
    text = " ".join(text.split())
    return text if len(text) <= MOST_SEEN else text[: text.rfind(" ", 0, MOST_SEEN)] + " …"


def said(done: subprocess.CompletedProcess[str], code: int, *words: str) -> str:
    """The last message on standard error; exit code and words must be these, and nothing may be called a defect."""
    told = done.stderr.strip()
    expect(done.returncode == code, f"exit {done.returncode}, not {code}: {done.args}\n{done.stdout}\n{told}")
    expect("Traceback" not in told and "internal error" not in told, told)
    flat = " ".join(told.split())
    for word in words:
        expect(word in flat, f"{word!r} is not in: {flat}")
    return told[told.rfind("harness: ") :] if "harness: " in told else told


def cli(
    *arguments: object, cwd: Path, timeout: float = 300.0, bound: bool = False, **environ: str
) -> subprocess.CompletedProcess[str]:
    """`harness ARGUMENTS` as a process of its own; `bound` by permissions, also where the administrator is not."""
    return subprocess.run(
        [sys.executable, "-m", "harness", *map(str, arguments)], cwd=cwd, env=environment(environ), capture_output=True, text=True,
        errors="replace", timeout=timeout, check=False, preexec_fn=_bind_to_permissions if bound else None,
    )  # fmt: skip


def _bind_to_permissions() -> None:
    """Give up what lets an administrator pass over permissions: CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH."""
    for capability in (1, 2):
        ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    path = os.pathsep.join(p for p in (str(ROOT), os.environ.get("PYTHONPATH")) if p)
    kept = {k: v for k, v in os.environ.items() if k not in ("HARNESS_DEBUG", "HARNESS_NO_PATCH")}
    return kept | {"NO_COLOR": "1", "PYTHONPATH": path} | dict(more or {})


def inside(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The same without a process start."""
    import harness.cli

    out, err = io.StringIO(), io.StringIO()
    with _folder(cwd), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = harness.cli.run_cli([str(argument) for argument in arguments])
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def _folder(path: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(path)
    try:
        yield
    finally:
        os.chdir(before)


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def rows_of(path: Path) -> list[dict[str, str]]:
    """Every row of a file, strictly: whole lines, each of the header's width."""
    data = path.read_bytes()
    expect(data.endswith(b"\n"), f"{path}: the last line is torn")
    header, *body = csv.reader(data.decode("utf-8-sig").split("\n")[:-1], strict=True)
    expect(all(len(row) == len(header) for row in body), f"{path}: a row has another width than the header")
    return [dict(zip(header, row, strict=True)) for row in body]


def counted(rows: list[dict[str, str]], arm: str | None = None) -> list[dict[str, str]]:
    """The completed runs that count."""
    return [r for r in rows if (r["status"], r["warmup"]) == ("completed", "false") and arm in (None, r["arm"])]


def once(rows: list[dict[str, str]], arms: tuple[str, ...], seeds: int) -> int:
    """How many of the runs that were asked for are missing; a replicate that stands twice is an error."""
    missing = 0
    for arm in arms:
        found = sorted(int(row["replicate"]) for row in counted(rows, arm))
        expect(len(found) == len(set(found)), f"{arm}: a replicate stands twice: {found}")
        missing += len(set(range(seeds)) - set(found))
    return missing
