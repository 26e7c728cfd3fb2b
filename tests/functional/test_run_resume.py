"""A campaign that is killed, interrupted, repeated or topped up has every run once, and every row whole."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest
from helpers import (
    ENVIRON,
    SLOW,
    alive,
    children_of,
    counted,
    kill_session,
    ledger_of,
    rows_of,
    says,
    start_cli,
    wait_until,
    write,
)

SEEDS = 12
ARMS = 'trainer = "slow.py"\n[[arms]]\nname = "a"\n[[arms]]\nname = "b"\n'


@pytest.fixture
def slow(tmp_path):
    """Two arms of some ten milliseconds a run, which share a process."""
    write(tmp_path, "slow.py", SLOW)
    write(tmp_path, "slow.toml", ARMS)
    return tmp_path


def runs_bytes(folder, store="slow"):
    path = folder / "results" / store / "runs.csv"
    return path.read_bytes() if path.exists() else b""


def is_complete(rows, seeds, arms=("a", "b")):
    """Exactly one completed run of every arm and replicate, in the seeds of that replicate."""
    for arm in arms:
        assert sorted(int(row["replicate"]) for row in counted(rows, arm)) == list(range(seeds))
    for replicate in range(seeds):
        assert len({row["seed"] for row in counted(rows) if row["replicate"] == str(replicate)}) == 1
    assert len({row["run_id"] for row in rows}) == len(rows)


def kill_everything(cli, folder, kills, seed, seeds=SEEDS):
    """`kill -9` of a campaign or of its worker, at random moments, until it is complete."""
    choose = random.Random(seed)
    command = ("run", "slow.toml", "--seeds", seeds, "--set", "invocations=3")
    survivors = []
    for number in range(kills):
        process = start_cli(*command, cwd=folder)
        if number % 3:  # somewhere in the runs; the others hit the start
            before = len(runs_bytes(folder))
            wait_until(lambda at=before, p=process: len(runs_bytes(folder)) > at or p.poll() is not None)
        time.sleep(choose.uniform(0.0, 0.5 if number % 3 == 0 else 0.08))
        workers = children_of(process.pid)
        if number % 2:
            for pid in workers:
                os.killpg(pid, signal.SIGKILL)
        kill_session(process)
        survivors += workers
        data = runs_bytes(folder)
        assert data == b"" or data.endswith(b"\n"), "a row is torn"
    assert wait_until(lambda: not any(alive(pid) for pid in survivors), 10), "a worker outlived its parent"
    says(cli(*command), 0)
    rows = rows_of(folder, "slow")
    is_complete(rows, seeds)
    return survivors, rows


def test_kill_9_at_random_moments(cli, slow):
    survivors, rows = kill_everything(cli, slow, kills=6, seed=1)
    assert survivors, "no kill met a worker: this test tests nothing"
    assert len({row["invocation"] for row in rows}) > 3


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_kill_9_twenty_times(cli, slow, seed):
    survivors, _ = kill_everything(cli, slow, kills=20, seed=100 + seed, seeds=50)
    assert len(survivors) >= 10


COMMAND = 'trainer = "command"\n[config]\nargv = ["sleep", "60"]\n'


@pytest.mark.parametrize(
    "text", ['trainer = "slow.py"\n[config]\npause = 60.0\n', COMMAND], ids=["function", "command"]
)
def test_nothing_outlives_a_killed_campaign(slow, text):
    """In the middle of a run nobody reads the pipe: the worker, and the program it runs, must be told otherwise."""
    write(slow, "long.toml", text)
    process = start_cli("run", "long.toml", "--seeds", 1, cwd=slow)
    depth = 2 if text == COMMAND else 1

    def descendants():
        generation, found = [process.pid], []
        for _ in range(depth):
            generation = [child for pid in generation for child in children_of(pid)]
            found += generation
        return found if generation else []

    def is_in_a_run():
        return (slow / "results/long/ledger.jsonl").exists() and len(descendants()) == depth

    assert wait_until(is_in_a_run)
    time.sleep(0.3 if depth == 1 else 0.0)
    pids = descendants()
    kill_session(process)
    assert len(pids) == depth and wait_until(lambda: not any(alive(pid) for pid in pids), 5)


def test_killed_workers_cost_their_runs_alone(cli, slow):
    """The campaign goes on: the lost attempt is a row, and the run is made again."""
    process = start_cli("run", "slow.toml", "--seeds", 8, "--set", "pause=0.1", "--set", "invocations=2", cwd=slow)
    killed = 0
    for rows in (4, 9):
        assert wait_until(lambda n=rows: runs_bytes(slow).count(b"\n") > n)
        for pid in children_of(process.pid):
            os.killpg(pid, signal.SIGKILL)
            killed += 1
    assert process.wait(timeout=60) == 0, (slow / "output.txt").read_text()
    rows = rows_of(slow, "slow")
    is_complete(rows, 8)
    lost = [row for row in rows if row["status"] == "crashed"]
    assert 1 <= len(lost) <= killed and all("killed by signal 9" in row["error"] for row in lost)


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c(cli, slow, workers):
    command = ("run", "slow.toml", "--seeds", 10, "--set", "pause=0.05", "--set", "invocations=2", "--workers", workers)
    process = start_cli(*command, cwd=slow)
    assert wait_until(lambda: runs_bytes(slow).count(b"\n") > 5)
    children = children_of(process.pid)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=20) == 130
    output = (slow / "output.txt").read_text()
    assert "interrupted" in output and "the same command goes on" in output and "Traceback" not in output
    assert children and not any(alive(pid) for pid in children)
    kept = counted(rows_of(slow, "slow"))
    assert 0 < len(kept) < 20
    assert ledger_of(slow, "slow")[-1]["event"] == "interrupted"
    says(cli(*command), 0)
    rows = rows_of(slow, "slow")
    is_complete(rows, 10)
    assert counted(rows)[: len(kept)] == kept
    assert {row["lane"] for row in rows} == {"exclusive" if workers == 1 else "shared"}


STARTS_A_PROGRAM = """\
import subprocess
import time
from pathlib import Path


