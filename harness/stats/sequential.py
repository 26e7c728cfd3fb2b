"""Group-sequential plans: looking K times at a growing sample with one error rate.

Efficacy bounds spend alpha by a spending function of the information fraction t_k = I_k / I_max, with
I = 1 / (sd² / n_candidate + sd² / n_control), not n / n_max, wherever the control is finite. Futility bounds spend
beta and are non-binding: ignoring one keeps the level. All bounds are one-sided z values for "candidate better".
Lan and DeMets (1983); Hwang, Shih and DeCani (1990); Jennison and Turnbull (2000), ch. 7 and 19.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from harness.stats.arrays import FloatArray
from harness.stats.contrast import Contrast
from harness.stats.solve import root

Spending = Callable[[float, float], float]  # (information fraction, level) -> level spent so far


@dataclass(frozen=True)
class Plan:
    """A sequential plan: information fractions, z bounds, and its price `inflation` = largest / fixed sample size.

    `drift` is the expected z at full information under the alternative the plan has its power for. `futility`
    is None where the plan never stops early for lack of effect; else its last value is the last efficacy bound.
    """

    information: tuple[float, ...]
    efficacy: tuple[float, ...]
    futility: tuple[float, ...] | None
    alpha: float
    power: float
    drift: float
    inflation: float

    def expected_size(self, effect: float = 1.0) -> float:
        """Expected sample size over the fixed one when the true difference is `effect` times the planned one."""
        crossing = crossings(self.information, self.efficacy, self.futility, drift=effect * self.drift)
        stopped = np.asarray(crossing.above) + np.asarray(crossing.below)
        last = 1 - float(stopped[:-1].sum())
        size = float(stopped[:-1] @ np.asarray(self.information[:-1])) + last * self.information[-1]
        return size * self.inflation


@dataclass(frozen=True)
class Crossings:
    """The chance to leave through the upper or the lower bound at each look, K values each."""

    above: tuple[float, ...]
    below: tuple[float, ...]


def obrien_fleming(t: float, level: float) -> float:
    """Spending that looks like O'Brien and Fleming's: 2 - 2 Phi(z_(1 - level/2) / sqrt(t)). Lan and DeMets (1983)."""
    if t <= 0:
        return 0.0
    return float(2 * special.ndtr(special.ndtri(level / 2) / math.sqrt(min(t, 1.0))))


def pocock(t: float, level: float) -> float:
    """Spending that looks like Pocock's: level log(1 + (e - 1) t). Lan and DeMets (1983)."""
    return level * math.log1p((math.e - 1) * min(max(t, 0.0), 1.0))


def hwang_shih_decani(gamma: float) -> Spending:
    """Spending level (1 - exp(-gamma t)) / (1 - exp(-gamma)); linear at gamma = 0. Hwang, Shih and DeCani (1990)."""

    def spend(t: float, level: float) -> float:
        t = min(max(t, 0.0), 1.0)
        return level * t if gamma == 0 else level * math.expm1(-gamma * t) / math.expm1(-gamma)

    return spend


def equal_looks(looks: int) -> tuple[float, ...]:
    """Information fractions of `looks` equally spaced looks."""
    return tuple((k + 1) / looks for k in range(looks))


def efficacy_bounds(
    information: Sequence[float],
    *,
    alpha: float,
    spending: Spending = obrien_fleming,
    spent_by: Sequence[float] | None = None,
) -> tuple[float, ...]:
    """Upper z bounds (K,) at rising `information` (K,); the level is kept whatever is done at futility.

    Looks may be taken when they come: bounds depend on past and present information only. A last look that
    falls short of 1 leaves alpha unspent; pass it as 1 where it is the last in any case. With `spent_by` (K,) alpha is spent by
    those fractions instead, such as the share of the campaign that is over: information may then come unevenly, in any
    unit. Lan and DeMets (1989).
    """
    times = _rising(information)
    fractions = times if spent_by is None else list(spent_by)
    out: list[float] = []
    state = _start()
    spent = 0.0
    for k, t in enumerate(times):
        to_spend = max(spending(fractions[k], alpha) - spent, 0.0)
        spent += to_spend
        density = _arrive(state, times, k, drift=0.0)
        bound = _upper_for(density, to_spend, t)
        out.append(bound / math.sqrt(t))
        state = density.cut(-math.inf, bound)
    return tuple(out)


