"""From rows to runs: which count, when a run reaches the target, and which runs stand in one block."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from frames import bare, codes, judged, pair

import harness
from harness.api import frame_of_dataframe
from harness.comparison.frame import concatenate
from harness.comparison.samples import make_sample, match_blocks, successes
from harness.errors import UsageError


def counted(target: float, **columns: Any) -> list[bool]:
    n = len(next(iter(columns.values())))
    return successes(frame_of_dataframe(pd.DataFrame({"seed": range(n), **columns})), target).tolist()


@pytest.mark.parametrize(
    ("target", "total", "least"),
    [(0.94, 10_000, 9400), (0.96, 10_000, 9600), (0.1, 30, 3), (0.7, 10, 7), (0.29, 100, 29), (0.57, 100, 57),
     (0.94, 333, 314), (1.0, 360, 360), (0.935, 3669, 3431)],
)  # fmt: skip
def test_a_run_succeeds_from_the_exact_count_on(target: float, total: int, least: int) -> None:
    correct = [least - 1, least, least + 1 if least < total else total]
    assert counted(target, correct=correct, total=[total] * 3) == [False, True, True]


@pytest.mark.parametrize("kind", [float, np.float64, np.float32])
def test_the_target_may_be_any_kind_of_number(kind: type) -> None:
    """float32 .94 is below .94, so 9400 of 10,000 reach either."""
    assert counted(kind(0.94), correct=[9399, 9400], total=[10_000] * 2) == [False, True]


def test_an_accuracy_alone_reaches_the_target_within_half_of_its_sixth_decimal() -> None:
    stored = [float(np.float32(0.94)), 0.94 - 4e-7, 0.94 - 6e-7, 0.9399]
    assert counted(0.94, accuracy=stored) == [True, True, False, False]
    assert counted(0.94, accuracy=np.array([0.94], dtype=np.float32)) == [True]


def test_counts_win_over_a_rounded_accuracy() -> None:
    assert counted(0.94, correct=[9399, 9400], total=[10_000] * 2, accuracy=[0.94, 0.9399]) == [False, True]
    frame = frame_of_dataframe(pd.DataFrame({"seed": [1], "correct": [9399], "total": [10_000], "accuracy": [0.94]}))
    assert frame["accuracy"].tolist() == [0.9399]


def test_runs_of_two_sizes_of_test_set_have_each_their_own_threshold() -> None:
    assert counted(0.94, correct=[94, 9399, 940], total=[100, 10_000, 1000]) == [True, False, True]


@pytest.mark.parametrize("value", [94.01, -0.1, 1.0001])
def test_an_accuracy_that_is_no_fraction_is_an_error(value: float) -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        judged(bare(), bare().assign(accuracy=[value] * 25))


def test_several_arms_in_one_argument_are_an_error_that_says_how() -> None:
    a, b = pair()
    with pytest.raises(UsageError, match=r"2 arms \(candidate, control\).*data\.arm == 'candidate'"):
        harness.compare(a, pd.concat([a, b]))


@pytest.mark.parametrize(
    "asked", [{"alpha": 0}, {"alpha": 0.6}, {"target": 94}, {"target": 0}, {"margin_pp": -1}, {"margin_pp": np.nan},
              {"max_slowdown": -0.1}, {"claim": "quicker"}],
)  # fmt: skip
def test_arguments_that_cannot_be_are_errors(asked: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(asked))):
        harness.compare(bare(), bare(first=99), **asked)


def test_a_frame_needs_seeds_and_accuracies() -> None:
    with pytest.raises(UsageError, match="'seed'"):
        harness.compare(bare().drop(columns="seed"), bare())
    with pytest.raises(UsageError, match="must hold numbers"):
        harness.compare(bare().assign(time_s="fast"), bare())


# --- seeds --------------------------------------------------------------------------------------------------


def frame(**columns: Any) -> Any:
    n = len(columns["seed"])
    return frame_of_dataframe(pd.DataFrame({"accuracy": [0.9] * n, **columns}))


def test_a_seed_that_recurs_across_stores_counts_once() -> None:
    first, second = frame(seed=[1, 2, 3], config_hash=["c"] * 3), frame(seed=[3, 4], config_hash=["c"] * 2)
    sample = make_sample("arm", [first, second])
    assert (sample.n, sample.duplicates) == (4, 0)
    assert sample.excluded == {"the same seed of the same configuration in another store": 1}


@pytest.mark.parametrize("hashes", [("c", "d"), ("", "")])
def test_a_seed_of_another_or_an_unknown_configuration_is_another_run(hashes: tuple[str, str]) -> None:
    first, second = (frame(seed=[1, 2], config_hash=[h] * 2) for h in hashes)
    assert make_sample("arm", [first, second]).n == 4


def test_a_seed_that_recurs_within_a_store_is_a_duplicate_also_by_other_code() -> None:
    sample = make_sample("arm", [frame(seed=[1, 1, 2], config_hash=["c"] * 3, code_hash=["x", "y", "x"])])
    assert (sample.n, sample.duplicates) == (3, 1)


def test_unknown_seeds_are_no_duplicates() -> None:
    assert make_sample("arm", [frame(seed=[np.nan, np.nan])]).duplicates == 0


def test_a_warm_up_with_a_seed_of_the_runs_is_none_of_them() -> None:
    sample = make_sample("arm", [frame(seed=[1, 1], warmup=["TRUE", "false"])])
    assert (sample.n, sample.duplicates, sample.excluded) == (1, 0, {"warm-ups": 1})


# --- blocks -------------------------------------------------------------------------------------------------


def rows(blocks: list[Any], invocation: Any = "p", times: Any = 1.0) -> Any:
    return frame(seed=range(len(blocks)), block=blocks, invocation=invocation, time_s=times)


def test_a_block_is_invocation_and_number() -> None:
    blocks = match_blocks(rows([0, 1, 2, 3]), rows([3, 1, 7]))
    assert blocks.control["block"].tolist() == blocks.candidate["block"].tolist() == [1, 3]
    assert match_blocks(rows([0, 1]), rows([0, 1], "q")).n == 0


def test_a_block_whose_invocation_or_number_is_unknown_matches_nothing() -> None:
    assert match_blocks(rows([0, 1], ""), rows([0, 1], "")).n == 0
    assert match_blocks(rows([np.nan, np.nan]), rows([np.nan, np.nan])).n == 0


def test_a_block_that_holds_an_arm_twice_is_left_out() -> None:
    assert match_blocks(rows([0, 0, 1]), rows([0, 1])).control["block"].tolist() == [1]


def test_blocks_match_across_stores() -> None:
    """The control's rows lie in two stores; the interleaved ones carry the candidate's invocation."""
    control = concatenate([rows([0, 1], "old"), rows([0, 1], "new")])
    blocks = match_blocks(control, rows([0, 1], "new"))
    assert blocks.n == 2 and blocks.control.known("invocation") == {"new"}


def test_block_labels_mean_the_same_where_an_arm_lacks_one() -> None:
    a, b = pair()
    for frame_ in (a, b):
        frame_["block"] = [f"b{i}" for i in range(25)]
    one, plain = judged(a, b.drop([0, 9])), judged(*(f.drop([0, 9]) for f in pair()))
    assert one["candidate"]["n_time"] == 23
    assert one["time"]["speedup"]["value"] == pytest.approx(plain["time"]["speedup"]["value"])


def test_invocations_are_the_same_whether_a_column_had_gaps() -> None:
    a, b = pair()
    a["invocation"] = np.arange(25) // 5
    b["invocation"] = [*(np.arange(24) // 5).astype(float), np.nan]
    assert judged(a, b)["candidate"]["n_time"] == 24


def test_hosts_are_the_clusters_where_three_of_them_ran_both_arms() -> None:
    a, b = pair(invocations=10, n=50)
    a["host"] = b["host"] = np.array(["one", "two", "three"])[np.arange(50) // 5 % 3]
    one = judged(a, b)
    assert codes(one) == {"few-invocations": "warn"} and one["time"]["invocations"] == 10
    assert "host" in one["time"]["speedup"]["method"]


def test_an_unknown_status_is_a_completed_run() -> None:
    a, b = pair()
    assert judged(a.drop(columns="status"), b.assign(status=""))["candidate"]["n"] == 25


@pytest.mark.parametrize("name", ["accuracy", "time_s", "steps", "block", "seed"])
def test_infinity_is_unknown(name: str) -> None:
    data = pd.DataFrame({"seed": [1.0], "accuracy": [0.9], "time_s": [1.0], "steps": [1.0], "block": [0.0]})
    assert np.isnan(frame_of_dataframe(data.assign(**{name: np.inf}))[name]).all()


def test_rows_stand_in_time_by_their_start_else_by_process_and_block() -> None:
    assert frame(seed=[1, 2, 3], started_at=["c", "a", "b"]).in_time().tolist() == [1, 2, 0]
    mixed = frame(seed=[1, 2, 3, 4], invocation=["p", "p", "q", "q"], block=[2, 1, 0, np.nan])
    assert mixed.in_time().tolist() == [1, 0, 2, 3]
    assert frame(seed=[1, 2]).in_time().tolist() == [0, 1]
