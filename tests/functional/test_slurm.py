"""The Slurm executor: the conformance suite through submitit's own clusters, and the scripts that Slurm would get."""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import subprocess
from typing import ClassVar

import pytest
from helpers import RANGED, counted, kill_session, ledger_of, rows_of, run_cli, says, start_cli, wait_until, write

import harness.executors.slurm as slurm_executor
from harness.cli import run_cli as run_in_process
from harness.executors.base import Executor
from harness.executors.slurm import SlurmExecutor
from harness.testing import ExecutorChecks

pytestmark = pytest.mark.reach


class TestDebug(ExecutorChecks):
    """submitit's `debug`: the element runs in this process."""

    stores_before_next: ClassVar[bool] = False
    streams: ClassVar[bool] = False

    def executor(self) -> Executor:
        executor = SlurmExecutor()
        executor.settings = {"cluster": "debug"}
        return executor


class TestLocalProcesses(ExecutorChecks):
    """submitit's `local`: the element is a process of its own, that outlives whoever submitted it."""

    stores_before_next: ClassVar[bool] = False

    def executor(self) -> Executor:
        executor = SlurmExecutor()
        executor.settings = {"cluster": "local"}
        return executor


@functools.lru_cache
def slurm_is_here() -> bool:
    """Whether a Slurm answers on this machine, with a node that is up."""
    if shutil.which("sinfo") is None:
        return False
    try:
        done = subprocess.run(["sinfo", "-h", "-o", "%t"], capture_output=True, text=True, check=False, timeout=10)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0 and any(state in done.stdout for state in ("idle", "mix", "alloc"))


@pytest.fixture
def slurm() -> None:
    if not slurm_is_here():
        pytest.skip("needs a Slurm on this machine (docs/scale.md says how one is started for a try)")


@pytest.mark.usefixtures("slurm")
class TestSlurm(ExecutorChecks):
    """A real Slurm: an array of jobs, each with the node to itself."""

    stores_before_next: ClassVar[bool] = False
    patience_s = 30.0

    def executor(self) -> Executor:
        executor = SlurmExecutor()
        executor.settings = {"poll": "0.2", "minutes": "5"}
        return executor


PAUSED = """\
import random
import time


def train(seed, pause=0.3):
    time.sleep(pause)
    return random.Random(seed).randrange(900, 1000), 1000
"""

ARMS = 'trainer = "paused.py"\nclaim = "accurate"\n[[arms]]\nname = "a"\n[[arms]]\nname = "b"\n'
OPTIONS = ("--executor", "slurm", "--executor-option", "poll=0.2", "--executor-option", "minutes=5")


@pytest.fixture
def paused(tmp_path):
    write(tmp_path, "paused.py", PAUSED)
    write(tmp_path, "p.toml", ARMS)
    return tmp_path


def spooled(folder) -> int:
    """Lines that jobs have written so far."""
    return sum(path.read_bytes().count(b"\n") for path in (folder / "results/p/spool").glob("*/*.jsonl"))


def queue() -> list[str]:
    asked = ["squeue", "-h", "-r", "-t", "RUNNING", "-n", "harness-p", "-o", "%A"]
    done = subprocess.run(asked, capture_output=True, text=True, check=True)
    return done.stdout.split()


def is_complete(folder, seeds: int) -> list[dict[str, str]]:
    rows = rows_of(folder, "p")
    for arm in "ab":
        assert sorted(int(r["replicate"]) for r in counted(rows, arm)) == list(range(seeds))
    assert len({r["run_id"] for r in rows}) == len(rows)
    assert not (folder / "results/p/spool").exists(), "what was taken in is left on the way"
    return rows


@pytest.mark.usefixtures("slurm")
@pytest.mark.parametrize("how", ["requeued", "told that its time ends", "killed outright"])
def test_a_job_that_is_cut_off_goes_on_where_it_was(paused, how) -> None:
    process = start_cli("run", "p.toml", "--seeds", 10, "--set", "invocations=1", *OPTIONS, cwd=paused)
    assert wait_until(lambda: spooled(paused) >= 6, 60), (paused / "output.txt").read_text()
    (job,) = queue()
    commands = {
        "requeued": ["scontrol", "requeue", job],
        "told that its time ends": ["scancel", "--signal=USR2", job],
        "killed outright": ["scancel", "--signal=KILL", job],
    }
    subprocess.run(commands[how], check=True)
    assert process.wait(timeout=150) == 0, (paused / "output.txt").read_text()
    rows = is_complete(paused, 10)
    assert len({r["invocation"] for r in counted(rows)}) == 2
    lost = [r for r in rows if r["status"] != "completed"]
    assert [r["run_id"].endswith(".lost") for r in lost] == [True]
    words = "its job ended early" if how.startswith("killed") else "preempted, at its time limit, or lost its node"
    assert words in lost[0]["error"]


@pytest.mark.usefixtures("slurm")
def test_a_killed_driver_loses_nothing_that_a_job_finished(paused) -> None:
    command = ("run", "p.toml", "--seeds", 10, "--set", "invocations=2", *OPTIONS)
    process = start_cli(*command, cwd=paused)
    assert wait_until(lambda: spooled(paused) >= 6, 60), (paused / "output.txt").read_text()
    kill_session(process)
    assert queue(), "the jobs go on without their driver"
    at = spooled(paused)
    assert wait_until(lambda: spooled(paused) > at + 3, 60)
    refused = run_cli("run", "p.toml", "--seeds", 10, "--set", "invocations=2", cwd=paused)
    says(refused, 4, "have not ended", "--executor slurm", "scancel")
    done = run_cli(*command, cwd=paused)
    says(done, 0, "waiting for jobs of an earlier command")
    rows = is_complete(paused, 10)
    assert all(r["status"] == "completed" for r in rows)
    assert len([e for e in ledger_of(paused, "p") if e["event"] == "taken-up"]) == 1


