"""A ladder, climbed many times on drawn runs whose truth is known, against the protocol of a careful study.

    uv run python -m benchmarks.ladder [--campaigns 20000] [--seed 2026] [--out docs/ladder-simulated.md]

One run's accuracy is normal with a standard deviation of .15 percentage points (pp). The baseline's truth is 94.01 %, the
bar 94.00 %. Drawn are means and variances of stages, not single runs, which is the same for normal values. Arms are ranked by
`believed`, `proof_chance`, `scores`, `order` and `Ladder.kept`, the very functions of `harness ladder`, and what is decided is
decided by `above` on `welch_from_moments`, as in `harness compare`.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.comparison.judge import above
from harness.comparison.ladder import believed, order, proof_chance, scores
from harness.comparison.pair import Promise
from harness.design.ladder import Ladder
from harness.stats.means import from_moments, welch_from_moments
from harness.stats.moments import Moments

FloatArray = NDArray[np.float64]

SD = 0.15  # pp, one run
BASELINE, BAR = 0.01, 0.0  # pp above 94 %
ANCHOR = 1000
ACCURATE = Promise("accurate", target=0.94)
FASTER = Promise("faster", margin_pp=0.05)
TIME_ERROR = 0.002  # of a log speed-up: what five process starts leave


@dataclass(frozen=True)
class Stage:
    """Means and variances of `n` runs, in points above 94 %; arrays of equal shape."""

    n: int
    mean: FloatArray
    variance: FloatArray

    def joined(self, other: Stage) -> Stage:
        """Both together, as if they were one sample."""
        n = self.n + other.n
        mean = (self.n * self.mean + other.n * other.mean) / n
        between = self.n * other.n / n * (self.mean - other.mean) ** 2
        return Stage(n, mean, ((self.n - 1) * self.variance + (other.n - 1) * other.variance + between) / (n - 1))

    def take(self, index: NDArray[np.intp]) -> Stage:
        return Stage(self.n, np.take_along_axis(self.mean, index, 1), np.take_along_axis(self.variance, index, 1))


def drawn(rng: np.random.Generator, truth: FloatArray, n: int) -> Stage:
    variance = SD**2 * rng.chisquare(n - 1, truth.shape) / (n - 1)
    return Stage(n, rng.normal(truth, SD / math.sqrt(n)), variance)


# --- worlds: what is true of the arms, in points from the baseline, (campaigns, arms) -----------------------------

Effects = Callable[[np.random.Generator, int], FloatArray]


def mixture(rng: np.random.Generator, campaigns: int) -> FloatArray:
    """35 arms: six in ten hurt (N(-.02, .02²)), three in ten do nothing, one in ten helps (N(.03, .01²))."""
    kind = rng.random((campaigns, 35))
    z = rng.normal(size=(campaigns, 35))
    return np.select([kind < 0.6, kind < 0.9], [-0.02 + 0.02 * z, 0.0 * z], 0.03 + 0.01 * z)


def nothing(rng: np.random.Generator, campaigns: int) -> FloatArray:
    """35 arms, none of which changes anything."""
    return np.zeros((campaigns, 35))


def trade(rng: np.random.Generator, campaigns: int) -> FloatArray:
    """Ten arms, each half a per cent shorter than the one before; accuracy pays the square of it, give or take."""
    arms = np.arange(1, 11)
    return -0.0005 * arms**2 + rng.normal(0, 0.004, (campaigns, 10))


GAINS = np.log(1 / (1 - 0.005 * np.arange(1, 11)))


# --- protocols ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """What a protocol shipped in each campaign: truth, read-out (points from 94 %), whether it did, and what it cost."""

    truth: FloatArray
    shown: FloatArray
    covered: NDArray[np.bool_]
    shipped: NDArray[np.bool_]
    gain: FloatArray
    runs: int


def study(rng: np.random.Generator, effects: FloatArray) -> Outcome:
    """The best of all arms by its mean at 25 seeds; shipped if that mean reaches the bar."""
    screened = drawn(rng, BASELINE + effects, 25)
    best = screened.mean.argmax(1)[:, None]
    truth, mean, variance = (
        np.take_along_axis(x, best, 1)[:, 0] for x in (BASELINE + effects, screened.mean, screened.variance)
    )
    half = 2.0639 * np.sqrt(variance / 25)  # t(24), 97.5 %
    return Outcome(truth, mean, np.abs(mean - truth) <= half, mean >= BAR, np.zeros_like(mean), 25 * effects.shape[1])


def climb(
    rng: np.random.Generator, effects: FloatArray, ladder: Ladder, promise: Promise, gains: FloatArray | None = None,
    *, control_truth: FloatArray | None = None, anchored: bool = False, rank: str = "rule",
) -> Outcome:  # fmt: skip
    """A ladder to its end: verdicts against the interleaved control, or `anchored` against 1000 frozen runs alone."""
    campaigns, arms = effects.shape
    truth = BASELINE + effects
    index = np.broadcast_to(np.arange(arms), effects.shape)
    seen: Stage | None = None
    base: Stage | None = None
    spent = 0
    own = np.zeros((campaigns, 1)) + (BASELINE if control_truth is None else control_truth[:, None])
    for number, (_, size) in enumerate(ladder.stages):
        fresh = drawn(rng, np.take_along_axis(truth, index, 1), size)
        control = drawn(rng, own, size)
        spent += size * (index.shape[1] + 1)
        if number == len(ladder.sizes) - 1:
            base = control  # those of earlier stages helped to choose
            break
        base = control if base is None else base.joined(control)
        seen = fresh if seen is None else seen.joined(fresh)
        kept = _ranked(rng, seen, base, promise, ladder, number, None if gains is None else gains[index], rank)
        seen, index = seen.take(kept), np.take_along_axis(index, kept, 1)
    if anchored:
        base = drawn(rng, own, ANCHOR)
    return _decided(fresh, base, np.take_along_axis(truth, index, 1)[:, 0], promise, gains, index[:, 0], spent)


def _ranked(
    rng: np.random.Generator, seen: Stage, base: Stage, promise: Promise, ladder: Ladder, number: int,
    gains: FloatArray | None, rank: str,
) -> NDArray[np.intp]:  # fmt: skip
    """The arms that go on, best first, (campaigns, kept)."""
    count = ladder.kept(number, seen.mean.shape[1])
    differences = seen.mean - base.mean
    errors = np.sqrt(seen.variance / seen.n + base.variance / base.n)
    final = ladder.sizes[-1]
    out = np.empty((len(differences), count), dtype=np.intp)
    for i, (d, se) in enumerate(zip(differences, errors, strict=True)):
        theta, tau = believed(d, se)
        if gains is None:
            out[i] = order(scores(promise.claim, theta, 0.0 * theta, 0.0 * theta), theta)[:count]
            continue
        measured = gains[i] + rng.normal(0, TIME_ERROR, theta.size)
        if rank == "fastest that is not refuted":
            able = (d + 1.645 * se >= -(promise.margin_pp or 0.0)) & (theta >= -(promise.margin_pp or 0.0))
            out[i] = order(np.where(able, measured, -1.0), theta)[:count]
            continue
        sd = np.sqrt(seen.variance[i])
        chances = [
            proof_chance(
                promise, shrunk=theta[j], uncertainty=tau[j], error=sd[j] * math.sqrt(2 / final),
                above_target=None, mean_error=sd[j] / math.sqrt(final),
            )
            for j in range(theta.size)
        ]  # fmt: skip
        out[i] = order(scores(promise.claim, theta, measured, chances), theta)[:count]
    return out


def _decided(
    fresh: Stage, base: Stage, truth: FloatArray, promise: Promise, gains: FloatArray | None, picked: NDArray[np.intp],
    spent: int,
) -> Outcome:  # fmt: skip
    """The claim's accuracy endpoints on fresh runs, one-sided at alpha; the interval is that of the mean."""
    lowest = 0.0 if promise.claim == "accurate" else -(promise.margin_pp or 0.0)
    shipped, covered = np.zeros(truth.size, dtype=bool), np.zeros(truth.size, dtype=bool)
    for i in range(truth.size):
        mine, other = (Moments(s.n, float(s.mean[i, 0]), float(s.variance[i, 0])) for s in (fresh, base))
        own, difference = from_moments(mine), welch_from_moments(mine, other)
        ends = [above(difference, lowest, promise.alpha)]
        ends += [] if promise.target is None else [above(own, BAR, promise.alpha)]
        shipped[i] = all(end.decision == "pass" for end in ends)
        e = own.estimate()
        assert e.low is not None and e.high is not None
        covered[i] = e.low <= truth[i] <= e.high
    gain = np.zeros(truth.size) if gains is None else gains[picked]
    return Outcome(truth, fresh.mean[:, 0], covered, shipped, gain, spent)


