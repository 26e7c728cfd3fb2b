"""The workflows' own commands, run as GitHub runs them, in a clone of a repository with a remote."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest
from helpers import write

ROOT = Path(__file__).parents[2]
IDENTITY = ("-c", "user.email=a@example.org", "-c", "user.name=a", "-c", "commit.gpgsign=false")
STEP = re.compile(
    r"^ +- name: (?P<name>.+)\n(?: +if: (?P<condition>.+)\n)?(?: +env:\n(?: {10}.+\n)+)?"
    r"(?: +run: (?:\|\n(?P<block>(?: {10}.+\n)+)|(?P<run>.+)\n))?",
    re.MULTILINE,
)
SCORED = "mask = logits.argmax(axis=1) == labels"


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *IDENTITY, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@dataclass(frozen=True)
class Step:
    name: str
    condition: str
    command: str

    def due(self, event: str, ref: str, *, failed: bool) -> bool:
        """Whether GitHub would run it: without `always()` only where nothing before it has failed."""
        text = self.condition.replace("always()", "True").replace("&&", "and").replace("||", "or")
        text = text.replace("github.event_name", repr(event)).replace("github.ref", repr(ref))
        return bool(eval(text)) and ("always()" in self.condition or not failed)


def steps(workflow: Path) -> list[Step]:
    """The steps of a workflow that run a command; installing is left to the test's own environment."""
    text = workflow.read_text()
    found = [
        Step(step["name"], step["condition"] or "True", step["run"] or textwrap.dedent(step["block"]))
        for step in STEP.finditer(text)
        if step["run"] or step["block"]
    ]
    assert found[0].name == "install" and len(found) == text.count(" run: ") >= 3
    return found[1:]


def command(workflow: Path, name: str) -> str:
    return next(step.command for step in steps(workflow) if step.name == name)


def run_workflow(workflow: Path, folder: Path, event: str, *, before: str = "") -> dict[str, tuple[int, str]]:
    """What GitHub does with the workflow at this event (of main, or a pull request): exit code and words of every step that ran."""
    ref = "refs/pull/1/merge" if event == "pull_request" else "refs/heads/main"
    git(folder, "clean", "-ffdx", "--quiet")  # as actions/checkout leaves it
    done: dict[str, tuple[int, str]] = {}
    for step in steps(workflow):
        if step.due(event, ref, failed=any(code for code, _ in done.values())):
            done[step.name] = run_step(step.command, folder, step.name, BEFORE=before)
    return done


def cloned(tmp_path: Path, source: Path) -> Path:
    """A clone, on a branch of its own, of a bare repository that holds `source` as its main."""
    git(source, "init", "--quiet", "--initial-branch=main")
    git(source, "add", "--force", ".")
    git(source, "commit", "--quiet", "-m", "one")
    git(tmp_path, "clone", "--quiet", "--bare", str(source), "origin.git")
    git(tmp_path, "clone", "--quiet", str(tmp_path / "origin.git"), "clone")
    git(tmp_path / "clone", "checkout", "--quiet", "-b", "change")
    return tmp_path / "clone"


def run_step(command: str, folder: Path, name: str, **environment: str) -> tuple[int, str]:
    """A step as GitHub runs it (bash -e), in a clone whose own code is what is imported."""
    assert not (folder / "harness").exists() or "PYTHONPATH" not in ENVIRON
    environ = (
        ENVIRON
        | environment
        | {
            "HARNESS_DATA": str(folder.parent / "cache"),
            "GITHUB_STEP_SUMMARY": str(folder.parent / "summary.md"),
        }
    )
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
    workflow = clone / ".github" / "workflows" / "gate.yml"
    if change is not None:
        change(clone)
        git(clone, "commit", "--quiet", "--all", "-m", "change")
    status, said = run_step(command(workflow, "gate"), clone, "gate")
    assert status == code, said
    assert json.loads((clone / "gate.json").read_text())["gate"]["verdict"] == verdict
    assert "GATE:" in (clone.parent / "summary.md").read_text()
    if code == 0:
        status, said = run_step(command(workflow, "prove that this gate can fail"), clone, "self-test")
        assert status == 0 and said.count("turned red") == 3, said
    if code == 1:
        assert "confirmed on fresh seeds" in said


TRAIN = "import random\n\n\ndef train(seed):\n    return random.Random(seed).gauss(0.9, 0.002)\n"


TEMPLATE = ROOT / "docs" / "examples" / "gate-workflow.yml"
KEEP = "keep history and baseline"


