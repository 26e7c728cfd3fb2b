"""Runs drawn to order: pairs of arms as DataFrames with the columns of `runs.csv`, and what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import harness

TOTAL = 10_000
START = pd.Timestamp("2026-01-01T00:00:00Z")


def exactly(rng: np.random.Generator, n: int, mean: float, sd: float) -> NDArray[np.float64]:
    """`n` normal values whose mean and standard deviation are these, not only on average."""
    z = rng.normal(size=n)
    z -= z.mean()
    return mean + sd * z / z.std(ddof=1)


def pair(
    n: int = 25,
    *,
    invocations: int = 5,
    accuracy: tuple[float, float] = (0.9650, 0.9650),
    sd: float = 0.0012,
    time: float = 0.2,
    speedup: float = 1.25,
    run_sd: float = 0.003,
    process_sd: float = 0.004,
    seed: int = 1,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Control and candidate, interleaved, with everything known: under the default promise a pass without a finding.

    The candidate makes fewer steps, so it may well be faster. Times share the luck of their process.
    """
    rng = np.random.default_rng(seed)
    process = rng.normal(0, process_sd, invocations)[np.arange(n) * invocations // n]
    flip = rng.integers(0, 2, n)
    sides = []
    for side, name in enumerate(("control", "candidate")):
        seconds = time / (speedup if side else 1.0)
        seconds = seconds * np.exp(process + exactly(rng, n, 0.0, run_sd))
        sides.append(
            pd.DataFrame(
                {
                    "run_id": [f"{name}.{i}" for i in range(n)],
                    "experiment": "drawn",
                    "arm": name,
                    "stage": "confirm",
                    "lane": "exclusive",
                    "config_hash": f"config-{name}",
                    "compute_hash": f"compute-{name}",
                    "code_hash": "code",
                    "data_hash": "data",
                    "seed": np.arange(n) + 1000,
                    "replicate": np.arange(n),
                    "block": np.arange(n),
                    "position": np.where(flip, 1 - side, side),
                    "invocation": [f"p{i}" for i in np.arange(n) * invocations // n],
                    "status": "completed",
                    "warmup": False,
                    "correct": np.rint(exactly(rng, n, accuracy[side], sd) * TOTAL).astype(int),
                    "total": TOTAL,
                    "time_s": seconds,
                    "clock": "training",
                    "steps": 320 if side else 400,
                    "epochs": 4.0 if side else 5.0,
                    "started_at": [
                        (START + pd.Timedelta(seconds=2 * i + float(abs(f - side)))).isoformat()
                        for i, f in enumerate(flip)
                    ],
                    "host": "one",
                    "device": "cpu",
                    "cuda": "",
                    "cudnn": "",
                    "torch": "2.9.0",
                    "cpu": "Example CPU",
                    "throttle": "none",
                    "environment": "e1",
                }
            )
        )
    return sides[0], sides[1]


def bare(n: int = 25, mean: float = 0.9650, sd: float = 0.0012, *, seed: int = 1, first: int = 0) -> pd.DataFrame:
    """What an import has at least: seeds and accuracies."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"seed": np.arange(n) + first, "accuracy": exactly(rng, n, mean, sd)})


PROMISE: Mapping[str, Any] = {"claim": "faster", "target": 0.96, "margin_pp": 0.2}


def judged(*frames: pd.DataFrame, **promise: Any) -> dict[str, Any]:
    """The first comparison of the JSON, under the default promise unless another is given."""
    out: dict[str, Any] = harness.compare(*frames, **{**PROMISE, **promise}).as_dict()["comparisons"][0]
    return out


def codes(one: Mapping[str, Any]) -> dict[str, str]:
    """The findings of a comparison: severity by code."""
    return {finding["code"]: finding["severity"] for finding in one["findings"]}
