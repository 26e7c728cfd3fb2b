"""The use cases: the only file that joins what reads and writes with what only computes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from harness.errors import IncompleteError, StoreError, UsageError, nearest
from harness.model.experiment import PROMISES, Claim, Experiment
from harness.model.hashing import digest

if TYPE_CHECKING:
    from harness.comparison.along import Curve
    from harness.comparison.compare import Comparison
    from harness.comparison.samples import Sample
    from harness.design.plan import Plan
    from harness.design.power import Wish
    from harness.executors.base import Campaign, Finished, Provenance
    from harness.plugins import TrainerInfo
    from harness.report.overview import Row
    from harness.selection import Question, Shelf
    from harness.store.metrics import Metrics
    from harness.store.read import Store, Table


# --- run ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RunOptions:
    """What a run needs beyond the experiment."""

    results: Path = Path("results")
    store_name: str | None = None
    executor: str = "local"
    workers: int = 1
    retries: int = 1


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

    @property
    def complete(self) -> bool:
        return self.plan.runs == 0

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
                {"name": a.name, "role": a.role, "config": a.config, "steps": self.steps[a.name]}
                | {"completed": self.done.get(a.name, 0)}
                for a in self.experiment.arms
            ],
            "blocks": self.plan.blocks,
            "invocations": len(self.plan.invocations),
            "runs": self.plan.runs,
            "trainings": self.trainings,
            "warmups": sum(len(i.arms) for i in self.plan.invocations) if self.experiment.warmup else 0,
            "hours": self.hours,
            "notes": list(self.experiment.notes),
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True)
class RunReport:
    """How a campaign ended."""

    prepared: Prepared
    completed: dict[str, int]
    given_up: dict[str, str] = field(default_factory=dict)
    repairs: tuple[str, ...] = ()

    @property
    def missing(self) -> dict[str, int]:
        wanted = self.prepared.experiment.seeds
        names = [arm.name for arm in self.prepared.experiment.arms]
        return {name: wanted - self.completed.get(name, 0) for name in names if self.completed.get(name, 0) < wanted}


def prepare_run(experiment: Experiment, options: RunOptions) -> Prepared:
    """What `run` would do. Raises UsageError where the store holds runs of something else under these names."""
    from harness.design.plan import make_plan
    from harness.design.seeds import choose_slot
    from harness.plugins import planned_steps
    from harness.store.read import checked_store_name, open_store
    from harness.store.taken import taken_slots

    name = checked_store_name(options.store_name or experiment.name)
    _executor(options.executor)
    store = open_store(options.results, name)
    table = _rows_if_any(store)
    infos = trainer_infos(experiment)
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
    )
    counts = {
        arm.name: sum(1 for name, r in done if name == arm.name and r < experiment.seeds) for arm in experiment.arms
    }
    hours = estimated_hours(experiment, plan, options.results) if plan.runs else 0.0
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
    )


def _trainings(experiment: Experiment, infos: Mapping[str, TrainerInfo], plan: Plan) -> int:
    """Networks to be trained; fewer than runs where arms differ at evaluation only."""
    from harness.executors.base import shared_trainings

    blocks = [block for invocation in plan.invocations for block in invocation.blocks]
    per_block = {arms: len(shared_trainings(arms, experiment, infos)) for arms in {block.arms for block in blocks}}
    return sum(per_block[block.arms] for block in blocks)


def _rows_if_any(store: Store) -> Table | None:
    """The rows of a store; None where its first row was never finished (a campaign that was killed at once)."""
    from harness.store.read import holds_lines, read_table

    return read_table(store.runs_path, store.name) if holds_lines(store.runs_path) else None


def trainer_infos(experiment: Experiment) -> dict[str, TrainerInfo]:
    from harness.plugins import trainer_info

    return {arm.name: trainer_info(arm.trainer) for arm in experiment.arms}


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
        if status == "completed":
            done.add((arm, replicate))
        else:
            attempts[arm, replicate] = attempts.get((arm, replicate), 0) + 1
    return done, attempts, int(warm.sum())


def _refuse_other_runs(experiment: Experiment, infos: Mapping[str, TrainerInfo], table: Table, store: Store) -> None:
    """One arm name is one configuration and one version of the code, as long as the store lives."""
    columns = (table.text(name) for name in ("arm", "config_hash", "code_hash", "status", "warmup"))
    stored: dict[str, set[tuple[str, str]]] = {}
    for name, config_hash, code_hash, status, warmup in set(zip(*columns, strict=True)):
        if status in ("completed", "") and warmup.lower() != "true":  # a failed attempt binds nobody
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


def estimated_hours(experiment: Experiment, plan: Plan, results: Path) -> float | None:
    """Hours of the missing runs from the stored times of the same configurations; None where there are none.

    A store that cannot be read is passed over: it is no part of this campaign.
    """
    import numpy as np

    from harness.store.read import read_table, store_names

    wanted = {arm.config_hash: arm.name for arm in experiment.arms}
    seen: dict[str, list[float]] = {}
    for name in store_names(results):
        try:
            table = read_table(results / name / "runs.csv", name)
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


def run(prepared: Prepared, options: RunOptions, on_finished: Callable[[Finished], None] | None = None) -> RunReport:
    """Run what is missing and store every attempt. Raises StoreError where the store cannot be written."""
    from harness.logger import ExperimentLogger
    from harness.store.append import CampaignLock

    if prepared.complete:
        return RunReport(prepared, prepared.done)
    lock = CampaignLock(prepared.store.folder)
    try:
        prepared = prepare_run(prepared.experiment, options)  # another campaign may have ended in between
        if prepared.complete:
            return RunReport(prepared, prepared.done)
        completed = dict(prepared.done)
        with ExperimentLogger(prepared.store.name, results=options.results) as logger:
            campaign = _campaign(prepared, options, logger)

            def store(finished: Finished) -> None:
                record = finished.record
                if finished.environment is not None and record.environment:
                    logger.keep_environment(record.environment, finished.environment)
                logger.write(record, metrics=finished.metrics, correct_mask=finished.correct_mask)
                if record.status == "completed" and not record.warmup:
                    completed[record.arm] = completed.get(record.arm, 0) + 1
                if on_finished is not None:
                    on_finished(finished)

            try:
                result = _executor(options.executor).run(campaign, store)
            except KeyboardInterrupt:
                logger.note("interrupted", completed=completed)
                raise
            logger.note("campaign-end", completed=completed, given_up=result.given_up)
            return RunReport(prepared, completed, result.given_up, tuple(logger.repairs))
    finally:
        lock.release()


def _executor(name: str) -> Any:
    from importlib import metadata

    points = {point.name: point for point in metadata.entry_points(group="harness.executors")}
    if name not in points:
        raise UsageError(f"Unknown executor {name!r}. {nearest(name, points)}")
    return points[name].load()()


def _campaign(prepared: Prepared, options: RunOptions, logger: Any) -> Campaign:
    from importlib.metadata import version

    from harness.executors.base import Campaign

    experiment, store = prepared.experiment, prepared.store
    description = _merged_description(store, experiment) | {"seed_slot": prepared.slot}
    experiment_hash = digest(experiment.as_dict() | {"seeds": None})
    infos = trainer_infos(experiment)
    provenance = _provenance(experiment, infos, options.results, logger)
    changes = _changed_promises(store.experiment, description)
    if changes:
        logger.note("promises-changed", changes=changes)
    logger.describe(description)
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
    )


def _renamed(experiment: Experiment, name: str) -> Experiment:
    from dataclasses import replace

    return replace(experiment, name=name)


def _merged_description(store: Store, experiment: Experiment) -> dict[str, Any]:
    """The new description, with the arms that the store has and this campaign did not ask for."""
    new = _renamed(experiment, store.name).as_dict()
    names = {arm["name"] for arm in new["arms"]}
    new["arms"] += [arm for arm in store.arms() if arm.get("name") not in names]
    return new


def _changed_promises(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, list[Any]]:
    """What was promised before the first run and reads otherwise now."""
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
        folder = info.sources[0].resolve().parent if info.sources else Path.cwd()
        if folder not in states:
            states[folder] = git_state(folder, exclude=(results.resolve(),))
            if states[folder].patch is not None and states[folder].patch_sha256:
                logger.keep_patch(states[folder].patch_sha256, states[folder].patch)
        state = states[folder]
        out[arm.name] = Provenance(info.code_hash(arm.config), state.commit, state.dirty)
    return out


def require_complete(report: RunReport) -> None:
    """Raise IncompleteError where runs that were asked for are not there."""
    if not report.missing:
        return
    parts = [f"{name}: {count} of {report.prepared.experiment.seeds} missing" for name, count in report.missing.items()]
    reasons = [
        f"{arm} was given up: {_shortened(' '.join(error.split()), 600)}." for arm, error in report.given_up.items()
    ]
    raise IncompleteError(
        f"Some runs could not be had. {'; '.join(parts)}. {' '.join(reasons)} "
        f"Every attempt is recorded in {report.prepared.store.runs_path} (columns status and error). "
        "Mend the trainer or raise timeout_s, then give the same command again: it tries what is missing."
    )


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
    from harness.report.table import table_text

    prepared = report.prepared
    counts = ", ".join(f"{name} {report.completed.get(name, 0)}" for name in (a.name for a in prepared.experiment.arms))
    if prepared.complete:
        head = f"Nothing to do: {prepared.experiment.seeds} seeds of every arm are in {prepared.store.folder}."
    else:
        head = f"Stored in {prepared.store.folder}: {_shortened(counts)}."
    return head if judged is None else f"{head}\n\n{table_text(judged, colour=colour, width=width)}"


def _shortened(text: str, most: int = 300) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."


def judged_run(report: RunReport, results: Path) -> Comparison | None:
    """The comparison of the store's own arms, or None where it holds a single arm or too few runs to say anything."""
    experiment = report.prepared.experiment
    if experiment.control is None or not experiment.candidates:
        return None
    if any(not report.completed.get(arm.name) for arm in experiment.arms):
        return None
    return judge([report.prepared.store.name], results)


