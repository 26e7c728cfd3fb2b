"""Appending rows: from many processes at once, over torn ends, and onto a full disk."""

from __future__ import annotations

import csv
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import SLOW, counted, rows_of, run_cli, says, write

from harness.errors import StoreError
from harness.logger import ExperimentLogger
from harness.store.append import CampaignLock, LineFile
from harness.store.read import read_table

PROCESSES, ROWS = 8, 500
WRITER = """\
import sys
from harness import ExperimentLogger

number = int(sys.argv[1])
with ExperimentLogger("shared", results=sys.argv[2]) as logger:
    print("ready", flush=True)
    sys.stdin.readline()
    for seed in range(int(sys.argv[3])):
        logger.log(arm=f"arm, {number}", seed=seed, correct=seed, total=1000, error=f'"{number}"\\nline, two')
"""


def test_eight_processes_append_at_once(tmp_path):
    """Every row is there, whole and once; the header stands once, at the top."""
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(n), str(tmp_path), str(ROWS)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for n in range(PROCESSES)
    ]  # fmt: skip
    for writer in writers:
        assert writer.stdout is not None and writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=120)
        assert writer.returncode == 0
    lines = (tmp_path / "shared/runs.csv").read_bytes().split(b"\n")
    assert len(lines) == PROCESSES * ROWS + 2 and lines[-1] == b""
    rows = rows_of(tmp_path, "shared", results=".")
    assert len(rows) == len({row["run_id"] for row in rows}) == PROCESSES * ROWS
    assert {(row["arm"], row["seed"]) for row in rows} == {
        (f"arm, {n}", str(s)) for n in range(PROCESSES) for s in range(ROWS)
    }
    assert all(row["error"] == f'"{row["arm"][5:]}" ⏎ line, two' for row in rows)
    arms = [row["arm"] for row in rows]
    assert sum(a != b for a, b in itertools.pairwise(arms)) > 2 * PROCESSES, "they did not write at once"
    assert not (tmp_path / "shared/ledger.jsonl").read_text(), "nothing was torn"


@pytest.mark.parametrize("fragment", [b"x", b'r9,a,"half of\nit', b"\xff\xfe", b"y" * 200_000])
def test_a_torn_end_is_cut_off_and_told(tmp_path, fragment):
    path = tmp_path / "lines"
    path.write_bytes(b"head\none\n" + fragment)
    told: list[bytes] = []
    file = LineFile(path, header=b"head\n", on_torn=told.append)
    file.append(b"two\n")
    last = fragment.rpartition(b"\n")[2]
    kept = fragment[: len(fragment) - len(last)]
    assert path.read_bytes() == b"head\none\n" + kept + b"two\n" and told == [last]
    file.append(b"three\n")
    assert told == [last]
    file.close()


def test_a_torn_header_is_written_again(tmp_path):
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn/runs.csv").write_bytes(b"run_id,exp")
    with ExperimentLogger("torn", results=tmp_path) as logger:
        logger.log(seed=1, accuracy=0.5)
    assert len(rows_of(tmp_path, "torn", results=".")) == 1
    assert "'run_id,exp'" not in str(logger.repairs) and "(10 bytes" in logger.repairs[0]
    entry = json.loads((tmp_path / "torn/ledger.jsonl").read_text())
    assert (entry["event"], entry["fragment"]) == ("repair", "run_id,exp")


@pytest.mark.parametrize(
    "text", ["a\nb", "a\r\nb", "a, b", 'say "x"', "nul\0byte", "\u2028para", "ü ⏎ 🙂", "'; --", " pad "]
)
def test_any_text_is_one_line_and_comes_back(tmp_path, text):
    with ExperimentLogger("odd", results=tmp_path) as logger:
        logger.log(seed=1, status="crashed", error=text)
        logger.log(seed=2, accuracy=0.5)
    data = (tmp_path / "odd/runs.csv").read_bytes()
    assert data.count(b"\n") == 3 and b"\0" not in data and b"\r" not in data
    table = read_table(tmp_path / "odd/runs.csv", "odd")
    expected = text.replace("\r\n", " ⏎ ").replace("\n", " ⏎ ").replace("\u2028", " ⏎ ").replace("\0", "")
    assert table.rows == 2 and table.text("error") == [expected, ""]
    assert next(csv.DictReader(data.decode().splitlines()))["error"] == expected


def test_an_error_text_of_a_megabyte_does_not_lock_the_store(tmp_path):
    with ExperimentLogger("long", results=tmp_path) as logger:
        logger.log(seed=1, status="crashed", error="x" * 1_000_000)
    assert len(read_table(tmp_path / "long/runs.csv", "long").text("error")[0]) == 1_000_000


def test_one_campaign_at_a_time(tmp_path):
    lock = CampaignLock(tmp_path / "store")
    with pytest.raises(StoreError, match=rf"another campaign .*process {os.getpid()}"):
        CampaignLock(tmp_path / "store")
    lock.release()
    lock.release()
    CampaignLock(tmp_path / "store").release()


def test_where_nothing_can_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        LineFile(tmp_path / "file" / "runs.csv")
    with pytest.raises(StoreError, match="cannot be written"):
        CampaignLock(tmp_path / "file")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KiB, where this user may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    ) if os.geteuid() == 0 else None  # fmt: skip
    if mounted is None or mounted.returncode != 0:
        pytest.skip("a full disk needs a small tmpfs, and this user may not mount one")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path, leave: int) -> Path:
    """Fill the disk but for some bytes."""
    path = folder / "ballast"
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            file.truncate(max(0, file.tell() - leave))
    return path


def test_a_row_onto_a_full_disk_leaves_the_file_as_it_was(small_disk):
    with ExperimentLogger("full", results=small_disk) as logger:
        logger.log(seed=0, accuracy=0.5)
        ballast = fill(small_disk, leave=0)
        written = 1
        with pytest.raises(StoreError, match=r"the disk is full.*same command again"):
            for seed in range(1, 500):
                logger.log(seed=seed, accuracy=0.5)
                written += 1
        assert len(rows_of(small_disk, "full", results=".")) == written
        ballast.unlink()
        logger.log(seed=999, accuracy=0.5)
    assert len(rows_of(small_disk, "full", results=".")) == written + 1


@pytest.mark.parametrize("leave", [0, 32768])
def test_a_campaign_on_a_full_disk_ends_and_goes_on(small_disk, tmp_path, leave):
    write(tmp_path, "slow.py", SLOW)
    command = ("run", "slow.py", "--seeds", 120, "--set", "pause=0.0", "--set", "invocations=1", "--results", "disk")
    ballast = fill(small_disk, leave)
    done = run_cli(*command, cwd=tmp_path)
    says(done, 4, "disk", "space")
    runs = small_disk / "slow/runs.csv"
    before = runs.read_bytes() if runs.exists() else b""
    if leave:
        assert 0 < len(rows_of(tmp_path, "slow", results="disk")) < 121
    else:
        assert before == b""
    ballast.unlink()
    says(run_cli(*command, cwd=tmp_path), 0)
    assert runs.read_bytes().startswith(before)
    assert sorted(int(r["replicate"]) for r in counted(rows_of(tmp_path, "slow", results="disk"))) == list(range(120))
