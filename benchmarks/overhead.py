"""What the harness costs: a whole campaign against a bare loop over the same training function.

    uv run python -m benchmarks.overhead [--seeds 500]

Two arms of the trainer `digits`, the same seeds, blocks, process starts and warm-ups on both sides. The bare loop
does nothing but train and keep the numbers in memory. Campaign and loop take turns, invocation by invocation, so that the
machine's drift meets both. Printed: the ratio of wall-clock times, and of the recorded times of the runs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

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


def bare_loop(arms: dict[str, dict[str, object]], runs: list[tuple[str, int]]) -> tuple[float, list[float]]:
    """Wall-clock seconds of one process that runs `runs`, and the seconds on each run's clock."""
    from trainers.digits import TRAINER

    environ = {**__import__("os").environ, **dict(TRAINER.environ), "PYTHONHASHSEED": "0"}
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", LOOP], input=json.dumps({"arms": arms, "runs": runs}), text=True, capture_output=True,
        check=True, env=environ,
    )  # fmt: skip
    return time.perf_counter() - start, json.loads(done.stdout)


def campaign(results: Path, seeds: int) -> float:
    """Wall-clock seconds of `harness run quickstart` for one more invocation's worth of seeds, from the command line."""
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "harness", "run", "quickstart", "--seeds", str(seeds), "--set", "invocations=1", "-q", "--json",
         "--results", str(results)], check=True, capture_output=True,
    )  # fmt: skip
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=500)
    parser.add_argument("--turns", type=int, default=5)
    arguments = parser.parse_args()
    from harness import load
    from harness.spec import load_experiment

    arms = {arm.name: arm.config for arm in load_experiment("quickstart").arms}
    part = arguments.seeds // arguments.turns
    ratios, clocks, walls = [], [], [0.0, 0.0]
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder)
        for turn in range(arguments.turns):
            mine = campaign(results, (turn + 1) * part)
            rows = load("quickstart", results)
            rows = rows[~rows.warmup & (rows.replicate >= turn * part)]
            runs = [(str(a), int(s)) for a, s in zip(rows.arm, rows.seed, strict=True)]
            bare, times = bare_loop(arms, runs)
            ratios.append(mine / bare)
            clocks.append(statistics.median(rows.time_s.astype(float).to_numpy() / times))
            walls = [walls[0] + mine, walls[1] + bare]
            print(
                f"turn {turn + 1}: campaign {mine:.2f} s, bare loop {bare:.2f} s, ratio {mine / bare:.4f}, clock {clocks[-1]:.4f}"
            )
    runs_made, wall = 2 * part * arguments.turns, walls[0] / walls[1]
    print(f"wall clock, {runs_made} runs: {walls[0]:.1f} s / {walls[1]:.1f} s = {wall:.4f}")
    print(f"  median over turns {statistics.median(ratios):.4f}")
    print(
        f"recorded time / the bare loop's, run by run: {statistics.median(clocks):.4f} ({min(clocks):.4f} to {max(clocks):.4f})"
    )


if __name__ == "__main__":
    main()
