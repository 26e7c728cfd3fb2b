"""Before the first run: what is there, what is missing, how long it takes, and what must not be mixed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.app.foresight import hopeless
from harness.app.machine import refuse_impossible
from harness.errors import StoreError, UsageError, nearest
from harness.model.experiment import Experiment
from harness.model.run import is_completed

if TYPE_CHECKING:
    from harness.design.plan import Plan
    from harness.plugins import TrainerInfo
    from harness.store.read import Store, Table


@dataclass(frozen=True)
class RunOptions:
    """What a run needs beyond the experiment."""

    results: Path = Path("results")
    store_name: str | None = None
    executor: str = "local"
    workers: int | None = None
    """Invocations at a time; None: one on this machine, what there is on a cluster."""
    retries: int = 1
    starts: int | None = None
    """Process starts for what is missing, in place of the share of the experiment's."""
    looks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Sequential plans by stage and candidate, to be kept with the store."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Options of the executor."""


@dataclass(frozen=True)
class Prepared:
    """A campaign before its first run: what is there, what is missing, and where it goes."""

    experiment: Experiment
    store: Store
    plan: Plan
    slot: int
    done: dict[str, int]
    attempts: dict[tuple[str, int], int]
    warmups: int
    hours: float | None
    trainings: int
    steps: dict[str, int | None]
    warnings: tuple[str, ...] = ()
    calls: Mapping[str, str] = field(default_factory=dict)
    """How each arm is called, where its trainer takes keys that it does not declare: a key that is misspelt shows here."""

    @property
    def complete(self) -> bool:
        return self.plan.runs == 0

    def accuracies(self) -> dict[int, dict[str, float]]:
        """Of the stage's completed runs in the store, by replicate and arm."""
        out: dict[int, dict[str, float]] = {}
        if not any(self.done.values()):
            return out
        from harness.store.frames import read_columns

        wanted = ("arm", "stage", "status", "warmup", "replicate", "accuracy")
        table = read_columns(self.store.runs_path, self.store.name, wanted)
        columns = (table.text("arm"), table.text("stage"), table.text("status"), table.flags("warmup").tolist())
        rows = zip(*columns, table.integers("replicate"), table.numbers("accuracy").tolist(), strict=True)
        for arm, stage, status, warm, replicate, accuracy in rows:
            if is_completed(status) and stage == self.experiment.stage and not warm and replicate is not None:
                out.setdefault(replicate, {})[arm] = accuracy
        return out

    def as_dict(self) -> dict[str, Any]:
        """The JSON of `run --dry-run`."""
        return {
            "schema": 1,
            "experiment": self.experiment.name,
            "question": self.experiment.question,
            "store": str(self.store.folder),
            "stage": self.experiment.stage,
            "seeds": self.experiment.seeds,
            "arms": [
                {"name": a.name, "role": a.role, "trainer": a.trainer, "config": a.config, "steps": self.steps[a.name]}
                | ({"git": a.git, "revision": a.source} if a.git else {})
                | ({"call": self.calls[a.name]} if a.name in self.calls else {})
                | {"completed": self.done.get(a.name, 0)}
                for a in self.experiment.arms
            ],
            "blocks": self.plan.blocks,
            "invocations": len(self.plan.invocations),
            "runs": self.plan.runs,
            "trainings": self.trainings,
            "warmups": sum(len(i.arms) for i in self.plan.invocations) if self.experiment.warmup else 0,
            "hours": self.hours,
            **({"not_run": [arm.as_dict() for arm in self.experiment.not_run]} if self.experiment.not_run else {}),
            "notes": list(self.experiment.notes),
            "warnings": list(self.warnings),
        }


def prepare_run(experiment: Experiment, options: RunOptions) -> Prepared:
    """What `run` would do. Raises UsageError where the store holds runs of something else under these names."""
    from harness.design.plan import make_plan
    from harness.design.seeds import choose_slot
    from harness.plugins import planned_steps
    from harness.store.read import checked_store_name, open_store
    from harness.store.taken import taken_slots

    name = checked_store_name(options.store_name or experiment.name)
    executor_named(options.executor, options.settings)
    store = open_store(options.results, name)
    table = _rows_if_any(store)
    infos = trainer_infos(experiment)
    _refuse_other_ladder(experiment, table, store)
    if table is not None:
        _refuse_other_runs(experiment, infos, table, store)
    slot, warnings = store.experiment.get("seed_slot"), tuple[str, ...]()
    if not isinstance(slot, int):
        taken = taken_slots(options.results, store.name)
        slot, warnings = choose_slot(store.name, experiment.seed_root, taken.slots), taken.warnings
    done, attempts, warmups = _progress(table, experiment.stage)
    plan = make_plan(
        [arm.name for arm in experiment.arms],
        experiment=store.name,
        stage=experiment.stage,
        seeds=experiment.seeds,
        seed_root=experiment.seed_root,
        slot=slot,
        done=done,
        invocations=experiment.invocations,
        starts=options.starts,
    )
    counts = {
        arm.name: sum(1 for name, r in done if name == arm.name and r < experiment.seeds) for arm in experiment.arms
    }
    refuse_impossible(experiment, tuple(arm for arm in experiment.arms if counts[arm.name] < experiment.seeds))
    hours = estimated_hours(experiment, plan, options.results) if plan.runs else 0.0
    if plan.runs:
        warnings = (*warnings, *hopeless(experiment, infos))
    if needs_time(experiment) and _shared(plan, infos, options):
        warnings = (*warnings, SHARED.format(workers=options.workers, claim=experiment.claim or "faster"))
    return Prepared(
        experiment=experiment,
        store=store,
        plan=plan,
        slot=slot,
        done=counts,
        attempts=attempts,
        warmups=warmups,
        hours=hours,
        trainings=_trainings(experiment, infos, plan),
        steps={arm.name: planned_steps(infos[arm.name], arm.config) for arm in experiment.arms},
        warnings=warnings,
        calls={arm.name: call(arm.config) for arm in experiment.arms if (call := infos[arm.name].call) is not None},
    )


