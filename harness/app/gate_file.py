"""What `gate gate.toml` does: every check measured or read, judged by its layers, measured again before it is red."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.app.gate_creep import commit_of, creep_layers
from harness.app.gating import Gated, OnInconclusive
from harness.app.judging import Asked, judge_question, question_of
from harness.errors import IncompleteError, StoreError, UsageError
from harness.model.estimate import Verdict
from harness.model.experiment import target_in_vain

if TYPE_CHECKING:
    from harness.comparison.compare import Comparison
    from harness.comparison.layers import Layer
    from harness.gatefile import Check, GateFile
    from harness.selection import Question

Ran = Callable[[Any, Any], Any]
"""Runs a prepared campaign with its options; the command line adds a progress display."""


@dataclass(frozen=True)
class GateOptions:
    results: Path = Path("results")
    experiments: Path | None = None
    on_inconclusive: OnInconclusive = "fail"
    run: Ran | None = None
    written: tuple[Path, ...] = ()
    """The gate's own answers: they are no change of the tree that is measured."""


@dataclass(frozen=True)
class Measured:
    """Where the runs of a check are: the names to judge, and the commit that they stand for."""

    names: tuple[str, ...]
    commit: str | None = None
    seeds: int | None = None
    starts: int | None = None


@dataclass(frozen=True)
class CheckResult:
    """What one check came to; `problem` where it came to no judgement, which never passes."""

    name: str
    layers: tuple[Layer, ...] = ()
    comparison: Comparison | None = None
    confirmation: Comparison | None = None
    commit: str = ""
    stores: tuple[str, ...] = ()
    problem: str = ""

    @property
    def verdict(self) -> Verdict:
        from harness.comparison.layers import worst

        verdicts: list[Verdict] = [layer.verdict for layer in self.layers]
        return worst([*verdicts, "refused"] if self.problem else verdicts)

    def as_dict(self) -> dict[str, Any]:
        shown = {"comparison": self.comparison, "confirmation": self.confirmation}
        return {
            "name": self.name,
            "verdict": self.verdict,
            "commit": self.commit or None,
            "stores": list(self.stores),
            "problem": self.problem or None,
            "layers": [layer.as_dict() for layer in self.layers],
        } | {key: None if one is None else one.as_dict() for key, one in shown.items()}


@dataclass(frozen=True)
class FileReport(Gated):
    """One verdict over all checks."""

    path: Path
    checks: tuple[CheckResult, ...]
    on_inconclusive: OnInconclusive = "fail"
    notes: tuple[str, ...] = field(default=())

    def parts(self) -> Sequence[Verdict]:
        return [check.verdict for check in self.checks]

    def told(self) -> str:
        from harness.comparison.words import counted

        passed = sum(check.verdict == "pass" for check in self.checks)
        others = [f"{check.name} {check.verdict}" for check in self.checks if check.verdict != "pass"]
        whole = f"{counted(len(self.checks), 'check')} pass{'es' if len(self.checks) == 1 else ''}"
        return f"{self.verdict.upper()}: {passed} of {whole}" + (f" ({', '.join(others)})" if others else "")

    def as_dict(self) -> dict[str, Any]:
        return {
            "schema": 1,
            "gate": self.head() | {"file": str(self.path)},
            "checks": [check.as_dict() for check in self.checks],
            "notes": list(self.notes),
        }


def gate_file(gate: GateFile, options: GateOptions) -> FileReport:
    """Every check, also after one that could not be judged. Raises UsageError for what the file states wrongly."""
    for check in gate.checks:  # before the first second of training
        check_statement(check, options)
    return report_of(gate, [_checked(check, gate, options) for check in gate.checks], options)


def _checked(check: Check, gate: GateFile, options: GateOptions) -> CheckResult:
    try:
        return judged_check(check, measured(check, options, gate), gate, options)
    except (StoreError, IncompleteError) as problem:
        return CheckResult(check.name, problem=str(problem))


# --- what a check states, and its runs ----------------------------------------------------------------------


