"""The parts of a page one by one: texts from files, verdicts in order, names of files, and figures as bytes."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from frames import PROMISE, pair

import harness
from harness.report.escaping import APART, markdown, markdown_row, markdown_sentence
from harness.report.page import MOST_VERDICTS, Said, file_name, told_first
from harness.report.plain import NAME, SENTENCE, name_of, plain
from harness.report.plots.ecdf import Distributions, distributions_of
from harness.report.plots.style import VARIABLES
from harness.report.plots.svg import file_of, inline
from harness.report.sections import _quartiles, _stage


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\t c", "a b c"),
        ("\x1b[31mred", "\ufffd[31mred"),
        ("abc\u202egnp.exe", "abc\ufffdgnp.exe"),
        ("zero\u200bwidth", "zero\ufffdwidth"),
        ("\ud800", "\ufffd"),
        ("学習率", "学習率"),
    ],
)
def test_a_text_is_one_line_without_what_controls_it(text, shown) -> None:
    assert plain(text) == shown


def test_a_long_text_keeps_both_of_its_ends() -> None:
    name = "schedule-" + "x" * 500 + "=0.125"
    assert len(name_of(name)) == NAME and name_of(name).startswith("schedule-") and name_of(name).endswith("=0.125")
    assert len(plain("y" * 5000)) == SENTENCE


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("lr.end=0.05", "lr.end=0.05"),
        ("a|b", r"a\|b"),
        ("*a* _b_ `c`", r"\*a\* \_b\_ \`c\`"),
        ("<b>&amp;", r"\<b\>\&amp;"),
        ("[x](y)", r"\[x\](y)"),
        ("# head", r"\# head"),
        ("- item", r"\- item"),
        ("1. item", r"1\. item"),
        ("1.029×", "1.029×"),
        ("@you", f"@{APART}you"),
        ("see #12", f"see #{APART}12"),
        ("https://x.example", f"https:{APART}//x.example"),
        ("www.x.example", f"www{APART}.x.example"),
        ("$x$ ~y~", r"\$x\$ \~y\~"),
        ("back\\slash", r"back\\slash"),
    ],
)
def test_a_text_is_only_text_in_markdown(text, shown) -> None:
    assert markdown(text) == shown


def test_a_sentence_may_hold_code() -> None:
    assert markdown_sentence("run `harness ladder` and `a|b` *now*") == r"run `harness ladder` and \`a\|b\` \*now\*"


def test_a_cell_is_only_text() -> None:
    assert markdown_row(("a\\|b", "", "@you")) == rf"| a\\\|b |   | @{APART}you |"


def test_a_speed_up_that_was_not_measured_is_not_shown_as_one() -> None:
    arm = {
        "arm": "a",
        "n": 25,
        "accuracy": 0.94,
        "difference_pp": 0.01,
        "shrunk_pp": 0.0,
        "speedup": 1.0,
        "chance": 0.4,
    }
    arm |= {"speedup_by": "the same work as the control's", "kept": False, "reason": "x"}
    steps = arm | {"speedup": 1.25, "speedup_by": "steps"}
    (grid,) = _stage({"stage": "screen", "runs_per_arm": 25, "arms": [arm, steps]})
    assert [row[5] for row in grid.rows] == ["the same work as the control's", "1.250× by steps"]


@pytest.mark.parametrize(
    ("total", "correct", "median"),
    [(10_000, 9650, "96.50 %"), (100_000, 96_500, "96.500 %"), (25_000, 23_999, "95.996 %")],
)
def test_quartiles_have_the_decimals_that_they_need(total, correct, median) -> None:
    control, candidate = pair(25)
    for frame in (control, candidate):
        frame["total"], frame["correct"] = total, correct
    found = distributions_of(harness.compare(control, candidate, **PROMISE))
    assert isinstance(found, Distributions)
    assert {row[4] for row in _quartiles(found).rows} == {median}
    near = replace(found, arms=tuple(replace(arm, accuracy=arm.accuracy * 0 + 0.95996) for arm in found.arms), total=0)
    assert {row[4] for row in _quartiles(near).rows} == {"95.996 %"}, "the bar is 96 %, and it is missed"


def test_what_decides_stands_first_and_what_does_not_is_folded() -> None:
    few = [Said("a", "inconclusive", ""), Said("b", "pass", "")]
    assert told_first(few).open == tuple(few) and not told_first(few).folded
    many = [Said(f"{i}", ("inconclusive", "fail", "pass", "refused")[i % 4], "") for i in range(4 * MOST_VERDICTS)]
    told = told_first(many)
    assert {one.verdict for one in told.open} == {"pass"} and len(told.open) == MOST_VERDICTS
    assert [(name, len(rows)) for name, rows in told.folded] == [
        ("12 more decided", 12),
        ("12 inconclusive", 12),
        ("12 refused", 12),
    ]
    assert told.counts == "12 pass, 12 fail, 12 inconclusive, 12 refused"
    assert len(told.open) + sum(len(rows) for _, rows in told.folded) == len(many), "none is lost"


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("final-cpu", "final-cpu"),
        ("../../etc/passwd", "etc-passwd"),
        ("a:b c", "a-b-c"),
        ("..", "experiment"),
        ("学", "experiment"),
    ],
)
def test_a_name_becomes_a_file_that_leads_nowhere_else(name, file) -> None:
    assert file_name(name) == file
    assert Path(file_name(name)).name == file_name(name)


@pytest.mark.parametrize("ending", ["svg", "pdf", "png"])
def test_a_figure_has_the_same_bytes_when_it_is_drawn_again(ending) -> None:
    judged = harness.compare(*pair(25), **PROMISE)
    first, second = (file_of(judged.plot_ecdf(), ending, salt="x") for _ in range(2))
    assert first == second and len(first) > 1000


def test_a_figure_on_a_page_takes_the_colours_of_the_page() -> None:
    judged = harness.compare(*pair(25), **PROMISE)
    one, two = (inline(judged.plot_ecdf(), key=key, title="<T>", description="D & E") for key in ("k1", "k2"))
    root = ElementTree.fromstring(one)
    assert root.get("viewBox") and not {"width", "height", "xmlns"} & set(root.attrib)
    assert not [colour for colour in VARIABLES if colour in one] and "var(--ink)" in one and "var(--s1)" in one
    assert "font-family" not in one and "<style" not in one and "matplotlib" not in one.lower()
    ids = [set(re.findall(r' id="([^"]+)"', svg)) for svg in (one, two)]
    assert ids[0] and not ids[0] & ids[1], "figures of one page share no id"
    assert one.replace("k1", "k2") == two
    assert [e.text for e in root][:2] == ["<T>", "D & E"]
