"""What `gate gate.toml --re-anchor` does: a confirmed commit becomes what later commits are held against."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.app.gate_creep import commit_of
from harness.app.gate_file import (
    CheckResult,
    FileReport,
    GateOptions,
    asked_of,
    check_statement,
    measured,
    report_of,
)
from harness.app.judging import judge_question, question_of
from harness.errors import IncompleteError, StoreError, UsageError

if TYPE_CHECKING:
    from harness.comparison.layers import Layer
    from harness.comparison.samples import Sample
    from harness.gatefile import Check, GateFile

DEFAULT_RUNS = 25


@dataclass(frozen=True)
class _Anchored:
    layer: Layer
    baseline: dict[str, Any] | None = None


def re_anchor(gate: GateFile, options: GateOptions) -> FileReport:
    """New baselines of the checks with the layer `creep`, each only where its runs are many enough and no regression is in them.

    Raises UsageError where no check has that layer.
    """
    from harness.anchors import read_baselines

    wanted = [check for check in gate.checks if "creep" in check.layers]
    if not wanted:
        raise UsageError(f"{gate.path}: no check has the layer 'creep', which is what a baseline is for.")
    for check in wanted:
        check_statement(check, options)
    baselines = read_baselines(gate.baseline)
    results = []
    for check in wanted:
        try:
            results.append(_one(check, gate, baselines, options))
        except (StoreError, IncompleteError) as problem:
            results.append(CheckResult(check.name, problem=str(problem)))
    return report_of(gate, results, options)


def _one(check: Check, gate: GateFile, baselines: dict[str, dict[str, Any]], options: GateOptions) -> CheckResult:
    from harness.anchors import anchor_record, append_history, write_baselines
    from harness.comparison.layers import claim_layers, same_runs

    old = baselines.get(check.name)
    least = _least(check, old, options)
    if check.anchor_seeds is not None and check.anchor_seeds < least:
        raise UsageError(f"{check.where}: anchor_seeds is {check.anchor_seeds}; this anchor needs {least}.")
    runs = measured(check, options, gate, suffix="-anchor", seeds=check.anchor_seeds or least)
    question = question_of(runs.names, options.results, asked_of(check))
    if len(question.candidates) > 1:
        raise UsageError(
            f"{check.where}: the layer 'creep' follows one arm, and there are {len(question.candidates)} candidates."
        )
    comparison = judge_question(question, options.results, asked_of(check), default_claim="no-regression")
    sample = question.candidates[0]
    commit = runs.commit or commit_of(sample)
    (claimed,) = claim_layers(comparison, [same_runs(question.control, sample)])
    done = _anchored(check, sample, claimed, old, least, commit)
    if done.baseline is not None:
        baselines[check.name] = done.baseline
        append_history(
            gate.history, anchor_record(check.name, done.baseline)
        )  # first: an anchor without it is of no use
        write_baselines(gate.baseline, baselines)
    return CheckResult(check.name, (done.layer,), comparison, None, commit, runs.names)


def _least(check: Check, old: dict[str, Any] | None, options: GateOptions) -> int:
    """The runs that an anchor needs: ten times those of a commit, and no fewer than the anchor before it."""
    from harness.app.gate_file import experiment_of
    from harness.comparison.layers import ANCHOR_FACTOR

    each = check.seeds or (experiment_of(check, options).seeds if check.run else DEFAULT_RUNS)
    before = old["n"] if old else 0
    return max(int(before), ANCHOR_FACTOR * each if check.run else 2)


def _anchored(
    check: Check, sample: Sample, claimed: Layer, old: dict[str, Any] | None, least: int, commit: str
) -> _Anchored:
    """The new baseline, or why there is none."""
    from harness.comparison.layers import Layer
    from harness.model.hashing import digest
    from harness.model.run import utc_now
    from harness.stats.moments import moments

    own = moments(sample.accuracy)
    facts = {name: sample.runs.known(name) for name in ("code_hash", "config_hash", "data_hash", "environment")}
    mixed = [name for name, values in facts.items() if len(values) > 1]
    if own.n < least:
        return _Anchored(
            Layer("re-anchor", "inconclusive", f"{own.n} of the {least} runs that this anchor needs are there")
        )
    if old is not None and (old["commit"], old["n"], old["mean"]) == (commit, own.n, own.mean):
        said = f"these {own.n} runs are the anchor already: to anchor them again would only clear the chart. Anchor another commit"
        return _Anchored(Layer("re-anchor", "inconclusive", said))
    if mixed or not own.sd:
        what = f"mix several values of {', '.join(mixed)}" if mixed else "have no spread"
        return _Anchored(Layer("re-anchor", "refused", f"the runs {what}: they cannot be an anchor"))
    if old is not None and claimed.verdict != "pass":
        said = f"only a confirmed change becomes the anchor, and this one is {claimed.verdict}: {claimed.message}"
        return _Anchored(Layer("re-anchor", claimed.verdict, said))
    original: dict[str, Any] = (
        old["original"] if old else {"commit": commit, "n": own.n, "mean": own.mean, "sd": own.sd}
    )
    cumulative = 100 * (own.mean - original["mean"])
    if old is not None and check.budget_pp is not None and cumulative < -check.budget_pp:
        said = (
            f"it lies {cumulative:+.3f} pp from the first anchor, beyond the budget of {check.budget_pp:g} pp".replace(
                "-", "−"
            )
        )
        return _Anchored(Layer("re-anchor", "fail", said))
    made = utc_now()
    today = datetime.datetime.now(datetime.UTC).date()
    baseline: dict[str, Any] = {name: next(iter(values), "") for name, values in facts.items()}
    baseline |= {
        "id": digest([check.name, commit, made]), "made": made, "expires": check.expiry(today).isoformat(), "commit": commit,
        "n": own.n, "mean": own.mean, "sd": own.sd, "cumulative_pp": cumulative, "original": original,
    }  # fmt: skip
    said = f"{own.n} runs of {commit}: {100 * own.mean:.3f} % (sd {100 * own.sd:.3f} pp), {cumulative:+.3f} pp from the first anchor"
    said = f"{said.replace('-0', '−0')}, valid until {baseline['expires']}"
    return _Anchored(Layer("re-anchor", "pass", said), baseline)
