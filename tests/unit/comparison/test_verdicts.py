"""Every claim comes out as pass, fail, inconclusive and refused; which endpoint decides, and in which order."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd
import pytest
from frames import bare, judged, pair

SAME = (0.9650, 0.9650)
BETTER = (0.9650, 0.9675)
WORSE = (0.9650, 0.9615)
FAR_WORSE = (0.9650, 0.9500)
FINE = {"margin_pp": 0.02}


def drawn(accuracy: tuple[float, float] = SAME, speedup: float = 1.25, **options: Any) -> tuple[pd.DataFrame, ...]:
    return pair(accuracy=accuracy, speedup=speedup, **options)


def apart(accuracy: tuple[float, float] = SAME, speedup: float = 1.25) -> tuple[pd.DataFrame, ...]:
    """The same runs, one arm after the other."""
    a, b = drawn(accuracy, speedup)
    return a, b.assign(invocation="q" + b["invocation"])


def otherwise(column: str, value: object, accuracy: tuple[float, float] = SAME) -> tuple[pd.DataFrame, ...]:
    a, b = drawn(accuracy)
    return a, b.assign(**{column: value})


NEVER = {"target": None}
CASES: list[tuple[str, str, tuple[pd.DataFrame, ...], dict[str, Any]]] = [
    ("faster", "pass", drawn(), {}),
    ("faster", "pass", drawn(), NEVER),
    ("faster", "fail", drawn(speedup=0.9), {}),  # slower
    ("faster", "fail", drawn(WORSE), {}),  # worse than the control by the margin
    ("faster", "fail", drawn((0.9590, 0.9590)), {}),  # below the target
    ("faster", "inconclusive", drawn(), FINE),
    ("faster", "inconclusive", drawn(speedup=1.0), {}),
    ("faster", "inconclusive", drawn((0.9600, 0.9600)), {}),  # at the target
    ("faster", "refused", apart(), {}),
    ("faster", "refused", drawn(), {"margin_pp": None}),
    ("faster", "refused", otherwise("data_hash", "other"), {}),
    ("time-only", "pass", drawn(), {"target": None, "margin_pp": None}),
    ("time-only", "pass", drawn(FAR_WORSE), {}),  # accuracy plays no part, whatever is stated of it
    ("time-only", "pass", drawn((1.0, 1.0), sd=0.0), {"target": None, "margin_pp": None}),  # nor does it need a spread
    ("time-only", "fail", drawn(speedup=0.9), {}),
    ("time-only", "inconclusive", drawn(speedup=1.0), {}),
    ("time-only", "refused", apart(), {}),
    ("time-only", "refused", otherwise("clock", "other"), {}),
    ("accurate", "pass", drawn(BETTER), {"margin_pp": None}),
    ("accurate", "pass", apart(BETTER), {"margin_pp": None}),  # time plays no part
    ("accurate", "fail", drawn(WORSE), {"margin_pp": None}),
    ("accurate", "fail", drawn((0.9500, 0.9550)), {"margin_pp": None}),  # higher, and below the target
    ("accurate", "inconclusive", drawn(), {"margin_pp": None}),
    ("accurate", "inconclusive", drawn((0.9580, 0.9600)), {"margin_pp": None}),  # higher, at the target
    ("accurate", "refused", otherwise("data_hash", "other", BETTER), {"margin_pp": None}),
    ("equivalent", "pass", drawn(), {}),
    ("equivalent", "pass", apart(), {"max_slowdown": 0.01}),  # time was not measured comparably, and is not asked
    ("equivalent", "pass", drawn(speedup=1.0), {"max_slowdown": 0.01}),
    ("equivalent", "fail", drawn(WORSE), {}),
    ("equivalent", "fail", drawn((0.9600, 0.9650)), {}),  # better is not equivalent
    ("equivalent", "fail", drawn(), {"max_slowdown": 0.01}),  # nor is faster
    ("equivalent", "inconclusive", drawn(), FINE),
    ("equivalent", "inconclusive", drawn(), {"margin_pp": 0.0}),
    ("equivalent", "inconclusive", drawn(speedup=1.0), {"max_slowdown": 0.0}),
    ("equivalent", "refused", drawn(), {"margin_pp": None}),
    ("equivalent", "refused", otherwise("data_hash", "other"), {}),
    ("no-regression", "pass", drawn(), {}),
    ("no-regression", "pass", apart(), {}),  # nobody asked for time
    ("no-regression", "pass", drawn((0.94, 0.94)), {}),  # nor for the target
    ("no-regression", "pass", drawn(speedup=0.999), {"max_slowdown": 0.01}),
    ("no-regression", "fail", drawn(WORSE), {}),
    ("no-regression", "fail", drawn(speedup=0.9), {"max_slowdown": 0.01}),
    ("no-regression", "inconclusive", drawn(), FINE),
    ("no-regression", "inconclusive", drawn(speedup=0.99), {"max_slowdown": 0.01}),
    ("no-regression", "inconclusive", drawn(), {"margin_pp": 0.0}),
    ("no-regression", "refused", apart(), {"max_slowdown": 0.01}),
    ("no-regression", "refused", drawn(), {"margin_pp": None}),
    ("no-regression", "refused", otherwise("data_hash", "other"), {}),
]  # fmt: skip
HEADLINES = {"pass": ("FASTER AND NOT WORSE", "MORE ACCURATE", "EQUIVALENT", "NO REGRESSION", "FASTER"),
             "fail": ("UNDER THE TARGET", "WORSE", "NOT MORE ACCURATE", "NOT EQUIVALENT", "NOT FASTER", "SLOWER",
                      "TIME NOT EQUIVALENT"),
             "inconclusive": ("INCONCLUSIVE",), "refused": ("REFUSED",)}  # fmt: skip


@pytest.mark.parametrize(("claim", "verdict", "frames", "promise"), CASES, ids=[f"{c[0]}-{c[1]}" for c in CASES])
def test_every_claim_has_every_outcome(
    claim: str, verdict: str, frames: tuple[pd.DataFrame, ...], promise: dict[str, Any]
) -> None:
    one = judged(*frames, claim=claim, **promise)
    assert one["verdict"] == verdict, one["headline"]
    assert one["headline"].split(":")[0] in HEADLINES[verdict]
    assert "nan" not in one["headline"].lower() and "None" not in one["headline"]
    if verdict == "inconclusive":
        assert one["more_runs"] is None or one["more_runs"] > 0
    else:
        assert one["more_runs"] == (0 if verdict == "pass" else None)


def test_a_fail_stands_before_a_refusal() -> None:
    one = judged(*apart(FAR_WORSE))
    assert one["time"]["decision"]["decision"] == "refused"
    assert (one["verdict"], one["headline"].split(":")[0]) == ("fail", "UNDER THE TARGET")


def test_a_fail_stands_before_a_margin_that_nobody_stated() -> None:
    assert judged(*drawn(speedup=0.9), margin_pp=None)["verdict"] == "fail"


def test_a_refusal_stands_before_an_open_question() -> None:
    one = judged(*apart(), **FINE)
    assert one["accuracy"]["noninferiority"]["decision"] == "inconclusive"
    assert (one["verdict"], one["more_runs"]) == ("refused", None)


def test_a_margin_that_is_missing_names_its_flag_and_leaves_the_estimates() -> None:
    one = judged(*drawn(), margin_pp=None)
    assert "--margin-pp" in one["headline"]
    assert one["accuracy"]["difference_pp"]["value"] is not None and one["time"]["speedup"]["value"] is not None
    assert one["time"]["decision"]["decision"] == "pass"


@pytest.mark.parametrize("claim", ["faster", "accurate", "equivalent", "no-regression"])
def test_every_endpoint_is_reported_whatever_the_claim(claim: str) -> None:
    one = judged(*drawn(), claim=claim, max_slowdown=0.01)
    ends = [one["accuracy"][k] for k in ("bar", "noninferiority", "superiority", "equivalence")]
    ends += [one["time"][k] for k in ("decision", "noninferiority", "equivalence")]
    assert all(d["bound"] is not None and d["p"] is not None and d["margin"] is not None for d in ends)


def test_bounds_and_margins_are_in_their_units() -> None:
    one = judged(*drawn(), max_slowdown=0.01)
    bar, time = one["accuracy"]["bar"], one["time"]
    assert bar["margin"] == 0.96 and 0.96 < bar["bound"] < 0.965
    assert one["accuracy"]["noninferiority"]["margin"] == 0.2 and -0.2 < one["accuracy"]["noninferiority"]["bound"] < 0
    assert one["accuracy"]["superiority"]["margin"] == 0
    assert time["decision"]["margin"] == 1 and 1.2 < time["decision"]["bound"] < 1.25
    assert time["noninferiority"]["margin"] == pytest.approx(1 / 1.01)
    assert time["equivalence"]["margin"] == pytest.approx(1.01)


def test_each_endpoint_is_held_to_alpha_alone() -> None:
    """Intersection-union: p of .01 to .05 in two endpoints passes at .05 and not at .01."""
    a, b = drawn((0.96045, 0.96045), 1.002, process_sd=0.0)
    at = {alpha: judged(a, b, alpha=alpha, margin_pp=0.07) for alpha in (0.05, 0.01)}
    ps = [
        at[0.05]["accuracy"]["bar"]["p"],
        at[0.05]["accuracy"]["noninferiority"]["p"],
        at[0.05]["time"]["decision"]["p"],
    ]
    assert sum(0.01 < p < 0.05 for p in ps) >= 2 and max(ps) < 0.05
    assert (at[0.05]["verdict"], at[0.01]["verdict"]) == ("pass", "inconclusive")


def test_a_fail_is_proven_at_alpha_too() -> None:
    """The upper bound lies below the target at .05 (t = 1.96 on 999: p .025), not at .01."""
    below = bare(1000, 0.9401 - 0.0002, 0.001613, first=5000, seed=2)
    asked = {"claim": "accurate", "target": 0.94, "margin_pp": None}
    at = {alpha: judged(bare(1000, 0.94), below, alpha=alpha, **asked)["accuracy"]["bar"] for alpha in (0.05, 0.01)}
    assert (at[0.05]["decision"], at[0.01]["decision"]) == ("fail", "inconclusive")
    assert at[0.05]["bound"] < 0.94


def test_the_roles_swapped_turn_the_signs() -> None:
    a, b = drawn(BETTER)
    one, other = judged(a, b), judged(b, a)
    assert one["accuracy"]["difference_pp"]["value"] == pytest.approx(-other["accuracy"]["difference_pp"]["value"])
    assert one["accuracy"]["effect_size"] == pytest.approx(-other["accuracy"]["effect_size"])
    assert one["accuracy"]["effect_size"] > 0
    assert one["time"]["speedup"]["value"] == pytest.approx(1 / other["time"]["speedup"]["value"])
    low, high = one["time"]["speedup"]["ci95"]
    assert other["time"]["speedup"]["ci95"] == pytest.approx([1 / high, 1 / low])


@pytest.mark.parametrize("margin", [0.05, 0.1, 0.2, 0.4])
def test_a_wider_margin_never_turns_a_pass_into_a_fail(margin: float) -> None:
    order = ["fail", "inconclusive", "pass"]
    for accuracy in (SAME, WORSE, (0.9650, 0.9640)):
        narrow, wide = (judged(*drawn(accuracy), margin_pp=m, target=None)["verdict"] for m in (margin, 1.5 * margin))
        assert order.index(wide) >= order.index(narrow)


def test_a_pass_within_the_margin_that_is_a_proven_loss_says_so() -> None:
    one = judged(*drawn((0.9650, 0.9640)))
    assert one["verdict"] == "pass" and "proven lower" in one["headline"]


def test_rows_may_come_in_any_order() -> None:
    a, b = drawn()
    mixed = [frame.sample(frac=1, random_state=5) for frame in (a, b)]
    one, other = judged(a, b), judged(*mixed)
    assert one["time"]["speedup"]["value"] == pytest.approx(other["time"]["speedup"]["value"])
    assert (one["verdict"], one["findings"]) == (other["verdict"], other["findings"])


def test_arms_that_share_a_trained_network_are_compared_network_by_network() -> None:
    """The networks differ by .12 pp, what is done with them by .02: only pairs can see that."""
    a, b = drawn((0.9650, 0.9650))
    gain = pd.Series([1, 2, 3, 2, 1] * 5)
    b = b.assign(correct=a["correct"] + gain)
    asked = {"claim": "accurate", "margin_pp": None}
    alone = judged(a, b, **asked)
    shared = judged(a.assign(trained_run=a["run_id"]), b.assign(trained_run=a["run_id"]), **asked)
    assert (alone["verdict"], shared["verdict"]) == ("inconclusive", "pass")
    assert shared["accuracy"]["difference_pp"]["method"] == "paired t, shared networks"
    assert shared["accuracy"]["difference_pp"]["value"] == pytest.approx(0.018)


def test_a_network_that_is_shared_by_some_runs_only_pairs_none() -> None:
    a, b = drawn()
    b = b.assign(trained_run=a["run_id"].where(a["block"] > 0, b["run_id"]))
    assert judged(a.assign(trained_run=a["run_id"]), b)["accuracy"]["difference_pp"]["method"] == "welch"


def test_more_runs_against_a_frozen_control_are_the_candidates() -> None:
    """The published sizes: against 1000 runs, sd .15, a true difference of 0 and a margin of .02 take 930."""
    control, candidate = bare(1000, 0.9401, 0.0015), bare(25, 0.9401, 0.0015, first=5000, seed=2)
    one = judged(control, candidate, claim="no-regression", margin_pp=0.02, target=None)
    assert (one["verdict"], one["more_runs"]) == ("inconclusive", 930 - 25)


def test_more_runs_are_for_both_arms_where_the_control_alone_cannot_bear_it() -> None:
    control, candidate = bare(25, 0.9401, 0.0015), bare(25, 0.9401, 0.0015, first=5000, seed=2)
    one = judged(control, candidate, claim="no-regression", margin_pp=0.02, target=None)
    assert (one["verdict"], one["more_runs"]) == ("inconclusive", 964 - 25)


def test_more_runs_fall_as_the_estimate_rises() -> None:
    wanted = [
        judged(bare(200), bare(50, mean, first=999, seed=2), claim="no-regression", margin_pp=0.002)["more_runs"]
        for mean in (0.9650, 0.96523, 0.96526)
    ]
    assert wanted[0] >= wanted[1] > wanted[2] > 0


@pytest.mark.parametrize(
    ("up", "word", "edge"), [(-1, "NOT MORE ACCURATE", "at most"), (1, "MORE ACCURATE", "at least")]
)
def test_a_decided_accuracy_tells_the_bound_that_decides(up: int, word: str, edge: str) -> None:
    """The two-sided interval of a decision at p = .04 holds 0: shown in the headline it would contradict the verdict."""
    a, b = bare(12, 0.965, 0.0012), bare(12, 0.965 + up * 0.0009, 0.0012, first=99, seed=2)
    one = judged(a, b, claim="accurate")
    difference, bound = one["accuracy"]["difference_pp"], one["accuracy"]["superiority"]["bound"]
    assert difference["ci95"][0] < 0 < difference["ci95"][1] and one["verdict"] == ("pass" if up > 0 else "fail")
    said = re.match(rf"{word}: accuracy (\S+) pp \({edge} (\S+) pp(, p = \.\d+)?\)", one["headline"])
    assert said is not None, one["headline"]
    shown = [float(text.replace("−", "-")) for text in said.groups()[:2]]
    assert shown == pytest.approx([difference["value"], bound], abs=0.006)
    assert up * shown[1] > 0


def test_arms_that_agree_on_every_seed_are_said_to() -> None:
    a, b = pair()
    b["correct"] = a["correct"]
    for claim, promise in (("accurate", {}), ("equivalent", {"margin_pp": 0.01})):
        one = judged(a, b, claim=claim, **promise)
        assert one["verdict"] == "inconclusive" and "exactly the same results on every seed" in one["headline"]
        assert "[" not in one["headline"], "an interval around a difference of exactly 0 says nothing"
    assert "exactly the same" not in judged(*pair(), claim="accurate")["headline"]