# --- compare ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """What a command line states about a judgement; None leaves it to the experiment."""

    claim: str | None = None
    target: float | None = None
    margin_pp: float | None = None
    max_slowdown: float | None = None
    alpha: float | None = None
    stage: str | None = None


def judge(names: Sequence[str], results: Path, asked: Asked = Asked(), *, default_claim: str = "faster") -> Comparison:
    """The comparison behind `compare` and `gate`. Raises StoreError where a store is missing, empty or damaged."""
    from harness.comparison.compare import compare_samples
    from harness.selection import Shelf, require_runs, resolve

    shelf = Shelf(results)
    own = [key for key, value in vars(asked).items() if value is not None]
    question = resolve(shelf, names, asked.stage, asked=own)
    require_runs(results, question.control, question.candidates)
    judged = compare_samples(question.control, question.candidates, promise_of(asked, question.promises, default_claim))
    _note_looks(question, judged, results)
    return judged


def summary(names: Sequence[str], results: Path, *, every: bool = False) -> list[Row]:
    """A row for the control, and for what each experiment ends with. Raises StoreError, UsageError as `judge` does."""
    from harness.comparison.compare import arm_summary
    from harness.report.overview import Row, rows_of
    from harness.selection import Shelf, require_runs, resolve

    alone = resolve(Shelf(results), names[:1], alone=True)
    require_runs(results, alone.control, alone.candidates)
    anchored = not alone.candidates
    rows = [Row(names[0], arm_summary(alone.control, alone.promises.get("target")))] if anchored else []
    for name in names[1:] if anchored else names:
        judged = judge([names[0], name] if anchored else [name], results)
        rows += [] if anchored else [Row(name, judged.control)]
        rows += rows_of(name, judged, every=every)
    return rows


