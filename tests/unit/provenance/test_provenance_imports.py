"""Importing the package, and asking what needs nothing heavy, loads nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = "{'git', 'pynvml', 'torch', 'numpy', 'scipy', 'pandas', 'ray', 'matplotlib'}"


@pytest.mark.parametrize(
    "code",
    [
        "import harness.provenance",
        "from harness.provenance import *; row_fields(describe_environment(DEFAULT_LIBRARIES, {}, None))",
        "from harness.provenance import *; torch_build(); installed_everything()",
        "from harness.provenance import *; Telemetry(None).sample(); close()",
    ],
)
def test_nothing_heavy_is_loaded(code: str) -> None:
    check = f"{code}; import sys; print(sorted({HEAVY} & set(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", check], check=True, capture_output=True, text=True)
    assert said.stdout == "[]\n"


def test_torch_is_not_loaded_by_anything_here() -> None:
    code = (
        "import pathlib; from harness.provenance import *; git_state(pathlib.Path()); list_gpus(); "
        "describe_environment(['torch'], {}, None); import sys; print('torch' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert said.stdout == "False\n"
