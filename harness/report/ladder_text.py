"""A ladder in words: its plan, what each stage tried and dropped, and what the screening alone would have said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.comparison.words import number, shortened
from harness.report.plan_text import arm_lines, duration, not_run_lines


def plan_text(document: Mapping[str, Any]) -> str:
    """What `harness ladder --dry-run` prints, from its JSON document."""
    hours = "unknown time (no stored times yet)" if document["hours"] is None else duration(document["hours"])
    lines = [": ".join(part for part in (document["experiment"], document["question"]) if part)]
    lines.append(f"{document['runs']} runs still to make, about {hours}, into {document['store']}")
    counts = [stage["arms"] for stage in document["stages"]]
    for stage, left in zip(document["stages"], [*counts[1:], 0], strict=True):
        arms = f"{stage['arms']} arm{'' if stage['arms'] == 1 else 's'} and the control"
        goes = "decides" if stage["keep"] is None else _going_on(left)
        lines.append(
            f"  {stage['stage']:<7}  {stage['runs_per_arm']:>5} runs each of {arms}: {stage['runs']} to make; {goes}"
        )
    lines.append(f"ranked by {document['ladder']['rule']}")
    lines += arm_lines(document["arms"])
    lines += not_run_lines(document.get("not_run", ()))
    lines += [f"note: {note}" for note in document["notes"]]
    return "\n".join(lines)


def _going_on(arms: int) -> str:
    return "no arm goes on" if not arms else "the best one goes on" if arms == 1 else f"the best {arms} go on"


def statement_text(document: Mapping[str, Any]) -> str:
    """What was tried, at what cost, and the fate of every arm, from the JSON document of `ladder`."""
    plan, control = document["ladder"], document["control"]
    sizes = " → ".join(map(str, plan["sizes"]))
    lines = [": ".join(part for part in (document["experiment"], document["question"]) if part)]
    lines.append(f"ladder {sizes} fresh runs an arm, interleaved with {control} · ranked by {plan['rule']}")
    lines.append(f"tried {document['arms']} arms in {_spent(document)}")
    lines += not_run_lines(document.get("not_run", ()))
    for stage in document["stages"]:
        lines += ["", _stage_head(stage), *_grid([_row(arm, plan["rule"]) for arm in stage["arms"]])]
    for one in document["left_out"]:
        lines += [
            "",
            f"{one['arm']} was left out by hand (--without) at stage {one['stage']}: its runs could not be had, or were not wanted",
        ]
    if document["stages"] and not document["stages"][-1]["arms"][0]["kept"]:
        lines += ["", "No arm is left: every one was dropped for the reason beside it. Nothing is claimed."]
    if document["finalists"]:
        arms = ", ".join(document["finalists"])
        lines += ["", f"final: {plan['sizes'][-1]} fresh runs of {arms}, which chose nothing"]
    return "\n".join(lines)


def _spent(document: Mapping[str, Any]) -> str:
    counts: Sequence[Mapping[str, int]] = list(document["runs"].values())
    total = {kind: sum(c[kind] for c in counts) for kind in ("candidates", "control", "failed", "warm_ups")}
    text = f"{document['runs_spent']} runs ({total['candidates']} of candidates, {total['control']} of the control)"
    besides = [f"{total['warm_ups']} warm-ups"] + ([f"{total['failed']} failed attempts"] if total["failed"] else [])
    return f"{text}, and {' and '.join(besides)}; they are in {document['store']}"


def _stage_head(stage: Mapping[str, Any]) -> str:
    arms, kept = stage["arms"], sum(1 for arm in stage["arms"] if arm["kept"])
    return f"{stage['stage']}: {stage['runs_per_arm']} runs each of {len(arms)} arm{'' if len(arms) == 1 else 's'}, {kept} went on"


def _row(arm: Mapping[str, Any], rule: str) -> list[str]:
    """One arm's numbers on all of its runs so far, and its fate."""
    cells = [arm["arm"], f"n {arm['n']}", f"{100 * arm['accuracy']:.3f} %"]
    cells += [f"{number(arm['difference_pp'], 3, sign=True)} pp", f"shrunk {number(arm['shrunk_pp'], 3, sign=True)}"]
    if rule.startswith(("faster", "time-only")):
        cells.append(speedup_text(arm))
    cells.append(f"chance {100 * arm['chance']:.0f} %")
    return [*cells, "went on" if arm["kept"] else f"dropped: {arm['reason']}"]


