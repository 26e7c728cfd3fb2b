"""One line of the table: something repeated many times, the rate at which it happens, and what is allowed."""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing import get_context

import numpy as np

Trial = Callable[[np.random.Generator], Iterable[str]]
"""Draws one data set and names what happened; `HIT` is what is counted, `VOID` that there was nothing to count."""

HIT, VOID = "hit", "void"
CHUNK = 250


@dataclass(frozen=True)
class Cell:
    """`trial` repeated `repeats` times; its rate of hits must lie within `low` and `high`.

    An `exact` cell is computed instead. `expected` says why a rate outside .95 (or .05) is the attainable one.
    """

    group: str
    what: str
    where: str
    repeats: int
    trial: Trial | None
    low: float = 0.0
    high: float = 1.0
    exact: Callable[[], float] | None = None
    expected: str = ""


@dataclass
class Result:
    """The counts of a cell; `rate` over the repeats in which there was something to count."""

    cell: Cell
    counts: Counter[str] = field(default_factory=Counter)
    repeats: int = 0
    value: float = math.nan

    @property
    def counted(self) -> int:
        return self.repeats - self.counts[VOID]

    @property
    def rate(self) -> float:
        if self.cell.exact is not None:
            return self.value
        return self.counts[HIT] / self.counted if self.counted else math.nan

    @property
    def se(self) -> float:
        if self.cell.exact is not None or not self.counted:
            return 0.0
        return math.sqrt(self.rate * (1 - self.rate) / self.counted)

    @property
    def ok(self) -> bool:
        return self.cell.low - 1e-9 <= self.rate <= self.cell.high + 1e-9

    def share(self, tag: str) -> float:
        return self.counts[tag] / self.repeats if self.repeats else math.nan


def three_se(rate: float, repeats: int) -> float:
    """Three standard errors of a rate that is measured in so many repeats."""
    return 3 * math.sqrt(rate * (1 - rate) / repeats)


def run_cells(cells: list[Cell], *, seed: int, processes: int) -> Iterator[Result]:
    """Every cell's result in order. Each chunk of repeats has a seed of its own, so `processes` change no number."""
    results = [Result(cell) for cell in cells]
    jobs = [job for number, cell in enumerate(cells) for job in _jobs(number, cell, seed)]
    left = Counter(job[0] for job in jobs)
    done = 0
    with get_context("fork").Pool(processes) as pool:
        for number, counts, repeats, value in pool.imap(_work, jobs):
            result = results[number]
            result.counts.update(counts)
            result.repeats += repeats
            result.value = value
            left[number] -= 1
            while done < len(results) and left[done] == 0:
                yield results[done]
                done += 1


def measure(cell: Cell, *, seed: int) -> Result:
    """One cell in this process: the same numbers as in `run_cells`."""
    result = Result(cell)
    for job in _jobs(0, cell, seed):
        _, counts, repeats, value = _work(job)
        result.counts.update(counts)
        result.repeats += repeats
        result.value = value
    return result


Job = tuple[int, Cell, tuple[int, ...], int]


def _jobs(number: int, cell: Cell, seed: int) -> Iterator[Job]:
    name = zlib.crc32(f"{cell.group}|{cell.what}|{cell.where}".encode())
    if cell.exact is not None:
        yield number, cell, (seed, name, 0), 0
        return
    for chunk, start in enumerate(range(0, cell.repeats, CHUNK)):
        yield number, cell, (seed, name, chunk), min(CHUNK, cell.repeats - start)


def _work(job: Job) -> tuple[int, Counter[str], int, float]:
    number, cell, seeds, repeats = job
    if cell.exact is not None:
        return number, Counter(), 0, cell.exact()
    assert cell.trial is not None
    rng = np.random.default_rng(seeds)
    counts: Counter[str] = Counter()
    for _ in range(repeats):
        counts.update(set(cell.trial(rng)))
    return number, counts, repeats, math.nan
