"""A plan in words, before a run is spent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.design.looks import LookPlan


def dry_run_text(plan: Mapping[str, Any]) -> str:
    """What `harness run --dry-run` prints, from its JSON document."""
    lines = [f"{plan['experiment']}: {plan['question']}" if plan["question"] else plan["experiment"]]
    if plan["runs"] == 0:
        lines.append(f"complete: {plan['seeds']} seeds of every arm are in {plan['store']}; nothing to do")
    else:
        hours = "unknown time (no stored times yet)" if plan["hours"] is None else duration(plan["hours"])
        lines.append(
            f"{_runs(plan)} and {plan['warmups']} warm-ups in {plan['blocks']} blocks over {plan['invocations']} "
            f"invocations, about {hours}; stage {plan['stage']}, into {plan['store']}"
        )
    lines += arm_lines(plan["arms"])
    lines += not_run_lines(plan.get("not_run", ()))
    lines += [f"note: {note}" for note in plan["notes"]]
    return "\n".join(lines)


def not_run_lines(arms: Iterable[Mapping[str, str]]) -> list[str]:
    """Arms that the machine could not run, with the reason: nothing is dropped unsaid. Arms that agree share a line."""
    lines: dict[str, list[str]] = {}
    for arm in arms:
        lines.setdefault(arm["reason"], []).append(arm["name"])
    return [f"not run: {', '.join(names)}: {reason}" for reason, names in lines.items()]


def looks_text(plan: LookPlan) -> str:
    """The looks of a sequential plan: runs an arm, process starts and bounds."""
    if plan.mode == "sprt":
        return (
            f"looks at {plan.runs[0]} runs an arm and every {plan.runs[1] - plan.runs[0] if len(plan.runs) > 1 else 0} on, at most "
            f"{plan.largest}; sequential probability ratio test at alpha {plan.alpha:g}, power {plan.power:g}"
        )
    rows = zip(plan.runs, plan.starts, plan.efficacy, plan.futility, strict=True)
    lines = [
        f"looks, in place of {plan.fixed} runs an arm in one go (one-sided alpha {plan.alpha:g}, power {plan.power:g})"
    ]
    for k, (runs, starts, high, low) in enumerate(rows, 1):
        end = "decided or not" if k == len(plan.runs) else f"hopeless below z {low:+.2f}"
        lines.append(f"  {k}  {runs:>5} runs an arm  {starts:>3} process starts  proven above z {high:.2f}, {end}")
    return "\n".join(lines)


def _runs(plan: Mapping[str, Any]) -> str:
    shared = plan["trainings"] < plan["runs"]
    return f"{plan['runs']} runs" + (f" scored on {plan['trainings']} trainings" if shared else "")


def duration(hours: float) -> str:
    seconds = hours * 3600
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min" if hours < 2 else f"{hours:.1f} h"


def arm_lines(arms: list[dict[str, Any]]) -> list[str]:
    """Each arm with the keys in which it differs from the first."""
    base = arms[0]["config"]
    width = max(len(arm["name"]) for arm in arms)
    lines = []
    for arm in arms:
        differs = [f"{k}={v}" for k, v in arm["config"].items() if base.get(k) != v]
        what = ", ".join(differs) if differs else ("the reference" if arm is arms[0] else "the same configuration")
        what = f"revision {arm['revision']}, {what}" if arm.get("git") else what
        steps = "" if arm["steps"] is None else f"{arm['steps']:>6} steps"
        lines.append(f"  {arm['name']:<{width}}  {arm['role']:<9}  {arm['completed']:>5} done {steps}  {what}")
    return lines


def plan_text(document: Mapping[str, Any]) -> str:
    """What `harness plan` prints, from its JSON document."""
    head = f"one-sided alpha {document['alpha']:g}, power {document['power']:g}"
    if document["sd_pp"] is not None:
        head += f", standard deviation {document['sd_pp']:.3g} pp"
    lines = [head, *_source_lines(document)]
    if "seeds" in document:
        lines += _seed_lines(document)
    if "given_seeds" in document:
        lines.append(
            f"{document['given_seeds']} seeds show {document['detectable_pp']:.3f} pp between arms and "
            f"{document['detectable_against_bar_pp']:.3f} pp above a fixed bar"
        )
    if "floor_pp" in document:
        lines.append(f"below {document['floor_pp']:.4f} pp no number of candidate runs will do with this control")
    if "boundaries" in document:
        lines += _look_lines(document)
    if document.get("hours") is not None:
        price = "" if document["price"] is None else f", price {document['price']:.2f}"
        lines.append(f"{document['trainings']} networks to train, about {duration(document['hours'])}{price}")
    if "designs" in document:
        lines += _design_lines(document)
    lines += [f"note: {note}" for note in document["notes"]]
    return "\n".join(lines)


def _design_lines(document: Mapping[str, Any]) -> list[str]:
    """The ways to the answer with their networks, and hours where the time of a run is known."""

    def cell(way: Mapping[str, Any], key: str) -> str:
        hours = way[f"hours_{key}"]
        return f"{way[key]:,.0f}" + ("" if hours is None else f" ({duration(hours)})")

    columns = {"no effect": "no_effect", "the planned effect": "full_effect", "at most": "most"}
    rows = [["networks to train", *columns]]
    rows += [[f"  {way['design']}", *(cell(way, key) for key in columns.values())] for way in document["designs"]]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    how = {"until-decided": "`harness run --until-decided`", "ladder": "`harness ladder`"}[document["recommended"]]
    return [*lines, f"recommended: {how}"]


def _source_lines(document: Mapping[str, Any]) -> list[str]:
    """Whose runs the spread and the times come from."""
    kinds = (
        ("sd_pp", "standard deviation", "pp", "runs"),
        ("pair_sd_pp", "standard deviation of a difference on shared networks", "pp", "pairs"),
        ("time_s", "time of a run", "s", "runs"),
    )
    lines = []
    for key, what, unit, counted in kinds:
        source = document["sources"][key]
        if isinstance(source, str):
            lines.append(f"  {what}: as given ({source})")
        elif source is not None:
            where = f"{source['store']}:{source['arm']}"
            lines.append(f"  {what}: {source['value']:.3g} {unit}, from {source['n']} {counted} of {where}")
    return lines


def _seed_lines(document: Mapping[str, Any]) -> list[str]:
    bar = document["seeds_against_bar"]
    if document["seeds"] is None:
        return [f"{document['difference_pp']:g} pp: {document['reason']}"]
    return [
        f"{document['difference_pp']:g} pp: {document['seeds']} seeds ({document['design']})",
        f"{document['difference_pp']:g} pp above a fixed bar: {bar} seeds",
    ]


def _look_lines(document: Mapping[str, Any]) -> list[str]:
    lines = ["look  pass at z  give up at z"]
    for number, (high, low) in enumerate(zip(document["boundaries"], document["futility"], strict=True), 1):
        lines.append(f"{number:>4}  {high:9.4f}  {low:12.4f}")
    share = document["expected_share"]
    lines.append(
        f"at most {document['inflation']:.3f} of the fixed design's runs; expected {share['no_effect']:.2f} without an effect, "
        f"{share['full_effect']:.2f} with the planned one"
    )
    return lines
