"""What `ladder` does: stage by stage, which arms go on, and what the last stage's fresh runs say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from harness.app.judging import Asked, judge_question, promise_of, question_of
from harness.app.preparing import Prepared, RunOptions, prepare_run
from harness.app.running import RunReport, begin_ladder
from harness.errors import StoreError, UsageError, nearest
from harness.model.experiment import STAGES, Experiment
from harness.model.run import is_completed

if TYPE_CHECKING:
    from harness.comparison.compare import Comparison
    from harness.comparison.ladder import Choice, Standing
    from harness.design.ladder import Ladder
    from harness.store.read import Store

DECISION = "stage-decision"
LEFT_OUT = "left-out"


@dataclass(frozen=True)
class Rung:
    """One stage that ended: what it showed alone, where the arms stand on all runs so far, and who goes on."""

    stage: str
    size: int
    alone: Mapping[str, float]
    standings: tuple[Standing, ...]
    choice: Choice


@dataclass(frozen=True)
class Climbed:
    """How a ladder ended. `incomplete` is the campaign whose runs could not all be had."""

    experiment: Experiment
    ladder: Ladder
    store: Store
    rungs: tuple[Rung, ...] = ()
    finalists: tuple[str, ...] = ()
    judged: Comparison | None = None
    anchored: Comparison | None = None
    incomplete: RunReport | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Arms that somebody took out, with the stage at which."""
    runs: Mapping[str, Mapping[str, int]] | None = None


def planned_ladder(experiment: Experiment, ladder: Ladder, given: str = "") -> Experiment:
    """The experiment (on the command line: `given`) with the plan that its store will keep.

    Raises UsageError where there is nothing to choose from.
    """
    from harness.comparison.ladder import RULES

    names = [arm.name for arm in experiment.candidates]
    if len(names) < 2:
        only = f"the single candidate {names[0]!r}" if names else f"the single arm {experiment.arms[0].name!r}"
        stage, size = ladder.stages[-1]
        raise UsageError(
            f"{experiment.name} has {only}, and a ladder chooses among several. "
            + (
                f"Decide on it directly: `harness run {given or experiment.name} --stage {stage} --seeds {size}`."
                if names
                else 'Give it candidates ([sweep.grid] or [[arms]]) and a control (control = "..."), or name several Python files.'
            )
        )
    ladder.check(len(names))
    rule = RULES[experiment.claim or "faster"]
    plan = ladder.as_dict() | {"rule": f"{experiment.claim or 'faster'}: {rule}", "arms": names}
    return replace(experiment, ladder=plan)


def prepare_stage(experiment: Experiment, arms: Sequence[str], stage: str, size: int, options: RunOptions) -> Prepared:
    """What a stage still has to do: the control and the arms that are in it, interleaved."""
    chosen = tuple(arm for arm in experiment.arms if arm.role == "control" or arm.name in arms)
    staged: Any = {"arms": chosen, "stage": stage, "seeds": size}
    return prepare_run(replace(experiment, **staged), options)


def climb(
    experiment: Experiment,
    ladder: Ladder,
    options: RunOptions,
    make_runs: Callable[[Prepared], RunReport],
    tell: Callable[[str], None],
    without: Sequence[str] = (),
) -> Climbed:
    """Run what is missing of every stage, decide after each, and judge what the last one leaves.

    `make_runs` runs what a stage lacks. Nothing but the rows decides: a stage that is there already is decided again, and held against
    the ledger. Raises StoreError where the two disagree. Arms `without` which it shall go on are out from the first stage that lacks
    runs. Raises UsageError where there is no such arm, or no other.
    """
    from harness.store.read import open_store

    _checked_arms(experiment, without)
    names = [arm.name for arm in experiment.candidates]
    rungs: list[Rung] = []
    planned: dict[str, int] = {}
    for number, (stage, size) in enumerate(ladder.stages):
        prepared = prepare_stage(experiment, names, stage, size, options)
        begin_ladder(prepared, options)
        left = _those_left(prepared, names, stage, without, tell)
        if left != names:
            names, prepared = left, prepare_stage(experiment, left, stage, size, options)
        report = make_runs(prepared)
        store = open_store(options.results, report.prepared.store.name)
        climbed = Climbed(experiment, ladder, store, tuple(rungs), left_out=left_out(store))
        if report.missing:
            return replace(climbed, incomplete=report, runs=runs_spent(store, experiment.arms[0].name, ladder, options))
        if number == len(ladder.sizes) - 1:
            return _judged(replace(climbed, finalists=tuple(names)), options)
        planned[stage] = size
        rungs.append(_decide(experiment, ladder, store, names, planned, options))
        _record(store, rungs[-1])
        names = [s.arm for s in rungs[-1].choice.kept]
        tell(f"{stage}: {', '.join(names) or 'no arm'} of {len(rungs[-1].standings)} arms went on")
        if not names:
            break
    return replace(climbed, rungs=tuple(rungs), runs=runs_spent(store, experiment.arms[0].name, ladder, options))


