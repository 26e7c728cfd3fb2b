"""What a command may import: start-up is paid at every call of a gate."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "ray", "matplotlib", "pandas", "scipy.stats", "scipy.optimize", "rich", "git", "pynvml", "wandb")
PROBE = """
import sys
from harness.cli import run_cli
code = run_cli({arguments!r})
loaded = sorted(m for m in {names!r} if m in sys.modules)
print("LOADED", code, *loaded, file=sys.stderr)
"""


def loaded(arguments: list[str], names: tuple[str, ...], cwd: object = None) -> list[str]:
    """Exit code and those of `names` that a command imports, in a fresh interpreter."""
    code = PROBE.format(arguments=arguments, names=names)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=cwd)
    return done.stderr.strip().splitlines()[-1].split()[1:]


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["compare", "--help"]])
def test_help_imports_neither_numpy_nor_anything_heavy(arguments: list[str]) -> None:
    assert loaded(arguments, ("numpy", "scipy", *HEAVY)) == ["0"]


def test_importing_the_package_imports_nothing() -> None:
    code = "import sys, harness; print([m for m in ('numpy', 'click', 'scipy', 'harness.app') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_compare_imports_numpy_and_scipy_special_only(tmp_path: object) -> None:
    rows = ["arm,seed,correct,total,time_s,invocation,block"]
    for seed in range(60):
        for shift, arm in enumerate(("a", "b")):
            rows.append(f"{arm},{seed},{9400 + seed % 7 - shift},10000,{4 + 0.01 * (seed % 5)},i{seed % 5},{seed}")
    from pathlib import Path

    folder = Path(str(tmp_path))
    (folder / "runs.csv").write_text("\n".join(rows) + "\n")
    assert loaded(["import", "runs.csv", "--as", "x"], ("torch",), cwd=folder) == ["0"]
    names = ("numpy", "scipy.special", *HEAVY)
    assert loaded(["compare", "x:a", "x:b", "--target", "0.94", "--margin-pp", "0.1"], names, cwd=folder) == [
        "0",
        "numpy",
        "scipy.special",
    ]


def test_a_gate_file_on_stored_runs_imports_no_more(tmp_path: object) -> None:
    from pathlib import Path

    folder = Path(str(tmp_path))
    rows = ["arm,seed,correct,total"] + [f"{arm},{seed},{9400 + seed % 7},10000" for seed in range(30) for arm in "ab"]
    (folder / "runs.csv").write_text("\n".join(rows) + "\n")
    assert loaded(["import", "runs.csv", "--as", "x"], ("torch",), cwd=folder) == ["0"]
    stated = '[[checks]]\nname = "x"\ncontrol = "x:a"\ncandidate = "x:b"\nmargin_pp = 0.1\nlayers = ["hard"]\n'
    (folder / "gate.toml").write_text(stated)
    assert loaded(["gate", "gate.toml"], ("numpy", "scipy.special", *HEAVY), cwd=folder) == [
        "0",
        "numpy",
        "scipy.special",
    ]


@pytest.mark.parametrize("name", ["quickstart", "exp230-lr-end"])
def test_a_plan_with_its_command_imports_numpy_and_scipy_special_only(name: str, tmp_path: object) -> None:
    names = ("numpy", "scipy.special", *HEAVY)
    arguments = ["plan", name, "--sd-pp", "0.3", "--difference-pp", "0.2"]
    assert loaded(arguments, names, cwd=tmp_path) == ["0", "numpy", "scipy.special"]


def test_a_look_of_the_doctor_imports_neither_torch_nor_numpy(tmp_path: object) -> None:
    names = tuple(name for name in HEAVY if name != "pynvml")
    assert loaded(["doctor", "--seconds", "0"], ("numpy", "scipy", *names), cwd=tmp_path) == ["0"]


def test_the_doctor_needs_no_torch(tmp_path: object) -> None:
    """Nor does the plugin of pytest, and both without the trackers."""
    names = ("torch", "pandas", "matplotlib", "ray", "mlflow", "trackio", "wandb")
    assert loaded(["doctor", "--seconds", "1", "-q"], names, cwd=tmp_path) == ["0"]


def test_a_report_imports_what_draws_only_where_it_is_drawn(tmp_path: object) -> None:
    from pathlib import Path

    folder = Path(str(tmp_path))
    rows = ["arm,seed,correct,total"] + [f"{arm},{seed},{9400 + seed % 7},10000" for seed in range(30) for arm in "ab"]
    (folder / "runs.csv").write_text("\n".join(rows) + "\n")
    assert loaded(["import", "runs.csv", "--as", "x"], ("torch",), cwd=folder) == ["0"]
    names = ("jinja2", "matplotlib.pyplot", *HEAVY)
    assert loaded(["report", "x:a", "--format", "markdown"], names, cwd=folder) == ["0"]
    assert loaded(
        ["report", "x:a"], ("torch", "pandas", "scipy.stats", "matplotlib.pyplot", "jinja2", "matplotlib"), cwd=folder
    ) == [
        "0",
        "jinja2",
        "matplotlib",
    ]
