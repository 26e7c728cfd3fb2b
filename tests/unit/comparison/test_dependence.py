"""What less information, or information of another shape, must not turn into a pass."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from frames import codes, judged, pair

from harness import compare
from harness.errors import UsageError


def verdict(a: pd.DataFrame, b: pd.DataFrame, **promise: Any) -> tuple[str, dict[str, str], dict[str, Any]]:
    one = judged(a, b, **promise)
    return one["verdict"], codes(one), one


def on_hosts(names: list[str], ratios: list[float]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """25 blocks over 5 processes, each process on a host with a speed-up of its own."""
    a, b = pair()
    host = np.array(names)[np.arange(25) // 5]
    for frame in (a, b):
        frame["host"] = host
    b["time_s"] = a["time_s"].to_numpy() / np.array(ratios)[np.arange(25) // 5] * np.exp(np.arange(25) % 3 * 1e-4)
    return a, b


def test_hosts_are_the_clusters_also_where_one_cell_is_empty() -> None:
    a, b = on_hosts(["h1", "h1", "h2", "h2", "h3"], [1.02, 1.02, 1.01, 1.01, 1.0])
    found = verdict(a, b)
    assert found[0] == "inconclusive" and found[2]["time"]["invocations"] == 5
    blank = a.copy()
    blank.loc[3, "host"] = ""
    for frame in (blank, a.assign(host=a["host"].replace("h3", ""))):
        assert verdict(frame, b.assign(host=frame["host"]))[0] != "pass"


def test_two_hosts_say_too_little_about_time() -> None:
    a, b = on_hosts(["h1", "h1", "h1", "h2", "h2"], [1.2, 1.2, 1.2, 1.2, 1.2])
    assert verdict(a, b)[:2] == ("refused", {"few-invocations": "refuse"})


def test_a_block_on_two_hosts_is_none() -> None:
    a, b = pair()
    b["host"] = "two"
    found = verdict(a, b)
    assert found[0] == "refused" and found[2]["time"]["decision"]["decision"] == "refused"


def test_one_dominant_process_does_not_decide() -> None:
    passes = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        a, b = pair(25, speedup=1.0, seed=seed)
        which = np.array([f"p{i}" for i in [0] * 21 + [1, 2, 3, 4]])
        luck = dict(zip("01234", rng.normal(0, 0.005, 5), strict=True))
        for frame in (a, b):
            frame["invocation"] = which
        effect = np.array([luck[name[1]] for name in which])
        b["time_s"] = a["time_s"].to_numpy() * np.exp(effect + rng.normal(0, 0.002, 25))
        passes += verdict(a, b)[0] == "pass"
    assert passes <= 60 * 0.05 + 3 * np.sqrt(60 * 0.05 * 0.95)


def test_completed_runs_without_an_accuracy_refuse_it() -> None:
    a, b = pair()
    b = b.astype({"correct": float})
    b.loc[15:, "correct"] = np.nan
    found = verdict(a, b)
    assert found[0] == "refused" and found[1]["no-accuracies"] == "refuse"


def test_missing_times_and_half_blocks_are_told() -> None:
    a, b = pair()
    b.loc[3:6, "time_s"] = np.nan
    assert "the times of 4 of 25 runs of candidate" in str(judged(a, b))
    a, b = pair()
    assert "missing-runs" in verdict(a, b.iloc[:22])[1]
    assert "missing-runs" in verdict(a, b.iloc[3:])[1]
    whole = b[b["invocation"] != "p4"]
    assert "missing-runs" not in verdict(a, whole)[1], "an arm that was topped up is no gap in the other"
    went_on = b.copy()
    went_on.loc[4, "invocation"] = "p0-again"  # cut off within a block: the rest of it was made in a fresh process
    assert "missing-runs" not in verdict(a, went_on)[1]
    elsewhere = went_on.copy()
    elsewhere.loc[4, "seed"] = 10**6  # another seed is no stand-in
    assert "missing-runs" in verdict(a, elsewhere)[1]


def test_a_seed_counts_once_whatever_the_configuration() -> None:
    a, b = pair()
    b["seed"] = np.arange(25) % 5
    b["config_hash"] = [f"c{i // 5}" for i in range(25)]
    found = verdict(a, b, claim="accurate")
    assert found[0] == "refused" and {"duplicate-seeds", "code-mismatch"} <= set(found[1])


def test_one_network_scored_twice_is_one_run() -> None:
    a, b = pair()
    b["trained_run"] = [f"n{i % 5}" for i in range(25)]
    assert verdict(a, b)[1]["duplicate-seeds"] == "refuse"


@pytest.mark.parametrize(("column", "code"), [("clock", "clock-mismatch"), ("data_hash", "data-mismatch")])
def test_blocks_are_compared_one_by_one(column: str, code: str) -> None:
    a, b = pair()
    a[column] = np.where(np.arange(25) % 2, "x", "y")
    b[column] = np.where(np.arange(25) % 2, "y", "x")
    assert verdict(a, b)[1][code] == "refuse"
    b[column] = a[column]
    assert code not in verdict(a, b)[1]


def test_test_sets_of_several_sizes_are_different_data() -> None:
    a, b = pair()
    b.loc[5:, ["correct", "total"]] = [965, 1000]
    assert verdict(a, b)[1]["data-mismatch"] == "refuse"


@pytest.mark.parametrize("margin", [None, 0.02, 0.1])
def test_higher_allows_no_margin_across_numeric_stacks(margin: float | None) -> None:
    a, b = pair(accuracy=(0.965, 0.968))
    b["torch"] = "2.10.0"
    found = verdict(a, b, claim="accurate", margin_pp=margin)
    assert found[0] == "refused" and found[1]["environment-mismatch"] == "refuse"


@pytest.mark.parametrize(("column", "value"), [("stage", "Screen"), ("lane", "Shared"), ("status", "Crashed")])
def test_words_are_read_in_any_case(column: str, value: str) -> None:
    a, b = pair()
    b[column] = value
    assert verdict(a, b)[0] != "pass"


@pytest.mark.parametrize(("column", "value"), [("stage", "screening"), ("lane", "mine"), ("status", "ok")])
def test_other_words_are_refused(column: str, value: str) -> None:
    a, b = pair()
    b[column] = value
    with pytest.raises(UsageError, match=f"The column '{column}' holds '{value}'; allowed is"):
        compare(a, b, margin_pp=0.2)


def test_equivalence_says_when_time_was_not_judged() -> None:
    a, b = pair()
    b["invocation"] = "q" + b["invocation"]
    found = verdict(a, b, claim="equivalent", max_slowdown=0.01)
    assert found[0] == "pass" and "time was not judged: not-interleaved" in found[2]["headline"]
    assert "not judged" not in verdict(*pair(), claim="equivalent")[2]["headline"]


def test_of_several_candidates_the_bound_told_is_the_one_that_decided() -> None:
    a, b = pair(accuracy=(0.9650, 0.9700))
    others = [b.assign(arm=f"c{i}", seed=b["seed"] + 100 * i, config_hash=f"k{i}") for i in range(1, 6)]
    alone = compare(a, b, claim="accurate").as_dict()["comparisons"][0]["accuracy"]["superiority"]
    among = compare(a, b, *others, claim="accurate").as_dict()["comparisons"][0]
    assert among["verdict"] == "pass"
    assert among["accuracy"]["superiority"]["bound"] < alone["bound"]
