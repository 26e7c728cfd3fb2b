"""The processors: what is set, what others use of them, and how many of them this process may use."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.doctor.check import Check, State
from harness.provenance.host import Limits, frequencies_mhz, governors, limits, smt_active
from harness.provenance.load import Load
from harness.provenance.software import cpu_facts

GROUP = "processor"
QUIET_CORES = 0.1
"""Cores that others may keep busy without being named a trouble."""
LITTLE_STOLEN, MUCH_STOLEN = 0.001, 0.01
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
STEADY = frozenset(("performance", "userspace"))


@dataclass(frozen=True)
class Processors:
    """What the kernel tells of the processors, and who used them while nothing of ours ran."""

    load: Load
    governors: frozenset[str] = frozenset()
    turbo: bool | None = None
    smt: bool | None = None
    mhz: tuple[float, ...] = ()
    highest_mhz: int | None = None
    logical: int = 1
    allowed: int = 1
    limits: Limits = Limits()
    virtual: tuple[str, ...] = ()
    load_average: float | None = None

    @property
    def usable(self) -> float:
        """Cores that this process may keep busy: the fewest of those that are there, allowed to it and paid for."""
        return min(self.logical, self.allowed, self.limits.cores or self.logical)


def processors(load: Load, virtual: tuple[str, ...]) -> Processors:
    """Of this machine, now."""
    facts: dict[str, Any] = cpu_facts()
    return Processors(
        load, governors(), facts["turbo"], smt_active(), frequencies_mhz(), facts["max_mhz"], facts["logical_cores"] or 1,
        facts["affinity_cores"] or facts["logical_cores"] or 1, limits(), virtual, _load_average(),
    )  # fmt: skip


def _load_average() -> float | None:
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def cpu_checks(found: Processors, environ: Mapping[str, str]) -> Iterator[Check]:
    yield _governor(found)
    yield _turbo(found)
    yield _clock(found)
    yield _smt(found)
    yield _load(found)
    yield _quota(found)
    yield _threads(found, environ)


def _governor(found: Processors) -> Check:
    told = ", ".join(sorted(found.governors))
    if not told:
        where = "a virtual machine has none of its own" if found.virtual else "the kernel tells none"
        return Check(
            GROUP, "governor", "unknown", f"not told: {where}", "On the machine itself: cpupower frequency-info"
        )
    if found.governors <= STEADY:
        return Check(GROUP, "governor", "ok", told, value=sorted(found.governors))
    advice = "The clock follows the load and starts low. Set it: sudo cpupower frequency-set -g performance"
    return Check(GROUP, "governor", "warn", told, advice, sorted(found.governors))


def _turbo(found: Processors) -> Check:
    if found.turbo is None:
        return Check(GROUP, "turbo", "unknown", "not told", "On the machine itself: cpupower frequency-info")
    if not found.turbo:
        return Check(GROUP, "turbo", "ok", "off", value=False)
    advice = (
        "The clock rises and falls with temperature and with what the other cores do. For times, turn it off: "
        "echo 1 | sudo tee /sys/devices/system/cpu/intel_pstate/no_turbo (Intel), "
        "echo 0 | sudo tee /sys/devices/system/cpu/cpufreq/boost (AMD)"
    )
    return Check(GROUP, "turbo", "warn", "on", advice, True)


def _clock(found: Processors) -> Check:
    if not found.mhz:
        return Check(GROUP, "clock now", "unknown", "not told")
    low, high = min(found.mhz), max(found.mhz)
    shown = f"{low:.0f} MHz" if round(low) == round(high) else f"{low:.0f} to {high:.0f} MHz"
    shown += f", of at most {found.highest_mhz} MHz" if found.highest_mhz else ""
    return Check(GROUP, "clock now", "ok", shown, value=[low, high])


def _smt(found: Processors) -> Check:
    if found.smt is None:
        return Check(GROUP, "SMT", "unknown", "not told")
    if not found.smt:
        return Check(GROUP, "SMT", "ok", "off: a thread has its core to itself", value=False)
    advice = (
        "Two threads on one core slow each other down by a half. Turn it off: "
        "echo off | sudo tee /sys/devices/system/cpu/smt/control, or keep to one thread a core: taskset -c CORES harness run ..."
    )
    return Check(GROUP, "SMT", "warn", "on: two threads share a core", advice, True)


def _load(found: Processors) -> Check:
    load, named = found.load, found.load.others[:3]
    seen = sum(one.cores for one in load.others)
    busy = max(seen, load.busy_cores or 0.0)
    average = "" if found.load_average is None else f"; load average {found.load_average:.2f}"
    shown = f"others keep {busy:.2f} of {found.logical} cores busy{average}"
    value = {"busy_cores": busy, "processes": [vars(one) for one in load.others]}
    if busy < QUIET_CORES:
        return Check(GROUP, "load", "ok", shown, value=value)
    who = ", ".join(f"{one.name} (process {one.pid}, {one.cores:.2f} cores)" for one in named)
    hidden = "processes that cannot be seen from here, of another container or user"
    state: State = "bad" if busy > found.logical - 1 else "warn"
    told = f": {who}" if who else f": {hidden}"
    return Check(
        GROUP, "load", state, shown + told, "Let them end, or stop them, before anything is timed: top -o %CPU", value
    )


def stolen_check(load: Load, virtual: tuple[str, ...]) -> Check:
    """What the hypervisor gave to others in the time of `load`: the longer, the surer."""
    share, where = load.stolen, " + ".join(virtual)
    if share is None:
        return Check(GROUP, "stolen time", "unknown", "not told")
    shown = f"{100 * share:.2f} % in {load.seconds:.0f} s" + (f" (virtual: {where})" if where else "")
    if share < LITTLE_STOLEN:
        neighbours = (
            "Neighbours on the same hardware are not seen from inside; the noise floor shows them." if where else ""
        )
        return Check(GROUP, "stolen time", "ok", shown, neighbours, share)
    state: State = "bad" if share >= MUCH_STOLEN else "warn"
    advice = "The hypervisor gives this machine's processors to others. Take a dedicated host, or more process starts."
    return Check(GROUP, "stolen time", state, shown, advice, share)


def _quota(found: Processors) -> Check:
    quota, allowed, logical = found.limits.cores, found.allowed, found.logical
    value = {"quota_cores": quota, "allowed_cores": allowed, "logical_cores": logical}
    if quota is None and allowed == logical:
        return Check(GROUP, "share of the cores", "ok", f"all {logical}, no quota", value=value)
    if quota is not None and quota < min(allowed, logical):
        held = found.limits.throttled
        shown = f"{quota:g} of {logical} cores by quota" + (f"; held back {max(held)} times so far" if held else "")
        advice = (
            f"Programs see {logical} cores, start as many threads, use the quota up and are stopped until the next period. "
            f"Say how many there are: OMP_NUM_THREADS={max(1, int(quota))}, and as many loader workers; or raise the quota "
            "(docker run --cpus, resources.limits.cpu)."
        )
        return Check(GROUP, "share of the cores", "warn", shown, advice, value)
    return Check(GROUP, "share of the cores", "ok", f"{allowed} of {logical}, by affinity", value=value)


def _threads(found: Processors, environ: Mapping[str, str]) -> Check:
    told = {name: environ[name] for name in THREADS if environ.get(name)}
    if told:
        shown = ", ".join(f"{name}={value}" for name, value in told.items())
        numbers = [int(value) for value in told.values() if value.isdecimal()]
        if numbers and max(numbers) > found.usable:
            advice = f"More threads than the {found.usable:g} cores that may be used: set OMP_NUM_THREADS={max(1, int(found.usable))}"
            return Check(GROUP, "threads", "warn", shown, advice, told)
        return Check(GROUP, "threads", "ok", shown, value=told)
    shown = f"not set: numpy and torch take a thread for each of {found.allowed} cores"
    if found.usable < found.allowed:
        advice = f"More threads than the {found.usable:g} cores that may be used: set OMP_NUM_THREADS={max(1, int(found.usable))}"
        return Check(GROUP, "threads", "warn", shown, advice, told)
    return Check(GROUP, "threads", "ok", shown, value=told)
