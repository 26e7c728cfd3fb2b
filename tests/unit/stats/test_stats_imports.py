"""Comparing must start fast: the statistics load no optimiser, no distributions, no pandas."""

from __future__ import annotations

import subprocess
import sys

SLOW = ("scipy.stats", "scipy.optimize", "scipy.integrate", "pandas", "torch", "matplotlib")


def test_no_slow_import() -> None:
    code = (
        "import importlib, pkgutil, sys, harness.stats as s\n"
        "for m in pkgutil.iter_modules(s.__path__): importlib.import_module(f'harness.stats.{m.name}')\n"
        f"print([m for m in {SLOW!r} if m in sys.modules])\n"
        "print(sorted({m.split('.')[1] for m in sys.modules if m.startswith('harness.')}))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()
    assert out[0] == "[]"
    assert set(eval(out[1])) <= {"errors", "model", "stats"}
