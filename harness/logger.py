"""`ExperimentLogger`: the one writer of a store.

    with ExperimentLogger("my-sweep", target=0.94) as logger:
        for seed in range(25):
            logger.log(arm="baseline", seed=seed, correct=9402, total=10_000, time_s=4.1)
        logger.print_summary()

A row is written whole and flushed to disk before `log` returns; several processes may log to one store.
"""

from __future__ import annotations

import csv
import json
import sys
import threading
import uuid
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from harness.errors import StoreError, UsageError, nearest
from harness.model.run import COLUMNS, RunRecord, utc_now
from harness.store.append import LineFile
from harness.store.read import checked_store_name, holds_lines, is_there, read_table
from harness.store.schema import FLOATS, INTEGERS, LARGEST, LONGEST_S, METRIC_COLUMNS, STATUSES, cell, csv_line, row_of
from harness.store.whole import write_whole
from harness.trainer import Metric

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.summary import Summary


MOST_HELD = 10_000
"""Rows that `together` keeps before it stores them."""


class ExperimentLogger:
    """Writes runs, metrics and what was asked of them to `results/<experiment>/`.

    Parameters: `experiment` the store's name; `results` the folder of all stores; `target` the accuracy (a
    fraction) from which a run counts as a success in the summary.
    Raises StoreError where the store cannot be written or holds columns that are not those of this version.
    """

    def __init__(self, experiment: str, *, results: str | Path = "results", target: float | None = None) -> None:
        self.experiment = checked_store_name(experiment)
        self.folder = Path(results) / experiment
        self.target = target
        self.repairs: list[str] = []
        self._lock = threading.Lock()
        self._invocation = new_invocation()
        self._count = 0
        self._seeds: set[tuple[str, int]] | None = None
        self._warned = False
        self._ledger = LineFile(self.folder / "ledger.jsonl", on_torn=lambda b: self._torn("ledger.jsonl", b))
        self._ledger.mend()
        self._header = _header_of(self.folder / "runs.csv")
        self._runs = LineFile(
            self.folder / "runs.csv", header=csv_line(list(self._header)), on_torn=lambda b: self._torn("runs.csv", b)
        )
        self._runs.mend()
        self._metrics: LineFile | None = None
        self._held: list[bytes] | None = None

    # --- writing --------------------------------------------------------------------------------------------

    def log(self, **fields: Any) -> RunRecord:
        """Write one run; the names are the columns of `runs.csv`. What is missing stays unknown.

        `arm` defaults to the experiment's name; run id, invocation (this logger) and end time are filled in. Times of two arms
        are compared where `block` says which runs were made in turn. Warns (once) where the arm has the seed already. Raises
        UsageError for an unknown name or an impossible value, StoreError where the row could not be written.
        """
        record = self._complete(fields)
        self._warn_of_repeats(record)
        self.write(record)
        return record

    def write(
        self, record: RunRecord, *, metrics: Iterable[Metric] = (), correct_mask: NDArray[Any] | None = None
    ) -> None:
        """Write one finished attempt with its metrics; the row of `runs.csv` comes last and makes it count."""
        with self._lock:
            self._runs.require_in_place()
            if correct_mask is not None:
                self._write_mask(record.run_id, correct_mask)
            self._write_metrics(record.run_id, tuple(metrics))
            if self._held is None:
                self._runs.append(row_of(record, self._header))
                return
            self._held.append(row_of(record, self._header))
            if len(self._held) >= MOST_HELD:
                self._store_held()

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is written inside is stored in one step at its end: one flush for all rows, for whoever reads them from where they are
        safe already. No row counts as stored before; an error on the way stores those before it."""
        self._held = []
        try:
            yield
        finally:
            with self._lock:
                self._store_held()
                self._held = None

    def _store_held(self) -> None:
        if self._held:
            self._runs.append_all(b"".join(self._held))
            self._held = []

    def write_rows(self, rows: Iterable[bytes]) -> None:
        """Write many finished rows in one step: all of them are stored, or none; in a new store however the writer ends."""
        with self._lock:
            self._runs.append_all(b"".join(rows))

    def note(self, event: str, **facts: Any) -> None:
        """Append one line to the ledger."""
        self._ledger.append(_ledger_line(event, facts))

    def describe(self, experiment: Mapping[str, Any]) -> None:
        """Write `experiment.json`: the resolved experiment that these runs are made for."""
        self._keep(self.folder / "experiment.json", _json(experiment, indent=1))

    def keep_environment(self, fingerprint: str, description: Mapping[str, Any]) -> None:
        path = self.folder / "environments" / f"{fingerprint}.json"
        if not is_there(path):
            self._keep(path, _json(description, indent=1))

    def keep_patch(self, sha256: str, patch: bytes) -> None:
        path = self.folder / "patches" / f"{sha256}.patch"
        if not is_there(path):
            self._keep(path, patch)

    def close(self) -> None:
        for file in (self._runs, self._ledger, self._metrics):
            if file is not None:
                file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- reading back ---------------------------------------------------------------------------------------

    def summary(self, arm: str | None = None) -> list[Summary]:
        """Mean, sd and 95 % intervals of accuracy and time, successful-run time and success rate, an arm each."""
        from harness.summary import summarise

        table = read_table(self.folder / "runs.csv", self.experiment)
        return [s for s in summarise(table, self.target) if arm is None or s.arm == arm]

    def print_summary(self) -> None:
        for one in self.summary():
            sys.stdout.write(f"{one}\n")

    # --- inside ---------------------------------------------------------------------------------------------

    def _keep(self, path: Path, content: bytes) -> None:
        """Write a file beside the rows; where those went away meanwhile, no folder is made anew in their place."""
        self._runs.require_in_place()
        write_whole(path, content)

    def _complete(self, fields: dict[str, Any]) -> RunRecord:
        for name in fields:
            if name not in COLUMNS:
                raise UsageError(f"log(): there is no column {name!r}. {nearest(name, COLUMNS)}")
        record = RunRecord(
            **{
                "run_id": fields.get("run_id") or f"{self._invocation}.{self._count}",
                "experiment": self.experiment,
                "arm": fields.get("arm") or self.experiment,
                "invocation": self._invocation,
                "ended_at": utc_now(),
                **{k: _plain(v) for k, v in fields.items()},
            }
        )
        self._count += 1
        return checked_record(record)

    def _warn_of_repeats(self, record: RunRecord) -> None:
        """Tell, once, of a seed that an arm has already: the comparison will refuse the arm (`duplicate-seeds`)."""
        if record.seed is None or record.status != "completed" or record.warmup or self._warned:
            return
        with self._lock:
            if self._seeds is None:
                self._seeds = self._stored_seeds()
            repeated = (record.arm, record.seed) in self._seeds
            self._seeds.add((record.arm, record.seed))
            self._warned = repeated
        if repeated:
            warnings.warn(
                f"{self.folder} holds a run of {record.arm!r} with seed {record.seed} already: the same seed twice is no evidence, and "
                "comparisons refuse such an arm (duplicate-seeds). Log each seed once, or to a store of another name.",
                stacklevel=3,
            )

    def _stored_seeds(self) -> set[tuple[str, int]]:
        """The arm and seed of every completed run that the store holds."""
        path = self.folder / "runs.csv"
        if not holds_lines(path):
            return set()
        table = read_table(path, self.experiment)
        columns = (table.text("arm"), table.integers("seed"), table.text("status"), table.flags("warmup").tolist())
        return {
            (arm, seed)
            for arm, seed, status, warm in zip(*columns, strict=True)
            if seed is not None and status in ("completed", "") and not warm
        }

    def _write_mask(self, run_id: str, mask: NDArray[Any]) -> None:
        import io

        import numpy as np

        buffer = io.BytesIO()
        np.save(buffer, np.packbits(np.asarray(mask, dtype=bool)))
        if Path(run_id).name != run_id:
            raise UsageError(
                f"run_id is {run_id!r}; a run with a mask is kept in a file of that name: leave '/' out of it."
            )
        write_whole(self.folder / "correct" / f"{run_id}.npy", buffer.getvalue(), durable=False)

    def _write_metrics(self, run_id: str, metrics: tuple[Metric, ...]) -> None:
        if not metrics:
            return
        if self._metrics is None:
            path = self.folder / "metrics.csv"
            header = csv_line(list(METRIC_COLUMNS))
            self._metrics = LineFile(path, header=header, on_torn=lambda b: self._torn("metrics.csv", b), durable=False)
        rows = [(run_id, m.metric, m.unit or None, m.step, float(m.value)) for m in metrics]
        self._metrics.append(b"".join(csv_line([cell(v) for v in row]) for row in rows))

    def _torn(self, file: str, fragment: bytes) -> None:
        text = fragment.decode("utf-8", "replace")
        self.repairs.append(
            f"{self.folder / file}: an unfinished last line ({len(fragment)} bytes, an interrupted write) was cut off "
            "and kept in ledger.jsonl"
        )
        self.note("repair", file=file, fragment=text)


def note_in_ledger(folder: Path, event: str, facts: Mapping[str, Any]) -> None:
    """Append one line to a store's ledger from outside a campaign. Raises StoreError where it cannot be written."""
    file = LineFile(folder / "ledger.jsonl")
    try:
        file.append(_ledger_line(event, facts))
    finally:
        file.close()


