"""Devices, told by a stand-in for NVML.

No GPU was asked: `StandIn` is written after NVML's documentation and answers in the shapes of pynvml 13 (pairs for
modes, milliwatts, 12080 for CUDA 12.8). That every question and constant exists in the real module is tested too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from harness.provenance import THROTTLE_REASONS, Sample, Telemetry, close, gpu, list_gpus, visible_gpus

UUIDS = ("GPU-aaaa1111-0000", "GPU-aaaa2222-0000", "GPU-bbbb3333-0000")
SLICE = "MIG-cccc4444-0000"


class StandIn:
    """NVML as a machine with three devices would answer; `missing` questions are unknown to this driver."""

    NVMLError = pynvml.NVMLError
    NVML_CLOCK_SM = pynvml.NVML_CLOCK_SM
    NVML_CLOCK_MEM = pynvml.NVML_CLOCK_MEM
    NVML_TEMPERATURE_GPU = pynvml.NVML_TEMPERATURE_GPU

    def __init__(self, *, driver: bool = True, reasons: int = 0, missing: tuple[str, ...] = ()) -> None:
        self.driver = driver
        self.missing = missing
        self.answers: dict[str, Any] = {
            "nvmlSystemGetDriverVersion": lambda: "570.86.15",
            "nvmlSystemGetCudaDriverVersion": lambda: 12080,
            "nvmlDeviceGetCount": lambda: len(UUIDS),
            "nvmlDeviceGetHandleByIndex": lambda index: UUIDS[index],
            "nvmlDeviceGetHandleByUUID": self.by_uuid,
            "nvmlDeviceGetDeviceHandleFromMigDeviceHandle": lambda handle: UUIDS[0],
            "nvmlDeviceGetName": lambda handle: "H100 MIG 1g.10gb" if handle == SLICE else "NVIDIA H100 80GB HBM3",
            "nvmlDeviceGetUUID": lambda handle: handle,
            "nvmlDeviceGetMemoryInfo": lambda handle: SimpleNamespace(
                total=10 if handle == SLICE else 80, free=1, used=1
            ),
            "nvmlDeviceGetPowerManagementLimit": lambda handle: 699_500,
            "nvmlDeviceGetPersistenceMode": lambda handle: 1,
            "nvmlDeviceGetEccMode": lambda handle: [1, 0],
            "nvmlDeviceGetMigMode": lambda handle: [0, 1],
            "nvmlDeviceGetApplicationsClock": lambda handle, kind: {1: 1755, 2: 2619}[kind],
            "nvmlDeviceGetMaxClockInfo": lambda handle, kind: {1: 1980, 2: 2619}[kind],
            "nvmlDeviceGetGpcClkVfOffset": lambda handle: 0,
            "nvmlDeviceGetMemClkVfOffset": lambda handle: 0,
            "nvmlDeviceGetVbiosVersion": lambda handle: "96.00.89.00.01",
            "nvmlDeviceGetClockInfo": lambda handle, kind: 1740,
            "nvmlDeviceGetTemperature": lambda handle, sensor: 47,
            "nvmlDeviceGetTemperatureV": lambda handle, sensor: 48,
            "nvmlDeviceGetCurrentClocksEventReasons": lambda handle: reasons,
            "nvmlDeviceGetCurrentClocksThrottleReasons": lambda handle: reasons | 0x200,
        }

    def nvmlInit(self) -> None:
        if not self.driver:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_DRIVER_NOT_LOADED)

    def by_uuid(self, uuid: str) -> str:
        if uuid not in (*UUIDS, SLICE):
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return uuid

    def __getattr__(self, name: str) -> Any:
        if name in self.missing:
            return self.unsupported
        if name in self.answers:
            return self.answers[name]
        raise AttributeError(name)

    def unsupported(self, *arguments: Any) -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    close()


def chosen(value: str | None) -> list[int]:
    environ = {} if value is None else {"CUDA_VISIBLE_DEVICES": value}
    return [device.index for device in visible_gpus(environ, nvml=StandIn())]


def test_a_device_is_told_with_its_units() -> None:
    first = list_gpus(nvml=StandIn())[0]
    assert (first.name, first.uuid, first.index) == ("NVIDIA H100 80GB HBM3", UUIDS[0], 0)
    assert (first.driver, first.cuda_driver) == ("570.86.15", "12.8")
    assert (first.power_limit_w, first.persistence, first.vbios) == (699.5, True, "96.00.89.00.01")
    assert (first.sm_application_clock_mhz, first.memory_application_clock_mhz) == (1755, 2619)
    assert (first.sm_max_clock_mhz, first.memory_max_clock_mhz, first.memory_total_bytes) == (1980, 2619, 80)


def test_of_a_mode_the_current_value_counts_not_the_pending_one() -> None:
    first = list_gpus(nvml=StandIn())[0]
    assert (first.ecc, first.mig) == (True, False)


@pytest.mark.parametrize("question", sorted(q for q in StandIn().answers if "Count" not in q and "Handle" not in q))
def test_no_single_question_is_needed(question: str) -> None:
    assert len(list_gpus(nvml=StandIn(missing=(question,)))) == 3
    Telemetry(UUIDS[0], nvml=StandIn(missing=(question,))).sample()


def test_what_a_device_does_not_tell_is_none_and_never_zero() -> None:
    tells = ("nvmlDeviceGetCount", "nvmlDeviceGetHandleByIndex", "nvmlDeviceGetHandleByUUID")
    mute = StandIn(missing=tuple(q for q in StandIn().answers if q not in tells))
    assert list_gpus(nvml=mute)[1] == gpu.Gpu(index=1)
    assert Telemetry(UUIDS[0], nvml=mute).sample() == Sample(None, None, None)


def test_no_driver_no_devices() -> None:
    none = StandIn(driver=False)
    assert list_gpus(nvml=none) == ()
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": "0"}, nvml=none) == ()
    assert Telemetry(UUIDS[0], nvml=none).sample() == Sample()


@pytest.mark.parametrize(
    ("value", "indices"),
    [
        (None, [0, 1, 2]),
        ("", []),
        ("-1", []),
        ("1", [1]),
        ("2, 0", [2, 0]),
        ("0,-1,2", [0]),
        ("0,7,2", [0]),
        ("0,0", []),
        ("NoDevFiles", []),
        (UUIDS[1], [1]),
        ("GPU-bbbb", [2]),
        ("GPU-aaaa", []),
        ("GPU-dddd", []),
        (f"{UUIDS[2]},{UUIDS[0]}", [2, 0]),
    ],
)
def test_visible_devices_are_read_as_cuda_reads_them(value: str | None, indices: list[int]) -> None:
    assert chosen(value) == indices


def test_a_slice_of_a_device_is_a_device_with_the_configuration_of_the_whole() -> None:
    (part,) = visible_gpus({"CUDA_VISIBLE_DEVICES": SLICE}, nvml=StandIn())
    assert (part.name, part.uuid, part.memory_total_bytes) == ("H100 MIG 1g.10gb", SLICE, 10)
    assert part.power_limit_w == 699.5
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": "MIG-unknown"}, nvml=StandIn()) == ()


@pytest.mark.parametrize(
    ("bits", "names"),
    [
        (0x0, "none"),
        (0x1, "none"),
        (0x3, "none"),
        (0x4, "sw_power_cap"),
        (0x49, "hw_slowdown+hw_thermal_slowdown"),
        (0x22, "sw_thermal_slowdown"),
        (0x1004, "sw_power_cap+unknown_0x1000"),
    ],
)
def test_reasons_have_names(bits: int, names: str) -> None:
    assert Telemetry(UUIDS[0], nvml=StandIn(reasons=bits)).sample().throttle == names


def test_the_names_of_the_reasons_stand_for_the_bits_of_nvml() -> None:
    names = {
        "sw_power_cap": pynvml.nvmlClocksThrottleReasonSwPowerCap,
        "hw_slowdown": pynvml.nvmlClocksThrottleReasonHwSlowdown,
        "sync_boost": pynvml.nvmlClocksThrottleReasonSyncBoost,
        "sw_thermal_slowdown": pynvml.nvmlClocksThrottleReasonSwThermalSlowdown,
        "hw_thermal_slowdown": pynvml.nvmlClocksThrottleReasonHwThermalSlowdown,
        "hw_power_brake_slowdown": pynvml.nvmlClocksThrottleReasonHwPowerBrakeSlowdown,
        "display_clock_setting": pynvml.nvmlClocksThrottleReasonDisplayClockSetting,
    }
    for name, bit in names.items():
        assert gpu._REASONS[bit] == name
    assert set(names) <= set(THROTTLE_REASONS)
    harmless = pynvml.nvmlClocksThrottleReasonGpuIdle | pynvml.nvmlClocksThrottleReasonApplicationsClocksSetting
    assert harmless == gpu._HARMLESS


def test_a_sample_falls_back_to_older_and_newer_questions() -> None:
    old = StandIn(missing=("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetTemperature"))
    assert Telemetry(UUIDS[0], nvml=old).sample() == Sample(1740, 48, "board_limit")


@pytest.mark.parametrize("uuid", [UUIDS[0], UUIDS[0].removeprefix("GPU-"), SLICE])
def test_a_sample_is_of_the_device_with_this_uuid(uuid: str) -> None:
    assert Telemetry(uuid, nvml=StandIn()).sample() == Sample(1740, 47, "none")


@pytest.mark.parametrize("uuid", [None, "", "GPU-unknown"])
def test_no_device_no_sample(uuid: str | None) -> None:
    assert Telemetry(uuid, nvml=StandIn()).sample() == Sample()


def test_every_question_and_constant_is_one_of_pynvml() -> None:
    source = Path(gpu.__file__).read_text()
    asked = set(re.findall(r'"(nvml[A-Z]\w+)"', source)) | set(re.findall(r"library\.(\w+)", source))
    assert len(asked) > 20
    assert [name for name in sorted(asked) if not hasattr(pynvml, name)] == []


def test_on_this_machine_it_answers_or_there_is_no_driver() -> None:
    for device in list_gpus():
        assert device.uuid is None or device.uuid.startswith("GPU-")
        assert Telemetry(device.uuid).sample().throttle != ""
    close()
    close()
    assert list_gpus() == list_gpus()
