"""Versions read from files; torch's from a made-up installation in a temporary folder."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from pathlib import Path

import pytest

from harness.provenance import cpu_facts, cpu_name, installed, installed_everything, kernel, python_version, torch_build

VERSION_PY = """\
from typing import Optional

__all__ = ['__version__', 'debug', 'cuda', 'git_version', 'hip']
__version__ = '2.9.1+cu128'
debug = False
cuda: Optional[str] = '12.8'
git_version = '5811a8d7da873dd699ff6687092c225caffcf1bb'
hip: Optional[str] = None
raise RuntimeError("version.py was run")
"""


def add_distribution(site: Path, name: str, version: str) -> None:
    folder = site / f"{name.replace('-', '_')}-{version}.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def add_torch(site: Path, version_py: str | None = VERSION_PY) -> None:
    (site / "torch").mkdir(parents=True)
    (site / "torch" / "__init__.py").write_text("raise RuntimeError('torch was imported')\n")
    if version_py is not None:
        (site / "torch" / "version.py").write_text(version_py)
    add_distribution(site, "torch", "2.9.1")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder before all others on Python's path, with neither torch nor cuDNN behind it."""
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.setattr(sys, "path_importer_cache", {})
    return tmp_path


def test_torch_is_read_from_its_text(site: Path) -> None:
    add_torch(site)
    add_distribution(site, "nvidia-cudnn-cu12", "9.10.2.21")
    assert torch_build() == {"torch": "2.9.1+cu128", "cuda": "12.8", "cudnn": "9.10.2.21"}
    assert "torch" not in sys.modules


def test_cudnn_of_another_cuda_is_not_torchs(site: Path) -> None:
    add_torch(site)
    add_distribution(site, "nvidia-cudnn-cu13", "9.13.0.50")
    assert torch_build()["cudnn"] is None


def test_a_build_for_cpu_has_no_cuda(site: Path) -> None:
    add_torch(site, "__version__ = '2.9.1+cpu'\ncuda: Optional[str] = None\n")
    add_distribution(site, "nvidia-cudnn-cu12", "9.10.2.21")
    assert torch_build() == {"torch": "2.9.1+cpu", "cuda": None, "cudnn": None}


@pytest.mark.parametrize("text", [None, "", "__version__ = (", "__version__ = compute()\n", "a = b = 'x'\nc: int\n"])
def test_an_unreadable_version_file_leaves_the_version_of_the_package(site: Path, text: str | None) -> None:
    add_torch(site, text)
    assert torch_build() == {"torch": "2.9.1", "cuda": None, "cudnn": None}


def test_no_torch(site: Path) -> None:
    assert torch_build() == {"torch": None, "cuda": None, "cudnn": None}


def test_installed_leaves_out_what_is_missing() -> None:
    assert installed(["pytest", "no-such-distribution", ""]) == {"pytest": metadata.version("pytest")}


def test_everything_installed_is_sorted_and_passes_over_the_damaged(site: Path) -> None:
    add_distribution(site, "zebra", "2")
    add_distribution(site, "Ant", "1")
    (site / "broken-1.dist-info").mkdir()
    assert list(installed_everything().items()) == [("ant", "1"), ("zebra", "2")]


def test_this_interpreter_and_kernel() -> None:
    assert python_version() == ".".join(map(str, sys.version_info[:3]))
    assert kernel() == platform.release()


def test_the_processor_has_a_name(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel\t\t: 2\nmodel name\t: AMD EPYC 9654\n")
    assert cpu_name(tmp_path / "cpuinfo") == "AMD EPYC 9654"
    assert cpu_name(tmp_path / "missing") == (platform.processor() or platform.machine())
    assert cpu_name()


def test_cpu_facts_are_read_where_they_are_told(tmp_path: Path) -> None:
    (tmp_path / "cpu0/cpufreq").mkdir(parents=True)
    (tmp_path / "cpu0/cpufreq/scaling_governor").write_text("performance\n")
    (tmp_path / "cpu0/cpufreq/cpuinfo_max_freq").write_text("3700000\n")
    (tmp_path / "cpufreq").mkdir()
    (tmp_path / "cpufreq/boost").write_text("1\n")
    facts = cpu_facts(tmp_path)
    assert facts["logical_cores"] == os.cpu_count()
    assert (facts["governor"], facts["max_mhz"], facts["turbo"]) == ("performance", 3700, True)
    (tmp_path / "intel_pstate").mkdir()
    (tmp_path / "intel_pstate/no_turbo").write_text("1\n")
    assert cpu_facts(tmp_path)["turbo"] is False


def test_cpu_facts_that_are_not_told_are_none(tmp_path: Path) -> None:
    facts = cpu_facts(tmp_path)
    assert (facts["governor"], facts["max_mhz"], facts["turbo"]) == (None, None, None)
