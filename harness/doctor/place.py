"""Memory, the disk below the results, and the clock that runs are timed by."""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.doctor.check import Check, State
from harness.provenance.host import Limits, clock_source, existing, mount_of

GIB = 1 << 30
LITTLE_MEMORY, NO_MEMORY = GIB, GIB // 4
LITTLE_DISK, NO_DISK = GIB, GIB // 10
SLOW_FLUSH_S = 0.05
FLUSHES = 5
STEADY_SOURCES = frozenset(
    ("tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page", "timebase", "riscv_clocksource")
)
JUMP_S = 0.1


def memory_check(free: int | None, total: int | None, limits: Limits) -> Check:
    """Free memory, of the machine's or of the control group's, whichever is less."""
    if free is None or total is None:
        return Check("memory and disk", "memory", "unknown", "not told")
    limit = limits.memory_bytes
    whole = total if limit is None else min(total, limit)
    free = min(free, whole, whole if limits.memory_free_bytes is None else limits.memory_free_bytes)
    shown = f"{free / GIB:.1f} of {whole / GIB:.1f} GiB free" + (
        " (limited by a control group)" if whole < total else ""
    )
    state: State = "bad" if free < NO_MEMORY else "warn" if free < LITTLE_MEMORY else "ok"
    advice = "" if state == "ok" else "A machine that swaps times its disk. See who has it: ps aux --sort -rss | head"
    return Check("memory and disk", "memory", state, shown, advice, {"free_bytes": free, "total_bytes": whole})


def disk_checks(results: Path) -> Iterator[Check]:
    """Space and kind of the file system of the results folder, and how long it takes to flush a row."""
    group, place = "memory and disk", existing(results)
    try:
        free = shutil.disk_usage(place).free
    except OSError as problem:
        yield Check(group, "disk", "unknown", f"{place}: {problem.strerror}")
        return
    state: State = "bad" if free < NO_DISK else "warn" if free < LITTLE_DISK else "ok"
    advice = "" if state == "ok" else "Free some, or name another folder: --results DIR"
    yield Check(group, "disk", state, f"{free / GIB:.1f} GiB free below {place}", advice, {"free_bytes": free})
    yield _file_system(results)
    yield _flush(place)


def _file_system(results: Path) -> Check:
    group, name, mount = "memory and disk", "file system", mount_of(results)
    if mount is None:
        return Check(group, name, "unknown", "not told")
    shown = f"{mount.kind}, mounted at {mount.point}"
    if mount.network:
        advice = "A row is flushed over the network after every run. Keep --results on a local disk and copy the folder afterwards."
        return Check(group, name, "warn", shown, advice, mount.kind)
    if mount.volatile:
        advice = "It lies in memory and is gone after a restart. Name a folder on a disk: --results DIR"
        return Check(group, name, "warn", shown, advice, mount.kind)
    return Check(group, name, "ok", shown, value=mount.kind)


def _flush(place: Path) -> Check:
    """The median of a few flushes of a short line to a file that is removed again."""
    group, name = "memory and disk", "flush of a row"
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            taken = [_flushed(file.fileno()) for _ in range(FLUSHES)]
    except OSError as problem:
        advice = "Nothing can be stored there. Check its permissions, or name another folder: --results DIR"
        return Check(group, name, "bad", f"{place} cannot be written: {problem.strerror}", advice)
    middle = statistics.median(taken)
    slow = middle > SLOW_FLUSH_S
    advice = (
        "The next run waits for it (its time is not counted). A local disk is faster: --results DIR" if slow else ""
    )
    return Check(group, name, "warn" if slow else "ok", f"{1000 * middle:.2g} ms", advice, middle)


def _flushed(descriptor: int) -> float:
    started = time.perf_counter()
    os.write(descriptor, b"a row of a store\n")
    os.fsync(descriptor)
    return time.perf_counter() - started


@dataclass(frozen=True)
class Moment:
    """The time of day and the steady clock at one moment."""

    day: float
    steady: float

    @classmethod
    def now(cls) -> Moment:
        return cls(time.time(), time.monotonic())


def clock_checks(before: Moment, after: Moment) -> Iterator[Check]:
    """What times are read from, and whether the time of day was set between the two moments."""
    source, step = clock_source(), time.get_clock_info("perf_counter").resolution
    shown = f"{source or 'not told'}, resolution {step:.0e} s"
    if source is None:
        yield Check("clock", "source", "unknown", shown)
    elif source in STEADY_SOURCES:
        yield Check("clock", "source", "ok", shown, value=source)
    else:
        advice = (
            "The kernel did not trust the processor's own counter; this one is slow to read. See why: dmesg | grep -i clocksource, "
            "and which there are: cat /sys/devices/system/clocksource/clocksource0/available_clocksource"
        )
        yield Check("clock", "source", "warn", shown, advice, source)
    jump = (after.day - before.day) - (after.steady - before.steady)
    shown = f"{1000 * jump:+.1f} ms against the steady clock in {after.steady - before.steady:.0f} s"
    if abs(jump) > JUMP_S:
        advice = "The time of day was set meanwhile. Durations do not suffer, started_at and ended_at do: timedatectl, chronyc tracking"
        yield Check("clock", "jumps", "warn", shown, advice, jump)
    else:
        yield Check("clock", "jumps", "ok", shown, value=jump)