def _note_looks(question: Question, judged: Comparison, results: Path) -> None:
    """Each new number of runs at which an arm was judged goes to its store's ledger: looking again is evidence too."""
    from contextlib import suppress

    from harness.errors import StoreError
    from harness.logger import note_in_ledger

    for sample, one in zip(question.candidates, judged.comparisons, strict=True):
        if not sample.store or sample.n in sample.looks or not sample.n:
            continue
        facts = {"arm": sample.arm, "stage": sample.stage, "n": sample.n, "control_n": one.control.n}
        with suppress(StoreError):  # a store that is read only is judged all the same
            note_in_ledger(
                results / sample.store, "look", facts | {"claim": judged.promise.claim, "verdict": one.verdict}
            )


def promise_of(asked: Asked, stated: Mapping[str, Any], default_claim: str) -> Any:
    """What was asked for on the command line, else what the experiment states, else the defaults."""
    from harness.comparison.pair import Promise

    def pick(key: str) -> Any:
        own = getattr(asked, key)
        return stated.get(key) if own is None else own

    claim: Claim = cast("Claim", pick("claim") or default_claim)
    return Promise(
        claim=claim,
        alpha=pick("alpha") or 0.05,
        target=pick("target"),
        margin_pp=pick("margin_pp"),
        max_slowdown=pick("max_slowdown"),
    )


