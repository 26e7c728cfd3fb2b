"""What `run` does: the campaign that makes what is missing, and how it ended."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.app.judging import Asked, judge
from harness.app.preparing import Prepared, RunOptions, executor_named, prepare_run, trainer_infos
from harness.comparison.words import shortened
from harness.errors import IncompleteError
from harness.model.experiment import PROMISES, STAGES, Experiment
from harness.model.hashing import digest

if TYPE_CHECKING:
    from harness.comparison.compare import Comparison
    from harness.executors.base import Campaign, Executor, Finished, Provenance
    from harness.plugins import TrainerInfo
    from harness.store.read import Store


@dataclass(frozen=True)
class RunReport:
    """How a campaign ended."""

    prepared: Prepared
    completed: dict[str, int]
    given_up: dict[str, str] = field(default_factory=dict)
    repairs: tuple[str, ...] = ()
    failed: dict[str, str] = field(default_factory=dict)
    """The last error of each arm that had one in this campaign."""
    lost: tuple[str, ...] = ()
    """What the executor says of machines that were lost or could not be used."""

    @property
    def missing(self) -> dict[str, int]:
        wanted = self.prepared.experiment.seeds
        names = [arm.name for arm in self.prepared.experiment.arms]
        return {name: wanted - self.completed.get(name, 0) for name in names if self.completed.get(name, 0) < wanted}


def run(
    prepared: Prepared,
    options: RunOptions,
    on_finished: Callable[[Finished], None] | None = None,
    *,
    executor: Executor | None = None,
    tell: Callable[[str], None] | None = None,
) -> RunReport:
    """Run what is missing and store every attempt; where nothing is, a promise that was changed is kept all the same.

    `executor` in place of the one that the options name; `tell` shows what an executor has to say. Raises StoreError where the
    store cannot be written.
    """
    from harness.logger import ExperimentLogger
    from harness.store.append import CampaignLock

    executor = executor or executor_named(options.executor, options.settings)
    if tell is not None and hasattr(executor, "tell"):
        executor.tell = tell
    if prepared.complete and not _changed_promises(prepared):
        return RunReport(prepared, prepared.done)
    lock = CampaignLock(prepared.store.folder)
    try:
        _take_up(prepared, options, executor, on_finished)
        prepared = prepare_run(prepared.experiment, options)  # another campaign may have ended in between
        if prepared.complete:
            if _changed_promises(prepared):
                with ExperimentLogger(prepared.store.name, results=options.results) as logger:
                    _describe(prepared, options, logger)
            return RunReport(prepared, prepared.done)
        completed, failed = dict(prepared.done), dict[str, str]()
        with ExperimentLogger(prepared.store.name, results=options.results) as logger:
            _tidy(prepared.store.folder, logger)
            campaign = _campaign(prepared, options, logger)

            def store(finished: Finished) -> None:
                record = finished.record
                _write(logger, finished)
                if record.status == "completed" and not record.warmup:
                    completed[record.arm] = completed.get(record.arm, 0) + 1
                elif record.status != "completed":
                    failed[record.arm] = record.error or record.status
                if on_finished is not None:
                    on_finished(finished)

            if hasattr(executor, "together"):
                executor.together = logger.together
            try:
                result = executor.run(campaign, store)
            except KeyboardInterrupt:
                logger.note("interrupted", completed=completed)
                raise
            losses = {"lost": result.lost} if result.lost else {}
            logger.note("campaign-end", completed=completed, given_up=result.given_up, **losses)
            return RunReport(prepared, completed, result.given_up, tuple(logger.repairs), failed, tuple(result.lost))
    finally:
        lock.release()


def _tidy(folder: Path, logger: Any) -> None:
    """Remove what writers that were killed left beside the files that they were to replace."""
    from harness.store.whole import left_over

    files = left_over(folder)
    for path in files:
        path.unlink(missing_ok=True)
    if files:
        logger.note("left-over-removed", files=[path.relative_to(folder).as_posix() for path in files])


def _write(logger: Any, finished: Finished) -> None:
    record = finished.record
    if finished.environment is not None and record.environment:
        logger.keep_environment(record.environment, finished.environment)
    logger.write(record, metrics=finished.metrics, correct_mask=finished.correct_mask)


def _take_up(
    prepared: Prepared, options: RunOptions, executor: Executor, on_finished: Callable[[Finished], None] | None
) -> None:
    """Store what an earlier campaign of this store left on the way, whichever executor it had."""
    from harness.executors.spool import has_spool, take_up
    from harness.logger import ExperimentLogger

    folder = prepared.store.folder
    if not has_spool(folder):
        return
    with ExperimentLogger(prepared.store.name, results=options.results) as logger:

        def store(finished: Finished) -> None:
            _write(logger, finished)
            if on_finished is not None:
                on_finished(finished)

        if hasattr(executor, "together"):
            executor.together = logger.together
        waiting = getattr(executor, "take_up", None)
        taken = waiting(folder, store) if waiting else take_up(folder, store, logger.together)
        logger.note("taken-up", **taken)


def begin_ladder(prepared: Prepared, options: RunOptions) -> None:
    """Write the plan of a ladder to the ledger and the description of its store, before anything is run or decided by it."""
    from harness.logger import ExperimentLogger
    from harness.store.append import CampaignLock

    plan = prepared.experiment.ladder
    if plan is None or prepared.store.experiment.get("ladder") == plan:
        return
    lock = CampaignLock(prepared.store.folder)
    try:
        prepared = prepare_run(prepared.experiment, options)  # another ladder may have begun in between
        if prepared.store.experiment.get("ladder") != plan:
            with ExperimentLogger(prepared.store.name, results=options.results) as logger:
                logger.note("ladder", **plan)
                logger.describe(_merged_description(prepared.store, prepared.experiment) | {"seed_slot": prepared.slot})
    finally:
        lock.release()


def _campaign(prepared: Prepared, options: RunOptions, logger: Any) -> Campaign:
    from importlib.metadata import version

    from harness.executors.base import Campaign

    experiment, store = prepared.experiment, prepared.store
    experiment_hash = digest(experiment.as_dict() | {"seeds": None})
    infos = trainer_infos(experiment)
    provenance = _provenance(experiment, infos, options.results, logger)
    _describe(prepared, options, logger)
    logger.note(
        "campaign",
        harness=version("speedrun-harness"),
        stage=experiment.stage,
        seeds=experiment.seeds,
        experiment_hash=experiment_hash,
        runs=prepared.plan.runs,
        invocations=len(prepared.plan.invocations),
        workers=options.workers,
        executor=options.executor,
        **({"executor_options": dict(options.settings)} if options.settings else {}),
    )
    return Campaign(
        experiment=_renamed(experiment, store.name),
        plan=prepared.plan,
        infos=infos,
        provenance=provenance,
        slot=prepared.slot,
        experiment_hash=experiment_hash,
        attempts=prepared.attempts,
        warmups=prepared.warmups,
        retries=options.retries,
        workers=options.workers,
        folder=store.folder.resolve(),
    )


def _describe(prepared: Prepared, options: RunOptions, logger: Any) -> None:
    """Write the description of the store; what it changes of the promises, and the plans it adds, go to the ledger first.

    Where nothing is to be run, imported rows stay known as such.
    """
    store = prepared.store
    changes = _changed_promises(prepared)
    if changes:
        logger.note("promises-changed", changes=changes)
    for stage, arms in options.looks.items():
        for arm, plan in arms.items():
            if arm not in store.experiment.get("sequential", {}).get(stage, {}):
                logger.note("plan", stage=stage, arm=arm, plan=plan)
    merged = {k: v for k, v in store.experiment.items() if k == "imported" and prepared.complete}
    merged |= _merged_description(store, prepared.experiment)
    logger.describe(merged | {"seed_slot": prepared.slot} | _planned_looks(store, options))


def _renamed(experiment: Experiment, name: str) -> Experiment:
    from dataclasses import replace

    return replace(experiment, name=name)


def _merged_description(store: Store, experiment: Experiment) -> dict[str, Any]:
    """The new description, with the arms that the store has, or lists as not run, and this campaign did not ask for, and the plan of its
    ladder."""
    new = {k: v for k, v in store.experiment.items() if k == "ladder"} | _renamed(experiment, store.name).as_dict()
    for arm in new["arms"]:
        arm["trainer"] = _portable(arm["trainer"])
    names = {arm["name"] for arm in new["arms"]}
    new["arms"] += [arm for arm in store.arms() if arm.get("name") not in names]
    there = {arm.get("name") for arm in new["arms"]}
    listed = {arm["name"]: arm for arm in (*(store.experiment.get("not_run") or ()), *new.get("not_run", []))}
    new["not_run"] = [arm for name, arm in listed.items() if name not in there]  # another machine ran it
    return new if new["not_run"] else {key: value for key, value in new.items() if key != "not_run"}


def _portable(trainer: str) -> str:
    """A trainer's file as seen from the working directory, so that a store says the same on another machine."""
    path = Path(trainer)
    return (
        path.relative_to(Path.cwd()).as_posix() if path.is_absolute() and path.is_relative_to(Path.cwd()) else trainer
    )


