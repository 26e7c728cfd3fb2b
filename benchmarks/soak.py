"""100,000 short runs through the real runner: does anything grow?

    python -m benchmarks.soak [--runs 100000] [--write docs/faults.md]

Two arms of a function that does nothing, five process starts, every row written and flushed as always. Memory (resident set)
and open files of the driver and of the worker are sampled as the runs are stored. Growth is the mean of the slopes of straight
lines, with the 95 % interval of its t distribution: one line to each of five stretches of the driver's samples, one to those of each worker
(the first tenth of a process is left aside: it grows while it warms up). What memory does in one stretch says little of the next, so that
the slopes vary by as much as is not known, whether memory stands still with noise around it or goes up by steps; a single line through all
samples would take a few steps for a trend that is known well.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

STARTS = 5
STRETCHES = 5
TRAIN = "def train(seed):\n    return 1, 2\n"
EXPERIMENT = 'trainer = "train.py"\nmargin_pp = 1\n[[arms]]\nname = "a"\n[[arms]]\nname = "b"\n'
BEGIN, END = "<!-- soak -->", "<!-- end of soak -->"


@dataclass
class Samples:
    """What was seen after every so many runs: of the driver, and of each worker process by its number."""

    every: int
    seen: int = 0
    at: list[float] = field(default_factory=list)
    driver: list[tuple[int, int]] = field(default_factory=list)
    workers: dict[int, list[tuple[int, int]]] = field(default_factory=dict)

    def take(self, finished: Any) -> None:
        self.seen += 1
        if self.seen % self.every:
            return
        self.at.append(time.perf_counter())
        self.driver.append(state_of(os.getpid()))
        for pid in children():
            if (now := state_of(pid)) != (0, 0):
                self.workers.setdefault(pid, []).append(now)


def state_of(pid: int) -> tuple[int, int]:
    """Resident bytes and open files of a process; zeros where it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE"), len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - the names alone
    except (OSError, IndexError):
        return 0, 0


def children() -> list[int]:
    out: list[int] = []
    for task in Path("/proc/self/task").iterdir():
        try:
            out += map(int, (task / "children").read_text().split())
        except OSError:  # a thread that ended meanwhile
            continue
    return out


@dataclass(frozen=True)
class Growth:
    """A slope per 1,000 runs, with its 95 % interval."""

    value: float
    low: float
    high: float

    def text(self, unit: str) -> str:
        return f"{self.value:+.2f} {unit} [{self.low:+.2f}, {self.high:+.2f}]"


def slopes(values: Sequence[float], every: int, stretches: int = STRETCHES) -> list[float]:
    """Growth per 1,000 runs in each of so many stretches of `values` (n,), the first tenth left aside."""
    kept = np.array_split(np.asarray(values[len(values) // 10 :], dtype=float), stretches)
    return [1000 / every * float(np.polyfit(np.arange(part.size), part - part[0], 1)[0]) for part in kept]


def growth(found: Sequence[float]) -> Growth:
    from scipy import stats

    middle = statistics.fmean(found)
    half = float(stats.t.ppf(0.975, len(found) - 1)) * statistics.stdev(found) / len(found) ** 0.5
    return Growth(middle, middle - half, middle + half)


@dataclass(frozen=True)
class Soaked:
    runs: int
    seconds: float
    stored: int
    memory: Growth
    files: Growth
    worker_memory: Growth
    worker_files: Growth
    cost: Growth
    peak: int
    worker_peak: int
    rate: float

    def table(self) -> str:
        mib = 2**20
        return "\n".join([
            "| after 1,000 runs more | driver | worker |", "|---|---|---|",
            f"| memory, KiB | {self.memory.text('KiB')} | {self.worker_memory.text('KiB')} |",
            f"| open files | {self.files.text('')} | {self.worker_files.text('')} |",
            f"| time of a run, µs | {self.cost.text('µs')} | |",
            f"| most memory, MiB | {self.peak / mib:.1f} | {self.worker_peak / mib:.1f} |",
            "", f"{self.runs:,} runs in {self.seconds:.0f} s ({self.rate:.0f} a second) over "
            f"{STARTS} process starts; {self.stored:,} rows stored, each once.",
        ])  # fmt: skip


def soak(runs: int, folder: Path, train: str = TRAIN) -> Soaked:
    """A campaign of so many runs of `train` in `folder`, sampled 200 times or more."""
    from harness.app import preparing, running
    from harness.cli.progress import Gaps, _difference, progress
    from harness.spec import Request, load_experiment
    from harness.store.read import read_table

    (folder / "train.py").write_text(train)
    (folder / "soak.toml").write_text(EXPERIMENT)
    experiment = load_experiment(str(folder / "soak.toml"), Request(sets={"invocations": STARTS}, seeds=runs // 2))
    options = preparing.RunOptions(results=folder / "results")
    prepared = preparing.prepare_run(experiment, options)
    _difference("b", Gaps(10, 0.1, 1.0))  # what the first line of the display loads would be taken for growth
    samples = Samples(every=max(1, runs // (STARTS * 100)))
    begun = time.perf_counter()
    with progress(prepared, silent=False) as shown:

        def take(finished: Any) -> None:
            if shown is not None:
                shown(finished)
            samples.take(finished)

        running.run(prepared, options, take)
    seconds = time.perf_counter() - begun
    table = read_table(folder / "results/soak/runs.csv", "soak")
    counts = [
        i
        for i, (s, w) in enumerate(zip(table.text("status"), table.text("warmup"), strict=True))
        if (s, w) == ("completed", "false")
    ]
    keys = {(table.text("arm")[i], table.text("replicate")[i]) for i in counts}
    if len(keys) != len(counts):
        raise AssertionError("a run stands twice")
    longest = sorted(samples.workers.values(), key=len)[-STARTS:]
    spans = [1e6 * (b - a) / samples.every for a, b in itertools.pairwise(samples.at)]
    of_workers = [[slopes([x[i] for x in w], samples.every, 1)[0] for w in longest] for i in (0, 1)]
    return Soaked(
        runs=runs, seconds=seconds, stored=len(keys),
        memory=growth([s / 1024 for s in slopes([x[0] for x in samples.driver], samples.every)]),
        files=growth(slopes([x[1] for x in samples.driver], samples.every)),
        worker_memory=growth([s / 1024 for s in of_workers[0]]), worker_files=growth(of_workers[1]),
        cost=growth(slopes(spans, samples.every)),
        peak=max(x[0] for x in samples.driver), worker_peak=max(x[0] for w in longest for x in w), rate=samples.seen / seconds,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--write", type=Path, metavar="PAGE", help="write the table into this page, between its marks")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        soaked = soak(given.runs, Path(folder))
    print(soaked.table())
    if given.write:
        before, _, rest = given.write.read_text(encoding="utf-8").partition(BEGIN)
        given.write.write_text(f"{before}{BEGIN}\n{soaked.table()}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    sys.exit(soaked.stored != given.runs)


if __name__ == "__main__":
    main()