# --- verify, export -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class VerifyReport:
    """What `verify` found in a store."""

    name: str
    rows: int
    problems: tuple[str, ...]
    rerun: Any = None

    @property
    def sound(self) -> bool:
        """No problem, and a re-run in the same environment that gave the same result (or could not be made)."""
        differs = (
            self.rerun is not None and not self.rerun.reason and not self.rerun.equal and self.rerun.same_environment
        )
        return not self.problems and not differs

    def as_dict(self) -> dict[str, Any]:
        again = None
        if self.rerun is not None:
            again = {
                k: getattr(self.rerun, k)
                for k in ("run_id", "seed", "stored", "now", "same_environment", "equal", "reason")
            }
        return {
            "schema": 1, "name": self.name, "rows": self.rows, "sound": self.sound, "problems": list(self.problems), "rerun": again,
        }  # fmt: skip

    def text(self) -> str:
        lines = [
            f"{self.name}: {self.rows} rows, {'no problems' if not self.problems else f'{len(self.problems)} problems'}"
        ]
        lines += [f"  {problem}" for problem in self.problems[:20]]
        if len(self.problems) > 20:
            lines.append(f"  and {len(self.problems) - 20} more")
        return "\n".join([*lines, *self._rerun_lines()])

    def _rerun_lines(self) -> list[str]:
        again = self.rerun
        if again is None:
            return []
        if again.reason:
            return [f"run {again.run_id} was not made again: {again.reason}"]
        where = "the same environment" if again.same_environment else "another environment than the stored one"
        how = "the same to the last bit" if again.equal else "NOT the same"
        return [
            f"run {again.run_id}, seed {again.seed}, again in {where}: stored {again.stored}, now {again.now}: {how}"
        ]


def verify(name: str, results: Path, *, run_id: str | None = None, rerun: bool = True) -> VerifyReport:
    """Check a store and make one of its runs again."""
    from harness import verify as checks
    from harness.store.read import existing_store

    store = existing_store(results, name)
    table = store.table()
    problems = checks.problems_of(store, table)
    again = checks.rerun(store, table, run_id=run_id) if rerun and not problems else None
    return VerifyReport(name, table.rows, tuple(problems), again)


def export_table(names: Sequence[str], results: Path, *, completed: bool) -> Table:
    """The rows of several stores under one another."""
    from harness.store.read import Table, existing_store

    tables = [existing_store(results, name).table() for name in names]
    columns = list(dict.fromkeys(c for table in tables for c in table.columns))
    whole = Table(
        "+".join(names), {c: [x for t in tables for x in t.text(c)] for c in columns}, sum(t.rows for t in tables)
    )
    if not completed:
        return whole
    warm, status = whole.flags("warmup"), whole.text("status")
    return whole.take([i for i in range(whole.rows) if status[i] == "completed" and not warm[i]])


# --- list, show ---------------------------------------------------------------------------------------------


