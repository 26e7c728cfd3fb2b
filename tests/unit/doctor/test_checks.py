"""What each sight means: machines described by hand, from the quiet to the hopeless."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from harness.doctor.check import Check, worst
from harness.doctor.cpu import Processors, cpu_checks, stolen_check
from harness.doctor.gpu import gpu_checks
from harness.doctor.place import Moment, clock_checks, disk_checks, memory_check
from harness.provenance.gpu import Gpu
from harness.provenance.gpu_state import GpuState, Holder
from harness.provenance.host import Limits
from harness.provenance.load import Busy, Load

GIB = 1 << 30
QUIET = Processors(
    Load(1.0, 0.02, 0.0), frozenset(("performance",)), turbo=False, smt=False, mhz=(2000.0, 2000.0), highest_mhz=2000, logical=64,
    allowed=64, load_average=0.1,
)  # fmt: skip
DEVICE = GpuState(
    Gpu(0, "H100", power_limit_w=700.0, persistence=True, ecc=True, mig=False, sm_max_clock_mhz=1980, sm_application_clock_mhz=1980),
    default_power_limit_w=700.0, sm_clock_mhz=1400, utilisation=0, temperature_c=35, slowdown_c=92, throttle="none", holders=(),
)  # fmt: skip


def states(checks) -> dict[str, str]:
    return {check.name: check.state for check in checks}


def one(checks, name: str) -> Check:
    return next(check for check in checks if check.name == name)


def test_a_quiet_machine_has_nothing_to_mend() -> None:
    checks = list(cpu_checks(QUIET, {})) + list(gpu_checks((DEVICE,), driver_files=True))
    assert set(states(checks).values()) == {"ok"} and not any(check.advice for check in checks)
    assert worst(checks) == "ok"


@pytest.mark.parametrize(
    ("change", "name", "state", "words"),
    [
        ({"governors": frozenset(("powersave", "performance"))}, "governor", "warn", "cpupower frequency-set"),
        ({"governors": frozenset(), "virtual": ("hypervisor",)}, "governor", "unknown", "cpupower"),
        ({"turbo": True}, "turbo", "warn", "no_turbo"),
        ({"turbo": None}, "turbo", "unknown", "cpupower"),
        ({"smt": True}, "SMT", "warn", "taskset"),
        ({"load": Load(1.0, 1.0, 0.0, (Busy(7, "make", 1.0),))}, "load", "warn", "top -o"),
        ({"load": Load(1.0, 63.5, 0.0)}, "load", "bad", "top -o"),
        ({"load": Load(1.0, None, 0.0, (Busy(7, "make", 0.5),))}, "load", "warn", "top -o"),
        ({"limits": Limits(2.0)}, "share of the cores", "warn", "OMP_NUM_THREADS=2"),
        ({"limits": Limits(2.0)}, "threads", "warn", "OMP_NUM_THREADS=2"),
        ({"limits": Limits(0.5)}, "share of the cores", "warn", "OMP_NUM_THREADS=1"),
        ({"allowed": 2}, "share of the cores", "ok", ""),
    ],
)
def test_each_trouble_of_the_processor_has_its_remedy(change, name: str, state: str, words: str) -> None:
    checks = list(cpu_checks(replace(QUIET, **change), {}))
    check = one(checks, name)
    assert check.state == state and words in check.advice
    others = {
        n: s for n, s in states(checks).items() if n != name and not (name == "share of the cores" and n == "threads")
    }
    if "limits" not in change:
        assert set(others.values()) == {"ok"}, "one trouble is one trouble"


@pytest.mark.parametrize(
    ("share", "state"), [(0.0, "ok"), (0.0005, "ok"), (0.005, "warn"), (0.05, "bad"), (None, "unknown")]
)
def test_stolen_time(share: float | None, state: str) -> None:
    check = stolen_check(Load(60.0, 0.0, share), ("hypervisor",))
    assert check.state == state and ("dedicated host" in check.advice) == (state in ("warn", "bad"))
    assert share is None or "in 60 s (virtual: hypervisor)" in check.found


def test_the_busy_are_named_and_the_hidden_are_told() -> None:
    named = one(cpu_checks(replace(QUIET, load=Load(1.0, 1.0, 0.0, (Busy(7, "make", 0.9),))), {}), "load")
    assert "make (process 7, 0.90 cores)" in named.found
    hidden = one(cpu_checks(replace(QUIET, load=Load(1.0, 1.0, 0.0)), {}), "load")
    assert "cannot be seen from here" in hidden.found


def test_threads_that_were_set_are_held_against_the_cores() -> None:
    few = replace(QUIET, limits=Limits(2.0))
    assert one(cpu_checks(few, {"OMP_NUM_THREADS": "2"}), "threads").state == "ok"
    assert one(cpu_checks(few, {"OMP_NUM_THREADS": "8"}), "threads").state == "warn"
    assert one(cpu_checks(few, {"OMP_NUM_THREADS": "many"}), "threads").state == "ok"


@pytest.mark.parametrize(
    ("change", "name", "state", "words"),
    [
        ({"sm_clock_mhz": 345}, "clocks", "warn", "-lgc"),
        ({"sm_clock_mhz": 1980}, "clocks", "unknown", "-lgc"),
        ({"sm_clock_mhz": 345, "utilisation": 90}, "clocks", "unknown", "-lgc"),
        ({"sm_clock_mhz": None}, "clocks", "unknown", "-lgc"),
        ({"default_power_limit_w": 500.0}, "power limit", "warn", "-pl 500"),
        ({"default_power_limit_w": None}, "power limit", "unknown", ""),
        ({"holders": (Holder(9, "python", 3 * GIB),)}, "other processes", "bad", "CUDA_VISIBLE_DEVICES"),
        ({"holders": None}, "other processes", "unknown", ""),
        ({"utilisation": 80, "sm_clock_mhz": None}, "other processes", "warn", "nvidia-smi"),
        ({"temperature_c": 86}, "temperature", "warn", "cool"),
        ({"throttle": "hw_thermal_slowdown"}, "held back by", "bad", "PERFORMANCE"),
        ({"throttle": "sw_power_cap"}, "held back by", "warn", "PERFORMANCE"),
        ({"throttle": None}, "held back by", "unknown", ""),
    ],
)
def test_each_trouble_of_a_device_has_its_remedy(change, name: str, state: str, words: str) -> None:
    check = one(gpu_checks((replace(DEVICE, **change),), driver_files=True), name)
    assert check.state == state and words in check.advice


def test_a_device_that_is_not_used_is_no_worse_than_a_warning() -> None:
    busy = replace(DEVICE, holders=(Holder(9, "python"),), throttle="hw_thermal_slowdown")
    assert worst(list(gpu_checks((busy,), driver_files=True, used={0}))) == "bad"
    for used in (set(), {1}):
        checks = list(gpu_checks((busy,), driver_files=True, used=used))
        assert worst(checks) == "warn"
        assert "python (9)" in one(checks, "other processes").found
        assert "CUDA_VISIBLE_DEVICES" in one(checks, "held back by").advice


def test_what_is_set_on_a_device() -> None:
    def checks(**change):
        return states(gpu_checks((replace(DEVICE, gpu=replace(DEVICE.gpu, **change)),), driver_files=True))

    assert checks(persistence=False)["persistence"] == "warn" and checks(persistence=None)["persistence"] == "unknown"
    assert checks(mig=True)["MIG"] == "warn" and checks(mig=None)["MIG"] == "ok"
    assert checks(ecc=False)["ECC"] == "ok" and checks(ecc=None)["ECC"] == "unknown"


def test_no_device_and_a_driver_that_is_silent() -> None:
    (none,) = gpu_checks((), driver_files=False)
    assert none.state == "ok" and "no GPU" in none.found
    (silent,) = gpu_checks((), driver_files=True)
    assert silent.state == "unknown" and "nvidia-smi" in silent.advice


@pytest.mark.parametrize(
    ("free", "limit", "state"),
    [
        (8 * GIB, None, "ok"),
        (GIB // 2, None, "warn"),
        (GIB // 8, None, "bad"),
        (None, None, "unknown"),
        (8 * GIB, Limits(None, 2 * GIB), "ok"),
        (8 * GIB, Limits(None, 2 * GIB, (), GIB // 2), "warn"),
    ],
)
def test_memory(free: int | None, limit: Limits | None, state: str) -> None:
    check = memory_check(free, 16 * GIB, limit or Limits())
    assert check.state == state
    if limit:
        assert "of 2.0 GiB" in check.found and "control group" in check.found


def test_the_disk_of_a_results_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    checks = list(disk_checks(tmp_path / "results" / "deep"))
    assert [check.name for check in checks] == ["disk", "file system", "flush of a row"]
    assert str(tmp_path) in checks[0].found and not list(tmp_path.iterdir()), "nothing is left behind"


def test_a_disk_that_cannot_be_flushed_is_bad(tmp_path: Path, monkeypatch) -> None:
    def fails(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fails)
    check = one(disk_checks(tmp_path), "flush of a row")
    assert check.state == "bad" and "Input/output error" in check.found


def test_a_time_of_day_that_was_set_is_told() -> None:
    still = states(clock_checks(Moment(1000.0, 50.0), Moment(1010.0, 60.0)))
    assert still["jumps"] == "ok"
    jump = one(clock_checks(Moment(1000.0, 50.0), Moment(950.0, 60.0)), "jumps")
    assert jump.state == "warn" and jump.value == pytest.approx(-60.0)
