"""What every executor is given and gives back: a campaign in, one finished attempt after another out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from harness.design.plan import Block, Plan
from harness.design.seeds import seed_of
from harness.model.experiment import Arm, Experiment
from harness.model.run import RunRecord, utc_now
from harness.plugins import Knob, TrainerInfo
from harness.trainer import Metric

DEFAULT_TIMEOUT_S = 1800.0
PREPARE_TIMEOUT_S = 1800.0
LEAST_PREPARE_S, PREPARE_FACTOR = 60.0, 10
WARMUP_FACTOR = 3
"""A warm-up may take this many times the limit of a run: what is compiled on first use is compiled there."""
GIVE_UP_AFTER = 3
"""An arm whose attempts failed this often in a row, without one success between, is given up."""


@dataclass(frozen=True)
class Provenance:
    """What the campaign knows of an arm before it runs."""

    code_hash: str | None = None
    git_commit: str | None = None
    git_dirty: bool | None = None


@dataclass(frozen=True)
class Campaign:
    """Everything that an executor needs; picklable, so that it can travel to another machine.

    `attempts`: failed attempts of earlier campaigns by (arm, replicate); `warmups`: warm-ups made so far; `workers`:
    invocations at a time (None: one on this machine, what there is on a cluster); `folder`: the store's, on this machine.
    """

    experiment: Experiment
    plan: Plan
    infos: Mapping[str, TrainerInfo]
    provenance: Mapping[str, Provenance]
    slot: int
    experiment_hash: str
    attempts: Mapping[tuple[str, int], int] = field(default_factory=dict)
    warmups: int = 0
    retries: int = 1
    workers: int | None = None
    folder: Path | None = None

    @property
    def timeout_s(self) -> float:
        return self.experiment.timeout_s or DEFAULT_TIMEOUT_S

    @property
    def prepare_timeout_s(self) -> float:
        """For imports, data and compilation: half an hour, or what fits the stated limit of a run."""
        stated = self.experiment.timeout_s
        return PREPARE_TIMEOUT_S if stated is None else max(LEAST_PREPARE_S, PREPARE_FACTOR * stated)

    def trainings(self, arms: Sequence[str]) -> list[list[str]]:
        return shared_trainings(arms, self.experiment, self.infos)

    def warmup_seed(self, number: int) -> int:
        return seed_of(self.slot, "warmup", (self.warmups + number) % 2**16)

    def portable(self) -> Campaign:
        """The campaign as it travels: without a trainer's own classes, which only the planning asks, and which a machine that
        has not imported the trainer's file could not unpickle."""
        return replace(self, infos={arm: _portable(info) for arm, info in self.infos.items()}, folder=None)

    def attempt(
        self, arm: str, block: Block | None, *, run_id: str, invocation: str, lane: str, tried: int, warmup: bool
    ) -> RunRecord:
        """The row of an attempt as far as the plan decides it; it ends now. `tried`: attempts at this run before."""
        known, info = self.provenance[arm], self.infos[arm]
        config = self.experiment.arm(arm)
        return RunRecord(
            run_id=run_id,
            experiment=self.experiment.name,
            arm=arm,
            stage=self.experiment.stage,
            lane=lane,
            config_hash=config.config_hash,
            compute_hash=info.compute_hash(config.config, known.code_hash),
            code_hash=known.code_hash,
            seed=block.seed if block else None,
            replicate=block.replicate if block else None,
            block=block.replicate if block else None,
            invocation=invocation,
            attempt=tried + 1,
            warmup=warmup,
            ended_at=utc_now(),
            git_commit=known.git_commit,
            git_dirty=known.git_dirty,
            experiment_hash=self.experiment_hash,
        )


def _portable(info: TrainerInfo) -> TrainerInfo:
    knobs = {key: Knob(key, Any, None, knob.compute, knob.evaluation, knob.process) for key, knob in info.knobs.items()}
    return replace(info, knobs=knobs, config_class=None, check=None, call=None, steps=None)


def shared_trainings(arms: Sequence[str], experiment: Experiment, infos: Mapping[str, TrainerInfo]) -> list[list[str]]:
    """`arms` by the training that they share, in their order: those that differ at evaluation only are one group.

    Arms of one and the same configuration (a built-in A/A) train each for themselves, unless others share with them.
    """
    groups: dict[str, list[str]] = {}
    for arm in arms:
        groups.setdefault(_training_key(experiment.arm(arm), infos[arm]), []).append(arm)
    shared = [
        [group] if len({experiment.arm(arm).config_hash for arm in group}) > 1 else [[arm] for arm in group]
        for group in groups.values()
    ]
    return sorted(itertools.chain.from_iterable(shared), key=lambda group: arms.index(group[0]))


def _training_key(arm: Arm, info: TrainerInfo) -> str:
    """What decides the trained network, and the process that holds it; the arm's own name where it cannot be shared."""
    if not info.declares_compute or info.own_process:
        return f"arm {arm.name}"
    return f"{info.process_key(arm.config)} {info.training_hash(arm.config)} {arm.git}"


@dataclass(frozen=True)
class Finished:
    """One attempt that ended, however it ended."""

    record: RunRecord
    metrics: tuple[Metric, ...] = ()
    correct_mask: Any = None
    environment: Mapping[str, Any] | None = None


@dataclass
class Result:
    """How a campaign ended: arms that were given up, with their last error, and machines that were lost on the way."""

    given_up: dict[str, str] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)


class Executor(Protocol):
    """Runs a campaign; `on_finished` has stored the attempt when it returns, and only then the next run starts.

    An executor may have more:

    options   the names that `--executor-option` takes, each with what it means. `settings` is then set to what was given of them, as
              text, and `check()` raises UsageError for a value that cannot be
    tell      set, before `run`, to what shows a line to the user
    together  set, before `run` and `take_up`: a context in which attempts are stored in one step, at its end; only for attempts that
              are on a disk already
    take_up   `take_up(folder, on_finished)` stores what an earlier campaign of this store left on the way, before what is missing
              is planned
    preview   `preview(campaign)` is the text that it would submit to a scheduler, for `--dry-run`
    """

    def run(self, campaign: Campaign, on_finished: Callable[[Finished], None]) -> Result:
        """Run every invocation of the plan. An exception of `on_finished` ends the campaign."""
