"""What decides how fast this machine is at the moment, read from the kernel's small files; None is what it does not tell.

Every function takes the place it reads from, so that a copy of another machine's files can be read as well.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.provenance.files import text_of

DEVICES = Path("/sys/devices/system/cpu")
CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")
CLOCK_SOURCE = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
UNLIMITED = 1 << 60
"""Bytes from which a memory limit of cgroup v1 is none: the kernel writes the largest number there is."""
NETWORK = frozenset(
    ("nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "gpfs", "beegfs", "ceph", "glusterfs", "afs", "9p", "virtiofs", "panfs")
)  # fmt: skip


def governors(devices: Path = DEVICES) -> frozenset[str]:
    """The governors of all cores, such as {"performance"}; empty where none is told."""
    found = (text_of(path).strip() for path in devices.glob("cpu[0-9]*/cpufreq/scaling_governor"))
    return frozenset(filter(None, found))


def frequencies_mhz(devices: Path = DEVICES, cpuinfo: Path = Path("/proc/cpuinfo")) -> tuple[float, ...]:
    """The clock of each core now, in MHz; of a virtual machine usually the nominal one."""
    current = (text_of(path).strip() for path in sorted(devices.glob("cpu[0-9]*/cpufreq/scaling_cur_freq")))
    found = tuple(int(khz) / 1000 for khz in current if khz.isdecimal())
    return found or tuple(float(mhz) for mhz in re.findall(r"^cpu MHz\s*:\s*([\d.]+)", text_of(cpuinfo), re.MULTILINE))


def smt_active(devices: Path = DEVICES) -> bool | None:
    """Whether two threads share a core."""
    told = text_of(devices / "smt/active").strip()
    return told == "1" if told in ("0", "1") else None


def clock_source(path: Path = CLOCK_SOURCE) -> str | None:
    """What the kernel reads the time from, such as "tsc"."""
    return text_of(path).strip() or None


@dataclass(frozen=True)
class Limits:
    """What its control groups allow this process: cores (None: no limit), bytes and what is free of them, and how often each group
    that tells it was held back so far, always in the same order.
    """

    cores: float | None = None
    memory_bytes: int | None = None
    throttled: tuple[int, ...] = ()
    memory_free_bytes: int | None = None


def limits(cgroups: Path = CGROUPS, own: Path = OWN_CGROUPS) -> Limits:
    """The tightest limits of the process's groups and of those above them, of cgroup v2 and v1."""
    cores, memory, throttled = list[float](), list[tuple[int, int | None]](), list[int]()
    for controllers, folder in _groups(cgroups, own):
        if "cpu" in controllers:
            cores += _quota(folder)
            throttled += [
                int(n) for n in re.findall(r"^nr_throttled (\d+)", text_of(folder / "cpu.stat"), re.MULTILINE)
            ]
        if "memory" in controllers:
            memory += _memory(folder)
    free = [left for _, left in memory if left is not None]
    return Limits(
        min(cores, default=None), min((whole for whole, _ in memory), default=None), tuple(throttled),
        min(free, default=None),
    )  # fmt: skip


def _groups(cgroups: Path, own: Path) -> Iterator[tuple[tuple[str, ...], Path]]:
    """Each group that the process is in and every one above it, with the controllers that it may limit."""
    for line in text_of(own).splitlines():
        _, names, path = [*line.split(":", 2), "", ""][:3]
        controllers = ("cpu", "memory") if names == "" else tuple(names.split(","))
        roots = (
            [cgroups, cgroups / "unified"] if names == "" else [cgroups / names, *(cgroups / n for n in controllers)]
        )
        for root in dict.fromkeys(roots):
            parts = [part for part in path.split("/") if part and part != ".."]
            for depth in range(len(parts) + 1):
                folder = root.joinpath(*parts[:depth])
                if folder.is_dir():
                    yield controllers, folder


def _memory(folder: Path) -> list[tuple[int, int | None]]:
    """The limit of a group in bytes and what is free of it, files that may be dropped among it; empty where it is not limited."""
    for limit, used, files in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        told, taken = text_of(folder / limit).strip(), text_of(folder / used).strip()
        if not told.isdecimal() or int(told) >= UNLIMITED:
            continue
        droppable = re.search(rf"^{files} (\d+)$", text_of(folder / "memory.stat"), re.MULTILINE)
        room = int(droppable[1]) if droppable else 0
        return [(int(told), max(0, int(told) - int(taken) + room) if taken.isdecimal() else None)]
    return []


def _quota(folder: Path) -> list[float]:
    """Cores that a group may use at a time: `cpu.max` of v2, the quota by its period of v1; empty where it is not limited."""
    words = text_of(folder / "cpu.max").split()
    if not words:
        words = [text_of(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
    if len(words) != 2 or not all(word.isdecimal() for word in words) or int(words[1]) == 0:
        return []
    return [int(words[0]) / int(words[1])]


@dataclass(frozen=True)
class Mount:
    """The file system that holds a path."""

    kind: str
    point: str

    @property
    def network(self) -> bool:
        return self.kind in NETWORK or self.kind.startswith(
            ("fuse.sshfs", "fuse.s3", "fuse.gcs", "fuse.rclone", "fuse.glusterfs")
        )

    @property
    def volatile(self) -> bool:
        """Whether what is written there is gone after a restart."""
        return self.kind in ("tmpfs", "ramfs")


def mount_of(path: Path, mountinfo: Path = Path("/proc/self/mountinfo")) -> Mount | None:
    """The file system of the nearest folder above `path` that exists; None where the kernel does not tell."""
    place = str(existing(path).resolve())
    best: Mount | None = None
    for line in text_of(mountinfo).splitlines():
        head, dash, tail = line.partition(" - ")
        if not dash:
            continue
        point = re.sub(r"\\(\d{3})", lambda m: chr(int(m[1], 8)), head.split()[4])
        inside = place == point or place.startswith(point.rstrip("/") + "/")
        if inside and (best is None or len(point) >= len(best.point)):
            best = Mount(tail.split()[0], point)
    return best


def existing(path: Path) -> Path:
    """`path`, or the nearest folder above it that exists."""
    place = Path(os.path.abspath(path))  # noqa: PTH100 - without resolving links, and for paths that do not exist
    while not place.is_dir() and place != place.parent:
        place = place.parent
    return place
