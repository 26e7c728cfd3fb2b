"""Trainers that fail in every way: each attempt is a row, the others finish, and the exit code says 5."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time

import pytest
from helpers import (
    ENVIRON,
    HARNESS,
    TRAIN,
    alive,
    counted,
    failed,
    rows_of,
    run_cli,
    says,
    shared,
    wait_until,
    write,
)  # fmt: skip

FAULTY = """\
import os
import random
import sys
import time


def train(seed, how="fine"):
    if how == "fine":
        return random.Random(seed).randrange(900, 1000), 1000
    if how == "raises":
        raise ArithmeticError("loss is, say, \\"odd\\"\\nsecond line\\0 of it")
    if how == "raises at length":
        raise ValueError("x" * 1_000_000)
    if how == "leaves":
        os._exit(3)
    if how == "sys.exit":
        print("last words of the trainer")
        sys.exit(4)
    if how == "hangs":
        time.sleep(60)
    answers = {
        "nan": float("nan"), "percentage": 94.0, "nothing": None, "text": "good", "pair": (11, 10), "half": (9.5, 10),
        "negative": -0.1, "empty": {}, "loss only": {"loss": 0.1}, "true": True,
    }
    return answers[how]
"""

SOFT = {
    "raises": 'ArithmeticError: loss is, say, "odd"',
    "raises at length": "characters left out",
    "nan": "an accuracy of nan",
    "percentage": "a fraction is wanted, not a percentage",
    "nothing": "the result is None; allowed is an accuracy in [0, 1]",
    "text": "'good', which is not a number",
    "pair": "correct=11, total=10; allowed is 0 <= correct <= total",
    "half": "correct is 9.5; it must be a whole number",
    "negative": "an accuracy of -0.1; it must lie between 0 and 1",
    "empty": "the result has nothing; allowed is",
    "loss only": "the result has loss; allowed is",
    "true": "the result is True",
}


def toml(*how: str) -> str:
    arms = "".join(f'[[arms]]\nname = "{h}"\n[arms.config]\nhow = "{h}"\n' for h in how)
    return f'trainer = "faulty.py"\ninvocations = 1\n{arms}'


@pytest.fixture(scope="module")
def soft(tmp_path_factory):
    """One campaign with an arm of each fault that a process survives, and one that is fine."""

    def make(folder):
        write(folder, "faulty.py", FAULTY)
        write(folder, "soft.toml", toml("fine", *SOFT))
        return run_cli("run", "soft.toml", "--seeds", 4, cwd=folder)

    folder, done = shared(tmp_path_factory, "soft", make)
    return folder, done, rows_of(folder, "soft")


def test_the_others_finish(soft):
    _, done, rows = soft
    says(done, 5, "Some runs could not be had", "nan: 4 of 4 missing", "columns status and error", "same command again")
    assert "fine" not in done.stderr.partition("Some runs could not be had")[2].partition("was given up")[0]
    assert len(counted(rows, "fine")) == len(counted(rows)) == 4


def test_a_run_that_fails_once_and_may_not_be_tried_again_says_why(tmp_path):
    write(tmp_path, "faulty.py", FAULTY)
    write(tmp_path, "one.toml", toml("raises"))
    done = run_cli("run", "one.toml", "--seeds", 1, "--retries", 0, "-q", cwd=tmp_path)
    says(done, 5, "raises: 1 of 1 missing. raises failed: ", SOFT["raises"])


@pytest.mark.parametrize("how", SOFT)
def test_a_fault_is_a_row(soft, how):
    _, done, rows = soft
    mine = failed(rows, how)
    assert len(mine) == 3, "given up after three failures in a row"
    assert {row["status"] for row in mine} == {"crashed"}
    assert all(SOFT[how] in row["error"] for row in mine)
    assert SOFT[how] in done.stderr or how == "raises at length"
    assert all(row["correct"] == row["accuracy"] == row["time_s"] == "" for row in mine)
    assert f"{how} was given up" in done.stderr


def test_an_error_text_of_any_shape_is_one_readable_line(soft):
    folder, _, rows = soft
    error = failed(rows, "raises")[0]["error"]
    assert 'loss is, say, "odd" ⏎ second line of it' in error
    assert all(len(row["error"]) < 2100 for row in rows)
    text = (folder / "results/soft/runs.csv").read_text(encoding="utf-8")
    assert text.count("\n") == len(rows) + 1 and "\0" not in text


@pytest.mark.parametrize(
    ("how", "status", "words"),
    [
        ("leaves", "crashed", "the process ended without an answer (exit status 3)"),
        ("sys.exit", "crashed", "(exit status 4); it printed last: last words of the trainer"),
        ("hangs", "timeout", "no answer within"),
    ],
)
def test_a_fault_that_takes_the_process(how, status, words, cli_inside, tmp_path):
    write(tmp_path, "faulty.py", FAULTY)
    write(tmp_path, "hard.toml", toml("fine", how))
    done = cli_inside("run", "hard.toml", "--seeds", 1, "--retries", 0, "--set", "timeout_s=0.3")
    says(done, 5, f"{how}: 1 of 1 missing", f"{how} was given up", words)
    rows = rows_of(tmp_path, "hard")
    assert [(row["status"], words in row["error"]) for row in failed(rows, how)] == [(status, True)] * 3
    assert len(counted(rows, "fine")) == 1


def test_a_process_that_is_gone_is_not_waited_for(cli_inside, tmp_path):
    """Though a child that it forked still holds the pipe of its answers; the child goes with it."""
    source = """\
    import os
    import signal
    import time
    from pathlib import Path


    def train(seed):
        if not Path("child").exists():
            child = os.fork()
            if not child:
                time.sleep(100)
                os._exit(0)
            Path("child").write_text(str(child))
            os.kill(os.getpid(), signal.SIGKILL)
        return 0.9
    """
    write(tmp_path, "forks.py", textwrap.dedent(source))
    began = time.monotonic()
    says(cli_inside("run", "forks.py", "--seeds", 1, "--set", "timeout_s=60"), 0, "killed by signal 9")
    assert time.monotonic() - began < 30
    (lost,) = failed(rows_of(tmp_path, "forks"), "forks")
    assert (lost["status"], "the process ended without an answer (killed by signal 9)" in lost["error"]) == (
        "crashed",
        True,
    )
    assert wait_until(lambda: not alive(int((tmp_path / "child").read_text())))


def test_an_arm_that_only_fails_when_it_counts_is_given_up(cli_inside, tmp_path):
    """A warm-up that succeeds is no success."""
    write(tmp_path, "second.py", "def train(seed):\n    LEFT.pop()\n    return 0.9\n\n\nLEFT = [1]\n")
    done = cli_inside("run", "second.py", "--seeds", 9)
    says(done, 5, "second: 9 of 9 missing", "second was given up: IndexError: pop from empty list (second.py line 2).")
    source = "def train(seed):\n    LEFT.pop() if LEFT else os._exit(3)\n    return 0.9\n\n\nLEFT = [1]\n"
    write(tmp_path, "leaves.py", "import os\n\n\n" + source)
    done = cli_inside("run", "leaves.py", "--seeds", 9)
    says(done, 5, "leaves: 9 of 9 missing", "leaves was given up: the process ended without an answer (exit status 3).")
    for store in ("second", "leaves"):
        rows = rows_of(tmp_path, store)
        assert [row["status"] for row in rows if row["warmup"] == "false"] == ["crashed"] * 3


def test_output_without_end_is_neither_kept_nor_waited_for(tmp_path):
    write(
        tmp_path,
        "loud.py",
        "import sys\n\n\ndef train(seed):\n    for _ in range(200):\n        sys.stdout.write('x' * 2**20)\n    return 0.9\n",
    )
    program = (
        "import resource, subprocess, sys\n"
        "done = subprocess.run(sys.argv[1:], capture_output=True, text=True)\n"
        "sys.stdout.write(f'{done.returncode} {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss} {len(done.stdout)}')\n"
    )
    measured = subprocess.run(
        [sys.executable, "-c", program, *HARNESS, "run", "loud.py", "--seeds", "2", "--set", "invocations=1"],
        cwd=tmp_path, env=ENVIRON, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    code, kibibytes, characters = map(int, measured.stdout.split())
    assert code == 0 and characters < 2000
    assert kibibytes < 250 * 1024, "600 MB of output were held in memory"
    assert len(counted(rows_of(tmp_path, "loud"))) == 2


def test_a_function_whose_file_fails_at_import(cli, tmp_path):
    write(tmp_path, "train.py", "import no_such_module_anywhere\n\n" + TRAIN)
    done = cli("run", "train.py", "--seeds", 2)
    says(done, 5, "train: 2 of 2 missing", "ModuleNotFoundError", "'no_such_module_anywhere'", "(train.py line 1)")
    rows = rows_of(tmp_path, "train")
    assert [row["status"] for row in rows] == ["crashed"] * 3


COMMANDS = {
    "missing program": ('["no-such-program", "{seed}"]', "no program or folder 'no-such-program'"),
    "exit status": ('["sh", "-c", "echo almost; exit 7"]', "ended with exit status 7; it printed last: almost"),
    "standard error": (
        '["sh", "-c", "echo almost; echo no such dataset >&2; exit 2"]',
        "ended with exit status 2; it said on standard error: no such dataset",
    ),
    "no accuracy": ('["echo", "best: 0.9"]', "the last line of output is 'best: 0.9', which tells no accuracy"),
    "no output": ('["true"]', "the program printed nothing; print a last line such as"),
    "percentage": ('["echo", "94.0"]', "a fraction is wanted, not a percentage"),
}


@pytest.fixture(scope="module")
def commands(tmp_path_factory):
    """One campaign with an arm of each fault of a program."""

    def make(folder):
        arms = [f'[[arms]]\nname = "{n}"\n[arms.config]\nargv = {argv}\n' for n, (argv, _) in COMMANDS.items()]
        write(folder, "programs.toml", 'trainer = "command"\ninvocations = 1\n' + "".join(arms))
        return run_cli("run", "programs.toml", "--seeds", 1, "--retries", 0, cwd=folder)

    folder, done = shared(tmp_path_factory, "commands", make)
    return done, rows_of(folder, "programs")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_that_fails(commands, name):
    done, rows = commands
    says(done, 5, f"{name}: 1 of 1 missing")
    assert counted(rows) == []
    assert len(failed(rows, name)) == 2  # its warm-up and its run
    assert all(COMMANDS[name][1] in row["error"] for row in failed(rows, name))
    assert COMMANDS[name][1] in done.stderr


def test_a_run_that_crashes_once_is_tried_again(cli_inside, tmp_path):
    """Both rows are kept, and what its partner in the block did is not done twice."""
    source = """\
    import os
    from pathlib import Path


    def train(seed, crash=False):
        mark = Path(f"crashed-{seed}")
        if crash and seed % 4 == 1 and not mark.exists():
            mark.touch()
            os._exit(9) if seed % 8 == 1 else 1 / 0
        return 0.9
    """
    write(tmp_path, "once.py", "\n".join(line[4:] for line in source.splitlines()) + "\n")
    arms = '[[arms]]\nname = "a"\n[[arms]]\nname = "b"\n[arms.config]\ncrash = true\n'
    write(tmp_path, "once.toml", 'trainer = "once.py"\n' + arms)
    says(cli_inside("run", "once.toml", "--seeds", 12, "--set", "invocations=1"), 0)
    rows = rows_of(tmp_path, "once")
    for arm in "ab":
        assert sorted(int(row["replicate"]) for row in counted(rows, arm)) == list(range(12))
    crashed = [row for row in failed(rows, "b") if row["warmup"] == "false"]
    assert len(crashed) == 3 and failed(rows, "a") == []
    for row in crashed:
        again = next(r for r in counted(rows, "b") if r["seed"] == row["seed"])
        assert (row["attempt"], again["attempt"]) == ("1", "2")
    assert len({row["run_id"] for row in rows}) == len(rows)
