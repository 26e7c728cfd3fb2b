"""Who else uses the processors: seen between two looks at the kernel's counters."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from harness.provenance.files import text_of

TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
LEAST_CORES = 0.03
"""A process that uses less of a core than this is not named."""


@dataclass(frozen=True)
class Busy:
    """A process and how many cores it kept busy."""

    pid: int
    name: str
    cores: float


@dataclass(frozen=True)
class Load:
    """What happened in `seconds`: cores kept busy on the whole machine, the share of the time that the hypervisor gave to
    others, and the processes behind it, the busiest first. None is what the kernel does not tell.
    """

    seconds: float
    busy_cores: float | None
    stolen: float | None
    others: tuple[Busy, ...] = ()


@dataclass(frozen=True)
class Look:
    """The counters at one moment, in ticks."""

    at: float
    busy: int | None
    idle: int
    stolen: int
    processes: dict[int, tuple[str, int]]


def look(proc: Path = Path("/proc")) -> Look:
    """The counters now."""
    fields = next((line.split()[1:] for line in text_of(proc / "stat").splitlines() if line.startswith("cpu ")), [])
    ticks = [int(field) for field in fields]
    if len(ticks) < 8:
        return Look(time.monotonic(), None, 0, 0, _processes(proc))
    user, nice, system, idle, waiting, irq, softirq, stolen = ticks[:8]
    return Look(time.monotonic(), user + nice + system + irq + softirq, idle + waiting, stolen, _processes(proc))


def load_between(first: Look, last: Look, *, without: frozenset[int] = frozenset()) -> Load:
    """The load from one look to another; processes `without` are not told (this one's own)."""
    seconds = max(last.at - first.at, 1e-9)
    busy = stolen = None
    if first.busy is not None and last.busy is not None:
        busy = (last.busy - first.busy) / TICKS / seconds
        whole = last.busy - first.busy + last.idle - first.idle + last.stolen - first.stolen
        stolen = (last.stolen - first.stolen) / whole if whole > 0 else 0.0
    found = []
    for pid, (name, ticks) in last.processes.items():
        cores = (ticks - first.processes.get(pid, (name, 0))[1]) / TICKS / seconds
        if pid not in without and cores >= LEAST_CORES:
            found.append(Busy(pid, name, cores))
    return Load(seconds, busy, stolen, tuple(sorted(found, key=lambda one: -one.cores)))


def _processes(proc: Path) -> dict[int, tuple[str, int]]:
    """Name and ticks so far of every process that can be seen."""
    found = {}
    for path in proc.glob("[0-9]*/stat"):
        head, paren, tail = text_of(path).rpartition(")")
        fields = tail.split()
        if paren and len(fields) > 12:
            name = head.partition("(")[2]
            found[int(path.parent.name)] = (name, int(fields[11]) + int(fields[12]))
    return found