def speedup_text(arm: Mapping[str, Any]) -> str:
    """The speed-up that ranked an arm where it was measured, by times or by steps; else why there is none."""
    if arm["speedup"] is None or arm["speedup_by"] not in ("blocks", "steps"):
        return str(arm["speedup_by"])
    return f"{arm['speedup']:.3f}×{' by steps' if arm['speedup_by'] == 'steps' else ''}"


def _grid(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  " + "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]


def beside_text(document: Mapping[str, Any]) -> str:
    """What stands beside the verdict: the frozen control, and what the screening alone would have said."""
    lines = []
    if document["anchor"] is not None:
        control = document["anchor"]["control"]
        for one in document["anchor"]["comparisons"]:
            e = one["accuracy"]["difference_pp"]
            lines.append(
                f"against all {control['n']} runs of {control['name']}, the frozen ones with the interleaved: {one['candidate']['name']} "
                f"{_interval(e)}; {one['headline']}"
            )
    naive = document["naive"]
    shown = f"{naive['best']} at {100 * naive['best_accuracy']:.3f} %"
    lines.append(
        f"naive read-out: the best mean of {naive['of']} arms at {naive['runs_per_arm']} runs was {shown} "
        f"(the control's {100 * naive['control_accuracy']:.3f} %)"
    )
    for arm, at in naive["finalists"].items():
        if at["fresh"] is not None:
            off = 100 * (at["screened"] - at["fresh"])
            lines.append(
                f"{arm} screened at {100 * at['screened']:.3f} %, and fresh runs give {100 * at['fresh']:.3f} %: screening was "
                f"{number(off, 3, sign=True)} pp off"
            )
    return "\n".join(lines)


def _interval(e: Mapping[str, Any]) -> str:
    low, high = e["ci95"]
    limits = "" if low is None or high is None else f" [{number(low, 3, sign=True)}, {number(high, 3, sign=True)}]"
    return "unknown" if e["value"] is None else f"{number(e['value'], 3, sign=True)} pp{limits}"


# --- entries of the ledger ----------------------------------------------------------------------------------


def entry_text(entry: Mapping[str, Any]) -> str:
    """What an entry says: a ladder's in words, any other as it stands."""
    told = {"ladder": ladder_plan_text, "stage-decision": decision_text}.get(str(entry.get("event")))
    try:
        if told is not None:
            return told(entry)
    except (KeyError, TypeError, ValueError):  # written by another version: shown as it stands
        pass
    rest = {k: v for k, v in entry.items() if k not in ("at", "event")}
    return shortened(", ".join(f"{k}={v}" for k, v in rest.items()), 160)


def ladder_plan_text(entry: Mapping[str, Any]) -> str:
    """The plan of a ladder in one line."""
    arms = entry["arms"]
    sizes, keep = ",".join(map(str, entry["sizes"])), ",".join(entry["keep"])
    return f"{sizes} runs an arm, of {len(arms)} arms {keep} go on; ranked by {entry['rule']}"


def decision_text(entry: Mapping[str, Any]) -> str:
    """Who went on after a stage, and why the others did not."""
    kept = ", ".join(entry["kept"]) or "no arm"
    lost = [f"{arm['arm']} ({_short(arm['reason'])})" for arm in entry["arms"] if not arm["kept"]]
    dropped = f"; dropped: {', '.join(lost)}" if lost else ""
    return f"{entry['stage']}: {kept} went on after {entry['runs_per_arm']} runs each{dropped}"


def _short(reason: str) -> str:
    """The head of a reason: the verdict without its evidence."""
    return reason.partition(": ")[0].lower() if reason[:2].isupper() else reason
