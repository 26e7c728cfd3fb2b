"""What no data may break in a whole verdict: drawn pairs of arms, changed in ways whose effect is known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from frames import TOTAL, codes, judged, pair
from hypothesis import given, settings
from hypothesis import strategies as st

import harness
from harness.comparison.samples import needed_count

FEW = settings(max_examples=12, deadline=None)
ORDER = ("fail", "inconclusive", "pass")
ENDPOINTS = ("bar", "noninferiority", "superiority", "equivalence")

Frames = tuple[pd.DataFrame, pd.DataFrame]


@st.composite
def campaigns(draw: st.DrawFn) -> Frames:
    """Interleaved arms whose difference lies anywhere from proven worse to proven better, and slower to faster."""
    return pair(
        n=draw(st.sampled_from((12, 25, 40))),
        invocations=draw(st.sampled_from((3, 5))),
        accuracy=(0.965, draw(st.sampled_from((0.9620, 0.9640, 0.9648, 0.9650, 0.9655, 0.9680)))),
        speedup=draw(st.sampled_from((0.98, 1.0, 1.002, 1.25))),
        seed=draw(st.integers(0, 10_000)),
    )


margins = st.sampled_from((0.01, 0.05, 0.1, 0.2, 0.4))
claims = st.sampled_from(("faster", "accurate", "equivalent", "no-regression", "time-only"))


def decisions(one: dict[str, Any]) -> dict[str, str]:
    return {name: one["accuracy"][name]["decision"] for name in ENDPOINTS} | {
        "time": one["time"]["decision"]["decision"], "verdict": one["verdict"]
    }  # fmt: skip


def near(x: float | None, y: float | None) -> bool:
    return x == y or (x is not None and y is not None and math.isclose(x, y, rel_tol=1e-9, abs_tol=1e-9))


@FEW
@given(campaigns(), margins)
def test_swapping_the_arms_turns_everything_round(frames: Frames, margin: float) -> None:
    a, b = frames
    forth, back = judged(a, b, margin_pp=margin), judged(b, a, margin_pp=margin)
    d, e = (one["accuracy"]["difference_pp"] for one in (forth, back))
    assert near(d["value"], -e["value"]) and near(d["ci95"][0], -e["ci95"][1]) and near(d["ci95"][1], -e["ci95"][0])
    assert near(forth["accuracy"]["p"], back["accuracy"]["p"])
    s, t = (one["time"]["speedup"] for one in (forth, back))
    assert near(s["value"], 1 / t["value"]) and near(s["ci95"][0], 1 / t["ci95"][1])
    mirror = {"pass": "fail", "fail": "pass"}
    for place, name in (("accuracy", "superiority"), ("time", "decision")):
        was = forth[place][name]["decision"]
        assert back[place][name]["decision"] == mirror.get(was, was)
    assert forth["accuracy"]["equivalence"]["decision"] == back["accuracy"]["equivalence"]["decision"]


@FEW
@given(campaigns(), claims)
def test_fractions_and_counts_are_one_thing(frames: Frames, claim: str) -> None:
    """Accuracies as fractions, as counts of 10,000 and as counts of a million say the same."""
    fractions = [f.assign(accuracy=f["correct"] / TOTAL).drop(columns=["correct", "total"]) for f in frames]
    finer = [f.assign(correct=100 * f["correct"], total=100 * TOTAL) for f in frames]
    asked = {"claim": claim, "max_slowdown": 0.01}
    counts = judged(*frames, **asked)
    for other in (judged(*fractions, **asked), judged(*finer, **asked)):
        assert decisions(other) == decisions(counts)
        assert near(other["accuracy"]["difference_pp"]["value"], counts["accuracy"]["difference_pp"]["value"])


@given(st.integers(1, 10_000), st.integers(1, 100))
def test_the_threshold_of_success_is_exact(basis_points: int, hundreds: int) -> None:
    """.07 of 100 is 7, although .07 * 100 is above 7 in floating point."""
    assert needed_count(basis_points / 10_000, 10_000 * hundreds) == basis_points * hundreds
    assert needed_count(0.07, 100) == 7


def test_percentages_are_told_from_fractions() -> None:
    a, b = (f.assign(accuracy=f["correct"] / TOTAL * 100).drop(columns=["correct", "total"]) for f in pair())
    with pytest.raises(harness.errors.UsageError, match="not a percentage"):
        judged(a, b)


@FEW
@given(campaigns(), st.integers(0, 1000), claims)
def test_the_order_of_rows_does_not_matter(frames: Frames, seed: int, claim: str) -> None:
    mixed = [f.sample(frac=1, random_state=seed + i) for i, f in enumerate(frames)]
    one, other = (judged(*f, claim=claim, max_slowdown=0.01) for f in (frames, mixed))
    assert decisions(one) == decisions(other)
    assert codes(one) == codes(other)
    assert near(one["time"]["speedup"]["ci95"][0], other["time"]["speedup"]["ci95"][0])


@FEW
@given(campaigns(), st.sampled_from((1e-3, 0.2, 60.0, 3600.0)))
def test_the_unit_of_time_does_not_matter(frames: Frames, factor: float) -> None:
    """Seconds, milliseconds or hours: the speed-up is the same, and seconds per success scale."""
    scaled = [f.assign(time_s=f["time_s"] * factor) for f in frames]
    one, other = judged(*frames), judged(*scaled)
    assert decisions(one) == decisions(other) and codes(one) == codes(other)
    assert all(map(near, one["time"]["speedup"]["ci95"], other["time"]["speedup"]["ci95"]))
    cost, scaled_cost = (x["candidate"]["cost_of_success_s"]["value"] for x in (one, other))
    assert (cost is None and scaled_cost is None) or near(factor * cost, scaled_cost)


@FEW
@given(campaigns(), st.sampled_from((0.9, 1.07)))
def test_a_slower_day_for_both_arms_does_not_matter(frames: Frames, factor: float) -> None:
    """Whole process starts that are slower by any factor leave the speed-up where it was."""
    slow = [f.assign(time_s=f["time_s"] * np.where(f["invocation"] == "p0", factor, 1.0)) for f in frames]
    one, other = judged(*frames), judged(*slow)
    assert all(map(near, one["time"]["speedup"]["ci95"], other["time"]["speedup"]["ci95"]))


@FEW
@given(campaigns(), claims)
def test_duplicated_runs_are_no_evidence(frames: Frames, claim: str) -> None:
    a, b = frames
    doubled = judged(a, pd.concat([b, b.assign(run_id=b["run_id"] + "x")]), claim=claim)
    assert codes(doubled)["duplicate-seeds"] == "refuse"
    assert doubled["verdict"] == "refused"


@FEW
@given(campaigns(), margins, st.floats(1.0, 3.0), claims)
def test_a_wider_margin_never_turns_a_pass_into_a_fail(frames: Frames, margin: float, wider: float, claim: str) -> None:
    asked = {"claim": claim, "target": None, "max_slowdown": 0.01}
    narrow, wide = (judged(*frames, margin_pp=m, **asked) for m in (margin, margin * wider))
    for name in ("noninferiority", "equivalence"):
        was, now = (ORDER.index(one["accuracy"][name]["decision"]) for one in (narrow, wide))
        assert now >= was
    if narrow["verdict"] == "pass":
        assert wide["verdict"] == "pass"


@FEW
@given(campaigns(), st.sampled_from((0.0, 0.001, 0.01, 0.1)), st.floats(1.0, 3.0))
def test_a_larger_slowdown_never_turns_a_pass_into_a_fail(frames: Frames, slow: float, wider: float) -> None:
    narrow, wide = (judged(*frames, claim="no-regression", max_slowdown=s) for s in (slow, slow * wider))
    was, now = (ORDER.index(one["time"]["noninferiority"]["decision"]) for one in (narrow, wide))
    assert now >= was


@FEW
@given(campaigns(), margins, st.sampled_from((0.01, 0.025, 0.05)))
def test_equivalence_is_the_interval_at_twice_alpha_inside_the_margin(
    frames: Frames, margin: float, alpha: float
) -> None:
    """TOST at alpha against the 1 - 2 alpha interval, which is the 95 % one at .025."""
    one = judged(*frames, claim="equivalent", margin_pp=margin, alpha=alpha)
    low, high = one["accuracy"]["difference_pp"]["ci95"]
    decided = one["accuracy"]["equivalence"]["decision"]
    inside = -margin < low and high < margin
    if alpha == 0.025:
        assert (decided == "pass") == inside
    if alpha < 0.025 and decided == "pass":
        assert inside
    if alpha > 0.025 and inside:
        assert decided == "pass"


@FEW
@given(campaigns(), st.sampled_from((0.001, 0.01, 0.05)), st.floats(1.0, 5.0))
def test_a_stricter_level_never_decides_more(frames: Frames, alpha: float, looser: float) -> None:
    strict, loose = (decisions(judged(*frames, alpha=a)) for a in (alpha, alpha * looser))
    for name in (*ENDPOINTS, "time"):
        assert strict[name] in ("inconclusive", loose[name])


@FEW
@given(campaigns(), claims)
def test_all_needed_endpoints_must_pass(frames: Frames, claim: str) -> None:
    """Intersection-union: the verdict is no better than the worst endpoint that the claim needs."""
    one = judged(*frames, claim=claim)
    found = decisions(one)
    needs = {
        "faster": ("bar", "noninferiority", "time"), "accurate": ("bar", "superiority"), "equivalent": ("equivalence",),
        "no-regression": ("noninferiority",), "time-only": ("time",),
    }[claim]  # fmt: skip
    assert (one["verdict"] == "pass") == all(found[name] == "pass" for name in needs)
    assert (one["verdict"] == "fail") == any(found[name] == "fail" for name in needs)


@FEW
@given(campaigns(), st.sampled_from((1, 2, 5)))
def test_warm_ups_leave_the_result_alone(frames: Frames, count: int) -> None:
    """Tagged warm-ups, however slow, change neither time nor accuracy."""
    warm = []
    for f in frames:
        extra = f.groupby("invocation").head(1).head(count)
        extra = extra.assign(warmup=True, time_s=9.0, correct=1000, run_id=extra["run_id"] + "w", block=np.nan, seed=-1)
        warm.append(pd.concat([extra, f], ignore_index=True))
    one, other = judged(*frames), judged(*warm)
    assert decisions(one) == decisions(other)
    assert one["time"]["speedup"] == other["time"]["speedup"]
    assert one["accuracy"]["difference_pp"] == other["accuracy"]["difference_pp"]


@FEW
@given(campaigns())
def test_names_of_blocks_and_processes_do_not_matter(frames: Frames) -> None:
    renamed = [f.assign(invocation="z" + f["invocation"], block=f["block"] * 7 + 100) for f in frames]
    one, other = judged(*frames), judged(*renamed)
    assert decisions(one) == decisions(other) and codes(one) == codes(other)


@FEW
@given(campaigns())
def test_a_second_candidate_never_makes_the_first_pass(frames: Frames) -> None:
    a, b = frames
    rival = b.assign(arm="rival", run_id="r" + b["run_id"], config_hash="config-rival")
    alone = judged(a, b)["verdict"]
    together = harness.compare(a, b, rival, claim="faster", target=0.96, margin_pp=0.2).as_dict()["comparisons"][0]
    if together["verdict"] == "pass":
        assert alone == "pass"
