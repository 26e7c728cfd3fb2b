"""What a graphics processor does at the moment and who uses it; `Gpu` has how it is configured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.provenance.gpu import Gpu, _ask, _library, _temperature, _text, _throttle, list_gpus


@dataclass(frozen=True)
class Holder:
    """A process that has memory on a device."""

    pid: int
    name: str | None = None
    memory_bytes: int | None = None


@dataclass(frozen=True)
class GpuState:
    """One device now; None is what it does not tell."""

    gpu: Gpu
    default_power_limit_w: float | None = None
    sm_clock_mhz: int | None = None
    utilisation: int | None = None  # per cent of the last sampling period in which a kernel ran
    temperature_c: int | None = None
    slowdown_c: int | None = None  # from which temperature on the device slows itself down
    throttle: str | None = None
    holders: tuple[Holder, ...] | None = None


def gpu_states(*, nvml: Any = None) -> tuple[GpuState, ...]:
    """Every device that NVML shows; empty where there is no driver. `nvml` stands in for the module `pynvml`."""
    library = _library(nvml)
    return () if library is None else tuple(_state(library, gpu) for gpu in list_gpus(nvml=nvml))


def _state(library: Any, gpu: Gpu) -> GpuState:
    handle = _ask(library, "nvmlDeviceGetHandleByIndex", gpu.index)
    limit = _ask(library, "nvmlDeviceGetPowerManagementDefaultLimit", handle)
    rates = _ask(library, "nvmlDeviceGetUtilizationRates", handle)
    slowdown = _ask(library, "nvmlDeviceGetTemperatureThreshold", handle, library.NVML_TEMPERATURE_THRESHOLD_SLOWDOWN)
    return GpuState(
        gpu=gpu,
        default_power_limit_w=None if limit is None else limit / 1000,
        sm_clock_mhz=_ask(library, "nvmlDeviceGetClockInfo", handle, library.NVML_CLOCK_SM),
        utilisation=None if rates is None else int(rates.gpu),
        temperature_c=_temperature(library, handle),
        slowdown_c=None if slowdown is None else int(slowdown),
        throttle=_throttle(library, handle),
        holders=_holders(library, handle),
    )


def _holders(library: Any, handle: Any) -> tuple[Holder, ...] | None:
    """Processes with a context on the device; a process of another container is a number without a name."""
    questions = ("nvmlDeviceGetComputeRunningProcesses", "nvmlDeviceGetGraphicsRunningProcesses")
    lists = [_ask(library, question, handle) for question in questions]
    if all(found is None for found in lists):
        return None
    by_pid = {int(one.pid): one for found in lists for one in found or ()}
    return tuple(
        Holder(pid, _text(_ask(library, "nvmlSystemGetProcessName", pid)), getattr(one, "usedGpuMemory", None))
        for pid, one in sorted(by_pid.items())
    )
