"""The comparison as people read it in a terminal: base first, what is shared above it, n always, notes below."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import replace

from harness.comparison.compare import ArmSummary, CandidateResult, Comparison, Selection
from harness.comparison.words import (
    look_lines,
    number,
    p_text,
    percent_interval,
    pp_interval,
    ratio_interval,
    seconds_interval,
)
from harness.model.estimate import Finding
from harness.report.escaping import markdown, markdown_row, markdown_sentence
from harness.report.plain import name_of
from harness.report.plan_text import not_run_lines

SUPERSCRIPTS = "¹²³⁴⁵⁶⁷⁸⁹"
COLOURS = {"pass": "32", "fail": "31", "inconclusive": "33", "refused": "35"}
MOST_MESSAGES = 3
"""So many messages of one finding are shown in full; the JSON has all of them."""


def table_text(comparison: Comparison, *, colour: bool = False, width: int | None = None) -> str:
    """The whole answer of `harness compare` as text; sentences are wrapped at `width` columns, the grid never."""
    parts = ["\n".join(head_lines(comparison)), _grid(table_rows(comparison))]
    parts.append("\n".join(_wrapped(_verdicts(comparison, colour), width)))
    looks = [line for one in comparison.comparisons if one.look is not None for line in look_lines(one.look)]
    if looks:
        parts.append("\n".join(_wrapped(looks, width)))
    notes = _notes(comparison)
    if notes:
        parts.append("\n".join(_wrapped(notes, width)))
    return "\n\n".join(parts)


def _wrapped(lines: Sequence[str], width: int | None) -> list[str]:
    if width is None:
        return list(lines)
    return [part for line in lines for part in textwrap.wrap(line, max(60, width), subsequent_indent="    ") or [""]]


def head_lines(c: Comparison) -> list[str]:
    promise = c.promise
    terms = [f"claim {promise.claim}"]
    if promise.target is not None:
        terms.append(f"target {100 * promise.target:g} %")
    if promise.margin_pp is not None:
        terms.append(f"margin {promise.margin_pp:.2f} pp")
    if promise.max_slowdown is not None:
        terms.append(f"max slowdown {100 * promise.max_slowdown:g} %")
    terms.append(f"one-sided alpha {number(promise.alpha, 3).rstrip('0')}")
    return [" · ".join(terms), " · ".join(c.setting)]


def table_rows(c: Comparison) -> list[list[str]]:
    """Header, control and candidates; where these are of several stages, below the control's runs of their own stage.

    Columns that say nothing anywhere are left out.
    """
    several = any(one.selection for one in c.comparisons)
    header = ["", "n", "accuracy", "vs control", "", "time", "speed-up"]
    header += ["shrunk", "simultaneous 95 %", "p (Holm)"] if several else []
    header += ["at target"]
    base = c.control
    staged = len({one.candidate.stage for one in c.comparisons}) > 1
    if c.comparisons and not staged:  # times of other days stand beside no candidate's
        base = replace(base, time_s=c.comparisons[0].control.time_s)
    rows = [header, _control_row(base, base.name, several)]
    marks, stage = marks_of(c), None
    for one in c.comparisons:
        if staged and one.candidate.stage != stage:
            stage = one.candidate.stage
            rows.append(_control_row(one.control, f"{base.name} ({stage or 'no stage'})", several))
        rows.append(_row(one, several, marks))
    return _without_empty_columns(rows)


def _control_row(control: ArmSummary, name: str, several: bool) -> list[str]:
    row = [name, str(control.n), percent_interval(control.accuracy), "", "", seconds_interval(control.time_s), ""]
    return [*row, *(["", "", ""] if several else []), _at_target(control)]


def _row(one: CandidateResult, several: bool, marks: dict[str, str]) -> list[str]:
    arm = one.candidate
    row = [arm.name, str(arm.n), percent_interval(arm.accuracy), pp_interval(one.difference_pp), _sign(one)]
    row += [seconds_interval(arm.time_s), _speedup(one, marks)]
    if several:
        row += _selection_cells(one.selection)
    return [*row, _at_target(arm)]


def _selection_cells(s: Selection | None) -> list[str]:
    """Shrunken estimate, simultaneous interval and Holm's p; empty where there is no spread."""
    if s is None or s.shrunk_pp is None or s.low_pp is None or s.high_pp is None:
        return ["", "", ""]
    interval = f"[{number(s.low_pp, 2, sign=True)}, {number(s.high_pp, 2, sign=True)}]"
    return [
        f"{number(s.shrunk_pp, 2, sign=True)} pp",
        interval,
        p_text(s.holm_p).removeprefix("p = ").removeprefix("p "),
    ]


