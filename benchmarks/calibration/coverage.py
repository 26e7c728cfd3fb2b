"""How often every interval holds the truth."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from benchmarks.calibration.cells import HIT, VOID, Cell, Trial, three_se
from benchmarks.calibration.draws import MEAN, SD, SHAPES, draw, true_median, true_sd
from harness.model.estimate import Estimate
from harness.stats.anytime import beta_binomial_sequence, t_mixture_sequence, tuned_c2
from harness.stats.boschloo import boschloo_p
from harness.stats.clustered import clustered_mean
from harness.stats.correlation import pearson
from harness.stats.iso_accuracy import iso_speedup, sweep_point
from harness.stats.means import hedges_g, one_sample, paired, sd_interval, spread_ratio, welch
from harness.stats.proportions import clopper_pearson, jeffreys, miettinen_nurminen, newcombe, wilson
from harness.stats.quantiles import median
from harness.stats.ranks import brunner_munzel
from harness.stats.ratios import cost_of_success, cost_ratio_from_speedup, fieller, log_delta, log_ratio_to_ratio
from harness.stats.resampling import bca, permutation_p, sign_flip_p
from harness.stats.survival import rmst_difference

SIZES = (5, 25, 200, 1000)
TIME, CV, SPEEDUP = 4.166, 0.0078, 1.02
"""Seconds of one run, its coefficient of variation, and the true speed-up."""

# --- limits: .95 within three standard errors; where no method attains that, what is attainable, and why ------


def band(repeats: int, *, low: float = 0.0, high: float = 0.0) -> tuple[float, float]:
    """.95 within three standard errors, widened by what the case is known to fall short or exceed."""
    slack = three_se(0.95, repeats)
    return 0.95 - slack - low, min(1.0, 0.95 + slack + high)


def covers(estimate: Estimate, truth: float) -> tuple[str, ...]:
    """Whether the interval holds the truth; no interval is nothing to count."""
    if estimate.low is None and estimate.high is None:
        return (VOID,)
    low = -math.inf if estimate.low is None else estimate.low
    high = math.inf if estimate.high is None else estimate.high
    return (HIT,) if low <= truth <= high else ()


# --- one sample ---------------------------------------------------------------------------------------------


def t_mean(rng: np.random.Generator, shape: str, n: int) -> tuple[str, ...]:
    return covers(one_sample(draw(rng, shape, n)).estimate(), MEAN)


def t_one_sided(rng: np.random.Generator, shape: str, n: int) -> tuple[str, ...]:
    """Whether the mean is falsely proven to be above what it is."""
    p = one_sample(draw(rng, shape, n)).p_greater(MEAN)
    return (HIT,) if p is not None and p < 0.05 else ()


def spread(rng: np.random.Generator, shape: str, n: int) -> tuple[str, ...]:
    return covers(sd_interval(draw(rng, shape, n)), true_sd(shape))


def order_statistics(rng: np.random.Generator, shape: str, n: int) -> tuple[str, ...]:
    found = median(draw(rng, shape, n))
    if not (found.low_rank and found.high_rank):
        return (VOID,)
    tie = 1e-9  # grid points are sums of floats
    e = found.estimate
    return covers(Estimate(e.value, (e.low or 0) - tie, (e.high or 0) + tie), true_median(shape))


# --- two samples --------------------------------------------------------------------------------------------


def welch_difference(rng: np.random.Generator, shape: str, n: int, m: int) -> tuple[str, ...]:
    a, b = draw(rng, shape, n), draw(rng, shape, m, mean=MEAN - 0.1, sd=1.3 * SD)
    return covers(welch(a, b).estimate(), 0.1)


def paired_difference(rng: np.random.Generator, shape: str, n: int) -> tuple[str, ...]:
    network = rng.normal(0, SD, n)
    return covers(paired(network + draw(rng, shape, n), network).estimate(), MEAN)


def superiority(rng: np.random.Generator, shape: str, n: int) -> tuple[str, ...]:
    a, b = (np.round(draw(rng, shape, n), 9) for _ in range(2))
    return covers(brunner_munzel(a, b).estimate(), 0.5)


def effect_size(rng: np.random.Generator, shape: str, n: int) -> tuple[str, ...]:
    return covers(hedges_g(draw(rng, shape, n, mean=MEAN + 0.5 * true_sd(shape)), draw(rng, shape, n)), 0.5)


def sd_ratio(rng: np.random.Generator, shape: str, n: int) -> tuple[str, ...]:
    return covers(spread_ratio(draw(rng, shape, n, sd=2 * SD), draw(rng, shape, n)), 2.0)


def correlation(rng: np.random.Generator, n: int) -> tuple[str, ...]:
    x = rng.standard_normal(n)
    return covers(pearson(x, 0.3 * x + math.sqrt(1 - 0.09) * rng.standard_normal(n)), 0.3)


# --- time ---------------------------------------------------------------------------------------------------


def seconds(rng: np.random.Generator, shape: str, n: int, mean: float = TIME) -> np.ndarray:
    return mean * (1 + CV * (draw(rng, shape, n) - MEAN) / SD)


def ratio_of_means(rng: np.random.Generator, shape: str, n: int, method: str) -> tuple[str, ...]:
    a, b = one_sample(seconds(rng, shape, n)), one_sample(seconds(rng, shape, n, TIME / SPEEDUP))
    if method == "fieller":
        return covers(fieller(a, b), SPEEDUP)
    return covers(log_ratio_to_ratio(log_delta(a, b)), SPEEDUP)


def clustered_ratio(rng: np.random.Generator, shape: str, sizes: tuple[int, ...]) -> tuple[str, ...]:
    """Blocks in process starts, each arm with an effect of .3 % of its own in each."""
    which = np.repeat(np.arange(len(sizes)), sizes)
    noise = np.log(seconds(rng, shape, which.size)) - np.log(seconds(rng, shape, which.size))
    own = rng.normal(0, 0.003, (2, len(sizes)))
    contrast = clustered_mean(math.log(SPEEDUP) + noise + (own[0] - own[1])[which], which).contrast
    return covers(log_ratio_to_ratio(contrast), SPEEDUP)


def bootstrapped_ratio(rng: np.random.Generator, shape: str, n: int) -> tuple[str, ...]:
    a, b = seconds(rng, shape, n), seconds(rng, shape, n, TIME / SPEEDUP)
    return covers(bca([a, b], _ratio, rng=rng, resamples=999), SPEEDUP)


def _ratio(a: np.ndarray, b: np.ndarray) -> float:
    return float(a.sum() / b.sum())


def iso_accuracy(rng: np.random.Generator, n: int) -> tuple[str, ...]:
    """Five lengths of `n` runs an arm on one power law; the candidate gets there 2 % sooner."""
    arms = [
        [sweep_point(t / s, rng.normal(6 * (t / 4.1) ** -0.55, SD, n)) for t in (3.5, 3.8, 4.1, 4.4, 4.7)]
        for s in (1, SPEEDUP)
    ]
    return covers(iso_speedup(arms[0], arms[1], target_error=6.0), SPEEDUP)


def restricted_mean(rng: np.random.Generator, n: int) -> tuple[str, ...]:
    """Exponential times to target, ended at 1."""
    rates, sides = (1.0, 1.5), []
    for rate in rates:
        t = rng.exponential(1 / rate, n)
        sides += [np.minimum(t, 1.0), t < 1.0]
    truth = [(1 - math.exp(-r)) / r for r in rates]
    return covers(rmst_difference(*sides, horizon=1.0).estimate(), truth[0] - truth[1])


# --- success ------------------------------------------------------------------------------------------------


def cost(rng: np.random.Generator, n: int, p: float) -> tuple[str, ...]:
    time = one_sample(seconds(rng, "normal", n))
    return covers(cost_of_success(time, k=int(rng.binomial(n, p)), n=n)[0], TIME / p)


def cost_ratio(rng: np.random.Generator, n: int, p: float, q: float) -> tuple[str, ...]:
    """Candidate / control, the speed-up from 5 process starts."""
    speedup = clustered_mean(rng.normal(math.log(SPEEDUP), 0.004, 5), np.arange(5)).contrast
    k, m = int(rng.binomial(n, p)), int(rng.binomial(n, q))
    found = cost_ratio_from_speedup(speedup, k_first=k, n_first=n, k_second=m, n_second=n)
    return covers(found, q / p / SPEEDUP)


def _mass(n: int, p: float) -> np.ndarray:
    k = np.arange(n + 1)
    logs = np.array([math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) for i in k.tolist()])
    return np.exp(logs + k * math.log(p) + (n - k) * math.log1p(-p))


def exact_rate(method: Callable[..., Estimate], n: int, p: float) -> float:
    """Coverage over all outcomes, not a sample of them."""
    hit = [HIT in covers(method(k, n), p) for k in range(n + 1)]
    return float(_mass(n, p) @ hit)


def exact_newcombe(n: int, m: int, p: float, q: float) -> float:
    """Coverage over all pairs of outcomes; limits from the harness's, in squares around the two rates."""
    mass = _mass(n, p)[:, None] * _mass(m, q)
    total = 0.0
    for i, j in zip(*np.nonzero(mass > 1e-9), strict=True):
        if HIT in covers(newcombe(int(i), n, int(j), m), p - q):
            total += float(mass[i, j])
    return total