def check_statement(check: Check, options: GateOptions) -> None:
    """Raise UsageError where a check needs what neither it nor its experiment states."""
    if check.experiment is None:
        return
    experiment = experiment_of(check, options)
    if experiment.control is None or not experiment.candidates:
        raise UsageError(
            f"{check.where}: the experiment {experiment.name!r} has a single arm: there is nothing to compare."
        )
    if check.margin_pp is None and experiment.margin_pp is None:
        raise UsageError(_no_margin(check))
    _require_use_of_target(check, check.claim or experiment.claim or "no-regression")
    if "creep" in check.layers and len(experiment.candidates) > 1:
        raise UsageError(
            f"{check.where}: the layer 'creep' follows one arm, and {experiment.name!r} has {len(experiment.candidates)} candidates. "
            'State layers = ["hard"], or a check with one candidate.'
        )


def _require_use_of_target(check: Check, claim: str) -> None:
    """Raise UsageError where the check states a target that its claim does not use; an experiment's own may stand."""
    vain = target_in_vain(check.target, claim)
    if vain:
        raise UsageError(f"{check.where}: key 'target': {vain}")


def _no_margin(check: Check) -> str:
    return f"{check.where}: 'margin_pp' is stated neither here nor in the experiment: how many points may be lost is yours to say."


def experiment_of(check: Check, options: GateOptions, seeds: int | None = None) -> Any:
    from harness import spec

    assert check.experiment is not None
    request = spec.Request(preset=check.preset, seeds=seeds or check.seeds, experiments=options.experiments)
    return spec.load_experiment(check.experiment, request)


def measured(
    check: Check,
    options: GateOptions,
    gate: GateFile,
    *,
    suffix: str = "",
    seeds: int | None = None,
    starts: int | None = None,
) -> Measured:
    """Where the check's runs are; with `run` those that are missing are made first, in a store of this commit.

    `starts` process starts instead of the experiment's. Raises IncompleteError where runs could not be had.
    """
    from harness.app import preparing, running
    from harness.design.plan import default_invocations

    if check.experiment is None:
        return Measured((check.control or "", check.candidate or ""))
    experiment = experiment_of(check, options, seeds)
    if not check.run:
        _require_store(check, experiment.name, options)
        return Measured((experiment.name,), seeds=experiment.seeds)
    experiment = experiment if starts is None else replace(experiment, invocations=starts)
    commit = _commit(experiment, options, gate)
    name = f"{check.name}-{commit}{suffix}"
    settings = preparing.RunOptions(options.results, name)
    report = (options.run or running.run)(preparing.prepare_run(experiment, settings), settings)
    running.require_complete(report)
    return Measured((name,), commit, experiment.seeds, experiment.invocations or default_invocations(experiment.seeds))


def _require_store(check: Check, name: str, options: GateOptions) -> None:
    """Raise StoreError, with the command that works from here, where the check's experiment has no runs yet."""
    from harness.store.read import open_store

    if not open_store(options.results, name).exists:
        raise StoreError(
            f"There is no store {name!r} under {str(options.results)!r}. `harness run {check.experiment}` makes its runs; or state "
            "run = true in the check, which measures every commit."
        )


def _commit(experiment: Any, options: GateOptions, gate: GateFile) -> str:
    """The candidate's commit, with a hash of what is not committed; of its code where there is no repository."""
    from harness.app.preparing import trainer_infos
    from harness.provenance import git_state

    arm = experiment.candidates[0]
    info = trainer_infos(experiment)[arm.name]
    if arm.git is not None:
        return str(arm.git[:12])
    folder = info.sources[0].resolve().parent if info.sources else Path.cwd()
    own = (options.results, gate.history, gate.baseline, *options.written)
    state = git_state(folder, exclude=[path.resolve() for path in own])
    if state.commit is None:
        return f"code-{info.code_hash(arm.config)}"
    return state.commit[:12] + (f"-{(state.patch_sha256 or '')[:8]}" if state.dirty else "")


# --- judging ------------------------------------------------------------------------------------------------


