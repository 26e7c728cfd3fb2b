"""Everything that was ever held against one baseline: a claim is one of all the tries, not the only one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError, StoreError
from harness.model.experiment import STAGES

if TYPE_CHECKING:
    from harness.selection import Chosen, Shelf
    from harness.store.read import Store


def family_of(name: str, results: Path) -> dict[str, Any] | None:
    """The arms of all stores that ran beside the control of `name`, or its like, with Holm's p over them; None where there is none.

    Every arm stands for one try: its runs by stage, its looks, its runs that do not count, and the verdict on it. p is that of
    the claim (the largest of its endpoints'); arms that cannot be judged count as tries all the same. The same runs in a copy of a store
    are no other try: `copies` names them.
    """
    from harness.selection import Shelf
    from harness.stats.multiplicity import holm
    from harness.store.read import open_store, store_names

    shelf = Shelf(results)
    control = _control_of(shelf, name)
    if control is None:
        return None
    tries: list[dict[str, Any]] = []
    unreadable: list[str] = []
    for other in store_names(results):
        try:
            tries += _tries(shelf, control, open_store(results, other), results)
        except StoreError as problem:
            unreadable.append(str(problem))
    if not tries:
        return None
    tries, copies = _without_copies(tries, control.store.name)
    known = [one for one in tries if one["p"] is not None]
    others = len(tries) - len(known)
    adjusted = holm([one["p"] for one in known] + [1.0] * others).tolist() if known else []
    for one in tries:
        one["holm_p"] = None
    for one, p in zip(known, adjusted, strict=False):
        one["holm_p"] = p
    return {
        "control": f"{control.store.name}:{control.arm}",
        "tries": tries,
        "copies": copies,
        "unreadable": unreadable,
    }


def _without_copies(tries: list[dict[str, Any]], own: str) -> tuple[list[dict[str, Any]], list[str]]:
    """The tries with runs of their own, by run id, and the places of the others; of several the store `own` is kept."""
    ids = [one.pop("run_ids") for one in tries]
    seen: set[str] = set()
    again = set[int]()
    for i in sorted(range(len(tries)), key=lambda i: (tries[i]["store"] != own, -len(ids[i]))):
        if ids[i] and ids[i] <= seen:
            again.add(i)
        seen |= ids[i]
    places = [f"{one['store']}:{one['arm']}" for i, one in enumerate(tries) if i in again]
    return [one for i, one in enumerate(tries) if i not in again], list(dict.fromkeys(places))


def _control_of(shelf: Shelf, name: str) -> Chosen | None:
    """The control of a store, or its single arm, where its configuration is known."""
    try:
        found = shelf.find(name)
    except HarnessError:
        return None
    one = next((arm for arm in found if arm.role == "control"), found[0] if len(found) == 1 else None)
    return one if one is not None and one.config_hash else None


def _tries(shelf: Shelf, control: Chosen, store: Store, results: Path) -> list[dict[str, Any]]:
    """The candidates of a store whose control has the same configuration, or which is the control's own store."""
    ours = _program(control.store, control.arm), control.config_hash
    alike = [
        str(a.get("name"))
        for a in store.arms()
        if a.get("role") == "control" and (_program(store, str(a.get("name"))), a.get("config_hash")) == ours
    ]
    if not alike:
        return []
    beside = f"{store.name}:{alike[0]}"
    candidates = [arm for arm in shelf.arms(store) if arm.role == "candidate"]
    return [_try(beside, arm, stage, results) for arm in candidates for stage in _stages_of(store, arm)]


def _stages_of(store: Store, arm: Chosen) -> list[str | None]:
    """The stages in which an arm was put to the test: all but screening, and the last one only in a ladder; None: as it comes."""
    there = arm.rows.known("stage")
    ladder = bool(store.experiment.get("ladder"))
    tested = [stage for stage in STAGES if stage in there and (stage != "screen" or len(there) == 1)]
    return list(tested[-1:] if ladder else tested) or [None]


def _program(store: Store, arm: str) -> tuple[str, str]:
    """The trainer of an arm and its revision: a configuration means something of one program only."""
    facts = next((a for a in store.arms() if a.get("name") == arm), {})
    return str(facts.get("trainer") or ""), str(facts.get("git") or "")


def _try(control: str, arm: Chosen, stage: str | None, results: Path) -> dict[str, Any]:
    from harness.comparison.samples import completed
    from harness.store.read import ledger_of

    told = [e for e in ledger_of(arm.store) if e.get("event") == "look" and e.get("arm") == arm.arm]
    looks = [e.get("n") for e in told if stage is None or e.get("stage") == stage]
    rows = arm.rows.where(~arm.rows["warmup"])
    done = completed(rows)
    facts = {
        "store": arm.store.name,
        "arm": arm.arm,
        "stage": stage,
        "config_hash": arm.config_hash,
        "program": [*_program(arm.store, arm.arm), *sorted(arm.rows.known("code_hash"))],
        "runs": dict(Counter(rows.where(done)["stage"].tolist())),
        "not_counted": int(rows.rows - done.sum()),
        "looks": looks,
        "run_ids": (rows if stage is None else rows.where(rows["stage"] == stage)).known("run_id"),
    }
    return facts | _judgement(control, arm, stage, results)


def _judgement(control: str, arm: Chosen, stage: str | None, results: Path) -> dict[str, Any]:
    """What the experiment itself says of an arm: held against the control that ran beside it."""
    from harness.app.judging import Asked, judge

    try:
        judged = judge([control, f"{arm.store.name}:{arm.arm}"], results, Asked(stage=stage), note=False)
    except HarnessError as problem:
        return {"claim": None, "verdict": None, "p": None, "reason": str(problem)}
    one = judged.comparisons[0]
    values = [d.p for d in one.needed.values()]
    whole = max((p for p in values if p is not None), default=None) if all(p is not None for p in values) else None
    return {"claim": judged.promise.claim, "verdict": one.verdict, "p": whole, "reason": one.headline}


def family_lines(family: Mapping[str, Any], alpha: float = 0.05) -> list[str]:
    """The tries as people read them: those that stand alone first, then what all of them together leave standing."""
    tries = family["tries"]
    again = [what for what, count in Counter(_what(t) for t in tries if t["config_hash"]).items() if count > 1]
    stores = len({t["store"] for t in tries})
    lines = [
        f"every arm that ran beside {family['control']} or its like: {len(tries)} in {stores} experiment{'s' if stores > 1 else ''} "
        "(docs/experiments.md, The ledger)"
    ]
    rows = [
        ["arm", "runs", "judged", "looks", "failed", "verdict", "p of the claim", "Holm, all tries"],
        *map(_row, tries),
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines += ["  " + "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    passed = [t for t in tries if t["verdict"] == "pass"]
    stand = [t for t in passed if t["holm_p"] is not None and t["holm_p"] < alpha]
    lines.append(
        f"  {len(passed)} pass alone, {len(stand)} of them also as one of {len(tries)} (Holm, alpha {alpha:g})"
    )
    for what in again:
        where = ", ".join(f"{t['store']}:{t['arm']}" for t in tries if _what(t) == what)
        lines.append(f"  the same configuration was tried more than once, on other seeds: {where}")
    if family["copies"]:
        lines.append(f"  the same runs as in another store, counted once: {', '.join(family['copies'])}")
    return lines + [f"  not read: {problem}" for problem in family["unreadable"]]


def _what(one: Mapping[str, Any]) -> tuple[str, ...]:
    """Program, code and configuration of a try."""
    return (*one["program"], one["config_hash"])


def _row(one: Mapping[str, Any]) -> Sequence[str]:
    from harness.comparison.words import p_text

    runs = ", ".join(f"{count} {stage or 'of no stage'}" for stage, count in one["runs"].items())
    shown = [
        "" if one[key] is None else p_text(one[key]).removeprefix("p = ").removeprefix("p ") for key in ("p", "holm_p")
    ]
    return [
        f"{one['store']}:{one['arm']}", runs or "none", one["stage"] or "", str(len(one["looks"])), str(one["not_counted"]),
        one["verdict"] or "not judged", *shown,
    ]  # fmt: skip
