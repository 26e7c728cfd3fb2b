"""The Ray executor on real clusters of this machine: the conformance suite, and a node that is killed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from helpers import counted, kill_session, ledger_of, rows_of, run_cli, says, start_cli, wait_until, write

from harness.executors.base import Executor
from harness.executors.ray import RayExecutor
from harness.testing import ExecutorChecks

pytestmark = pytest.mark.reach
os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")  # read when Ray is imported; the executor does the same


@contextlib.contextmanager
def cluster_of(*nodes: str, num_cpus: int = 1, num_gpus: int = 0) -> Iterator[Any]:
    """A cluster of this machine whose nodes have so many cores and GPUs, as they say, and call themselves by these names."""
    from ray.cluster_utils import Cluster

    names = ("HARNESS_HOST", "RAY_ADDRESS", "RAY_USAGE_STATS_ENABLED", "RAY_worker_niceness")
    before = {name: os.environ.get(name) for name in names}
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
    cluster = Cluster()
    try:
        for name in nodes:
            os.environ["HARNESS_HOST"] = name
            cluster.add_node(num_cpus=num_cpus, num_gpus=num_gpus, include_dashboard=False)
        os.environ["RAY_ADDRESS"] = cluster.address
        yield cluster
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        cluster.shutdown()


def on(cluster: Any) -> tuple[str, ...]:
    """The options that name a cluster: others may run on this machine."""
    return ("--executor", "ray", "--executor-option", f"address={cluster.address}")


@pytest.fixture(scope="class")
def one_node() -> Iterator[None]:
    with cluster_of("node-a"):
        yield


@pytest.mark.usefixtures("one_node")
class TestRay(ExecutorChecks):
    patience_s = 30.0

    def executor(self) -> Executor:
        return RayExecutor()


PAUSED = """\
import random
import time


def train(seed, pause=0.15):
    time.sleep(pause)
    return random.Random(seed).randrange(900, 1000), 1000
"""

TELLING = "    open('parents.txt', 'a').write(f'{os.getppid()}\\n')\n    time.sleep(pause)\n"

ARMS = 'trainer = "paused.py"\nclaim = "accurate"\n[[arms]]\nname = "a"\n[[arms]]\nname = "b"\n'


def test_a_node_that_is_killed_costs_its_runs_in_flight_and_nothing_else(tmp_path, monkeypatch) -> None:
    """60 runs on three nodes, one of them killed in the middle: each run is there once, with the results of the local executor."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "paused.py", PAUSED)
    write(tmp_path, "sixty.toml", ARMS)
    command = ("run", "sixty.toml", "--seeds", 30, "--set", "invocations=6")
    with cluster_of("node-a", "node-b", "node-c") as cluster:
        process = start_cli(*command, *on(cluster), cwd=tmp_path)
        store = tmp_path / "results/sixty/runs.csv"

        def hosts() -> set[str]:
            return {r["host"] for r in counted(rows_of(tmp_path, "sixty"))} if store.exists() else set()

        assert wait_until(lambda: store.exists() and store.read_bytes().count(b"\n") > 25 and len(hosts()) == 3, 60)
        cluster.remove_node(cluster.worker_nodes.copy().pop(), allow_graceful=False)
        before = len(counted(rows_of(tmp_path, "sixty")))
        assert before < 60
        assert process.wait(timeout=120) == 0, (tmp_path / "output.txt").read_text()
    output = (tmp_path / "output.txt").read_text()
    rows = rows_of(tmp_path, "sixty")
    for arm in "ab":
        assert sorted(int(r["replicate"]) for r in counted(rows, arm)) == list(range(30))
    assert len({r["run_id"] for r in rows}) == len(rows)
    lost = [r for r in rows if r["status"] == "crashed"]
    assert len(lost) == 1, "one invocation was on that node"
    assert "lost with its machine or its process" in lost[0]["error"] and lost[0]["host"] in ("node-b", "node-c")
    assert f"{lost[0]['host']} was lost" in output
    last = max(r["ended_at"] for r in counted(rows))
    assert last > lost[0]["ended_at"], "nothing was left to be done when the node was lost: this test tests nothing"
    blocks = {(r["invocation"], r["block"]) for r in counted(rows)}
    for block in blocks:
        assert len({r["host"] for r in counted(rows) if (r["invocation"], r["block"]) == block}) == 1
    assert {r["lane"] for r in rows} == {"shared"}, "three nodes on one machine share its cores"
    assert any(entry.get("lost") for entry in ledger_of(tmp_path, "sixty") if entry["event"] == "campaign-end")
    write(tmp_path, "elsewhere/paused.py", PAUSED)
    write(tmp_path, "elsewhere/sixty.toml", ARMS)
    says(run_cli(*command, "--workers", 2, cwd=tmp_path / "elsewhere"), 0)
    locally = {(r["arm"], r["seed"]): r["accuracy"] for r in counted(rows_of(tmp_path / "elsewhere", "sixty"))}
    assert {(r["arm"], r["seed"]): r["accuracy"] for r in counted(rows)} == locally


