"""What `harness plan` prints: seeds, the ways to the answer, the command, and what is known of time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.report.plan_text import duration

PLACEHOLDER = {
    "fixed": "harness run EXPERIMENT --seeds {seeds}",
    "until-decided": "harness run EXPERIMENT --until-decided --seeds {seeds}",
    "ladder": "harness ladder EXPERIMENT",
    "larger-ladder": "harness ladder EXPERIMENT --sizes {sizes}",
}
MOST_STARTS = 200
"""More process starts are not proposed."""


def design_text(document: Mapping[str, Any]) -> str:
    """What `harness plan` prints, from its JSON document."""
    head = f"one-sided alpha {document['alpha']:g}, power {document['power']:g}"
    if document["sd_pp"] is not None:
        both = " (both arms together)" if document["sources"]["candidate_sd_pp"] else ""
        head += f", standard deviation {document['sd_pp']:.3g} pp{both}"
    lines = [head, *_source_lines(document)]
    if "seeds" in document:
        lines += _seed_lines(document)
    if "given_seeds" in document:
        lines.append(
            f"{document['given_seeds']} seeds show {_points(document['detectable_pp'])} pp between arms and "
            f"{_points(document['detectable_against_bar_pp'])} pp above a fixed bar"
        )
    if "floor_pp" in document:
        lines.append(
            f"below {_points(document['floor_pp'], 4)} pp no number of candidate runs will do with this control"
        )
    if "boundaries" in document:
        lines += _look_lines(document)
    if document.get("hours") is not None and "designs" not in document:
        price = "" if document["price"] is None else f", price {document['price']:.2f}"
        lines.append(f"{document['trainings']} networks to train, about {duration(document['hours'])}{price}")
    if "designs" in document:
        lines += [*_way_lines(document), *_time_lines(document["time"]), *_command_lines(document)]
    lines += [f"note: {note}" for note in document["notes"]]
    return "\n".join(lines)


def _points(value: float, digits: int = 3) -> str:
    """Points in fixed digits, in three significant ones where they would show none."""
    return f"{value:.{digits}f}" if value >= 10.0**-digits else f"{value:.3g}"


def _source_lines(document: Mapping[str, Any]) -> list[str]:
    """Whose runs the spread and the times come from."""
    kinds = (
        ("sd_pp", "standard deviation", "pp", "runs"),
        ("candidate_sd_pp", "standard deviation of the candidate that spreads most", "pp", "runs"),
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
    bar, difference = document["seeds_against_bar"], f"{document['difference_pp']:g} pp"
    if document["seeds"] is None:
        return [f"{difference}: {document['reason']}"]
    shown = "no number of seeds that could be made" if bar is None else f"{bar} seeds"
    return [
        f"{difference}: {document['seeds']} seeds ({document['design']})",
        f"{difference} above a fixed bar: {shown}",
    ]


def _way_lines(document: Mapping[str, Any]) -> list[str]:
    """The ways to the answer with their networks, and hours and price where they are known."""

    def cell(way: Mapping[str, Any], key: str) -> str:
        hours, price = way[f"hours_{key}"], way[f"price_{key}"]
        known = [] if hours is None else [duration(hours)]
        known += [] if price is None else [f"price {price:.2f}"]
        return f"{way[key]:,.0f}" + (f" ({', '.join(known)})" if known else "")

    least, lines = document["least_seeds"], []
    if document["seeds"] < least:
        lines.append(f"planned are {least} seeds: with fewer than {least} runs an arm nothing passes")
    columns = {"no effect": "no_effect", "the planned effect": "full_effect", "at most": "most"}
    rows = [["networks to train", "seeds", *columns, "warm-ups", "process starts"]]
    for way in document["designs"]:
        sizes = ",".join(map(str, way["sizes"])) if "sizes" in way else f"{way['seeds']}"
        counts = (f"{way['warmups']:,}", f"{way['invocations']:,}")
        rows.append([f"  {way['design']}", sizes, *(cell(way, key) for key in columns.values()), *counts])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return lines + [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _time_lines(time: Mapping[str, Any] | None) -> list[str]:
    """What the process starts show of time, which the seeds above do not."""
    if time is None:
        return []
    head = f"time (claim {time['claim']}), on {time['starts']} process starts: "
    if time["reason"] is not None:
        return [f"{head}cannot be planned: {time['reason']}", "  the seeds are for accuracy alone"]
    stored = time["stored"]
    if time["claim"] in ("faster", "time-only"):
        line = f"{head}a speed-up of {100 * time['detectable']:.2g} % is shown"
    else:
        line = (
            f"{head}not more than {100 * time['detectable']:.2g} % slower is shown, where nothing differs "
            f"(max_slowdown {100 * (time['max_slowdown'] or 0):g} %)"
        )
    where = f"{stored['store']}:{stored['arm']}"
    seen = f"  if process starts spread as the {stored['n']} of {where} did ({stored['speedup']:.3f}×"
    return [line, seen + _needed(time) + "); the seeds are for accuracy alone"]


def _needed(time: Mapping[str, Any]) -> str:
    if time["claim"] not in ("faster", "time-only"):
        return ""
    needed, planned = time["starts_needed"], time["starts"]
    if needed is None:
        return ", and no number of starts shows that"
    if needed <= planned:
        return f", which takes {needed} starts"
    more = time["seeds_for_starts"]
    fixed = f"in one go, --seeds {max(needed, time['seeds'])} --set invocations={needed} has them"
    how = f": --seeds {more} has them" if more else f": {fixed}" if needed <= MOST_STARTS else ""
    return f", which takes {needed} starts, more than are planned{how}"


def _command_lines(document: Mapping[str, Any]) -> list[str]:
    """What to run, why, and what that comes to."""
    best = next(way for way in document["designs"] if way["design"] == document["recommended"])
    why = document["why"]
    if document["command"] is None:
        how = PLACEHOLDER[best["design"]].format(seeds=best["seeds"], sizes=",".join(map(str, best.get("sizes", ()))))
        reason = document["command_reason"]
        lines = [] if reason is None else [f"  no command to paste: {reason}"]
        return [f"recommended: `{how}`: {why}", *lines]
    dry = document["dry_run"]
    hours = "" if dry["hours"] is None else f", about {duration(dry['hours'])}"
    most = "at most " if best["design"] == "until-decided" else ""
    return [
        f"recommended: `{document['command']}`: {why}",
        f"  that is {most}{dry['runs']} runs and {dry['warmups']} warm-ups in {dry['invocations']} process starts{hours}",
        *([] if document["fresh"] is None else [f"  {document['fresh']}"]),
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
