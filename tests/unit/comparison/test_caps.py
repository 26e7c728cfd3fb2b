"""What keeps a pass from being one: too few runs, screening runs, and being the best of several."""

from __future__ import annotations

import pandas as pd
import pytest
from frames import PROMISE, bare, codes, judged, pair

import harness


def staged(stage: str | None) -> dict:
    a, b = pair()
    return judged(a, b.assign(stage=stage) if stage else b.drop(columns="stage"))


@pytest.mark.parametrize(
    ("stage", "verdict"), [("screen", "inconclusive"), ("confirm", "pass"), ("final", "pass"), (None, "pass")]
)
def test_the_stage_caps_the_claim(stage: str | None, verdict: str) -> None:
    one = staged(stage)
    assert one["verdict"] == verdict
    assert ("screening-sample" in codes(one)) is (stage == "screen")
    if stage == "screen":
        assert one["more_runs"] >= 25 and "confirm" in one["headline"]


def test_the_stage_of_the_control_caps_nothing() -> None:
    a, b = pair()
    assert judged(a.assign(stage="screen"), b)["verdict"] == "pass"


def test_a_screening_fail_is_a_fail() -> None:
    a, b = pair(speedup=0.9)
    one = judged(a, b.assign(stage="screen"))
    assert one["verdict"] == "fail" and "screening-sample" not in codes(one)


def test_runs_that_chose_the_candidate_do_not_confirm_it() -> None:
    a, b = pair()
    lucky = b.assign(stage="screen", seed=b["seed"] + 500, correct=9990, invocation="s" + b["invocation"])
    one = judged(a, pd.concat([lucky, b], ignore_index=True))
    assert (one["verdict"], one["candidate"]["n"]) == ("pass", 25)
    assert one["candidate"]["excluded"]["of another stage than confirm"] == 25


def test_a_confirmation_that_has_no_run_yet_hides_no_screening() -> None:
    a, b = pair()
    crashed = b.head(1).assign(status="crashed", correct=None, total=None)
    one = judged(a, pd.concat([b.assign(stage="screen"), crashed], ignore_index=True))
    assert one["candidate"]["n"] == 25 and "screening-sample" in codes(one)


def test_screening_runs_among_runs_of_unknown_stage_still_cap() -> None:
    a, b = pair()
    one = judged(a, b.assign(stage=["screen", *[""] * 24]))
    assert (one["candidate"]["n"], one["verdict"]) == (25, "inconclusive")


@pytest.mark.parametrize(("n", "verdict", "more"), [(9, "inconclusive", 1), (5, "inconclusive", 5), (10, "pass", 0)])
def test_fewer_than_ten_runs_pass_nothing(n: int, verdict: str, more: int) -> None:
    one = judged(*pair(n, invocations=5))
    assert (one["verdict"], one["more_runs"]) == (verdict, more)
    assert ("low-power" in codes(one)) is (n < 10)


def test_ten_runs_are_needed_of_the_control_too() -> None:
    one = judged(bare(9), bare(100, first=99, seed=2), claim="no-regression")
    assert (one["verdict"], one["more_runs"]) == ("inconclusive", 1)


def test_fewer_than_ten_runs_may_well_fail() -> None:
    assert judged(*pair(5, accuracy=(0.965, 0.9)))["verdict"] == "fail"


def sweep(k: int, best: float, *, stage: str = "confirm", n: int = 25) -> list[dict]:
    """k candidates at the control's mean, and the first one `best` pp above it."""
    control = bare(n, 0.9600)
    means = [0.9600 + best / 100, *[0.9600] * (k - 1)]
    arms = [bare(n, m, seed=10 + i, first=1000 * (i + 1)).assign(stage=stage) for i, m in enumerate(means)]
    return harness.compare(control, *arms, claim="accurate").as_dict()["comparisons"]


