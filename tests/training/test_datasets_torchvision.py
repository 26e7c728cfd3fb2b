"""Data sets through torchvision: its own file formats and checks, from a server on this machine; and the real CIFAR-10."""

from __future__ import annotations

import hashlib
import io
import pickle
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

datasets = pytest.importorskip("torchvision.datasets")
from helpers import HARNESS  # noqa: E402
from local_registry import Server, arrays_of, idx_members, left_in, serving, tarball, tiny  # noqa: E402
from PIL import Image  # noqa: E402

from harness.datasets import DataError  # noqa: E402
from trainers.datasets import sources  # noqa: E402
from trainers.datasets.images import Arrays, overall, sha256  # noqa: E402
from trainers.datasets.sets import CIFAR10, CIFAR100, PET_SIDE, PETS  # noqa: E402

pytestmark = pytest.mark.train
FETCH_S = 150


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("HARNESS_DATA", str(tmp_path / "cache"))
    with serving() as running:
        yield running


def silent(text: str) -> None:
    pass


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


# --- CIFAR-100: pickled batches in a tarball --------------------------------------------------------------------


def colour_arrays() -> Arrays:
    """Random images (n, 32, 32, 3), labels up to 99."""
    rng = np.random.Generator(np.random.PCG64(3))
    out = {}
    for part, count in (("train", 12), ("test", 5)):
        out[f"{part}_images"] = rng.integers(0, 256, (count, 32, 32, 3), np.uint8)
        out[f"{part}_labels"] = np.append(rng.integers(0, 100, count - 1), 99).astype(np.uint8)
    return out


def batch(arrays: Arrays, part: str) -> bytes:
    """One file of the CIFAR-100 distribution: rows of 3,072 values, first all of red, then green, then blue."""
    rows = arrays[f"{part}_images"].transpose(0, 3, 1, 2).reshape(-1, 3072)
    labels = arrays[f"{part}_labels"].tolist()
    return pickle.dumps({"data": rows, "fine_labels": labels, "coarse_labels": [0] * len(labels)}, protocol=2)


@pytest.fixture
def cifar100(server: Server, monkeypatch: pytest.MonkeyPatch) -> Arrays:
    """Served as torchvision expects it, which knows the small files' sums instead of the real ones."""
    arrays = colour_arrays()
    members = {part: batch(arrays, part) for part in ("train", "test")}
    members["meta"] = pickle.dumps({"fine_label_names": [f"class {number}" for number in range(100)]}, protocol=2)
    packed = tarball({f"cifar-100-python/{name}": data for name, data in members.items()})
    server.files["/cifar-100-python.tar.gz"] = packed
    for name, value in (
        ("url", f"{server.url}/cifar-100-python.tar.gz"),
        ("tgz_md5", md5(packed)),
        ("train_list", [["train", md5(members["train"])]]),
        ("test_list", [["test", md5(members["test"])]]),
        ("meta", {"filename": "meta", "key": "fine_label_names", "md5": md5(members["meta"])}),
    ):
        monkeypatch.setattr(datasets.CIFAR100, name, value)
    return arrays


def test_cifar100_from_torchvisions_format(server: Server, cifar100: Arrays, tmp_path: Path) -> None:
    facts = CIFAR100.fetch(silent)
    assert facts.source == "torchvision" and facts.hash == overall(cifar100) and facts == CIFAR100.verify()
    loaded, found = CIFAR100.load()
    assert found == facts.hash and all(np.array_equal(loaded[key], cifar100[key]) for key in cifar100)
    assert left_in(tmp_path / "cache") == ["cifar100.npz"]


@pytest.mark.parametrize("damage", ["truncated", "flipped", "absent"])
def test_a_broken_download_of_cifar100_is_refused(
    server: Server, cifar100: Arrays, tmp_path: Path, damage: str
) -> None:
    address = "/cifar-100-python.tar.gz"
    whole = server.files[address]
    if damage == "truncated":
        server.truncated.add(address)
    elif damage == "flipped":
        server.files[address] = whole[:-99] + bytes([whole[-99] ^ 1]) + whole[-98:]
    else:
        del server.files[address]
    reason = "404" if damage == "absent" else "corrupted"
    with pytest.raises(DataError, match=rf"cifar100 could not be had\. torchvision: .*{reason}.*Nothing was kept"):
        CIFAR100.fetch(silent)
    assert left_in(tmp_path / "cache") == []
    server.truncated.clear()
    server.files[address] = whole
    assert CIFAR100.fetch(silent).hash == overall(cifar100)


