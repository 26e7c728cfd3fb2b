"""The columns of `runs.csv`: how a value becomes a cell and a cell a value."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

from harness.model.experiment import STAGES
from harness.model.run import COLUMNS, RunRecord

INTEGERS = frozenset(
    [
        "seed",
        "replicate",
        "block",
        "position",
        "attempt",
        "correct",
        "total",
        "steps",
        "sm_clock_mhz",
        "temperature_c",
        "peak_memory_bytes",
    ]
)
FLOATS = frozenset(["accuracy", "loss", "time_s", "epochs"])
FLAGS = frozenset(("warmup", "git_dirty"))
STATUSES = ("completed", "crashed", "timeout")
LANES = ("exclusive", "shared")
LARGEST = 2**63 - 1
LONGEST_S = 1e9
"""Seconds of a run, some 31 years: a larger number is no time, and its square no number."""
WORDS = {"status": STATUSES, "lane": LANES, "stage": STAGES}
METRIC_COLUMNS = ("run_id", "metric", "unit", "step", "value")
_BREAKS = re.compile(r"\r\n|[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]")


def cell(value: Any) -> str:
    """A value as it stands in a file: unknown is empty, never 0; one physical line a row."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _BREAKS.sub(" ⏎ ", value).replace("\0", "")
    return repr(value)


def csv_line(values: list[str]) -> bytes:
    """One CSV row with its line end, as bytes; half a surrogate pair, as in a file name that is no UTF-8, becomes its escape."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(values)
    return buffer.getvalue().encode("utf-8", "backslashreplace")


def row_of(record: RunRecord, header: tuple[str, ...] = COLUMNS) -> bytes:
    return csv_line([cell(getattr(record, name, None)) for name in header])


def flag(text: str) -> bool | None:
    """true/false in any case, 1/0; empty is unknown. Raises ValueError."""
    low = text.strip().lower()
    if low in ("true", "1", "yes"):
        return True
    if low in ("false", "0", "no"):
        return False
    if low == "":
        return None
    raise ValueError("must be true or false")


def parse_cell(name: str, text: str) -> Any:
    """A cell as a value. Raises ValueError that says what is allowed."""
    if text == "":
        return None
    if name in INTEGERS:
        return _whole(text)
    if name in FLOATS:
        return float(text)
    if name in FLAGS:
        return flag(text)
    return word(name, text) if name in WORDS else text


def _whole(text: str) -> int:
    """A whole number of 64 bits, which every reader of a store can hold. Raises ValueError or OverflowError."""
    try:
        number = int(text)
    except ValueError:
        real = float(text)
        number = int(real)
        if real != number:
            raise ValueError("must be a whole number") from None
    if abs(number) > LARGEST:
        raise ValueError(f"must be a whole number of at most {LARGEST}")
    return number


def word(name: str, text: str) -> str:
    """A cell of a column with few allowed words, read in any case. Raises ValueError for another word."""
    low = text.strip().lower()
    if low and low not in WORDS[name]:
        raise ValueError(f"must be {' or '.join(WORDS[name])}")
    return low


def allowed_text(name: str) -> str:
    """What a cell of this column may hold, in words."""
    if name in WORDS:
        return f"{', '.join(WORDS[name])} or an empty cell"
    if name in INTEGERS:
        return "a whole number (of 64 bits) or an empty cell"
    if name in FLOATS:
        return "a number or an empty cell"
    return "true, false or an empty cell" if name in FLAGS else "a text"
