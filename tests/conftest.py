"""Fixtures of all tests."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import run_cli


@pytest.fixture
def cli(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`cli("run", "train.py", "--seeds", 5)`: the program in the test's own folder."""

    def call(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
        return run_cli(*arguments, cwd=tmp_path, **options)  # type: ignore[arg-type]

    return call
