"""Looking more than once: group-sequential bounds, SPRT, confidence sequences, control charts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from reference_samples import F25

from harness.stats.anytime import (
    beta_binomial_sequence,
    normal_mixture_width,
    t_mixture_e_value,
    t_mixture_sequence,
    tuned_c2,
    tuned_rho2,
)
from harness.stats.control_charts import cusum_arl
from harness.stats.sequential import (
    crossings,
    efficacy_bounds,
    equal_looks,
    hwang_shih_decani,
    obrien_fleming,
    plan,
    pocock,
    t_bound,
)
from harness.stats.sprt import gsprt, wald_bounds


@pytest.mark.parametrize(
    ("alpha", "bounds"),
    [
        (0.025, (4.8769, 3.3570, 2.6803, 2.2898, 2.0310)),  # Lan and DeMets (1983); ldbounds, gsDesign
        (0.05, (4.2292, 2.8881, 2.2981, 1.9618, 1.7397)),
    ],
)
def test_obrien_fleming_bounds(alpha: float, bounds: tuple[float, ...]) -> None:
    assert efficacy_bounds(equal_looks(5), alpha=alpha) == pytest.approx(bounds, abs=5.1e-5)


def test_pocock_bounds() -> None:  # Jennison and Turnbull (2000), Lan-DeMets Pocock-type; K = 2, one-sided .025
    assert efficacy_bounds(equal_looks(2), alpha=0.025, spending=pocock) == pytest.approx((2.157, 2.201), abs=1.1e-3)


def test_hwang_shih_decani_bounds() -> None:
    found = efficacy_bounds(equal_looks(5), alpha=0.05, spending=hwang_shih_decani(-2))
    assert found == pytest.approx((2.665, 2.460, 2.243, 2.019, 1.787), abs=5.1e-4)


def test_futility_and_inflation() -> None:
    p = plan(equal_looks(5), futility=hwang_shih_decani(-2))
    assert p.futility == pytest.approx((-1.040, -0.233, 0.454, 1.082, 1.740), abs=5.1e-4)
    assert p.inflation == pytest.approx(1.1159, abs=1e-4)


@pytest.mark.parametrize(
    ("spending", "looks", "inflation", "sizes"),
    [  # expected sizes over the fixed one when the effect is 0, half, all and 1.5 times the planned one
        (obrien_fleming, 5, 1.116, (0.63, 0.83, 0.75, 0.57)),
        (obrien_fleming, 3, 1.079, (0.68, 0.86, 0.80, None)),
        (pocock, 5, 1.275, (0.66, 0.83, 0.66, 0.43)),
        (hwang_shih_decani(-2), 5, 1.140, (0.63, 0.82, 0.70, 0.48)),
    ],
)
def test_expected_sizes(spending: object, looks: int, inflation: float, sizes: tuple[float | None, ...]) -> None:
    p = plan(equal_looks(looks), spending=spending, futility=hwang_shih_decani(-2))  # type: ignore[arg-type]
    assert p.inflation == pytest.approx(inflation, abs=6e-4)
    for effect, size in zip((0.0, 0.5, 1.0, 1.5), sizes, strict=True):
        assert size is None or p.expected_size(effect) == pytest.approx(size, abs=0.0051)


def test_bounds_keep_their_level_and_power() -> None:
    p = plan((0.1, 0.35, 0.5, 1.0), alpha=0.05, power=0.9, futility=hwang_shih_decani(-2))
    assert sum(crossings(p.information, p.efficacy, None, drift=0).above) == pytest.approx(0.05, abs=1e-9)
    assert sum(crossings(p.information, p.efficacy, p.futility, drift=p.drift).above) == pytest.approx(0.9, abs=1e-8)


def test_uncorrected_looks() -> None:
    """Two-sided 5 % at 25, 200 and 1000 runs: 13.4 %. Armitage, McPherson and Rowe (1969) for K equal looks."""
    z = 1.959963985
    for times, wanted in (((0.025, 0.2, 1.0), 0.134), (equal_looks(2), 0.083), (equal_looks(5), 0.142)):
        found = crossings(times, [z] * len(times), [-z] * len(times), drift=0)
        assert sum(found.above) + sum(found.below) == pytest.approx(wanted, abs=6e-4)


def test_t_bound_keeps_the_tail() -> None:  # t_.975 on 4 df
    assert t_bound(1.959963985, 4) == pytest.approx(2.776445105, rel=1e-8)


def test_wald_bounds() -> None:
    assert wald_bounds(alpha=0.05, beta=0.1) == pytest.approx((-2.2512918, 2.8903718), rel=1e-7)


def test_gsprt_of_25_runs() -> None:
    found = gsprt(F25, mu0=93.98, mu1=94.01)
    assert found.llr == pytest.approx(1.4237877, rel=1e-7)
    assert found.state == "continue"


def test_tuned_mixtures() -> None:
    assert [tuned_rho2(n) for n in (25, 200, 1000)] == pytest.approx([0.317446, 0.0396808, 0.00793615], rel=2e-6)


@pytest.mark.parametrize(
    ("tuned", "widths"),
    [
        (25, (0.0911, 0.0649, 0.0469, 0.0341, 0.0224, 0.0163)),
        (200, (0.1099, 0.0692, 0.0463, 0.0322, 0.0207, 0.0150)),
        (1000, (0.1832, 0.1001, 0.0578, 0.0357, 0.0207, 0.0144)),
    ],
)
def test_normal_mixture_widths(tuned: int, widths: tuple[float, ...]) -> None:
    found = [normal_mixture_width(n, sd=0.15, rho2=tuned_rho2(tuned)) for n in (25, 50, 100, 200, 500, 1000)]
    assert found == pytest.approx(widths, abs=5.1e-5)


def test_t_mixture_of_25_runs() -> None:
    e = t_mixture_sequence(F25, c2=tuned_c2(200))
    assert (e.low, e.high) == (pytest.approx(93.9017393, abs=1e-7), pytest.approx(94.1782607, abs=1e-7))
    for mu in (e.low, e.high):
        assert t_mixture_e_value(F25, mu0=mu, c2=tuned_c2(200)) == pytest.approx(20, rel=1e-8)


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [(17, 25, 0.3726, 0.9048), (522, 1000, 0.4643, 0.5793), (425, 1000, 0.3687, 0.4826), (0, 20, 0.0, 0.2240)],
)
def test_beta_binomial_sequence(k: int, n: int, low: float, high: float) -> None:
    e = beta_binomial_sequence(k, n)
    assert (e.low, e.high) == (pytest.approx(low, abs=5.1e-5), pytest.approx(high, abs=5.1e-5))


SHIFTS = (0, 0.25, 0.5, 0.75, 1, 1.5, 2)


@pytest.mark.parametrize(
    ("h", "k", "lengths"),
    [  # Brook and Evans (1972), Lucas and Crosier (1982); the last two by a Markov chain to .02 %
        (4, 0.5, (335.37, 77.08, 26.68, 13.29, 8.38, 4.75, 3.34)),
        (5, 0.5, (930.9, 141.7, 38.01, 17.05, 10.38, 5.75, 4.01)),
        (8.01, 0.25, (740.6, 84.2, 28.8)),
        (9, 0.25, (1239.6, 103.3, 32.7)),
    ],
)
def test_cusum_run_lengths(h: float, k: float, lengths: tuple[float, ...]) -> None:
    for shift, length in zip(SHIFTS, lengths, strict=False):
        assert cusum_arl(h=h, k=k, shift=shift) == pytest.approx(length, rel=1.5e-3 if length < 50 else 5e-4)


def test_cusum_run_length_by_simulation() -> None:
    rng = np.random.default_rng(5)
    s, alive, total = np.zeros(4000), np.ones(4000, dtype=bool), np.zeros(4000)
    while alive.any():
        s = np.maximum(0, s + rng.normal(0.5, 1, 4000) - 0.5)
        total += alive
        alive &= s <= 3
    want = cusum_arl(h=3, shift=0.5)
    assert total.mean() == pytest.approx(want, abs=4 * total.std() / math.sqrt(4000))
