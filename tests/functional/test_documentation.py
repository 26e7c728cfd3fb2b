"""What the pages show is run: commands, experiment files and Python, or there is a reason why not, in one table here.

A command is run as it stands, or as `INSTEAD` says: with fewer seeds, or as a dry run where it needs torch or hours. Whatever
is new on a page fails here until it runs or has its reason.
"""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
import tomllib
from pathlib import Path

import pytest
from helpers import TRAIN, says, write

from harness.errors import UsageError
from harness.spec import Request, load_experiment

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(sh|toml|python)[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
BLOCKS = {
    f"{page.name}-{number}": (block[1], block[2])
    for page in PAGES
    for number, block in enumerate(BLOCK.finditer(page.read_text(encoding="utf-8")))
}

NOT_RUN = {
    "pip install": "installs packages from the network",
    "uv sync": "installs packages from the network",
    "harness data fetch": "downloads a data set",
    "harness data verify": "reads a data set that was downloaded",
    "wandb sync": "uploads to somebody's account",
    "harness export exp230-lr-end --format wandb": "needs the package wandb: tests/training/test_wandb.py runs it",
    "--group dev pytest": "is this very test suite",
    "python -m benchmarks.": "takes minutes; the benchmarks have tests of their own",
    "harness run configs/current_config.yaml": "an example of a file that the page shows and the package does not ship",
    "harness show latency-macs --plot": "needs runs of a trainer that needs torch: tests/training/test_latency.py draws it",
    "harness gate gate.toml --re-anchor": "needs a repository with a history: tests/functional/test_gate_file.py",
    "harness report final-cpu exp230": "several large stores: tests/functional/test_report.py makes pages of several",
    "--format parquet": "needs pyarrow: tests marked `reach` run it",
    "--format mlflow": "needs MLflow: tests marked `reach` run it",
    "--format trackio": "needs trackio: tests marked `reach` run it",
    "import duckdb": "needs DuckDB: tests/reach runs it",
    "mlflow ui": "opens a page",
    "--as theirs": "needs a file of somebody's: tests/functional/test_import_formats.py",
    "--as sweep": "needs a file of Weights & Biases: tests/functional/test_import_formats.py",
    "--as muon": "needs a log of airbench: tests/training",
    "compare baseline muon": "needs that log",
    "--as timed": "needs a file of hyperfine: tests/functional/test_import_formats.py",
    "--as suite": "needs a file of pyperf: tests marked `reach`",
    "trackio show": "opens a page",
    "hyperfine ": "another program",
    "python bench.py": "another program",
    "harness gate gate.toml --self-test": "needs stored runs of that file: tests/functional/test_gate_file.py",
}
"""A command that holds the one is not run, for the other."""

EITHER_WAY = {
    "--executor ray": "needs Ray: tests marked `reach` run it",
    "--executor slurm": "needs a cluster: tests marked `reach` run it through submitit",
    "harness doctor": "measures the machine for a while, and says something else on each",
}
"""The same, where no page needs to show it."""

INSTEAD = {
    "harness run quickstart": "harness run quickstart --seeds 2",
    "harness run old.py new.py --seeds 25 --set margin_pp=0.2": "harness run old.py new.py --seeds 3 --set margin_pp=0.2",
    "harness run train.py:fit --set lr=0.1 --seeds 100": "harness run train.py:fit --set lr=0.1 --seeds 3",
    "harness summary baseline exp230-lr-end exp410-tta-weights final": (
        "harness summary baseline-full-cpu exp230-lr-end-cpu exp410-tta-weights-cpu final-cpu"
    ),
    "harness run quickstart --until-decided": "harness run quickstart --until-decided --dry-run",
    "harness ladder digits-lr-end": "harness ladder digits-lr-end --dry-run",
    "harness ladder sweep --sizes 10,100,500 --keep 1/2,1": "harness ladder digits-lr-end --sizes 10,100,500 --keep 1/2,1 --dry-run",
}
NEEDS_TORCH = ("exp", "tricks", "optimisers", "latency")
"""Runs of experiments that begin so are planned only; `pytest -m train` makes runs of each trainer."""

TOML_NOT_EXPERIMENTS = {
    "data.md-2": "a part of somebody's pyproject.toml",
    "gate.md-0": "a gate file: test_a_gate_file_of_the_pages",
    "gate.md-3": "arms at revisions: tests/functional/test_revisions.py makes a repository with a branch",
    "ladder.md-1": "a table for an experiment: test_a_ladder_of_the_pages",
}
PYTHON_ELSEWHERE = {
    "README.md-4": "tests/functional/test_newcomer.py runs it",
    "report.md-1": "draws from a large store: tests/functional/test_report.py draws every figure",
    "scale.md-1": "a class of somebody's; the checks run in tests/functional/test_ray.py and beside it",
}


def commands(text: str) -> list[str]:
    """The commands of a shell block, without comments and without `uv run`."""
    lines = [line.partition(" #")[0] for line in text.splitlines() if line.strip() and not line.startswith("#")]
    words = [part.strip().removeprefix("uv run ").strip() for line in lines for part in line.split("&&")]
    return [command for command in words if command]


def reason_of(command: str) -> str:
    return next((why for part, why in (NOT_RUN | EITHER_WAY).items() if part in command), "")


def runnable(command: str) -> str:
    """What is run of a command of a page."""
    if command in INSTEAD:
        return INSTEAD[command]
    if command.startswith("harness run ") and command.split()[2].startswith(NEEDS_TORCH):
        return f"{command} --dry-run"
    return command


@pytest.fixture
def newcomer(tmp_path):
    """A folder with the files that the pages speak of, and the shipped stores."""
    shutil.copytree(ROOT / "results", tmp_path / "results")
    for name in ("old.py", "new.py"):
        write(tmp_path, name, TRAIN + f"\n# {name}\n")
    write(tmp_path, "train.py", TRAIN.replace("def train", "def fit"))
    return tmp_path


SHELL = [name for name, (kind, text) in BLOCKS.items() if kind == "sh" and "tutorial" not in name]


@pytest.mark.parametrize("name", SHELL)
def test_the_commands_of_the_pages(name, cli_inside, newcomer):
    for command in commands(BLOCKS[name][1]):
        if not reason_of(command):
            done = cli_inside(*shlex.split(runnable(command))[1:])
            assert done.returncode == 0, f"{command}\n{done.stderr}"


def test_every_reason_and_every_replacement_is_in_use():
    """What a page no longer shows needs no exception."""
    shown = [command for name in SHELL for command in commands(BLOCKS[name][1])]
    assert all(any(part in command for command in shown) for part in NOT_RUN)
    assert set(INSTEAD) <= set(shown)
    assert {*TOML_NOT_EXPERIMENTS, *PYTHON_ELSEWHERE} <= set(BLOCKS)
    assert all(command.startswith("harness ") for command in shown if not reason_of(command))


@pytest.mark.parametrize(
    "name", [n for n, (kind, _) in BLOCKS.items() if kind == "toml" and n not in TOML_NOT_EXPERIMENTS]
)
def test_the_experiments_of_the_pages(name, tmp_path, monkeypatch):
    """Each is read as `harness run` reads it; those of the tutorial are run there."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "rings.py", "def train(seed, epochs=40, rate=0.02):\n    return 0.5\n")
    for script in ("rings_script.py", "train.py"):
        write(tmp_path, script, "print('accuracy 0.5')\n")
    path = write(tmp_path, "page.toml", BLOCKS[name][1])
    if "[[checks]]" in BLOCKS[name][1]:
        from harness.gatefile import read_gate_file

        assert read_gate_file(path).checks
        return
    assert load_experiment(str(path), Request()).arms


def test_a_gate_file_of_the_pages(tmp_path):
    from harness.gatefile import read_gate_file

    gate = read_gate_file(write(tmp_path, "gate.toml", BLOCKS["gate.md-0"][1]))
    assert [check.name for check in gate.checks] == ["airbench", "nightly"] and gate.checks[0].max_slowdown == 0.01


def test_a_ladder_of_the_pages(cli_inside, tmp_path):
    write(
        tmp_path,
        "sweep.toml",
        'extends = "digits-lr-end"\ncontrol = "digits-baseline"\n[sweep.grid]\n"lr.end" = [0.1, 0.2]\n'
        + BLOCKS["ladder.md-1"][1],
    )
    done = cli_inside("ladder", "sweep.toml", "--set", "claim=accurate", "--dry-run")
    says(done, 0)
    assert "1000" in done.stdout


def test_a_part_of_a_project_file_is_toml():
    assert "entry-points" in tomllib.loads(BLOCKS["data.md-2"][1])["project"]


@pytest.mark.parametrize(
    "name",
    [n for n, (kind, _) in BLOCKS.items() if kind == "python" and n not in PYTHON_ELSEWHERE and "tutorial" not in n],
)
def test_the_python_of_the_pages(name, tmp_path, monkeypatch):
    from dataclasses import dataclass

    from harness.trainer import knob
    from trainers.digits import TRAINER

    monkeypatch.chdir(tmp_path)
    names = {"dataclass": dataclass, "knob": knob, "TRAINER": TRAINER, "__name__": "page"}
    exec(compile(BLOCKS[name][1], name, "exec", dont_inherit=True), names)
    if "TestMine" in names:
        mine = names["TestMine"]()  # type: ignore[operator]
        mine.config = {"epochs": 0.5}
        mine.test_it_has_the_form_of_a_trainer()
        mine.test_it_counts_whole_examples()


def test_an_experiment_that_a_page_gets_wrong_is_noticed(tmp_path):
    path = write(tmp_path, "page.toml", BLOCKS["experiments.md-0"][1].replace("margin_pp", "margin"))
    with pytest.raises(UsageError, match="unknown key 'margin'"):
        load_experiment(str(path), Request())


# --- the tutorial -------------------------------------------------------------------------------------------


def maker():
    spec = importlib.util.spec_from_file_location("make_tutorial", ROOT / "docs/make_tutorial.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["make_tutorial"] = module
    spec.loader.exec_module(module)
    return module


def skeletons(text: str) -> list[str]:
    """The words at the beginning of each line that does not depend on the machine: findings about its noise do."""
    lines = [
        line
        for line in text.splitlines()
        if line.strip() and not re.match(r"\s*[¹²³⁴⁵⁶⁷⁸⁹→]|not counted|run |  20\d\d", line)
    ]
    return [re.split(r"[\d:·(]|runs-", line.strip())[0].strip()[:24] for line in lines]


@pytest.mark.slow
def test_the_tutorial_says_what_it_says(tmp_path, monkeypatch):
    """From an empty folder to the gate, in the page's own commands: each ends well, and prints the lines that the page shows."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    make = maker()
    page = make.PAGE.read_text(encoding="utf-8")
    steps = texts = 0
    for found in make.walk(page, tmp_path):
        if isinstance(found, make.Step):
            steps += 1
            assert found.status == 0, f"{found.command}\n{found.output}"
        else:
            block, printed = found
            texts += 1
            assert skeletons(printed) == skeletons(block["text"]), (
                f"the page shows\n{block['text']}\nand it prints\n{printed}"
            )
    assert (steps, texts) == (12, 10)
    assert "FASTER AND NOT WORSE" in page and (tmp_path / "verdict.md").is_file() and (tmp_path / "gate.json").is_file()


def test_the_first_steps_of_the_tutorial(tmp_path, monkeypatch):
    """The files of the page, one run, and the plan: the rest takes half a minute, and is marked slow."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    make = maker()
    page = make.PAGE.read_text(encoding="utf-8").replace("--seeds 5", "--seeds 1").replace("--seeds 3", "--seeds 1")
    steps = []
    for found in make.walk(page, tmp_path):
        if isinstance(found, make.Step):
            assert found.status == 0, found.output
            steps.append(found)
        if len(steps) == 6:
            break
    assert steps[0].output.startswith("accuracy 0.") and "rings: 1 run, 1 warm-up " in steps[2].output
    assert "plain    python rings_script.py --seed SEED --plain --rate 0.01\n" in steps[3].output
    assert steps[4].output == "Stored in results/rings_script: rings_script 1.\n"
    assert "50 runs and 20 warm-ups in 25 blocks over 10 invocations" in steps[5].output
