"""Every code that the harness can emit has its section in docs/findings.md, and every section its code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SECTIONS = dict(re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", (ROOT / "docs/findings.md").read_text(), re.M | re.S))


def emitted() -> set[str]:
    """The first argument of every `Finding(...)` in the package."""
    calls = (
        node
        for path in (ROOT / "harness").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Finding"
    )
    found = set()
    for call in calls:
        assert isinstance(call.args[0], ast.Constant), "the code of a finding is a literal, so that it can be found"
        found.add(call.args[0].value)
    return found


def test_codes_and_sections_are_the_same() -> None:
    assert emitted() == set(SECTIONS)


@pytest.mark.parametrize("code", SECTIONS)
def test_a_section_says_what_was_seen_why_it_matters_what_to_do_and_what_it_refuses(code: str) -> None:
    words = [m.rstrip(".") for m in re.findall(r"^\*\*(.+?)\*\*", SECTIONS[code], re.M)]
    assert words == ["Seen", "Why it matters", "What to do", "Refuses"]