def _planned_looks(store: Store, options: RunOptions) -> dict[str, Any]:
    """The sequential plans of the store and of this campaign; a plan that stands is never replaced."""
    plans = {stage: dict(arms) for stage, arms in store.experiment.get("sequential", {}).items()}
    for stage, arms in options.looks.items():
        plans[stage] = dict(arms) | plans.get(stage, {})
    return {"sequential": plans} if plans else {}


def _changed_promises(prepared: Prepared) -> dict[str, list[Any]]:
    """What was promised before the first run and reads otherwise now."""
    old, new = prepared.store.experiment, prepared.experiment.as_dict()
    return {k: [old.get(k), new[k]] for k in PROMISES if old and old.get(k) != new[k]}


def _provenance(
    experiment: Experiment, infos: Mapping[str, TrainerInfo], results: Path, logger: Any
) -> dict[str, Provenance]:
    """Code hash and git state of each arm; uncommitted changes are kept as a patch."""
    from harness.executors.base import Provenance
    from harness.provenance import git_state

    states: dict[Path, Any] = {}
    out: dict[str, Provenance] = {}
    for arm in experiment.arms:
        info = infos[arm.name]
        if arm.git is not None:
            out[arm.name] = Provenance(info.code_hash(arm.config), arm.git, False)
            continue
        folder = info.sources[0].resolve().parent if info.sources else Path.cwd()
        if folder not in states:
            states[folder] = git_state(folder, exclude=(results.resolve(),))
            _keep_patch(states[folder], logger)
        state = states[folder]
        out[arm.name] = Provenance(info.code_hash(arm.config), state.commit, state.dirty)
    return out


