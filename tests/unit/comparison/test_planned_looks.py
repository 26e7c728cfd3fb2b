"""Judging at the looks of a plan: what decides is the look's own bound, and what is printed may be looked at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from frames import pair
from scipy import stats

from harness.app.judging import Asked, judge
from harness.design.looks import LookPlan, plan_looks, plan_sprt


@pytest.fixture
def at_look(tmp_path: Path):
    """The comparison of the first `n` blocks (of `drawn`) of a campaign of this plan, read from a store."""

    def judged(
        plan: LookPlan,
        n: int,
        *,
        claim: str = "accurate",
        drawn: int = 0,
        stated: Any = None,
        change: Any = None,
        lost: tuple[str, int] | None = None,
        **made: Any,
    ) -> dict[str, Any]:
        promises = {"margin_pp": 0.05, "target": None, "max_slowdown": None, "alpha": plan.alpha, "claim": claim}
        starts = max((s for s, runs in zip(plan.starts, plan.runs, strict=True) if runs <= (drawn or n)), default=1)
        sides = [side[side["replicate"] < n] for side in pair(drawn or n, invocations=starts, **made)]
        promises |= stated or {}
        if lost is not None:
            sides = [s[(s["arm"] != lost[0]) | (s["replicate"] != lost[1])] for s in sides]
        sides[1] = sides[1] if change is None else change(sides[1])
        folder = tmp_path / "results" / f"drawn{n}{claim}"
        folder.mkdir(parents=True)
        pd.concat(sides).to_csv(folder / "runs.csv", index=False)
        arms = [{"name": name, "role": name, "config": {}} for name in ("control", "candidate")]
        stored = {"name": folder.name, "arms": arms, "sequential": {"confirm": {"candidate": plan.as_dict()}}}
        (folder / "experiment.json").write_text(json.dumps(stored | promises))
        return judge([folder.name], tmp_path / "results", Asked()).as_dict()["comparisons"][0]

    return judged


@pytest.fixture
def two_arms(tmp_path: Path):
    """The comparisons, by arm, of a store in which arms `a` and `b` were each run under this plan beside one control."""

    def judged(plan: LookPlan, n: dict[str, int], gains: dict[str, float], *, sd: float = 0.0012) -> dict[str, Any]:
        frames = []
        for k, (name, gain) in enumerate(gains.items()):
            control, candidate = pair(n[name], accuracy=(0.9650, 0.9650 + gain), sd=sd, seed=1, invocations=1)
            own = pair(n[name], accuracy=(0.9650, 0.9650 + gain), sd=sd, seed=7 + k, invocations=1)[1]
            candidate = candidate.assign(correct=own["correct"], run_id=own["run_id"] + name)
            frames += [control] if n[name] == max(n.values()) else []
            frames.append(candidate.assign(arm=name, config_hash=name))
        folder = tmp_path / "results" / "two"
        folder.mkdir(parents=True)
        pd.concat(frames).drop_duplicates("run_id").to_csv(folder / "runs.csv", index=False)
        arms = [{"name": name, "role": name, "config": {}} for name in ("control", *gains)]
        arms = [arm | {"role": "control" if arm["name"] == "control" else "candidate"} for arm in arms]
        promise = {"margin_pp": 0.05, "target": None, "max_slowdown": None, "alpha": plan.alpha, "claim": "accurate"}
        plans = {"confirm": dict.fromkeys(gains, plan.as_dict())}
        stored = {"name": "two", "control": "control", "arms": arms, "sequential": plans}
        (folder / "experiment.json").write_text(json.dumps(stored | promise))
        one = judge(["two"], tmp_path / "results", Asked()).as_dict()["comparisons"]
        return {c["candidate"]["name"]: c for c in one}

    return judged


ACCURACY = plan_looks(100, alpha=0.05, timed=False)
GAINS = {"a": 0.0018, "b": 0.0}


@pytest.mark.parametrize("plan", [ACCURACY, plan_sprt(100, alpha=0.05)], ids=["looks", "sprt"])
@pytest.mark.parametrize("side", ["control", "candidate"])
def test_a_look_waits_for_a_run_that_failed(at_look, plan: LookPlan, side: str) -> None:
    """Replicate 3 never came, and runs beyond the first look are there: judged without it, it would be another look."""
    first = plan.runs[0]
    made: dict[str, Any] = {"accuracy": (0.9650, 0.9690), "drawn": 120}
    one = at_look(plan, first + 8, lost=(side, 3), **made)
    assert (one["verdict"], one["sequential"]["look"], one["more_runs"]) == ("inconclusive", None, 1)
    assert one["sequential"]["lacking"] == f"replicate 3 of {side}"
    assert f"no completed run of replicate 3 of {side}" in one["headline"]
    whole = at_look(plan, first + 8, claim="no-regression", **made)
    assert whole["sequential"]["look"] and whole["sequential"]["lacking"] == ""


def test_before_the_first_look_no_endpoint_is_decided(at_look) -> None:
    one = at_look(ACCURACY, ACCURACY.runs[0] - 2, accuracy=(0.9650, 0.9690))
    asked = [one["accuracy"][name] for name in ("noninferiority", "superiority", "equivalence")]
    assert all((d["decision"], d["bound"], d["p"]) == ("inconclusive", None, None) and d["reason"] for d in asked)
    assert one["accuracy"]["p"] is None and "first look" in one["reasons"]["accuracy.p"]


def test_a_likelihood_ratio_answers_nothing_else(at_look) -> None:
    one = at_look(plan_sprt(100, alpha=0.05), 25, accuracy=(0.9650, 0.9670))
    assert (one["verdict"], one["accuracy"]["equivalence"]["decision"]) == ("pass", "inconclusive")
    assert one["accuracy"]["p"] is None and one["reasons"]["accuracy.p"]


def test_several_arms_share_the_level_of_a_likelihood_ratio(two_arms) -> None:
    """Each proven at half of alpha passes; one that is proven at alpha only goes on, and says why."""
    plan = plan_sprt(100, alpha=0.05)
    clear = two_arms(plan, {"a": 40, "b": 40}, {"a": 0.0030, "b": 0.0029})
    assert [clear[arm]["verdict"] for arm in "ab"] == ["pass", "pass"]
    assert [clear[arm]["more_runs"] for arm in "ab"] == [0, 0]


def test_one_of_several_that_passes_alone_goes_on(two_arms) -> None:
    """A log likelihood ratio between those of alpha and of half of it."""
    both = two_arms(plan_sprt(100, alpha=0.05), {"a": 25, "b": 25}, GAINS)
    a = both["a"]
    assert (a["verdict"], a["sequential"]["stop"], a["more_runs"]) == ("inconclusive", None, 5)
    assert "best-of-k" in {f["code"] for f in a["findings"]}
    assert "passes alone, not as one of 2 candidates" in a["headline"] and "the next is at 30 runs" in a["headline"]


def test_limits_of_several_hold_at_all_looks_and_for_all(two_arms) -> None:
    """Wider than those of one; adjusted p above its own; and runs that came after the decision change none of them."""
    short, long = ACCURACY.runs[1], ACCURACY.runs[3]
    arms = two_arms(ACCURACY, {"a": short, "b": long}, {"a": 0.0030, "b": 0.0001})
    for one in arms.values():
        own, all_of_them = one["accuracy"]["difference_pp"]["ci95"], one["selection"]["simultaneous_ci95_pp"]
        assert all_of_them[0] < own[0] < own[1] < all_of_them[1]
        assert one["selection"]["holm_p"] >= one["accuracy"]["p"]


def test_selection_rests_on_the_looks_that_are_judged(two_arms, tmp_path) -> None:
    gains = {"a": 0.0030, "b": 0.0028}
    later = two_arms(ACCURACY, {"a": 100, "b": 100}, gains)
    assert {one["sequential"]["n"] for one in later.values()} == {ACCURACY.runs[0]}
    store = tmp_path / "results" / "two" / "runs.csv"
    runs = pd.read_csv(store, keep_default_na=False)
    runs[runs["replicate"] < ACCURACY.runs[0]].to_csv(store, index=False)
    then = {c["candidate"]["name"]: c for c in judge(["two"], tmp_path / "results", Asked()).as_dict()["comparisons"]}
    for arm, one in then.items():
        assert one["selection"] == later[arm]["selection"]


def test_what_passes_at_alpha_does_not_pass_at_an_early_look(at_look) -> None:
    """A t of about 2.2 after 22 of 112 runs: the first look asks for 4.2, the last for 1.74."""
    better = {"accuracy": (0.9650, 0.9658), "sd": 0.0012}
    first = at_look(ACCURACY, ACCURACY.runs[0], **better)
    assert first["accuracy"]["superiority"]["p"] < 0.05
    assert (first["verdict"], first["sequential"]["look"], first["sequential"]["stop"]) == ("inconclusive", 1, None)
    assert (
        first["sequential"]["next_n"] == ACCURACY.runs[1] and first["more_runs"] == ACCURACY.runs[1] - ACCURACY.runs[0]
    )
    third = at_look(ACCURACY, ACCURACY.runs[2], **better)
    assert (third["verdict"], third["sequential"]["stop"]) == ("pass", "decided")
    assert f"(look {third['sequential']['look']} of 5)" in third["headline"]


def test_the_intervals_hold_at_every_look(at_look) -> None:
    early, late = (at_look(ACCURACY, n) for n in (ACCURACY.runs[0], ACCURACY.largest))
    widths = [
        one["accuracy"]["difference_pp"]["ci95"][1] - one["accuracy"]["difference_pp"]["ci95"][0]
        for one in (early, late)
    ]
    assert "repeated interval, look 1 of 5" in early["accuracy"]["difference_pp"]["method"]
    assert widths[0] > 4 * widths[1], "4.88 standard errors of 22 runs against 2.03 of 112"


def test_runs_between_the_looks_wait_for_the_next(at_look) -> None:
    """What is judged is the look that was passed, whatever came after it."""
    small: dict[str, Any] = {"accuracy": (0.9650, 0.9653), "drawn": 130}
    at, beyond = (at_look(ACCURACY, ACCURACY.runs[0] + extra, **small) for extra in (0, 3))
    assert (at["verdict"], beyond["verdict"], beyond["sequential"]["look"]) == ("inconclusive", "inconclusive", 1)
    assert at["accuracy"] == beyond["accuracy"] and beyond["sequential"]["extra"] == 3
    assert beyond["more_runs"] == ACCURACY.runs[1] - ACCURACY.runs[0] - 3
    assert "3 runs an arm wait for the next one" in next(
        f["message"] for f in beyond["findings"] if f["code"] == "peeked"
    )


def test_what_was_decided_stands_whatever_is_added(at_look) -> None:
    better: dict[str, Any] = {"accuracy": (0.9650, 0.9690), "drawn": 130}
    first, topped = (at_look(ACCURACY, n, **better) for n in (ACCURACY.runs[1], ACCURACY.largest + 10))
    assert first["sequential"]["look"] == topped["sequential"]["look"] <= 2
    assert topped["accuracy"] == first["accuracy"] and topped["verdict"] == "pass"
    assert topped["sequential"]["extra"] == ACCURACY.largest + 10 - first["sequential"]["n"]
    assert [f["severity"] for f in topped["findings"] if f["code"] == "peeked"] == ["info"]


def test_runs_beyond_the_last_look_decide_nothing(at_look) -> None:
    one = at_look(ACCURACY, ACCURACY.largest + 10, accuracy=(0.9650, 0.96512))
    assert (one["verdict"], one["sequential"]["stop"]) == ("inconclusive", "last look")
    assert "10 runs an arm beyond the last look" in next(f["message"] for f in one["findings"] if f["code"] == "peeked")


def test_before_the_first_look_nothing_is_decided(at_look) -> None:
    one = at_look(ACCURACY, ACCURACY.runs[0] - 2, accuracy=(0.9650, 0.9690))
    assert (one["verdict"], one["sequential"]["look"], one["sequential"]["stop"]) == ("inconclusive", None, None)
    assert "before the first look, at 22 runs" in one["headline"]


def test_a_hopeless_campaign_stops(at_look) -> None:
    one = at_look(ACCURACY, ACCURACY.runs[1], accuracy=(0.9650, 0.9648))
    assert (one["verdict"], one["sequential"]["stop"]) == ("inconclusive", "futility")
    assert "would hardly pass" in one["headline"]
    going = at_look(ACCURACY, ACCURACY.runs[0], accuracy=(0.9650, 0.9650))
    assert going["sequential"]["stop"] is None


def test_a_refuted_claim_stops_too(at_look) -> None:
    one = at_look(ACCURACY, ACCURACY.runs[2], accuracy=(0.9650, 0.9630))
    assert (one["verdict"], one["sequential"]["stop"]) == ("fail", "decided")
    assert one["sequential"]["difference_pp"]["value"] == pytest.approx(-0.2, abs=0.05)


def test_the_planned_runs_may_be_spent_undecided(at_look) -> None:
    one = at_look(ACCURACY, ACCURACY.largest, accuracy=(0.9650, 0.96512))
    assert (one["verdict"], one["sequential"]["stop"]) == ("inconclusive", "last look")


def test_time_is_first_tested_at_five_process_starts(at_look) -> None:
    plan = plan_looks(50, alpha=0.05, timed=True)
    first, second = (at_look(plan, n, claim="faster") for n in plan.runs[:2])
    assert first["time"]["invocations"] < 5 and second["time"]["invocations"] >= 5
    assert (first["time"]["decision"]["decision"], first["time"]["decision"]["bound"]) == ("inconclusive", None)
    assert (
        "five process starts" in first["time"]["decision"]["reason"]
        or "5 process starts" in first["time"]["decision"]["reason"]
    )
    assert second["time"]["decision"]["decision"] == "pass"


def test_what_was_decided_earlier_is_not_corrected_for_a_stop_that_it_did_not_make(at_look) -> None:
    """25 % faster is plain at the second look; the campaign goes on for accuracy."""
    plan = plan_looks(100, alpha=0.05, timed=True)
    one = at_look(plan, plan.largest, claim="faster", accuracy=(0.9650, 0.96498))
    assert one["sequential"]["stop"] is not None
    speedup = one["sequential"]["speedup"]
    assert "decided at an earlier look" in speedup["method"] and speedup["value"] == pytest.approx(1.25, rel=0.01)


def test_an_early_stop_overstates_and_is_corrected(at_look) -> None:
    one = at_look(ACCURACY, ACCURACY.runs[1], accuracy=(0.9650, 0.9658), sd=0.0012)
    assert one["sequential"]["stop"] == "decided"
    plain, corrected = one["accuracy"]["difference_pp"]["value"], one["sequential"]["difference_pp"]["value"]
    assert 0 < corrected < plain


def test_a_likelihood_ratio_decides_by_its_first_crossing(at_look) -> None:
    plan = plan_sprt(100, alpha=0.05)
    assert at_look(plan, 25, accuracy=(0.9650, 0.9670))["verdict"] == "pass"
    refuted = at_look(plan, 40, accuracy=(0.9650, 0.9640))
    assert (refuted["verdict"], refuted["sequential"]["stop"]) == ("inconclusive", "futility")
    assert "log likelihood ratio" in refuted["accuracy"]["superiority"]["reason"]
    open_one = at_look(plan, 20, accuracy=(0.9650, 0.96525))
    assert (open_one["verdict"], open_one["sequential"]["stop"]) == ("inconclusive", None)
    assert "confidence sequence" in open_one["accuracy"]["difference_pp"]["method"]


def recovering(candidate: pd.DataFrame) -> pd.DataFrame:
    """Far below the control over the first two looks, and as far above it afterwards."""
    early = candidate["replicate"] < ACCURACY.runs[1]
    late = candidate["replicate"] >= ACCURACY.runs[1]
    gap = -0.0003 * early + 0.0003 * ACCURACY.runs[1] / (ACCURACY.largest - ACCURACY.runs[1]) * late
    correct = (candidate["correct"] + (gap * candidate["total"]).round()).astype(int)
    return candidate.assign(correct=correct, accuracy=correct / candidate["total"])


def test_a_campaign_that_went_past_futility_is_not_corrected_for_a_stop_it_did_not_make(at_look) -> None:
    """Without the bound in the ordering the estimate stays near the plain one; with it, it would stand .03 pp above."""
    first = at_look(ACCURACY, ACCURACY.runs[1], accuracy=(0.9650, 0.9650), change=recovering, drawn=112)
    last = at_look(ACCURACY, ACCURACY.largest, accuracy=(0.9650, 0.9650), change=recovering, drawn=112)
    assert (first["sequential"]["stop"], last["sequential"]["stop"]) == ("futility", "last look")
    plain, final = last["accuracy"]["difference_pp"], last["sequential"]["difference_pp"]
    assert final["value"] == pytest.approx(plain["value"], abs=0.004)


def test_a_stricter_alpha_has_stricter_bounds(at_look) -> None:
    """z of about 2.3 at the last look."""
    made: dict[str, Any] = {"accuracy": (0.9650, 0.96542), "drawn": 112, "sd": 0.0013}
    usual, strict = (at_look(ACCURACY, 112, claim=claim, stated={"alpha": alpha, "claim": "accurate"}, **made)
                     for claim, alpha in (("accurate", 0.05), ("strict", 0.001)))  # fmt: skip
    assert (usual["verdict"], strict["verdict"]) == ("pass", "inconclusive")


def test_p_counts_the_looks_that_were_taken(at_look) -> None:
    """The chance of a stop at least as extreme: above that of the last test alone, and at most alpha where it passes."""
    one = at_look(ACCURACY, 112, accuracy=(0.9650, 0.96535), drawn=112, sd=0.0013)
    p, shown = one["accuracy"]["superiority"]["p"], one["accuracy"]["difference_pp"]
    alone = stats.norm.sf(shown["value"] / (shown["sd"] * (2 / one["sequential"]["n"]) ** 0.5))
    assert one["sequential"]["look"] == 4 and one["verdict"] == "pass"
    assert 1.15 * alone < p < 0.05


def test_levels_of_several_arms_are_spent_over_the_looks(at_look) -> None:
    from harness.comparison.judge import Levels
    from harness.comparison.looks import _Course

    course = _Course(ACCURACY, 0.05)
    course.index = 1
    together = course.together(Levels(0.05, 0.025, 0.01))
    assert together is not None
    assert together.accuracy == pytest.approx(course.levels().accuracy, rel=1e-6)
    assert together.bar < together.accuracy / 2


@pytest.mark.parametrize("starts", [(5, 6, 7, 8, 30), (9, 20, 21, 22, 23), (5, 10, 15, 20, 25)])
def test_time_keeps_its_level_however_the_starts_come(starts: tuple[int, ...]) -> None:
    from harness.comparison.looks import time_bounds
    from harness.stats.sequential import crossings

    plan = plan_looks(25, alpha=0.05, timed=True)
    bounds = time_bounds(plan, list(enumerate(starts)), 0.05)
    information = [count / starts[-1] for count in starts]
    assert sum(crossings(information, bounds, None, drift=0).above) == pytest.approx(0.05, abs=1e-8)


def test_without_a_spread_a_likelihood_ratio_says_nothing(at_look) -> None:
    def equal(candidate: pd.DataFrame) -> pd.DataFrame:
        return candidate.assign(correct=candidate["total"], accuracy=1.0)

    plan = plan_sprt(100, alpha=0.05)
    one = at_look(plan, 30, claim="no-regression", accuracy=(1.0, 1.0), sd=0.0, change=equal)
    assert one["verdict"] != "pass"