def luck_lines(c: Comparison) -> list[str]:
    """How much of the best is luck, and what the best is worth given that it won."""
    chosen = [(one.candidate.name, one.selection) for one in c.comparisons if one.selection is not None]
    if not chosen or chosen[0][1].luck_pp is None:
        return []
    k, luck = chosen[0][1].k, chosen[0][1].luck_pp
    lines = [f"the best of {k} equal candidates stands {number(luck, 2, sign=True)} pp above the truth by luck"]
    for name, s in chosen:
        won = s.conditional
        if won is not None and won.value is not None and won.low is not None and won.high is not None:
            limits = f"[{number(won.low, 2, sign=True)}, {number(won.high, 2, sign=True)}]"
            lines.append(
                f"given that {name} is the best here: {number(won.value, 2, sign=True)} pp {limits} (a diagnostic)"
            )
    return lines


def _sign(one: CandidateResult) -> str:
    """`~` where the difference may be 0."""
    e = one.difference_pp
    if e.low is None or e.high is None:
        return ""
    return "~" if e.low <= 0 <= e.high else ""


def _speedup(one: CandidateResult, marks: dict[str, str]) -> str:
    refusing = [f for f in one.findings if f.refuses & {"time", "time-superiority"}]
    if refusing:
        return "refused " + "".join(marks[f.code] for f in refusing[:1] if f.code in marks)
    return ratio_interval(one.speedup) + (" ~" if _may_be_one(one) else "")


def _may_be_one(one: CandidateResult) -> bool:
    e = one.speedup
    return e.low is not None and e.high is not None and e.low <= 1 <= e.high


def _at_target(arm: ArmSummary) -> str:
    k = arm.success.get("k")
    return "" if k is None else f"{k}/{arm.n}"


def _without_empty_columns(rows: list[list[str]]) -> list[list[str]]:
    keep = [i for i in range(len(rows[0])) if i == 0 or any(row[i] for row in rows[1:])]
    return [[row[i] for i in keep] for row in rows]