NO_PATCH = "HARNESS_NO_PATCH"
"""Where it is set, what is not committed is told by its hash in the ledger alone."""


def _keep_patch(state: Any, logger: Any) -> None:
    """Uncommitted changes as a patch of the store, unless the user keeps them out of it: they may hold what is not for others."""
    if state.patch is None or not state.patch_sha256:
        return
    if os.environ.get(NO_PATCH):
        logger.note("patch-left-out", sha256=state.patch_sha256, bytes=len(state.patch), why=f"{NO_PATCH} is set")
    else:
        logger.keep_patch(state.patch_sha256, state.patch)


def require_complete(report: RunReport, *, otherwise: str = "") -> None:
    """Raise IncompleteError where runs that were asked for are not there; `otherwise` is what can be done besides."""
    if not report.missing:
        return
    parts = [f"{name}: {count} of {report.prepared.experiment.seeds} missing" for name, count in report.missing.items()]
    told = {arm: f"{arm} was given up: {error}" for arm, error in report.given_up.items()}
    told |= {arm: f"{arm} failed: {report.failed[arm]}" for arm in report.missing if arm in report.failed.keys() - told}
    machines = f"of {len(report.lost)} losses of machines the last: {report.lost[-1]}" if report.lost else ""
    reasons = [f" {shortened(' '.join(text.split()), 600)}." for text in (*told.values(), machines) if text]
    raise IncompleteError(
        f"Some runs could not be had. {'; '.join(parts)}.{''.join(reasons)} "
        f"Every attempt is recorded in {report.prepared.store.runs_path} (columns status and error). "
        f"{_mending(told.values(), machines)}" + otherwise
    )


