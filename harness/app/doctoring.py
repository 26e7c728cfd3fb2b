"""What `doctor` does: look at the machine, time equal work against itself, and say what can be seen here."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.app.preparing import Prepared, RunOptions, prepare_run
from harness.doctor.check import Check, worst
from harness.errors import HarnessError, UsageError

if TYPE_CHECKING:
    from harness.model.experiment import Experiment

WORKLOAD = "digits-baseline"
STORE = "doctor"
WATCH_S = 1.0
"""So long others are watched before anything of ours runs."""
BLOCKS = 5
"""Blocks a process start, as a campaign of 25 seeds has them."""
LEAST_STARTS, MOST_STARTS = 3, 40
REPEATS = 2000
POWER = 0.9

Runner = Callable[[Prepared, RunOptions], Any]


@dataclass(frozen=True)
class Asked:
    """The workload (an experiment, whose control is run), how long it may take (0: not at all), and the level."""

    names: tuple[str, ...] = (WORKLOAD,)
    seconds: float = 60.0
    alpha: float = 0.05
    experiments: Path | None = None


def examine(asked: Asked, results: Path, runner: Runner) -> dict[str, Any]:
    """Every check, and the noise floor of a short A/A. Raises UsageError where the workload is none."""
    from harness.doctor.cpu import stolen_check
    from harness.doctor.place import Moment, clock_checks
    from harness.provenance.environment import virtualisation
    from harness.provenance.host import limits
    from harness.provenance.load import load_between, look

    workload = _workload(asked) if asked.seconds > 0 else None
    before, first, held = Moment.now(), look(), limits().throttled
    checks = list(_machine(results))
    noise: dict[str, Any] | None = None
    reason = "not asked for (--seconds 0)"
    if workload is not None:
        with tempfile.TemporaryDirectory(prefix="harness-doctor-") as folder:
            try:
                noise = _noise(workload, asked, Path(folder), runner)
                reason = ""
            except HarnessError as problem:
                reason = str(problem).replace(folder, "the temporary store")
    checks.append(stolen_check(load_between(first, look()), tuple(virtualisation())))
    checks += _held_back(held, limits().throttled)
    checks += clock_checks(before, Moment.now())
    groups = list(dict.fromkeys(check.group for check in checks))
    return {
        "schema": 1,
        "host": os.uname().nodename,
        "state": worst(checks),
        "checks": [check.as_dict() for check in sorted(checks, key=lambda check: groups.index(check.group))],
        "noise": noise,
        "noise_reason": reason,
    }


def _machine(results: Path) -> Iterator[Check]:
    """The checks that need no run of their own."""
    from harness.doctor.cpu import cpu_checks, processors
    from harness.doctor.gpu import gpu_checks
    from harness.doctor.place import disk_checks, memory_check
    from harness.provenance.environment import memory, virtualisation
    from harness.provenance.gpu import visible_gpus
    from harness.provenance.gpu_state import gpu_states
    from harness.provenance.load import load_between, look

    first = look()
    time.sleep(WATCH_S)
    load = load_between(first, look(), without=frozenset((os.getpid(),)))
    found = processors(load, tuple(virtualisation()))
    used = {gpu.index for gpu in visible_gpus(os.environ)}
    yield from gpu_checks(gpu_states(), driver_files=any(Path("/dev").glob("nvidia[0-9]*")), used=used)
    yield from cpu_checks(found, os.environ)
    bytes_of = memory()
    yield memory_check(bytes_of["memory_free_bytes"], bytes_of["memory_total_bytes"], found.limits)
    yield from disk_checks(results)


def _held_back(before: Sequence[int], after: Sequence[int]) -> Iterator[Check]:
    """Whether a control group stopped this process's work while it was timed: by what each of them counted, (groups,)."""
    times = max((b - a for a, b in zip(before, after, strict=True)), default=0) if len(before) == len(after) else 0
    if times > 0:
        advice = "The quota was used up while runs were timed: fewer threads (OMP_NUM_THREADS), or a larger quota."
        yield Check("processor", "held back", "bad", f"{times} times while runs were timed", advice, times)


def _workload(asked: Asked) -> Experiment:
    """The experiment's control against itself: two arms of one configuration, which train each for themselves."""
    from harness import spec

    experiment = spec.load(asked.names, spec.Request(experiments=asked.experiments))[0]
    arm = experiment.control or experiment.arms[0]
    arms = (replace(arm, name="a", role="control"), replace(arm, name="b", role="candidate"))
    return replace(
        experiment, name=STORE, arms=arms, claim="time-only", target=None, margin_pp=None, max_slowdown=None, alpha=asked.alpha,
        stage="confirm", warmup=True, ladder=None, not_run=(), notes=(),
    )  # fmt: skip


def _noise(workload: Experiment, asked: Asked, results: Path, runner: Runner) -> dict[str, Any]:
    """One process start to see how long one takes, then as many as the time allows; what they show."""
    options = RunOptions(results=results, starts=1)
    began = time.monotonic()
    _run(replace(workload, seeds=BLOCKS), options, runner)
    each = time.monotonic() - began
    starts = min(MOST_STARTS, max(LEAST_STARTS, int(asked.seconds / each)))
    _run(replace(workload, seeds=BLOCKS * starts), replace(options, starts=starts - 1), runner)
    return measured(results, asked) | {"workload": " ".join(asked.names), "took_s": time.monotonic() - began}


def _run(experiment: Experiment, options: RunOptions, runner: Runner) -> None:
    from harness.app.running import require_complete

    require_complete(runner(prepare_run(experiment, options), options))


def measured(results: Path, asked: Asked, name: str = STORE) -> dict[str, Any]:
    """The noise floor that a stored A/A shows, with the false alarms that `harness aa` finds in it."""
    from harness.app import judging
    from harness.comparison.noise import noise_floor
    from harness.comparison.pair import Pair, Promise
    from harness.selection import Shelf, resolve

    question = resolve(Shelf(results), [name])
    pair = Pair(question.control, question.candidates[0], Promise("time-only", asked.alpha))
    floor = noise_floor(pair, power=POWER)
    if isinstance(floor, str):
        raise UsageError(f"{name}: {floor}.")
    alarms = judging.aa([name], results, judging.Asked(alpha=asked.alpha), repeats=REPEATS, seed=0)["alarms"]
    return floor.as_dict() | {"false_alarms": next(alarm for alarm in alarms if alarm["name"] == "time")}
