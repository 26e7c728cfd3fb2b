"""What `compare`, `summary` and `aa` do: stores in, a judgement out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from harness.errors import StoreError
from harness.model.experiment import Claim

if TYPE_CHECKING:
    from harness.comparison.compare import Comparison
    from harness.report.overview import Row
    from harness.selection import Question


@dataclass(frozen=True)
class Asked:
    """What a command line states about a judgement; None leaves it to the experiment."""

    claim: str | None = None
    target: float | None = None
    margin_pp: float | None = None
    max_slowdown: float | None = None
    alpha: float | None = None
    stage: str | None = None


def judge(
    names: Sequence[str],
    results: Path,
    asked: Asked = Asked(),
    *,
    default_claim: str = "faster",
    note: bool = True,
) -> Comparison:
    """The comparison behind `compare` and `gate`; with `note` the look goes to the ledger.

    Raises StoreError where a store is missing, empty or damaged.
    """
    question = question_of(names, results, asked, tries=note)
    return judge_question(question, results, asked, default_claim=default_claim, note=note)


def question_of(
    names: Sequence[str],
    results: Path,
    asked: Asked = Asked(),
    *,
    tries: bool = False,
    most: int | None = None,
    alone: bool = False,
) -> Question:
    """The runs that the names mean, at most `most` replicates of each candidate; with `tries`, where else the same was tried.

    `alone` accepts a single arm.

    Raises StoreError where a store is missing, empty or damaged, or nothing can be judged.
    """
    from harness.selection import Shelf, require_runs, resolve

    own = [key for key, value in vars(asked).items() if value is not None]
    question = resolve(Shelf(results), names, asked.stage, asked=own, tries=tries, most=most, alone=alone)
    require_runs(results, question.control, question.candidates)
    return question


def judge_question(
    question: Question, results: Path, asked: Asked, *, default_claim: str, note: bool = True
) -> Comparison:
    """The comparison of these runs, under the promise that was asked for; with `note` the ledger has that they were looked at."""
    from harness.comparison.compare import compare_samples

    stated = _planned_promise(question) or question.promises
    judged = compare_samples(question.control, question.candidates, promise_of(asked, stated, default_claim))
    judged = replace(judged, not_run=_not_run(question, results))
    if note:
        _note_looks(question, judged, results)
    return judged


def _planned_promise(question: Question) -> Mapping[str, Any] | None:
    """What was promised when the looks were planned, where all candidates have one such plan: no later change of the experiment counts."""
    plans = [None if c.plan is None else c.plan.promise for c in question.candidates]
    return plans[0] if plans and all(plan == plans[0] for plan in plans) else None


def summary(names: Sequence[str], results: Path, *, every: bool = False) -> list[Row]:
    """A row for the control, and for what each experiment ends with. Raises StoreError, UsageError as `judge` does."""
    from harness.comparison.compare import arm_summary
    from harness.report.overview import Row, rows_of
    from harness.selection import Shelf, require_runs, resolve

    alone = resolve(Shelf(results), names[:1], alone=True)
    require_runs(results, alone.control, alone.candidates)
    anchored = not alone.candidates
    rows = [Row(names[0], arm_summary(alone.control, alone.promises.get("target")))] if anchored else []
    for name in names[1:] if anchored else names:
        judged = judge([names[0], name] if anchored else [name], results)
        rows += [] if anchored else [Row(name, judged.control)]
        rows += rows_of(name, judged, every=every)
    return rows


def _not_run(question: Question, results: Path) -> tuple[dict[str, str], ...]:
    """What the candidates' experiments list as impossible on the machine that ran them."""
    from harness.store.read import open_store

    stores = dict.fromkeys(sample.store for sample in question.candidates if sample.store)
    listed = [arm for name in stores for arm in open_store(results, name).experiment.get("not_run", [])]
    return tuple({"name": str(arm["name"]), "reason": str(arm["reason"])} for arm in listed if isinstance(arm, Mapping))


def _note_looks(question: Question, judged: Comparison, results: Path) -> None:
    """Each new number of runs at which an arm was judged goes to its store's ledger: looking again is evidence too."""
    from contextlib import suppress

    from harness.logger import note_in_ledger

    for sample, one in zip(question.candidates, judged.comparisons, strict=True):
        stores = (sample.against or question.control).stores
        seen = any((s.n, s.control_n) == (one.candidate.n, one.control.n) for s in sample.looks)
        if not sample.store or seen or not one.candidate.n:
            continue
        facts: dict[str, Any] = {"arm": sample.arm, "stage": sample.stage, "n": one.candidate.n}
        facts |= {"control_n": one.control.n, "control_stores": list(stores)}
        with suppress(StoreError):  # a store that is read only is judged all the same
            note_in_ledger(
                results / sample.store, "look", facts | {"claim": judged.promise.claim, "verdict": one.verdict}
            )


def promise_of(asked: Asked, stated: Mapping[str, Any], default_claim: str) -> Any:
    """What was asked for on the command line, else what the experiment states, else the defaults."""
    from harness.comparison.pair import Promise

    def pick(key: str) -> Any:
        own = getattr(asked, key)
        return stated.get(key) if own is None else own

    claim: Claim = cast("Claim", pick("claim") or default_claim)
    return Promise(
        claim=claim,
        alpha=pick("alpha") or 0.05,
        target=pick("target"),
        margin_pp=pick("margin_pp"),
        max_slowdown=pick("max_slowdown"),
    )


def aa(names: Sequence[str], results: Path, asked: Asked, *, repeats: int, seed: int) -> dict[str, Any]:
    """False-alarm rates of the harness's own judgement on stored runs."""
    from harness.comparison.aa import INTERVAL, SHUFFLED, false_alarms
    from harness.comparison.pair import Pair
    from harness.selection import Shelf, require_runs, resolve

    question = resolve(Shelf(results), names, alone=True)
    require_runs(results, question.control, question.candidates)
    promise = promise_of(asked, question.promises, "faster")
    candidate = question.candidates[0] if question.candidates else question.control.without_runs()
    alarms = false_alarms(Pair(question.control, candidate, promise), repeats=repeats, seed=seed)
    return {
        "schema": 1,
        "name": " ".join(names),
        "alpha": promise.alpha,
        "seed": seed,
        "shuffled": SHUFFLED.format(control=question.control.name),
        "interval": INTERVAL,
        "alarms": [alarm.as_dict() for alarm in alarms],
    }
