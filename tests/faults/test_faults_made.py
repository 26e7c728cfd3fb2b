"""Every fault of `python -m benchmarks.faults`, at some of its places: nothing that was completed is lost, and it is said in words.

Each fault holds its own expectations and ends with an error where one of them fails; here stands what the table must show.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import ENVIRON

from benchmarks.faults.__main__ import MODULES
from benchmarks.faults.common import GROUPS

ROOT = Path(__file__).resolve().parents[2]
FAULTS = {
    "writing": {
        "kill_at_every_call": (20, "cut off and kept in ledger.jsonl"),
        "kill_at_every_line": (15, ""),
        "disk_fails": (20, "the disk or its server failed"),
        "disk_full_at_every_call": (20, "the disk is full"),
        "server_forgets_the_file": (20, "the disk or its server failed"),
        "no_locks": (20, "cannot be locked: No locks available"),
        "short_writes": (50, "it goes on"),
        "size_limit": (2, "File too large"),
        "delayed_rename": (50, "both go on"),
        "store_goes_away": (3, "was deleted, moved or replaced"),
        "links_and_devices": (16, "is a symbolic link"),
    },
    "campaigns": {
        "kill_the_campaign": (3, "goes on where it stopped"),
        "two_campaigns_at_once": (4, "another campaign is writing to this store"),
        "the_folder_is_deleted_under_way": (1, "was deleted, moved or replaced"),
        "the_clock_runs_backwards": (20, "a clock that only runs forward"),
        "import_is_killed": (3, "all rows are there, or none"),
        "what_is_not_committed": (2, "HARNESS_NO_PATCH is set"),
    },
    "system": {
        "kill_by_the_kernel": (0, ""),
        "a_folder_that_cannot_be_written": (8, "Permission denied"),
        "a_store_that_may_not_be_read": (18, "Permission denied"),
        "the_mask_of_new_files": (3, "077: 600"),
        "output_that_cannot_say_it": (6, ""),
    },
    "workers": {
        "answers_that_are_none": (40, "it must be a number; the process was killed"),
        "a_worker_that_lies_about_its_run": (10, "the row says what the driver knows"),
        "a_machine_without_room": (1, "Too many open files"),
    },
    "stores": {
        "edits_that_change_nothing": (5, "compared and topped up"),
        "edits_that_spoil_a_row": (10, "a quote is left open"),
        "rows_that_are_deleted": (1, "made again, on its own seed"),
        "cells_that_are_changed": (4, "is not correct/total"),
        "numbers_that_are_none": (40, "allowed is a whole number"),
        "a_line_of_100_mb": (3, "was cut off and kept in ledger.jsonl"),
        "descriptions_that_are_none": (150, "must be an object with a 'name'"),
    },
    "names": {
        "names_that_lead_away": (200, "cannot be a store"),
        "names_that_act_on_a_page": (200, "\\x1b[2J\\x1b]0;title\\x07"),
        "names_that_are_formulas": (20, "'=cmd"),
        "a_trainer_that_talks_to_the_terminal": (1, "caf\\udce9"),
    },
}


SLOW = {
    "kill_the_campaign", "two_campaigns_at_once", "import_is_killed", "what_is_not_committed", "kill_by_the_kernel",
    "a_folder_that_cannot_be_written", "a_store_that_may_not_be_read", "output_that_cannot_say_it", "answers_that_are_none",
    "edits_that_change_nothing",
}  # fmt: skip
"""Those that take more than four seconds: a dozen processes each."""


def _cases() -> list[object]:
    pairs = [(group, name) for group, faults in FAULTS.items() for name in faults]
    return [pytest.param(*pair, marks=[pytest.mark.slow] if pair[1] in SLOW else []) for pair in pairs]


@pytest.mark.parametrize(("group", "name"), _cases())
def test_nothing_completed_is_lost(group, name):
    command = [sys.executable, "-m", "benchmarks.faults", "--quick", "--json", "--only", name, group]
    done = subprocess.run(command, cwd=ROOT, env=ENVIRON, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)[name]
    times, words = FAULTS[group][name]
    assert shown["lost"] == 0
    assert shown["times"] >= times, "too few places: this shows nothing"
    assert words in shown["seen"]


def test_every_fault_stands_here():
    for group in MODULES:
        importlib.import_module(f"benchmarks.faults.{group}")
        assert list(GROUPS[group]) == list(FAULTS[group])


@pytest.mark.slow
def test_every_place_of_every_fault(tmp_path):
    """The table of docs/faults.md, made anew."""
    page = tmp_path / "faults.md"
    page.write_text("<!-- table -->\n<!-- end of table -->\n")
    command = [sys.executable, "-m", "benchmarks.faults", "--write", str(page)]
    done = subprocess.run(command, cwd=ROOT, env=ENVIRON, capture_output=True, text=True, timeout=3000, check=False)
    assert done.returncode == 0, done.stderr
    lines = [line for line in page.read_text().splitlines() if line.startswith("| ")][1:]
    assert len(lines) == sum(map(len, FAULTS.values()))
    assert {line.split(" | ")[3] for line in lines} == {"0"}