SHARED = (
    "--workers {workers} puts several runs on one device at a time, and such times are never used: the claim {claim!r} will be refused. "
    "Leave --workers out, or ask for accuracy (--set claim=accurate)."
)


def needs_time(experiment: Experiment) -> bool:
    """Whether its claim cannot be decided without times."""
    claim = experiment.claim or "faster"
    return experiment.control is not None and (
        claim in ("faster", "time-only") or (claim == "no-regression" and experiment.max_slowdown is not None)
    )


def _shared(plan: Plan, infos: Mapping[str, TrainerInfo], options: RunOptions) -> bool:
    if options.workers in (None, 1) or options.executor != "local" or not plan.invocations:
        return False
    import os

    from harness.executors.local import shares_devices
    from harness.provenance import visible_gpus

    gpus = visible_gpus(os.environ) if any(info.accelerated for info in infos.values()) else ()
    return shares_devices(options.workers or 1, len(plan.invocations), len(gpus))


def _trainings(experiment: Experiment, infos: Mapping[str, TrainerInfo], plan: Plan) -> int:
    """Networks to be trained; fewer than runs where arms differ at evaluation only."""
    from harness.executors.base import shared_trainings

    blocks = [block for invocation in plan.invocations for block in invocation.blocks]
    per_block = {arms: len(shared_trainings(arms, experiment, infos)) for arms in {block.arms for block in blocks}}
    return sum(per_block[block.arms] for block in blocks)


def _rows_if_any(store: Store) -> Table | None:
    """The rows of a store; None where its first row was never finished (a campaign that was killed at once)."""
    from harness.store.frames import read_columns
    from harness.store.read import holds_lines

    return read_columns(store.runs_path, store.name, PLANNED_WITH) if holds_lines(store.runs_path) else None


PLANNED_WITH = ("arm", "stage", "replicate", "status", "warmup", "config_hash", "code_hash")
"""The columns that tell what is done."""


def trainer_infos(experiment: Experiment) -> dict[str, TrainerInfo]:
    from harness.revisions import info_of

    return {arm.name: info_of(arm) for arm in experiment.arms}


def _progress(table: Table | None, stage: str) -> tuple[set[tuple[str, int]], dict[tuple[str, int], int], int]:
    """Completed (arm, replicate) pairs of the stage, failed attempts by pair, and the warm-ups made so far."""
    done: set[tuple[str, int]] = set()
    attempts: dict[tuple[str, int], int] = {}
    if table is None:
        return done, attempts, 0
    warm = table.flags("warmup")
    columns = (table.text("arm"), table.text("stage"), table.integers("replicate"), table.text("status"))
    for is_warm, arm, at, replicate, status in zip(warm, *columns, strict=True):
        if is_warm or at != stage or replicate is None:
            continue
        if is_completed(status):
            done.add((arm, replicate))
        else:
            attempts[arm, replicate] = attempts.get((arm, replicate), 0) + 1
    return done, attempts, int(warm.sum())