def listing(results: Path, experiments: Path | None) -> dict[str, Any]:
    """Experiments, stores, trainers and data sets, as JSON."""
    from harness import datasets, spec
    from harness.plugins import entry_points

    known = {}
    for name, path in spec.available(experiments).items():
        try:
            known[name] = {"question": spec.read_toml(path).get("question", ""), "file": str(path)}
        except UsageError as problem:
            known[name] = {"question": "", "file": str(path), "error": str(problem)}
    return {
        "schema": 1,
        "experiments": [{"name": name, **facts} for name, facts in known.items()],
        "stores": [_store_line(results, name) for name in _names_of_stores(results)],
        "trainers": sorted(entry_points()),
        "datasets": datasets.names(),
    }


def _names_of_stores(results: Path) -> list[str]:
    from harness.store.read import store_names

    return store_names(results)


def _store_line(results: Path, name: str) -> dict[str, Any]:
    from harness.store.read import read_table

    try:
        table = read_table(results / name / "runs.csv", name)
        warm = table.flags("warmup")
    except StoreError as problem:
        return {"name": name, "runs": 0, "arms": {}, "error": str(problem)}
    counts: dict[str, int] = {}
    for arm, status, is_warm in zip(table.text("arm"), table.text("status"), warm, strict=True):
        if status in ("completed", "") and not is_warm:
            counts[arm] = counts.get(arm, 0) + 1
    return {"name": name, "runs": sum(counts.values()), "arms": counts}


def listing_text(document: Mapping[str, Any]) -> str:
    """`harness list` as people read it."""
    experiments, stores = document["experiments"], document["stores"]
    width = max((len(e["name"]) for e in [*experiments, *stores]), default=0)
    lines = ["experiments"]
    lines += [f"  {e['name']:<{width}}  {e.get('error') or e['question']}" for e in experiments] or ["  none"]
    lines += ["", "stores"]
    lines += [f"  {s['name']:<{width}}  {s.get('error') or _store_text(s)}" for s in stores] or [
        "  none yet: `harness run quickstart` makes one"
    ]
    lines += ["", "trainers", "  " + ", ".join(document["trainers"])]
    lines += ["", "data sets (`harness data list` says more)", "  " + (", ".join(document["datasets"]) or "none")]
    return "\n".join(lines)


def _store_text(store: Mapping[str, Any]) -> str:
    return f"{store['runs']} runs: {_shortened(_counts(store['arms']), 90)}"


def _counts(arms: Mapping[str, int]) -> str:
    return ", ".join(f"{arm} {count}" for arm, count in arms.items())


def show(name: str, results: Path, experiments: Path | None, preset: str | None) -> dict[str, Any]:
    """An experiment (by name or TOML path), a trainer (by name or .py path) and a store, as JSON: what there is under this name."""
    from harness import spec
    from harness.plugins import entry_points, is_script, split_ref, trainer_info
    from harness.report.trainer_text import trainer_document
    from harness.store.read import ledger_of, open_store, store_names

    document: dict[str, Any] = {
        "schema": 1,
        "name": name,
        "experiment": None,
        "trainer": None,
        "store": None,
        "ledger": [],
    }
    place = name
    if name.endswith((".toml", ".yaml", ".yml")) or name in spec.available(experiments):
        experiment = spec.load_experiment(name, spec.Request(preset=preset, experiments=experiments))
        clocks = {info.name: info.clock for info in trainer_infos(experiment).values()}
        document["experiment"] = experiment.as_dict() | {"clocks": clocks, "notes": list(experiment.notes)}
        place = experiment.name
    if name in entry_points() or is_script(name):
        document["trainer"] = trainer_document(trainer_info(name))
        place = Path(split_ref(name)[0]).stem if is_script(name) else name
    store = open_store(results, place)
    if not (document["experiment"] or document["trainer"] or store.exists):
        known = [*spec.available(experiments), *store_names(results), *entry_points()]
        raise UsageError(f"{name!r} is neither an experiment nor a store nor a trainer. {nearest(name, known)}")
    if store.exists:
        from harness.summary import summarise

        target = store.experiment.get("target")
        document["store"] = {
            "folder": str(store.folder),
            "arms": [s.as_dict() for s in summarise(store.table(), target)],
        }
        document["ledger"] = ledger_of(store)
    return document


