"""What sequential stopping costs and saves: false claims, power and runs of five ways to look at a growing sample.

    uv run python -m benchmarks.sequential [--campaigns 20000] [--seed 2026] [--out docs/sequential-figures.md]

Every campaign is drawn whole, and each way of looking stops where it stops; all see the same runs. The bounds are those
that `harness run --until-decided` plans (harness/design/looks.py), the test at a look Welch's at that look's level.
Accuracy: normal, sd .15 pp, candidate and control interleaved. Time: log speed-ups of process starts with an arm-by-process
effect. The last tables replay the stored runs of `digits` in random order instead of drawing.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path as File

import numpy as np
from numpy.typing import NDArray
from scipy import special

from harness.comparison.looks import LEAST_STARTS, time_bounds
from harness.design.looks import LookPlan, plan_looks, plan_sprt
from harness.stats.power import seeds_balanced
from harness.stats.sequential import after_stopping
from harness.stats.sprt import wald_bounds

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]
ALPHA, POWER, SD, DIFFERENCE = 0.05, 0.9, 0.15, 0.05
CHUNK = 2000
ANCHOR = 1000
RUN_SD, ARM_BY_PROCESS = 0.0078 * math.sqrt(2), 0.003


@dataclass(frozen=True)
class Stopped:
    """Where campaigns stopped: runs an arm (m,), whether the candidate was called better, Welch's value and se there, and
    whether a futility bound was passed on the way."""

    n: IntArray
    claimed: NDArray[np.bool_]
    value: FloatArray
    se: FloatArray
    below: NDArray[np.bool_] | None = None

    def estimates(self) -> tuple[list[int], list[float], list[float], list[bool]]:
        below = np.zeros(self.n.size, dtype=bool) if self.below is None else self.below
        return self.n.tolist(), self.value.tolist(), self.se.tolist(), below.tolist()


Way = Callable[[FloatArray, FloatArray], Stopped]


class Path:
    """Means and variances (of the sample) of the first n runs of every campaign, (m,) each, at any n."""

    def __init__(self, x: FloatArray) -> None:
        self.origin = float(x[:, 0].mean())
        rest = x - self.origin
        self.sums, self.squares = np.cumsum(rest, axis=1), np.cumsum(rest * rest, axis=1)

    def at(self, n: int) -> tuple[FloatArray, FloatArray]:
        mean = self.sums[:, n - 1] / n
        return self.origin + mean, (self.squares[:, n - 1] / n - mean * mean) * n / (n - 1)


def welch_at(control: Path, candidate: Path, n: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Difference, standard error and df after `n` runs of each arm, (m,) each."""
    (a, va), (b, vb) = candidate.at(n), control.at(n)
    va, vb = va / n, vb / n
    return a - b, np.sqrt(va + vb), (va + vb) ** 2 / ((va * va + vb * vb) / (n - 1))


def looked(
    control: FloatArray,
    candidate: FloatArray,
    looks: Iterable[tuple[int, float, float]],
    last: int,
    *,
    past: bool = False,
) -> Stopped:
    """Stops at the first look (runs, one-sided level, futile from p on) that claims or gives up (not if `past`), else at `last`."""
    m = control.shape[0]
    paths = Path(control), Path(candidate)
    n, claimed = np.full(m, last), np.zeros(m, dtype=bool)
    value, se = np.zeros(m), np.ones(m)
    going, below = np.ones(m, dtype=bool), np.zeros(m, dtype=bool)
    for runs, level, futile in looks:
        gap, error, df = welch_at(*paths, runs)
        p = special.stdtr(df, -gap / error)
        up, down = going & (p < level), going & (p > futile)
        if past:
            below, down = below | down, np.zeros(m, dtype=bool)
        ends = up | (down & ~up) | (going if runs == last else np.zeros(m, dtype=bool))
        n[ends], value[ends], se[ends] = runs, gap[ends], error[ends]
        claimed |= up
        going &= ~ends
    return Stopped(n, claimed, value, se, below)


def fixed(n: int) -> Way:
    return lambda c, x: looked(c, x, [(n, ALPHA, 2.0)], n)