def train(seed):
    Path("child").write_text(str(subprocess.Popen(["sleep", "97"]).pid))
    time.sleep(60)
"""


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL], ids=lambda end: end.name)
def test_what_a_trainer_started_ends_with_the_driver(tmp_path, end):
    """Also where the driver alone is asked to end, and where it can no longer tell anybody."""
    write(tmp_path, "starts.py", STARTS_A_PROGRAM)
    process = start_cli("run", "starts.py", "--seeds", 1, cwd=tmp_path)
    child = tmp_path / "child"
    assert wait_until(lambda: child.exists() and child.read_text())
    pids = [int(child.read_text()), *children_of(process.pid)]
    assert len(pids) == 2 and all(alive(pid) for pid in pids)
    process.send_signal(end)
    assert process.wait(timeout=20) == (130 if end == signal.SIGTERM else -end)
    assert wait_until(lambda: not any(alive(pid) for pid in pids), 5)
    noted = ledger_of(tmp_path, "starts")[-1]["event"] == "interrupted"
    assert noted == ("interrupted" in (tmp_path / "output.txt").read_text()) == (end == signal.SIGTERM)


def test_nothing_to_do_then_topped_up(cli_inside, slow):
    says(cli_inside("run", "slow.toml", "--seeds", 3), 0)
    first = runs_bytes(slow)
    again = cli_inside("run", "slow.toml", "--seeds", 3)
    says(again, 0)
    assert again.stdout.startswith("Nothing to do: 3 seeds of every arm are in results/slow.")
    assert again.stderr == "" and runs_bytes(slow) == first
    fewer = cli_inside("run", "slow.toml", "--seeds", 2)
    assert "Nothing to do" in fewer.stdout and runs_bytes(slow) == first
    says(cli_inside("run", "slow.toml", "--seeds", 5), 0)
    assert runs_bytes(slow).startswith(first), "the first blocks stay"
    is_complete(rows_of(slow, "slow"), 5)


def described(folder, store="slow"):
    return json.loads((folder / "results" / store / "experiment.json").read_text())


def changes_of(folder, store="slow"):
    return [entry["changes"] for entry in ledger_of(folder, store) if entry["event"] == "promises-changed"]


@pytest.mark.parametrize("seeds", [3, 4], ids=["nothing is missing", "a run is missing"])
def test_a_changed_promise_holds_and_is_noted_whatever_is_missing(cli_inside, slow, seeds):
    stated = ("run", "slow.toml", "--set", "margin_pp=1", "--set", "target=0.8")
    says(cli_inside(*stated, "--seeds", 3), 0)
    changed = ("run", "slow.toml", "--seeds", seeds, "--set", "margin_pp=2", "--set", "claim=accurate", "--json")
    done = cli_inside(*changed)
    says(done, 0)
    judged = json.loads(done.stdout)["comparison"]
    assert [judged[key] for key in ("claim", "target", "margin_pp")] == ["accurate", None, 2.0]
    assert [described(slow)[key] for key in ("claim", "target", "margin_pp")] == ["accurate", None, 2.0]
    told = {"claim": [None, "accurate"], "target": [0.8, None], "margin_pp": [1.0, 2.0]}
    assert changes_of(slow) == [told]
    is_complete(rows_of(slow, "slow"), seeds)
    says(cli_inside(*changed), 0)
    assert changes_of(slow) == [told], "the same again changes nothing"


def test_a_promise_changed_in_the_file_holds_for_runs_that_are_all_there(cli_inside, slow):
    says(cli_inside("run", "slow.toml", "--seeds", 3), 0)
    before = described(slow)
    write(slow, "slow.toml", "alpha = 0.01\nmax_slowdown = 0.05\n" + ARMS)
    says(cli_inside("run", "slow.toml", "--seeds", 3, "--arm", "b"), 0)
    assert described(slow) == before | {"alpha": 0.01, "max_slowdown": 0.05}
    assert changes_of(slow) == [{"max_slowdown": [None, 0.05], "alpha": [0.05, 0.01]}]


def test_where_no_promise_changes_a_complete_store_is_not_written_to(cli_inside, slow):
    says(cli_inside("run", "slow.toml", "--seeds", 3), 0)
    before = {path: path.read_bytes() for path in (slow / "results").rglob("*") if path.is_file()}
    says(cli_inside("run", "slow.toml", "--seeds", 2, "--set", "timeout_s=9"), 0)
    after = {path: path.read_bytes() for path in (slow / "results").rglob("*") if path.is_file()}
    assert after == before


def test_rows_that_were_imported_stay_known_as_such_under_a_promise(cli_inside, slow):
    says(cli_inside("run", "slow.toml", "--seeds", 3), 0)
    says(cli_inside("import", "results/slow/runs.csv", "--as", "there"), 0)
    says(cli_inside("run", "slow.toml", "--seeds", 3, "--as", "there", "--set", "margin_pp=2"), 0)
    assert (described(slow, "there")["imported"], described(slow, "there")["margin_pp"]) == ("runs.csv", 2.0)
    says(cli_inside("verify", "there"), 0)


def test_what_a_killed_writer_left_is_told_and_removed(cli_inside, slow):
    """Once no writer can still be at it; what else begins with a dot is the user's."""
    says(cli_inside("run", "slow.toml", "--seeds", 1), 0)
    store = slow / "results/slow"
    source = (
        "import os, pathlib\nfrom harness.logger import ExperimentLogger\npathlib.Path.replace = lambda *_: os._exit(9)\n"
        "with ExperimentLogger('slow') as logger:\n    logger.describe({})\n"
    )
    assert subprocess.run([sys.executable, "-c", source], cwd=slow, env=ENVIRON, check=False).returncode == 9
    (left,) = store.glob(".experiment.json.*")
    environment = left.rename(store / "environments/.e1.json.77.8")
    fresh, own = write(store, ".experiment.json.1.2", ""), write(store, ".keep", "")
    says(cli_inside("verify", "slow", "--no-rerun"), 0)
    for path in (environment, own):
        os.utime(path, (time.time() - 7200, time.time() - 7200))
    done = cli_inside("verify", "slow", "--no-rerun")
    assert done.returncode == 4 and "/.e1.json.77.8: was left by a writer that was killed" in done.stdout + done.stderr
    says(cli_inside("run", "slow.toml", "--seeds", 2), 0)
    assert not environment.exists() and fresh.exists() and own.exists()
    assert {"environments/.e1.json.77.8"} == {f for entry in ledger_of(slow, "slow") for f in entry.get("files", ())}


