"""What `verify` and `export` do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.comparison.words import counted
from harness.errors import UsageError
from harness.model.run import is_completed

if TYPE_CHECKING:
    from harness.store.read import Table
    from harness.tracking import Tracked


@dataclass(frozen=True)
class VerifyReport:
    """What `verify` found in a store."""

    name: str
    rows: int
    problems: tuple[str, ...]
    rerun: Any = None

    @property
    def sound(self) -> bool:
        """No problem, and a re-run in the same environment that gave the same result (or could not be made)."""
        differs = (
            self.rerun is not None and not self.rerun.reason and not self.rerun.equal and self.rerun.same_environment
        )
        return not self.problems and not differs

    def as_dict(self) -> dict[str, Any]:
        again = None
        if self.rerun is not None:
            again = {
                k: getattr(self.rerun, k)
                for k in ("run_id", "seed", "stored", "now", "same_environment", "equal", "reason")
            }
        return {
            "schema": 1, "name": self.name, "rows": self.rows, "sound": self.sound, "problems": list(self.problems), "rerun": again,
        }  # fmt: skip

    def text(self) -> str:
        lines = [
            f"{self.name}: {counted(self.rows, 'row')}, {'no problems' if not self.problems else counted(len(self.problems), 'problem')}"
        ]
        lines += [f"  {problem}" for problem in self.problems[:20]]
        if len(self.problems) > 20:
            lines.append(f"  and {len(self.problems) - 20} more")
        return "\n".join([*lines, *self._rerun_lines()])

    def _rerun_lines(self) -> list[str]:
        again = self.rerun
        if again is None:
            return []
        if again.reason:
            what = f"run {again.run_id} was not" if again.run_id else "no run was"
            return [f"{what} made again: {again.reason}"]
        where = "the same environment" if again.same_environment else "another environment than the stored one"
        how = "the same to the last bit" if again.equal else "NOT the same"
        return [
            f"run {again.run_id}, seed {again.seed}, again in {where}: stored {again.stored}, now {again.now}: {how}"
        ]


def verify(name: str, results: Path, *, run_id: str | None = None, rerun: bool = True) -> VerifyReport:
    """Check a store and make one of its runs again."""
    from harness import verify as checks
    from harness.store.read import existing_store

    store = existing_store(results, name)
    table = store.table()
    problems = checks.problems_of(store, table)
    again = checks.rerun(store, table, run_id=run_id) if rerun and not problems else None
    return VerifyReport(store.name, table.rows, tuple(problems), again)


def track(kind: str, names: Sequence[str], results: Path, folder: Path, *, completed: bool) -> Tracked:
    """The runs of several stores as runs of a tracking service under `folder`, each store a project."""
    from dataclasses import replace

    from harness.store.read import existing_store
    from harness.tracking import export_runs

    stores = [existing_store(results, name) for name in dict.fromkeys(names)]
    done = [export_runs(kind, s, export_table([s.name], results, completed=completed), folder) for s in stores]
    return replace(done[0], written=sum(one.written for one in done), there=sum(one.there for one in done))


def export_table(names: Sequence[str], results: Path, *, completed: bool, configured: bool = False) -> Table:
    """The rows of several stores under one another; `configured`: with the keys of the configuration that differ."""
    from harness.store.read import Table, existing_store

    twice = next((name for name in names if list(names).count(name) > 1), None)
    if twice is not None:
        raise UsageError(
            f"{twice!r} is named twice, and each of its rows would be written twice. Name each store once."
        )
    stores = [existing_store(results, name) for name in names]
    tables = [store.table() for store in stores]
    columns = list(dict.fromkeys(c for table in tables for c in table.columns))
    whole = Table(
        "+".join(names), {c: [x for t in tables for x in t.text(c)] for c in columns}, sum(t.rows for t in tables)
    )
    if configured:
        from harness.exchange.exporting import with_configuration

        whole = with_configuration(whole, stores)
    if not completed:
        return whole
    warm, status = whole.flags("warmup"), whole.text("status")
    return whole.take([i for i in range(whole.rows) if is_completed(status[i]) and not warm[i]])