def _refuse_other_runs(experiment: Experiment, infos: Mapping[str, TrainerInfo], table: Table, store: Store) -> None:
    """One arm name is one configuration and one version of the code, as long as the store lives."""
    columns = (table.text(name) for name in ("arm", "config_hash", "code_hash", "status", "warmup"))
    stored: dict[str, set[tuple[str, str]]] = {}
    for name, config_hash, code_hash, status, warmup in set(zip(*columns, strict=True)):
        if is_completed(status) and warmup.lower() != "true":  # a failed attempt binds nobody
            stored.setdefault(name, set()).add((config_hash, code_hash))
    way_out = f"Give this campaign a store of its own with --as NAME (or another folder with --results DIR), or delete {store.folder}."
    for arm in experiment.arms:
        code = infos[arm.name].code_hash(arm.config) or ""
        for config_hash, code_hash in stored.get(arm.name, ()):
            if config_hash and config_hash != arm.config_hash:
                raise UsageError(
                    f"{store.folder} holds runs of {arm.name!r} with another configuration "
                    f"({config_hash}; now it is {arm.config_hash}). {way_out}"
                )
            if code_hash and code and code_hash != code:
                raise UsageError(
                    f"{store.folder} holds runs of {arm.name!r} by another version of its code "
                    f"({code_hash}; now it is {code}). {way_out} To compare two versions: `harness run old.py new.py`."
                )


def _refuse_other_ladder(experiment: Experiment, table: Table | None, store: Store) -> None:
    """A ladder keeps the plan that it began with, and begins in a store whose later stages have no run yet."""
    if experiment.ladder is None:
        return
    way_out = "Begin another one with --as NAME."
    begun = store.experiment.get("ladder")
    if isinstance(begun, dict):
        changed = [
            f"{k} {_text(begun.get(k))}, now {_text(v)}" for k, v in experiment.ladder.items() if begun.get(k) != v
        ]
        if changed:
            raise UsageError(
                f"The ladder in {store.folder} was begun with {'; '.join(changed)}. A plan that changes once runs were seen decides "
                f"nothing: give the plan that it was begun with, and it goes on. {way_out}"
            )
        return
    later = set() if table is None else set(table.text("stage")) - {"", "screen"}
    if later:
        raise UsageError(
            f"{store.folder} holds runs of stage {' and '.join(sorted(later))} that no ladder planned; a ladder decides on runs that "
            f"nobody has looked at. {way_out}"
        )


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def estimated_hours(experiment: Experiment, plan: Plan, results: Path) -> float | None:
    """Hours of the missing runs from the stored times of the same configurations; None where there are none.

    A store that cannot be read is passed over: it is no part of this campaign.
    """
    import numpy as np

    from harness.store.frames import read_columns
    from harness.store.read import store_names

    wanted = {arm.config_hash: arm.name for arm in experiment.arms}
    seen: dict[str, list[float]] = {}
    for name in store_names(results):
        try:
            table = read_columns(results / name / "runs.csv", name, ("config_hash", "time_s"))
            pairs = list(zip(table.text("config_hash"), table.numbers("time_s"), strict=True))
        except StoreError:
            continue
        for config_hash, seconds in pairs:
            if config_hash in wanted and np.isfinite(seconds):
                seen.setdefault(config_hash, []).append(float(seconds))
    if not seen:
        return None
    means = {h: float(np.mean(v)) for h, v in seen.items()}
    fallback = float(np.mean(list(means.values())))
    by_arm = {arm.name: means.get(arm.config_hash, fallback) for arm in experiment.arms}
    runs = sum(by_arm[arm] for i in plan.invocations for block in i.blocks for arm in block.arms)
    return (runs + sum(by_arm[arm] for i in plan.invocations for arm in i.arms)) / 3600


def executor_named(name: str, settings: Mapping[str, str] | None = None) -> Any:
    """An executor with its options set. Raises UsageError for a name that is not there, an option that it does not have."""
    from importlib import metadata

    points = {point.name: point for point in metadata.entry_points(group="harness.executors")}
    if name not in points:
        raise UsageError(f"Unknown executor {name!r}. {nearest(name, points)}")
    executor = points[name].load()()
    known = getattr(executor, "options", {})
    for key in settings or {}:
        if key not in known:
            there = nearest(key, known) if known else "It has none."
            raise UsageError(f"The executor {name!r} has no option {key!r}. {there}")
    if settings:
        executor.settings = dict(settings)
        getattr(executor, "check", lambda: None)()
    return executor


def submission_text(prepared: Prepared, options: RunOptions) -> str | None:
    """What the executor would submit to a scheduler, where it does such a thing and something is missing."""
    from harness.executors.base import Campaign

    preview = getattr(executor_named(options.executor, options.settings), "preview", None)
    if preview is None or prepared.complete:
        return None
    campaign = Campaign(
        experiment=prepared.experiment,
        plan=prepared.plan,
        infos=trainer_infos(prepared.experiment),
        provenance={},
        slot=prepared.slot,
        experiment_hash="",
        workers=options.workers,
        folder=prepared.store.folder.resolve(),
    )
    return str(preview(campaign))


def parse_settings(pairs: Sequence[str]) -> dict[str, str]:
    """`--executor-option key=value`, several times. Raises UsageError."""
    out: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UsageError(f"--executor-option {pair!r}: write KEY=VALUE, for example partition=gpu.")
        if key in out:
            raise UsageError(f"--executor-option {key} was given twice ({out[key]!r} and {value!r}): give it once.")
        out[key] = value
    return out
