"""Sample sizes, detectable differences and power; what to plan before a run is spent.

`alpha` is one-sided everywhere: for a two-sided test at 5 % pass 0.025. Differences and `sd` share one unit. For
non-inferiority the `difference` is true difference + margin. The sizes are the normal-quantile ones, rounded up;
the t correction adds about one run (`exact_t` applies it). Figures: Cohen (1988), ch. 2; Julious (2004).
"""

from __future__ import annotations

import math
from collections.abc import Callable

from scipy import special

from harness.stats.solve import root

MOST_RUNS = 10**9


def seeds_one_sample(
    *, difference: float, sd: float, alpha: float = 0.05, power: float = 0.9, exact_t: bool = False
) -> int | None:
    """Runs that show a mean at distance `difference` from a fixed bar; None where the difference is not above 0."""
    n = _need(difference=difference, sd=sd, alpha=alpha, power=power)
    if n is None or not exact_t:
        return n
    effect = difference / sd
    return _first(n, lambda m: power_one_sample(effect=effect, n=m, alpha=alpha) >= power)


def seeds_balanced(
    *, difference: float, sd: float, alpha: float = 0.05, power: float = 0.9, exact_t: bool = False
) -> int | None:
    """Runs per arm of two arms of equal size; None where the difference is not above 0."""
    n = _need(difference=difference, sd=sd * math.sqrt(2), alpha=alpha, power=power)
    if n is None or not exact_t:
        return n
    effect = difference / sd
    return _first(n, lambda m: power_two_sample(effect=effect, n1=m, n2=m, alpha=alpha) >= power)


def seeds_vs_control(
    *, difference: float, sd: float, alpha: float = 0.05, power: float = 0.9, control_runs: int,
    control_sd: float | None = None,
) -> int | None:  # fmt: skip
    """Candidate runs against `control_runs` frozen ones: sd² / ((difference / (z_alpha + z_power))² - sd0² / n0).

    sd0 is `control_sd`, `sd` where that is None. None where no number of candidate runs can do it; `why_unreachable` says what could.
    """
    own = sd if control_sd is None else control_sd
    room = _room(difference=difference, control_sd=own, alpha=alpha, power=power, control_runs=control_runs)
    if room is None or room <= 0:
        return None
    n = sd * sd / room
    return max(2, _up(n)) if n < MOST_RUNS else None


def why_unreachable(
    *, difference: float, sd: float, alpha: float = 0.05, power: float = 0.9, control_runs: int | None = None,
    control_sd: float | None = None,
) -> str:  # fmt: skip
    """Why the design has no answer, and which one has; empty where it has one."""
    if difference <= 0:
        return "the difference is 0 or on the wrong side of the margin: no number of runs can prove it"
    both = math.hypot(sd, sd if control_sd is None else control_sd)  # of one run of each arm
    each = _need(difference=difference, sd=both, alpha=alpha, power=power)
    beyond = f"more than {MOST_RUNS:,} runs of each arm would be needed"
    if control_runs is None:
        return "" if each else beyond
    own = sd if control_sd is None else control_sd
    room = _room(difference=difference, control_sd=own, alpha=alpha, power=power, control_runs=control_runs)
    if room is not None and room > 0 and sd * sd / room < MOST_RUNS:
        return ""
    least = _need(difference=difference, sd=own, alpha=alpha, power=power)
    if least is None or each is None:
        return f"unreachable with {control_runs} control runs: {beyond}"
    return f"unreachable with {control_runs} control runs: more than {least} are needed, or {each} new runs of each arm"


def detectable_difference(
    *, sd: float, n: int, alpha: float = 0.05, power: float = 0.9, control_runs: int | None = None,
    control_sd: float | None = None,
) -> float:  # fmt: skip
    """The smallest true difference that `n` runs show with this power; against a fixed bar without `control_runs`.

    The control's runs have the standard deviation `control_sd`, `sd` where that is None.
    """
    own = sd if control_sd is None else control_sd
    return _quantiles(alpha, power) * math.hypot(
        sd / math.sqrt(n), 0.0 if control_runs is None else own / math.sqrt(control_runs)
    )


def detectable_by_t(*, se: float, df: float, alpha: float = 0.05, power: float = 0.9) -> float | None:
    """The smallest true value that a one-sided t test on `df` degrees of freedom shows with this power; noncentral t.

    `se` is the standard error of the estimate, in whose unit the answer is. Few degrees of freedom cost much: at 2 the value is 1.6
    times that of the normal quantiles. None where the noncentral t cannot be computed (a level near 0 on a degree of freedom or two).
    """
    most = 1 - 4 * float(special.stdtrit(df, min(alpha, 1 - power)))
    if not _power(nc=most, df=df, alpha=alpha) >= power:
        return None
    return se * root(lambda nc: _power(nc=nc, df=df, alpha=alpha) - power, 0.0, most)


def power_one_sample(*, effect: float, n: int, alpha: float = 0.05) -> float:
    """Power of the one-sided one-sample t test at standardised `effect` = difference / sd; noncentral t."""
    return _power(nc=effect * math.sqrt(n), df=n - 1.0, alpha=alpha) if n >= 2 else 0.0


def power_two_sample(*, effect: float, n1: int, n2: int, alpha: float = 0.05) -> float:
    """Power of the one-sided two-sample t test of equal variances at standardised `effect`; noncentral t."""
    if min(n1, n2) < 1 or n1 + n2 < 3:
        return 0.0
    return _power(nc=effect / math.sqrt(1 / n1 + 1 / n2), df=n1 + n2 - 2.0, alpha=alpha)


