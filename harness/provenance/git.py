"""Which revision of the code ran, and what in it was not committed.

GitPython, and with it the git program, is loaded at the first question only. What goes to git is fixed
but for the paths that are left aside, which are literal pathspecs. No external diff driver, text converter or
file-system monitor is started and no lock is taken, so that many workers may ask at once.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import git

__all__ = ["PATCH_LIMIT", "SOURCE_SUFFIXES", "GitState", "git_state"]

PATCH_LIMIT = 2**20  # bytes of a patch that are kept
SCAN_LIMIT = 64 * 2**20  # bytes of a diff that are read to hash it whole
UNTRACKED_LIMIT = 256 * 2**10  # bytes of one untracked file, above which it is named only
SOURCE_SUFFIXES = frozenset(
    (".py", ".toml", ".yaml", ".yml", ".sh", ".c", ".h", ".cpp", ".cu", ".cuh")  # what a run may be made of
)

_QUIET = ("-c", "core.fsmonitor=false", "-c", "core.safecrlf=false", "-c", f"diff.orderFile={os.devnull}")
_STATUS = ("status", "--porcelain=v2", "--branch", "-z", "--no-renames", "--untracked-files=all")
_DIFF = (
    *("diff", "--no-ext-diff", "--no-textconv", "--binary", "--full-index", "--no-renames", "--no-color"),
    *("--src-prefix=a/", "--dst-prefix=b/", "--unified=3", "--inter-hunk-context=0", "--diff-algorithm=myers"),
    *("--no-relative", "--submodule=short"),
)
_SUBMODULES = "--ignore-submodules=untracked"


@dataclass(frozen=True)
class GitState:
    """The code's revision. None is unknown, and `reason` then says why; a clean tree has no patch.

    dirty is true for a change of a tracked file, or an untracked source file that git does not ignore.
    """

    commit: str | None = None  # full hex: 40 digits, 64 in a repository of SHA-256
    dirty: bool | None = None
    patch: bytes | None = None
    patch_sha256: str | None = None  # of `patch` as it is here, cut or not
    patch_truncated: bool = False
    reason: str = ""


def git_state(start: Path, *, exclude: Sequence[Path] = ()) -> GitState:
    """The state of the repository that holds `start` (a file or folder); what lies under `exclude` is left aside.

    Never raises for a repository that is missing, empty, bare or unreadable, nor where git is not installed.
    """
    folder = start if start.is_dir() else start.parent
    try:
        module = _load_gitpython()
    except ImportError as error:
        return GitState(reason=f"GitPython cannot be loaded: {error}")
    try:
        with module.Repo(folder, search_parent_directories=True, expand_vars=False) as repository:
            return _state(repository, exclude)
    except module.NoSuchPathError:
        return GitState(reason=f"there is no folder {folder}")
    except module.InvalidGitRepositoryError:
        return GitState(reason=f"{folder} lies in no git repository")
    except module.GitCommandNotFound:
        return GitState(reason="there is no git program on PATH")
    except module.GitCommandError as error:
        return GitState(reason=f"git failed: {_first_line(error.stderr)}")
    except (OSError, ValueError) as error:
        return GitState(reason=f"the repository cannot be read: {error}")


def _load_gitpython() -> Any:
    """GitPython, told not to complain where the git program is missing; the process's environment stays as it was."""
    before = os.environ.get("GIT_PYTHON_REFRESH")
    os.environ["GIT_PYTHON_REFRESH"] = "quiet"
    try:
        return importlib.import_module("git")
    finally:
        if before is None:
            del os.environ["GIT_PYTHON_REFRESH"]
        else:
            os.environ["GIT_PYTHON_REFRESH"] = before


def _state(repository: git.Repo, exclude: Sequence[Path]) -> GitState:
    if repository.working_tree_dir is None:
        return GitState(reason="the repository is bare")
    root = Path(repository.working_tree_dir)
    repository.git.update_environment(**_environment(repository, root))
    paths = _pathspecs(root, exclude)
    commit, changed, sources = _status(repository, paths)
    reason = "" if commit else "the repository has no commit yet"
    if not changed and not sources:
        return GitState(commit=commit, dirty=False, reason=reason)
    patch = _Patch()
    if changed:
        base = commit or _run(repository, ["hash-object", "-t", "tree", os.devnull]).decode().strip()
        _write_diff(repository, patch, [*_DIFF, _SUBMODULES, base, *paths])
    _write_untracked(patch, root, sources)
    content = patch.content()
    sha256 = hashlib.sha256(content).hexdigest()
    return GitState(commit, True, content, sha256, patch.truncated, reason)


def _environment(repository: git.Repo, root: Path) -> dict[str, str]:
    """Variables for git; those by which a hook would point it at another repository are set right."""
    variables = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
    if "GIT_DIR" in os.environ or "GIT_WORK_TREE" in os.environ:
        folder = Path(repository.git_dir).absolute()
        variables |= {"GIT_DIR": str(folder), "GIT_WORK_TREE": str(root), "GIT_INDEX_FILE": str(folder / "index")}
    return variables