def planned(plan: LookPlan, *, past: bool = False) -> Way:
    """As `--until-decided` stops; `past` as `--past-futility` does."""
    looks = [
        (n, float(special.ndtr(-b)), float(special.ndtr(-f)) if n < plan.largest else 2.0)
        for n, b, f in zip(plan.runs, plan.efficacy, plan.futility, strict=True)
    ]
    return lambda c, x: looked(c, x, looks, plan.largest, past=past)


def peeking(n: int) -> Way:
    """Welch's test at .05 after every five runs from ten on, until it says what is hoped for."""
    return lambda c, x: looked(c, x, [(k, ALPHA, 2.0) for k in (*range(10, n, 5), n)], n)


def likelihood_ratio(plan: LookPlan, difference: float) -> Way:
    """The generalised SPRT on the differences of the blocks, as harness/stats/sprt.py has it, over all campaigns at once."""
    low, high = wald_bounds(alpha=plan.alpha, beta=1 - plan.power)

    def way(control: FloatArray, candidate: FloatArray) -> Stopped:
        path, m = Path(candidate - control), len(control)
        n, claimed, going = np.full(m, plan.largest), np.zeros(m, dtype=bool), np.ones(m, dtype=bool)
        for runs in plan.runs:
            mean, variance = path.at(runs)
            spread = variance * (runs - 1) / runs
            llr = runs / 2 * np.log((spread + mean**2) / (spread + (mean - difference) ** 2))
            ends = going & ((llr >= high) | (llr <= low))
            claimed |= going & (llr >= high)
            n[ends] = runs
            going &= ~ends
        return Stopped(n, claimed, np.zeros(m), np.ones(m))

    return way


def by_eye(anchor: FloatArray) -> Way:
    """The study's screening: 25 runs; better where their mean stands above that of the control's 1000 (`anchor`, (m,))."""
    return lambda c, x: Stopped(
        np.full(len(x), 25), x[:, :25].mean(axis=1) > anchor[: len(x)], np.zeros(len(x)), np.ones(len(x))
    )


@dataclass
class Row:
    claims: int = 0
    runs: int = 0
    most: int = 0
    campaigns: int = 0

    def take(self, stopped: Stopped) -> None:
        self.claims += int(stopped.claimed.sum())
        self.runs += int(stopped.n.sum())
        self.most = max(self.most, int(stopped.n.max()))
        self.campaigns += stopped.n.size


Draw = Callable[[np.random.Generator, int, int], tuple[FloatArray, FloatArray]]


def normal_draw(effect: float) -> Draw:
    def draw(rng: np.random.Generator, m: int, n: int) -> tuple[FloatArray, FloatArray]:
        return rng.normal(0, SD, (m, n)), rng.normal(effect, SD, (m, n))

    return draw


def measured(draw: Draw, n_fixed: int, difference: float, campaigns: int, seed: int, sd: float) -> dict[str, Row]:
    plan, sprt = plan_looks(n_fixed, alpha=ALPHA, timed=False), plan_sprt(n_fixed, alpha=ALPHA)
    rows: dict[str, Row] = {}
    rng = np.random.default_rng(seed)
    for start in range(0, campaigns, CHUNK):
        m = min(CHUNK, campaigns - start)
        control, candidate = draw(rng, m, sprt.largest)
        anchor = rng.normal(control.mean(), sd / math.sqrt(ANCHOR), m)
        ways = {
            f"fixed n = {n_fixed}": fixed(n_fixed),
            "`--until-decided`": planned(plan),
            "`--mode sprt`": likelihood_ratio(sprt, difference),
            "peeking every 5 runs": peeking(n_fixed),
            "the study's: 25 runs by eye": by_eye(anchor),
        }
        for name, way in ways.items():
            rows.setdefault(name, Row()).take(way(control, candidate))
    return rows


