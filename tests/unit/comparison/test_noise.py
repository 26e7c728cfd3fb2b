"""The noise floor: the standard deviations that were put in come out, and its sizes keep their word."""

from __future__ import annotations

import numpy as np
import pytest

from harness.comparison.frame import make_frame, text_column
from harness.comparison.noise import NoiseFloor, noise_floor, sd_limits
from harness.comparison.pair import Pair, Promise
from harness.comparison.samples import make_sample
from harness.stats.means import sd_interval


def drawn(
    rng: np.random.Generator, *, starts: int, blocks: int, between: float, within: float, effect: float = 0.0
) -> Pair:
    """Two arms of one work: a process start moves each arm by `between`, a run by `within`; `b` is shorter by `effect`."""
    n = starts * blocks
    names = np.repeat([f"i{s}" for s in range(starts)], blocks)
    samples = []
    for arm, shift in (("a", 0.0), ("b", -effect)):
        luck = np.repeat(rng.normal(0, between, starts), blocks)
        times = np.exp(shift + luck + rng.normal(0, within, n))
        columns = {
            "accuracy": np.full(n, 0.9),
            "time_s": times,
            "block": np.arange(n, dtype=float),
            "seed": np.arange(n, dtype=float),
        }
        columns |= {"invocation": text_column(names.tolist()), "arm": text_column([arm] * n)}
        samples.append(make_sample(arm, [make_frame(columns, n, "aa")]))
    return Pair(*samples, Promise("time-only", 0.05))


def floor_of(pair: Pair) -> NoiseFloor:
    found = noise_floor(pair, power=0.9)
    assert isinstance(found, NoiseFloor)
    return found


def test_what_was_put_in_comes_out() -> None:
    floor = floor_of(drawn(np.random.default_rng(1), starts=4000, blocks=5, between=0.01, within=0.02))
    root2 = 2**0.5
    assert floor.pair.between == pytest.approx(0.01 * root2, rel=0.05) and floor.pair.within == pytest.approx(
        0.02 * root2, rel=0.02
    )
    assert floor.start_sd == pytest.approx(root2 * (0.01**2 + 0.02**2 / 5) ** 0.5, rel=0.03)
    assert floor.sd_of_a_start(5) == pytest.approx(floor.start_sd, rel=0.01)
    assert floor.sd_of_a_start(80) < floor.sd_of_a_start(5)
    assert floor.run.between == pytest.approx(0.01, rel=0.06) and floor.run.within == pytest.approx(0.02, rel=0.02)
    assert floor.ratio.value == pytest.approx(1.0, abs=0.002)


def test_the_smallest_effect_is_seen_as_often_as_promised() -> None:
    """Told from many process starts; then small campaigns with that very effect, judged as `compare` judges time."""
    rng = np.random.default_rng(2)
    noise = {"between": 0.01, "within": 0.02}
    reach = floor_of(drawn(rng, starts=2000, blocks=5, **noise)).reach(25)
    assert reach["starts"] == 5 and reach["range"][0] < reach["detectable"] < reach["range"][1]
    effect = np.log1p(reach["detectable"])
    hits = {}
    for name, size in (("null", 0.0), ("there", effect)):
        pairs = (drawn(rng, starts=5, blocks=5, effect=size, **noise) for _ in range(400))
        hits[name] = np.mean([(pair.log_speedup.contrast.p_greater(0.0) or 1.0) < 0.05 for pair in pairs])
    assert hits["null"] == pytest.approx(0.05, abs=0.035)
    assert hits["there"] == pytest.approx(0.90, abs=0.045)


def test_what_a_size_needs_is_the_other_way_round() -> None:
    floor = floor_of(drawn(np.random.default_rng(3), starts=400, blocks=5, between=0.01, within=0.02))
    need = floor.need(0.01)
    assert need["blocks_per_start"] == 5 and need["seeds"] == 5 * need["starts"]
    assert need["range"][0] <= need["starts"] <= need["range"][1]
    assert floor.need(0.05)["starts"] == 5, "never fewer than judge time at all"
    assert floor.need(0.002)["starts"] > need["starts"]


def test_limits_of_a_standard_deviation_are_those_of_chi_squared() -> None:
    values = np.array([1.0, 2.0, 4.0, 3.0, 7.0, 5.0])
    known = sd_interval(values)
    assert sd_limits(float(values.std(ddof=1)), 5) == pytest.approx((known.low, known.high))


def test_one_process_start_has_no_noise_floor() -> None:
    told = noise_floor(drawn(np.random.default_rng(4), starts=1, blocks=5, between=0.01, within=0.02), power=0.9)
    assert isinstance(told, str) and "1 process start " in told


def test_times_without_any_spread_are_a_floor_of_0() -> None:
    floor = floor_of(drawn(np.random.default_rng(5), starts=4, blocks=5, between=0.0, within=0.0))
    assert floor.start_sd == 0.0 and floor.range == (1.0, 1.0) and floor.reach(25)["detectable"] == 0.0
    assert floor.need(0.01)["starts"] == 5