def left_out(store: Store) -> dict[str, str]:
    """Arms that were taken out of a ladder by hand, with the stage from which they are out; as the ledger has it."""
    from harness.store.read import ledger_of

    return {str(e.get("arm")): str(e.get("stage")) for e in ledger_of(store) if e.get("event") == LEFT_OUT}


def _in_stage(store: Store, names: Sequence[str], stage: str) -> list[str]:
    """The arms that nobody took out at this stage or before; those of later stages only are not among `names` then."""
    gone = left_out(store)
    return [n for n in names if n not in gone or STAGES.index(gone[n]) > STAGES.index(stage)]


def _checked_arms(experiment: Experiment, without: Sequence[str]) -> None:
    names = [arm.name for arm in experiment.candidates]
    for name in without:
        if name not in names:
            raise UsageError(f"--without {name}: {experiment.name} has no such candidate. {nearest(name, names)}")


def _those_left(
    prepared: Prepared, names: Sequence[str], stage: str, without: Sequence[str], tell: Callable[[str], None]
) -> list[str]:
    """The arms of a stage. One that shall be left out is, and the ledger has it, unless its runs are all there."""
    from harness.logger import note_in_ledger

    names = _in_stage(prepared.store, names, stage)
    for name in without:
        if name not in names:
            continue
        if prepared.done.get(name, 0) >= prepared.experiment.seeds:
            tell(f"{stage}: the runs of {name} are all there, so it is not left out of this stage")
            continue
        if len(names) == 1:
            raise UsageError(f"--without {name}: no other arm is left in stage {stage}, so nothing could be decided.")
        note_in_ledger(prepared.store.folder, LEFT_OUT, {"arm": name, "stage": stage})
        tell(f"{stage}: {name} is left out (--without), after {prepared.done.get(name, 0)} completed runs")
        names.remove(name)
    return names


def before_the_first_run(experiment: Experiment, ladder: Ladder, options: RunOptions) -> list[str]:
    """Warnings: seed ranges read in another way than usual, and why a verdict could only be `refused` at the end."""
    names = [arm.name for arm in experiment.candidates]
    return list(prepare_stage(experiment, names, *ladder.stages[0], options).warnings)


def _decide(
    experiment: Experiment, ladder: Ladder, store: Store, names: Sequence[str], planned: Mapping[str, int], options: RunOptions
) -> Rung:  # fmt: skip
    from harness.comparison.ladder import choose, standings
    from harness.comparison.pair import Promise
    from harness.selection import Shelf, samples_so_far

    shelf, base = Shelf(options.results), experiment.arms[0]
    control, *candidates = samples_so_far(shelf, store, [base.name, *names], planned)
    stage, size = list(planned.items())[-1]
    stated = {key: getattr(experiment, key) for key in Promise.__dataclass_fields__}
    promise: Promise = promise_of(Asked(), stated, "faster")
    copies = [a.name for a in experiment.candidates if (a.trainer, a.config) == (base.trainer, base.config)]
    found = standings(control, candidates, promise, final_runs=ladder.sizes[-1], copies=copies)
    alone = {s.name: float(s.accuracy.mean()) for s in samples_so_far(shelf, store, [base.name, *names], {stage: size})}
    choice = choose(promise.claim, found, ladder.kept(len(planned) - 1, len(names)))
    return Rung(stage, size, alone, tuple(found), choice)


