"""100,000 short runs through the real runner: does anything grow?

    python -m benchmarks.soak [--runs 100000] [--write docs/faults.md]

Two arms of a function that does nothing, five process starts, every row written and flushed as always. Memory (resident set)
and open files of the driver and of the worker are sampled as the runs are stored. Growth is the mean of the steps between ten
parts of a stretch (the first tenth of each is left aside: a process that warms up grows), with the 95 % interval of its t distribution:
for the driver over the whole campaign, for the workers within each process start.
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

STARTS = 5
PARTS = 10
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


def steps(values: Sequence[float], every: int) -> list[float]:
    """Growth per 1,000 runs between the means of successive parts of a stretch, its first tenth left aside."""
    kept = values[len(values) // 10 :]
    edges = [round(i * len(kept) / PARTS) for i in range(PARTS + 1)]
    means = [statistics.fmean(kept[a:b]) for a, b in itertools.pairwise(edges) if b > a]
    runs = every * len(kept) / PARTS
    return [1000 * (b - a) / runs for a, b in itertools.pairwise(means)]


def growth(found: Sequence[float]) -> Growth:
    from scipy import stats

    middle = statistics.fmean(found)
    half = stats.t.ppf(0.975, len(found) - 1) * statistics.stdev(found) / len(found) ** 0.5
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


def soak(runs: int, folder: Path) -> Soaked:
    """A campaign of so many runs in `folder`, sampled 200 times or more."""
    from harness.app import preparing, running
    from harness.cli.progress import progress
    from harness.spec import Request, load_experiment
    from harness.store.read import read_table

    (folder / "train.py").write_text(TRAIN)
    (folder / "soak.toml").write_text(EXPERIMENT)
    experiment = load_experiment(str(folder / "soak.toml"), Request(sets={"invocations": STARTS}, seeds=runs // 2))
    options = preparing.RunOptions(results=folder / "results")
    prepared = preparing.prepare_run(experiment, options)
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
    of_workers = [[s for w in longest for s in steps([x[i] for x in w], samples.every)] for i in (0, 1)]
    return Soaked(
        runs=runs, seconds=seconds, stored=len(keys),
        memory=growth([s / 1024 for s in steps([x[0] for x in samples.driver], samples.every)]),
        files=growth(steps([x[1] for x in samples.driver], samples.every)),
        worker_memory=growth([s / 1024 for s in of_workers[0]]), worker_files=growth(of_workers[1]),
        cost=growth(steps(spans, samples.every)),
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