def _pathspecs(root: Path, exclude: Sequence[Path]) -> list[str]:
    """Arguments that keep git out of `exclude`; a folder outside or around the work tree excludes nothing."""
    whole = root.resolve()
    below = [folder.resolve() for folder in exclude if whole in folder.resolve().parents]
    specs = [f":(top,exclude,literal){folder.relative_to(whole).as_posix()}" for folder in below]
    return ["--", ":(top)", *specs] if specs else []


def _run(repository: git.Repo, arguments: Iterable[str]) -> bytes:
    return repository.git.execute(
        [repository.git.GIT_PYTHON_GIT_EXECUTABLE, *_QUIET, *arguments],
        stdout_as_string=False,
        strip_newline_in_stdout=False,
    )


def _status(repository: git.Repo, paths: list[str]) -> tuple[str | None, bool, list[str]]:
    """The commit, whether a tracked file was changed, and the untracked source files."""
    commit, changed, untracked = None, False, []
    for entry in map(os.fsdecode, _run(repository, [*_STATUS, _SUBMODULES, *paths]).split(b"\0")):
        kind, _, rest = entry.partition(" ")
        if kind == "#" and rest.startswith("branch.oid ") and not rest.endswith("(initial)"):
            commit = rest.removeprefix("branch.oid ")
        elif kind == "?":
            untracked.append(rest)
        elif kind in ("1", "2", "u"):
            changed = True
    return commit, changed, sorted(_sources(untracked))


def _sources(untracked: list[str]) -> Iterator[str]:
    """The source files of `untracked`; what stands in somebody's virtual environment is none."""
    installed = tuple(path.removesuffix("pyvenv.cfg") for path in untracked if path.endswith("/pyvenv.cfg"))
    for path in untracked:
        if Path(path).suffix in SOURCE_SUFFIXES and not path.startswith(installed):
            yield path


class _Patch:
    """Bytes up to a limit; what goes beyond it is still counted and hashed."""

    def __init__(self) -> None:
        self.truncated = False
        self._kept = bytearray()
        self._size = 0
        self._whole = hashlib.sha256()

    def write(self, data: bytes) -> bool:
        """Take `data`; false where enough was seen."""
        self._kept += data[: max(0, PATCH_LIMIT - len(self._kept))]
        self._size += len(data)
        self._whole.update(data)
        self.truncated |= self._size > PATCH_LIMIT
        return self._size <= SCAN_LIMIT

    def content(self) -> bytes:
        if self._size <= PATCH_LIMIT:
            return bytes(self._kept)
        size = f"{self._size} bytes" if self._size <= SCAN_LIMIT else f"the first {self._size} bytes"
        note = f"\n# patch cut by the harness; SHA-256 of {size}: {self._whole.hexdigest()}\n".encode()
        return bytes(self._kept[: PATCH_LIMIT - len(note)]) + note


def _write_diff(repository: git.Repo, patch: _Patch, arguments: list[str]) -> None:
    """Stream git's diff into `patch`, and stop git where the diff has no end in sight."""
    command = [repository.git.GIT_PYTHON_GIT_EXECUTABLE, *_QUIET, *arguments]
    process = repository.git.execute(command, as_process=True)
    while chunk := process.stdout.read(2**16):
        if not patch.write(chunk):
            del process  # GitPython ends git with it
            return
    process.wait()


def _write_untracked(patch: _Patch, root: Path, names: Iterable[str]) -> None:
    """Add untracked files to `patch` as new files; what is large or no plain file is named only."""
    for name in names:
        path = root / name
        try:
            facts = path.lstat()
            small = stat.S_ISREG(facts.st_mode) and facts.st_size <= UNTRACKED_LIMIT
            text = _new_file(name, path.read_bytes(), facts.st_mode) if small else None
        except OSError:
            text = None
        if text is None:
            patch.truncated = True
            text = b"# untracked, content left out: " + _quoted(name) + b"\n"
        if not patch.write(text):
            return


def _new_file(name: str, content: bytes, mode: int) -> bytes:
    """The diff, in git's form, that makes the file `name` from nothing."""
    old, new = _quoted(f"a/{name}"), _quoted(f"b/{name}")
    kind = b"100755" if mode & stat.S_IXUSR else b"100644"
    head = b"diff --git %s %s\nnew file mode %s\n" % (old, new, kind)
    if not content:
        return head
    lines = content.removesuffix(b"\n").split(b"\n")
    body = b"".join(b"+%s\n" % line for line in lines)
    if not content.endswith(b"\n"):
        body += b"\\ No newline at end of file\n"
    return head + b"--- /dev/null\n+++ %s\n@@ -0,0 +1,%d @@\n" % (new, len(lines)) + body


def _quoted(name: str) -> bytes:
    """A path as git writes it in a diff: in C quotes where it holds more than plain characters."""
    raw = os.fsencode(name)
    if all(0x20 <= byte < 0x7F and byte not in b'"\\' for byte in raw):
        return raw
    escaped = "".join(chr(b) if 0x20 <= b < 0x7F and b not in b'"\\' else f"\\{b:03o}" for b in raw)
    return f'"{escaped}"'.encode()


def _first_line(stderr: str | bytes) -> str:
    """What git complained of, without GitPython's frame around it."""
    text = stderr.decode(errors="replace") if isinstance(stderr, bytes) else str(stderr)
    return text.strip().removeprefix("stderr:").strip(" '\n").partition("\n")[0]
