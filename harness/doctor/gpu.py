"""The graphics processors: what is set, what holds them back, and who else uses them."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import replace

from harness.doctor.check import Check, State
from harness.provenance.gpu_state import GpuState

GIB = 1 << 30
NEAR_SLOWDOWN_C = 8
ASLEEP = 0.6
"""A device without work whose clock lies below this share of its highest is not held at a clock."""
ASIDE = "Nothing is timed on it (CUDA_VISIBLE_DEVICES leaves it out); heat, power and processors it may share with those that are."


def gpu_checks(
    states: Sequence[GpuState], *, driver_files: bool, used: Container[int] | None = None
) -> Iterator[Check]:
    """`used`: the indices of the devices that runs would be timed on (None: all); what is bad of another is told, and no worse."""
    if not states:
        yield _none(driver_files=driver_files)
    for state in states:
        gpu = state.gpu
        group = f"GPU {gpu.index}" + (f" {gpu.name}" if gpu.name else "")
        for look in (_clocks, _power, _persistence, _holders, _temperature, _throttle, _ecc, _mig):
            check = look(group, state)
            aside = used is not None and gpu.index not in used and check.state == "bad"
            yield replace(check, state="warn", advice=ASIDE) if aside else check


def _none(*, driver_files: bool) -> Check:
    if driver_files:
        advice = "There is a device and its driver does not answer: nvidia-smi says why (after an update of the driver: restart)."
        return Check("GPU", "device", "unknown", "the driver does not answer", advice)
    return Check("GPU", "device", "ok", "no GPU: only the processor is timed here")


def _clocks(group: str, state: GpuState) -> Check:
    """NVML tells no locked clocks: a device at rest whose clock has fallen is surely free, one that stands still may be held."""
    gpu, now, highest = state.gpu, state.sm_clock_mhz, state.gpu.sm_max_clock_mhz
    value = {"sm_mhz": now, "highest_mhz": highest, "application_mhz": gpu.sm_application_clock_mhz}
    lock = f"Lock them below what heat and power allow, and unlock afterwards (-rgc): sudo nvidia-smi -i {gpu.index} -lgc MHZ,MHZ"
    if now is None or highest is None:
        return Check(group, "clocks", "unknown", "not told", lock, value)
    shown = f"{now} of at most {highest} MHz"
    if state.utilisation:
        return Check(
            group, "clocks", "unknown", f"{shown}, at work: whether they are locked is seen at rest only", lock, value
        )
    if now < ASLEEP * highest and now != gpu.sm_application_clock_mhz:
        return Check(group, "clocks", "warn", f"{shown} at rest: not locked", lock, value)
    if now == highest:
        return Check(group, "clocks", "unknown", f"{shown} at rest: locked, or awake", lock, value)
    return Check(group, "clocks", "ok", f"{shown} at rest: held there", value=value)


def _power(group: str, state: GpuState) -> Check:
    limit, default = state.gpu.power_limit_w, state.default_power_limit_w
    value = {"limit_w": limit, "default_w": default}
    if limit is None or default is None:
        return Check(group, "power limit", "unknown", "not told", value=value)
    shown = f"{limit:g} W, by default {default:g} W"
    if abs(limit - default) < 1:
        return Check(group, "power limit", "ok", shown, value=value)
    advice = f"Right if it was meant; it is part of the environment. Back: sudo nvidia-smi -i {state.gpu.index} -pl {default:g}"
    return Check(group, "power limit", "warn", shown, advice, value)


def _persistence(group: str, state: GpuState) -> Check:
    mode = state.gpu.persistence
    if mode is None:
        return Check(group, "persistence", "unknown", "not told")
    if mode:
        return Check(group, "persistence", "ok", "on", value=True)
    advice = f"The driver unloads between process starts and forgets locked clocks: sudo nvidia-smi -i {state.gpu.index} -pm 1"
    return Check(group, "persistence", "warn", "off", advice, False)


def _holders(group: str, state: GpuState) -> Check:
    holders, work = state.holders, state.utilisation
    busy = "" if work is None else f", {work} % at work"
    if holders is None:
        return Check(group, "other processes", "unknown", f"not told{busy}", value=None)
    value = [vars(one) for one in holders]
    if not holders:
        working: State = "warn" if work and work > 5 else "ok"
        advice = (
            "Somebody whose processes cannot be seen from here uses it: nvidia-smi on the host"
            if working == "warn"
            else ""
        )
        return Check(group, "other processes", working, f"none{busy}", advice, value)
    names = [f"{one.name or 'unnamed'} ({one.pid}{_size(one.memory_bytes)})" for one in holders[:4]]
    more = f" and {len(holders) - 4} more" if len(holders) > 4 else ""
    advice = "Only one of you is measured: let them end, or take another device (CUDA_VISIBLE_DEVICES)"
    return Check(group, "other processes", "bad", f"{', '.join(names)}{more}{busy}", advice, value)


def _size(memory: int | None) -> str:
    return "" if memory is None else f", {memory / GIB:.1f} GiB"


def _temperature(group: str, state: GpuState) -> Check:
    now, limit = state.temperature_c, state.slowdown_c
    if now is None:
        return Check(group, "temperature", "unknown", "not told")
    shown = f"{now} °C" + ("" if limit is None else f", slows down from {limit} °C on")
    near = limit is not None and now >= limit - NEAR_SLOWDOWN_C
    advice = "Too hot before anything runs: let it cool, and see to fans and dust." if near else ""
    return Check(group, "temperature", "warn" if near else "ok", shown, advice, now)


def _throttle(group: str, state: GpuState) -> Check:
    reasons = state.throttle
    if reasons is None:
        return Check(group, "held back by", "unknown", "not told")
    if reasons == "none":
        return Check(group, "held back by", "ok", "nothing", value=[])
    hard = any(word in reasons for word in ("thermal", "hw_", "brake", "reliability"))
    advice = f"Times of a device that is held back are those of its cooling or power: nvidia-smi -i {state.gpu.index} -q -d PERFORMANCE"
    return Check(
        group, "held back by", "bad" if hard else "warn", reasons.replace("+", ", "), advice, reasons.split("+")
    )


def _ecc(group: str, state: GpuState) -> Check:
    mode = state.gpu.ecc
    return Check(
        group,
        "ECC",
        "unknown" if mode is None else "ok",
        "not told" if mode is None else "on" if mode else "off",
        value=mode,
    )


def _mig(group: str, state: GpuState) -> Check:
    mode = state.gpu.mig
    if not mode:
        return Check(group, "MIG", "ok", "not told" if mode is None else "off", value=mode)
    advice = (
        "Slices share clock, power and memory bandwidth: time only where nobody has the others, or on a whole device."
    )
    return Check(group, "MIG", "warn", "on", advice, True)