def score_interval(rng: np.random.Generator, n: int, m: int, p: float, q: float) -> tuple[str, ...]:
    return covers(miettinen_nurminen(int(rng.binomial(n, p)), n, int(rng.binomial(m, q)), m), p - q)


def exact_boschloo(n: int, p: float) -> float:
    """How often equal rates are called different at .05."""
    mass = _mass(n, p)[:, None] * _mass(n, p)
    return sum(
        float(mass[i, j]) for i in range(n + 1) for j in range(n + 1)
        if mass[i, j] > 1e-9 and boschloo_p(i, n, j, n) <= 0.05
    )  # fmt: skip


# --- tests by resampling, and confidence sequences ----------------------------------------------------------


def permuted(rng: np.random.Generator, shape: str, n: int) -> tuple[str, ...]:
    p = permutation_p(draw(rng, shape, n), draw(rng, shape, n), rng=rng, resamples=999)
    return (HIT,) if p is not None and p <= 0.05 else ()


def sign_flipped(rng: np.random.Generator, shape: str, s: int) -> tuple[str, ...]:
    p = sign_flip_p(draw(rng, shape, s) - draw(rng, shape, s), rng=rng)
    return (HIT,) if p is not None and p <= 0.05 else ()


LOOKS = tuple(sorted({int(n) for n in np.geomspace(2, 1000, 120)}))


