"""What devices do at the moment, told by a stand-in for NVML (see test_gpu.py): units, absences, and who holds them."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pynvml
import pytest
from test_gpu import StandIn as Configured

from harness.app import doctoring
from harness.provenance import close, gpu_state
from harness.provenance.gpu_state import Holder, gpu_states


class StandIn(Configured):
    """The three devices of the other tests, with what they do now."""

    NVML_TEMPERATURE_THRESHOLD_SLOWDOWN = pynvml.NVML_TEMPERATURE_THRESHOLD_SLOWDOWN

    def __init__(self, **options) -> None:
        super().__init__(**options)
        job = SimpleNamespace(pid=42, usedGpuMemory=1 << 30)
        self.answers |= {
            "nvmlDeviceGetPowerManagementDefaultLimit": lambda handle: 700_000,
            "nvmlDeviceGetUtilizationRates": lambda handle: SimpleNamespace(gpu=7, memory=3),
            "nvmlDeviceGetTemperatureThreshold": lambda handle, kind: 92,
            "nvmlDeviceGetComputeRunningProcesses": lambda handle: [job],
            "nvmlDeviceGetGraphicsRunningProcesses": lambda handle: [job, SimpleNamespace(pid=7, usedGpuMemory=None)],
            "nvmlSystemGetProcessName": lambda pid: {42: b"python"}[pid] if pid == 42 else self.unsupported(),
        }


@pytest.fixture(autouse=True)
def closed():
    yield
    close()


def test_a_device_now_with_its_units() -> None:
    first = gpu_states(nvml=StandIn(reasons=0x4))[0]
    assert (first.gpu.index, first.default_power_limit_w, first.sm_clock_mhz) == (0, 700.0, 1740)
    assert (first.utilisation, first.temperature_c, first.slowdown_c, first.throttle) == (7, 47, 92, "sw_power_cap")
    assert first.holders == (Holder(7, None, None), Holder(42, "python", 1 << 30)), "each process once"


QUESTIONS = sorted(
    set(re.findall(r'"(nvml[A-Z]\w+)"', Path(gpu_state.__file__).read_text())) - {"nvmlDeviceGetHandleByIndex"}
)


@pytest.mark.parametrize("question", QUESTIONS)
def test_no_single_question_is_needed_and_all_are_nvml_s(question: str) -> None:
    assert hasattr(pynvml, question)
    assert len(gpu_states(nvml=StandIn(missing=(question,)))) == 3


def test_who_holds_a_device_is_unknown_only_where_neither_list_is_told() -> None:
    lists = ("nvmlDeviceGetComputeRunningProcesses", "nvmlDeviceGetGraphicsRunningProcesses")
    assert gpu_states(nvml=StandIn(missing=lists))[0].holders is None
    assert gpu_states(nvml=StandIn(missing=lists[1:]))[0].holders == (Holder(42, "python", 1 << 30),)


def test_without_a_driver_there_are_none() -> None:
    assert gpu_states(nvml=StandIn(driver=False)) == ()


@pytest.mark.parametrize(("visible", "states"), [("", {"warn"}), ("1", {"bad", "warn"}), (None, {"bad"})])
def test_the_doctor_minds_the_devices_that_runs_may_use(tmp_path: Path, monkeypatch, visible, states) -> None:
    """All three are held by others."""
    monkeypatch.setitem(sys.modules, "pynvml", StandIn())
    monkeypatch.setattr(doctoring, "WATCH_S", 0.01)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    close()
    checks = [one for one in doctoring._machine(tmp_path) if one.name == "other processes"]
    assert len(checks) == 3 and {one.state for one in checks} == states
    assert visible != "1" or checks[1].state == "bad"
