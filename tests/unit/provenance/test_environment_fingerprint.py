"""What an environment is, on this machine and with made-up devices."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from harness.model import COLUMNS
from harness.provenance import DEFAULT_LIBRARIES, Gpu, describe_environment, environment, fingerprint, row_fields

GPU = Gpu(
    index=0,
    name="NVIDIA H100 80GB HBM3",
    uuid="GPU-1",
    driver="570.86.15",
    cuda_driver="12.8",
    memory_total_bytes=80,
    power_limit_w=700.0,
    persistence=True,
    ecc=True,
    mig=False,
    sm_application_clock_mhz=1980,
    vbios="96",
)
BUILD = {"torch": "2.9.1+cu126", "cuda": "12.6", "cudnn": "9.10.2.21"}


def of(gpu: Gpu | None = GPU, libraries: tuple[str, ...] = ("numpy",), environ: dict[str, str] | None = None) -> str:
    return fingerprint(describe_environment(libraries, environ or {}, gpu))


@pytest.fixture
def torch_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "torch_build", lambda: BUILD)


def test_the_description_is_json_and_the_fingerprint_12_hex() -> None:
    description = describe_environment(DEFAULT_LIBRARIES, {"OMP_NUM_THREADS": "1"}, GPU)
    assert json.loads(json.dumps(description, allow_nan=False)) == description
    assert set(description) == {"fingerprinted", "context"}
    assert len(fingerprint(description)) == 12
    assert int(fingerprint(description), 16) >= 0


def test_two_processes_give_one_fingerprint() -> None:
    code = (
        "from harness.provenance import *; "
        "print(fingerprint(describe_environment(DEFAULT_LIBRARIES, {'B': '1', 'A': '2'}, None)))"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
        for _ in range(2)
    ]
    here = fingerprint(describe_environment(tuple(reversed(DEFAULT_LIBRARIES)), {"A": "2", "B": "1"}, None))
    assert runs[0] == runs[1] == f"{here}\n"


@pytest.mark.parametrize(
    "change",
    [
        {"name": "NVIDIA A100-SXM4-40GB"},
        {"driver": "580.1"},
        {"power_limit_w": 500.0},
        {"persistence": False},
        {"ecc": False},
        {"mig": True},
        {"sm_application_clock_mhz": 1755},
        {"graphics_clock_offset_mhz": 150},
        {"ecc": None},
    ],
)
def test_the_configuration_of_the_device_counts(change: dict[str, Any]) -> None:
    assert of(replace(GPU, **change)) != of(GPU)


@pytest.mark.parametrize("change", [{"uuid": "GPU-2"}, {"index": 3}, {"vbios": "97"}, {"memory_total_bytes": 81}])
def test_which_of_several_equal_devices_does_not_count(change: dict[str, Any]) -> None:
    assert of(replace(GPU, **change)) == of(GPU)


def test_with_and_without_a_device_are_two_environments() -> None:
    assert of(None) != of(GPU)


def test_threads_count_and_the_choice_of_a_device_does_not() -> None:
    assert of(environ={"OMP_NUM_THREADS": "1"}) != of(environ={"OMP_NUM_THREADS": "2"})
    assert of(environ={"CUDA_VISIBLE_DEVICES": "0"}) == of(environ={"CUDA_VISIBLE_DEVICES": "1"})


def test_only_the_libraries_of_the_trainer_count() -> None:
    assert of(libraries=("numpy",)) != of(libraries=("numpy", "scipy"))
    assert of(libraries=("numpy",)) == of(libraries=("NumPy", "no_such_distribution"))


@pytest.mark.usefixtures("torch_installed")
def test_torch_and_what_it_was_built_with_count_where_it_is_a_library(monkeypatch: pytest.MonkeyPatch) -> None:
    before, without = of(libraries=("torch",)), of(libraries=("numpy",))
    monkeypatch.setattr(environment, "torch_build", lambda: {**BUILD, "cudnn": "9.11"})
    assert of(libraries=("torch",)) != before
    assert of(libraries=("numpy",)) == without


@pytest.mark.usefixtures("torch_installed")
def test_the_columns_of_a_run_on_a_device() -> None:
    row = row_fields(describe_environment(["torch"], {}, GPU))
    assert (row["device"], row["device_uuid"], row["driver"]) == (GPU.name, "GPU-1", "570.86.15")
    assert (row["torch"], row["cuda"], row["cudnn"]) == ("2.9.1+cu126", "12.6", "9.10.2.21")
    assert set(row) <= set(COLUMNS)


@pytest.mark.usefixtures("torch_installed")
def test_without_torch_the_cuda_is_the_drivers() -> None:
    row = row_fields(describe_environment(["numpy"], {}, GPU))
    assert (row["torch"], row["cuda"], row["cudnn"]) == (None, "12.8", None)


@pytest.mark.usefixtures("torch_installed")
def test_the_columns_of_a_run_on_a_cpu() -> None:
    row = row_fields(describe_environment(["torch"], {}, None))
    assert (row["device"], row["device_uuid"], row["driver"], row["cuda"], row["cudnn"]) == ("cpu", *[None] * 4)
    assert row["torch"] == "2.9.1+cu126"
    assert row["python"] == ".".join(map(str, sys.version_info[:3]))


def test_a_device_that_tells_no_name_is_unknown_and_no_cpu() -> None:
    assert row_fields(describe_environment([], {}, Gpu(index=0)))["device"] is None


def test_a_description_read_back_from_json_fills_the_same_columns() -> None:
    description = describe_environment(["numpy"], {"OMP_NUM_THREADS": "1"}, GPU)
    assert row_fields(json.loads(json.dumps(description))) == row_fields(description)


def test_a_machine_that_was_given_a_name_records_it(monkeypatch) -> None:
    """A container makes up a name at every start, and would look like another machine each time."""
    monkeypatch.delenv("HARNESS_HOST", raising=False)
    own = describe_environment((), {}, None)
    monkeypatch.setenv("HARNESS_HOST", "rack-4")
    named = describe_environment((), {}, None)
    assert (own["context"]["host"], named["context"]["host"]) == (platform.node(), "rack-4")
    assert row_fields(named)["host"] == "rack-4" and fingerprint(own) == fingerprint(named)
