"""Whether a store can be trusted: every row checked, and one stored seed run again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.errors import StoreError, UsageError
from harness.logger import checked_record
from harness.model.run import COLUMNS, RunRecord, is_completed
from harness.store.read import Store, Table
from harness.store.schema import allowed_text, parse_cell
from harness.store.whole import left_over

MOST_PROBLEMS = 20
NO_RUN = "no attempt completed, so there is no result to be had again (columns status and error say why)"


@dataclass(frozen=True)
class Rerun:
    """One stored run made again: what was stored and what came out now; `reason` where it could not be made."""

    run_id: str
    seed: int | None
    stored: str
    now: str
    same_environment: bool
    reason: str = ""

    @property
    def equal(self) -> bool:
        return not self.reason and self.stored == self.now


def problems_of(store: Store, table: Table) -> list[str]:
    """Everything that is wrong with the rows and the files beside them, a sentence each."""
    return [*_header(table), *_rows(store, table), *_repeats(store, table), *_files(store, table)]


def _header(table: Table) -> Iterator[str]:
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        yield f"{table.path}: the columns {', '.join(missing)} are missing"
    if table.torn:
        yield (
            f"{table.path}: the last line is unfinished ({table.torn} bytes); "
            "the next `harness run` cuts it off and keeps it in the ledger"
        )


def _rows(store: Store, table: Table) -> Iterator[str]:
    seen: dict[str, int] = {}
    configs = {str(a.get("name")): str(a.get("config_hash", "")) for a in store.arms()}
    for line, cells in enumerate(table.records(), 2):
        where = f"{table.path} line {line}"
        values: dict[str, Any] = {}
        try:
            for name in COLUMNS:
                values[name] = parse_cell(name, cells.get(name, ""))
            checked_record(
                RunRecord(**(values | {"warmup": bool(values["warmup"]), "status": values["status"] or "completed"})),
                timing="imported" in store.experiment,
            )
        except (ValueError, OverflowError):
            bad = name
            yield f"{where}: column {bad!r} holds {cells.get(bad, '')!r}; allowed is {allowed_text(bad)}"
            continue
        except Exception as problem:  # noqa: BLE001 - reported as a problem of this line
            yield f"{where}: {problem}"
            continue
        yield from _one_row(values, where, seen, line, configs)


def _one_row(
    values: dict[str, Any], where: str, seen: dict[str, int], line: int, configs: dict[str, str]
) -> Iterator[str]:
    run_id = values["run_id"]
    if not run_id:
        yield f"{where}: the run id is empty"
    elif run_id in seen:
        yield f"{where}: the run id {run_id!r} stands already in line {seen[run_id]}"
    seen.setdefault(run_id, line)
    if values["correct"] is not None and values["total"] and values["accuracy"] != values["correct"] / values["total"]:
        yield f"{where}: accuracy {values['accuracy']} is not correct/total = {values['correct'] / values['total']}"
    stated = configs.get(values["arm"], "")
    if stated and values["config_hash"] and values["config_hash"] != stated:
        yield f"{where}: configuration {values['config_hash']} of arm {values['arm']!r} is not the one in experiment.json ({stated})"


def _repeats(store: Store, table: Table) -> Iterator[str]:
    """Runs that count twice: two completed rows of one arm, stage and replicate, as no campaign makes them."""
    if store.experiment.get("imported"):
        return
    seen: dict[tuple[str, ...], int] = {}
    for line, cells in enumerate(table.records(), 2):
        key = tuple(cells.get(name, "") for name in ("arm", "stage", "replicate"))
        counts = is_completed(cells.get("status", "")) and cells.get("warmup", "").lower() != "true"
        if not counts or not key[2]:
            continue
        if key in seen:
            yield (
                f"{table.path} line {line}: replicate {key[2]} of arm {key[0]!r} (stage {key[1]}) "
                f"stands already in line {seen[key]}"
            )
        seen.setdefault(key, line)


def _files(store: Store, table: Table) -> Iterator[str]:
    status = zip(table.text("environment"), table.text("status"), strict=True)
    needed = {
        fingerprint for fingerprint, ended in status if ended in ("completed", "")
    }  # of a failed attempt it may be lacking
    for fingerprint in sorted(needed - {""}):
        if (
            not store.experiment.get("imported")
            and not (store.folder / "environments" / f"{fingerprint}.json").is_file()
        ):
            yield f"{store.folder}/environments/{fingerprint}.json is missing"
    for path in sorted((store.folder / "patches").glob("*.patch")):
        if hashlib.sha256(path.read_bytes()).hexdigest() != path.stem:
            yield f"{path}: its content does not have the hash of its name"
    for path in left_over(store.folder):
        yield f"{path}: was left by a writer that was killed, and nothing reads it: remove it, or the next runs of this store do"


def rerun(store: Store, table: Table, *, run_id: str | None = None) -> Rerun:
    """Train one stored run again in a fresh process and compare it to the last bit of its accuracy."""
    from harness.executors.answers import Garbled, hello_of, results_of, status_of
    from harness.executors.process import Worker, WorkerDied, WorkerTimeout
    from harness.revisions import info_at

    row = _chosen(table, run_id)
    if row is None:
        return Rerun("", None, "", "", False, NO_RUN)
    arm = next((a for a in store.arms() if a.get("name") == row["arm"]), None)
    if arm is None or "config" not in arm:
        return Rerun(
            row["run_id"],
            None,
            "",
            "",
            False,
            "experiment.json does not hold this arm's configuration (an imported store?)",
        )
    stored = _result_text(row["correct"], row["total"], row["accuracy"])
    seed = int(row["seed"])
    try:
        info = info_at(arm["trainer"], arm.get("git"))
    except UsageError as problem:
        return Rerun(row["run_id"], seed, stored, "", False, str(problem))
    code = info.code_hash(arm["config"])
    if code and row["code_hash"] and code != row["code_hash"]:
        reason = f"the trainer's code has changed since ({row['code_hash']} → {code}). {_code_of(row)}"
        return Rerun(row["run_id"], seed, stored, "", False, reason)
    worker = Worker(info.environ)
    try:
        hello = worker.ask(
            {
                "do": "setup",
                "trainer": info.ref,
                "root": info.root and str(info.root),
                "arms": {row["arm"]: arm["config"]},
            },
            1800,
        )
        answer = hello
        if status_of(hello, "ready") == "ready":
            worker.ask({"do": "prepare", "arms": [row["arm"]]}, 1800)
            answer = worker.ask({"do": "run", "arms": [row["arm"]], "seed": seed}, 3600)
        if answer is hello or status_of(answer, "completed") != "completed":
            return Rerun(row["run_id"], seed, stored, "", False, str(answer.get("error")))
        known = hello_of(hello)["fingerprint"]
        facts = results_of(answer, [row["arm"]])[0].facts
    except (WorkerDied, WorkerTimeout, Garbled) as problem:
        return Rerun(row["run_id"], seed, stored, "", False, str(problem))
    finally:
        worker.kill()
    now = _result_text(*(facts.get(k) for k in ("correct", "total", "accuracy")))
    return Rerun(row["run_id"], seed, stored, now, known == row["environment"])


def _code_of(row: Mapping[str, str]) -> str:
    """Where the code of a stored run is, and what to do with it."""
    commit = row.get("git_commit", "")
    if not commit:
        return "Put the file back as it was and verify again; --no-rerun checks the store's files alone."
    changes = (
        " with the changes that were not committed (patches/ of the store)" if row.get("git_dirty") == "true" else ""
    )
    return f"Check out commit {commit[:12]}{changes} and verify again; --no-rerun checks the store's files alone."


def _result_text(correct: Any, total: Any, accuracy: Any) -> str:
    if correct not in (None, ""):
        return f"{int(correct)}/{int(total)}"
    return repr(float(accuracy))


def _chosen(table: Table, run_id: str | None) -> dict[str, str] | None:
    """The named run, or a completed one from the middle of the store; None where no attempt completed."""
    done = [
        r for r in table.records() if is_completed(r.get("status", "")) and r.get("warmup") != "true" and r.get("seed")
    ]
    if run_id is not None:
        for row in done:
            if row["run_id"] == run_id:
                return row
        raise StoreError(f"{table.path}: there is no completed run {run_id!r}. Column run_id holds the names.")
    return done[len(done) // 2] if done else None