# --- stacking: five rounds of seven tweaks --------------------------------------------------------------------------


def stacked(rng: np.random.Generator, campaigns: int, ladder: Ladder | None) -> Outcome:
    """Five rounds of seven tweaks of N(-.012, .012²) on what the last round left; by the study's rule, or by a ladder a round."""
    truth, shown = np.full(campaigns, BASELINE), np.full(campaigns, np.nan)
    runs, covered = 0, np.zeros(campaigns, dtype=bool)
    for _ in range(5):
        effects = truth[:, None] - BASELINE + rng.normal(-0.012, 0.012, (campaigns, 7))
        if ladder is None:
            one = study(rng, effects)
            adopted = one.shown >= BASELINE
        else:
            one = climb(rng, effects, ladder, ACCURATE, control_truth=truth)
            adopted = one.shipped
        truth, shown = np.where(adopted, one.truth, truth), np.where(adopted, one.shown, shown)
        covered, runs = np.where(adopted, one.covered, covered), runs + one.runs
    return Outcome(truth, shown, covered, ~np.isnan(shown), np.zeros(campaigns), runs)


# --- tables ---------------------------------------------------------------------------------------------------------

HEADER = (
    "| protocol | runs | truth of its pick | ships | shown − true | the same, of what it ships | 95 % interval holds the truth | shipped: "
    "not better than the baseline | shipped: below the bar |\n|---|---|---|---|---|---|---|---|---|"
)


