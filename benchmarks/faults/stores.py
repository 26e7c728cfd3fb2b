"""Stores that somebody edited by hand, and numbers that no run can have: named with line and value, or read as they were meant."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

from benchmarks.faults.common import (
    TRAIN,
    Shown,
    cli,
    counted,
    excerpt,
    expect,
    fault,
    inside,
    once,
    rows_of,
    said,
    write,
)

SEEDS = 4
ARMS = '[[arms]]\nname = "a"\n[[arms]]\nname = "b"\n[arms.config]\nlr = 0.2\n'
RUN = ("run", "exp.toml", "--seeds", SEEDS, "--set", "invocations=1", "-q")


def made(folder: Path) -> Path:
    """A store of two arms, as `harness run` makes it; the folder that holds it."""
    home = folder / "made"
    if not home.exists():
        home.mkdir()
        write(home, "train.py", TRAIN)
        write(home, "exp.toml", 'trainer = "train.py"\nmargin_pp = 1\n' + ARMS)
        said(cli(*RUN, cwd=home), 0)
    return home


def copied(folder: Path, name: str) -> tuple[Path, Path]:
    """A copy to be spoilt, and its runs.csv."""
    place = folder / name
    shutil.copytree(made(folder), place)
    return place, place / "results/exp/runs.csv"


def cells(path: Path, line: int, column: str, text: str) -> None:
    """Change one cell, as an editor would: line 1 is the header."""
    lines = path.read_text().split("\n")
    fields = lines[line - 1].split(",")
    fields[lines[0].split(",").index(column)] = text
    lines[line - 1] = ",".join(fields)
    path.write_text("\n".join(lines))


HARMLESS: dict[str, Callable[[bytes], bytes]] = {
    "CRLF line ends": lambda data: data.replace(b"\n", b"\r\n"),
    "a BOM": lambda data: b"\xef\xbb\xbf" + data,
    "columns reordered": lambda data: _reordered(data),
    "every cell quoted": lambda data: b'"' + data[:-1].replace(b",", b'","').replace(b"\n", b'"\n"') + b'"\n',
    "a column of one's own": lambda data: b"\n".join(
        line + (b",note" if i == 0 else b",mine") for i, line in enumerate(data[:-1].split(b"\n"))
    ) + b"\n",
}  # fmt: skip


def _reordered(data: bytes) -> bytes:
    return b"\n".join(b",".join(reversed(line.split(b","))) for line in data[:-1].split(b"\n")) + b"\n"


@fault
def edits_that_change_nothing(folder: Path, quick: bool) -> Shown:
    lost = 0
    for number, (what, edit) in enumerate(HARMLESS.items()):
        place, path = copied(folder, str(number))
        path.write_bytes(edit(path.read_bytes()))
        said(inside("compare", "exp", cwd=place), 0)
        done = cli("run", "exp.toml", "--seeds", SEEDS + 1, "--set", "invocations=1", "-q", cwd=place)
        expect(done.returncode == 0, f"{what}: {done.stderr}")
        lost += once(rows_of(path), ("a", "b"), SEEDS + 1)
    return Shown(
        "edited: what changes nothing",
        ", ".join(HARMLESS),
        len(HARMLESS),
        lost,
        "nothing: it is compared and topped up",
    )


DAMAGE: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "a quote left open at the end of a line": (lambda p: _in_line(p, 4, lambda text: text.rpartition(",")[0] + ',"open'), ("line 4",
    "a quote is left open")),
    "a quote left open in the last line": (lambda p: _in_line(p, -2, lambda text: text.rpartition(",")[0] + ',"open'),
    ("a quote is left open",)),
    "a quote left open in the middle": (lambda p: cells(p, 5, "error", '"open'), ("line 5", "a quote is left open")),
    "a cell too few": (lambda p: _in_line(p, 3, lambda text: text.rpartition(",")[0]), ("line 3", "fields where the header has")),
    "a NUL in a number": (lambda p: cells(p, 6, "correct", "9\0"), ("line 6", "'correct'", "allowed is a whole number")),
    "a word for a number": (lambda p: cells(p, 6, "time_s", "fast"), ("line 6", "'time_s'", "'fast'")),
    "an accuracy of 940": (lambda p: [cells(p, 6, c, t) for c, t in (("accuracy", "940"), ("correct", ""), ("total", ""))] and None,
    ("line 6", "940")),
    "bytes that are no text": (lambda p: p.write_bytes(p.read_bytes().replace(b"completed", b"\xff\xfe", 1)), ("not UTF-8",)),
    "no header": (lambda p: p.write_bytes(p.read_bytes().partition(b"\n")[2]), ()),
    "an empty line": (lambda p: _in_line(p, 4, lambda text: text + "\n"), ("line 5",)),
}  # fmt: skip


def _in_line(path: Path, line: int, edit: Callable[[str], str]) -> None:
    lines = path.read_text().split("\n")
    lines[line - 1 if line > 0 else line] = edit(lines[line - 1 if line > 0 else line])
    path.write_text("\n".join(lines))


@fault
def edits_that_spoil_a_row(folder: Path, quick: bool) -> Shown:
    """Named with its line wherever it is read; nothing of the file is changed, no run is made on top of it."""
    told, lost = "", 0
    for number, (what, (edit, words)) in enumerate(DAMAGE.items()):
        place, path = copied(folder, str(number))
        edit(path)
        before = path.read_bytes()
        done = inside("compare", "exp", cwd=place)
        expect(
            done.returncode in (2, 4) and "internal error" not in done.stderr, f"{what}: {done.stderr or done.stdout}"
        )
        for word in words:
            expect(word in done.stderr, f"{what}: {word!r} is not in {done.stderr}")
        again = inside("run", "exp.toml", "--seeds", SEEDS + 1, "-q", cwd=place)
        expect("internal error" not in again.stderr, f"{what}: {again.stderr}")
        lost += path.read_bytes()[: len(before)] != before
        told = done.stderr if "quote" in done.stderr and not told else told
    return Shown("edited: what spoils a row", ", ".join(DAMAGE), len(DAMAGE), lost, excerpt(told, folder))


@fault
def rows_that_are_deleted(folder: Path, quick: bool) -> Shown:
    """A row that somebody took out is a run that is missing: it is made again, on its own seed."""
    lost = times = 0
    for line in (2, 4, 7)[: 1 if quick else 3]:
        place, path = copied(folder, str(line))
        lines = path.read_text().split("\n")
        gone = dict(zip(lines[0].split(","), lines.pop(line + 1).split(","), strict=True))
        path.write_text("\n".join(lines))
        said(cli(*RUN, cwd=place), 0)
        rows = rows_of(path)
        lost += once(rows, ("a", "b"), SEEDS)
        expect(
            any(r["seed"] == gone["seed"] and r["arm"] == gone["arm"] for r in counted(rows)), "another seed was taken"
        )
        times += 1
    return Shown(
        "edited: a row deleted",
        "one row, then the same `run` again",
        times,
        lost,
        "nothing: the run is made again, on its own seed",
    )


@fault
def cells_that_are_changed(folder: Path, quick: bool) -> Shown:
    told = ""
    changes = {"accuracy": "0.5", "config_hash": "0" * 12, "run_id": "", "replicate": "1"}
    for column, text in changes.items():
        place, path = copied(folder, column)
        cells(path, 5, column, text)
        done = inside("verify", "exp", "--no-rerun", cwd=place)
        expect(
            "no problems" not in done.stdout and "internal error" not in done.stderr,
            f"{column}: {done.stdout}{done.stderr}",
        )
        told = done.stdout if column == "accuracy" else told
    return Shown(
        "edited: a cell changed",
        f"{', '.join(changes)}; `harness verify` looks",
        len(changes),
        0,
        excerpt(told.partition("\n")[2], folder),
    )


NUMBERS = (
    "1e400",
    "-1e400",
    "nan",
    "inf",
    "-inf",
    "9" * 5000,
    "-" + "9" * 400,
    "0x10",
    "1_0",
    "٣",
    "1e-400",
    "+0",
    "1.0000000000000001",
    " 5 ",
    "5L",
)


@fault
def numbers_that_are_none(folder: Path, quick: bool) -> Shown:
    times, told = 0, ""
    for column in ("seed", "correct", "accuracy", "time_s", "steps", "block", "loss", "peak_memory_bytes"):
        for text in NUMBERS[:: 3 if quick else 1]:
            row = {"seed": "1", "accuracy": "0.5"} | {column: text}
            row |= {"total": "10"} if column == "correct" else {}
            place = folder / str(times)
            write(place, "in.csv", ",".join(row) + "\n" + ",".join(row.values()) + "\n")
            done = inside("import", "in.csv", "--as", "there", cwd=place)
            expect(
                done.returncode in (0, 2, 4) and "internal error" not in done.stderr,
                f"{column}={text[:20]}: {done.stderr}",
            )
            told = done.stderr if (column, text) == ("seed", "1e400") else told
            if done.returncode == 0:
                for command in (
                    ("show", "there"),
                    ("verify", "there", "--no-rerun"),
                    ("export", "there", "-o", "out.jsonl"),
                    ("compare", "there", "there"),
                ):
                    after = inside(*command, cwd=place)
                    expect("internal error" not in after.stderr, f"{column}={text[:20]}: {command}: {after.stderr}")
                from harness.errors import HarnessError
                from harness.store.frames import read_dataframe
                from harness.store.read import open_store

                with contextlib.suppress(HarnessError):
                    read_dataframe(open_store(place / "results", "there"))
            times += 1
    return Shown(
        "numbers without end or sense",
        "huge, tiny, infinite, NaN, other digits, in eight columns of an import",
        times,
        0,
        excerpt(told, folder),
    )


@fault
def a_line_of_100_mb(folder: Path, quick: bool) -> Shown:
    """As an error text in a row, as an unfinished line, and as a cell of an import."""
    from harness.logger import ExperimentLogger
    from harness.store.read import read_table

    size = 10**7 if quick else 10**8
    with ExperimentLogger("s", results=folder) as logger:
        logger.log(seed=1, accuracy=0.5)
        logger.log(seed=2, status="crashed", error="x" * size)
    path = folder / "s/runs.csv"
    with path.open("ab") as file:
        file.write(b"y" * size)
    expect(read_table(path, "s").torn == size, "the unfinished line was not counted")
    with ExperimentLogger("s", results=folder) as logger:
        logger.log(seed=3, accuracy=0.5)
        told = logger.repairs[0]
    rows = rows_of(path)
    write(folder, "in.csv", f'seed,accuracy,error\n1,0.5,"{"z" * size}"\n')
    said(inside("import", "in.csv", "--as", "there", "--results", ".", cwd=folder), 0)
    said(inside("list", "--results", ".", cwd=folder), 0)
    return Shown(
        f"a line of {size // 10**6} MB", "an error text, an unfinished last line, a cell of an import", 3,
        2 - len([r for r in rows if r["accuracy"]]),
        excerpt(told, folder),
    )  # fmt: skip


DESCRIPTIONS = (
    "", "{", "[]", "null", '{"arms": 5}', '{"arms": [null]}', '{"arms": [{}]}', '{"arms": [{"name": 5}]}',
    '{"arms": [{"name": "a", "config": 7}]}',
    '{"sequential": 7}', '{"sequential": {"confirm": 7}}', '{"not_run": ["a"]}', '{"ladder": 3}', '{"alpha": "small"}', '{"target": [1]}',
    '{"margin_pp": NaN}', '{"seed_slot": -1}', '{"seed_slot": 1e99}', '{"claim": 1}', '{"name": {}}', "[" * 100_000, '{"seed_slot": true}',
)  # fmt: skip


@fault
def descriptions_that_are_none(folder: Path, quick: bool) -> Shown:
    """experiment.json, written over by hand: every command says which file, none takes it for something else."""
    told = ""
    place, path = copied(folder, "spoilt")
    runs = path.read_bytes()
    commands = [
        ("compare", "exp"),
        ("show", "exp"),
        ("list",),
        ("run", "exp.toml", "--seeds", SEEDS, "-q"),
        ("plan", "exp"),
        ("verify", "exp", "--no-rerun"),
    ]
    for text in DESCRIPTIONS:
        for command in commands:
            (place / "results/exp/experiment.json").write_text(text)
            done = inside(*command, cwd=place)
            expect("internal error" not in done.stderr, f"{text[:40]}: {command}: {done.stderr}")
            expect(done.returncode in (0, 2, 4), f"{text[:40]}: {command}: exit {done.returncode}")
            told = done.stderr if text == '{"arms": [null]}' and command[0] == "compare" else told
    expect(path.read_bytes() == runs, "rows were changed")
    ledgers = (
        "{",
        "[1]",
        "7",
        '{"event": "look", "n": "x"}',
        '{"event": "plan"}',
        "[" * 100_000,
        "\u2028",
        '{"event": "stage-decision"}',
        "\ud800".encode("utf-8", "backslashreplace").decode(),
    )
    shutil.copy(made(folder) / "results/exp/experiment.json", place / "results/exp/experiment.json")
    for text in ledgers:
        (place / "results/exp/ledger.jsonl").write_text(text + "\n")
        for command in commands:
            done = inside(*command, cwd=place)
            expect("internal error" not in done.stderr, f"ledger {text[:40]}: {command}: {done.stderr}")
    expect(json.loads((place / "results/exp/experiment.json").read_text())["arms"], "the description was changed")
    return Shown(
        "experiment.json and the ledger, edited",
        f"{len(DESCRIPTIONS)} descriptions and {len(ledgers)} ledgers, {len(commands)} commands each",
        (len(DESCRIPTIONS) + len(ledgers)) * len(commands), 0, excerpt(told, folder),
    )  # fmt: skip
