"""Arms that run a revision of the trainer's repository: real repositories, real processes, rows read back."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from helpers import counted, ledger_of, rows_of, run_cli, says, write

ROOT = Path(__file__).parents[2]

OLD = """\
import random


def train(seed, lr=0.1):
    return random.Random(seed).gauss(0.9, 0.002)
"""
NEW = OLD.replace("lr=0.1", "lr=0.1, warm=3").replace("0.9,", "0.89,")
PAIR = """\
trainer = "train.py"
claim = "no-regression"
margin_pp = 0.5
[[arms]]
name = "base"
git = "main"
[[arms]]
name = "change"
"""


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.email=a@example.org", "-c", "user.name=a", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def repository(folder: Path, **files: str) -> str:
    """A repository of these files; the commit."""
    git(folder, "init", "--quiet", "--initial-branch=main")
    for name, text in files.items():
        write(folder, name.replace("__", "/") + ".py", text)
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "one")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    place = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("HARNESS_DATA", str(place))
    return place


def run(folder: Path, cache: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return run_cli(*arguments, cwd=folder, HARNESS_DATA=str(cache))


def test_a_revision_runs_interleaved_with_the_working_tree(tmp_path: Path, cache: Path) -> None:
    commit = repository(tmp_path, train=OLD)
    write(tmp_path, "train.py", NEW)
    write(tmp_path, "x.toml", PAIR)
    says(run(tmp_path, cache, "run", "x.toml", "--seeds", 10), 0)
    rows = counted(rows_of(tmp_path, "x"))
    base, change = ([row for row in rows if row["arm"] == arm] for arm in ("base", "change"))
    assert {(row["git_commit"], row["git_dirty"]) for row in base} == {(commit, "false")}
    assert {(row["git_commit"], row["git_dirty"]) for row in change} == {(commit, "true")}
    assert {row["code_hash"] for row in base}.isdisjoint(row["code_hash"] for row in change)
    mean = [sum(float(row["accuracy"]) for row in arm) / 10 for arm in (base, change)]
    assert mean[0] - mean[1] == pytest.approx(0.01), "each arm ran its own version"
    blocks = [{(row["invocation"], row["block"], row["seed"]) for row in arm} for arm in (base, change)]
    assert blocks[0] == blocks[1] and len({row["invocation"] for row in rows}) == 5
    gate = run(tmp_path, cache, "gate", "x", "--json-file", "gate.json")
    assert gate.returncode == 1 and json.loads((tmp_path / "gate.json").read_text())["gate"]["verdict"] == "fail"
    says(run(tmp_path, cache, "verify", "x"), 0)
    assert "Nothing to do" in run(tmp_path, cache, "run", "x.toml", "--seeds", 10).stdout
    assert ledger_of(tmp_path, "x")


def test_the_repository_is_left_as_it_was(tmp_path: Path, cache: Path) -> None:
    repository(tmp_path, train=OLD)
    write(tmp_path, ".git/hooks/post-checkout", "#!/bin/sh\ntouch hooked\n").chmod(0o755)
    write(tmp_path, "x.toml", PAIR)
    index = (tmp_path / ".git" / "index").read_bytes()
    says(run(tmp_path, cache, "show", "x.toml"), 0)
    assert (tmp_path / ".git" / "index").read_bytes() == index
    assert not (tmp_path / "hooked").exists() and not (tmp_path / ".git" / "worktrees").exists()


def test_plan_and_show_say_the_revision(tmp_path: Path, cache: Path) -> None:
    commit = repository(tmp_path, train=OLD)
    write(tmp_path, "x.toml", PAIR)
    shown = run(tmp_path, cache, "show", "x.toml").stdout
    assert f"configuration of base (control) at revision main ({commit[:12]})" in shown
    plan = run(tmp_path, cache, "run", "x.toml", "--dry-run")
    assert f"revision main ({commit[:12]})" in plan.stdout
    arms = json.loads(run(tmp_path, cache, "run", "x.toml", "--dry-run", "--json").stdout)["arms"]
    assert [arm.get("git") for arm in arms] == [commit, None]


def test_the_keys_are_those_of_the_revision(tmp_path: Path, cache: Path) -> None:
    repository(tmp_path, train=OLD)
    write(tmp_path, "train.py", NEW)
    write(tmp_path, "x.toml", PAIR.replace('[[arms]]\nname = "base"', 'config.warm = 5\n[[arms]]\nname = "base"'))
    plan = run(tmp_path, cache, "run", "x.toml", "--dry-run", "--json")
    document = json.loads(plan.stdout)
    assert [sorted(arm["config"]) for arm in document["arms"]] == [["lr"], ["lr", "warm"]]
    assert any("at revision main has no warm: left out" in note for note in document["notes"])
    write(tmp_path, "y.toml", PAIR.replace('git = "main"', 'git = "main"\nconfig.warm = 5'))
    says(run(tmp_path, cache, "run", "y.toml"), 2, "number 1", "has no key 'warm'")


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ('git = "mian"', ("has no such revision", "Did you mean 'main'?", "fetch-depth: 0")),
        ("git = 3", ("'git' must be a revision",)),
        ('git = "--all"', ("has no such revision",)),
    ],
)
def test_an_unknown_revision_is_a_usage_error(
    tmp_path: Path, cache: Path, written: str, words: tuple[str, ...]
) -> None:
    repository(tmp_path, train=OLD)
    write(tmp_path, "x.toml", PAIR.replace('git = "main"', written))
    says(run(tmp_path, cache, "run", "x.toml"), 2, "x.toml: [[arms]] number 1", *words)


def test_a_file_that_the_revision_has_not_and_a_folder_without_repository(tmp_path: Path, cache: Path) -> None:
    repository(tmp_path, other=OLD)
    write(tmp_path, "train.py", OLD)
    write(tmp_path, "x.toml", PAIR)
    says(run(tmp_path, cache, "run", "x.toml"), 2, "has no file train.py")
    shutil.rmtree(tmp_path / ".git")
    says(run(tmp_path, cache, "run", "x.toml"), 2, "lies in no git repository")
    write(tmp_path, "y.toml", PAIR.replace("train.py", "command") + 'config.argv = ["true"]\n')
    says(run(tmp_path, cache, "run", "y.toml"), 2, "no source file of its own")


TRAINER = """\
from dataclasses import dataclass
from pathlib import Path
from random import Random