@pytest.fixture
def main(tmp_path: Path) -> Path:
    """A repository that has copied the template, as main, cloned."""
    source = tmp_path / "source"
    write(source, "train.py", TRAIN)
    write(source, ".gitignore", "results/\ngate*.json\ngate.md\ngate.xml\n")
    arms = '[[arms]]\nname = "main"\ngit = "origin/main"\n[[arms]]\nname = "change"\n'
    write(source, "x.toml", f'trainer = "train.py"\nmargin_pp = 0.5\nseeds = 12\n{arms}')
    write(source, "gate.toml", '[[checks]]\nname = "mine"\nexperiment = "x.toml"\nrun = true\n')
    clone = cloned(tmp_path, source)
    git(clone, "checkout", "--quiet", "main")
    return clone


def pushed(clone: Path, mean: str) -> str:
    """Another trainer committed and pushed to main; main as it was before."""
    before = git(clone, "rev-parse", "origin/main")
    (clone / "train.py").write_text(TRAIN.replace("0.9,", f"{mean},"))
    git(clone, "commit", "--quiet", "--all", "-m", mean)
    git(clone, "push", "--quiet", "origin", "HEAD:main")
    return before


def kept(clone: Path) -> list[str]:
    """The events in the history that main of the remote has."""
    git(clone, "fetch", "--quiet", "origin")
    if "gate-history.jsonl" not in git(clone, "ls-tree", "--name-only", "origin/main"):
        return []
    lines = git(clone, "show", "origin/main:gate-history.jsonl").splitlines()
    return [json.loads(line).get("event", "commit") for line in lines]


def codes(done: dict[str, tuple[int, str]]) -> dict[str, int]:
    return {name: code for name, (code, _) in done.items() if name != "set origin/main to the base"}


@pytest.mark.slow
def test_the_template_from_the_first_push_to_a_regression(main: Path) -> None:
    before = pushed(main, "0.9001")
    done = run_workflow(TEMPLATE, main, "push", before=before)
    assert codes(done) == {"gate": 4, KEEP: 0}, "a missing baseline never passes, and there is nothing to keep"
    assert "--re-anchor" in done["gate"][1] and kept(main) == []

    done = run_workflow(TEMPLATE, main, "workflow_dispatch")
    assert codes(done) == {"re-anchor": 0, "prove that this gate can fail": 0, KEEP: 0}, done
    assert kept(main) == ["anchor"] and git(main, "show", "origin/main:gate-baseline.json")

    before = pushed(main, "0.9002")
    done = run_workflow(TEMPLATE, main, "push", before=before)
    assert codes(done) == {"gate": 0, "prove that this gate can fail": 0, KEEP: 0}, done
    assert kept(main) == ["anchor", "commit"]
    git(main, "reset", "--quiet", "--hard", "HEAD^")  # the same job again
    done = run_workflow(TEMPLATE, main, "push", before=before)
    assert codes(done)[KEEP] == 0 and kept(main) == ["anchor", "commit", "commit"], done

    before = pushed(main, "0.88")
    done = run_workflow(TEMPLATE, main, "push", before=before)
    assert codes(done) == {"gate": 1, KEEP: 0} and "hard accuracy  FAIL" in done["gate"][1], done
    assert kept(main) == ["anchor", "commit", "commit", "commit"]
    text = git(main, "show", "origin/main:gate-history.jsonl")
    assert [json.loads(line)["number"] for line in text.splitlines()] == [0, 1, 1, 2]
    done = run_workflow(TEMPLATE, main, "workflow_dispatch")
    assert codes(done)["re-anchor"] == 1, "it is held against the anchor's code, not against itself"
    assert "only a confirmed change becomes the anchor" in done["re-anchor"][1] and kept(main).count("anchor") == 1


@pytest.mark.slow
def test_the_template_judges_a_pull_request_and_keeps_nothing_of_it(main: Path) -> None:
    assert codes(run_workflow(TEMPLATE, main, "workflow_dispatch"))[KEEP] == 0
    git(main, "checkout", "--quiet", "-b", "worse")
    (main / "train.py").write_text(TRAIN.replace("0.9,", "0.88,"))
    git(main, "commit", "--quiet", "--all", "-m", "worse")
    done = run_workflow(TEMPLATE, main, "pull_request")
    assert codes(done) == {"gate": 1} and "hard accuracy  FAIL" in done["gate"][1], done
    assert kept(main) == ["anchor"]
