"""What the tests of the data layer share: a small data set, its tarball, and a server on this machine that has it."""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

from trainers.datasets import sources
from trainers.datasets.images import Arrays, Images, Source, sha256

PACKAGE, VERSION = "tiny-images", "1.0.0"
ADDRESS = f"/{PACKAGE}/-/{PACKAGE}-{VERSION}.tgz"


def arrays_of(train: int = 30, test: int = 10, side: int = 4, classes: int = 10) -> Arrays:
    """Random grey images (n, side, side, 1) and labels (n,), the same at every call."""
    rng = np.random.Generator(np.random.PCG64(7))
    out = {}
    for part, count in (("train", train), ("test", test)):
        out[f"{part}_images"] = rng.integers(0, 256, (count, side, side, 1), np.uint8)
        out[f"{part}_labels"] = rng.integers(0, classes, count, np.uint8)
    return out


def idx_bytes(array: np.ndarray) -> bytes:
    """LeCun's IDX format: 0, 0, 8 (unsigned bytes), number of dimensions, sizes as big-endian 32-bit, values."""
    sizes = np.array(array.shape, ">u4").tobytes()
    return bytes([0, 0, 8, array.ndim]) + sizes + np.ascontiguousarray(array).tobytes()


def idx_members(arrays: Arrays, *, zipped: bool = True) -> dict[str, bytes]:
    """The four files of MNIST's format by name, gzipped or plain."""
    out = {}
    for part, stem in (("train", "train"), ("test", "t10k")):
        for name, array in (
            (f"{stem}-images-idx3-ubyte", arrays[f"{part}_images"][..., 0]),
            (f"{stem}-labels-idx1-ubyte", arrays[f"{part}_labels"]),
        ):
            out[name + (".gz" if zipped else "")] = (
                gzip.compress(idx_bytes(array), mtime=0) if zipped else idx_bytes(array)
            )
    return out


def tarball(members: Mapping[str, bytes]) -> bytes:
    """A .tar.gz of files by path."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def package(arrays: Arrays) -> bytes:
    """What `npm pack` gives: everything below the folder package/."""
    return tarball({f"package/data/{name}": data for name, data in idx_members(arrays).items()})


def integrity(data: bytes) -> str:
    return base64.b64encode(hashlib.sha512(data).digest()).decode()


def npm_source(data: bytes) -> Source:
    return sources.from_npm(PACKAGE, VERSION, integrity(data), sources.idx_files)


def tiny(arrays: Arrays, *found: Source, hashes: bool = True, name: str = "tiny") -> Images:
    """A data set like those that ship, of these arrays."""
    known = {key: sha256(array) for key, array in arrays.items()} if hashes else None
    return Images(name, "a data set of the tests", 10, (0.5,), (0.3,), found, known)


class Server:
    """An HTTP server: `files` by path; `truncated` paths end half-way, `held` ones pause there until `release` is set."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.truncated: set[str] = set()
        self.held: set[str] = set()
        self.release = threading.Event()
        self.begun = threading.Event()
        self.asked: list[str] = []
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                data = server.files.get(self.path)
                if data is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                with contextlib.suppress(OSError):  # the other end was killed
                    self._send(data)

            do_HEAD = do_GET

            def _send(self, data: bytes) -> None:
                if self.command == "HEAD":
                    return
                half = len(data) // 2
                self.wfile.write(data[:half])
                self.wfile.flush()
                if self.path in server.held:
                    server.begun.set()
                    server.release.wait(60)
                if self.path not in server.truncated:
                    self.wfile.write(data[half:])

            def log_message(self, *arguments: object) -> None:
                pass

        return Handler


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.release.set()
        server.http.shutdown()
        server.http.server_close()
        thread.join()


def left_in(folder: Path) -> list[str]:
    """What lies in a cache folder besides the locks."""
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


PLUGIN = """\
from trainers.datasets import sources
from trainers.datasets.images import Images

TINY = Images(
    name="tiny", about="a data set of the tests", classes=10, mean=(0.5,), std=(0.3,), sha256={hashes!r},
    sources=({first}sources.from_npm({package!r}, {version!r}, {sha512!r}, sources.idx_files),),
)
"""


def install(folder: Path, module: str, points: Mapping[str, str], source: str) -> Path:
    """A distribution as pip leaves it: a module and the entry points of its data sets. For the Python path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{module}.py").write_text(source, encoding="utf-8")
    facts = folder / f"{module}-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n", encoding="utf-8")
    lines = [f"{name} = {value}" for name, value in points.items()]
    (facts / "entry_points.txt").write_text("\n".join(["[harness.datasets]", *lines, ""]), encoding="utf-8")
    return folder


def tiny_plugin(folder: Path, arrays: Arrays, data: bytes, first: str = "") -> Path:
    """The data set `tiny` as an installed plugin; `first` is the code of a source before npm."""
    source = PLUGIN.format(
        hashes={key: sha256(array) for key, array in arrays.items()},
        package=PACKAGE,
        version=VERSION,
        sha512=integrity(data),
        first=first,
    )
    return install(folder, "tiny_plugin", {"tiny": "tiny_plugin:TINY"}, source)
