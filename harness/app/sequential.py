"""What `run --until-decided` does: a campaign that grows from look to look of a plan, and stops as soon as it may."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from harness.app.judging import Asked, judge, promise_of
from harness.app.preparing import Prepared, RunOptions, prepare_run
from harness.app.running import RunReport
from harness.errors import UsageError
from harness.model.experiment import NO_MARGIN, Experiment

if TYPE_CHECKING:
    from harness.comparison.compare import Comparison
    from harness.comparison.looks import Look
    from harness.design.looks import LookPlan

Campaign = Callable[[Prepared, RunOptions], RunReport]


@dataclass(frozen=True)
class PlannedRun:
    """A sequential campaign before its first run, or wherever it stands: the experiment in its stage, and its plan."""

    experiment: Experiment
    options: RunOptions
    plan: LookPlan
    store: str

    @property
    def candidate(self) -> str:
        return self.experiment.candidates[0].name

    def at(self, index: int) -> tuple[Experiment, RunOptions]:
        """The campaign from the look before to this one."""
        planned: dict[str, dict[str, Any]] = {self.experiment.stage: {self.candidate: self.plan.as_dict()}}
        fresh = self.plan.starts[index] - (self.plan.starts[index - 1] if index else 0)
        return (
            replace(self.experiment, seeds=self.plan.runs[index]),
            replace(self.options, starts=fresh, looks=planned),
        )

    def whole(self) -> Prepared:
        """All that the plan may come to."""
        experiment = replace(self.experiment, seeds=self.plan.largest)
        return prepare_run(experiment, replace(self.options, starts=self.plan.starts[-1]))

    def as_dict(self) -> dict[str, Any]:
        """The JSON of `run --until-decided --dry-run`."""
        return self.whole().as_dict() | {"plan": self.plan.as_dict()}


@dataclass(frozen=True)
class Ended:
    """Where a sequential campaign ended: its last look, or None where runs could not be had."""

    sequence: PlannedRun
    report: RunReport
    judged: Comparison | None

    @property
    def look(self) -> Look | None:
        return None if self.judged is None else self.judged.comparisons[0].look

    def stopped(self, *, past_futility: bool) -> bool:
        """Whether there is nothing left to run."""
        stop = None if self.look is None else self.look.stop
        return stop is not None and not (stop == "futility" and past_futility)


def plan_sequence(
    experiment: Experiment, options: RunOptions, *, mode: Literal["group-sequential", "sprt"], stage_given: bool
) -> PlannedRun:
    """The plan that the store holds, or a new one in place of the experiment's seeds.

    Raises UsageError where there is nothing to plan for: no control, several candidates, no margin, runs made before
    any plan, or a plan of another kind.
    """
    from harness.selection import stored_plan
    from harness.store.read import checked_store_name, open_store

    experiment = _fit_to_decide(experiment, stage_given=stage_given)
    name = checked_store_name(options.store_name or experiment.name)
    store = open_store(options.results, name)
    candidate = experiment.candidates[0].name
    wanted = _new_plan(experiment, mode)
    plan = stored_plan(store, experiment.stage, candidate)
    if plan is None:
        prepared = prepare_run(experiment, options)
        if prepared.done.get(candidate):
            raise UsageError(
                f"{store.runs_path} holds {prepared.done[candidate]} runs of {candidate} in stage {experiment.stage}, made before any "
                "plan: looks count only where they were planned before the first run. Take fresh seeds: another --stage, or --as NAME."
            )
        return PlannedRun(experiment, options, wanted, name)
    changed = _differences(plan, wanted)
    if changed:
        raise UsageError(
            f"{store.folder} has a plan already, made with {'; '.join(changed)}. A plan stands once it is made: give the same command "
            "as before, or take fresh seeds with --as NAME."
        )
    return PlannedRun(experiment, options, plan, name)


def _differences(plan: LookPlan, wanted: LookPlan) -> list[str]:
    """In what the plan of the store and the one that is asked for differ."""

    def facts(one: LookPlan) -> dict[str, Any]:
        promise = {} if plan.promise is None else dict(one.promise or {})
        return {"mode": one.mode, "seeds": one.fixed, "alpha": one.alpha} | promise

    now = facts(wanted)
    return [f"{key} {value} (now {now.get(key)})" for key, value in facts(plan).items() if now.get(key) != value]


def _fit_to_decide(experiment: Experiment, *, stage_given: bool) -> Experiment:
    """The experiment in a stage that may decide. Raises UsageError where it has no single question."""
    if experiment.control is None or not experiment.candidates:
        raise UsageError(
            f"{experiment.name}: --until-decided compares a candidate with a control, and there is none. State `control`."
        )
    if len(experiment.candidates) > 1:
        names = ", ".join(arm.name for arm in experiment.candidates[:8])
        raise UsageError(
            f"{experiment.name} has {len(experiment.candidates)} candidates ({names}), and --until-decided decides about one. "
            "Name it with --arm NAME, or let `harness ladder` choose it."
        )
    if experiment.stage == "screen":
        if stage_given:
            raise UsageError("stage 'screen' decides nothing, so there is nothing to stop for. Use --stage confirm.")
        experiment = replace(experiment, stage="confirm")
    promise = promise_of(Asked(), experiment.as_dict(), "faster")
    if promise.claim not in NO_MARGIN and promise.margin_pp is None:
        raise UsageError(
            f"{experiment.name}: claim {promise.claim!r} needs a margin: state margin_pp in the experiment."
        )
    return experiment


def _new_plan(experiment: Experiment, mode: str) -> LookPlan:
    from harness.design.looks import plan_looks, plan_sprt

    promise = promise_of(Asked(), experiment.as_dict(), "faster")
    timed = promise.claim in ("faster", "time-only") or (
        promise.claim in ("no-regression", "equivalent") and promise.max_slowdown is not None
    )
    stated = asdict(promise)
    if mode == "group-sequential":
        return replace(plan_looks(experiment.seeds, alpha=promise.alpha, timed=timed), promise=stated)
    if timed or promise.claim == "equivalent":
        raise UsageError(
            f"--mode sprt decides whether accuracy is higher or not worse, not claim {promise.claim!r}"
            + (" with max_slowdown" if promise.claim == "no-regression" else "")
            + ": time is a matter of process starts. Leave --mode out."
        )
    if not promise.margin_pp:
        raise UsageError(
            "--mode sprt weighs two values against each other: state margin_pp, the difference worth finding."
        )
    return replace(plan_sprt(experiment.seeds, alpha=promise.alpha), promise=stated)


def run_until_decided(sequence: PlannedRun, campaign: Campaign, *, past_futility: bool = False) -> Ended:
    """From where the store stands to the look at which the plan stops. `campaign` makes the runs that a look lacks.

    Every look is in the ledger once. Where runs cannot be had there is no look; the report says what is missing.
    """
    plan = sequence.plan
    ended = standing(sequence)
    if ended is not None and ended.stopped(past_futility=past_futility):
        _note(sequence, ended)
        return ended
    done = min(sequence.whole().done.values())
    for index, n in enumerate(plan.runs):
        experiment, options = sequence.at(index)
        prepared = prepare_run(experiment, options)
        if n < done and prepared.complete:
            continue
        report = campaign(prepared, options)
        if report.missing:
            return Ended(sequence, report, None)
        ended = Ended(sequence, report, _judged(sequence))
        _note(sequence, ended)
        if ended.stopped(past_futility=past_futility):
            break
    assert ended is not None
    return ended


def standing(sequence: PlannedRun) -> Ended | None:
    """Where the campaign stands by the runs that are there; None where there are none of an arm."""
    done = min(sequence.whole().done.values())
    if not done:
        return None
    here = prepare_run(replace(sequence.experiment, seeds=done), sequence.options)
    return Ended(sequence, RunReport(here, here.done), _judged(sequence))


def _judged(sequence: PlannedRun) -> Comparison:
    control = sequence.experiment.control
    assert control is not None
    names = [f"{sequence.store}:{name}" for name in (control.name, sequence.candidate)]
    return judge(names, sequence.options.results, Asked(stage=sequence.experiment.stage))


def _note(sequence: PlannedRun, ended: Ended) -> None:
    """One line for each look."""
    from harness.logger import note_in_ledger
    from harness.store.read import ledger_of, open_store

    if ended.look is None or ended.judged is None:
        return
    folder: Path = sequence.options.results / sequence.store
    facts: dict[str, Any] = {
        "arm": sequence.candidate,
        "stage": sequence.experiment.stage,
        "n": ended.look.n,
        "verdict": ended.judged.comparisons[0].verdict,
        "stop": ended.look.stop,
    }
    known = (
        e for e in ledger_of(open_store(sequence.options.results, sequence.store)) if e.get("event") == "planned-look"
    )
    if not any(facts.items() <= dict(entry).items() for entry in known):
        note_in_ledger(folder, "planned-look", facts)


# --- words --------------------------------------------------------------------------------------------------


def sequence_document(ended: Ended, document: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON of `run --until-decided`: that of `run`, with the plan and the last look."""
    look = None if ended.look is None else ended.look.as_dict()
    return dict(document) | {"plan": ended.sequence.plan.as_dict(), "look": look}