def power_two_sided(*, effect: float, n1: int, n2: int, alpha: float = 0.05) -> float:
    """Power of the two-sided two-sample t test at two-sided level `alpha`, both tails counted."""
    upper = power_two_sample(effect=effect, n1=n1, n2=n2, alpha=alpha / 2)
    return upper + power_two_sample(effect=-effect, n1=n1, n2=n2, alpha=alpha / 2)


def detectable_log_ratio(
    *, sd_between: float, invocations: int, alpha: float = 0.05, power: float = 0.9, least: int = 5
) -> float | None:
    """The smallest log ratio that so many process starts show with this power; None below `least`, where time is not judged.

    `sd_between` is that of the log ratios' means by process start; exact power of t on S - 1 degrees of freedom.
    """
    if invocations < least:
        return None
    most = 1 - 4 * float(special.stdtrit(invocations - 1.0, min(alpha, 1 - power))) / math.sqrt(invocations)
    wanted = root(lambda x: power_one_sample(effect=x, n=invocations, alpha=alpha) - power, 0.0, most)
    return wanted * sd_between


def invocations(
    *, log_ratio: float, sd_between: float, alpha: float = 0.05, power: float = 0.9, least: int = 5
) -> int | None:
    """Invocations that show a speed-up of exp(`log_ratio`), from the sd of the invocation means of the log ratio.

    t on S - 1 degrees of freedom throughout, never below `least`; None where the log ratio is not above 0.
    """
    if log_ratio <= 0:
        return None
    if sd_between == 0:
        return least
    n = seeds_one_sample(difference=log_ratio, sd=sd_between, alpha=alpha, power=power, exact_t=True)
    return None if n is None else max(least, n)


def runs_to_prove(
    *, estimate: float, margin: float, sd: float, n: int, alpha: float = 0.05, power: float = 0.9,
    control_runs: int | None = None,
) -> int | None:  # fmt: skip
    """N more: candidate runs beyond `n` that prove estimate > -margin with this power, were the estimate true.

    Pass a shrunken estimate, never the raw mean of a screening winner, and 0 for "if nothing differs". For an
    endpoint that has not passed, so at least 1; None where no number will do. Without `control_runs` the
    comparison is with a fixed bar (estimate = mean - bar).
    """
    distance = estimate + margin
    if control_runs is None:
        total = seeds_one_sample(difference=distance, sd=sd, alpha=alpha, power=power)
    else:
        total = seeds_vs_control(difference=distance, sd=sd, alpha=alpha, power=power, control_runs=control_runs)
    return None if total is None else max(1, total - n)


def runs_to_prove_balanced(
    *, estimate: float, margin: float, sd: float, n: int, alpha: float = 0.05, power: float = 0.9
) -> int | None:
    """N more per arm, where control and candidate grow together and both have `n` runs now."""
    total = seeds_balanced(difference=estimate + margin, sd=sd, alpha=alpha, power=power)
    return None if total is None else max(1, total - n)


def assurance(*, estimate: float, uncertainty: float, null: float, standard_error: float, alpha: float = 0.05) -> float:
    """The chance that fresh data prove a value above `null`, where the true value is N(`estimate`, `uncertainty`²).

    One-sided z test at `alpha` of an estimate with `standard_error`: Phi((estimate - null - z s) / sqrt(tau² + s²)). With
    `uncertainty` 0 it is the power. Spiegelhalter and Freedman (1986); O'Hagan, Stevens and Campbell (2005).
    """
    spread = math.hypot(uncertainty, standard_error)
    distance = estimate - null + float(special.ndtri(alpha)) * standard_error
    if spread == 0:
        return float(distance > 0)
    return float(special.ndtr(distance / spread))


def _power(*, nc: float, df: float, alpha: float) -> float:
    """The chance that t with noncentrality `nc` exceeds its central upper `alpha` quantile."""
    critical = float(-special.stdtrit(df, alpha))
    return float(special.nctdtr(df, -nc, -critical))  # by symmetry the upper tail, without cancellation


def _quantiles(alpha: float, power: float) -> float:
    """z_(1-alpha) + z_(power)."""
    return float(-special.ndtri(alpha) + special.ndtri(power))


def _need(*, difference: float, sd: float, alpha: float, power: float) -> int | None:
    if difference <= 0:
        return None
    units = _quantiles(alpha, power) * sd / difference
    n = units * units  # infinite where it is too large for a number; a power of it would be an error
    return max(2, _up(n)) if n < MOST_RUNS else None


def _room(*, difference: float, control_sd: float, alpha: float, power: float, control_runs: int) -> float | None:
    """The variance that the candidate's mean may have once the control's is paid for."""
    if difference <= 0:
        return None
    quantiles = _quantiles(alpha, power)
    wanted = difference / quantiles if quantiles else math.inf
    return wanted * wanted - control_sd * control_sd / control_runs


def _up(n: float) -> int:
    """Rounded up, but not by the last bit of a quotient that is whole."""
    return math.ceil(n * (1 - 1e-12))


def _first(start: int, enough: Callable[[int], bool]) -> int:
    """The first whole number from about `start` on at which `enough` holds; power rises with n."""
    n = start
    while not enough(n):
        n += 1
    while n > 2 and enough(n - 1):
        n -= 1
    return n


def fractional_runs(*, effect: float, alpha: float, power: float, arms: int) -> float:
    """The solution in real numbers of the exact-t sample size (per arm), as textbooks print it; 1 or 2 `arms`."""

    def excess(n: float) -> float:
        df = arms * (n - 1)
        return _power(nc=effect * math.sqrt(n / arms), df=df, alpha=alpha) - power

    start = arms * (_quantiles(alpha, power) / effect) ** 2
    return root(excess, max(1.5, 0.5 * start), start + 10)