def plan(
    information: Sequence[float], *, alpha: float = 0.05, power: float = 0.9, spending: Spending = obrien_fleming,
    futility: Spending | None = None,
) -> Plan:  # fmt: skip
    """The plan with these looks: bounds, and the sample size it needs against the fixed one.

    `futility` spends 1 - `power`, non-binding; hwang_shih_decani(-2) is a good choice, None leaves it out.
    """
    times = tuple(_rising(information))
    upper = efficacy_bounds(times, alpha=alpha, spending=spending)
    fixed = float(-special.ndtri(alpha) + special.ndtri(power))
    if futility is None:
        drift = root(lambda d: sum(crossings(times, upper, None, drift=d).above) - power, fixed, 2 * fixed)
        return Plan(times, upper, None, alpha, power, drift, (drift / fixed) ** 2)
    beta = 1 - power

    def gap(d: float) -> float:
        return _futility(times, upper, beta, futility, d)[-1] - upper[-1]

    drift = root(gap, fixed, 2 * fixed)
    lower = (*_futility(times, upper, beta, futility, drift)[:-1], upper[-1])
    return Plan(times, upper, lower, alpha, power, drift, (drift / fixed) ** 2)


def crossings(
    information: Sequence[float], efficacy: Sequence[float], futility: Sequence[float] | None, *, drift: float
) -> Crossings:
    """The chances of leaving at each look when z at full information has mean `drift`; futility taken as binding."""
    times = _rising(information)
    state, above, below = _start(), [], []
    for k, t in enumerate(times):
        scale = math.sqrt(t)
        high = efficacy[k] * scale
        low = -math.inf if futility is None else futility[k] * scale
        density = _arrive(state, times, k, drift=drift)
        above.append(density.above(high))
        below.append(density.below(low))
        state = density.cut(low, high)
    return Crossings(tuple(above), tuple(below))


def t_bound(z: float, df: float) -> float:
    """The t quantile with the tail probability of `z`, for looks at small samples."""
    return z if math.isinf(df) else float(-special.stdtrit(df, special.ndtr(-z)))


def repeated_interval(contrast: Contrast, bound: float) -> tuple[float | None, float | None]:
    """Limits estimate -+ bound * se that hold at every look together; `bound` is that look's z, taken to its t.

    Jennison and Turnbull (1989). One-sided level alpha on either side.
    """
    if not contrast.usable or contrast.se is None or contrast.df is None:
        return None, None
    reach = t_bound(bound, contrast.df) * contrast.se
    return contrast.value - reach, contrast.value + reach


@dataclass(frozen=True)
class StoppedDrift:
    """What a plan that stopped says of its drift, the mean of z at full information: the median-unbiased value and limits.

    Times `se * sqrt(t)` of the look at which it stopped it is an effect in the data's unit.
    """

    median: float
    low: float
    high: float


def after_stopping(
    information: Sequence[float],
    efficacy: Sequence[float],
    futility: Sequence[float] | None = None,
    *,
    look: int,
    z: float,
    confidence: float = 0.95,
) -> StoppedDrift:
    """The estimate after stopping at look `look` (from 0) with that look's `z`, by the stage-wise ordering.

    Earlier stops for efficacy count as more extreme and earlier ones for futility as less, so nothing depends on the looks
    that were not taken. The plain estimate is too high where a plan stopped early for efficacy; half of the time this one is
    above the truth and half below. Give `futility` where the campaign stops at it. Tsiatis, Rosner and Mehta (1984);
    Jennison and Turnbull (2000), ch. 8.
    """
    times = _rising(information)[: look + 1]
    tail = (1 - confidence) / 2
    centre = z / math.sqrt(times[-1])
    # A stop behind looks that were passed may look far less than its drift: the search is wide below.
    start, end = centre - 12 / math.sqrt(times[0]), centre + 12 / math.sqrt(times[-1])

    def at(share: float) -> float:
        return root(lambda d: stagewise_p(times, efficacy, futility, z=z, drift=d) - share, start, end)

    return StoppedDrift(at(0.5), at(tail), at(1 - tail))


