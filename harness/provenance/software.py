"""Versions of what a run stands on, read without importing any of it: packages, torch's build, Python, kernel, CPU."""

from __future__ import annotations

import ast
import os
import platform
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from harness.provenance.files import text_of

__all__ = [
    "DEFAULT_LIBRARIES",
    "cpu_facts",
    "cpu_name",
    "host_name",
    "installed",
    "installed_everything",
    "kernel",
    "machine_id",
    "python_version",
    "torch_build",
]

# What may change the result of a script that declares no libraries; those that are installed count.
DEFAULT_LIBRARIES: tuple[str, ...] = (
    *("numpy", "scipy", "scikit-learn", "xgboost", "lightgbm"),
    *("torch", "torchvision", "torchaudio", "timm", "transformers", "lightning", "triton"),
    *("jax", "jaxlib", "flax", "optax", "equinox"),
    *("tensorflow", "keras"),
    *("nvidia-cudnn-cu12", "nvidia-cudnn-cu13", "nvidia-cublas-cu12", "nvidia-cublas"),
)


def installed(names: Iterable[str]) -> dict[str, str]:
    """Version by name for the distributions among `names` that are installed; the others are absent."""
    from importlib import metadata

    found: dict[str, str] = {}
    for name in names:
        try:
            version = metadata.version(name)
        except (metadata.PackageNotFoundError, ValueError, KeyError):
            continue
        if version:
            found[name] = version
    return found


def installed_everything() -> dict[str, str]:
    """Version by name for every distribution that Python would find, in the order of the names."""
    from importlib import metadata

    found: dict[str, str] = {}
    for distribution in metadata.distributions():
        facts = distribution.metadata
        if facts and facts["Name"] and facts["Version"]:
            found.setdefault(facts["Name"].lower(), facts["Version"])  # the first on the path is the one imported
    return dict(sorted(found.items()))


def torch_build() -> dict[str, str | None]:
    """torch's own version ("2.9.1+cu128"), and the CUDA and cuDNN it was built with, never importing it.

    Read from the text of torch/version.py and, for cuDNN, from the package nvidia-cudnn-cu…; None is unknown.
    """
    facts = _torch_facts()
    cuda = facts.get("cuda")
    version = facts.get("__version__") or installed(["torch"]).get("torch")
    return {"torch": version, "cuda": cuda, "cudnn": _cudnn(cuda) if cuda else None}


def _torch_facts() -> dict[str, str]:
    """The texts that torch/version.py assigns to names."""
    path = _torch_version_file()
    if path is None:
        return {}
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return {}
    assignments = (node for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign))
    return {name: text for node in assignments for name, text in _assigned_texts(node)}


def _assigned_texts(node: ast.Assign | ast.AnnAssign) -> Iterator[tuple[str, str]]:
    """Name and text for each name that this statement sets to a literal text."""
    if not (isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)):
        return
    for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
        if isinstance(target, ast.Name):
            yield target.id, node.value.value


def _torch_version_file() -> Path | None:
    """torch/version.py, found as an import would find it, but not run."""
    from importlib.util import find_spec

    try:
        spec = find_spec("torch")
    except (ImportError, ValueError):
        return None
    return Path(spec.origin).with_name("version.py") if spec is not None and spec.origin else None


def _cudnn(cuda: str) -> str | None:
    """The version of the cuDNN that is packaged for this major version of CUDA."""
    name = f"nvidia-cudnn-cu{cuda.partition('.')[0]}"
    return installed([name]).get(name)


def python_version() -> str:
    """This interpreter's version, such as "3.11.7"."""
    return platform.python_version()


def host_name() -> str | None:
    """This machine's name as rows record it: HARNESS_HOST where it is set, as in containers, whose own names are made up."""
    return os.environ.get("HARNESS_HOST") or platform.node() or None


def machine_id(boot: Path = Path("/proc/sys/kernel/random/boot_id")) -> str:
    """What all processes on one running kernel share, containers too; the machine's name where it is not told (not Linux)."""
    return text_of(boot).strip() or platform.node()


def kernel() -> str:
    """The release of the operating system's kernel."""
    return platform.release()


def cpu_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str | None:
    """The processor's name as it gives it itself, or at least its kind; None where nothing is known."""
    for line in text_of(cpuinfo).splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "cpu model", "Model") and value.strip():
            return value.strip()
    return platform.processor() or platform.machine() or None


def cpu_facts(devices: Path = Path("/sys/devices/system/cpu")) -> dict[str, Any]:
    """Cores, and how the clock of the first one is governed; None is what this machine does not tell.

    logical_cores count on the machine;  affinity_cores  those that this process may use
    governor      of core 0, such as "performance";  max_mhz  its highest clock;  turbo  whether boost is allowed
    """
    governor = text_of(devices / "cpu0/cpufreq/scaling_governor").strip()
    highest_khz = text_of(devices / "cpu0/cpufreq/cpuinfo_max_freq").strip()
    return {
        "logical_cores": os.cpu_count(),
        "affinity_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "governor": governor or None,
        "max_mhz": int(highest_khz) // 1000 if highest_khz.isdecimal() else None,
        "turbo": _turbo(devices),
    }


def _turbo(devices: Path) -> bool | None:
    """Whether the clock may rise above its nominal value; Intel's driver states the opposite."""
    forbidden = text_of(devices / "intel_pstate/no_turbo").strip()
    if forbidden in ("0", "1"):
        return forbidden == "0"
    allowed = text_of(devices / "cpufreq/boost").strip()
    return allowed == "1" if allowed in ("0", "1") else None
