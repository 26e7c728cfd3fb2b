"""Which seed ranges the other stores of a results folder hold: no (configuration, seed) may recur across experiments."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from harness.design.seeds import slot_of
from harness.errors import StoreError
from harness.store.read import open_store, store_names


@dataclass(frozen=True)
class Taken:
    """Seed slots that are in use, and what had to be read in another way than usual."""

    slots: frozenset[int]
    warnings: tuple[str, ...] = ()


def taken_slots(results: Path, name: str) -> Taken:
    """The slots of every store but `name`: as their descriptions state them, else from the seeds of their rows.

    Raises StoreError where a store's description is damaged and its rows show no seed either: a range that cannot be
    known cannot be avoided.
    """
    slots: set[int] = set()
    warnings = []
    for other in store_names(results):
        if other == name:
            continue
        try:
            stated = open_store(results, other).experiment.get("seed_slot")
        except StoreError as problem:
            slots |= _slots_instead(results / other / "runs.csv", problem)
            warnings.append(
                f"the store {other!r} was passed over: {problem} Its seeds were read from runs.csv instead, so that none "
                "of them is used again here."
            )
            continue
        slots |= {stated} if isinstance(stated, int) else slots_of_rows(results / other / "runs.csv")
    return Taken(frozenset(slots), tuple(warnings))


def _slots_instead(path: Path, problem: StoreError) -> set[int]:
    found = slots_of_rows(path)
    if not found:
        raise StoreError(
            f"{problem} {path} shows no seeds either, so it is unknown which seeds that store has used, and no seed may be "
            f"used by two experiments. Restore one of the two files, move the folder {path.parent} out of the results, "
            "or run with --results OTHER."
        ) from problem
    return found


def slots_of_rows(path: Path) -> set[int]:
    """The slots of all seeds that a file shows, line by line: damaged lines do not hide the others.

    Empty where the file has no columns 'config_hash' and 'seed', or cannot be read: then no such pair is known.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig", errors="replace").replace("\0", "").split("\n")
    except OSError:
        return set()
    header = _fields(lines[0])
    if not {"config_hash", "seed"} <= set(header):
        return set()
    config, seed = header.index("config_hash"), header.index("seed")
    cells = (_fields(line) for line in lines[1:])
    seeds = {row[seed] for row in cells if len(row) > max(config, seed) and row[config]}
    return {slot_of(int(text)) for text in seeds if text.isascii() and text.isdigit() and len(text) < 20}


def _fields(line: str) -> list[str]:
    try:
        return next(csv.reader([line]), [])
    except csv.Error:
        return []