def _record(store: Store, rung: Rung) -> None:
    """The decision in the ledger, once; the rows must not say anything else later."""
    from harness.logger import note_in_ledger
    from harness.store.append import CampaignLock
    from harness.store.read import ledger_of

    kept = [s.arm for s in rung.choice.kept]
    lock: CampaignLock | None = None
    try:
        for _ in range(2):
            told = [e for e in ledger_of(store) if e.get("event") == DECISION and e.get("stage") == rung.stage]
            if told and told[0].get("kept") != kept:
                raise StoreError(
                    f"{store.folder / 'ledger.jsonl'} says that after stage {rung.stage} {told[0].get('kept')} went on; the rows of "
                    f"runs.csv now say {kept}. Rows, or what the experiment promises, were changed in between. Restore them, or begin "
                    "another ladder with --as NAME."
                )
            if told or lock is not None:
                break
            lock = CampaignLock(store.folder)  # somebody else may have written it before the lock was ours
        if not told:
            facts = {"stage": rung.stage, "runs_per_arm": rung.size, "kept": kept}
            note_in_ledger(store.folder, DECISION, facts | {"arms": _fates(rung)})
    finally:
        if lock is not None:
            lock.release()


def _fates(rung: Rung) -> list[dict[str, Any]]:
    """Every arm of a stage with its numbers, and whether and why it went on."""
    kept = [s.as_dict() | {"kept": True, "reason": f"rank {i}"} for i, s in enumerate(rung.choice.kept, 1)]
    return [*kept, *(s.as_dict() | {"kept": False, "reason": reason} for s, reason in rung.choice.dropped)]


def _judged(climbed: Climbed, options: RunOptions) -> Climbed:
    """The verdict on the last stage's planned runs: against the interleaved control, and beside it against a frozen one."""
    from harness.selection import Shelf, frozen_anchor

    store, base = climbed.store, climbed.experiment.arms[0].name
    names = [f"{store.name}:{name}" for name in climbed.finalists]
    stage, size = climbed.ladder.stages[-1]
    judged = _judged_at(f"{store.name}:{base}", names, options, stage, size)
    anchor = frozen_anchor(Shelf(options.results), store, base)
    anchored = None if anchor is None else _judged_at(anchor, names, options, stage, size)
    runs = runs_spent(store, base, climbed.ladder, options)
    return replace(climbed, judged=judged, anchored=anchored, runs=runs)


def _judged_at(control: str, names: Sequence[str], options: RunOptions, stage: str, size: int) -> Comparison:
    """The judgement on as many runs of the last stage as were planned: what was run besides changes nothing."""
    question = question_of([control, *names], options.results, Asked(stage=stage), tries=True, most=size)
    return judge_question(question, options.results, Asked(), default_claim="faster")


def runs_spent(store: Store, control: str, ladder: Ladder, options: RunOptions) -> dict[str, dict[str, int]]:
    """By stage: completed runs of candidates and of the control, failed attempts and warm-ups."""
    from harness.selection import Shelf

    rows = Shelf(options.results).frame(store)
    out: dict[str, Counter[str]] = {}
    cells = (rows[name].tolist() for name in ("stage", "arm", "status", "warmup"))
    for stage, arm, status, warm in zip(*cells, strict=True):
        what = (
            "warm_ups"
            if warm
            else "failed"
            if not is_completed(status)
            else "control"
            if arm == control
            else "candidates"
        )
        out.setdefault(stage, Counter())[what] += 1
    kinds = ("candidates", "control", "failed", "warm_ups")
    return {stage: {kind: out[stage][kind] for kind in kinds} for stage, _ in ladder.stages if stage in out}


