"""What it costs to run a campaign through an engine instead of on this machine, as a ratio.

    uv run --extra ray python -m benchmarks.executors [--rounds 6] [--seeds 10] [--engine ray]

Rounds of campaigns of two arms of the trainer `digits`, in turns: the local executor and the engine, the order alternating, each
with one invocation at a time on one core. The engine is warm: a Ray cluster of one node is started once and stays. Printed per engine:
the ratio of the wall-clock times, whole campaigns with their process starts; the ratio of the time between the first and the last
stored run; and the ratio of the times that the runs record, which must be 1.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def campaign(executor: str, seeds: int, settings: dict[str, str]) -> dict[str, float]:
    """Seconds of one campaign: whole, between its first and its last run, and recorded by a run in the middle."""
    from harness.app.preparing import RunOptions, prepare_run
    from harness.app.running import run
    from harness.spec import Request, load_experiment

    experiment = load_experiment("quickstart", Request({"invocations": 1}, seeds=seeds))
    with tempfile.TemporaryDirectory() as folder:
        options = RunOptions(Path(folder), None, executor, 1, settings=settings)
        prepared = prepare_run(experiment, options)
        at: list[tuple[float, Any]] = []
        start = time.perf_counter()
        report = run(prepared, options, lambda finished: at.append((time.perf_counter(), finished.record)))
        whole = time.perf_counter() - start
        assert not report.missing
    runs = [(when, record) for when, record in at if not record.warmup]
    return {
        "whole": whole,
        "between": runs[-1][0] - runs[0][0],
        "recorded": statistics.median(record.time_s for _, record in runs),
    }


@contextlib.contextmanager
def engine(name: str) -> Iterator[dict[str, str]]:
    """Whatever stays up between the campaigns."""
    if name != "ray":
        yield {"cluster": "local"} if name == "slurm" else {}
        return
    import ray

    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
    ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="error")
    try:
        yield {}
    finally:
        ray.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--engine", choices=("ray", "slurm"), default="ray")
    asked = parser.parse_args()
    found: dict[str, list[dict[str, float]]] = {"local": [], asked.engine: []}
    with engine(asked.engine) as settings:
        campaign(asked.engine, 1, settings)
        for number in range(asked.rounds):
            order = list(found) if number % 2 else list(found)[::-1]
            for name in order:
                found[name].append(campaign(name, asked.seeds, settings if name == asked.engine else {}))
    print(
        f"{asked.rounds} rounds of {2 * asked.seeds} runs and 2 warm-ups each, in turns; medians, and ratios round by round"
    )
    for key in ("whole", "between", "recorded"):
        ours, theirs = ([one[key] for one in found[name]] for name in found)
        ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
        spread = f"{min(ratios):.3f} to {max(ratios):.3f}"
        print(
            f"{key:<9} local {statistics.median(ours):.3f} s, {asked.engine} {statistics.median(theirs):.3f} s, "
            f"ratio {statistics.median(ratios):.3f} ({spread})"
        )


if __name__ == "__main__":
    main()