def test_a_damaged_cached_cifar100_is_an_error_though_its_hash_is_known_only_since_the_fetch(
    server: Server, cifar100: Arrays
) -> None:
    path = CIFAR100.fetch(silent).path
    with np.load(path) as stored:
        content = {key: stored[key] for key in stored.files}
    content["test_images"][0, 0, 0, 0] ^= 1
    np.savez(path, **content)
    for use in (CIFAR100.verify, CIFAR100.load):
        with pytest.raises(DataError, match=r"damaged: its hash is .* `harness data fetch cifar100` again"):
            use()


# --- MNIST: IDX files -------------------------------------------------------------------------------------------


@pytest.fixture
def mnist(server: Server, monkeypatch: pytest.MonkeyPatch) -> Arrays:
    arrays = arrays_of(side=28)
    members = idx_members(arrays)
    server.files |= {f"/{name}": data for name, data in members.items()}
    monkeypatch.setattr(datasets.MNIST, "mirrors", [f"{server.url}/"])
    monkeypatch.setattr(datasets.MNIST, "resources", [(name, md5(data)) for name, data in members.items()])
    return arrays


def test_mnist_from_torchvisions_format(server: Server, mnist: Arrays) -> None:
    facts = tiny(mnist, sources.from_torchvision("MNIST", sources.grey)).fetch(silent)
    assert facts.hash == overall(mnist) and facts.shapes["train_images"] == (30, 28, 28, 1)


def test_why_no_mirror_of_mnist_gave_it_is_told(server: Server, mnist: Arrays) -> None:
    server.truncated.add("/t10k-labels-idx1-ubyte.gz")
    with pytest.raises(DataError, match=r"Error downloading t10k-labels-idx1-ubyte\.gz.*corrupted"):
        tiny(mnist, sources.from_torchvision("MNIST", sources.grey)).fetch(silent)


def test_other_pixels_from_torchvision_are_refused(server: Server, mnist: Arrays) -> None:
    expected = mnist | {"train_images": mnist["train_images"] ^ 1}
    with pytest.raises(DataError, match=f"train_images from torchvision: sha256 {sha256(mnist['train_images'])[:12]}"):
        tiny(expected, sources.from_torchvision("MNIST", sources.grey)).fetch(silent)


# --- Oxford-IIIT Pet: photographs of any size -------------------------------------------------------------------