def stagewise_p(
    times: Sequence[float],
    efficacy: Sequence[float],
    futility: Sequence[float] | None = None,
    *,
    z: float,
    drift: float = 0.0,
) -> float:
    """The chance, at this drift, of an end at least as extreme as a stop with `z` at the last of `times`.

    Above that stop lie earlier stops for efficacy, a higher z at this look, and so whatever would have come of one.
    At drift 0 the one-sided p-value of the stopped plan; at the true drift it is uniform.
    """
    state, above = _start(), 0.0
    for k, t in enumerate(times[:-1]):
        low = -math.inf if futility is None else futility[k] * math.sqrt(t)
        density = _arrive(state, times, k, drift=drift)
        above += density.above(efficacy[k] * math.sqrt(t))
        state = density.cut(low, efficacy[k] * math.sqrt(t))
    return above + _arrive(state, times, len(times) - 1, drift=drift).above(z * math.sqrt(times[-1]))


@dataclass(frozen=True)
class _Density:
    """The law of the score S = z sqrt(t) at one look: a mixture of normals (weights at nodes), before its bounds."""

    nodes: FloatArray
    weights: FloatArray
    drift: float
    step: float  # standard deviation of the increment
    mean: float  # of S without any bound
    spread: float

    def above(self, x: float) -> float:
        return float(self.weights @ special.ndtr((self.nodes + self.drift - x) / self.step))

    def below(self, x: float) -> float:
        return 0.0 if x == -math.inf else float(self.weights @ special.ndtr((x - self.nodes - self.drift) / self.step))

    def cut(self, low: float, high: float) -> tuple[FloatArray, FloatArray]:
        """Nodes and weights of the part that goes on, between the bounds."""
        middle = self.nodes + self.drift
        start = max(low, self.mean - 9 * self.spread)
        end = min(high, self.mean + 9 * self.spread)
        if end <= start:
            return np.zeros(1), np.zeros(1)
        base, gauss = _panels(start, end, self.step)
        kernel = np.exp(-(((base[:, None] - middle) / self.step) ** 2) / 2) / (self.step * math.sqrt(2 * math.pi))
        return base, gauss * (kernel @ self.weights)


def _start() -> tuple[FloatArray, FloatArray]:
    return np.zeros(1), np.ones(1)


def _arrive(state: tuple[FloatArray, FloatArray], times: Sequence[float], k: int, *, drift: float) -> _Density:
    elapsed = times[k] - (times[k - 1] if k else 0.0)
    return _Density(*state, drift * elapsed, math.sqrt(elapsed), drift * times[k], math.sqrt(times[k]))


def _panels(start: float, end: float, scale: float) -> tuple[FloatArray, FloatArray]:
    """Composite Gauss-Legendre nodes and weights, 8 to a panel no wider than `scale`."""
    base, weights = np.polynomial.legendre.leggauss(8)
    panels = max(4, math.ceil((end - start) / scale))
    half = (end - start) / panels / 2
    centres = start + half * (2 * np.arange(panels) + 1)
    return (centres[:, None] + half * base).ravel(), np.tile(half * weights, panels)


def _upper_for(density: _Density, to_spend: float, t: float) -> float:
    """The score that is exceeded with chance `to_spend`; so high as never to be reached where nothing is spent."""
    top = 38.0 * math.sqrt(t)
    if to_spend <= density.above(top):
        return top
    return root(lambda x: math.log(max(density.above(x), 1e-320)) - math.log(to_spend), -top, top, tolerance=1e-11)


def _futility(
    times: Sequence[float], upper: Sequence[float], beta: float, spending: Spending, drift: float
) -> tuple[float, ...]:
    """Lower z bounds that spend `beta` at this drift; the last one is where all of it would be spent."""
    out: list[float] = []
    state, spent = _start(), 0.0
    for k, t in enumerate(times):
        scale = math.sqrt(t)
        to_spend = max(spending(t, beta) - spent, 1e-300)
        spent += to_spend
        density = _arrive(state, times, k, drift=drift)
        low = _lower_for(density, to_spend, t)
        out.append(low / scale)
        state = density.cut(low, upper[k] * scale)
    return tuple(out)


def _lower_for(density: _Density, to_spend: float, t: float) -> float:
    top = 38.0 * math.sqrt(t)
    if density.below(top) <= to_spend:
        return top
    return root(lambda x: density.below(x) - to_spend, -top, top, tolerance=1e-11)


def _rising(information: Sequence[float]) -> list[float]:
    times = [float(t) for t in information]
    if not times or times[0] <= 0 or any(b <= a for a, b in itertools.pairwise(times)):
        raise ValueError(f"information fractions must rise from above 0, found {times}")
    return times
