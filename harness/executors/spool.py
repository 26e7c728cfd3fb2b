"""Attempts on their way to the store: lines of JSON that a job writes where the driver can read them.

    results/<experiment>/spool/<submission>/submission.json   the jobs, and which program waits for them
    results/<experiment>/spool/<submission>/<element>.jsonl   one line an attempt; one writer a file, so that no lock is shared

`runs.csv` stays the only truth: the driver takes each line in once, by its run id, and removes a submission that was taken in
whole. A killed driver loses nothing that a job finished; the next `harness run` takes it in before it plans. A submission whose
jobs are gone without their last lines is set aside in `failed-jobs/`, and looked at once more by the next command: a shared file
system may show late what was written.
"""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import StoreError
from harness.executors.base import Finished
from harness.logger import checked_record
from harness.model.run import RunRecord, is_completed
from harness.store.append import LineFile
from harness.store.frames import read_columns
from harness.store.read import holds_lines
from harness.trainer import Metric

Together = Callable[[], AbstractContextManager[None]]
SPOOL = "spool"
SUBMISSION = "submission.json"
FAILED = "failed-jobs"


def spool_of(folder: Path) -> Path:
    return folder / SPOOL


def has_spool(folder: Path) -> bool:
    """Whether a store has attempts, or jobs, on the way."""
    return any(any(base.glob(f"*/{SUBMISSION}")) for base in (spool_of(folder), folder / FAILED))


def line_of(finished: Finished) -> bytes:
    """An attempt as one line of JSON; unknown values are left out."""
    record = {key: value for key, value in asdict(finished.record).items() if value is not None}
    document: dict[str, Any] = {"record": record}
    if finished.metrics:
        document["metrics"] = [[m.metric, m.value, m.step, m.unit] for m in finished.metrics]
    if finished.correct_mask is not None:
        document["mask"] = _packed(finished.correct_mask)
    if finished.environment is not None:
        document["environment"] = finished.environment
    return json.dumps(document, ensure_ascii=False, default=str).encode() + b"\n"


def finished_of(document: Mapping[str, Any]) -> Finished:
    """The attempt of one line. Raises an error of any kind where it is none."""
    record = checked_record(RunRecord(**document["record"]))
    metrics = tuple(Metric(name, float(value), step, unit) for name, value, step, unit in document.get("metrics", ()))
    mask = document.get("mask")
    return Finished(record, metrics, None if mask is None else _unpacked(mask), document.get("environment"))


def _packed(mask: Any) -> list[Any]:
    import numpy as np

    array = np.asarray(mask, dtype=bool)
    return [len(array), base64.b64encode(np.packbits(array).tobytes()).decode()]


def _unpacked(packed: list[Any]) -> Any:
    import numpy as np

    count, text = packed
    return np.unpackbits(np.frombuffer(base64.b64decode(text), dtype=np.uint8), count=count).astype(bool)


class SpoolWriter:
    """The one writer of a shard: each line is on the disk when `append` returns. An environment is written once."""

    def __init__(self, path: Path) -> None:
        self._file = LineFile(path)
        self._known: set[str] = set()

    def append(self, finished: Finished) -> None:
        record, environment = finished.record, finished.environment
        if record.environment in self._known:
            environment = None
        elif record.environment and environment is not None:
            self._known.add(record.environment)
        self._file.append(line_of(Finished(record, finished.metrics, finished.correct_mask, environment)))

    def end(self, **facts: Any) -> None:
        """The last line: nothing more will come."""
        self._file.append(json.dumps({"ended": facts}).encode() + b"\n")

    def close(self) -> None:
        self._file.close()


@dataclass
class SpoolReader:
    """What the shards of one submission have that was not read yet. A line that cannot be read is an error that names it."""

    folder: Path
    offsets: dict[Path, int] = field(default_factory=dict)
    ended: dict[str, dict[str, Any]] = field(default_factory=dict)

    def new(self) -> Iterator[Finished]:
        for path in sorted(self.folder.glob("*.jsonl")):
            yield from self._lines(path)

    def _lines(self, path: Path) -> Iterator[Finished]:
        with path.open("rb") as file:
            file.seek(self.offsets.get(path, 0))
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        for line in whole.split(b"\n")[:-1]:
            found = self._parsed(path, line)
            self.offsets[path] = self.offsets.get(path, 0) + len(line) + 1
            if isinstance(found, Finished):
                yield found
            else:
                self.ended[path.stem] = found

    def _parsed(self, path: Path, line: bytes) -> Finished | dict[str, Any]:
        try:
            document = json.loads(line)
            return dict(document["ended"]) if "ended" in document else finished_of(document)
        except Exception as problem:
            raise StoreError(
                f"{path} at byte {self.offsets.get(path, 0)}: is not an attempt ({type(problem).__name__}: {problem}). Mend or remove "
                "that line; nothing was changed."
            ) from problem


