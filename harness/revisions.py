"""A trainer as another revision of its repository has it: its files in a cache, its declaration read by a process of its own."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from harness.errors import TrainerError, UsageError
from harness.model.experiment import Arm
from harness.plugins import TrainerInfo, entry_points, is_script, split_ref, trainer_info

DESCRIBE_TIMEOUT_S = 120.0


def info_of(arm: Arm) -> TrainerInfo:
    """What an arm's trainer declares: the working tree's, or that of the revision that the arm is pinned to."""
    return info_at(arm.trainer, arm.git)


def info_at(ref: str, revision: str | None, folder: Path | None = None) -> TrainerInfo:
    """The trainer `ref` at `revision` of the repository that holds its source file (None: the working tree).

    Raises UsageError where there is no such revision, or the trainer is not in it.
    """
    if revision is None:
        return trainer_info(ref, folder)
    return _info_at(ref, revision, folder or Path.cwd())


@cache
def _info_at(ref: str, revision: str, folder: Path) -> TrainerInfo:
    from harness.datasets import cache_folder
    from harness.provenance.checkout import checkout

    source = _source(ref, revision, folder)
    found = checkout(source, revision, cache_folder() / "revisions")
    there = _placed(found.place, source, revision, ref)
    if not there.is_file():
        raise UsageError(
            f"git = {revision!r}: the commit {found.commit[:12]} has no file {there.relative_to(found.tree)}, which holds the "
            f"trainer {ref!r}. Name a revision that has it; a file that git ignores is in none."
        )
    root = None if is_script(ref) else _placed(found.place, _import_root(ref), revision, ref)
    name = split_ref(ref)[1]
    meant = ref if root else f"{there}:{name}" if name else str(there)
    answer = _asked(meant, root, None, f"git = {revision!r} ({found.commit[:12]})")
    info: TrainerInfo = answer["info"]
    strangers = [path for path in info.sources if found.tree.resolve() not in path.resolve().parents]
    if strangers:
        raise TrainerError(
            f"git = {revision!r}: the trainer {ref!r} came from {strangers[0]}, which is not in the commit's files {found.tree}: "
            "the revision would not be what runs. A trainer's 'sources' must lie beside its own module."
        )
    info = replace(info, root=root, commit=found.commit)
    if not answer["asks"]:
        return info
    asked = Revised(info.ref, root, found.commit)
    return replace(info, check=asked.check, steps=asked.steps)


def _source(ref: str, revision: str, folder: Path) -> Path:
    """The file of the working tree that decides which repository is meant."""
    info = trainer_info(ref, folder)
    if not info.sources:
        raise UsageError(
            f"git = {revision!r}: the trainer {ref!r} has no source file of its own, so it has no revisions. Name the program "
            'as the trainer instead: trainer = "train.py".'
        )
    return info.sources[0] if is_script(ref) else Path(sys.modules[_module(ref)].__file__ or info.sources[0])


def _module(ref: str) -> str:
    return entry_points()[ref].module


def _import_root(ref: str) -> Path:
    """The folder that the plugin's top package is imported from."""
    file = Path(sys.modules[_module(ref)].__file__ or "")
    return file.parents[_module(ref).count(".") + (file.name == "__init__.py")]


def _placed(place: Any, path: Path, revision: str, ref: str) -> Path:
    try:
        found: Path = place(path)
    except ValueError as problem:
        raise UsageError(
            f"git = {revision!r}: {path}, of the trainer {ref!r}, is not inside its repository."
        ) from problem
    return found


@dataclass(frozen=True)
class Revised:
    """What a revision's trainer says of a whole configuration; asked in a process of its own, and picklable."""

    ref: str
    root: Path | None
    commit: str

    def check(self, config: Mapping[str, Any]) -> None:
        """Raises ValueError where the configuration cannot work."""
        self.steps(config)

    def steps(self, config: Mapping[str, Any]) -> int | None:
        steps: int | None = _told(self, json.dumps(dict(config), sort_keys=True))
        return steps


@cache
def _told(revised: Revised, config: str) -> int | None:
    try:
        answer = _asked(revised.ref, revised.root, json.loads(config), "")
    except TrainerError as problem:
        raise ValueError(f"{problem} (revision {revised.commit[:12]})") from problem
    steps: int | None = answer["steps"]
    return steps


def _asked(ref: str, root: Path | None, config: Mapping[str, Any] | None, what: str) -> dict[str, Any]:
    """The answer of `harness.describe`. Raises TrainerError with what the trainer's module raised."""
    own = str(Path(__file__).resolve().parents[1])
    path = os.pathsep.join(p for p in (os.environ.get("PYTHONPATH"), own) if p)
    request = json.dumps({"ref": ref, "root": str(root) if root else None, "config": config})
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "harness.describe"],
            input=request.encode(),
            capture_output=True,
            env=os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
            timeout=DESCRIBE_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as problem:
        raise TrainerError(
            f"{what}: the trainer {ref!r} was not imported within {DESCRIBE_TIMEOUT_S:g} s."
        ) from problem
    if done.returncode != 0 or not done.stdout:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise TrainerError(f"{what}: the trainer {ref!r} cannot be described (exit status {done.returncode}): {last}")
    answer: dict[str, Any] = pickle.loads(done.stdout)
    if "error" in answer:
        raise TrainerError(f"{what}: {answer['error']}" if what else answer["error"])
    return answer
