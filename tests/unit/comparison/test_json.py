"""The JSON of a comparison has exactly the keys of its description, every number is finite, every gap has its reason."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from frames import PROMISE, bare, judged, pair

import harness

# A key that ends in "?" may be missing. A set is a choice of words, a tuple the types of a value, [x] a list of x.
NUMBER = (float, int, type(None))
ESTIMATE = {"value": NUMBER, "ci95": [NUMBER], "sd": NUMBER, "method": (str,), "reason?": (str,)}
DECISION = {
    "decision": {"pass", "fail", "inconclusive", "refused"},
    "bound": NUMBER,
    "p": NUMBER,
    "margin": NUMBER,
    "reason": (str,),
}
ARM = {
    "name": (str,),
    "n": (int,),
    "n_time": (int,),
    "accuracy": ESTIMATE,
    "time_s": ESTIMATE,
    "success": {"k": (int, type(None)), "n": (int,), "rate": NUMBER, "ci95": [NUMBER], "reason?": (str,)},
    "cost_of_success_s": ESTIMATE,
    "excluded": dict,
}
COMPARISON = {
    "control": ARM,
    "candidate": ARM,
    "accuracy": {
        "difference_pp": ESTIMATE,
        "p": NUMBER,
        "effect_size": NUMBER,
        "effect_size_ci95": [NUMBER],
        "bar": DECISION,
        "noninferiority": DECISION,
        "superiority": DECISION,
        "equivalence": DECISION,
    },
    "time": {
        "speedup": ESTIMATE,
        "decision": DECISION,
        "noninferiority": DECISION,
        "equivalence": DECISION,
        "design": {"interleaved", "separate", "unknown"},
        "invocations": (int,),
        "icc": NUMBER,
        "effective_n": NUMBER,
        "predicted_speedup": NUMBER,
    },
    "success": {"difference": ESTIMATE, "p": NUMBER},
    "cost_of_success": {"ratio": ESTIMATE},
    "verdict": {"pass", "fail", "inconclusive", "refused"},
    "headline": (str,),
    "more_runs": (int, type(None)),
    "findings": [{"code": (str,), "severity": {"refuse", "warn", "info"}, "message": (str,), "advice": (str,)}],
    "reasons": str,
    "selection?": {
        "k": (int,),
        "shrunk_pp": NUMBER,
        "simultaneous_ci95_pp": [NUMBER],
        "simultaneous_ci95_speedup": [NUMBER],
        "luck_pp": NUMBER,
        "holm_p": NUMBER,
        "bh_p": NUMBER,
        "conditional_pp": NUMBER,
        "conditional_ci95_pp": [NUMBER],
    },
}
DOCUMENT = {
    "schema": {1},
    "claim": {"faster", "accurate", "equivalent", "no-regression"},
    "alpha": (float,),
    "target": NUMBER,
    "margin_pp": NUMBER,
    "max_slowdown": NUMBER,
    "control": ARM,
    "comparisons": [COMPARISON],
}


def problems(value: Any, form: Any, path: str = "") -> Iterator[str]:
    """Where `value` is not as `form` says."""
    if isinstance(form, dict):
        if not isinstance(value, dict):
            yield f"{path} is {value!r}"
            return
        names = {name.rstrip("?"): part for name, part in form.items()}
        needed = {name for name in form if not name.endswith("?")}
        yield from (f"{path}.{name} is missing" for name in needed - set(value))
        yield from (f"{path}.{name} is not described" for name in set(value) - set(names))
        for name in set(value) & set(names):
            yield from problems(value[name], names[name], f"{path}.{name}")
    elif isinstance(form, list):
        for i, one in enumerate(value):
            yield from problems(one, form[0], f"{path}[{i}]")
    elif isinstance(form, set):
        if value not in form:
            yield f"{path} is {value!r}"
    elif form is str:
        if not all(isinstance(part, str) and part for item in value.items() for part in item):
            yield f"{path} is {value!r}"
    elif form is dict:
        if not all(isinstance(k, str) and isinstance(v, int) for k, v in value.items()):
            yield f"{path} is {value!r}"
    elif type(value) not in form:
        yield f"{path} is a {type(value).__name__}"
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{path} is {value}"


def gaps(value: Any, path: str = "") -> Iterator[str]:
    """Estimates without a value or interval, and decisions without a bound, that give no reason."""
    if isinstance(value, dict):
        missing = any(value.get(k, 0) is None for k in ("value", "sd")) or value.get("ci95", [0])[0] is None
        undecided = "decision" in value and "bound" in value and value["bound"] is None
        if (missing or undecided) and not value.get("reason"):
            yield path
        for name, part in value.items():
            yield from gaps(part, f"{path}.{name}")
    elif isinstance(value, list):
        for i, part in enumerate(value):
            yield from gaps(part, f"{path}[{i}]")


def with_values(column: str, values: list[Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    a, b = pair()
    a[column] = a[column].astype(float)
    a.loc[: len(values) - 1, column] = values
    return a, b


FLAT = bare().assign(accuracy=0.965)
HARD: dict[str, tuple[pd.DataFrame, ...]] = {
    "everything known": pair(),
    "only seeds and accuracies": (bare(), bare(first=99, seed=2)),
    **{f"{n} runs": (bare(n) if n > 1 else bare(2).head(n), bare(25, first=99)) for n in (0, 1, 2, 3)},
    "no run in either": (bare(2).head(0), bare(2).head(0)),
    "one run each": (bare(2).head(1), bare(2, first=9).head(1)),
    "all runs equal": (FLAT, FLAT.assign(seed=FLAT.seed + 99)),
    "the candidate all equal": (bare(), FLAT.assign(seed=FLAT.seed + 99)),
    "no success": (bare(25, 0.90), bare(25, 0.90, first=99)),
    "only successes": (bare(25, 0.99), bare(25, 0.99, first=99)),
    "equal times": tuple(frame.assign(time_s=1.0) for frame in pair()),
    "a constant speed-up": tuple(frame.assign(time_s=t) for frame, t in zip(pair(), (1.1, 1.0), strict=True)),
    "one invocation": pair(invocations=1),
    "a block each": pair(5, invocations=5),
    "far apart": (bare(200, 0.99, 0.0001), bare(200, 0.10, 0.0001, first=999)),
    "infinite time": with_values("time_s", [math.inf, 0.0, -1.0]),
    "a diverged run without accuracy": with_values("correct", [math.nan]),
    "unknown counts": with_values("total", [math.nan, 0.0]),
    "a time of nearly nothing": with_values("time_s", [1e-300]),
    "three arms": (*pair(), pair(seed=3)[1].assign(arm="other")),
    "three arms of few runs": (bare(3), bare(3, first=9), bare(3, first=99)),
    "arms without runs in a sweep": (bare(), bare(2).head(0), bare(2, first=9).head(1)),
}
PROMISES: list[dict[str, Any]] = [
    {},
    dict(PROMISE, max_slowdown=0.01),
    {"claim": "equivalent", "margin_pp": 0.0, "max_slowdown": 0.0},
    {"claim": "accurate", "target": np.float64(0.96), "alpha": np.float32(0.01)},
    {"claim": "no-regression", "margin_pp": 0.02, "target": 1},
]


def unexplained(value: Any, reasons: dict[str, str], path: str = "") -> Iterator[str]:
    """Numbers without a value and without a reason; estimates and decisions, which have places for theirs, are looked at by `gaps`."""
    if isinstance(value, dict) and not {"reason", "method", "decision"} & set(value):
        for name, part in value.items():
            yield from unexplained(part, reasons, f"{path}.{name}".lstrip("."))
    elif (isinstance(value, list) and value == [None, None] and "conditional" not in path) or value is None:
        yield from () if reasons.get(path) else [path]


@pytest.mark.parametrize("name", HARD)
@pytest.mark.parametrize("promise", PROMISES, ids=lambda p: p.get("claim", "default"))
def test_the_document_is_as_described_whatever_the_runs(name: str, promise: dict[str, Any]) -> None:
    comparison = harness.compare(*HARD[name], **promise)
    document = comparison.as_dict()
    assert list(problems(document, DOCUMENT)) == []
    assert list(gaps(document)) == []
    assert [path for one in document["comparisons"] for path in unexplained(one, one["reasons"])] == []
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert ("selection" in document["comparisons"][0]) is (len(HARD[name]) > 2)
    text = f"{comparison!r}{document['comparisons'][0]['headline']}"
    assert "nan" not in text and "None" not in text and "inf " not in text


def test_what_was_asked_stands_in_the_document() -> None:
    asked = {"claim": "no-regression", "alpha": 0.01, "target": 0.96, "margin_pp": 0.3, "max_slowdown": 0.02}
    document = harness.compare(*pair(), **asked).as_dict()
    assert {k: document[k] for k in asked} == asked


def test_an_endpoint_that_nobody_stated_says_so() -> None:
    one = judged(*pair(), target=None, margin_pp=None)
    assert one["accuracy"]["bar"]["reason"] == "no target was stated"
    assert one["accuracy"]["noninferiority"]["reason"] == "no margin was stated"
    assert one["time"]["noninferiority"]["reason"] == "no max_slowdown was stated"
    assert one["candidate"]["success"]["reason"] == "no target was stated"


def test_times_that_cannot_be_compared_are_described_without_an_interval() -> None:
    a, b = pair()
    one = judged(a, b.assign(invocation="q" + b["invocation"]))
    speedup = one["time"]["speedup"]
    assert speedup["value"] == pytest.approx(1.25, rel=0.01)
    assert speedup["ci95"] == [None, None] and speedup["reason"].startswith("not-interleaved")
    assert (one["time"]["icc"], one["time"]["invocations"], one["time"]["design"]) == (None, 0, "separate")
    assert one["cost_of_success"]["ratio"]["value"] is None


def test_the_clusters_are_shown() -> None:
    time = judged(*pair(process_sd=0.05))["time"]
    assert (time["invocations"], time["design"]) == (5, "interleaved")
    assert 0 <= time["icc"] <= 1 and 5 <= time["effective_n"] <= 25
    assert time["predicted_speedup"] == pytest.approx(400 / 320)


def test_both_sides_show_the_rows_that_were_compared() -> None:
    """A frozen control beside the interleaved one: all of it for accuracy, blocks alone for time."""
    a, b = pair()
    frozen = a.assign(seed=a["seed"] + 900, invocation="old", replicate=np.nan)
    one = judged(pd.concat([a, frozen], ignore_index=True), b)
    assert (one["control"]["n"], one["control"]["n_time"]) == (50, 25)
    assert (one["candidate"]["n"], one["candidate"]["n_time"]) == (25, 25)


def test_nothing_is_dropped_uncounted() -> None:
    a, b = pair()
    warm = b.head(2).assign(warmup=True, seed=[7, 8])
    crashed = b.tail(1).assign(status="crashed", seed=9)
    blind = b.tail(1).assign(correct=np.nan, total=np.nan, seed=10)
    one = judged(a.drop(3), pd.concat([b, warm, crashed, blind], ignore_index=True))
    assert one["candidate"]["excluded"] == {
        "warm-ups": 2,
        "crashed or timed out": 1,
        "without an accuracy": 1,
        "outside complete blocks": 1,
    }
    assert (one["candidate"]["n"], one["candidate"]["n_time"]) == (25, 24)
