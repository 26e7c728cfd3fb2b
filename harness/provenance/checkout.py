"""The files of a revision of a repository, in a cache folder of their own; the repository itself is not touched.

They are written from a private index (`git read-tree`, `git checkout-index`), not by `git worktree add`: no entry in
the repository that somebody has to prune, no hook that runs, no lock, and a repository that is read only will do.
Submodules stay empty folders.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import UsageError, nearest
from harness.model.hashing import digest
from harness.provenance.git import _first_line, _load_gitpython

if TYPE_CHECKING:
    import git

FETCH = (
    "`git fetch` brings what a remote has; a clone of limited depth needs the commit too "
    "(`git fetch --unshallow`, or `fetch-depth: 0` of actions/checkout)."
)


@dataclass(frozen=True)
class Checkout:
    """A revision's files: the full commit, the folder `tree` that holds them, and the `top` of the working tree beside it."""

    commit: str
    tree: Path
    top: Path

    def place(self, path: Path) -> Path:
        """Where the file or folder `path` of the working tree lies in this revision. Raises ValueError outside of it."""
        return self.tree / path.resolve().relative_to(self.top)


def checkout(start: Path, revision: str, cache: Path) -> Checkout:
    """The files of `revision` of the repository that holds `start`, kept under `cache` by repository and commit.

    Files that were changed in the cache are written anew. Raises UsageError where there is no repository or no such revision.
    """
    module = _load_gitpython()
    folder = start if start.is_dir() else start.parent
    try:
        with module.Repo(folder, search_parent_directories=True, expand_vars=False) as repository:
            if repository.working_tree_dir is None:
                raise UsageError(f"{folder} lies in a bare repository; a revision needs a working tree beside it.")
            top = Path(repository.working_tree_dir).resolve()
            commit = _commit(repository, revision, top)
            place = cache / digest(str(Path(repository.common_dir).resolve())) / commit
            if not _intact(repository, place):
                _write(repository, commit, place)
            return Checkout(commit, place / "tree", top)
    except (module.InvalidGitRepositoryError, module.NoSuchPathError) as problem:
        raise UsageError(
            f"git = {revision!r}: {start} lies in no git repository, so it has no revisions. Name a trainer file of a "
            "repository, or install the package that holds it from one (`pip install -e`)."
        ) from problem
    except module.GitCommandNotFound as problem:
        raise UsageError(
            f"git = {revision!r}: there is no git program on PATH. Install git and run again."
        ) from problem
    except (OSError, ValueError) as problem:
        raise UsageError(
            f"git = {revision!r}: its files cannot be written under {cache}: {problem}. "
            "Name another cache folder in the variable HARNESS_DATA."
        ) from problem


def _commit(repository: git.Repo, revision: str, top: Path) -> str:
    status, out, _ = _git(
        repository, None, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"
    )
    if status == 0 and out.strip():
        return out.strip()
    names = [ref.name for ref in repository.refs]
    raise UsageError(
        f"git = {revision!r}: the repository {top} has no such revision. {nearest(revision, names)} {FETCH}"
    )


def _intact(repository: git.Repo, place: Path) -> bool:
    """Whether every file of the revision is there as it was written; what was added beside them does not count."""
    if not (place / "index").is_file():
        return False
    return _git(repository, place, "update-index", "--refresh")[0] == 0


def _write(repository: git.Repo, commit: str, place: Path) -> None:
    """Write the files beside their place and move them there in one step: a folder that exists is whole."""
    place.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{commit[:12]}.", dir=place.parent))
    try:
        (scratch / "tree").mkdir()
        for arguments in (("read-tree", commit), ("checkout-index", "--all", "--quiet", f"--prefix={scratch}/tree/")):
            status, _, problem = _git(repository, scratch, *arguments)
            if status != 0:
                raise UsageError(f"git = {commit}: git {arguments[0]} failed: {_first_line(problem)}. {FETCH}")
        if place.exists():
            place.rename(scratch / "old")
        try:
            scratch.joinpath("tree").rename(_made(place) / "tree")
            scratch.joinpath("index").rename(place / "index")  # last: it says that the folder is whole
        except OSError:
            if not _intact(repository, place):  # another process was first, and its files will do
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _made(place: Path) -> Path:
    place.mkdir()
    return place


def _git(repository: git.Repo, place: Path | None, *arguments: str) -> tuple[int, str, str]:
    """Exit status and output of git, on the index and the files of `place` where one is given."""
    variables = {
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_DIR": str(Path(repository.git_dir).absolute()),
    }
    if place is not None:
        variables |= {"GIT_INDEX_FILE": str(place / "index")}
        if arguments[0] == "update-index":
            variables |= {"GIT_WORK_TREE": str(place / "tree")}
    command = [repository.git.GIT_PYTHON_GIT_EXECUTABLE, "-c", f"core.hooksPath={os.devnull}", *arguments]
    found: Any = repository.git.execute(command, with_extended_output=True, with_exceptions=False, env=variables)
    return int(found[0]), str(found[1]), str(found[2])