def _ledger_line(event: str, facts: Mapping[str, Any]) -> bytes:
    return _json({"at": utc_now(), "event": event} | dict(facts))


def _json(document: Mapping[str, Any], *, indent: int | None = None) -> bytes:
    """A document with its line end; half a surrogate pair, as in a file name that is no UTF-8, stays as its escape."""
    text = json.dumps(document, indent=indent, ensure_ascii=False, default=str)
    return text.encode("utf-8", "backslashreplace") + b"\n"


def new_invocation() -> str:
    """A name for one joint process start, unique in the world."""
    return uuid.uuid4().hex[:12]


def checked_record(record: RunRecord, *, timing: bool = False) -> RunRecord:
    """The record with accuracy and counts made to agree. Raises UsageError for what cannot be.

    With `timing` a time will do where the accuracy is unknown: other programs' files have times alone.
    """
    if record.status not in STATUSES:
        raise UsageError(f"status is {record.status!r}; allowed is {', '.join(STATUSES)}")
    _check_types(record)
    correct, total = record.correct, record.total
    if (correct is None) != (total is None):
        raise UsageError("'correct' and 'total' belong together: one is missing")
    if correct is not None and total is not None:
        if total <= 0 or not 0 <= correct <= total:
            raise UsageError(f"correct is {correct} of total {total}; allowed is 0 <= correct <= total, total > 0")
        record = replace(record, accuracy=correct / total)
    if record.accuracy is not None and not 0 <= record.accuracy <= 1:
        hint = " (a fraction, not a percentage)" if 1 < record.accuracy <= 100 else ""
        raise UsageError(f"accuracy is {record.accuracy}; it must lie between 0 and 1{hint}")
    if record.status == "completed" and record.accuracy is None and not (timing and record.time_s is not None):
        raise UsageError("a completed run needs 'correct' and 'total', or 'accuracy'")
    if record.time_s is not None and not 0 <= record.time_s <= LONGEST_S:
        raise UsageError(f"time_s is {record.time_s}; it must be a number of seconds, from 0 to {LONGEST_S:.0e}")
    return record


