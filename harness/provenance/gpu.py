"""The graphics processors of this machine, as configured and, by `Telemetry`, as they are at the moment.

The one source is NVML (`pynvml`, of nvidia-ml-py), loaded at the first question and started once a process. Where a
driver, a device or an answer is missing the value is None. NVML tells no locked clocks: of what `nvidia-smi -lgc`
set there is no getter, so that the clock of every run, and its throttle reasons, must show it.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

__all__ = ["THROTTLE_REASONS", "Gpu", "Sample", "Telemetry", "close", "list_gpus", "visible_gpus"]

# Bits of the clocks' event (formerly: throttle) reasons. Idle (0x1) and the setting of application clocks (0x2) are
# left out: they are no trouble, and stand at rest on every machine.
_REASONS: Mapping[int, str] = {
    0x004: "sw_power_cap",
    0x008: "hw_slowdown",
    0x010: "sync_boost",
    0x020: "sw_thermal_slowdown",
    0x040: "hw_thermal_slowdown",
    0x080: "hw_power_brake_slowdown",
    0x100: "display_clock_setting",
    0x200: "board_limit",
    0x400: "reliability",
}
_HARMLESS = 0x003
THROTTLE_REASONS: tuple[str, ...] = tuple(_REASONS.values())


@dataclass(frozen=True)
class Gpu:
    """One device and how it is configured; None is what it does not tell."""

    index: int  # place in NVML's order, which is that of the PCI bus
    name: str | None = None
    uuid: str | None = None
    driver: str | None = None
    cuda_driver: str | None = None  # newest CUDA that the driver supports, such as "12.8"
    memory_total_bytes: int | None = None
    power_limit_w: float | None = None
    persistence: bool | None = None
    ecc: bool | None = None
    mig: bool | None = None
    sm_application_clock_mhz: int | None = None
    memory_application_clock_mhz: int | None = None
    sm_max_clock_mhz: int | None = None
    memory_max_clock_mhz: int | None = None
    graphics_clock_offset_mhz: int | None = None
    memory_clock_offset_mhz: int | None = None
    vbios: str | None = None


@dataclass(frozen=True)
class Sample:
    """What the device did at one moment."""

    sm_clock_mhz: int | None = None
    temperature_c: int | None = None
    throttle: str | None = None  # names joined by "+"; "none" where nothing holds the clock down


def list_gpus(*, nvml: Any = None) -> tuple[Gpu, ...]:
    """Every device that NVML shows; empty where there is no driver. `nvml` stands in for the module `pynvml`."""
    library = _library(nvml)
    if library is None:
        return ()
    count = _ask(library, "nvmlDeviceGetCount") or 0
    handles = ((index, _ask(library, "nvmlDeviceGetHandleByIndex", index)) for index in range(count))
    return tuple(_describe(library, index, handle) for index, handle in handles if handle is not None)


def visible_gpus(environ: Mapping[str, str], *, nvml: Any = None) -> tuple[Gpu, ...]:
    """The devices a process with this environment may use, in the order that CUDA gives them.

    As CUDA does, stops at the first entry of CUDA_VISIBLE_DEVICES that names nothing (so "" and "-1" show none) and
    shows none where one is named twice. Numbers are read in the order of the PCI bus, which is CUDA's own only where
    CUDA_DEVICE_ORDER=PCI_BUS_ID or all devices are alike: choose devices by UUID.
    """
    gpus = list_gpus(nvml=nvml)
    wanted = environ.get("CUDA_VISIBLE_DEVICES")
    if wanted is None or not gpus:
        return gpus
    found: list[Gpu] = []
    for entry in wanted.split(","):
        gpu = _named(entry.strip(), gpus, nvml)
        if gpu is None:
            break
        found.append(gpu)
    return () if len({gpu.uuid or gpu.index for gpu in found}) < len(found) else tuple(found)


class Telemetry:
    """Momentary readings of the device with this UUID; of nothing at all for None, a run without a device."""

    def __init__(self, uuid: str | None, *, nvml: Any = None) -> None:
        self._library = _library(nvml) if uuid else None
        self._handle = _physical_handle(self._library, uuid) if self._library is not None and uuid else None

    def sample(self) -> Sample:
        """The clock, the temperature and the reasons for a lowered clock, now."""
        library, handle = self._library, self._handle
        if library is None or handle is None:
            return Sample()
        return Sample(
            sm_clock_mhz=_ask(library, "nvmlDeviceGetClockInfo", handle, library.NVML_CLOCK_SM),
            temperature_c=_temperature(library, handle),
            throttle=_throttle(library, handle),
        )


def close() -> None:
    """Shut NVML down where this process started it; a later question starts it again."""
    if _session.cache_info().currsize:
        library = _session(os.getpid())
        if library is not None:
            _ask(library, "nvmlShutdown")
    _session.cache_clear()


@lru_cache(maxsize=1)
def _session(process: int) -> Any:
    """The module `pynvml`, started, or None; `process` makes a forked child start its own."""
    try:
        return _started(importlib.import_module("pynvml"))
    except ImportError:
        return None


def _library(given: Any) -> Any:
    return _session(os.getpid()) if given is None else _started(given)


def _started(library: Any) -> Any:
    try:
        library.nvmlInit()
    except library.NVMLError:
        return None
    return library


def _ask(library: Any, question: str, *arguments: Any) -> Any:
    """The answer, or None where library, driver or device has none."""
    function = getattr(library, question, None)
    if function is None:
        return None
    try:
        return function(*arguments)
    except (library.NVMLError, UnicodeDecodeError, OSError):
        return None


def _describe(library: Any, index: int, handle: Any) -> Gpu:
    """Ask the device for everything that is configured."""
    sm, memory = library.NVML_CLOCK_SM, library.NVML_CLOCK_MEM
    total = _ask(library, "nvmlDeviceGetMemoryInfo", handle)
    return Gpu(
        index=index,
        name=_text(_ask(library, "nvmlDeviceGetName", handle)),
        uuid=_text(_ask(library, "nvmlDeviceGetUUID", handle)),
        driver=_text(_ask(library, "nvmlSystemGetDriverVersion")),
        cuda_driver=_cuda_driver(library),
        memory_total_bytes=None if total is None else int(total.total),
        power_limit_w=_power_limit_w(library, handle),
        persistence=_switch(_ask(library, "nvmlDeviceGetPersistenceMode", handle)),
        ecc=_switch(_ask(library, "nvmlDeviceGetEccMode", handle)),
        mig=_switch(_ask(library, "nvmlDeviceGetMigMode", handle)),
        sm_application_clock_mhz=_ask(library, "nvmlDeviceGetApplicationsClock", handle, sm),
        memory_application_clock_mhz=_ask(library, "nvmlDeviceGetApplicationsClock", handle, memory),
        sm_max_clock_mhz=_ask(library, "nvmlDeviceGetMaxClockInfo", handle, sm),
        memory_max_clock_mhz=_ask(library, "nvmlDeviceGetMaxClockInfo", handle, memory),
        graphics_clock_offset_mhz=_ask(library, "nvmlDeviceGetGpcClkVfOffset", handle),
        memory_clock_offset_mhz=_ask(library, "nvmlDeviceGetMemClkVfOffset", handle),
        vbios=_text(_ask(library, "nvmlDeviceGetVbiosVersion", handle)),
    )


def _text(answer: Any) -> str | None:
    """NVML's text, which older versions of pynvml give as bytes."""
    if isinstance(answer, bytes):
        return answer.decode(errors="replace")
    return answer or None