def test_invocations_that_never_started_are_not_given_up_with_their_job(paused, monkeypatch) -> None:
    """Four invocations share an element whose node dies before it wrote a line, three nights in a row."""
    submit, submissions = slurm_executor._Array._submit, []

    def submit_and_kill(self, elements) -> None:
        submit(self, elements)
        submissions.append(self.jobs.ids)
        if len(submissions) <= 3:
            for job in self.jobs.ids:
                os.kill(int(job), signal.SIGKILL)

    monkeypatch.chdir(paused)
    monkeypatch.setattr(slurm_executor._Array, "_submit", submit_and_kill)
    command = ["run", "p.toml", "--seeds", "8", "--set", "invocations=4", "--set", "pause=0"]
    assert run_in_process([*command, "--executor", "slurm", "--executor-option", "cluster=local", "-q"]) == 0
    is_complete(paused, 8)
    assert len(submissions) == 4


def test_why_machines_could_not_be_used_is_told_at_the_end(paused, monkeypatch, capsys) -> None:
    """Every job dies before it wrote a line; with -q nothing else is told."""
    submit = slurm_executor._Array._submit

    def submit_and_kill(self, elements) -> None:
        submit(self, elements)
        for job in self.jobs.ids:
            os.kill(int(job), signal.SIGKILL)

    monkeypatch.chdir(paused)
    monkeypatch.setattr(slurm_executor._Array, "_submit", submit_and_kill)
    command = ["run", "p.toml", "--seeds", "2", "--set", "invocations=1", "-q"]
    assert run_in_process([*command, "--executor", "slurm", "--executor-option", "cluster=local"]) == 5
    told = capsys.readouterr().err
    assert (
        "losses of machines the last: elements 0 of" in told and "failed-jobs" in told and "See to the machines" in told
    )
    assert "Mend the trainer" not in told


GPU = """\
from pathlib import Path

from ranged import TRAINER as BASE


class OnGpu(type(BASE)):
    name = "on-gpu"
    libraries = ("torch",)
    sources = (Path(__file__),)


TRAINER = OnGpu()
"""


def script(folder, *options: str, seeds: int = 40) -> list[str]:
    """The directives of the script that a dry run shows."""
    given = [word for option in options for word in ("--executor-option", option)]
    command = ("run", "p.toml", "--seeds", seeds, "--set", "invocations=5", "--executor", "slurm", *given)
    done = run_cli(*command, "--workers", 2, "--dry-run", "--json", cwd=folder)
    says(done, 0)
    text = json.loads(done.stdout)["submission"]
    assert not (folder / "results").exists(), "a dry run writes nothing"
    return [line.removeprefix("#SBATCH ") for line in text.splitlines()]


def test_the_script_of_a_trainer_without_a_device_has_its_node_to_itself(paused) -> None:
    lines = script(paused, "minutes=90", "signal_s=120", "partition=night", "account=lab", "qos=low", "constraint=epyc")
    wanted = [
        "--array=0-4%2",
        "--time=90",
        "--signal=USR2@120",
        "--requeue",
        "--exclusive",
        "--partition=night",
        "--account=lab",
    ]
    assert {*wanted, "--qos=low", "--constraint=epyc", "--job-name=harness-p"} <= set(lines)
    assert not any("gpu" in line for line in lines)
    assert "--exclusive" not in script(paused, "exclusive=false")


def test_the_script_of_a_trainer_that_names_torch_asks_for_one_gpu_an_element(paused) -> None:
    write(paused, "ranged.py", RANGED)
    write(paused, "gpu.py", GPU)
    write(paused, "p.toml", 'trainer = "gpu.py:TRAINER"\n')
    assert {"--gpus-per-node=1", "--array=0-4%2"} <= set(script(paused))
    assert "--exclusive" not in script(paused)
    lines = script(paused, "gres=gpu:h100:1", "cpus=8", "mem_gb=64", "setup=module load cuda")
    assert {"--gres=gpu:h100:1", "--cpus-per-task=8", "--mem=64GB", "module load cuda"} <= set(lines)
    assert not any(line.startswith("--gpus") for line in lines)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("partion=x", "has no option 'partion'. Did you mean 'partition'?"),
        ("cpus=two", "cpus=two: allowed is a whole number of 1 or more."),
        ("minutes=0", "minutes=0: allowed is a number above 0."),
        ("exclusive=yes", "exclusive=yes: allowed is true or false."),
        ("cluster=moon", "cluster=moon: allowed is slurm, local, debug."),
        ("minutes", "write KEY=VALUE"),
    ],
)
def test_an_option_that_cannot_be_ends_before_the_first_run(paused, option, words) -> None:
    says(run_cli("run", "p.toml", "--executor", "slurm", "--executor-option", option, cwd=paused), 2, words)
    assert not (paused / "results").exists()


@pytest.mark.usefixtures("slurm")
def test_what_sbatch_refuses_is_told_in_its_words(paused) -> None:
    done = run_cli("run", "p.toml", "--seeds", 2, *OPTIONS, "--executor-option", "partition=nowhere", cwd=paused)
    says(done, 2, "sbatch refused the jobs", "partition")
    assert not (paused / "results/p/spool").exists()