def accuracy_table(
    draws: dict[str, Draw], n_fixed: int, difference: float, campaigns: int, seed: int, sd: float
) -> str:
    """Claims and expected runs over the fixed design, for each truth."""
    found = {
        name: measured(draw, n_fixed, difference, campaigns, seed + i, sd)
        for i, (name, draw) in enumerate(draws.items())
    }
    head = (
        "| way of looking | "
        + " | ".join(f"{name}: claims | runs / fixed" for name in found)
        + " | most runs / fixed |"
    )
    lines = [head, "|---|" + "---|---|" * len(found) + "---|"]
    for way in next(iter(found.values())):
        cells = [
            f"{r.claims / r.campaigns:.4f} | {r.runs / r.campaigns / n_fixed:.3f}"
            for r in (f[way] for f in found.values())
        ]
        most = max(rows[way].most for rows in found.values()) / n_fixed
        lines.append(f"| {way} | " + " | ".join(cells) + f" | {most:.3f} |")
    return "\n".join(lines)


# --- time ---------------------------------------------------------------------------------------------------


def time_rows(plan: LookPlan, speedups: FloatArray, starts: Sequence[int] = (), *, futility: bool = True) -> Row:
    """Campaigns on log speed-ups by process start (m, S): t on the starts so far, first at five of them.

    `starts` process starts at the looks, in place of the plan's: an interrupted campaign has others. Without `futility` it goes on.
    """
    m = speedups.shape[0]
    starts = starts or plan.starts
    row, going, claimed, used = (
        Row(campaigns=m),
        np.ones(m, dtype=bool),
        np.zeros(m, dtype=bool),
        np.full(m, starts[-1]),
    )
    tested = [(k, s) for k, s in enumerate(starts) if s >= LEAST_STARTS]
    for (k, s), bound in zip(tested, time_bounds(plan, tested, ALPHA), strict=True):
        part = speedups[:, :s]
        p = special.stdtr(s - 1, -part.mean(axis=1) / (part.std(axis=1, ddof=1) / math.sqrt(s)))
        up = going & (p < special.ndtr(-bound))
        down = going & (p > special.ndtr(-plan.futility[k])) & (k < len(starts) - 1) & futility
        claimed |= up
        used[up | down] = s
        going &= ~(up | down)
    row.claims, row.runs, row.most = int(claimed.sum()), int(used.sum()), int(used.max())
    return row


def fixed_time(speedups: FloatArray, starts: int) -> float:
    part = speedups[:, :starts]
    p = special.stdtr(starts - 1, -part.mean(axis=1) / (part.std(axis=1, ddof=1) / math.sqrt(starts)))
    return float((p < ALPHA).mean())


def time_table(
    draw: Callable[[np.random.Generator, int, float], FloatArray], effect: float, campaigns: int, seed: int
) -> str:
    plan = plan_looks(25, alpha=ALPHA, timed=True)
    fixed_starts = round(plan.starts[-1] * plan.fixed / plan.largest)
    lines = [
        f"| truth | fixed, {fixed_starts} process starts: claims | `--until-decided`: claims | process starts / fixed | most |",
        "|---|---|---|---|---|",
    ]
    for i, share in enumerate((0.0, 0.5, 1.0)):
        x = draw(np.random.default_rng(seed + i), campaigns, share * effect)
        row = time_rows(plan, x)
        lines.append(
            f"| {100 * math.expm1(share * effect):.2f} % faster | {fixed_time(x, fixed_starts):.4f} | {row.claims / row.campaigns:.4f} | "
            f"{row.runs / row.campaigns / fixed_starts:.3f} | {row.most / fixed_starts:.3f} |"
        )
    return "\n".join(lines)


def interrupted_table(campaigns: int, seed: int) -> str:
    """Claims of nothing where process starts come unevenly, with and without stopping for futility."""
    plan = plan_looks(25, alpha=ALPHA, timed=True)
    lines = ["| process starts at the looks | claims | going past futility |", "|---|---|---|"]
    for i, starts in enumerate((plan.starts, (3, 6, 12, 13, 20), (5, 6, 7, 8, 30), (9, 20, 21, 22, 23))):
        x = np.random.default_rng(seed + i).normal(0, 1, (campaigns, starts[-1]))
        rows = [time_rows(plan, x, starts, futility=futility) for futility in (True, False)]
        lines.append(
            f"| {', '.join(map(str, starts))} | " + " | ".join(f"{r.claims / campaigns:.4f}" for r in rows) + " |"
        )
    return "\n".join(lines)


