"""The rules of a gate over 200 simulated commits: how often they cry wolf, and how soon they see a loss.

    python -m benchmarks.gate                        # the tables, in Markdown
    python -m benchmarks.gate --write docs/gate.md   # into that page, between its marks

25 runs a commit with a standard deviation of .15 points, an anchor of 1,000 runs (drawn anew in each repeat), the base of each
commit measured again with 25 runs beside it; a loss comes at commit 101, or little by little. The rules are those of
`harness/comparison/layers.py`, on arrays. Everything is seeded.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import special

from harness.comparison.layers import ANCHOR_SHARE, CONFIRM_ALPHA, CONFIRM_FACTOR, DELTA, HARD_ALPHA, THRESHOLD

Array = NDArray[np.float64]
REPEATS, COMMITS, AT = 4000, 200, 100
N, SD, ANCHOR, SMALL_ANCHOR, MARGIN = 25, 0.15, 1000, 250, 0.05  # points
SE = SD / math.sqrt(N)
STARTS, CONFIRM_STARTS, SLOW = 5, 20, 0.01
MARKS = ("<!-- tables of benchmarks/gate.py -->", "<!-- end of the tables -->")


@dataclass(frozen=True)
class Commits:
    """Simulated commits, all (repeats, commits) in points below the truth at the start, positive where worse.

    `loss` the truth; `mean` the loss that its runs show; `base` that of the commit before it, measured again beside it;
    `again` and `base_again` the same with four times the fresh seeds; `sd` the pooled standard deviation of the pair.
    """

    loss: Array
    mean: Array
    base: Array
    again: Array
    base_again: Array
    anchor: Array
    sd: Array
    sd_again: Array


def commits(loss: Array, rng: np.random.Generator) -> Commits:
    shape = (REPEATS, loss.size)
    before = np.concatenate([[0.0], loss[:-1]])

    def measured(truth: Array, n: int) -> Array:
        return truth + rng.standard_normal(shape) * SD / math.sqrt(n)

    def spread(n: int) -> Array:
        df = 2 * n - 2
        return SD * np.sqrt(rng.chisquare(df, shape) / df)

    more = CONFIRM_FACTOR * N
    anchor = rng.standard_normal((REPEATS, 1)) * SD / math.sqrt(ANCHOR)
    return Commits(
        loss, measured(loss, N), measured(before, N), measured(loss, more), measured(before, more), anchor, spread(N), spread(more)
    )  # fmt: skip


def proven(difference: Array, sd: Array, n: int, alpha: float) -> NDArray[np.bool_]:
    """Whether a loss is proven one-sided by two arms of `n` runs."""
    t = difference / (sd * math.sqrt(2 / n))
    return np.asarray(t > -special.stdtrit(2 * n - 2, alpha))


# --- rules: each gives (repeats, commits) of alarms -----------------------------------------------------------


def hard(c: Commits, alpha: float = HARD_ALPHA, *, control: Array | None = None) -> NDArray[np.bool_]:
    gap = c.mean - (c.base if control is None else control)
    return proven(gap, c.sd, N, alpha) & (gap > MARGIN)


def hard_confirmed(c: Commits) -> NDArray[np.bool_]:
    gap = c.again - c.base_again
    return hard(c) & proven(gap, c.sd_again, CONFIRM_FACTOR * N, CONFIRM_ALPHA) & (gap > MARGIN)


def creep(c: Commits) -> NDArray[np.bool_]:
    """The e-CUSUM of the standardised residuals against the anchor, less what an anchor may have been lucky by."""
    return _chart((c.mean - c.anchor) / SE - _allowance(ANCHOR))


def creep_of_small_anchor(c: Commits) -> NDArray[np.bool_]:
    """The same against an anchor of ten times the runs of a commit, the least that is asked for."""
    anchor = c.anchor * math.sqrt(ANCHOR / SMALL_ANCHOR)
    return _chart((c.mean - anchor) / SE - _allowance(SMALL_ANCHOR))


def _allowance(anchor: int) -> float:
    return float(special.ndtri(ANCHOR_SHARE)) * math.sqrt(N / anchor)


def _chart(z: Array) -> NDArray[np.bool_]:
    path, m = np.empty_like(z), np.zeros(REPEATS)
    for t in range(z.shape[1]):
        m = DELTA * z[:, t] - DELTA**2 / 2 + np.maximum(m, 0.0)
        path[:, t] = m
    return np.asarray(path >= math.log(THRESHOLD))


def against_anchor(alpha: float) -> Callable[[Commits], NDArray[np.bool_]]:
    error = math.sqrt(SD**2 / N + SD**2 / ANCHOR)
    return lambda c: np.asarray((c.mean - c.anchor) / error > -special.ndtri(alpha))


def against_previous(alpha: float) -> Callable[[Commits], NDArray[np.bool_]]:
    return lambda c: proven(c.mean - np.concatenate([np.zeros((REPEATS, 1)), c.mean[:, :-1]], axis=1), c.sd, N, alpha)


RULES: dict[str, Callable[[Commits], NDArray[np.bool_]]] = {
    "hard rule (p < .001 and > .05 pp), base measured again": hard,
    "hard rule, red only where confirmed": hard_confirmed,
    "creep: e-CUSUM against the anchor": creep,
    f"creep against an anchor of {SMALL_ANCHOR} runs": creep_of_small_anchor,
    "**the gate: hard rule confirmed, and creep**": lambda c: hard_confirmed(c) | creep(c),
    "peer: p < .05 against the anchor, each commit": against_anchor(0.05),
    "peer: p < .001 against the anchor, each commit": against_anchor(0.001),
    "peer: mean more than .05 pp below the anchor": lambda c: np.asarray(c.mean - c.anchor > MARGIN),
    "peer: p < .05 against the previous commit": against_previous(0.05),
}


def first(alarms: NDArray[np.bool_]) -> Array:
    """The commit of the first alarm, from 1; infinite where there is none."""
    return np.where(alarms.any(axis=1), alarms.argmax(axis=1) + 1.0, np.inf)


def delay(alarms: NDArray[np.bool_]) -> tuple[float, float]:
    """Share of repeats with an alarm from the loss on, and the median number of commits until it, the first bad one included."""
    found = first(alarms[:, AT:])
    seen = np.isfinite(found)
    return float(seen.mean()), float(np.median(found[seen])) if seen.any() else math.inf


def step(size: float) -> Array:
    return np.where(np.arange(COMMITS) < AT, 0.0, size)


def accuracy_table(seed: int = 1) -> list[str]:
    rng = np.random.default_rng(seed)
    truths = {
        "null": np.zeros(COMMITS),
        "-.05": step(0.05),
        "-.03": step(0.03),
        "-.2": step(0.2),
        "creep": 0.001 * np.arange(1, COMMITS + 1),
    }
    drawn = {name: commits(loss, rng) for name, loss in truths.items()}
    rows = [
        "| rule | false alarm by 200 | alarms in 200 | −.20 pp: seen, delay | −.05 pp | −.03 pp | −.001 pp a commit: seen, median commit |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, rule in RULES.items():
        null = rule(drawn["null"])
        cells = [f"{np.isfinite(first(null)).mean():.3f}", f"{null.sum(axis=1).mean():.2f}"]
        cells += [_seen(*delay(rule(drawn[key]))) for key in ("-.2", "-.05", "-.03")]
        slow = first(rule(drawn["creep"]))
        seen = np.isfinite(slow)
        cells.append(_seen(float(seen.mean()), float(np.median(slow[seen])) if seen.any() else math.inf))
        rows.append(f"| {name} | " + " | ".join(cells) + " |")
    return rows


def _seen(share: float, commits_: float) -> str:
    return f"{share:.3f}, {commits_:.0f}" if math.isfinite(commits_) else f"{share:.3f}, none"


def time_table(seed: int = 2) -> list[str]:
    """A slowdown in one commit: how often it is red there, and how often a commit without one is."""
    rng = np.random.default_rng(seed)
    rows = [
        "| rule | spread of a process start | false alarm by 200 | 1 % slower | 2 % | 5 % | 10 % |",
        "|---|---|---|---|---|---|---|",
    ]
    draws = 200_000
    for between in (0.001, 0.005):
        shares = {}
        for slower in (0.0, 0.01, 0.02, 0.05, 0.1):
            one = _slow(slower, between, STARTS, HARD_ALPHA, draws, rng)
            two = _slow(slower, between, CONFIRM_STARTS, CONFIRM_ALPHA, draws, rng)
            other_day = math.log1p(slower) + rng.standard_normal(draws) * math.hypot(0.02, between / math.sqrt(STARTS))
            shares[slower] = (one.mean(), (one & two).mean(), (other_day > math.log1p(SLOW)).mean())
        names = (
            "hard rule (p < .001 and > 1 %)",
            "**confirmed on 20 process starts**",
            "peer: 1 % threshold, base of another day (sd 2 %)",
        )
        for i, name in enumerate(names):
            alone = shares[0.0][i]
            cells = [f"{100 * between:g} %", f"{1 - (1 - alone) ** COMMITS:.3f}"]
            cells += [f"{shares[s][i]:.3f}" for s in (0.01, 0.02, 0.05, 0.1)]
            rows.append(f"| {name} | " + " | ".join(cells) + " |")
    return rows


def _slow(
    slower: float, between: float, starts: int, alpha: float, draws: int, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Whether a slowdown is red: mean log ratios of `starts` process starts, t on starts − 1."""
    mean = math.log1p(slower) + rng.standard_normal(draws) * between / math.sqrt(starts)
    sd = between * np.sqrt(rng.chisquare(starts - 1, draws) / (starts - 1))
    t = mean / (sd / math.sqrt(starts))
    return np.asarray((t > -special.stdtrit(starts - 1, alpha)) & (mean > math.log1p(SLOW)))