def mean_sequence(rng: np.random.Generator, shape: str) -> tuple[str, ...]:
    """Whether the truth is missed at any of 100 looks between n = 2 and 1000."""
    x, c2 = draw(rng, shape, LOOKS[-1]), tuned_c2(200)
    return (HIT,) if any(not covers(t_mixture_sequence(x[:n], c2=c2), MEAN) for n in LOOKS) else ()


def rate_sequence(rng: np.random.Generator, p: float) -> tuple[str, ...]:
    successes = np.cumsum(rng.random(LOOKS[-1]) < p)
    return (HIT,) if any(not covers(beta_binomial_sequence(int(successes[n - 1]), n), p) for n in LOOKS) else ()


# --- the list -----------------------------------------------------------------------------------------------

ENUMERATED = {  # exact coverage of three methods at p = .522, .9, .98, known to three decimals
    "Wilson": (wilson, {5: (.936, .919, .904), 25: (.931, .967, .911), 200: (.953, .956, .933), 1000: (.947, .949, .947)}),
    "Clopper-Pearson": (
        clopper_pearson, {5: (.975, .991, .996), 25: (.974, .991, .987), 200: (.953, .967, .962), 1000: (.954, .955, .959)}
    ),
    "Jeffreys": (jeffreys, {5: (.936, .991, .904), 25: (.931, .895, .987), 200: (.953, .941, .962), 1000: (.947, .949, .959)}),
}  # fmt: skip
HEAVY = "heavy tails: wider than needed at small n"
LOPSIDED = "left-skewed: the misses lie on one side"
ATTAINED = {25: 0.9567, 200: 0.9600, 1000: 0.9537}
"""What the order statistics of a median attain."""
CLUSTERS = {5: (1,) * 5, 25: (5,) * 5, 200: (20,) * 10, 1000: (100,) * 10}


def cells(quick: bool) -> Iterator[Cell]:
    """Every interval at every size and shape; `quick` has a tenth of the repeats."""
    closed, calls, resampled = (1000, 300, 50) if quick else (10_000, 2000, 500)
    for shape in SHAPES:
        for n in SIZES:
            yield from _means(shape, n, closed)
            yield from _times(shape, n, closed, resampled)
            yield from _ranks(shape, n, calls, resampled)
    yield from _rates(resampled, closed)
    yield from _others(calls, resampled, closed)


def _cell(what: str, where: str, repeats: int, trial: Trial, limits: tuple[float, float], expected: str = "") -> Cell:
    return Cell("coverage", what, where, repeats, trial, *limits, expected=expected)