def striped(width: int, height: int, mode: str = "RGB") -> bytes:
    """A white square in the middle of a black photograph, as large as its shorter side."""
    side = min(width, height)
    picture = Image.new(mode, (width, height), 0)
    white = Image.new(mode, (side, side), 255 if mode == "L" else (255, 255, 255))
    picture.paste(white, ((width - side) // 2, (height - side) // 2))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=100, subsampling=0)
    return out.getvalue()


PHOTOGRAPHS = {
    "trainval": {"Abyssinian_1": (1, striped(448, 224)), "yorkshire_terrier_2": (37, striped(300, 500))},
    "test": {
        "Birman_3": (7, striped(640, 224, "L")),
        "beagle_4": (5, striped(100, 100)),
        "pug_5": (26, striped(99, 333)),
    },
}


@pytest.fixture
def pets(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    images, annotations = {}, {}
    for split, photographs in PHOTOGRAPHS.items():
        images |= {f"images/{name}.jpg": data for name, (_, data) in photographs.items()}
        lines = [f"{name} {label} 1 1\n" for name, (label, _) in photographs.items()]
        annotations[f"annotations/{split}.txt"] = "".join(lines).encode()
    resources = []
    for name, members in (("images", images), ("annotations", annotations)):
        server.files[f"/{name}.tar.gz"] = tarball(members)
        resources.append((f"{server.url}/{name}.tar.gz", md5(server.files[f"/{name}.tar.gz"])))
    monkeypatch.setattr(datasets.OxfordIIITPet, "_RESOURCES", tuple(resources))


def test_pets_are_scaled_to_the_shorter_side_and_cropped_to_the_centre(
    server: Server, pets: None, tmp_path: Path
) -> None:
    arrays, found = PETS.load()
    assert found == PETS.verify().hash and left_in(tmp_path / "cache") == ["oxford-iiit-pet.npz"]
    assert arrays["train_images"].shape == (2, PET_SIDE, PET_SIDE, 3)
    assert arrays["test_images"].shape == (3, PET_SIDE, PET_SIDE, 3)
    assert arrays["train_labels"].tolist() == [0, 36] and arrays["test_labels"].tolist() == [6, 4, 25]
    inner = np.concatenate([arrays["train_images"], arrays["test_images"]])[:, 8:-8, 8:-8]
    assert inner.min() > 240, "the white square fills every picture but for its blurred rim"


def test_a_photograph_that_is_damaged_is_refused(server: Server, pets: None, tmp_path: Path) -> None:
    server.files["/images.tar.gz"] = server.files["/images.tar.gz"][:-50] + b"x" * 50
    with pytest.raises(DataError, match=r"oxford-iiit-pet could not be had\. torchvision: .*corrupted"):
        PETS.fetch(silent)
    assert left_in(tmp_path / "cache") == []


# --- the real CIFAR-10 ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cifar10() -> Arrays:
    """From the user's cache; fetched into it where that takes no more than minutes."""
    if not CIFAR10.cached():
        try:
            done = subprocess.run(
                [*HARNESS, "data", "fetch", "cifar10"], capture_output=True, text=True, timeout=FETCH_S, check=False
            )
        except subprocess.TimeoutExpired:
            pytest.skip(f"CIFAR-10 could not be fetched within {FETCH_S} s")
        if done.returncode:
            pytest.skip(f"CIFAR-10 could not be fetched: {done.stderr.strip().splitlines()[-1]}")
    return CIFAR10.load()[0]


def test_the_real_cifar10_has_the_known_hashes_shapes_and_labels(cifar10: Arrays) -> None:
    assert {key: array.shape for key, array in cifar10.items()} == {
        "train_images": (50_000, 32, 32, 3),
        "train_labels": (50_000,),
        "test_images": (10_000, 32, 32, 3),
        "test_labels": (10_000,),
    }
    assert {key: sha256(array) for key, array in cifar10.items()} == {
        "train_images": "47af8b02cfcfb6cdf3dbbd1969ad7f1b70f4413f6f80f437b020ee4e5bc8304a",
        "train_labels": "2b7cd2f24487317614016b72ffd53071c3062f592f0eb300c18a770d41ae1253",
        "test_images": "f9b1e2130bab680db56eb06d886f7f1ad0f1183907ceff4659d1735c890f5b04",
        "test_labels": "cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5",
    }
    assert cifar10["train_labels"][:10].tolist() == [6, 9, 9, 4, 1, 1, 2, 7, 8, 3]
    assert set(np.bincount(cifar10["train_labels"])) == {5000} and set(np.bincount(cifar10["test_labels"])) == {1000}


def test_the_real_cifar10_has_the_stated_mean_and_deviation(cifar10: Arrays) -> None:
    assert CIFAR10.mean == (0.49140, 0.48216, 0.44653) and CIFAR10.std == (0.24703, 0.24349, 0.26159)
    values = np.arange(256) / 255
    for channel, (mean, std) in enumerate(zip(CIFAR10.mean, CIFAR10.std, strict=True)):
        counts = np.bincount(cifar10["train_images"][..., channel].ravel(), minlength=256)
        found = np.average(values, weights=counts)
        assert found == pytest.approx(mean, abs=5e-6)
        assert np.sqrt(np.average((values - found) ** 2, weights=counts)) == pytest.approx(std, abs=5e-6)
