"""What a worker may answer. It runs other people's code, so nothing that it says is stored before it was checked.

Who made a run (its id, arm, seed, block, configuration and code) is the driver's own knowledge: an answer tells only what was
measured, and where.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.provenance import fingerprint, row_fields
from harness.trainer import Metric

WORDS = ("clock", "data_hash", "started_at", "ended_at", "throttle")
WHOLE = ("correct", "total", "steps", "sm_clock_mhz", "temperature_c", "peak_memory_bytes")
NUMBERS = ("accuracy", "loss", "time_s", "epochs")
MOST_SHOWN = 120


class Garbled(Exception):
    """An answer that no worker gives: its process cannot be trusted any more."""


@dataclass(frozen=True)
class Measured:
    """What one run gave: columns of its row, the metrics along it, and which test examples were right."""

    facts: dict[str, Any]
    metrics: tuple[Metric, ...]
    correct_mask: Any


def status_of(answer: Mapping[str, Any], allowed: str) -> str:
    """`allowed`, or "crashed" with an error in words. Raises Garbled."""
    status, error = answer.get("status"), answer.get("error")
    if status == allowed or (status == "crashed" and isinstance(error, str) and error.strip()):
        return str(status)
    raise Garbled(f"it answered with the status {_shown(status)}; allowed is {allowed!r}, or 'crashed' with an error")


def hello_of(answer: Mapping[str, Any]) -> dict[str, Any]:
    """The environment that a process started in, and the columns that it fills. Raises Garbled."""
    environment: Any = answer.get("environment")
    try:
        fields = row_fields(environment)
        known = fingerprint(environment)
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as problem:
        raise Garbled(f"it described its environment as {_shown(environment)}") from problem
    wrong = next((k for k, v in fields.items() if not (v is None or isinstance(v, str))), None)
    if wrong is not None:
        raise Garbled(f"it described its environment with {wrong} = {_shown(fields[wrong])}; it must be a text")
    return {"environment": environment, "fields": fields, "fingerprint": known}


def results_of(answer: Mapping[str, Any], arms: Sequence[str]) -> list[Measured]:
    """One result for each of `arms`, in their order. Raises Garbled."""
    results = answer.get("results")
    if not isinstance(results, list) or len(results) != len(arms):
        raise Garbled(f"it answered with the results {_shown(results)}; {len(arms)} were asked for")
    return [_measured(result, arm) for result, arm in zip(results, arms, strict=True)]


def _measured(result: Any, arm: str) -> Measured:
    if not isinstance(result, dict) or result.get("arm") != arm:
        raise Garbled(f"it answered with {_shown(result)} where a result of the arm {arm!r} was asked for")
    kinds: list[tuple[Sequence[str], Any, str]] = [
        (WORDS, str, "a text"),
        (WHOLE, int, "a whole number"),
        (NUMBERS, (int, float), "a number"),
    ]
    for names, kind, words in kinds:
        for name in names:
            value = result.get(name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, kind)):
                raise Garbled(f"it answered with {name} = {_shown(value)}; it must be {words}")
    facts = {name: result[name] for name in (*WORDS, *WHOLE, *NUMBERS) if name in result}
    try:
        metrics = tuple(Metric(str(m), float(v), _step(s), str(u or "")) for m, v, s, u in result["metrics"])
        return Measured(facts, metrics, _mask(result.get("mask")))
    except (KeyError, TypeError, ValueError, OverflowError) as problem:
        raise Garbled(f"it answered with metrics or a mask that cannot be read ({problem})") from problem


def _step(value: Any) -> Any:
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    raise ValueError(f"a step of {_shown(value)}")


def _mask(packed: Any) -> Any:
    """Which examples were right, a boolean array (n,), from its length and its packed bits; None where unknown."""
    if packed is None:
        return None
    import numpy as np

    count, text = packed
    bits = np.frombuffer(base64.b64decode(text, validate=True), dtype=np.uint8)
    if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= 8 * len(bits):
        raise ValueError(f"a mask of {_shown(count)} examples in {len(bits)} bytes")
    return np.unpackbits(bits, count=count).astype(bool)


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except RecursionError:
        text = "something nested without end"
    return text if len(text) <= MOST_SHOWN else text[:MOST_SHOWN] + "..."