def _mending(errors: Iterable[str], machines: str) -> str:
    """What to do about runs that failed with these errors, or with their machines."""
    from harness.foreign import REFUSED_ARGUMENTS

    if any(REFUSED_ARGUMENTS in error for error in errors):
        return "Mend the setting (`--dry-run` shows how each arm is called) or the program, and run again."
    what = (
        "See to the machines (or to the trainer, if its runs end them)"
        if machines
        else "Mend the trainer or raise timeout_s"
    )
    return f"{what}, then give the same command again: it tries what is missing."


def run_document(report: RunReport, judged: Comparison | None) -> dict[str, Any]:
    """The JSON of `run`: what is there now, and the comparison where there is one."""
    return report.prepared.as_dict() | {
        "completed": report.completed,
        "missing": report.missing,
        "given_up": report.given_up,
        "comparison": None if judged is None else judged.as_dict(),
    }


def run_text(report: RunReport, judged: Comparison | None, *, colour: bool = False, width: int | None = None) -> str:
    """What `run` prints at its end."""
    from harness.report.plan_text import not_run_lines
    from harness.report.table import table_text

    prepared = report.prepared
    counts = ", ".join(f"{name} {report.completed.get(name, 0)}" for name in (a.name for a in prepared.experiment.arms))
    if prepared.complete:
        head = f"Nothing to do: {prepared.experiment.seeds} seeds of every arm are in {prepared.store.folder}."
    else:
        head = f"Stored in {prepared.store.folder}: {shortened(counts)}."
    if judged is None:
        return "\n".join([head, *not_run_lines([arm.as_dict() for arm in prepared.experiment.not_run])])
    return f"{head}\n\n{table_text(judged, colour=colour, width=width)}"


def judged_run(report: RunReport, results: Path) -> Comparison | None:
    """The store's own arms compared in the stage that was run; None where it holds a single arm or too few runs to say anything."""
    experiment = report.prepared.experiment
    if experiment.control is None or not experiment.candidates:
        return None
    if any(not report.completed.get(arm.name) for arm in experiment.arms):
        return None
    store = report.prepared.store
    if not _went_on(store, experiment):
        return judge([store.name], results)
    return judge([f"{store.name}:{arm.name}" for arm in experiment.arms], results, Asked(stage=experiment.stage))


def _went_on(store: Store, experiment: Experiment) -> bool:
    """Whether an arm has completed runs of a later stage, which would be judged unless the stage is named."""
    from harness.store.frames import read_columns

    later = STAGES[STAGES.index(experiment.stage) + 1 :]
    names = {arm.name for arm in experiment.candidates}
    table = read_columns(store.runs_path, store.name, ("arm", "stage", "status", "warmup"))
    columns = (table.text("arm"), table.text("stage"), table.text("status"), table.flags("warmup"))
    rows = zip(*columns, strict=True)
    return any(a in names and at in later and status == "completed" and not warm for a, at, status, warm in rows)