def judged_check(check: Check, runs: Measured, gate: GateFile, options: GateOptions) -> CheckResult:
    """The layers of one check. Raises StoreError where its stores cannot be read or hold nothing to judge.

    What a later layer lacks (fresh runs, a baseline) refuses that layer alone: it must not hide what an earlier one has seen.
    """
    from harness.comparison.layers import Layer

    question = question_of(runs.names, options.results, asked_of(check))
    comparison = judge_question(question, options.results, asked_of(check), default_claim="no-regression")
    if comparison.promise.margin_pp is None:
        raise UsageError(_no_margin(check))
    _require_use_of_target(check, comparison.promise.claim)
    layers = decided(check, question, comparison, options, check.hard_alpha)
    confirmation = None
    if check.run and any(layer.verdict == "fail" for layer in layers):
        timed = comparison.promise.max_slowdown is not None
        try:
            layers, confirmation, again = _confirmed(check, layers, runs, gate, options, timed=timed)
            runs = replace(runs, names=(*runs.names, *again.names))
        except (StoreError, IncompleteError) as problem:
            layers = [_unconfirmed(layer, str(problem)) for layer in layers]
    commit = runs.commit or commit_of(question.candidates[0])
    if "creep" in check.layers:
        try:
            layers += creep_layers(check, question, commit, gate)
        except StoreError as problem:
            layers.append(Layer("creep", "refused", str(problem)))
    return CheckResult(check.name, tuple(layers), comparison, confirmation, commit, runs.names)


def asked_of(check: Check) -> Asked:
    return Asked(check.claim, check.target, check.margin_pp, check.max_slowdown, check.alpha)


def decided(check: Check, question: Question, claimed: Comparison, options: GateOptions, alpha: float) -> list[Layer]:
    """The layers that look at this commit alone: the claim, and the hard rule at `alpha`."""
    from harness.comparison.layers import claim_layers, hard_layers, same_runs

    same = [same_runs(question.control, candidate) for candidate in question.candidates]
    margin, slow = claimed.promise.margin_pp, claimed.promise.max_slowdown
    layers = claim_layers(claimed, same) if "claim" in check.layers else []
    if "hard" in check.layers:
        strict = Asked("no-regression", None, 0.0, None if slow is None else 0.0, alpha)
        judged = judge_question(question, options.results, strict, default_claim="no-regression")
        layers += hard_layers(judged, margin_pp=margin or 0.0, max_slowdown=slow)
    return layers


def _confirmed(
    check: Check, layers: list[Layer], runs: Measured, gate: GateFile, options: GateOptions, *, timed: bool
) -> tuple[list[Layer], Comparison, Measured]:
    """What is red, measured again on fresh seeds (`timed`: and process starts); it stays red only where it is red again."""
    from harness.comparison.layers import CONFIRM_ALPHA, CONFIRM_FACTOR

    seeds, starts = (CONFIRM_FACTOR * (number or 1) for number in (runs.seeds, runs.starts))
    again = measured(check, options, gate, suffix="-confirm", seeds=seeds, starts=min(starts, seeds) if timed else None)
    question = question_of(again.names, options.results, asked_of(check))
    comparison = judge_question(question, options.results, asked_of(check), default_claim="no-regression")
    second = {layer.name: layer for layer in decided(check, question, comparison, options, CONFIRM_ALPHA)}
    return [_twice(layer, second[layer.name]) for layer in layers], comparison, again


def _twice(first: Layer, second: Layer) -> Layer:
    if first.verdict != "fail":
        return first
    facts = dict(first.facts) | {"first": first.as_dict(), "confirmation": second.as_dict()}
    if second.verdict == "fail":
        said = f"{first.message}; confirmed on fresh seeds: {second.message}"
    elif second.verdict == "pass":
        said = f"not confirmed on fresh seeds, so it stays green: at first {first.message}; then {second.message}"
    else:
        said = f"{first.message}; fresh seeds could not decide it: {second.message}"
    return replace(first, verdict=second.verdict, message=said, facts=facts)


def _unconfirmed(first: Layer, problem: str) -> Layer:
    """A red layer whose second measurement could not be had: neither red nor green."""
    if first.verdict != "fail":
        return first
    return replace(first, verdict="refused", message=f"{first.message}; it could not be measured again: {problem}")


def report_of(
    gate: GateFile, checks: Sequence[CheckResult], options: GateOptions, notes: Sequence[str] = ()
) -> FileReport:
    return FileReport(gate.path, tuple(checks), options.on_inconclusive, tuple(notes))