from helper import MEAN
from harness.trainer import Outcome, knob

print("a trainer may print")


@dataclass(frozen=True)
class Config:
    steps: int = knob(7, compute=True, low=1)


class Mine:
    name, Config, clock, libraries, environ, own_process = "mine", Config, "training", (), {}, False
    sources = (Path(__file__), Path(__file__).with_name("helper.py"))

    def planned_steps(self, config):
        return config.steps

    def check_config(self, config):
        if config["steps"] == 13:
            raise ValueError("13 steps are none")

    def prepare(self, config):
        return "data"

    def train(self, config, *, seed, clock):
        with clock.running():
            return Random(seed).gauss(MEAN, 0.002)

    def evaluate(self, trained, config, *, clock):
        return Outcome(accuracy=trained, steps=config.steps)


TRAINER = Mine()
"""


def test_a_trainer_object_imports_the_modules_of_its_own_revision(tmp_path: Path, cache: Path) -> None:
    repository(tmp_path, train=TRAINER, helper="MEAN = 0.9\n")
    write(tmp_path, "helper.py", "MEAN = 0.7\n")
    write(tmp_path, "x.toml", "invocations = 1\n" + PAIR)
    says(run(tmp_path, cache, "run", "x.toml", "--seeds", 3), 0)
    rows = counted(rows_of(tmp_path, "x"))
    for arm, mean in (("base", 0.9), ("change", 0.7)):
        assert all(abs(float(row["accuracy"]) - mean) < 0.02 for row in rows if row["arm"] == arm)
    plan = json.loads(run(tmp_path, cache, "run", "x.toml", "--dry-run", "--json").stdout)
    assert [arm["steps"] for arm in plan["arms"]] == [7, 7]
    says(run(tmp_path, cache, "run", "x.toml", "--set", "steps=13", "--as", "y"), 2, "13 steps are none", "revision")


def test_an_installed_trainer_at_a_revision(tmp_path: Path, cache: Path) -> None:
    """The plugin `digits` of a repository in which the working tree scores every image as its neighbour's class."""
    shutil.copytree(ROOT / "trainers", tmp_path / "trainers", ignore=shutil.ignore_patterns("__pycache__"))
    commit = repository(tmp_path)
    source = tmp_path / "trainers" / "digits.py"
    source.write_text(source.read_text().replace("logits.argmax(axis=1) == labels", "logits.argmax(axis=1) != labels"))
    write(
        tmp_path,
        "x.toml",
        PAIR.replace('"train.py"', '"digits"').replace("[[arms]]", "config.epochs = 3.0\n[[arms]]", 1),
    )
    path = f"{tmp_path}:{ROOT}"
    done = run_cli("run", "x.toml", "--seeds", 3, cwd=tmp_path, HARNESS_DATA=str(cache), PYTHONPATH=path)
    says(done, 0)
    rows = counted(rows_of(tmp_path, "x"))
    by_seed = {row["seed"]: {} for row in rows}
    for row in rows:
        by_seed[row["seed"]][row["arm"]] = int(row["correct"])
    assert all(one["base"] + one["change"] == 1497 for one in by_seed.values())
    assert {row["git_commit"] for row in rows if row["arm"] == "base"} == {commit}


def test_changed_files_in_the_cache_are_written_anew(tmp_path: Path, cache: Path) -> None:
    repository(tmp_path, train=OLD)
    write(tmp_path, "x.toml", PAIR)
    says(run(tmp_path, cache, "show", "x.toml"), 0)
    (kept,) = cache.glob("revisions/*/*/tree/train.py")
    assert kept.read_text() == OLD
    before = kept.stat().st_ino
    says(run(tmp_path, cache, "show", "x.toml"), 0)
    assert kept.stat().st_ino == before, "what is intact is kept"
    kept.write_text(NEW)
    says(run(tmp_path, cache, "show", "x.toml"), 0)
    assert kept.read_text() == OLD
    assert [place.name for place in kept.parents[2].iterdir()] == [kept.parents[1].name], "nothing else is left"