def run_length(seed: int = 3, most: int = 20_000, repeats: int = 400) -> list[tuple[float, float, float]]:
    """Of the creep chart without a change, for the usual and the small anchor: mean commits to a false alarm (cut at `most`), and
    the shares of charts with one within 200 and within 1,000 commits."""
    rng = np.random.default_rng(seed)
    out = []
    for anchor in (ANCHOR, SMALL_ANCHOR):
        bias = rng.standard_normal(repeats) * math.sqrt(N / anchor) - _allowance(anchor)
        m, ended = np.zeros(repeats), np.full(repeats, float(most))
        for t in range(1, most + 1):
            m = DELTA * (rng.standard_normal(repeats) + bias) - DELTA**2 / 2 + np.maximum(m, 0.0)
            ended = np.where((m >= math.log(THRESHOLD)) & (ended == most), t, ended)
        out.append((float(ended.mean()), float((ended <= 200).mean()), float((ended <= 1000).mean())))
    return out


def page() -> str:
    lengths = [
        f"{mean:,.0f} commits with an anchor of {anchor:,} runs, an alarm within 200 commits in {soon:.3f} of the charts and within "
        f"1,000 in {late:.3f}"
        for anchor, (mean, soon, late) in zip((ANCHOR, SMALL_ANCHOR), run_length(), strict=True)
    ]
    return "\n".join(
        [
            f"Accuracy, {REPEATS} repeats of {COMMITS} commits:",
            "",
            *accuracy_table(),
            "",
            "Time, one commit at 5 process starts:",
            "",
            *time_table(),
            "",
            "Average run length of the creep chart without a change, the anchor's own error in it (cut at 20,000): "
            + "; ".join(lengths)
            + ".",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path, help="the page whose tables are replaced")
    place = parser.parse_args().write
    tables = page()
    if place is None:
        print(tables)
        return
    head, rest = place.read_text(encoding="utf-8").split(MARKS[0])
    tail = rest.split(MARKS[1])[1]
    place.write_text(f"{head}{MARKS[0]}\n\n{tables}\n\n{MARKS[1]}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