def _shaped(shape: str, n: int, repeats: int) -> tuple[tuple[float, float], str]:
    """The limits of a t interval on data of this shape."""
    if shape == "t5":
        return band(repeats, high=0.01 if n <= 25 else 0.0), HEAVY if n <= 25 else ""
    if shape == "left-skewed":
        return band(repeats, low=0.005, high=0.005), LOPSIDED
    return band(repeats), ""


def _means(shape: str, n: int, repeats: int) -> Iterator[Cell]:
    where, (limits, why) = f"{shape}, n = {n}", _shaped(shape, n, repeats)
    yield _cell("t, mean", where, repeats, partial(t_mean, shape=shape, n=n), limits, why)
    most = {5: 0.07, 25: 0.07, 200: 0.06, 1000: 0.06}[n] if shape == "left-skewed" else 0.05 + three_se(0.05, repeats)
    yield Cell("one-sided .05", "t, mean falsely above", where, repeats, partial(t_one_sided, shape=shape, n=n),
               0.0, most, expected=LOPSIDED if shape == "left-skewed" else "")  # fmt: skip
    if shape in ("normal", "quantised"):
        yield _cell("χ², standard deviation", where, repeats, partial(spread, shape=shape, n=n), band(repeats))
        yield _cell("F, ratio of sds", where, repeats, partial(sd_ratio, shape=shape, n=n), band(repeats))
    else:
        limits = (0.70, 0.90) if n >= 200 else (0.70, 0.95)
        yield _cell("χ², standard deviation", where, repeats, partial(spread, shape=shape, n=n), limits,
                    "holds on normal data only: documented, and `skewed` warns")  # fmt: skip
    if n > 5:
        slack = three_se(ATTAINED[n], repeats)
        limits = (ATTAINED[n] - slack, 1.0 if shape == "quantised" else ATTAINED[n] + slack)
        yield _cell("order statistics, median", where, repeats, partial(order_statistics, shape=shape, n=n), limits,
                    f"attains {ATTAINED[n]:.4f}" + (", more with ties" if shape == "quantised" else ""))  # fmt: skip
    small = 0.01 if n == 5 else 0.0
    limits, why = _shaped(shape, n, repeats)
    for m in (n, 1000) if n == 25 else (n,):
        yield _cell("Welch, difference", f"{where} against {m}", repeats,
                    partial(welch_difference, shape=shape, n=n, m=m), (limits[0], limits[1] + small), why)  # fmt: skip
    yield _cell("paired t", where, repeats, partial(paired_difference, shape=shape, n=n), limits, why)


def _times(shape: str, n: int, repeats: int, resampled: int) -> Iterator[Cell]:
    where, (limits, why) = f"{shape}, n = {n}", _shaped(shape, n, repeats)
    small = 0.01 if n == 5 else 0.0
    for method in ("log delta", "fieller"):
        yield _cell(f"{method}, ratio of mean times", f"{where} against {n}", repeats,
                    partial(ratio_of_means, shape=shape, n=n, method=method), (limits[0], limits[1] + small), why)  # fmt: skip
    sizes = CLUSTERS[n]
    yield _cell("clustered log ratio", f"{shape}, {len(sizes)} × {sizes[0]} blocks", repeats,
                partial(clustered_ratio, shape=shape, sizes=sizes),
                band(repeats, high=0.01 if shape == "t5" and n == 5 else 0))  # fmt: skip
    if n == 25:
        yield _cell("clustered log ratio", f"{shape}, 3 to 7 blocks in 5", repeats,
                    partial(clustered_ratio, shape=shape, sizes=(3, 4, 5, 6, 7)), band(repeats, low=0.01),
                    "unequal process starts: about as many degrees of freedom")  # fmt: skip
    if n in (25, 200):
        yield _cell("BCa, ratio of mean times", f"{where} against {n}", resampled,
                    partial(bootstrapped_ratio, shape=shape, n=n), band(resampled, low=0.02 if n == 25 else 0.0),
                    "bootstraps are narrow at 25" if n == 25 else "")  # fmt: skip


