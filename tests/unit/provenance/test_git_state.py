"""The state of real repositories, made on the spot."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.provenance import git_state
from harness.provenance.git import PATCH_LIMIT, UNTRACKED_LIMIT


@pytest.fixture(autouse=True)
def plain_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the settings of whoever runs the tests nor a hook around them reach the repositories."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=A Tester", "-c", "user.email=tester@example.org")
    return subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    return folder


@pytest.fixture
def clean(empty: Path) -> Path:
    (empty / "train.py").write_text("lr = 0.1\n")
    (empty / ".gitignore").write_text("ignored/\n")
    (empty / "results").mkdir()
    (empty / "results" / "runs.csv").write_text("seed\n")
    git(empty, "add", ".")
    git(empty, "commit", "--quiet", "-m", "first")
    return empty


def rebuilt(repository: Path, patch: bytes, target: Path) -> Path:
    """A clone of the last commit with the patch applied."""
    git(repository.parent, "clone", "--quiet", str(repository), str(target))
    (target.parent / "the.patch").write_bytes(patch)
    git(target, "apply", "--binary", str(target.parent / "the.patch"))
    return target


def test_a_clean_tree_has_a_commit_and_no_patch(clean: Path) -> None:
    state = git_state(clean)
    assert state.commit == git(clean, "rev-parse", "HEAD").strip()
    assert len(state.commit) == 40
    assert (state.dirty, state.patch, state.patch_sha256, state.patch_truncated, state.reason) == (
        *(False, None, None, False),
        "",
    )


def test_a_file_and_a_folder_below_find_the_same_repository(clean: Path) -> None:
    assert git_state(clean / "results") == git_state(clean / "train.py") == git_state(clean)


def test_a_change_makes_a_patch_that_applies(clean: Path, tmp_path: Path) -> None:
    (clean / "train.py").write_text("lr = 0.2\n")
    (clean / "weights.bin").write_bytes(bytes(range(256)))
    git(clean, "add", "weights.bin")
    state = git_state(clean)
    assert state.dirty is True
    assert state.patch is not None
    assert state.patch_sha256 == hashlib.sha256(state.patch).hexdigest()
    copy = rebuilt(clean, state.patch, tmp_path / "copy")
    assert (copy / "train.py").read_text() == "lr = 0.2\n"
    assert (copy / "weights.bin").read_bytes() == bytes(range(256))


@pytest.mark.parametrize("content", [b"", b"x = 1\n", b"x = 1", b"a\n\n", b"a\r\nb\x0cc\n", "π = 3\n".encode()])
def test_untracked_source_is_dirty_and_rebuilt_to_the_byte(clean: Path, tmp_path: Path, content: bytes) -> None:
    for name in ("new.py", 'deep/odd "näme".toml'):
        (clean / name).parent.mkdir(exist_ok=True)
        (clean / name).write_bytes(content)
    state = git_state(clean)
    assert state.dirty is True
    assert state.patch is not None
    assert not state.patch_truncated
    copy = rebuilt(clean, state.patch, tmp_path / "copy")
    assert (copy / "new.py").read_bytes() == content
    assert (copy / 'deep/odd "näme".toml').read_bytes() == content


def test_untracked_data_and_ignored_source_leave_it_clean(clean: Path) -> None:
    (clean / "notes.csv").write_text("1\n")
    (clean / "ignored").mkdir()
    (clean / "ignored" / "scratch.py").write_text("pass\n")
    assert git_state(clean).dirty is False


def test_a_virtual_environment_that_nobody_ignored_is_no_source(clean: Path) -> None:
    (clean / "env" / "lib").mkdir(parents=True)
    (clean / "env" / "pyvenv.cfg").write_text("home = /usr/bin\n")
    (clean / "env" / "lib" / "six.py").write_text("pass\n")
    assert git_state(clean).dirty is False


def test_the_folder_of_results_is_left_aside(clean: Path) -> None:
    (clean / "results" / "runs.csv").write_text("seed\n7\n")
    (clean / "results" / "copy.py").write_text("pass\n")
    assert git_state(clean).dirty is True
    assert git_state(clean, exclude=[clean / "results"]).dirty is False


def test_several_folders_are_left_aside(clean: Path) -> None:
    for name in ("one", "two"):
        (clean / name).mkdir()
        (clean / name / "a.py").write_text("pass\n")
    assert git_state(clean, exclude=[clean / "one"]).dirty is True
    assert git_state(clean, exclude=(clean / "one", clean / "two")).dirty is False


def test_leaving_the_results_aside_hides_nothing_else(clean: Path) -> None:
    (clean / "results" / "runs.csv").write_text("seed\n7\n")
    (clean / "results-of-mine.py").write_text("pass\n")
    state = git_state(clean, exclude=[clean / "results"])
    assert state.patch is not None
    assert b"results-of-mine.py" in state.patch
    assert b"runs.csv" not in state.patch


@pytest.mark.parametrize("exclude", [".", "..", "../elsewhere", "missing"])
def test_a_folder_outside_or_around_the_tree_excludes_nothing(clean: Path, exclude: str) -> None:
    (clean / "train.py").write_text("lr = 0.2\n")
    assert git_state(clean, exclude=[clean / exclude]).dirty is True


def test_a_folder_of_results_with_pattern_characters_is_taken_by_the_letter(clean: Path) -> None:
    (clean / "r*").mkdir()
    (clean / "r*" / "a.py").write_text("pass\n")
    (clean / "run.py").write_text("pass\n")
    state = git_state(clean, exclude=[clean / "r*"])
    assert state.patch is not None
    assert b"b/run.py" in state.patch
    assert b"a.py" not in state.patch


def test_a_detached_head_has_its_commit(clean: Path) -> None:
    git(clean, "checkout", "--quiet", "--detach")
    assert git_state(clean).commit == git(clean, "rev-parse", "HEAD").strip()


def test_a_linked_worktree_has_its_own_changes(clean: Path, tmp_path: Path) -> None:
    git(clean, "worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"))
    (tmp_path / "linked" / "train.py").write_text("lr = 0.3\n")
    assert git_state(tmp_path / "linked").dirty is True
    assert git_state(clean).dirty is False


def test_no_commit_yet(empty: Path) -> None:
    state = git_state(empty)
    assert (state.commit, state.dirty, state.patch) == (None, False, None)
    assert "no commit" in state.reason


def test_no_commit_yet_but_files(empty: Path) -> None:
    (empty / "staged.py").write_text("a = 1\n")
    git(empty, "add", "staged.py")
    (empty / "untracked.py").write_text("b = 1\n")
    state = git_state(empty)
    assert (state.commit, state.dirty) == (None, True)
    assert state.patch is not None
    assert b"+a = 1" in state.patch
    assert b"+b = 1" in state.patch


def test_no_repository(tmp_path: Path) -> None:
    state = git_state(tmp_path)
    assert (state.commit, state.dirty, state.patch, state.patch_sha256) == (None, None, None, None)
    assert "no git repository" in state.reason


def test_no_folder(tmp_path: Path) -> None:
    assert "no folder" in git_state(tmp_path / "a" / "b").reason


def test_a_bare_repository(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--bare", "bare.git")
    state = git_state(tmp_path / "bare.git")
    assert (state.commit, state.dirty) == (None, None)
    assert state.reason


def test_no_git_program(clean: Path) -> None:
    code = (
        "import os, pathlib, sys; os.environ['PATH'] = ''; before = dict(os.environ); "
        "from harness.provenance import git_state; state = git_state(pathlib.Path(sys.argv[1])); "
        "assert dict(os.environ) == before; assert state.commit is None and state.dirty is None; print(state.reason)"
    )
    said = subprocess.run([sys.executable, "-c", code, str(clean)], check=True, capture_output=True, text=True)
    assert said.stdout == "there is no git program on PATH\n"
    assert said.stderr == ""


def test_a_damaged_repository_says_what_git_said(clean: Path) -> None:
    (clean / ".git" / "index").write_bytes(b"no index")
    state = git_state(clean)
    assert (state.commit, state.dirty) == (None, None)
    assert state.reason.startswith("git failed: ")
    assert "index" in state.reason


def test_a_huge_change_is_cut_and_says_so(clean: Path) -> None:
    (clean / "train.py").write_text("".join(f"weight_{i} = {i}\n" for i in range(100_000)))
    state = git_state(clean)
    assert state.patch is not None
    assert state.patch_truncated
    assert len(state.patch) == PATCH_LIMIT
    assert b"# patch cut by the harness; SHA-256 of" in state.patch[-200:]
    assert state.patch_sha256 == hashlib.sha256(state.patch).hexdigest()


def test_two_huge_changes_that_differ_late_have_two_hashes(clean: Path) -> None:
    def state_with(last: str) -> str | None:
        (clean / "train.py").write_text("x = 1\n" * 300_000 + last)
        return git_state(clean).patch_sha256

    assert state_with("a\n") != state_with("b\n")


def test_a_change_without_end_in_sight_is_not_read_to_the_end(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.provenance.git.SCAN_LIMIT", 2 * PATCH_LIMIT)
    (clean / "train.py").write_text("x = 1\n" * 3_000_000)
    state = git_state(clean)
    assert state.patch is not None
    assert b"SHA-256 of the first" in state.patch[-200:]


def test_a_large_untracked_file_and_a_pipe_are_named_only(clean: Path) -> None:
    (clean / "large.py").write_bytes(b"#" * (UNTRACKED_LIMIT + 1))
    (clean / "link.py").symlink_to("/dev/zero")
    state = git_state(clean)
    assert state.patch == (b"# untracked, content left out: large.py\n# untracked, content left out: link.py\n")
    assert state.patch_truncated


def test_no_external_diff_or_converter_is_started(clean: Path, tmp_path: Path) -> None:
    trap = f"touch {tmp_path / 'sprung'}; true"
    for key in ("diff.external", "diff.trap.textconv", "diff.trap.command", "core.fsmonitor", "core.pager"):
        git(clean, "config", key, trap)
    (clean / ".gitattributes").write_text("*.py diff=trap\n")
    (clean / "train.py").write_text("lr = 0.2\n")
    state = git_state(clean)
    assert state.patch is not None
    assert b"+lr = 0.2" in state.patch
    assert not (tmp_path / "sprung").exists()


def test_personal_settings_of_diff_change_nothing(clean: Path) -> None:
    (clean / "train.py").write_text("lr = 0.2\n")
    before = git_state(clean)
    for key, value in {
        "diff.noprefix": "true",
        "color.ui": "always",
        "diff.context": "0",
        "diff.orderFile": "x",
    }.items():
        git(clean, "config", key, value)
    assert git_state(clean) == before


def test_a_hook_of_another_repository_does_not_mislead(
    clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = git_state(clean)
    other = tmp_path / "other"
    git(tmp_path, "init", "--quiet", str(other))
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git" / "index"))
    assert git_state(clean) == before


def test_asking_takes_no_lock_and_writes_nothing(clean: Path) -> None:
    (clean / ".git" / "index.lock").write_bytes(b"")
    os.utime(clean / "train.py")
    index = (clean / ".git" / "index").read_bytes()
    assert git_state(clean).dirty is False
    assert (clean / ".git" / "index").read_bytes() == index


def test_asking_is_quick(clean: Path) -> None:
    (clean / "train.py").write_text("lr = 0.2\n")
    git_state(clean)  # loads GitPython
    taken = []
    for _ in range(7):
        start = time.perf_counter()
        git_state(clean)
        taken.append(time.perf_counter() - start)
    assert min(taken) < 0.1  # the least of several: other work may share the processor
