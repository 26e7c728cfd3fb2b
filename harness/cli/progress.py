"""What a campaign shows while it runs: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from harness.comparison.words import counted, shortened
from harness.report.escaping import terminal

PLAIN_EVERY_S = 10.0
REFRESH_HZ = 4
LEAST_BLOCKS = 5
MOST_DIFFERENCES = 4
MOST_OF_AN_ERROR = 600
TUNED_FOR = 100
"""Blocks at which the limits are narrowest: one number for every campaign, as a sequence that is tuned anew is none."""


@dataclass
class Tally:
    """Runs done, and accuracy and time so far, of one arm (Welford's updates)."""

    done: int = 0
    fresh: int = 0
    failed: int = 0
    accuracy: float = 0.0
    spread: float = 0.0
    time_s: float = 0.0
    timed: int = 0

    def add(self, accuracy: float | None, time_s: float | None) -> None:
        self.done += 1
        if accuracy is not None:
            self.fresh += 1
            step = accuracy - self.accuracy
            self.accuracy += step / self.fresh
            self.spread += step * (accuracy - self.accuracy)
        if time_s is not None:
            self.timed += 1
            self.time_s += (time_s - self.time_s) / self.timed

    def text(self) -> str:
        if not self.fresh:
            return "-"
        sd = math.sqrt(self.spread / (self.fresh - 1)) if self.fresh > 1 else None
        shown = f"{100 * self.accuracy:.2f} %" + (f" (sd {100 * sd:.2f})" if sd is not None else "")
        return shown + (f", {_time(self.time_s)}" if self.timed else "")


@dataclass
class Gaps:
    """Number, mean and sum of squares of the differences of one candidate so far (Welford's updates)."""

    n: int = 0
    mean: float = 0.0
    spread: float = 0.0

    def add(self, gap: float) -> None:
        self.n += 1
        step = gap - self.mean
        self.mean += step / self.n
        self.spread += step * (gap - self.mean)


@dataclass
class Display:
    """The state of a campaign; `left_s` from what the finished runs took on the wall clock."""

    prepared: Any
    started: float = field(default_factory=time.monotonic)
    finished: int = 0
    warmups: int = 0
    tallies: dict[str, Tally] = field(default_factory=dict)
    gaps: dict[str, Gaps] = field(default_factory=dict)
    """Each candidate's differences to the control, in points, over the blocks that are whole."""
    blocks: dict[int, dict[str, float]] = field(default_factory=dict)
    """Accuracies of this stage by replicate and arm, of the blocks that are not: a campaign of any length keeps few of them."""
    errors: dict[str, str] = field(default_factory=dict)
    """How each arm's last failed attempt ended."""

    def __post_init__(self) -> None:
        experiment = self.prepared.experiment
        for arm in experiment.arms:
            self.tallies[arm.name] = Tally(done=self.prepared.done.get(arm.name, 0))
        judged = experiment.claim != "time-only"  # else accuracy is none of its business
        if judged and experiment.control is not None and len(experiment.candidates) <= MOST_DIFFERENCES:
            self.gaps = {arm.name: Gaps() for arm in experiment.candidates}
        for replicate, accuracies in self.prepared.accuracies().items() if self.gaps else ():
            for name, accuracy in accuracies.items():
                self._place(replicate, name, accuracy)

    def _place(self, replicate: int, arm: str, accuracy: float) -> None:
        """Keep an accuracy until its block is whole, then the block's differences alone."""
        block = self.blocks.setdefault(replicate, {})
        block[arm] = accuracy
        if block.keys() >= self.tallies.keys():
            del self.blocks[replicate]
            for name, gaps in self.gaps.items():
                gaps.add(_gap(block, name, self.prepared.experiment.control.name))

    def take(self, finished: Any) -> None:
        record = finished.record
        if record.warmup:
            self.warmups += 1
            return
        if not self._asked_for(record):
            return
        tally = self.tallies[record.arm]
        if record.status == "completed":
            self.finished += 1
            tally.add(record.accuracy, record.time_s if record.lane == "exclusive" else None)
            if record.accuracy is not None and self.gaps:
                self._place(record.replicate, record.arm, record.accuracy)
        else:
            tally.failed += 1

    def _asked_for(self, record: Any) -> bool:
        """Whether it is a run of this campaign: what an earlier one left on the way may be of other arms, stages or seeds."""
        experiment = self.prepared.experiment
        asked: bool = (
            record.arm in self.tallies and record.stage == experiment.stage and record.replicate < experiment.seeds
        )
        return asked

    @property
    def left_s(self) -> float | None:
        if not self.finished:
            return None
        left: int = self.prepared.plan.runs - self.finished
        return (time.monotonic() - self.started) / self.finished * left

    def head(self) -> str:
        runs = self.prepared.plan.runs
        left = self.left_s
        return f"{self.finished}/{counted(runs, 'run')}" + ("" if left is None else f", {_span(left)} left")

    def lines(self) -> list[str]:
        width = max(len(name) for name in self.tallies)
        seeds = self.prepared.experiment.seeds
        out = []
        for name, tally in self.tallies.items():
            failed = f"  {tally.failed} failed" if tally.failed else ""
            out.append(f"{name:<{width}}  {tally.done:>4}/{seeds}  {tally.text()}{failed}")
        return out

    def failure(self, record: Any) -> str:
        """An attempt that failed, with its error in full where the arm's attempt before it did not end with the same."""
        what = "warm-up" if record.warmup else f"seed {record.seed}"
        error = next(iter((record.error or "").strip().splitlines()), "no reason given")
        kind = f"{record.status} {error}".replace(str(record.seed), "SEED")
        again = self.errors.get(record.arm) == kind
        self.errors[record.arm] = kind
        told = "the same again" if again else shortened(error, MOST_OF_AN_ERROR)
        return f"{record.arm}, {what}, attempt {record.attempt}: {record.status}" + (f": {told}" if told else "")

    def differences(self) -> list[str]:
        """Each candidate's difference to the control over whole blocks, with limits that hold at whatever time one looks."""
        lines = []
        for name, whole in self.gaps.items():
            control = self.prepared.experiment.control.name
            gaps = replace(whole)
            for block in self.blocks.values():
                if name in block and control in block:
                    gaps.add(_gap(block, name, control))
            if gaps.n >= LEAST_BLOCKS:
                lines.append(_difference(name, gaps))
        return lines


def _gap(block: Mapping[str, float], candidate: str, control: str) -> float:
    return 100 * (block[candidate] - block[control])


def _difference(name: str, gaps: Gaps) -> str:
    from harness.comparison.words import pp_interval
    from harness.stats.anytime import t_mixture_of, tuned_c2
    from harness.stats.moments import Moments

    variance = gaps.spread / (gaps.n - 1) if gaps.n > 1 else None
    shown = t_mixture_of(Moments(gaps.n, gaps.mean, variance), c2=tuned_c2(TUNED_FOR))
    limits = "; looking is allowed at any time" if shown.low is not None else f"; no limits yet at {gaps.n} blocks"
    return f"{name} {pp_interval(shown)} to the control, block by block{limits}"


def _time(seconds: float) -> str:
    return f"{seconds:.3f} s" if seconds >= 0.1 else f"{1000 * seconds:.3g} ms"


def _span(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


@contextmanager
def progress(prepared: Any, *, silent: bool) -> Iterator[Callable[[Any], None] | None]:
    """A callback for every finished attempt, and what it shows; nothing where `silent` or nothing is to do."""
    if silent or prepared.complete:
        yield None
        return
    display = Display(prepared)
    shown = _on_terminal if sys.stderr.isatty() else _in_lines
    with shown(display) as callback:
        yield callback


@contextmanager
def _in_lines(display: Display) -> Iterator[Callable[[Any], None]]:
    last = time.monotonic()
    print(_opening(display), file=sys.stderr, flush=True)  # noqa: T201

    def take(finished: Any) -> None:
        nonlocal last
        display.take(finished)
        record = finished.record
        if record.status != "completed":
            print(terminal(display.failure(record)), file=sys.stderr, flush=True)  # noqa: T201
        if time.monotonic() - last >= PLAIN_EVERY_S or display.finished == display.prepared.plan.runs:
            last = time.monotonic()
            arms = [f"{name} {tally.text()}" for name, tally in list(display.tallies.items())[:4]]
            text = "; ".join([*arms, *display.differences()])
            print(terminal(f"{display.head()}; {text}"), file=sys.stderr, flush=True)  # noqa: T201

    yield take


def _opening(display: Display) -> str:
    plan = display.prepared.plan
    return (
        f"{display.prepared.store.name}: {counted(plan.runs, 'run')} in {counted(plan.blocks, 'block')} over "
        f"{counted(len(plan.invocations), 'invocation')}"
        + (", every arm warmed up in each" if display.prepared.experiment.warmup else ", no warm-ups")
    )


@contextmanager
def _on_terminal(display: Display) -> Iterator[Callable[[Any], None]]:
    from rich.console import Console, Group
    from rich.live import Live
    from rich.progress_bar import ProgressBar
    from rich.text import Text

    console = Console(stderr=True, highlight=False)

    shown_at = 0.0

    def view() -> Group:
        bar = ProgressBar(total=display.prepared.plan.runs, completed=display.finished, width=40)
        return Group(
            Text(_opening(display)),
            bar,
            Text(display.head()),
            *[Text(terminal("  " + line)) for line in [*display.lines(), *display.differences()]],
        )

    with Live(view(), console=console, refresh_per_second=REFRESH_HZ, transient=True) as live:

        def take(finished: Any) -> None:
            nonlocal shown_at
            display.take(finished)
            if finished.record.status != "completed":
                console.print(terminal(display.failure(finished.record)), markup=False)
            if time.monotonic() - shown_at >= 1 / REFRESH_HZ or display.finished == display.prepared.plan.runs:
                live.update(view())  # as often as people can see it, not for every run of a long campaign
                shown_at = time.monotonic()

        yield take