def drawn_starts(rng: np.random.Generator, m: int, effect: float) -> FloatArray:
    """Mean log speed-ups of process starts of two blocks each, (m, 15)."""
    return rng.normal(effect, math.sqrt(ARM_BY_PROCESS**2 + RUN_SD**2 / 2), (m, 15))


# --- after stopping -----------------------------------------------------------------------------------------


def estimates_table(n_fixed: int, campaigns: int, seed: int) -> str:
    """How often the plain and the median-unbiased estimate lie above the truth, and what their 95 % limits hold."""
    plan = plan_looks(n_fixed, alpha=ALPHA, timed=False)
    lines = [
        "| truth | plain: mean | above the truth | limits hold it | median-unbiased: median | above the truth | limits hold it |",
        "|---|---|---|---|---|---|---|",
    ]
    for i, (share, past) in enumerate(
        ((0.0, False), (0.5, False), (1.0, False), (-0.5, True), (0.0, True), (0.5, True))
    ):
        truth = share * DIFFERENCE
        control, candidate = normal_draw(truth)(np.random.default_rng(seed + i), campaigns, plan.largest)
        stopped = planned(plan, past=past)(control, candidate)
        unbiased = [_after(plan, *one, past=past) for one in zip(*stopped.estimates(), strict=True)]
        medians, lows, highs = (np.array(column) for column in zip(*unbiased, strict=True))
        plain = np.abs(stopped.value - truth) < 1.96 * stopped.se
        held = (lows <= truth) & (truth <= highs)
        lines.append(
            f"| {truth:+.3f} pp{', past futility' if past else ''} | {stopped.value.mean():+.4f} | {np.mean(stopped.value > truth):.3f} | "
            f"{plain.mean():.3f} | {np.median(medians):+.4f} | {np.mean(medians > truth):.3f} | {np.mean(held):.3f} |"
        )
    return "\n".join(lines)


def _after(
    plan: LookPlan, n: int, value: float, se: float, went_below: bool, *, past: bool
) -> tuple[float, float, float]:
    """Median-unbiased estimate and limits of one campaign; one that went on below a futility bound was not stopped by any."""
    k = plan.runs.index(n)
    futility = None if past and went_below else plan.futility[: k + 1]
    drift = after_stopping(plan.information[: k + 1], plan.efficacy[: k + 1], futility, look=k, z=value / se)
    scale = se * math.sqrt(plan.information[k])
    return drift.median * scale, drift.low * scale, drift.high * scale


# --- real runs ----------------------------------------------------------------------------------------------


def shuffled(control: FloatArray, candidate: FloatArray | None) -> Draw:
    """Both arms dealt from stored runs without replacement; both from `control` where there is no other."""

    def draw(rng: np.random.Generator, m: int, n: int) -> tuple[FloatArray, FloatArray]:
        if candidate is None:
            both = rng.permuted(np.broadcast_to(control, (m, control.size)), axis=1)
            return both[:, :n], both[:, n : 2 * n]
        return tuple(rng.permuted(np.broadcast_to(x, (m, x.size)), axis=1)[:, :n] for x in (control, candidate))  # type: ignore[return-value]

    return draw


def stored() -> tuple[FloatArray, FloatArray, FloatArray]:
    """Accuracies of the 2,000 stored baseline and 1,000 final runs of digits in pp, and log speed-ups by process start."""
    import harness

    frozen, own = harness.load("digits-baseline"), harness.load("digits-final")
    own = own[~own["warmup"] & (own["status"] == "completed")]
    frozen = frozen[~frozen["warmup"] & (frozen["status"] == "completed")]
    arms = dict(iter(own.groupby("arm")))
    base = np.concatenate(
        [100 * frozen["accuracy"].to_numpy(float), 100 * arms["digits-baseline"]["accuracy"].to_numpy(float)]
    )
    both = arms["digits-baseline"].merge(arms["digits-final"], on=["invocation", "block"], suffixes=("_c", "_x"))
    logs = np.log(both["time_s_c"].astype(float)) - np.log(both["time_s_x"].astype(float))
    return (
        base,
        100 * arms["digits-final"]["accuracy"].to_numpy(float),
        logs.groupby(both["invocation"]).mean().to_numpy(float),
    )