def test_what_one_cluster_began_another_goes_on_with(tmp_path) -> None:
    write(tmp_path, "paused.py", PAUSED)
    write(tmp_path, "sixty.toml", ARMS)
    command = ("run", "sixty.toml", "--seeds", 8, "--set", "invocations=2")
    with cluster_of("here") as cluster:
        process = start_cli(*command, *on(cluster), cwd=tmp_path)
        store = tmp_path / "results/sixty/runs.csv"
        assert wait_until(lambda: store.exists() and store.read_bytes().count(b"\n") > 5, 60)
        kill_session(process)
    with cluster_of("there") as cluster:
        says(run_cli(*command, *on(cluster), cwd=tmp_path), 0)
    rows = rows_of(tmp_path, "sixty")
    for arm in "ab":
        assert sorted(int(r["replicate"]) for r in counted(rows, arm)) == list(range(8))
    assert {r["host"] for r in counted(rows)} == {"here", "there"}


def test_a_cluster_that_is_not_there_is_said_so(tmp_path) -> None:
    write(tmp_path, "paused.py", PAUSED)
    done = run_cli(
        "run", "paused.py", "--seeds", 1, "--executor", "ray", "--executor-option", "address=127.0.0.1:1", cwd=tmp_path
    )
    says(done, 2, "There is no Ray cluster at '127.0.0.1:1'", "ray start --head")


def test_where_no_cluster_runs_one_is_started_for_the_command(tmp_path) -> None:
    write(tmp_path, "paused.py", PAUSED)
    write(tmp_path, "sixty.toml", ARMS)
    done = run_cli("run", "sixty.toml", "--seeds", 2, "--set", "invocations=1", "--executor", "ray", cwd=tmp_path)
    if "ray: the cluster with" in done.stderr:
        pytest.skip("a cluster of another test runs on this machine")
    says(done, 0, "a cluster of its own on this machine")
    rows = rows_of(tmp_path, "sixty")
    assert len(counted(rows)) == 4 and {row["lane"] for row in rows} == {"exclusive"}


def test_a_node_without_the_trainers_code_refuses_before_a_run(tmp_path) -> None:
    """The file is there when the campaign is planned, and another one when the node looks."""
    write(tmp_path, "paused.py", PAUSED)
    write(tmp_path, "sixty.toml", ARMS)
    code = (
        "import harness.executors.ray as engine, pathlib, sys\n"
        "run = engine.RayExecutor.run\n"
        "def late(self, campaign, on_finished):\n"
        "    with pathlib.Path('paused.py').open('a') as file:\n"
        "        file.write('# mended meanwhile\\n')\n"
        "    return run(self, campaign, on_finished)\n"
        "engine.RayExecutor.run = late\n"
        "from harness.cli import run_cli\n"
        "sys.exit(run_cli(['run', 'sixty.toml', '--seeds', '2', '--executor', 'ray']))\n"
    )
    with cluster_of("node-a"):
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
        )
    says(done, 2, "node-a cannot run the arm", "its code there is", "No run was lost")
    assert not counted(rows_of(tmp_path, "sixty")) if (tmp_path / "results/sixty/runs.csv").stat().st_size else True