def row(name: str, o: Outcome) -> str:
    off, shipped = o.shown - o.truth, o.shipped
    count = max(1, int(shipped.sum()))
    cells = [
        f"{o.runs}", f"{o.truth.mean() - BASELINE:+.4f}", f"{100 * shipped.mean():.1f} %", _signed(float(np.nanmean(off))),
        _signed(float(off[shipped].mean())) if shipped.any() else "–", f"{100 * o.covered[~np.isnan(o.shown)].mean():.1f} %",
        f"{100 * (shipped & (o.truth <= BASELINE)).sum() / count:.1f} %", f"{100 * (shipped & (o.truth < BAR)).sum() / count:.1f} %",
    ]  # fmt: skip
    return f"| {name} | " + " | ".join(cells) + " |"


def _signed(x: float) -> str:
    return f"{x:+.4f}"


DESIGNS = (
    ("ladder 25 → 200 → 1000, keep 1/3, 1 (the default)", Ladder()),
    ("ladder 25 → 200 → 1000, keep 6, 1", Ladder(keep=("6", "1"))),
    ("ladder 10 → 100 → 1000, keep 12, 1", Ladder((10, 100, 1000), ("12", "1"))),
    ("ladder 25 → 1000, keep 1", Ladder((25, 1000), ("1",))),
)


def searched(world: Effects, campaigns: int, seed: int) -> list[str]:
    """The study's pick and the ladders' in one world, each row from the same seed."""
    rows = [HEADER, row("the study's: best of 35 at 25", study(*_start(world, campaigns, seed)))]
    rows += [row(name, climb(*_start(world, campaigns, seed), ladder, ACCURATE)) for name, ladder in DESIGNS]
    rows.append(
        row(
            "the default, against 1000 frozen runs alone",
            climb(*_start(world, campaigns, seed), Ladder(), ACCURATE, anchored=True),
        )
    )
    return rows


def _start(world: Effects, campaigns: int, seed: int) -> tuple[np.random.Generator, FloatArray]:
    rng = np.random.default_rng(seed)
    return rng, world(rng, campaigns)


def stacks(campaigns: int, seed: int) -> list[str]:
    both = (
        ("the study's: stack the best of 7 if it shows 94.01 %", None),
        ("a ladder each round, stacked if it passes", Ladder()),
    )
    return [HEADER, *(row(name, stacked(np.random.default_rng(seed), campaigns, ladder)) for name, ladder in both)]


def trades(campaigns: int, seed: int) -> list[str]:
    """The ranking for `faster` against a plainer one."""
    lines = [
        "| ranked by | passes | speed-up of the pick | speed-up proven (else 1) | pick worse by more than the margin |"
    ]
    lines.append("|---|---|---|---|---|")
    rules = (
        ("log speed-up × chance of a proof (the rule)", "rule"),
        ("the fastest that is not refuted", "fastest that is not refuted"),
    )
    for name, rank in rules:
        o = climb(*_start(trade, campaigns, seed), Ladder(), FASTER, GAINS, rank=rank)
        worse = o.truth < BASELINE - (FASTER.margin_pp or 0.0)
        lines.append(
            f"| {name} | {100 * o.shipped.mean():.1f} % | {np.exp(o.gain.mean()):.4f}× | {np.exp((o.gain * o.shipped).mean()):.4f}× | "
            f"{100 * worse.mean():.1f} % |"
        )
    return lines


def document(campaigns: int, seed: int) -> str:
    """All tables, as Markdown."""
    parts: Sequence[tuple[str, list[str]]] = (
        ("35 arms: six in ten hurt, three do nothing, one helps", searched(mixture, campaigns, seed)),
        ("35 arms, and nothing differs", searched(nothing, campaigns, seed)),
        ("Five rounds of seven tweaks, each worth −.012 ± .012", stacks(campaigns, seed)),
        ("Ten shorter trainings, claim `faster`, margin .05, no target", trades(campaigns, seed)),
    )
    return "\n\n".join(f"### {title}\n\n" + "\n".join(lines) for title, lines in parts)


def main() -> None:
    parser = argparse.ArgumentParser(description="Ladders against a published study's protocol, on drawn runs.")
    parser.add_argument("--campaigns", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--out", type=Path, help="replace the tables of this page, between its two marks")
    asked = parser.parse_args()
    started = time.perf_counter()
    tables = document(asked.campaigns, asked.seed)
    print(tables, f"\n\n({time.perf_counter() - started:.0f} s)", flush=True)
    if asked.out:
        text = asked.out.read_text(encoding="utf-8")
        head, _, rest = text.partition("<!-- simulated -->\n")
        tail = rest.partition("<!-- /simulated -->\n")[2]
        made = f"`python -m benchmarks.ladder --campaigns {asked.campaigns} --seed {asked.seed}`: {asked.campaigns:,} campaigns a row.\n\n"
        asked.out.write_text(f"{head}<!-- simulated -->\n{made}{tables}\n<!-- /simulated -->\n{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