def rows_of_shard(path: Path) -> list[RunRecord]:
    """The attempts that a shard holds already."""
    reader = SpoolReader(path.parent)
    return [finished.record for finished in reader._lines(path)] if path.is_file() else []


@dataclass
class Intake:
    """Lines into the store, each run once. `rows` were stored, `known` were there, `repeated` are runs made twice and left out."""

    folder: Path
    on_finished: Callable[[Finished], None]
    together: Together = nullcontext
    rows: int = 0
    known: int = 0
    repeated: int = 0

    def __post_init__(self) -> None:
        path = self.folder / "runs.csv"
        wanted = ("run_id", "arm", "stage", "replicate", "status", "warmup")
        table = read_columns(path, self.folder.name, wanted) if holds_lines(path) else None
        self._ids = set(table.text("run_id")) if table else set[str]()
        self._done = set[tuple[str, str, str]]()
        if table is not None:
            columns = (table.text(name) for name in ("arm", "stage", "replicate", "status", "warmup"))
            for arm, stage, replicate, status, warmup in zip(*columns, strict=True):
                if is_completed(status) and warmup.lower() != "true" and replicate:
                    self._done.add((arm, stage, replicate))

    def take_all(self, found: Iterable[Finished]) -> None:
        """Store what one look found, in one step."""
        with self.together():
            for finished in found:
                self.take(finished)

    def take(self, finished: Finished) -> None:
        record = finished.record
        if record.run_id in self._ids:
            self.known += 1
            return
        run = (record.arm, record.stage or "", str(record.replicate))
        counts = record.status == "completed" and not record.warmup and record.replicate is not None
        if counts and run in self._done:
            self.repeated += 1
            return
        self.on_finished(finished)
        self._ids.add(record.run_id)
        if counts:
            self._done.add(run)
        self.rows += 1

    def facts(self) -> dict[str, int]:
        return {"rows": self.rows, "known": self.known, "repeated": self.repeated}


def submissions(base: Path) -> list[tuple[Path, dict[str, Any]]]:
    """Every submission of a folder with its description, oldest first. Raises StoreError where one cannot be read."""
    out = []
    for path in sorted(base.glob(f"*/{SUBMISSION}")):
        try:
            out.append((path.parent, dict(json.loads(path.read_text(encoding="utf-8")))))
        except (OSError, ValueError) as problem:
            raise StoreError(f"{path}: cannot be read: {problem}. Restore it, or remove {path.parent}.") from problem
    return sorted(out, key=lambda found: str(found[1].get("at", "")))


def take_up(folder: Path, on_finished: Callable[[Finished], None], together: Together = nullcontext) -> dict[str, int]:
    """Take in what jobs have written. Raises StoreError where some of them may still be at work."""
    intake = Intake(folder, on_finished, together)
    take_late(folder, intake)
    for place, description in submissions(spool_of(folder)):
        reader = SpoolReader(place)
        intake.take_all(reader.new())
        if len(reader.ended) >= int(description.get("elements", 0)):
            forget(place)
        elif description.get("cancelled"):
            set_aside(place)
        else:
            jobs = ", ".join(map(str, description.get("jobs", [])[:4])) or "unknown"
            raise StoreError(
                f"{place}: jobs of this store (array {jobs}) have not ended, and what they still make would be made twice. Give the same "
                f"command with --executor {description.get('executor', 'slurm')}: it waits for them. Or cancel them (scancel) and remove "
                "that folder; what they wrote so far is stored."
            )
    return intake.facts()


def take_late(folder: Path, intake: Intake) -> None:
    """Take in what showed after a submission was set aside. That is done once; its logs stay, unless it was cancelled."""
    for place, description in submissions(folder / FAILED):
        intake.take_all(SpoolReader(place).new())
        if description.get("cancelled"):
            forget(place)
        else:
            (place / SUBMISSION).unlink()


def set_aside(place: Path) -> Path:
    """Keep a submission of which some elements did not say that they ended; where it is now."""
    kept = place.parents[1] / FAILED / place.name
    kept.parent.mkdir(exist_ok=True)
    place.rename(kept)
    forget(place)
    return kept


def forget(place: Path) -> None:
    """Remove a submission that was taken in whole."""
    shutil.rmtree(place, ignore_errors=True)
    with contextlib.suppress(OSError):
        place.parent.rmdir()