def replayed_starts(logs: FloatArray) -> Callable[[np.random.Generator, int, float], FloatArray]:
    """Process starts in random order: with arms swapped at random where there is to be no effect, else shifted to it."""

    def draw(rng: np.random.Generator, m: int, effect: float) -> FloatArray:
        x = rng.permuted(np.broadcast_to(logs - logs.mean(), (m, logs.size)), axis=1)[:, :15]
        return x * rng.choice((-1.0, 1.0), x.shape) + effect

    return draw


def pages(campaigns: int, seed: int) -> Iterator[str]:
    n_fixed = seeds_balanced(difference=DIFFERENCE, sd=SD, alpha=ALPHA, power=POWER)
    assert n_fixed is not None
    truths = {
        name: normal_draw(share * DIFFERENCE)
        for name, share in (("no effect", 0.0), ("half of it", 0.5), (f"+{DIFFERENCE} pp", 1.0))
    }
    yield "# Sequential stopping, measured\n"
    yield (
        f"`python -m benchmarks.sequential --campaigns {campaigns} --seed {seed}` made the tables: {campaigns:,} campaigns a row.\n"
    )
    yield f"## Accuracy, drawn\n\nPlanned for +{DIFFERENCE} pp at sd {SD} pp, one-sided alpha {ALPHA}, power {POWER}.\n"
    yield accuracy_table(truths, n_fixed, DIFFERENCE, campaigns, seed, SD) + "\n"
    small = seeds_balanced(difference=0.10, sd=SD, alpha=ALPHA, power=POWER)
    assert small is not None
    wide = {
        name: normal_draw(share * 0.10) for name, share in (("no effect", 0.0), ("half of it", 0.5), ("+0.1 pp", 1.0))
    }
    yield "The same planned for +0.10 pp, where the looks are at few runs:\n"
    yield accuracy_table(wide, small, 0.10, campaigns, seed + 10, SD) + "\n"
    effect = 2.926 * math.sqrt((ARM_BY_PROCESS**2 + RUN_SD**2 / 2) / 12)
    yield "## Time, drawn\n\nTwo blocks a process start, .78 % a run, arm-by-process effect .3 %, in place of 25 blocks.\n"
    yield time_table(drawn_starts, effect, campaigns, seed + 20) + "\n"
    yield (
        "An interrupted campaign has other process starts than planned; alpha is spent by the planned share of the campaign, and the "
        "starts themselves say how much the looks resemble each other. No effect, equal process starts:\n"
    )
    yield interrupted_table(campaigns, seed + 25) + "\n"
    estimates = min(campaigns, 1500)
    yield f"## The estimate after stopping\n\n{estimates:,} campaigns a row, as in the first table.\n"
    yield estimates_table(n_fixed, estimates, seed + 30) + "\n"
    base, final, logs = stored()
    gap = float(base.mean() - final.mean())
    spread = float(base.std(ddof=1))
    replay = seeds_balanced(difference=gap, sd=float(final.std(ddof=1)), alpha=ALPHA, power=POWER)
    assert replay is not None
    yield (
        f"## Stored runs of digits in random order\n\n{base.size:,} runs of digits-baseline and {final.size:,} of digits-final; the "
        f"baseline is the candidate of the effect, as it is better by {gap:.3f} pp (sd {spread:.2f} and {final.std(ddof=1):.2f} pp).\n"
    )
    real = {"no effect": shuffled(base, None), f"+{gap:.3f} pp": shuffled(final, base)}
    yield accuracy_table(real, replay, gap, campaigns, seed + 40, spread) + "\n"
    yield (
        f"Time by the {logs.size} process starts of digits-final in random order, arms swapped at random; effects are added to "
        "them.\n"
    )
    yield time_table(replayed_starts(logs), 2.926 * float(logs.std(ddof=1)) / math.sqrt(12), campaigns, seed + 50)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--campaigns", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--out", type=File)
    args = parser.parse_args()
    parts = []
    for part in pages(args.campaigns, args.seed):
        print(part, flush=True)
        parts.append(part)
    if args.out:
        args.out.write_text("\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