def test_a_node_that_comes_later_is_used(tmp_path) -> None:
    write(tmp_path, "paused.py", PAUSED)
    write(tmp_path, "sixty.toml", ARMS)
    command = ("run", "sixty.toml", "--seeds", 60, "--set", "invocations=20")
    with cluster_of("early") as cluster:
        process = start_cli(*command, *on(cluster), cwd=tmp_path)
        store = tmp_path / "results/sixty/runs.csv"
        assert wait_until(lambda: store.exists() and store.read_bytes().count(b"\n") > 3, 60)
        os.environ["HARNESS_HOST"] = "late"
        cluster.add_node(num_cpus=1)
        assert process.wait(timeout=150) == 0, (tmp_path / "output.txt").read_text()
    rows = counted(rows_of(tmp_path, "sixty"))
    assert len(rows) == 120 and {row["host"] for row in rows} == {"early", "late"}
    lanes = {row["invocation"]: row["lane"] for row in rows}
    assert lanes[rows[0]["invocation"]] == "exclusive" and set(lanes.values()) == {"exclusive", "shared"}
    alone = [(r["started_at"], r["ended_at"]) for r in rows if r["lane"] == "exclusive"]
    others = [(r["started_at"], r["ended_at"], r["invocation"]) for r in rows]
    for row, (start, end) in zip((r for r in rows if r["lane"] == "exclusive"), alone, strict=True):
        assert all(e <= start or s >= end for s, e, invocation in others if invocation != row["invocation"])


def test_a_killed_actor_costs_its_run_in_flight(tmp_path) -> None:
    """The process that a node runs for the harness, as the kernel kills one that took too much memory."""
    told = PAUSED.replace(
        "    time.sleep(pause)\n", "    open('parents.txt', 'a').write(f'{os.getppid()}\\n')\n    time.sleep(pause)\n"
    )
    write(tmp_path, "paused.py", "import os\n" + told)
    write(tmp_path, "sixty.toml", ARMS)
    with cluster_of("node-a") as cluster:
        process = start_cli("run", "sixty.toml", "--seeds", 10, "--set", "invocations=1", *on(cluster), cwd=tmp_path)
        store = tmp_path / "results/sixty/runs.csv"
        assert wait_until(lambda: store.exists() and store.read_bytes().count(b"\n") > 6, 60)
        os.kill(int((tmp_path / "parents.txt").read_text().split()[0]), signal.SIGKILL)
        assert process.wait(timeout=100) == 0, (tmp_path / "output.txt").read_text()
    rows = rows_of(tmp_path, "sixty")
    for arm in "ab":
        assert sorted(int(r["replicate"]) for r in counted(rows, arm)) == list(range(10))
    lost = [r for r in rows if r["status"] == "crashed"]
    assert [(r["host"], r["run_id"].endswith(".lost"), r["warmup"]) for r in lost] == [("node-a", True, "false")]
    assert len({r["invocation"] for r in counted(rows)}) == 2


def test_patience_counts_from_the_last_node_that_was_there(tmp_path) -> None:
    """Runs are longer than the patience, as is the start of an actor, and the machine goes in the middle of one."""
    write(tmp_path, "paused.py", "import os\n" + PAUSED.replace("    time.sleep(pause)\n", TELLING))
    write(tmp_path, "sixty.toml", "warmup = false\n" + ARMS)
    with cluster_of("node-a") as cluster:
        patient = (*on(cluster), "--executor-option", "patience=0.5", "--set", "invocations=1", "--set", "pause=2")
        process = start_cli("run", "sixty.toml", "--seeds", 2, *patient, cwd=tmp_path)
        assert wait_until(lambda: (tmp_path / "parents.txt").exists(), 60)
        time.sleep(1)
        os.kill(int((tmp_path / "parents.txt").read_text().split()[0]), signal.SIGKILL)
        assert process.wait(timeout=100) == 0, (tmp_path / "output.txt").read_text()
    rows = rows_of(tmp_path, "sixty")
    assert len(counted(rows)) == 4 and len([r for r in rows if r["status"] == "crashed"]) == 1