def ladder_document(climbed: Climbed) -> dict[str, Any]:
    """The JSON of `ladder`: what was tried, what was dropped and why, what the fresh runs say, and what screening had said."""
    experiment, judged, incomplete = climbed.experiment, climbed.judged, climbed.incomplete
    results = {} if judged is None else {one.candidate.name: one for one in judged.comparisons}
    runs = climbed.runs or {}
    return {
        "schema": 1,
        "experiment": experiment.name,
        "question": experiment.question,
        "store": str(climbed.store.folder),
        "control": experiment.arms[0].name,
        "arms": len(experiment.candidates),
        "ladder": experiment.ladder,
        "runs": runs,
        "runs_spent": sum(counts["candidates"] + counts["control"] for counts in runs.values()),
        "stages": [{"stage": r.stage, "runs_per_arm": r.size, "arms": _fates(r)} for r in climbed.rungs],
        "finalists": list(climbed.finalists),
        "verdict": next(iter(results.values())).verdict if len(results) == 1 else None,
        "verdicts": {name: one.verdict for name, one in results.items()},
        "headline": "; ".join(one.headline for one in results.values()) or None,
        "naive": _naive(climbed),
        "final": None if judged is None else judged.as_dict(),
        "anchor": None if climbed.anchored is None else climbed.anchored.as_dict(),
        "left_out": [{"arm": arm, "stage": stage} for arm, stage in climbed.left_out.items()],
        "complete": incomplete is None,
        "missing": {} if incomplete is None else incomplete.missing,
        "given_up": {} if incomplete is None else incomplete.given_up,
        "notes": list(experiment.notes),
        **({"not_run": [arm.as_dict() for arm in experiment.not_run]} if experiment.not_run else {}),
    }


def _naive(climbed: Climbed) -> dict[str, Any] | None:
    """What the first stage alone would have shown: its best mean, and what the finalists screened at."""
    if not climbed.rungs:
        return None
    first = climbed.rungs[0]
    tried = {s.arm: first.alone[s.arm] for s in first.standings}
    best = max(tried, key=lambda arm: tried[arm])
    judged = climbed.judged.comparisons if climbed.judged else ()
    finals = {arm: one.candidate.accuracy.value for arm, one in zip(climbed.finalists, judged, strict=False)}
    return {
        "stage": first.stage,
        "runs_per_arm": first.size,
        "of": len(tried),
        "best": best,
        "best_accuracy": tried[best],
        "control_accuracy": first.alone[climbed.experiment.arms[0].name],
        "finalists": {arm: {"screened": tried[arm], "fresh": fresh} for arm, fresh in finals.items()},
    }


def ladder_text(climbed: Climbed, *, colour: bool = False, width: int | None = None) -> str:
    """What `ladder` prints at its end."""
    from harness.report.ladder_text import beside_text, statement_text
    from harness.report.table import table_text

    document = ladder_document(climbed)
    parts = [statement_text(document)]
    if climbed.judged is not None:
        parts += [table_text(climbed.judged, colour=colour, width=width), beside_text(document)]
    return "\n\n".join(parts)


def dry_run(experiment: Experiment, ladder: Ladder, options: RunOptions) -> dict[str, Any]:
    """The JSON of `ladder --dry-run`: the plan of each stage; of one whose arms are not known yet, as if the first went on."""
    names = [arm.name for arm in experiment.candidates]
    stages: list[dict[str, Any]] = []
    planned: dict[str, int] = {}
    whole = prepare_stage(experiment, names, *ladder.stages[0], options).as_dict()
    for number, (stage, size) in enumerate(ladder.stages):
        prepared = prepare_stage(experiment, names, stage, size, options)
        names = _in_stage(prepared.store, names, stage)
        prepared = prepare_stage(experiment, names, stage, size, options)
        facts = prepared.as_dict()
        wanted = {"stage": stage, "runs_per_arm": size, "arms": len(names), "keep": ladder.keep[number : number + 1]}
        stages.append(
            wanted | {k: facts[k] for k in ("blocks", "invocations", "runs", "trainings", "warmups", "hours")}
        )
        planned[stage] = size
        if number < len(ladder.keep):
            decided = prepared.complete and all(s["runs"] == 0 for s in stages)
            names = (
                [s.arm for s in _decide(experiment, ladder, prepared.store, names, planned, options).choice.kept]
                if decided
                else names[: ladder.kept(number, len(names))]
            )
            if not names:
                break
    hours = [stage["hours"] for stage in stages]
    return {k: whole[k] for k in ("schema", "experiment", "question", "store", "notes", "not_run") if k in whole} | {
        "ladder": experiment.ladder,
        "arms": whole["arms"],
        "stages": [stage | {"keep": next(iter(stage["keep"]), None)} for stage in stages],
        "runs": sum(stage["runs"] for stage in stages),
        "hours": None if None in hours else sum(hours),
        "warnings": before_the_first_run(experiment, ladder, options),
    }
