"""An image data set: its arrays, where they may come from, and the cache file that holds them.

Arrays: train_images and test_images (n, height, width, channels) uint8, train_labels and test_labels (n,) uint8. The file
is an uncompressed .npz. A data set whose hashes are known is held to them wherever it came from; of the others the
hash is kept beside the arrays when they are first made (torchvision checks its own downloads), and held to from then on.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.datasets import CacheError, DataError, Facts, cache_folder, exclusive, scratch

ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Source:
    """One way to get the data: `read(folder)` downloads into a temporary folder and returns the arrays."""

    name: str
    read: Callable[[Path], Arrays]


@dataclass(frozen=True)
class Images:
    """A data set of images; `mean` and `std` are per channel, of pixels scaled to [0, 1], over the training images."""

    name: str
    about: str
    classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    sources: Sequence[Source]
    sha256: Mapping[str, str] | None = None  # of the raw bytes of each array, where they are known for good

    @property
    def path(self) -> Path:
        return cache_folder() / f"{self.name}.npz"

    def cached(self) -> Path | None:
        return self.path if self.path.is_file() else None

    def fetch(self, say: Callable[[str], None]) -> Facts:
        """See `harness.datasets.Dataset`: the first source that gives the data wins; all failures are told."""
        try:
            with exclusive(self.name, say) as folder:
                return self.verify() if self.cached() else self._fetched(folder, say)
        except CacheError:
            if not self.cached():
                raise
        return self.verify()  # a cache that others fill, and that is read-only here

    def _fetched(self, folder: Path, say: Callable[[str], None]) -> Facts:
        failures = []
        for source in self.sources:
            say(f"{self.name}: from {source.name} ...")
            try:
                with scratch(folder, self.name) as work:
                    self._save(self._checked(source.read(work), source.name), source.name, work)
            except Exception as problem:  # noqa: BLE001 - whatever a source fails of, the next is tried, and all is told
                failures.append(f"{source.name}: {_in_words(problem)}")
                say(f"{self.name}: {failures[-1]}")
                continue
            return self.verify()
        raise DataError(
            f"The data set {self.name} could not be had. " + " | ".join(failures) + ". Nothing was kept. Check the "
            f"network and give the command again, or copy {self.path.name} from another machine into {folder}."
        )

    def load(self) -> tuple[Arrays, str]:
        """The arrays, fetched first where they are not cached, and the hash over all of them. Raises DataError."""
        if not self.cached():
            self.fetch(_to_stderr)
        arrays, facts = self._read()
        return arrays, facts.hash

    def verify(self) -> Facts:
        return self._read()[1]

    def _read(self) -> tuple[Arrays, Facts]:
        again = f"Remove it and `harness data fetch {self.name}` again."
        if not self.cached():
            raise DataError(f"The data set {self.name} is not in {cache_folder()}. `harness data fetch {self.name}`.")
        try:
            with np.load(self.path, allow_pickle=False) as stored:
                arrays = {key: stored[key] for key in ARRAYS}
                kept, source = str(stored["hash"]), str(stored["source"])
        except (OSError, MemoryError) as problem:
            raise DataError(
                f"{self.path}: cannot be read ({_in_words(problem)}). Mend that and try again."
            ) from problem
        except Exception as problem:
            raise DataError(f"{self.path}: damaged ({_in_words(problem)}). {again}") from problem
        try:
            found = overall(self._checked(arrays, "the cache"))
        except ValueError as problem:
            raise DataError(f"{self.path}: damaged: {problem}. {again}") from problem
        if found != kept:
            raise DataError(f"{self.path}: damaged: its hash is {found}, it was written with {kept}. {again}")
        return arrays, Facts(self.name, self.path, found, source, {k: a.shape for k, a in arrays.items()})

    def _checked(self, arrays: Arrays, source: str) -> Arrays:
        """The same arrays. Raises ValueError where they are not these images."""
        if self.sha256:
            for key in ARRAYS:
                found = sha256(arrays[key])
                if found != self.sha256[key]:
                    raise ValueError(
                        f"{key} from {source}: sha256 {found[:12]}..., it must be {self.sha256[key][:12]}..."
                    )
        for part in ("train", "test"):
            images, labels = arrays[f"{part}_images"], arrays[f"{part}_labels"]
            if (
                images.ndim != 4
                or labels.shape != images.shape[:1]
                or {images.dtype, labels.dtype} != {np.dtype(np.uint8)}
            ):
                raise ValueError(
                    f"{part} from {source}: images {images.shape} {images.dtype}, labels {labels.shape} {labels.dtype}; "
                    "they must be (n, height, width, channels) and (n,), both uint8"
                )
            if not len(labels):
                raise ValueError(f"{part} from {source}: no image at all")
            if labels.max() >= self.classes:
                raise ValueError(f"{part} from {source}: a label of {labels.max()}, there are {self.classes} classes")
        return arrays

    def _save(self, arrays: Arrays, source: str, work: Path) -> None:
        made = work / self.path.name
        with made.open("wb") as out:
            np.savez(out, **arrays, hash=np.array(overall(arrays)), source=np.array(source))
            out.flush()
            os.fsync(out.fileno())
        made.replace(self.path)


def sha256(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array)).hexdigest()


def overall(arrays: Mapping[str, np.ndarray]) -> str:
    """One hash of all four arrays with their shapes, 12 hexadecimal digits: the column `data_hash`."""
    parts = [f"{key} {arrays[key].shape} {sha256(arrays[key])}" for key in ARRAYS]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _in_words(problem: BaseException) -> str:
    """On one line of at most 400 characters, with the name of the exception where the message does not stand alone."""
    text = " ".join(str(problem).split())[:400] or "no reason given"
    return (
        text if type(problem) is ValueError or isinstance(problem, DataError) else f"{type(problem).__name__}: {text}"
    )


def _to_stderr(text: str) -> None:
    import sys

    print(text, file=sys.stderr)  # noqa: T201 - a worker's standard error is the user's
