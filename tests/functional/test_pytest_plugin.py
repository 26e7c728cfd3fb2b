"""The fixture `gate` in a suite of its own, run by pytest as a user runs it."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from helpers import ENVIRON, says, three_arms, write

ROOT = Path(__file__).parents[2]

TESTS = """\
import pytest


def test_same(gate):
    judged = gate("theirs:a", "theirs:same", margin_pp=0.5)
    assert judged.comparisons[0].verdict == "pass"


def test_worse(gate):
    gate("theirs:a", "theirs:worse", margin_pp=0.5)


def test_open(gate):
    gate("theirs:a", "theirs:same", margin_pp=0.001)


def test_open_fails(gate):
    gate("theirs:a", "theirs:same", margin_pp=0.001, on_inconclusive="fail")


def test_open_passes(gate):
    gate("theirs:a", "theirs:same", margin_pp=0.001, on_inconclusive="pass")


def test_refused(gate):
    gate("theirs:a", "theirs:same", margin_pp=0.5, max_slowdown=0.01)


def test_two_of_which_one_is_worse(gate):
    gate("theirs:a", "theirs:same", "theirs:worse", margin_pp=0.5)


def test_no_store(gate):
    gate("thers:a", "theirs:same", margin_pp=0.5)


def test_wrong_word(gate):
    gate("theirs:a", "theirs:same", margin_pp=0.5, on_inconclusive="skp")


def test_frames(gate):
    from harness import load

    runs = load("theirs")
    gate(runs[runs.arm == "a"], runs[runs.arm == "same"], margin_pp=0.5)


def test_a_name_that_turns_the_terminal(gate):
    from harness import load

    runs = load("theirs")
    gate(runs[runs.arm == "a"], runs[runs.arm == "worse"].assign(arm="\\x1b]0;title\\x07"), margin_pp=0.5)


def test_a_store_that_turns_the_terminal(gate):
    gate("theirs:a", "\\x1b]0;store\\x07", margin_pp=0.5)
"""


@pytest.fixture
def suite(cli_inside, tmp_path: Path) -> Path:
    """Three arms of 60 runs: one control, one like it, one a whole point worse."""
    write(tmp_path, "runs.csv", three_arms())
    says(cli_inside("import", "runs.csv", "--as", "theirs"), 0)
    write(tmp_path, "test_it.py", TESTS)
    write(tmp_path, "pytest.ini", "[pytest]\n")
    return tmp_path


def test_every_outcome_of_a_judgement(suite: Path) -> None:
    words = [
        sys.executable,
        "-m",
        "pytest",
        "-rA",
        "-p",
        "no:cacheprovider",
        "test_it.py",
    ]
    done = subprocess.run(words, cwd=suite, env=ENVIRON, capture_output=True, text=True, check=False)
    found = {
        name: state for state, name in re.findall(r"^(PASSED|FAILED) test_it\.py::(\w+)", done.stdout, re.MULTILINE)
    }
    assert {name for name, state in found.items() if state == "PASSED"} == {
        "test_same",
        "test_open_passes",
        "test_frames",
    }, done.stdout
    assert {name for name, state in found.items() if state == "FAILED"} == {
        "test_worse", "test_open_fails", "test_refused", "test_two_of_which_one_is_worse", "test_no_store", "test_wrong_word",
        "test_a_name_that_turns_the_terminal", "test_a_store_that_turns_the_terminal",
    }, done.stdout  # fmt: skip
    assert "1 skipped" in done.stdout and "GATE: INCONCLUSIVE" in done.stdout
    assert "GATE: FAIL" in done.stdout and "GATE: REFUSED" in done.stdout and "vs control" in done.stdout, (
        "the table is the message"
    )
    assert "Did you mean 'theirs'?" in done.stdout and "on_inconclusive is 'skp'" in done.stdout
    assert "\x1b" not in done.stdout and "\\x1b]0;title\\x07" in done.stdout and "\\x1b]0;store" in done.stdout
    assert "harness/pytest_plugin.py" not in done.stdout, "the fixture's own lines are no part of the message"


def test_it_is_found_by_its_entry_point_and_costs_nothing() -> None:
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    assert points == {"harness": "harness.pytest_plugin"}
    probe = """
import sys, pytest
before = set(sys.modules)
import harness.pytest_plugin
print(sorted(name for name in set(sys.modules) - before if not name.startswith("harness")))
"""
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
