"""The layer `creep` of a gate file: is the baseline valid for these runs, and where does the chart of all commits stand."""

from __future__ import annotations

import datetime
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.comparison.layers import Layer
    from harness.comparison.samples import Sample
    from harness.gatefile import Check, GateFile
    from harness.selection import Question


def commit_of(sample: Sample) -> str:
    """The commit of stored runs, marked where it had changes; a hash of the runs where no single commit is known."""
    from harness.model.hashing import digest

    commits, codes = sample.runs.known("git_commit"), sorted(sample.runs.known("code_hash"))
    if len(commits) != 1:
        return f"runs-{digest(sorted(sample.runs['run_id'].tolist()))}"
    dirty = "true" in {text.lower() for text in sample.runs.known("git_dirty")}
    return next(iter(commits))[:12] + (f"-{'-'.join(codes) or 'dirty'}" if dirty else "")


def creep_layers(check: Check, question: Question, commit: str, gate: GateFile) -> list[Layer]:
    """The chart of all commits since the anchor, and the budget; this commit is added to the history once.

    The anchor's own runs are no commit: where they are judged, the chart is shown as it stands and nothing is added.
    Raises StoreError where baseline or history are damaged.
    """
    from harness.anchors import append_history, read_baselines, read_chart
    from harness.comparison import layers as ly
    from harness.model.run import utc_now

    if len(question.candidates) > 1:
        raise UsageError(
            f"{check.where}: the layer 'creep' follows one arm, and there are {len(question.candidates)} candidates."
        )
    base = read_baselines(gate.baseline).get(check.name)
    if base is None:
        return [_no_baseline(gate, check)]
    residual, problem = _residual(question, base, fresh=check.run)
    if residual is None:
        return [ly.Layer("creep", "refused", problem)]
    chart = read_chart(gate.history, check.name, base["id"])
    mine = chart.commits
    at = next((i for i, r in enumerate(mine) if r["commit"] == commit), len(mine))
    seen = [(float(r["z"]), float(r.get("allowance", 0.0))) for r in mine[: at + 1]]
    own = at == len(mine) and (base["commit"], base["n"], base["mean"]) == (commit, residual.n, residual.mean)
    fresh = at == len(mine) and not own
    seen += [(residual.z, residual.allowance)] if fresh else []
    log_e = (ly.creep_path([z - allowance for z, allowance in seen]) or [0.0])[-1]
    if fresh:
        record = {"at": utc_now(), "check": check.name, "anchor": base["id"], "number": chart.following}
        record |= {
            "commit": commit,
            "n": residual.n,
            "mean": residual.mean,
            "sd": residual.sd,
            "z": residual.z,
            "allowance": residual.allowance,
            "log_e": log_e,
        }
        append_history(gate.history, record | {"alarm": log_e >= _log_threshold()})
    z = residual.z if own else seen[-1][0]
    out = [ly.creep_layer(log_e, len(seen), z, anchor_n=base["n"], n=residual.n, against=residual.against)]
    if own:
        said = "these runs are the anchor's own, which is no commit: nothing is entered in the history"
        out = [replace(out[0], message=f"{out[0].message}; {said}")]
    if check.budget_pp is not None:
        current = base["cumulative_pp"] - residual.z * residual.se_pp
        out.append(
            ly.budget_layer(
                anchored_pp=base["cumulative_pp"],
                current_pp=current,
                se_pp=residual.whole_se_pp,
                budget_pp=check.budget_pp,
            )
        )
    return out


def _log_threshold() -> float:
    from math import log

    from harness.comparison.layers import THRESHOLD

    return log(THRESHOLD)


def _no_baseline(gate: GateFile, check: Check) -> Layer:
    from harness.comparison.layers import Layer

    return Layer(
        "creep",
        "refused",
        f"there is no baseline of {check.name!r} in {gate.baseline}, so that creep cannot be seen. "
        f'`harness gate {gate.path} --re-anchor` makes one; or leave the layer out: layers = ["hard"]',
    )


def _as_control(commit: str) -> str:
    """How the anchor becomes the control, where its commit is one that git can name: of uncommitted code nothing can be said."""
    if not re.fullmatch("[0-9a-f]{7,64}", commit):
        return "U"
    return f'Make the anchor\'s revision the control (git = "{commit}"), u'


def _residual(question: Question, base: dict[str, Any], *, fresh: bool) -> tuple[Any, str]:
    """How far the candidate lies from the anchor; None with the reason where the baseline does not hold for these runs."""
    from harness.comparison.checks import ENOUGH_RUNS
    from harness.comparison.layers import residual
    from harness.comparison.words import counted
    from harness.stats.moments import moments

    sample, control = question.candidates[0], question.control
    today = datetime.datetime.now(datetime.UTC).date()
    if today > datetime.date.fromisoformat(base["expires"]):
        return None, f"the baseline expired on {base['expires']}: machines and libraries have moved on. Re-anchor"
    data = sample.runs.known("data_hash")
    if base["data_hash"] and data and data != {base["data_hash"]}:
        return (
            None,
            f"the baseline rests on other data ({base['data_hash']} against {', '.join(sorted(data))}). Re-anchor",
        )
    if sample.n < ENOUGH_RUNS:
        return None, f"{counted(sample.n, 'run')}, fewer than {ENOUGH_RUNS}"
    found = set(sample.runs["environment"].tolist())
    again = None
    if found != {base["environment"]} or not base["environment"]:
        known = control.runs.known("code_hash"), control.runs.known("config_hash")
        if known != ({base["code_hash"]}, {base["config_hash"]}) or set(control.runs["environment"].tolist()) != found:
            return None, (
                f"the environment is not the baseline's ({' and '.join(sorted(e or 'unknown' for e in found))} against "
                f"{base['environment'] or 'unknown'}), and the control is not the anchor measured again. "
                f"{_as_control(base['commit'])}se that machine, or re-anchor"
            )
        again = (control.n, moments(control.accuracy).mean)
    own = moments(sample.accuracy)
    return residual(n=own.n, mean=own.mean, sd=own.sd, anchor=base, control=again, fresh=fresh), ""
