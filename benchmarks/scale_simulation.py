"""Where ten thousand workers would wait: an event simulation of one driver that stores what they finish.

    uv run python -m benchmarks.scale_simulation [--flush-ms 4] [--row-ms 0.04] [--ask-ms 0.6] [--run-s 4]

A worker trains (the length of a run is gamma distributed around `run-s`, coefficient of variation .2), hands its attempt over, and waits
until it is stored before it begins the next; the driver serves one batch after another. Ways of storing:

one      a row and its flush at a time, as today
group    all rows that wait, with one flush for all of them: nothing is promised less
spool    a shard for each worker, flushed there; the driver looks at all of them every two seconds, and stores what it finds with one flush

The costs are measured by `benchmarks.throughput`: `flush-ms` one flush to disk, `row-ms` what the driver does for one row besides (an
answer read, checked, formatted), `ask-ms` the question to a worker. Printed: runs a second over all workers, the share of the workers' time
spent waiting to be stored, and hours for ten million runs.
"""

from __future__ import annotations

import argparse
import heapq
import random
from collections import deque
from dataclasses import dataclass

LOOK_S, OPEN_S = 2.0, 20e-6
"""Between two looks at the shards; for one shard that is opened and read from its offset, on a local disk."""


@dataclass(frozen=True)
class Costs:
    """Seconds."""

    flush: float
    row: float
    ask: float
    run: float
    spread: float = 0.2


@dataclass(frozen=True)
class Found:
    per_s: float
    waiting: float
    busy: float


def simulate(workers: int, way: str, costs: Costs, *, runs: int, seed: int = 1) -> Found:
    """A closed queue: `workers` customers, one server. After a tenth of the runs the counting begins."""
    if way == "spool":
        return _spooled(workers, costs, runs=runs, seed=seed)
    draw = random.Random(seed)
    finished = [(draw.random() * costs.run, worker) for worker in range(workers)]
    heapq.heapify(finished)
    waiting: deque[float] = deque()
    free_at = waited = busy = 0.0
    stored, began = 0, None
    while stored < runs:
        if not waiting:
            at, _ = heapq.heappop(finished)
            waiting.append(at)
            free_at = max(free_at, at)
        while finished and finished[0][0] <= free_at:
            waiting.append(heapq.heappop(finished)[0])
        size = 1 if way == "one" else len(waiting)
        done = free_at + costs.flush + size * (costs.row + costs.ask)
        counts = stored >= runs // 10
        if counts and began is None:
            began, waited, busy, first = free_at, 0.0, 0.0, stored
        busy += done - free_at
        for _ in range(size):
            waited += done - waiting.popleft()
            heapq.heappush(finished, (done + _run_s(draw, costs), 0))
        stored += size
        free_at = done
    assert began is not None
    span = free_at - began
    return Found((stored - first) / span, waited / (span * workers), busy / span)


def _spooled(workers: int, costs: Costs, *, runs: int, seed: int) -> Found:
    """Each worker flushes for itself, so each is simulated as the driver of one; the driver's share is what it takes in."""
    one = simulate(1, "one", costs, runs=max(2000, min(runs, 20_000)), seed=seed)
    per_s = one.per_s * workers
    busy = per_s * costs.row + (costs.flush + workers * OPEN_S) / LOOK_S
    return Found(min(per_s, per_s / busy if busy > 1 else per_s), one.waiting, min(1.0, busy))


def _run_s(draw: random.Random, costs: Costs) -> float:
    shape = 1 / costs.spread**2
    return draw.gammavariate(shape, costs.run / shape)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flush-ms", type=float, default=4.0)
    parser.add_argument("--row-ms", type=float, default=0.04)
    parser.add_argument("--ask-ms", type=float, default=0.6)
    parser.add_argument("--run-s", type=float, default=4.0)
    asked = parser.parse_args()
    costs = Costs(asked.flush_ms / 1e3, asked.row_ms / 1e3, asked.ask_ms / 1e3, asked.run_s)
    print(f"flush {asked.flush_ms:g} ms, row {asked.row_ms:g} ms, question {asked.ask_ms:g} ms, run {asked.run_s:g} s")
    print(f"{'workers':>8}{'way':>8}{'runs/s':>9}{'ideal':>9}{'waiting':>9}{'driver busy':>13}{'10^7 runs, h':>14}")
    for workers in (1, 8, 64, 512, 1000, 2000, 10_000):
        for way in ("one", "group", "spool"):
            one = simulate(workers, way, costs, runs=max(2000, 12 * workers))
            print(
                f"{workers:>8}{way:>8}{one.per_s:>9.1f}{workers / asked.run_s:>9.1f}{one.waiting:>9.1%}{one.busy:>13.1%}"
                f"{1e7 / one.per_s / 3600:>14.1f}"
            )


if __name__ == "__main__":
    main()
