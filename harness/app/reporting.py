"""What `report` does: stores in, the judgement of `compare` on each, one page out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.app import judging
from harness.app.judging import Asked
from harness.errors import OutputError, StoreError, UsageError

if TYPE_CHECKING:
    from harness.comparison.compare import Comparison
    from harness.report.page import Report
    from harness.report.sections import Chapter, StoreFacts
    from harness.selection import Question


def report(names: Sequence[str], results: Path, asked: Asked, *, version: str, control: str | None = None) -> Report:
    """A chapter for each name: its candidates against its own control, or against `control` where one is named.

    The looks go to the ledgers before these are read, so that the same report can be made again. Raises StoreError where a store is
    missing, empty or damaged, UsageError for a name that means nothing or several things.
    """
    from harness.report.page import Report

    twice = next((name for name in names if list(names).count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"{twice!r} is named twice. Name each experiment once.")
    return Report(tuple(_chapter(name, results, asked, control) for name in names), version)


def _chapter(name: str, results: Path, asked: Asked, control: str | None) -> Chapter:
    from harness.report.sections import Chapter, sections_of
    from harness.spec import SUFFIXES

    names = [name] if control is None else [control, name]
    question = judging.question_of(names, results, asked, tries=True, alone=True)
    comparison = _judged(question, results, asked)
    stores = tuple(_facts(results, store) for store in _stores(question))
    if name.endswith(SUFFIXES):  # a file: its experiment's store has the experiment's name
        name = stores[0].name
    described = next((s for s in stores if s.name == name.partition(":")[0]), stores[-1])
    asks = described.experiment.get("question")
    shown = name if control is None else f"{name} against {control}"
    return Chapter(shown, str(asks or ""), comparison, stores, sections_of(comparison, stores))


def _judged(question: Question, results: Path, asked: Asked) -> Comparison:
    """The judgement of `harness compare`; of a single arm what it shows alone."""
    if question.candidates:
        return judging.judge_question(question, results, asked, default_claim="faster")
    from harness.comparison.compare import alone

    return alone(question.control, judging.promise_of(asked, question.promises, "faster"))


def _stores(question: Question) -> list[str]:
    """The stores whose runs were judged: those of the candidates first."""
    own = [store for c in question.candidates for store in (c.store, *c.stores)]
    return list(dict.fromkeys(store for store in (*own, *question.control.stores) if store))


def _facts(results: Path, name: str) -> StoreFacts:
    from harness.report.sections import COLUMNS, StoreFacts
    from harness.store.frames import read_columns
    from harness.store.read import existing_store, ledger_of

    store = existing_store(results, name)
    table = read_columns(store.runs_path, name, COLUMNS)
    ledger = store.folder / "ledger.jsonl"
    return StoreFacts(
        name=store.name,
        experiment=store.experiment,
        columns=table.columns,
        rows=table.rows,
        ledger=ledger_of(store),
        runs_sha256=_sha256(store.runs_path),
        ledger_sha256=_sha256(ledger) if ledger.is_file() else "",
        torn=table.torn,
    )


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as problem:
        raise StoreError(f"{path}: cannot be read: {problem.strerror}.") from problem


def write_plots(shown: Report, folder: Path, ending: str) -> list[Path]:
    """Write every figure of the report as a file of its own. Raises OutputError where the folder cannot be written."""
    from harness.report.page import plot_files

    out = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in plot_files(shown, ending):
            (folder / name).write_bytes(content)
            out.append(folder / name)
    except OSError as problem:
        raise OutputError.of(folder, problem, "--plots") from problem
    return out