def test_one_arm_first_and_the_other_later(cli_inside, slow):
    """An arm that is asked for later runs the blocks of the control, with their seeds."""
    says(cli_inside("run", "slow.toml", "--seeds", 3, "--arm", "a", "--set", "invocations=1"), 0)
    assert {row["arm"] for row in rows_of(slow, "slow")} == {"a"}
    says(cli_inside("run", "slow.toml", "--seeds", 3, "--set", "invocations=1"), 0)
    is_complete(rows_of(slow, "slow"), 3)


def test_two_campaigns_on_one_store(cli, slow):
    process = start_cli("run", "slow.toml", "--seeds", 900, "--set", "pause=0.05", cwd=slow)
    assert wait_until(lambda: runs_bytes(slow).count(b"\n") > 1)
    try:
        second = cli("run", "slow.toml", "--seeds", 900, "--set", "pause=0.05")
        says(second, 4, "another campaign is writing to this store", f"process {process.pid}", "Wait until it ends")
        rows_of(slow, "slow")
    finally:
        kill_session(process)


GATED = """\
import time
from pathlib import Path


def train(seed):
    while not Path("go").exists():
        time.sleep(0.01)
    return 0.9
"""


def test_what_another_campaign_finished_meanwhile_is_not_done_again(cli, slow):
    """The plan is made again once the store is ours: here the second experiment of one command ends elsewhere."""
    write(slow, "gated.py", GATED)
    write(slow, "first.toml", 'trainer = "gated.py"\n')
    process = start_cli("run", "first.toml", "slow.toml", "--seeds", 3, cwd=slow)
    assert wait_until(lambda: (slow / "results/first/ledger.jsonl").exists())
    says(cli("run", "slow.toml", "--seeds", 3), 0)
    done = runs_bytes(slow)
    write(slow, "go", "")
    assert process.wait(timeout=60) == 0, (slow / "output.txt").read_text()
    is_complete(rows_of(slow, "first"), 3, arms=["first"])
    assert runs_bytes(slow) == done


