"""How many runs a second one driver hands out and records, and what a run costs as its store grows.

    uv run python -m benchmarks.throughput [--workers 1,8,64] [--runs 2000] [--rows 1000,10000,100000,1000000] [--ray]

The trainer does nothing, so that all that is measured is the harness: the request to a worker process, its answer, the row with
its flush to disk. Each campaign is timed from the moment that every worker is warm (`runs/s`) and as a whole, process starts
included (`whole`). With `--ray` the same on a cluster of this machine that was started before.

Then the store: appends of one row, each flushed to disk, into stores of so many rows; and what `harness run` reads once before it
plans what is missing. The first must not grow with the store; the second is paid once a command. Fresh stores, oldest last, in turns.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.model.run import RunRecord

NOTHING = "def train(seed):\n    return 0.9\n"
ROUNDS, APPENDS = 5, 200
READ = """
import json, resource, sys, time
from pathlib import Path
from harness.app.preparing import RunOptions, prepare_run
from harness.spec import Request, load
experiment = load([sys.argv[1]], Request(seeds=int(sys.argv[2])))[0]
start = time.perf_counter()
prepared = prepare_run(experiment, RunOptions(results=Path(sys.argv[3])))
print(json.dumps([time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, prepared.plan.runs]))
"""


@contextmanager
def folder_of_its_own() -> Iterator[Path]:
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        try:
            (Path(name) / "nothing.py").write_text(NOTHING)
            yield Path(name)
        finally:
            os.chdir(before)


def campaign(workers: int, runs: int, executor: str, settings: dict[str, str]) -> dict[str, float]:
    """Runs a second of one campaign, warm and whole."""
    from harness.app.preparing import RunOptions, prepare_run
    from harness.app.running import run
    from harness.spec import Request, load

    with folder_of_its_own() as folder:
        invocations = max(workers, 2)
        (experiment,) = load(["nothing.py"], Request({"invocations": invocations}, seeds=runs))
        options = RunOptions(folder / "results", None, executor, workers, settings=settings)
        prepared = prepare_run(experiment, options)
        at: list[tuple[float, bool]] = []
        start, cpu = time.perf_counter(), time.process_time()
        report = run(prepared, options, lambda finished: at.append((time.perf_counter(), finished.record.warmup)))
        end, cpu = time.perf_counter(), time.process_time() - cpu
        assert not report.missing
    starts = [when for when, warmup in at if warmup][: min(workers, invocations)]
    warm = max(starts)
    after = [when for when, warmup in at if when > warm and not warmup]
    return {
        "steady": len(after) / (max(after) - warm),
        "whole": runs / (end - start),
        "cpu": cpu / (runs + len(starts)),
    }


def records(count: int, config_hash: str, code_hash: str) -> Iterator[RunRecord]:
    """Runs as a campaign makes them."""
    from harness.model.run import RunRecord

    one = RunRecord(
        run_id="x", experiment="nothing", arm="nothing", stage="confirm", lane="exclusive", config_hash=config_hash,
        code_hash=code_hash, attempt=1, correct=None, accuracy=0.9, time_s=1.25e-6, position=0,
        clock="the whole call of the user's function", started_at="2026-01-01T00:00:00.000Z",
        ended_at="2026-01-01T00:00:00.001Z", host="host", device="cpu", python="3.11.7", cpu="AMD EPYC 7763 64-Core Processor",
        peak_memory_bytes=31_000_000, git_commit="0" * 40, git_dirty=False, environment="f9decdc3f152", experiment_hash="0" * 12,
    )  # fmt: skip
    for n in range(count):
        start = f"{n // 500:012x}"
        yield replace(one, run_id=f"{start}.{n % 500}", seed=n, replicate=n, block=n, invocation=start)


def rows_of(count: int, config_hash: str, code_hash: str) -> Iterator[bytes]:
    """The same as rows of a store."""
    from harness.store.schema import row_of

    return map(row_of, records(count, config_hash, code_hash))


def store_costs(sizes: list[int]) -> list[dict[str, Any]]:
    """Seconds of an append, by size of the store, in turns; and of the reading before a campaign."""
    from harness.app.preparing import trainer_infos
    from harness.logger import ExperimentLogger
    from harness.spec import Request, load

    found = []
    with folder_of_its_own() as folder:
        (experiment,) = load(["nothing.py"], Request(seeds=1))
        arm = experiment.arms[0]
        code = trainer_infos(experiment)[arm.name].code_hash(arm.config) or ""
        extra = list(rows_of(1, arm.config_hash, code))
        loggers = {}
        for size in sizes:
            loggers[size] = ExperimentLogger("nothing", results=folder / str(size))
            rows = rows_of(size, arm.config_hash, code)
            while piece := [row for row, _ in zip(rows, range(10_000), strict=False)]:
                loggers[size].write_rows(piece)
        os.sync()
        seconds: dict[int, list[float]] = {size: [] for size in sizes}
        for _ in range(ROUNDS):
            for size in sizes:
                for _ in range(APPENDS // ROUNDS):
                    start = time.perf_counter()
                    loggers[size].write_rows(extra)
                    seconds[size].append(time.perf_counter() - start)
        for size in sizes:
            loggers[size].close()
            results = folder / str(size)
            size_bytes = (results / "nothing" / "runs.csv").stat().st_size
            told = subprocess.run(
                [sys.executable, "-c", READ, "nothing.py", str(min(65536, size)), str(results)],
                capture_output=True, text=True, check=True,
            )  # fmt: skip
            read_s, memory, _ = json.loads(told.stdout)
            middle = statistics.median(seconds[size])
            found.append({"rows": size, "append_s": middle, "read_s": read_s, "memory": memory, "bytes": size_bytes})
    return found


def bare_fsync() -> float:
    """Seconds that the disk takes for the same bytes without the harness: the floor of an append."""
    with folder_of_its_own() as folder:
        fd = os.open(folder / "x", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        seconds = []
        for _ in range(APPENDS):
            start = time.perf_counter()
            os.write(fd, b"x" * 500 + b"\n")
            os.fsync(fd)
            seconds.append(time.perf_counter() - start)
        os.close(fd)
    return statistics.median(seconds)


def spool_costs(count: int = 5000) -> tuple[float, float, float]:
    """CPU and wall seconds of the driver for one row that a job wrote, from its shard into the store, and the bytes of the row."""
    from harness.executors.base import Finished
    from harness.executors.spool import line_of, take_up
    from harness.logger import ExperimentLogger

    with folder_of_its_own() as folder, ExperimentLogger("nothing", results=folder) as logger:
        logger.log(seed=0, accuracy=0.9)
        place = folder / "nothing" / "spool" / "one"
        place.mkdir(parents=True)
        (place / "submission.json").write_text(json.dumps({"elements": 1, "jobs": []}))
        lines = [line_of(Finished(record)) for record in records(count, "0" * 12, "0" * 12)]
        (place / "0.jsonl").write_bytes(b"".join(lines) + b'{"ended": {}}\n')
        start, cpu = time.perf_counter(), time.process_time()
        assert take_up(folder / "nothing", lambda f: logger.write(f.record), logger.together)["rows"] == count
        wall, cpu = time.perf_counter() - start, time.process_time() - cpu
        size = (folder / "nothing" / "runs.csv").stat().st_size
    return cpu / count, wall / count, size / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", default="1,8,64")
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--rows", default="1000,10000,100000,1000000")
    parser.add_argument("--ray", action="store_true")
    asked = parser.parse_args()
    print(f"{os.cpu_count()} cores, {platform.platform()}")
    engines = [("local", {})] + ([("ray", {})] if asked.ray else [])
    print(f"{'executor':<10}{'workers':>8}{'runs':>8}{'runs/s':>10}{'whole':>10}{'driver CPU, ms a run':>22}")
    for workers in map(int, filter(None, asked.workers.split(","))):
        for name, settings in engines:
            one = campaign(workers, asked.runs, name, settings)
            print(
                f"{name:<10}{workers:>8}{asked.runs:>8}{one['steady']:>10.0f}{one['whole']:>10.0f}{1e3 * one['cpu']:>22.2f}",
                flush=True,
            )
    cpu, wall, size = spool_costs()
    print(
        f"a row from the spool to the store: {1e3 * cpu:.3f} ms of the driver's CPU, {1e3 * wall:.3f} ms in all, {size:.0f} bytes"
    )
    sizes = [int(text) for text in asked.rows.split(",") if text]
    if sizes:
        print(f"a write of 500 bytes with its flush, without the harness: {1e3 * bare_fsync():.2f} ms")
        print(f"{'rows':>10}{'MB':>8}{'append, ms':>12}{'rows/s':>8}{'read once, s':>14}{'at most, MB':>13}")
        for one in store_costs(sizes):
            print(
                f"{one['rows']:>10}{one['bytes'] / 1e6:>8.1f}{1e3 * one['append_s']:>12.3f}{1 / one['append_s']:>8.0f}"
                f"{one['read_s']:>14.2f}{one['memory'] / 1e6:>13.0f}"
            )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(f"this process held at most {peak:.0f} MB")


if __name__ == "__main__":
    main()
