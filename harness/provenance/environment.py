"""The environment of a run: what could make the same code give other numbers, and its fingerprint."""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.model.hashing import digest
from harness.provenance.files import text_of
from harness.provenance.gpu import Gpu
from harness.provenance.software import (
    cpu_facts,
    cpu_name,
    host_name,
    installed,
    installed_everything,
    kernel,
    python_version,
    torch_build,
)

__all__ = ["describe_environment", "fingerprint", "row_fields"]

# Which of several equal devices a worker was given is told by the device's UUID.
_SELECTION = frozenset(("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "NVIDIA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"))
# What is set on a device, not what it is at the moment, nor what tells equal devices apart.
_CONFIGURED = (
    *("name", "power_limit_w", "persistence", "ecc", "mig", "sm_application_clock_mhz"),
    *("memory_application_clock_mhz", "graphics_clock_offset_mhz", "memory_clock_offset_mhz"),
)


def describe_environment(libraries: Sequence[str], environ: Mapping[str, str], gpu: Gpu | None) -> dict[str, Any]:
    """All that is known of where runs take place, as JSON can say it, in two parts.

    fingerprinted  what makes two environments one: hardware, configured clocks, driver, kernel, the versions of the
                   trainer's `libraries`, and `environ`, the variables that the harness itself sets (thread counts)
    context        what is good to know and makes no difference: host, UUID, everything installed, load, ...
    Code, data, precision and compile flags are in neither: an arm may change them.
    """
    settings = {key: environ[key] for key in sorted(environ)}
    return {
        "fingerprinted": {
            **_hardware(gpu),
            **_stack(libraries, gpu),
            "environ": {key: value for key, value in settings.items() if key not in _SELECTION},
        },
        "context": {
            **_context(gpu),
            "device_selection": {key: value for key, value in settings.items() if key in _SELECTION},
        },
    }


def fingerprint(description: Mapping[str, Any]) -> str:
    """12 hex digits of the fingerprinted part of what `describe_environment` gave."""
    return digest(description["fingerprinted"])


def row_fields(description: Mapping[str, Any]) -> dict[str, str | None]:
    """The columns of a run's row that the environment fills; None is unknown, or not there as CUDA is on a CPU.

    `cuda` is the one torch was built with where torch is among the libraries, else the driver's.
    """
    fixed, context = description["fingerprinted"], description["context"]
    gpu = fixed["gpu"]
    return {
        "host": context["host"],
        "device": gpu["name"] if gpu else "cpu",
        "device_uuid": context["device_uuid"],
        "driver": fixed["driver"],
        "cuda": fixed["cuda"],
        "cudnn": fixed["cudnn"],
        "torch": fixed["torch"],
        "python": fixed["python"],
        "cpu": fixed["cpu"]["name"],
        "environment": fingerprint(description),
    }


def _hardware(gpu: Gpu | None) -> dict[str, Any]:
    """The device as it is configured; on a CPU its governor and turbo are the configured clock."""
    facts = cpu_facts()
    clock = {"governor": facts["governor"], "turbo": facts["turbo"]} if gpu is None else {}
    return {
        "gpu": None if gpu is None else {key: getattr(gpu, key) for key in _CONFIGURED},
        "gpu_count": 0 if gpu is None else 1,
        "cpu": {"name": cpu_name(), "logical_cores": os.cpu_count()} | clock,
    }


def _stack(libraries: Sequence[str], gpu: Gpu | None) -> dict[str, Any]:
    """Driver, kernel, Python and the trainer's libraries under their normalised names (PEP 503)."""
    names = sorted({re.sub(r"[-_.]+", "-", name).lower() for name in libraries})
    build = torch_build() if "torch" in names else {"torch": None, "cuda": None, "cudnn": None}
    return {
        "driver": gpu.driver if gpu else None,
        "cuda": (build["cuda"] or gpu.cuda_driver) if gpu else None,
        "cudnn": build["cudnn"] if gpu else None,
        "torch": build["torch"],
        "kernel": kernel(),
        "python": python_version(),
        "libraries": installed(names),
    }


def _context(gpu: Gpu | None) -> dict[str, Any]:
    return {
        "host": host_name(),
        "device_uuid": gpu.uuid if gpu else None,
        "gpu": None if gpu is None else asdict(gpu),
        "cpu": cpu_facts(),
        "virtualisation": virtualisation(),
        **memory(),
        "load_average": [round(load, 2) for load in os.getloadavg()] if hasattr(os, "getloadavg") else None,
        "time_zone": time.strftime("%Z %z").strip() or None,
        "system": platform.system(),
        "implementation": platform.python_implementation(),
        "distributions": installed_everything(),
    }


def memory(meminfo: Path = Path("/proc/meminfo")) -> dict[str, int | None]:
    """The machine's memory and what is free of it, in bytes; the kernel speaks in KiB."""
    text = text_of(meminfo)
    found = {key: int(kib) * 1024 for key, kib in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.MULTILINE)}
    return {"memory_total_bytes": found.get("MemTotal"), "memory_free_bytes": found.get("MemAvailable")}


def virtualisation() -> list[str]:
    """Signs that this is no bare machine: a container, a hypervisor and its product; empty where there is none."""
    signs = []
    if Path("/.dockerenv").exists() or Path("/run/.containerenv").exists() or "container" in os.environ:
        signs.append("container")
    if re.search(r"^flags\s*:.*\bhypervisor\b", text_of(Path("/proc/cpuinfo")), re.MULTILINE):
        signs.append("hypervisor")
    product = text_of(Path("/sys/class/dmi/id/product_name")).strip()
    return [*signs, product] if product else signs