@pytest.mark.parametrize("left", [b"", b"run_id,experi"], ids=["no bytes", "half a header"])
def test_a_campaign_killed_before_its_first_row(cli_inside, slow, left):
    path = write(slow, "results/slow/runs.csv", "")
    path.write_bytes(left)
    says(cli_inside("run", "slow.toml", "--seeds", 1), 0)
    is_complete(rows_of(slow, "slow"), 1)


def test_a_torn_last_line_is_cut_off_and_kept(cli_inside, slow):
    says(cli_inside("run", "slow.toml", "--seeds", 1), 0)
    whole = runs_bytes(slow)
    fragment = b'abc.1,slow,a,confirm,"half a r\xc3'
    (slow / "results/slow/runs.csv").write_bytes(whole + fragment)
    done = cli_inside("run", "slow.toml", "--seeds", 2)
    says(done, 0, "repaired", "results/slow/runs.csv", f"unfinished last line ({len(fragment)} bytes", "ledger.jsonl")
    assert runs_bytes(slow).startswith(whole)
    is_complete(rows_of(slow, "slow"), 2)
    (repair,) = [entry for entry in ledger_of(slow, "slow") if entry["event"] == "repair"]
    assert repair["file"] == "runs.csv" and str(repair["fragment"]).startswith('abc.1,slow,a,confirm,"half a r')


def test_a_header_of_another_program_is_refused(cli_inside, slow):
    path = write(slow, "results/slow/runs.csv", "epoch,loss,val_acc\n1,0.5,0.9\n")
    says(cli_inside("run", "slow.toml", "--seeds", 1), 4, "its header lacks run_id", "harness import")
    assert path.read_text() == "epoch,loss,val_acc\n1,0.5,0.9\n"