def _check_types(record: RunRecord) -> None:
    for name in (*INTEGERS, *FLOATS):
        value = getattr(record, name)
        allowed = int if name in INTEGERS else (int, float)
        if value is not None and (isinstance(value, bool) or not isinstance(value, allowed)):
            raise UsageError(f"{name} is {value!r}; it must be {'a whole number' if name in INTEGERS else 'a number'}")
        if value is not None and name in INTEGERS and abs(value) > LARGEST:
            raise UsageError(f"{name} has more than 64 bits; allowed are whole numbers from -{LARGEST} to {LARGEST}")


def _plain(value: Any) -> Any:
    """A numpy scalar as a Python number."""
    return value.item() if hasattr(value, "item") and not isinstance(value, str) else value


def _header_of(path: Path) -> tuple[str, ...]:
    """The header that rows are written under: the file's own, or this version's where the file is new."""
    if not is_there(path):
        return COLUMNS
    try:
        with path.open("rb") as file:
            first = file.readline()
    except OSError as problem:
        raise StoreError(f"{path}: cannot be read: {problem.strerror}.") from problem
    if not first.endswith(b"\n"):
        return COLUMNS
    try:
        header = tuple(next(csv.reader([first.decode("utf-8-sig", "replace").strip()]), []))
    except csv.Error:
        header = ()
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise StoreError(
            f"{path}: its header lacks {', '.join(missing[:4])}: another version or another program wrote it. "
            f"Bring it in with `harness import {path} --as NAME`, or log to a new store."
        )
    return header