def test_the_best_of_k_that_passes_alone_is_capped() -> None:
    """t = 2.0: one-sided p .026 alone; the critical value for 9 candidates is 2.42."""
    alone, among = sweep(1, 0.068)[0], sweep(9, 0.068)[0]
    assert alone["verdict"] == "pass" and "selection" not in alone
    assert (among["verdict"], codes(among)["best-of-k"]) == ("inconclusive", "warn")
    assert among["accuracy"]["superiority"]["decision"] == "pass"
    assert among["more_runs"] >= 25 and "not as one of 9" in among["headline"]
    assert "pp above by luck" in next(f["message"] for f in among["findings"] if f["code"] == "best-of-k")


def test_a_best_of_k_beyond_the_simultaneous_bound_passes() -> None:
    best = sweep(9, 0.10)[0]
    assert best["verdict"] == "pass" and "best-of-k" not in codes(best)


def test_in_a_screening_sweep_both_caps_are_named() -> None:
    found = codes(sweep(9, 0.068, stage="screen")[0])
    assert {"best-of-k", "screening-sample"} <= set(found)


def test_an_arm_confirmed_on_fresh_seeds_is_not_held_to_its_screening_sweep() -> None:
    control = bare(25, 0.9600)
    losers = [bare(25, 0.9600, seed=10 + i, first=1000 * (i + 1)).assign(stage="screen") for i in range(8)]
    winner = bare(25, 0.96068, seed=30, first=90_000).assign(stage="confirm")
    ones = harness.compare(control, winner, *losers, claim="accurate").as_dict()["comparisons"]
    assert ones[0]["verdict"] == "pass" and ones[0]["selection"]["k"] == 9


def test_arms_confirmed_together_are_held_to_their_own_number() -> None:
    control = bare(25, 0.9600)
    losers = [bare(25, 0.9600, seed=10 + i, first=1000 * (i + 1)).assign(stage="screen") for i in range(8)]
    winners = [bare(25, 0.9606, seed=30 + i, first=90_000 + 100 * i).assign(stage="confirm") for i in range(2)]
    ones = harness.compare(control, *winners, *losers, claim="accurate").as_dict()["comparisons"]
    assert "not as one of 2" in ones[0]["headline"] and "best-of-k" in codes(ones[1])


def test_selection_is_what_the_published_tables_say() -> None:
    """Nine candidates of .03 pp standard error each: the best stands .0446 pp above by luck."""
    control = bare(1000, 0.9401, 0.0015)
    values = (0.08, 0.05, 0.03, 0.03, 0.01, 0.0, -0.02, -0.03, -0.05)
    arms = [bare(25, 0.9401 + v / 100, 0.0015, seed=10 + i, first=2000 * (i + 1)) for i, v in enumerate(values)]
    ones = harness.compare(control, *arms, claim="accurate").as_dict()["comparisons"]
    chosen = [one["selection"] for one in ones]
    assert all(s["k"] == 9 and s["luck_pp"] == pytest.approx(0.0446, abs=5e-4) for s in chosen)
    # Dunnett, two-sided .05, 9 against 1000 runs: 2.7654 standard errors, and a little more for t on Welch's df.
    low, high = chosen[0]["simultaneous_ci95_pp"]
    assert (high - low) / 2 == pytest.approx(2.7654 * 0.15 * (1 / 25 + 1 / 1000) ** 0.5, rel=0.15)
    assert low < 0.08 - 0.0609 < chosen[0]["shrunk_pp"] < 0.08
    # Towards the control: B = A / (A + SE²) with A = mean of the squares - SE².
    square = 0.15**2 * (1 / 25 + 1 / 1000)
    kept = 1 - square / (sum(v * v for v in values) / 9)
    assert [s["shrunk_pp"] for s in chosen] == pytest.approx([kept * v for v in values], abs=1e-6)
    assert ones[0]["verdict"] == "inconclusive"


def test_a_candidate_equal_to_the_control_stays_one_of_the_sweep() -> None:
    a, b = pair()
    twin = a.assign(arm="twin", seed=a["seed"], position=2)
    c = harness.compare(a, b, twin, **PROMISE).as_dict()["comparisons"]
    assert [one["candidate"]["name"] for one in c] == ["candidate", "twin"]
    assert "compute-neutral" in codes(c[1]) and "dead-knob" not in codes(c[1])