def _ranks(shape: str, n: int, calls: int, resampled: int) -> Iterator[Cell]:
    where = f"{shape}, n = {n} against {n}"
    yield _cell("Brunner-Munzel, P(A > B)", where, calls, partial(superiority, shape=shape, n=n),
                band(calls, low=0.04 if n == 5 else 0.0), "ranks of 5: the t approximation is rough" if n == 5 else "")  # fmt: skip
    if shape in ("normal", "quantised"):
        yield _cell("Hedges g, noncentral t", where, resampled, partial(effect_size, shape=shape, n=n), band(resampled))
    if n <= 25:
        yield Cell("level .05", "permutation, Welch t", where, resampled, partial(permuted, shape=shape, n=n),
                   0.0, 0.05 + three_se(0.05, resampled))  # fmt: skip


def _rates(resampled: int, closed: int) -> Iterator[Cell]:
    for name, (method, known) in ENUMERATED.items():
        for n, values in known.items():
            for p, value in zip((0.522, 0.9, 0.98), values, strict=True):
                yield Cell("coverage", f"{name}, rate", f"p = {p}, n = {n}", 0, None, value - 6e-4, value + 6e-4,
                           exact=partial(exact_rate, method, n, p), expected=f"exact enumeration: {value:.3f}")  # fmt: skip
    for n, m, reach in ((5, 5, 0.045), (25, 25, 0.03), (25, 1000, 0.03), (200, 200, 0.01), (1000, 1000, 0.005)):
        for p, q in ((0.522, 0.425), (0.9, 0.9)):
            where, why = f"p = {p} and {q}, n = {n} and {m}", "counts are discrete"
            most = 1.0 if n <= 25 else 0.95 + reach
            yield Cell("coverage", "Newcombe, difference of rates", where, 0, None, 0.95 - reach, most,
                       exact=partial(exact_newcombe, n, m, p, q), expected=why)  # fmt: skip
            slack = three_se(0.95, resampled)
            yield _cell("Miettinen-Nurminen, difference of rates", where, resampled,
                        partial(score_interval, n=n, m=m, p=p, q=q), (0.95 - reach - slack, min(1.0, most + slack)), why)  # fmt: skip
    for n in (5, 25, 50):
        for p in (0.522, 0.9):
            yield Cell("level .05", "Boschloo", f"p = {p}, n = {n} against {n}", 0, None, 0.0, 0.05,
                       exact=partial(exact_boschloo, n, p), expected="exact enumeration")  # fmt: skip
    for n in SIZES:
        low, why = {5: (0.15, ROUGH), 25: (0.03, ROUGH), 200: (0.01, ""), 1000: (0.0, "")}[n]
        high = 0.05 if n == 5 else 0.01
        yield _cell("log delta, cost of success", f"p = .522, n = {n}", closed, partial(cost, n=n, p=0.522),
                    band(closed, low=low, high=high), why)  # fmt: skip
        yield _cell("log delta, ratio of costs", f"p = .425 and .522, n = {n}", closed,
                    partial(cost_ratio, n=n, p=0.425, q=0.522), band(closed, low=low, high=high), why)  # fmt: skip


ROUGH = "a rate from few runs: the normal approximation of its log is rough"


def _others(calls: int, resampled: int, closed: int) -> Iterator[Cell]:
    for n in SIZES:
        yield _cell("Pearson r, Fisher z", f"r = .3, n = {n}", calls, partial(correlation, n=n), band(calls, high=0.02))
        if n > 5:
            yield _cell("restricted mean time, difference", f"exponential, n = {n} against {n}", resampled,
                        partial(restricted_mean, n=n), band(resampled, low=0.02 if n == 25 else 0.0),
                        "normal quantiles" if n == 25 else "")  # fmt: skip
        if 5 < n < 1000:
            yield _cell("speed-up at equal accuracy", f"5 lengths × {n} runs an arm", calls,
                        partial(iso_accuracy, n=n), band(calls))  # fmt: skip
    for s in (6, 10):
        yield Cell("level .05", "sign flips of process starts", f"S = {s}", resampled,
                   partial(sign_flipped, shape="normal", s=s), 0.0, 0.05 + three_se(0.05, resampled))  # fmt: skip
    for shape in SHAPES:
        yield Cell("level .05", "confidence sequence, mean, ever", f"{shape}, n = 2 to 1000", resampled,
                   partial(mean_sequence, shape=shape), 0.0, 0.05 + three_se(0.05, resampled))  # fmt: skip
    for p in (0.522, 0.9):
        yield Cell("level .05", "confidence sequence, rate, ever", f"p = {p}, n = 2 to 1000", resampled,
                   partial(rate_sequence, p=p), 0.0, 0.05 + three_se(0.05, resampled))  # fmt: skip
