"""One run, as it stands in one row of `runs.csv`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Literal

Status = Literal["completed", "crashed", "timeout"]
Lane = Literal["exclusive", "shared"]


def is_completed(status: str) -> bool:
    """Whether an attempt of this status, as it stands in a file, ended well: in any case; an unknown one is a run like any other."""
    return status.strip().lower() in ("completed", "")


def utc_now() -> str:
    """The time of day in UTC, ISO 8601 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True)
class RunRecord:
    """One finished attempt. None is an unknown value and becomes an empty cell, never 0."""

    run_id: str
    experiment: str
    arm: str
    stage: str | None = None
    lane: str | None = None
    config_hash: str | None = None
    compute_hash: str | None = None
    code_hash: str | None = None
    data_hash: str | None = None
    seed: int | None = None
    replicate: int | None = None
    block: int | None = None
    position: int | None = None
    invocation: str | None = None
    attempt: int | None = None
    status: str = "completed"
    warmup: bool = False
    correct: int | None = None
    total: int | None = None
    accuracy: float | None = None
    loss: float | None = None
    time_s: float | None = None
    clock: str | None = None
    steps: int | None = None
    epochs: float | None = None
    started_at: str | None = None
    ended_at: str | None = None
    host: str | None = None
    device: str | None = None
    device_uuid: str | None = None
    driver: str | None = None
    cuda: str | None = None
    cudnn: str | None = None
    torch: str | None = None
    python: str | None = None
    cpu: str | None = None
    sm_clock_mhz: int | None = None
    temperature_c: int | None = None
    throttle: str | None = None
    peak_memory_bytes: int | None = None
    git_commit: str | None = None
    git_dirty: bool | None = None
    environment: str | None = None
    error: str | None = None
    # Beyond the fixed columns, which stay in this order:
    trained_run: str | None = None  # run whose trained network this run evaluated (itself where it trained)
    experiment_hash: str | None = None  # the pre-registration that this run was made under


COLUMNS: tuple[str, ...] = tuple(f.name for f in fields(RunRecord))
EXTRA_COLUMNS: tuple[str, ...] = ("trained_run", "experiment_hash")
