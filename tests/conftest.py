"""Fixtures of all tests."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import run_cli

import harness.cli


@pytest.fixture
def cli_inside(tmp_path: Path, monkeypatch, capfd) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The same without a process start: for the many mistakes that end before any run is made."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("HARNESS_DEBUG", raising=False)

    def call(*arguments: object) -> subprocess.CompletedProcess[str]:
        capfd.readouterr()
        code = harness.cli.run_cli([str(argument) for argument in arguments])
        return subprocess.CompletedProcess(arguments, code, *capfd.readouterr())

    return call


@pytest.fixture
def cli(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`cli("run", "train.py", "--seeds", 5)`: the program in the test's own folder."""

    def call(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
        return run_cli(*arguments, cwd=tmp_path, **options)  # type: ignore[arg-type]

    return call
