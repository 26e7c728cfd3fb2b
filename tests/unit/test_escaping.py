"""What a name can do to the page that shows it: nothing."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from harness.exchange.exporting import csv_text, guarded, unguarded
from harness.report.escaping import terminal, xml
from harness.store.read import Table


@pytest.mark.parametrize("code", [*range(32), 0x7F, 0x85, 0x9B, 0xFFFE, 0xD800])
def test_any_text_is_valid_xml(code):
    page = ElementTree.Element("a", name=xml(f"x{chr(code)}y"))
    read = ElementTree.fromstring(ElementTree.tostring(page, encoding="unicode"))
    assert read.get("name", "").startswith("x") and read.get("name", "").endswith("y")


def test_a_terminal_keeps_its_cursor_and_the_colours_of_the_harness():
    assert (
        terminal("\x1b[1;32mPASS\x1b[0m of a\x1b[2Jb\x07\r\x9b31m")
        == "\x1b[1;32mPASS\x1b[0m of a\\x1b[2Jb\\x07\\x0d\\x9b31m"
    )
    assert terminal("96.41 ± .12 %\n\tx → ⏎ é 🙂") == "96.41 ± .12 %\n\tx → ⏎ é 🙂"
    assert terminal("\u202egnp.exe \udce9") == "\\u202egnp.exe \\udce9"


@pytest.mark.parametrize(
    "text", ["=cmd|' /C calc'!A0", '=HYPERLINK("x")', "@SUM(A1)", "\t=f(x)", "-2+3+cmd|'x'!A0", "'=f(1)", "''=f(1)"]
)
def test_a_formula_goes_out_as_text_and_comes_back(text):
    assert guarded(text) == "'" + text
    assert unguarded(guarded(text)) == text


def test_a_formula_goes_out_as_text_from_every_column():
    """A damaged cell of a column of numbers, too: `export` writes a store as it is."""
    table = Table("x", {"arm": ["a"], "seed": ["=cmd|' /C calc'!A0"], "loss": ["-1.5"]}, 1)
    assert "".join(csv_text(table)).splitlines()[1] == "a,'=cmd|' /C calc'!A0,-1.5"


@pytest.mark.parametrize("text", ["-lr", "+residual", "=", "a=f(x)", "'quoted'", "", "−3", "@home", "it's (so)"])
def test_a_name_that_is_no_formula_stays_as_it_is(text):
    assert guarded(text) == unguarded(text) == text