def test_a_node_that_fails_at_once_starves_nobody(tmp_path) -> None:
    """Every run raises on one of two nodes; it is quicker at that than the other one at its runs."""
    sick = "    if os.environ['HARNESS_HOST'] == 'sick':\n        raise RuntimeError('uncorrectable ECC error')\n"
    write(tmp_path, "paused.py", "import os\n" + PAUSED.replace("    time.sleep(pause)\n", sick + TELLING))
    write(tmp_path, "sixty.toml", ARMS)
    with cluster_of("sick", "well") as cluster:
        command = ("run", "sixty.toml", "--seeds", 16, "--set", "invocations=8", "--retries", 2, "--set", "pause=0.4")
        says(run_cli(*command, *on(cluster), cwd=tmp_path), 0, "on sick a", "only fails")
    rows = rows_of(tmp_path, "sixty")
    assert len(counted(rows)) == 32 and {row["host"] for row in counted(rows)} == {"well"}
    assert 0 < len([row for row in rows if row["status"] == "crashed"]) <= 2 * 3


def test_a_node_that_can_start_no_worker_is_left_out(tmp_path) -> None:
    fault = (
        "import subprocess\n"
        "class Popen(subprocess.Popen):\n"
        "    def __init__(self, args, *more, **how):\n"
        "        if 'harness.worker' in args:\n"
        "            raise OSError(24, 'Too many open files')\n"
        "        super().__init__(args, *more, **how)\n"
        "subprocess.Popen = Popen\n"
    )
    write(tmp_path, "sick/sitecustomize.py", fault)
    write(tmp_path, "paused.py", PAUSED)
    write(tmp_path, "sixty.toml", ARMS)
    command = ("run", "sixty.toml", "--seeds", 8, "--set", "invocations=4")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{tmp_path / 'sick'}:{os.environ.get('PYTHONPATH', '')}")
        with cluster_of("sick") as cluster:
            patch.undo()
            says(run_cli(*command, *on(cluster), cwd=tmp_path), 5, "every node failed", "cannot be started")
            os.environ["HARNESS_HOST"] = "well"
            cluster.add_node(num_cpus=1)
            says(run_cli(*command, *on(cluster), cwd=tmp_path), 0, "sick could not run its invocation")
    rows = rows_of(tmp_path, "sixty")
    assert len(counted(rows)) == 16 and {row["host"] for row in rows} == {"well"}


def test_a_node_that_refuses_is_left_out_where_others_do_not(tmp_path) -> None:
    """The trainer's file changes while one node is at work; a node that comes then has another code than the plan."""
    write(tmp_path, "paused.py", PAUSED)
    write(tmp_path, "sixty.toml", ARMS)
    with cluster_of("early") as cluster:
        command = ("run", "sixty.toml", "--seeds", 40, "--set", "invocations=10")
        process = start_cli(*command, *on(cluster), cwd=tmp_path)
        store = tmp_path / "results/sixty/runs.csv"
        assert wait_until(lambda: store.exists() and store.read_bytes().count(b"\n") > 3, 60)
        write(tmp_path, "paused.py", PAUSED + "# mended meanwhile\n")
        os.environ["HARNESS_HOST"] = "late"
        cluster.add_node(num_cpus=1)
        assert process.wait(timeout=150) == 0, (tmp_path / "output.txt").read_text()
    assert "a node is left out: late cannot run the arm" in (tmp_path / "output.txt").read_text()
    rows = counted(rows_of(tmp_path, "sixty"))
    assert len(rows) == 80 and {row["host"] for row in rows} == {"early"}


def test_an_invocation_has_one_gpu_of_its_own(tmp_path) -> None:
    """Two GPUs that are none, which Ray deals out all the same."""
    told = "    open('devices.txt', 'a').write(os.environ['CUDA_VISIBLE_DEVICES'] + '\\n')\n    time.sleep(pause)\n"
    write(tmp_path, "paused.py", "import os\n" + PAUSED.replace("    time.sleep(pause)\n", told))
    write(tmp_path, "sixty.toml", ARMS)
    with cluster_of("node-a", num_cpus=2, num_gpus=2) as cluster:
        command = ("run", "sixty.toml", "--seeds", 12, "--set", "invocations=2")
        says(run_cli(*command, *on(cluster), cwd=tmp_path), 0)
    assert set((tmp_path / "devices.txt").read_text().split()) == {"0", "1"}
    rows = counted(rows_of(tmp_path, "sixty"))
    assert len(rows) == 24 and {row["lane"] for row in rows} == {"exclusive"}
