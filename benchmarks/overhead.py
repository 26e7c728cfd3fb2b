"""What the harness costs: a whole campaign against a bare loop over the same training function.

    uv run python -m benchmarks.overhead [--seeds 500]

One campaign of two arms of the trainer `digits`, everything that `harness run quickstart --seeds N` does, from the imports to
the printed verdict. After each of its invocations, while its clock stands, a bare loop makes the same runs in a process of its
own: same seeds, same order, same warm-ups, numbers kept in memory. So the machine's drift meets both alike. Printed: the ratio
of the wall-clock times, and that of the recorded times of the runs.
"""

from __future__ import annotations

import time

STARTED = time.perf_counter()

import argparse  # noqa: E402 - the clock of the campaign starts before its imports
import json  # noqa: E402
import os  # noqa: E402
import statistics  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

LOOP = """
import json, sys
from harness.plugins import build_config
from harness.trainer import Clock
from trainers.digits import TRAINER
job = json.load(sys.stdin)
configs = {name: build_config(TRAINER.Config, flat) for name, flat in job["arms"].items()}
times = []
def one(arm, seed):
    clock = Clock()
    TRAINER.evaluate(TRAINER.train(configs[arm], seed=seed, clock=clock), configs[arm], clock=clock)
    return clock.elapsed_s
for arm in configs:
    TRAINER.prepare(configs[arm])
    one(arm, 0)
for arm, seed in job["runs"]:
    times.append(one(arm, seed))
json.dump(times, sys.stdout)
"""


class Loop:
    """Makes the runs of each finished invocation again, bare, and keeps both sides' seconds."""

    def __init__(self, arms: dict[str, dict[str, Any]], environ: dict[str, str]) -> None:
        self.arms, self.environ = arms, environ
        self.waiting: list[Any] = []
        self.wall = 0.0
        self.ratios: list[float] = []

    def take(self, finished: Any) -> None:
        """After each stored run; a new invocation makes the one before it run bare."""
        record = finished.record
        if self.waiting and self.waiting[0].invocation != record.invocation:
            self.run_bare()
        if not record.warmup:
            self.waiting.append(record)

    def run_bare(self) -> None:
        runs = [(r.arm, r.seed) for r in self.waiting]
        job = json.dumps({"arms": self.arms, "runs": runs})
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", LOOP], input=job, text=True, capture_output=True, check=True, env=self.environ
        )
        self.wall += time.perf_counter() - start
        self.ratios += [r.time_s / bare for r, bare in zip(self.waiting, json.loads(done.stdout), strict=True)]
        self.waiting = []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=500)
    seeds = parser.parse_args().seeds
    from harness.app import preparing, running
    from harness.spec import Request, load_experiment

    experiment = load_experiment("quickstart", Request(seeds=seeds))
    environ = dict(preparing.trainer_infos(experiment)["control"].environ)
    loop = Loop({arm.name: arm.config for arm in experiment.arms}, os.environ | environ | {"PYTHONHASHSEED": "0"})
    with tempfile.TemporaryDirectory() as folder:
        options = preparing.RunOptions(results=Path(folder))
        report = running.run(preparing.prepare_run(experiment, options), options, loop.take)
        text = running.run_text(report, running.judged_run(report, options.results))
        campaign = time.perf_counter() - STARTED - loop.wall
        loop.run_bare()
    print(text, end="\n\n")
    print(f"{2 * seeds} runs in {len(report.prepared.plan.invocations)} invocations, two warm-ups in each")
    print(f"wall clock, campaign / bare loop: {campaign:.1f} s / {loop.wall:.1f} s = {campaign / loop.wall:.4f}")
    low, middle, high = statistics.quantiles(loop.ratios, n=4)
    print(f"recorded time / the bare loop's, run by run: median {middle:.4f} (quartiles {low:.4f}, {high:.4f})")


if __name__ == "__main__":
    main()
