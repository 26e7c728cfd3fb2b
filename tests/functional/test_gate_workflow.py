"""The workflows' own commands, run as GitHub runs them, in a clone of a repository with a remote."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import write

ROOT = Path(__file__).parents[2]
IDENTITY = ("-c", "user.email=a@example.org", "-c", "user.name=a", "-c", "commit.gpgsign=false")
STEP = re.compile(r"^ +- name: (?P<name>.+)\n(?: +if: .+\n)?(?: +run: (?P<run>.+)\n)?", re.MULTILINE)
SCORED = "mask = logits.argmax(axis=1) == labels"


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *IDENTITY, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def steps(workflow: Path) -> dict[str, str]:
    """The commands of a workflow by the names of their steps; installing is left to the test's own environment."""
    found = {step["name"]: step["run"] for step in STEP.finditer(workflow.read_text()) if step["run"]}
    assert "install" in found and len(found) >= 3
    return {name: run for name, run in found.items() if name != "install"}


def cloned(tmp_path: Path, source: Path) -> Path:
    """A clone, on a branch of its own, of a bare repository that holds `source` as its main."""
    git(source, "init", "--quiet", "--initial-branch=main")
    git(source, "add", "--force", ".")
    git(source, "commit", "--quiet", "-m", "one")
    git(tmp_path, "clone", "--quiet", "--bare", str(source), "origin.git")
    git(tmp_path, "clone", "--quiet", str(tmp_path / "origin.git"), "clone")
    git(tmp_path / "clone", "checkout", "--quiet", "-b", "change")
    return tmp_path / "clone"


def run_step(command: str, folder: Path, name: str) -> tuple[int, str]:
    """A step as GitHub runs it (bash -e), in a clone whose own code is what is imported."""
    assert not (folder / "harness").exists() or "PYTHONPATH" not in ENVIRON
    environ = ENVIRON | {
        "HARNESS_DATA": str(folder.parent / "cache"),
        "GITHUB_STEP_SUMMARY": str(folder.parent / "summary.md"),
    }
    environ |= {} if (folder / "harness").exists() else {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", command], cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=300
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert "Traceback" not in said, f"{name}: {said}"
    return done.returncode, said


PATH = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
ENVIRON = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "HARNESS_DEBUG")} | {
    "NO_COLOR": "1",
    "PATH": PATH,
}


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """This repository's code and workflow, as the main of a remote, cloned."""
    source = tmp_path / "source"
    source.mkdir()
    for part in ("harness", "trainers", "experiments", ".github"):
        shutil.copytree(ROOT / part, source / part, ignore=shutil.ignore_patterns("__pycache__"))
    return cloned(tmp_path, source)


def worse(clone: Path) -> None:
    path = clone / "trainers" / "digits.py"
    path.write_text(path.read_text().replace(SCORED, f"{SCORED}\n            mask &= np.arange(len(mask)) % 10 > 0"))


def crashing(clone: Path) -> None:
    path = clone / "trainers" / "digits.py"
    path.write_text(path.read_text().replace(SCORED, f"{SCORED}\n            raise RuntimeError('broken')"))


def misspelt(clone: Path) -> None:
    path = clone / ".github" / "gate.toml"
    path.write_text(path.read_text().replace("layers", "layer"))


def unprovable(clone: Path) -> None:
    with (clone / "trainers" / "digits.py").open("a") as source:
        source.write("# other code, the same results\n")
    path = clone / ".github" / "gate-digits.toml"
    path.write_text(path.read_text().replace("margin_pp = 1.0", "margin_pp = 0.0001"))


CASES = [
    (None, 0, "pass"),
    (worse, 1, "fail"),
    (misspelt, 2, "error"),
    (unprovable, 3, "inconclusive"),
    (crashing, 4, "refused"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("change", "code", "verdict"), CASES, ids=[str(case[1]) for case in CASES])
def test_every_exit_code_through_the_workflow(clone: Path, change, code: int, verdict: str) -> None:
    commands = steps(clone / ".github" / "workflows" / "gate.yml")
    if change is not None:
        change(clone)
        git(clone, "commit", "--quiet", "--all", "-m", "change")
    status, said = run_step(commands["gate"], clone, "gate")
    assert status == code, said
    assert json.loads((clone / "gate.json").read_text())["gate"]["verdict"] == verdict
    assert "GATE:" in (clone.parent / "summary.md").read_text()
    if code == 0:
        status, said = run_step(commands["prove that this gate can fail"], clone, "self-test")
        assert status == 0 and said.count("turned red") == 3, said
    if code == 1:
        assert "confirmed on fresh seeds" in said


TRAIN = "import random\n\n\ndef train(seed):\n    return random.Random(seed).gauss(0.9, 0.002)\n"


@pytest.mark.slow
def test_the_template_keeps_the_history_of_main(tmp_path: Path) -> None:
    source = tmp_path / "source"
    write(source, "train.py", TRAIN)
    write(source, ".gitignore", "results/\ngate*.json\n!gate-baseline.json\ngate.md\ngate.xml\n")
    arms = '[[arms]]\nname = "main"\ngit = "origin/main"\n[[arms]]\nname = "change"\n'
    write(source, "x.toml", f'trainer = "train.py"\nmargin_pp = 0.5\nseeds = 12\n{arms}')
    write(source, "gate.toml", '[[checks]]\nname = "mine"\nexperiment = "x.toml"\nrun = true\n')
    clone = cloned(tmp_path, source)
    commands = steps(ROOT / "docs" / "examples" / "gate-workflow.yml")
    assert run_step(commands["gate"], clone, "gate")[0] == 4, "a missing baseline never passes"
    status, said = run_step("python -m harness gate gate.toml --re-anchor", clone, "re-anchor")
    assert status == 0, said
    git(clone, "add", "gate-baseline.json", "gate-history.jsonl")
    git(clone, "commit", "--quiet", "-m", "baseline")
    for name, command in commands.items():
        status, said = run_step(command, clone, name)
        assert status == 0, f"{name}: {said}"
    kept = git(tmp_path / "origin.git", "show", "main:gate-history.jsonl").splitlines()
    assert [json.loads(line).get("event", "commit") for line in kept] == ["anchor", "commit"]