def _switch(answer: Any) -> bool | None:
    """On or off; of a pair (current, after the next reset) the current."""
    if answer is None:
        return None
    return bool(answer[0] if isinstance(answer, Sequence) else answer)


def _cuda_driver(library: Any) -> str | None:
    """NVML says 12080 for CUDA 12.8."""
    number = _ask(library, "nvmlSystemGetCudaDriverVersion")
    return f"{number // 1000}.{number % 1000 // 10}" if number else None


def _power_limit_w(library: Any, handle: Any) -> float | None:
    """The limit that was set, in watts; NVML speaks in milliwatts."""
    limit = _ask(library, "nvmlDeviceGetPowerManagementLimit", handle)
    return None if limit is None else limit / 1000


def _temperature(library: Any, handle: Any) -> int | None:
    """Degrees Celsius, by the old question and, once that is gone, by the new one."""
    sensor = library.NVML_TEMPERATURE_GPU
    degrees = _ask(library, "nvmlDeviceGetTemperature", handle, sensor)
    if degrees is None:
        degrees = _ask(library, "nvmlDeviceGetTemperatureV", handle, sensor)
    return None if degrees is None else int(degrees)


def _throttle(library: Any, handle: Any) -> str | None:
    """Names of what holds the clock down."""
    bits = _ask(library, "nvmlDeviceGetCurrentClocksEventReasons", handle)
    if bits is None:
        bits = _ask(library, "nvmlDeviceGetCurrentClocksThrottleReasons", handle)
    if bits is None:
        return None
    set_bits = [1 << place for place in range(int(bits).bit_length()) if bits >> place & 1]
    names = [_REASONS.get(bit, f"unknown_{bit:#x}") for bit in set_bits if not bit & _HARMLESS]
    return "+".join(names) or "none"


def _named(entry: str, gpus: Sequence[Gpu], nvml: Any) -> Gpu | None:
    """The device that one entry of CUDA_VISIBLE_DEVICES means: a number, a UUID or its beginning, a MIG UUID."""
    if entry.isdecimal():
        return gpus[int(entry)] if int(entry) < len(gpus) else None
    if entry.startswith("GPU-"):
        near = [gpu for gpu in gpus if gpu.uuid is not None and gpu.uuid.startswith(entry)]
        return near[0] if len(near) == 1 else None
    return _mig_instance(entry, gpus, nvml) if entry.startswith("MIG-") else None


def _mig_instance(uuid: str, gpus: Sequence[Gpu], nvml: Any) -> Gpu | None:
    """A slice of a device: the configuration of the whole, with the name, UUID and memory of the slice."""
    library = _library(nvml)
    handle = _ask(library, "nvmlDeviceGetHandleByUUID", uuid)
    whole = None if handle is None else _ask(library, "nvmlDeviceGetDeviceHandleFromMigDeviceHandle", handle)
    parent_uuid = None if whole is None else _text(_ask(library, "nvmlDeviceGetUUID", whole))
    parent = next((gpu for gpu in gpus if parent_uuid and gpu.uuid == parent_uuid), None)
    if parent is None:
        return None
    part = _describe(library, parent.index, handle)
    name, memory = part.name or parent.name, part.memory_total_bytes
    return replace(parent, name=name, uuid=uuid, memory_total_bytes=memory)


def _physical_handle(library: Any, uuid: str) -> Any:
    """The handle of the whole device, which alone has clocks and a temperature, also where a slice is meant."""
    full = uuid if uuid.startswith(("GPU-", "MIG-")) else f"GPU-{uuid}"
    handle = _ask(library, "nvmlDeviceGetHandleByUUID", full)
    if full.startswith("MIG-") and handle is not None:
        return _ask(library, "nvmlDeviceGetDeviceHandleFromMigDeviceHandle", handle)
    return handle