def show_text(document: Mapping[str, Any]) -> str:
    """`harness show` as people read it."""
    from harness.report.trainer_text import trainer_lines

    experiment, trainer, store = document["experiment"], document["trainer"], document["store"]
    lines = [document["name"]]
    if experiment:
        lines += _experiment_lines(experiment)
    if trainer:
        lines += ["", *trainer_lines(trainer)]
    if store:
        lines += ["", f"runs in {store['folder']}"] + [f"  {_arm_line(arm)}" for arm in store["arms"]]
    if document["ledger"]:
        lines += ["", "ledger"] + [f"  {_ledger_line(entry)}" for entry in document["ledger"][-12:]]
    return "\n".join(lines)


def _experiment_lines(e: Mapping[str, Any]) -> list[str]:
    terms = {
        k: e[k] for k in ("claim", "target", "margin_pp", "max_slowdown", "alpha", "stage", "seeds") if e[k] is not None
    }
    base = e["arms"][0]
    lines = [e["question"], "", "  ".join(f"{k} {v}" for k, v in terms.items())]
    lines += [f"clock of {name}: {clock}" for name, clock in e["clocks"].items()]
    lines += ["", f"configuration of {base['name']} ({base['role']})"]
    lines += [f"  {key} = {value}" for key, value in base["config"].items()]
    for arm in e["arms"][1:]:
        differs = ", ".join(f"{k}={v}" for k, v in arm["config"].items() if base["config"].get(k) != v)
        lines.append(f"{arm['name']} ({arm['role']}): {differs or 'the same configuration'}")
    return lines + [f"note: {note}" for note in e["notes"]]


def _arm_line(arm: Mapping[str, Any]) -> str:
    accuracy, rate = arm["accuracy"], arm["success"]
    shown = "" if accuracy["value"] is None else f"  {100 * accuracy['value']:.3f} %"
    if accuracy["sd"] is not None:
        shown += f" (sd {100 * accuracy['sd']:.3f} pp)"
    if rate["value"] is not None:
        shown += f"  {round(rate['value'] * arm['n'])}/{arm['n']} at the target"
    failed = f"  {arm['failed']} failed attempts" if arm["failed"] else ""
    return f"{arm['arm']}: {arm['n']} runs, {arm['warmups']} warm-ups{failed}{shown}"


def _ledger_line(entry: Mapping[str, Any]) -> str:
    rest = {k: v for k, v in entry.items() if k not in ("at", "event")}
    return f"{entry.get('at', '?')}  {entry.get('event', '?')}  " + _shortened(
        ", ".join(f"{k}={v}" for k, v in rest.items()), 160
    )


# --- plan ---------------------------------------------------------------------------------------------------


def plan(
    wish: Wish, name: str | None, results: Path, experiments: Path | None, price_per_hour: float | None
) -> dict[str, Any]:
    """What a design needs or shows; what the wish leaves open comes from the stored runs of `name`."""
    from harness import planning

    return planning.plan(wish, name, results, experiments, price_per_hour)


# --- A/A ----------------------------------------------------------------------------------------------------


def aa(names: Sequence[str], results: Path, asked: Asked, *, repeats: int, seed: int) -> dict[str, Any]:
    """False-alarm rates of the harness's own judgement on stored runs."""
    from dataclasses import replace

    from harness.comparison.aa import INTERVAL, SHUFFLED, false_alarms
    from harness.comparison.pair import Pair
    from harness.selection import Shelf, require_runs, resolve

    question = resolve(Shelf(results), names, alone=True)
    require_runs(results, question.control, question.candidates)
    promise = promise_of(replace(asked, claim="faster"), question.promises, "faster")
    candidate = question.candidates[0] if question.candidates else question.control.without_runs()
    alarms = false_alarms(Pair(question.control, candidate, promise), repeats=repeats, seed=seed)
    return {
        "schema": 1,
        "name": " ".join(names),
        "alpha": promise.alpha,
        "seed": seed,
        "shuffled": SHUFFLED.format(control=question.control.name),
        "interval": INTERVAL,
        "alarms": [alarm.as_dict() for alarm in alarms],
    }


# --- iso-accuracy -------------------------------------------------------------------------------------------


