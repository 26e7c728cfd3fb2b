"""Every published or recomputed number that this harness is held to, with what the harness makes of it.

    uv run --group dev python tests/reference/vectors.py      # writes the table into docs/validation.md

`expected` is the number as printed at its source; the harness agrees if it is right to half a unit of the last digit, or
`within` where the source itself is rounded input or simulation. A range of names is one vector of several numbers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from reference_samples import (
    AML_MAINTAINED,
    AML_OTHERS,
    BH_1995,
    F25,
    LEW,
    LOTTERY,
    MAVRO,
    MICHELSO,
    ORANGE_JUICE,
    VITAMIN_C,
)

from harness.stats.anytime import (
    beta_binomial_sequence,
    normal_mixture_width,
    t_mixture_sequence,
    tuned_c2,
    tuned_rho2,
)
from harness.stats.boschloo import boschloo_greater
from harness.stats.clustered import clustered_mean
from harness.stats.contrast import Contrast
from harness.stats.control_charts import cusum_arl
from harness.stats.correlation import pearson
from harness.stats.equivalence import tost
from harness.stats.means import (
    from_moments,
    hedges_g,
    one_sample,
    sd_interval,
    small_sample_factor,
    welch,
    welch_from_moments,
)
from harness.stats.moments import Moments, moments
from harness.stats.multiplicity import (
    benjamini_hochberg,
    benjamini_yekutieli,
    critical_value,
    dunnett,
    holm,
    loadings,
    upper_tail,
)
from harness.stats.power import (
    detectable_difference,
    fractional_runs,
    power_two_sided,
    runs_to_prove,
    seeds_balanced,
    seeds_one_sample,
    seeds_vs_control,
)
from harness.stats.proportions import clopper_pearson, jeffreys, miettinen_nurminen, newcombe, pooled_p, wilson
from harness.stats.quantiles import median, quantile_ranks
from harness.stats.ranks import brunner_munzel, cliffs_delta
from harness.stats.ratios import (
    cost_of_success,
    cost_ratio,
    fieller,
    log_delta,
    log_difference,
    log_ratio_to_ratio,
    wilson_cost,
)
from harness.stats.resampling import bca, permutation_p
from harness.stats.selection import winner_interval
from harness.stats.sequential import efficacy_bounds, equal_looks, hwang_shih_decani, plan
from harness.stats.series import correlation_time, effective_n, lag1
from harness.stats.shrinkage import empirical_bayes, expected_luck
from harness.stats.sprt import gsprt, wald_bounds
from harness.stats.survival import kaplan_meier, logrank_z, rmst

DOCUMENT = Path(__file__).parents[2] / "docs/validation.md"
Numbers = tuple[float | None, ...]


@dataclass(frozen=True)
class Vector:
    """One vector: `expected` as printed ("-": does not exist), and the call that must give it."""

    family: str
    what: str
    source: str
    expected: str
    call: Callable[[], Any]
    within: float | None = None  # absolute, where not half a unit of the last digit

    @property
    def wanted(self) -> list[tuple[float | None, float]]:
        """Numbers and tolerances."""
        out: list[tuple[float | None, float]] = []
        for text in self.expected.split():
            if text == "-":
                out.append((None, 0.0))
                continue
            number = Decimal(text)
            exponent = number.as_tuple().exponent
            assert isinstance(exponent, int)
            out.append((float(number), 0.501 * 10.0**exponent if self.within is None else self.within))
        return out

    def got(self) -> Numbers:
        found = self.call()
        several = isinstance(found, tuple | list | np.ndarray)
        return tuple(None if x is None else float(x) for x in (found if several else (found,)))

    def holds(self, got: Numbers) -> bool:
        if len(got) != len(self.wanted):
            return False
        return all(
            x is None if want is None else x is not None and abs(x - want) <= reach + 1e-14 * abs(want)
            for x, (want, reach) in zip(got, self.wanted, strict=True)
        )


def ci(e: Any) -> Numbers:
    return (e.low, e.high)


def t_df_p(c: Contrast, null: float = 0.0) -> Numbers:
    assert c.se is not None
    return ((c.value - null) / c.se, c.df, c.p_two_sided(null))


def nist(x: Any) -> Numbers:
    m = moments(x)
    return (m.mean, m.sd, lag1(x))


def num_acc(base: float) -> list[float]:
    return [base + 0.2] + [base + 0.1, base + 0.3] * 500


SD2 = (0.01 * math.sqrt(1000) / 1.96) ** 2  # of a study that prints 94.01 ± .01 for 1000 runs
STUDY = welch_from_moments(Moments(1000, 93.98, SD2), Moments(1000, 94.01, SD2))
BASE, FINAL = Contrast(4.166, 0.002 / 1.96, math.inf), Contrast(4.082, 0.002 / 1.96, math.inf)
BASE_TIME, FINAL_TIME = (Contrast(m, 0.03227 / math.sqrt(1000), 999.0) for m in (4.166, 4.082))
SWEEP = (0.08, 0.05, 0.03, 0.03, 0.01, 0, -0.02, -0.03, -0.05)
WIDE = (0.12, 0.08, 0.05, 0.02, 0, -0.02, -0.04, -0.06, -0.10)
BLOOD = [[9.76, 8.80, 7.68, 9.36], [12.80, 9.68, 12.16, 9.20, 10.55]]
BLOOD_CONTROL = [7.40, 8.50, 7.20, 8.24, 9.84, 8.32]
OWN = "recomputed (numpy, scipy)"
PLAN = plan(equal_looks(5), futility=hwang_shih_decani(-2))
SHIFTS = (0, 0.25, 0.5, 0.75, 1, 1.5, 2)


def _one_sample() -> list[Vector]:
    f = "one sample"
    base = "NIST StRD, certified"
    return [
        Vector(f, "NumAcc1: mean, sd, r1", base, "10000002 1 -.5", lambda: nist([10000001, 10000003, 10000002])),
        Vector(f, "NumAcc2: mean, sd, r1", base, "1.2 .1 -.999", lambda: nist([1.2] + [1.1, 1.3] * 500), 1e-12),
        Vector(f, "NumAcc3: mean, sd, r1", base, "1000000.2 .1 -.999", lambda: nist(num_acc(1000000.0)), 1e-9),
        Vector(f, "NumAcc4: mean, sd, r1", base, "10000000.2 .1 -.999", lambda: nist(num_acc(10000000.0)), 1e-8),
        Vector(
            f,
            "Michelso: mean, sd, r1",
            base,
            "299.852400000000 .0790105478190518 .535199668621283",
            lambda: nist(MICHELSO),
            1e-12,
        ),
        Vector(
            f,
            "Mavro: mean, sd, r1",
            base,
            "2.00185600000000 .000429123454003053 .937989183438248",
            lambda: nist(MAVRO),
            1e-10,
        ),
        Vector(f, "Lew: mean, sd, r1", base, "-177.435 277.332168044316 -.307304800605679", lambda: nist(LEW), 1e-11),
        Vector(
            f,
            "Lottery: mean, sd, r1",
            base,
            "518.958715596330 291.699727470969 -.120948622967393",
            lambda: nist(LOTTERY),
            1e-11,
        ),
        Vector(f, "25 runs: mean, sd", OWN, "94.04 .1495827530", lambda: (one_sample(F25).value, one_sample(F25).sd)),
        Vector(f, "25 runs: t interval", OWN, "93.9782552742 94.1017447258", lambda: ci(one_sample(F25).estimate())),
        Vector(f, "25 runs: one-sided p of mean > 94", OWN, ".0968707324", lambda: one_sample(F25).p_greater(94)),
        Vector(
            f,
            "25 runs: median and exact limits",
            OWN,
            "94.04 93.96 94.12",
            lambda: (median(F25).estimate.value, *ci(median(F25).estimate)),
        ),
        *[
            Vector(
                f,
                f"sd interval over sd, n = {n}",
                "chi-square tables",
                want,
                lambda n=n: tuple(x / 1.0 for x in _multipliers(n)),
            )
            for n, want in ((5, ".599 2.874"), (25, ".781 1.391"), (200, ".911 1.109"), (1000, ".958 1.046"))
        ],
        *[
            Vector(
                f,
                f"ranks of the limits of the {name}, n = {n}",
                "scipy quantile_test",
                want,
                lambda n=n, q=q: quantile_ranks(n, q),
            )
            for name, q, n, want in (
                ("median", 0.5, 5, "- -"),
                ("median", 0.5, 25, "8 18"),
                ("median", 0.5, 200, "86 115"),
                ("median", 0.5, 1000, "469 532"),
                ("tenth centile", 0.1, 200, "12 30"),
                ("tenth centile", 0.1, 1000, "82 120"),
            )
        ],
        *[
            Vector(
                f,
                f"attained coverage of the median's limits, n = {n}",
                OWN,
                want,
                lambda n=n: median(np.arange(n)).coverage,
            )
            for n, want in ((25, ".9567"), (200, ".9600"), (1000, ".9537"))
        ],
    ]


def _multipliers(n: int) -> tuple[float, float]:
    e = sd_interval(np.random.default_rng(n).normal(size=n))
    assert e.value is not None and e.low is not None and e.high is not None
    return e.low / e.value, e.high / e.value


def _rates() -> list[Vector]:
    f = "rates"
    n98a, n98b = "Newcombe (1998), Stat Med 17:857", "Newcombe (1998), Stat Med 17:873"
    return [
        Vector(f, "Wilson 81/263", n98a, ".2553 .3662", lambda: ci(wilson(81, 263))),
        Vector(f, "Wilson 1/29", n98a, ".0061 .1718", lambda: ci(wilson(1, 29))),
        Vector(f, "Wilson 522/1000", OWN, ".4910 .5528", lambda: ci(wilson(522, 1000))),
        Vector(f, "Wilson 425/1000", OWN, ".3947 .4559", lambda: ci(wilson(425, 1000))),
        Vector(f, "Clopper-Pearson 81/263", n98a, ".2527 .3676", lambda: ci(clopper_pearson(81, 263))),
        Vector(f, "Clopper-Pearson 1/29", n98a, ".0009 .1776", lambda: ci(clopper_pearson(1, 29))),
        Vector(
            f,
            "Clopper-Pearson 682/925",
            "R binom.test (Conover 1971)",
            ".7077 .7654",
            lambda: ci(clopper_pearson(682, 925)),
        ),
        *[
            Vector(
                f,
                f"coverage at n = {n}, p = {p}: Wilson, Clopper-Pearson, Jeffreys",
                "exact enumeration",
                want,
                lambda n=n, p=p: _coverage(n, p),
            )
            for n, p, want in (
                (5, 0.522, ".936 .975 .936"),
                (5, 0.9, ".919 .991 .991"),
                (5, 0.98, ".904 .996 .904"),
                (25, 0.522, ".931 .974 .931"),
                (25, 0.9, ".967 .991 .895"),
                (25, 0.98, ".911 .987 .987"),
                (200, 0.522, ".953 .953 .953"),
                (200, 0.9, ".956 .967 .941"),
                (200, 0.98, ".933 .962 .962"),
                (1000, 0.522, ".947 .954 .947"),
                (1000, 0.9, ".949 .955 .949"),
                (1000, 0.98, ".947 .959 .959"),
            )
        ],
        Vector(f, "Newcombe 56/70 - 48/80", n98b, ".0524 .3339", lambda: ci(newcombe(56, 70, 48, 80))),
        Vector(f, "Newcombe 9/10 - 3/10", n98b, ".1705 .8090", lambda: ci(newcombe(9, 10, 3, 10))),
        Vector(f, "Newcombe 522/1000 - 425/1000", OWN, ".0533 .1402", lambda: ci(newcombe(522, 1000, 425, 1000))),
        Vector(
            f, "Miettinen-Nurminen 56/70 - 48/80", n98b, ".0528 .3382", lambda: ci(miettinen_nurminen(56, 70, 48, 80))
        ),
        Vector(
            f,
            "Miettinen-Nurminen 522/1000 - 425/1000",
            OWN,
            ".05329 .14034",
            lambda: ci(miettinen_nurminen(522, 1000, 425, 1000)),
        ),
        Vector(
            f,
            "Boschloo [[74, 31], [43, 32]], greater: p",
            "scipy's example",
            ".0355641",
            lambda: boschloo_greater(74, 117, 31, 63),
            1e-7,
        ),
        Vector(
            f,
            "522/1000 against 425/1000: p of the pooled z 4.3441",
            OWN,
            "1.40e-5",
            lambda: pooled_p(522, 1000, 425, 1000),
        ),
    ]


def _coverage(n: int, p: float) -> Numbers:
    from scipy import stats

    mass = stats.binom.pmf(np.arange(n + 1), n, p)
    out = []
    for interval in (wilson, clopper_pearson, jeffreys):
        limits = [interval(k, n) for k in range(n + 1)]
        out.append(float(mass[[bool(e.low <= p <= e.high) for e in limits]].sum()))
    return tuple(out)


def _two_samples() -> list[Vector]:
    f, r = "two samples", "R, ToothGrowth"
    oj_vc = welch(ORANGE_JUICE, VITAMIN_C)
    ranks = brunner_munzel(ORANGE_JUICE, VITAMIN_C)
    pain = brunner_munzel([3, 3, 4, 3, 1, 2, 3, 1, 1, 5, 4], [1, 2, 1, 1, 1, 1, 1, 1, 1, 1, 2, 4, 1, 1])
    means = one_sample(ORANGE_JUICE), one_sample(VITAMIN_C)
    screen = Contrast(0.03, math.hypot(0.15 / 5, 0.15 / math.sqrt(1000)), 1023)
    return [
        Vector(f, "Welch: t, df, p", r, "1.9152683 55.309433 .0606345", lambda: t_df_p(oj_vc), 6e-7),
        Vector(f, "Welch: interval", r, "-.1710156 7.5710156", lambda: ci(oj_vc.estimate())),
        Vector(
            f,
            "Welch, unequal arms (blood counts, second drug): t, df, p",
            "scipy ttest_ind",
            "3.3053143622690477 6.333034350606968 .01505982907786063",
            lambda: t_df_p(welch(BLOOD[1], BLOOD_CONTROL)),
            1e-9,
        ),
        Vector(
            f,
            "Hedges J, g",
            r,
            ".9870036 .4880931",
            lambda: (small_sample_factor(58), hedges_g(ORANGE_JUICE, VITAMIN_C).value),
        ),
        Vector(
            f,
            "W, P(A > B), Cliff's delta",
            r,
            "575.5 .6394444 .2788889",
            lambda: (900 * ranks.value, ranks.value, cliffs_delta(ranks).value),
        ),
        Vector(
            f,
            "Brunner-Munzel: statistic, p",
            "R lawstat",
            "1.8965261 .0631786",
            lambda: t_df_p(ranks, 0.5)[::2],
            1.1e-7,
        ),
        Vector(
            f,
            "Brunner-Munzel, pain scores: statistic, p",
            "Brunner and Munzel (2000); scipy's example",
            "3.1374675 .0057862",
            lambda: t_df_p(pain, 0.5)[::2],
        ),
        Vector(
            f,
            "permutation p",
            "Monte Carlo",
            ".0605",
            lambda: permutation_p(ORANGE_JUICE, VITAMIN_C, rng=np.random.default_rng(1)),
            0.002,
        ),
        Vector(
            f,
            "ratio of means: value, Fieller",
            "R mratios",
            "1.2181175 .9906811 1.5259076",
            lambda: (fieller(*means).value, *ci(fieller(*means))),
        ),
        Vector(
            f,
            "ratio of means: df, log-delta",
            OWN,
            "50.0608 .9837320 1.5083481",
            lambda: (log_delta(*means).df, *ci(log_ratio_to_ratio(log_delta(*means)))),
        ),
        Vector(
            f,
            "ratio of means: BCa",
            "Monte Carlo",
            ".991 1.498",
            lambda: ci(
                bca(
                    [ORANGE_JUICE, VITAMIN_C], lambda a, b: float(np.mean(a) / np.mean(b)), rng=np.random.default_rng(1)
                )
            ),
            0.012,
        ),
        Vector(
            f, "equivalence within ±8: p", "statsmodels ttost_ind", ".0150590", lambda: tost(oj_vc, low=-8, high=8).p
        ),
        Vector(
            f,
            "93.98 ± .01 against 94.01 ± .01, 1000 runs each: se, t",
            OWN,
            ".0072154 -4.1578",
            lambda: (STUDY.se, STUDY.value / (STUDY.se or 1)),
            5.1e-5,
        ),
        Vector(f, "the same: p", OWN, "3.35e-5", STUDY.p_two_sided, 1e-7),
        Vector(
            f,
            "the same: one-sided 95 % bounds",
            OWN,
            "-.0418737 -.0181263",
            lambda: (STUDY.lower(0.05), STUDY.upper(0.05)),
            1e-7,
        ),
        Vector(
            f,
            "the same: p of non-inferiority and of worse, margin .02",
            OWN,
            ".9170 .0830",
            lambda: (STUDY.p_greater(-0.02), STUDY.p_less(-0.02)),
        ),
        Vector(
            f,
            "the same: p of non-inferiority and of equivalence, margin .05",
            OWN,
            ".0028 .0028",
            lambda: (STUDY.p_greater(-0.05), tost(STUDY, low=-0.05, high=0.05).p),
        ),
        Vector(
            f,
            "93.98 against the bar 94: upper bound",
            OWN + ", normal quantile",
            "93.98839",
            lambda: from_moments(Moments(1000, 93.98, SD2)).upper(0.05),
            2e-5,
        ),
        Vector(
            f,
            "94.01 against the bar 94: lower bound, p",
            OWN + ", normal quantile",
            "94.00161 .025",
            lambda: (
                from_moments(Moments(1000, 94.01, SD2)).lower(0.05),
                from_moments(Moments(1000, 94.01, SD2)).p_greater(94),
            ),
            2e-4,
        ),
        Vector(
            f,
            "25 runs 94.04 against 1000 runs 94.01, sd .15: se, lower bound",
            OWN,
            ".0303727 -.0200039",
            lambda: (screen.se, screen.lower(0.05)),
            1.1e-7,
        ),
    ]


def _time() -> list[Vector]:
    f = "time and cost"
    a = [0.0, 0.02, 0.01, 0.03, 0.02, 0.04]
    return [
        Vector(
            f,
            "4.166 s over 4.082 s, 1000 runs each, Fieller",
            OWN,
            "1.020578 1.019878 1.021278",
            lambda: (fieller(BASE_TIME, FINAL_TIME).value, *ci(fieller(BASE_TIME, FINAL_TIME))),
            1.5e-6,
        ),
        Vector(
            f,
            "the same, log-delta",
            OWN,
            "1.020578 1.019878 1.021278",
            lambda: (
                math.exp(log_delta(BASE_TIME, FINAL_TIME).value),
                *ci(log_ratio_to_ratio(log_delta(BASE_TIME, FINAL_TIME))),
            ),
            1.5e-6,
        ),
        Vector(
            f,
            "three process starts of mean log ratio .01, .02, .03: upper limit",
            "by hand, t on 2 df",
            f"{math.exp(0.02 + 4.302652730 * 0.01 / math.sqrt(3)):.7f}",
            lambda: log_ratio_to_ratio(clustered_mean(a, list("aabbcc")).contrast).high,
        ),
        Vector(
            f,
            "seconds per success, 522/1000",
            OWN,
            "7.98084 7.52124 8.46853",
            lambda: (cost_of_success(BASE, k=522, n=1000)[0].value, *ci(cost_of_success(BASE, k=522, n=1000)[0])),
            4e-5,
        ),
        Vector(
            f,
            "seconds per success, 425/1000",
            OWN,
            "9.60471 8.93663 10.32273",
            lambda: (cost_of_success(FINAL, k=425, n=1000)[0].value, *ci(cost_of_success(FINAL, k=425, n=1000)[0])),
            6e-5,
        ),
        Vector(f, "seconds per success, 17/25", OWN, "5.94118 4.53903 7.77646", lambda: _small_cost(), 5e-5),
        Vector(f, "the same by Wilson, 522/1000", OWN, "7.53596 8.48446", lambda: wilson_cost(4.166, k=522, n=1000)),
        Vector(f, "the same by Wilson, 425/1000", OWN, "8.95433 10.34190", lambda: wilson_cost(4.082, k=425, n=1000)),
        Vector(
            f, "ratio of seconds per success; z", OWN, "1.20347 1.09620 1.32124 3.888", lambda: _cost_ratio(), 5.1e-4
        ),
        Vector(
            f,
            "Mavro: correlation time, effective n",
            "Geyer (1992), " + OWN,
            "11.0450 4.527",
            lambda: (correlation_time(MAVRO), effective_n(MAVRO)),
        ),
        Vector(
            f,
            "Michelso: correlation time, effective n",
            "Geyer (1992), " + OWN,
            "4.2115 23.74",
            lambda: (correlation_time(MICHELSO), effective_n(MICHELSO)),
        ),
    ]


def _small_cost() -> Numbers:
    e = cost_of_success(Contrast(4.04, 0.05 / 1.96, math.inf), k=17, n=25)[0]
    return (e.value, e.low, e.high)


def _cost_ratio() -> Numbers:
    one, other = cost_of_success(FINAL, k=425, n=1000)[1], cost_of_success(BASE, k=522, n=1000)[1]
    gap, e = log_difference(one, other), cost_ratio(one, other)
    assert gap.se is not None
    return (e.value, e.low, e.high, gap.value / gap.se)


def _survival() -> list[Vector]:
    f, r = "times to target", "R survival, aml"
    z = lambda: logrank_z(*AML_MAINTAINED, *AML_OTHERS)  # noqa: E731
    return [
        Vector(
            f,
            "log-rank z, chi-square, p",
            r,
            "-1.8429294 3.3963887 .0653393",
            lambda: (z(), z() ** 2, math.erfc(abs(z()) / math.sqrt(2))),
        ),
        Vector(
            f,
            "Kaplan-Meier, maintained",
            r,
            ".9091 .8182 .7159 .6136 .4909 .3682 .1841",
            lambda: kaplan_meier(*AML_MAINTAINED).shares,
        ),
        Vector(
            f,
            "Kaplan-Meier, others",
            r,
            ".8333 .6667 .5833 .4861 .3889 .2917 .1944 .0972 0",
            lambda: kaplan_meier(*AML_OTHERS).shares,
            5.1e-5,
        ),
        Vector(
            f,
            "medians",
            r,
            "31 23",
            lambda: (kaplan_meier(*AML_MAINTAINED).median(), kaplan_meier(*AML_OTHERS).median()),
        ),
        Vector(
            f,
            "restricted means at 30",
            OWN,
            "24.602273 19.694444",
            lambda: (rmst(*AML_MAINTAINED, horizon=30).value, rmst(*AML_OTHERS, horizon=30).value),
        ),
    ]


def _many() -> list[Vector]:
    f = "many candidates"
    crit = [
        (3, 1, 1, "2.0621 2.3490"), (9, 1, 1, "2.4170 2.6862"), (35, 1, 1, "2.7925 3.0484"),
        (3, 25, 1000, "2.1201 2.3877"), (9, 25, 1000, "2.5295 2.7654"), (35, 25, 1000, "2.9729 3.1814"),
    ]  # fmt: skip
    blood = dunnett(BLOOD, BLOOD_CONTROL)
    eb, wide = empirical_bayes(SWEEP, 0.03), empirical_bayes(WIDE, 0.03)
    rejections = lambda adjust: int((adjust(BH_1995) <= 0.05).sum())  # noqa: E731
    return [
        *[
            Vector(
                f,
                f"Dunnett critical value, one- and two-sided .05, K = {k}, n = {n}, control {n0}",
                "Dunnett (1955, 1964), tables" if n == 1 else OWN,
                want,
                lambda k=k, n=n, n0=n0: (
                    critical_value(loadings([n] * k, n0)),
                    critical_value(loadings([n] * k, n0), two_sided=True),
                ),
            )
            for k, n, n0, want in crit
        ],
        Vector(
            f, "Dunnett, blood counts: statistics", "scipy's tutorial", ".857032 3.693752", lambda: blood.statistics
        ),
        Vector(f, "the same: p", "scipy's tutorial, quasi-Monte Carlo", ".6201 .0058", lambda: blood.p, 5e-4),
        Vector(
            f,
            "the same: simultaneous limits",
            "scipy's tutorial, quasi-Monte Carlo",
            "-1.257 .839 2.557 4.417",
            lambda: (*blood.low, *blood.high),
            2e-3,
        ),
        Vector(
            f,
            "15 p-values: rejections by Bonferroni, Holm, BH, BY",
            "Benjamini and Hochberg (1995)",
            "3 3 4 3",
            lambda: (
                int((15 * BH_1995 <= 0.05).sum()),
                rejections(holm),
                rejections(benjamini_hochberg),
                rejections(benjamini_yekutieli),
            ),
        ),
        Vector(f, "the same: Holm, first five", OWN, ".0015 .0056 .0247 .1140 .2211", lambda: holm(BH_1995)[:5]),
        Vector(
            f,
            "the same: BH, first five",
            OWN,
            ".0015 .003 .0095 .035625 .0603",
            lambda: benjamini_hochberg(BH_1995)[:5],
        ),
        Vector(
            f,
            "shrinkage of nine: centre, between variance, weight",
            OWN,
            ".0111111 .000786111 .4662273",
            lambda: (eb.centre, eb.between_variance, eb.weights[0]),
        ),
        Vector(
            f,
            "the same: values",
            OWN,
            ".0432290 .0292422 .0199176 .0199176 .0105931 .0059308 -.0033937 -.0080560 -.0173806",
            lambda: eb.values,
        ),
        Vector(
            f,
            "shrinkage of nine wide ones: between variance, weight, best",
            OWN,
            ".003977778 .8154897 .0988838",
            lambda: (wide.between_variance, wide.weights[0], wide.values[0]),
        ),
        Vector(
            f,
            "luck of the best of 3, 9, 20, 35 at se .03",
            "Tippett (1925)",
            ".0254 .0446 .0560 .0632",
            lambda: [expected_luck(k, 0.03) for k in (3, 9, 20, 35)],
        ),
        *[
            Vector(
                f,
                f"the winner at .08 over {second}, se .03",
                "method of Andrews, Kitagawa and McCloskey (2024)",
                want,
                lambda second=second: _winner(second),
            )
            for second, want in ((0.05, "-.0380 .1380 .0706"), (0.07, "-.2543 .1304 .0251"), (0.0, ".0170 .1388 .0799"))
        ],
        Vector(
            f,
            "the winner at .08 over -.02, se .03",
            "method of Andrews, Kitagawa and McCloskey (2024)",
            ".0200 .1388",
            lambda: _winner(-0.02)[:2],
        ),
        *[
            Vector(
                f,
                f"chance that the best of {k} equal arms stands .08 pp up: control known, of 25, of 1000 runs",
                OWN,
                want,
                lambda k=k: _best(k),
            )
            for k, want in ((9, ".034 .155 .037"), (35, ".126 .305 .136"))
        ],
    ]


def _winner(second: float) -> Numbers:
    e = winner_interval(best=0.08, runner_up=second, se=0.03)
    return (e.low, e.high, e.value)


def _best(k: int) -> Numbers:
    se = 0.15 / 5
    wider = 0.15 * math.sqrt(1 / 25 + 1 / 1000)
    return (
        upper_tail(0.08 / se, np.zeros(k)),
        upper_tail(0.08 / (se * math.sqrt(2)), loadings([25] * k, 25)),
        upper_tail(0.08 / wider, loadings([25] * k, 1000)),
    )


def _sequential() -> list[Vector]:
    f = "looking more than once"
    cs = t_mixture_sequence(F25, c2=tuned_c2(200))
    return [
        Vector(
            f,
            "O'Brien-Fleming-like, 5 looks, one-sided .025",
            "Lan and DeMets (1983); ldbounds",
            "4.8769 3.3570 2.6803 2.2898 2.0310",
            lambda: efficacy_bounds(equal_looks(5), alpha=0.025),
        ),
        Vector(
            f,
            "the same, .05",
            OWN,
            "4.2292 2.8881 2.2981 1.9618 1.7397",
            lambda: efficacy_bounds(equal_looks(5), alpha=0.05),
        ),
        Vector(
            f,
            "Hwang-Shih-DeCani (-2), 5 looks, .05",
            OWN,
            "2.665 2.460 2.243 2.019 1.787",
            lambda: efficacy_bounds(equal_looks(5), alpha=0.05, spending=hwang_shih_decani(-2)),
        ),
        Vector(
            f,
            "futility bounds, inflation",
            OWN,
            "-1.040 -.233 .454 1.082 1.740 1.1159",
            lambda: (*PLAN.futility, PLAN.inflation),
            5.1e-4,
        ),
        Vector(
            f,
            "expected size at 0, half, all, 1.5 of the effect",
            OWN,
            ".63 .83 .75 .57",
            lambda: [PLAN.expected_size(e) for e in (0.0, 0.5, 1.0, 1.5)],
        ),
        Vector(
            f,
            "SPRT bounds, .05 and .1",
            "Wald (1947)",
            "-2.2512918 2.8903718",
            lambda: wald_bounds(alpha=0.05, beta=0.1),
        ),
        Vector(
            f, "GSPRT of 25 runs, 93.98 against 94.01", OWN, "1.4237877", lambda: gsprt(F25, mu0=93.98, mu1=94.01).llr
        ),
        Vector(
            f,
            "tuned rho² at 25, 200, 1000",
            OWN,
            ".317446 .0396808 .00793615",
            lambda: [tuned_rho2(n) for n in (25, 200, 1000)],
        ),
        *[
            Vector(
                f,
                f"normal-mixture width, tuned at {at}; n = 25, 50, 100, 200, 500, 1000",
                OWN,
                want,
                lambda at=at: [
                    normal_mixture_width(n, sd=0.15, rho2=tuned_rho2(at)) for n in (25, 50, 100, 200, 500, 1000)
                ],
            )
            for at, want in (
                (25, ".0911 .0649 .0469 .0341 .0224 .0163"),
                (200, ".1099 .0692 .0463 .0322 .0207 .0150"),
                (1000, ".1832 .1001 .0578 .0357 .0207 .0144"),
            )
        ],
        Vector(f, "t-mixture sequence of 25 runs", OWN, "93.9017393 94.1782607", lambda: ci(cs)),
        *[
            Vector(f, f"beta-binomial sequence {k}/{n}", OWN, want, lambda k=k, n=n: ci(beta_binomial_sequence(k, n)))
            for k, n, want in (
                (17, 25, ".3726 .9048"),
                (522, 1000, ".4643 .5793"),
                (425, 1000, ".3687 .4826"),
                (0, 20, "0 .2240"),
            )
        ],
        *[
            Vector(
                f,
                f"CUSUM run length, h = {h}, k = {k}, at {', '.join(f'{s:g}' for s in SHIFTS[: len(want.split())])}",
                "Brook and Evans (1972)",
                want,
                lambda h=h, k=k, want=want: [cusum_arl(h=h, k=k, shift=s) for s in SHIFTS[: len(want.split())]],
                within,
            )
            for h, k, want, within in (
                (4, 0.5, "335.37 77.08 26.68 13.29 8.38 4.75 3.34", 0.011),
                (5, 0.5, "930.9 141.7 38.01 17.05 10.38 5.75 4.01", 0.11),
                (8.01, 0.25, "740.6 84.2 28.8", 0.25),
                (9, 0.25, "1239.6 103.3 32.7", 0.4),
            )
        ],
        Vector(
            f,
            "two-sided CUSUM run lengths, h = 4 and 5, as half of the one-sided",
            "Montgomery, NIST handbook",
            "168 465",
            lambda: [cusum_arl(h=h, k=0.5, shift=0) / 2 for h in (4, 5)],
        ),
    ]


def _sizes() -> list[Vector]:
    f = "sample sizes"
    table = [
        (0.01, 0.15, "1927 - - 3854 4729"), (0.015, 0.15, "857 5964 - 1713 2102"), (0.02, 0.15, "482 930 1446 964 1183"),
        (0.03, 0.15, "215 273 357 429 526"), (0.05, 0.15, "78 84 105 155 190"), (0.10, 0.15, "20 20 25 39 48"),
        (0.02, 0.16, "549 1213 2054 1097 1345"), (0.03, 0.16, "244 323 427 488 598"),
    ]  # fmt: skip
    return [
        *[
            Vector(
                f,
                f"runs for {d} pp at sd {sd}: bar, 1000-run control one- and two-sided, balanced one- and two-sided",
                OWN,
                want,
                lambda d=d, sd=sd: _seeds(d, sd),
            )
            for d, sd, want in table
        ],
        Vector(
            f,
            "exact t, one sample: .02, .03, .05, .1 pp at sd .15",
            OWN,
            "483.07 215.46 78.45 20.70",
            lambda: [fractional_runs(effect=d / 0.15, alpha=0.05, power=0.9, arms=1) for d in (0.02, 0.03, 0.05, 0.1)],
            0.006,
        ),
        Vector(
            f,
            "exact t, balanced: the same",
            OWN,
            "964.1 428.9 154.8 39.2",
            lambda: [fractional_runs(effect=d / 0.15, alpha=0.05, power=0.9, arms=2) for d in (0.02, 0.03, 0.05, 0.1)],
            0.06,
        ),
        Vector(
            f,
            "power at n = 20, d = 1, two-sided",
            "R power.t.test",
            ".8689530",
            lambda: power_two_sided(effect=1, n1=20, n2=20),
        ),
        Vector(
            f,
            "n for power .9, d = 1, two-sided",
            "R power.t.test",
            "22.021088",
            lambda: fractional_runs(effect=1, alpha=0.025, power=0.9, arms=2),
            2e-5,
        ),
        Vector(
            f,
            "n for power .8, d = .5, one-sided",
            "R power.t.test",
            "50.150783",
            lambda: fractional_runs(effect=0.5, alpha=0.05, power=0.8, arms=2),
            2e-6,
        ),
        Vector(
            f,
            "detectable at n = 5 ... 1000 against the bar, sd .15",
            OWN,
            ".196 .139 .088 .062 .044 .031 .020 .014",
            lambda: [detectable_difference(sd=0.15, n=n) for n in (5, 10, 25, 50, 100, 200, 500, 1000)],
            5.1e-4,
        ),
        Vector(
            f,
            "the same against 1000 control runs",
            OWN,
            ".197 .140 .089 .064 .046 .034 .024 .020",
            lambda: [
                detectable_difference(sd=0.15, n=n, control_runs=1000) for n in (5, 10, 25, 50, 100, 200, 500, 1000)
            ],
            5.1e-4,
        ),
        Vector(
            f,
            "cushion to prove a mean of 94 at n = 25, 200, 1000",
            OWN,
            ".088 .031 .0139",
            lambda: [detectable_difference(sd=0.15, n=n) for n in (25, 200, 1000)],
            5.1e-4,
        ),
        Vector(
            f,
            "runs to prove within .02 pp at +.03, +.009, 0; 1000 control runs",
            OWN,
            "84 298 930",
            lambda: [
                25 + (runs_to_prove(estimate=e, margin=0.02, sd=0.15, n=25, control_runs=1000) or math.nan)
                for e in (0.03, 0.009, 0.0)
            ],
        ),
        Vector(
            f,
            "timed runs for .1, .2, .5, 1, 2 %, if they were independent",
            OWN,
            "1030 258 42 11 3",
            lambda: [seeds_balanced(difference=d / 100, sd=0.0323 / 4.166) for d in (0.1, 0.2, 0.5, 1, 2)],
        ),
        Vector(
            f,
            "limit of a correlation of 0 from 25, 100, 200 pairs",
            OWN,
            ".395 .196 .139",
            lambda: [_flat(n) for n in (25, 100, 200)],
        ),
    ]


def _flat(n: int) -> float | None:
    x = np.linspace(-1, 1, n)
    return pearson(x, x**2).high


def _seeds(d: float, sd: float) -> Numbers:
    return (
        seeds_one_sample(difference=d, sd=sd),
        seeds_vs_control(difference=d, sd=sd, control_runs=1000),
        seeds_vs_control(difference=d, sd=sd, control_runs=1000, alpha=0.025),
        seeds_balanced(difference=d, sd=sd),
        seeds_balanced(difference=d, sd=sd, alpha=0.025),
    )


VECTORS: tuple[Vector, ...] = tuple(
    v for part in (_one_sample, _rates, _two_samples, _time, _survival, _many, _sequential, _sizes) for v in part()
)


def shown(x: float | None) -> str:
    return "–" if x is None else f"{x:.10g}"


def table() -> str:
    """The vectors as a Markdown table; `got` is computed here and now."""
    lines = ["| vector | source | expected | got | ok |", "|---|---|---|---|---|"]
    family = ""
    for v in VECTORS:
        if v.family != family:
            family = v.family
            lines.append(f"| **{family}** | | | | |")
        got = v.got()
        expected = v.expected.replace("-", "−") if v.expected != "- -" else "– –"
        ok = "yes" if v.holds(got) else "**no**"
        within = "" if v.within is None else f" (± {v.within:g})"
        lines.append(f"| {v.what} | {v.source} | {expected}{within} | {', '.join(map(shown, got))} | {ok} |")
    right = sum(v.holds(v.got()) for v in VECTORS)
    return "\n".join([*lines, "", f"{right} of {len(VECTORS)} vectors agree."])


def section(document: Path, name: str) -> str:
    """What stands between `<!-- name -->` and `<!-- /name -->`."""
    found = re.search(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    return found[1] if found else ""


def put(document: Path, section: str, text: str) -> None:
    """Replace what stands between `<!-- section -->` and `<!-- /section -->`."""
    old = document.read_text(encoding="utf-8")
    new, count = re.subn(
        rf"(<!-- {section} -->\n).*?(<!-- /{section} -->)", lambda m: f"{m[1]}{text}\n{m[2]}", old, flags=re.DOTALL
    )
    if count != 1:
        raise SystemExit(f"{document}: has no section {section}")
    document.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    put(DOCUMENT, "vectors", table())