def _grid(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(w) if i == 1 else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _verdicts(c: Comparison, colour: bool) -> list[str]:
    width = max(len(one.candidate.name) for one in c.comparisons)
    marks = marks_of(c)
    return [
        f"{one.candidate.name:<{width}}  {_paint(_short(one, marks), one.verdict, colour)}" for one in c.comparisons
    ]


def _short(one: CandidateResult, marks: dict[str, str]) -> str:
    """The headline; a refusal whose finding stands below is named by its code and mark."""
    codes = [f.code for f in one.findings if f.severity == "refuse" and one.headline.startswith(f"REFUSED: {f.code}:")]
    if not codes:
        return one.headline
    rest = one.headline.count("; ") and [d.reason for d in one.needed.values() if d.reason == "no margin was stated"]
    return f"REFUSED {marks[codes[0]]} {codes[0]}" + ("; a margin is missing too (--margin-pp)" if rest else "")


def _paint(text: str, verdict: str, colour: bool) -> str:
    if not colour:
        return text
    head, rest = (
        re.split(r"(?=:| [¹²³⁴⁵⁶⁷⁸⁹(])", text, maxsplit=1) if re.search(r":| [¹²³⁴⁵⁶⁷⁸⁹(]", text) else (text, "")
    )
    return f"\x1b[1;{COLOURS[verdict]}m{head}\x1b[0m{rest}"


def findings_by_code(c: Comparison) -> dict[str, dict[str, tuple[Finding, list[str]]]]:
    """Findings by code and message, each with the candidates that it concerns, in the order of weight."""
    weight = {"refuse": 0, "warn": 1, "info": 2}
    every = [(finding, one.candidate.name) for one in c.comparisons for finding in one.findings]
    found: dict[str, dict[str, tuple[Finding, list[str]]]] = {}
    for finding, name in sorted(every, key=lambda item: weight[item[0].severity]):
        found.setdefault(finding.code, {}).setdefault(finding.message, (finding, []))[1].append(name)
    return found


def marks_of(c: Comparison) -> dict[str, str]:
    codes = list(findings_by_code(c))
    return {code: SUPERSCRIPTS[i] if i < len(SUPERSCRIPTS) else f"({i + 1})" for i, code in enumerate(codes)}


def _notes(c: Comparison) -> list[str]:
    marks, several = marks_of(c), len(c.comparisons) > 1
    lines = []
    for code, by_message in findings_by_code(c).items():
        messages = list(by_message.values())
        for finding, names in messages[:MOST_MESSAGES]:
            lines.append(f"{marks[code]} {code}{_whom(names) if several else ''}: {finding.message}")
        if len(messages) > MOST_MESSAGES:
            others = [name for _, names in messages[MOST_MESSAGES:] for name in names]
            lines.append(f"{marks[code]} {code}: the same of {_listed(others)}; --json has every number")
        told = [
            finding for finding, _ in messages if finding.severity != "info"
        ]  # where nothing is wrong, nothing is to be done
        lines += [f"  → {advice}" for advice in dict.fromkeys(finding.advice for finding in told)]
    return [*lines, *luck_lines(c), *excluded_lines(c), *not_run_lines(c.not_run)]


def _whom(names: Sequence[str]) -> str:
    return f" ({_listed(names)})"


def _listed(names: Sequence[str]) -> str:
    names = list(dict.fromkeys(names))
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def excluded_lines(c: Comparison) -> list[str]:
    """Runs that do not count, with the reason: nothing is dropped uncounted. Arms that agree share a line."""
    lines: dict[str, list[str]] = {}
    for name, excluded in _left_out(c):
        if excluded:
            lines.setdefault(", ".join(f"{n} {reason}" for reason, n in excluded.items()), []).append(name)
    return [f"not counted: {what} (of {', '.join(dict.fromkeys(names))})" for what, names in lines.items()]


def _left_out(c: Comparison) -> Iterator[tuple[str, dict[str, int]]]:
    """Each arm with its runs that do not count by reason, warm-ups aside; the control's first, then what single candidates add."""
    whole = {reason: n for reason, n in c.control.excluded.items() if reason != "warm-ups"}
    yield c.control.name, whole
    for one in c.comparisons:
        further = {reason: n for reason, n in one.control.excluded.items() if reason not in c.control.excluded}
        beside = f" beside {one.candidate.name}" if len(c.comparisons) > 1 else ""
        yield f"{c.control.name}{beside}", further
        yield one.candidate.name, {reason: n for reason, n in one.candidate.excluded.items() if reason != "warm-ups"}


# --- Markdown -----------------------------------------------------------------------------------------------


def table_markdown(comparison: Comparison) -> str:
    """The same answer as Markdown, for a pull request or a step summary."""
    header, *rows = table_rows(comparison)
    lines = [
        f"**{markdown(name_of(one.candidate.name))}**: {markdown_sentence(one.headline)}  "
        for one in comparison.comparisons
    ]
    lines += ["", *(f"{markdown(line)}  " for line in head_lines(comparison)), ""]
    lines += [markdown_row(header), "|" + "---|" * len(header), *(markdown_row(map(name_of, row)) for row in rows)]
    for one in comparison.comparisons:
        lines += (
            ["", *(f"{markdown_sentence(line)}  " for line in look_lines(one.look))] if one.look is not None else []
        )
    notes = [f"{markdown_sentence(note)}  " for note in _notes(comparison)]
    return "\n".join([*lines, "", *notes]).rstrip() + "\n"