def speedup(control: str, candidate: str, results: Path, target: float | None) -> dict[str, Any]:
    """The iso-accuracy speed-up between two sweeps. Raises UsageError where no target is stated, or they are one sweep."""
    from harness.comparison.iso import iso_accuracy
    from harness.comparison.sweeps import apart, family_of
    from harness.selection import Shelf, sweep_arms

    shelf = Shelf(results)
    sides = [sweep_arms(shelf, name) for name in (control, candidate)]
    families = apart(*(family_of(side.arms, side.wanted) for side in sides))
    wanted = target if target is not None else next((s.target for s in sides if s.target is not None), None)
    if wanted is None:
        raise UsageError("No target is stated: add --target A, the accuracy at which both sweeps are read.")
    return iso_accuracy((control, candidate), *families, wanted).as_dict()


def along_run(names: tuple[str, str], results: Path, target: float | None, metric: str) -> dict[str, Any]:
    """Steps to the target of two arms that were evaluated along the run. Raises UsageError where they were not."""
    from dataclasses import replace

    from harness.comparison import along
    from harness.selection import Shelf, resolve

    shelf = Shelf(results)
    question = resolve(shelf, names, asked=[key for key in PROMISES if key != "target" or target is not None])
    if len(question.candidates) > 1:
        arms = ", ".join(c.name for c in question.candidates[:8])
        raise UsageError(
            f"{names[1]!r} holds {len(question.candidates)} candidates ({arms}); --along-run compares two arms. "
            f"Name one of them: {names[1]}:{question.candidates[0].name}."
        )
    wanted = target if target is not None else question.promises.get("target")
    if wanted is None:
        raise UsageError("No target is stated: add --target A, the accuracy that runs are to reach.")
    control, candidate = question.control, question.candidates[0]
    _refuse_unlike(question)
    if control.name == candidate.name:
        control, candidate = replace(control, name=names[0]), replace(candidate, name=names[1])
    curves = _curves(shelf, metric, control, candidate)
    sides = (along.followed(control, curves, wanted), along.followed(candidate, curves, wanted))
    assert sides[0] is not None
    assert sides[1] is not None
    return along.along_run(sides[0], sides[1], target=wanted, metric=metric).as_dict()


def _refuse_unlike(question: Question) -> None:
    """Raise UsageError where the arms saw different data, or one of them repeats seeds."""
    from itertools import chain

    from harness.comparison.checks import check_data, check_duplicates
    from harness.comparison.pair import Pair, Promise

    pair = Pair(question.control, question.candidates[0], Promise("accurate"))
    for finding in chain(check_data(pair), check_duplicates(pair)):
        raise UsageError(f"{finding.code}: {finding.message} {finding.advice}")


def _curves(shelf: Shelf, metric: str, *samples: Sample) -> dict[str, Curve]:
    """The metric along every run of the stores that were read. Raises UsageError for an arm without, or one not in [0, 1]."""
    from harness.store.metrics import read_metric

    read = [read_metric(store, metric) for store in shelf.stores_read]
    curves = {run: curve for found in read for run, curve in found.curves.items()}
    for sample in samples:
        own = [curves[run] for run in sample.runs["run_id"].tolist() if run in curves]
        if not own:
            raise UsageError(_no_curve(sample.name, metric, read))
        for value in (v for curve in own for v in curve.values.tolist() if not 0 <= v <= 1 and v == v):
            raise UsageError(
                f"The metric {metric!r} of {sample.name} holds {value:g}; a target is held against fractions in [0, 1]. "
                "Name another one with --metric, or let the trainer report fractions."
            )
    return curves


def _no_curve(arm: str, metric: str, read: Sequence[Metrics]) -> str:
    """Why an arm was not followed along its runs, and what to do."""
    names = sorted({name for found in read for name in found.names})
    stepless = sum(found.without_step for found in read)
    what = (
        f"{stepless} values of it are stored without a step"
        if stepless
        else f"stored are: {', '.join(names) or 'none'}"
    )
    return (
        f"No run of {arm} has the metric {metric!r} at the steps of its training ({what}). Name another with --metric, or let "
        f"the trainer return metrics=(Metric({metric!r}, value, step=...), ...) at every evaluation. Without them, sweep over "
        "training length and leave out --along-run."
    )
