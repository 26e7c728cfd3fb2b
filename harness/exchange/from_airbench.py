"""`log.pt` of the airbench scripts: the accuracies of all runs, and the source of the script that made them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.exchange.reading import Foreign, table_of
from harness.model.hashing import digest
from harness.torchfile import read_plain

ACCURACIES, CODE = "accs", "code"


def read(path: Path, renames: Mapping[str, str]) -> Foreign:
    """A run an accuracy, in their order; the hash of the source is `code_hash`. Seeds, times and process starts are not in it."""
    log = read_plain(path)
    if not isinstance(log, Mapping) or ACCURACIES not in log:
        raise UsageError(
            f"{path}: is no log of airbench: it must hold {ACCURACIES!r}, the accuracies of the runs; found {_shown(log)}."
        )
    accuracies = _decimals(log[ACCURACIES], path)
    columns = {"replicate": [str(i) for i in range(len(accuracies))], "accuracy": accuracies}
    if isinstance(log.get(CODE), str):
        columns["code_hash"] = [digest(log[CODE])] * len(accuracies)
    others = sorted(str(key) for key in log if key not in (ACCURACIES, CODE))
    notes = ["seeds, times and process starts are not in a log of airbench: accuracy can be compared, time cannot"]
    notes += (
        [f"its source ({len(log[CODE].splitlines())} lines) is kept as its hash, in code_hash"] if CODE in log else []
    )
    notes += [f"left aside: {', '.join(others)}"] if others else []
    lines = tuple(f"run {i + 1}" for i in range(len(accuracies)))
    return Foreign(table_of(columns, path), "airbench", frozenset(("accuracy",)), notes=tuple(notes), lines=lines)


def _decimals(values: Any, path: Path) -> list[str]:
    """The shortest decimals that are these numbers: .94 as a 32-bit number is .93999998, and would miss a bar of .94."""
    import numpy as np

    try:
        if str(getattr(values, "dtype", "")) == "torch.bfloat16":  # numpy has no such type
            values = values.float()
        found = np.asarray(values.numpy() if hasattr(values, "numpy") else values)
        numbers = found if found.dtype.kind == "f" else found.astype(np.float64)
    except (TypeError, ValueError, RuntimeError) as problem:
        raise UsageError(f"{path}: {ACCURACIES!r} must be numbers: {problem}.") from None
    if numbers.ndim != 1:
        raise UsageError(
            f"{path}: {ACCURACIES!r} must be one list of accuracies, a run each; its shape is {numbers.shape}."
        )
    return [str(number) for number in numbers]


def _shown(log: Any) -> str:
    return ", ".join(map(repr, list(log)[:8])) if isinstance(log, Mapping) else f"a {type(log).__name__}"
