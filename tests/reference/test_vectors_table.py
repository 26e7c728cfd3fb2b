"""The registry of vectors holds, and docs/validation.md is about what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from vectors import DOCUMENT, VECTORS, Vector

TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: f"{v.family}: {v.what}")
def test_vector(vector: Vector) -> None:
    got = vector.got()
    assert vector.holds(got), f"{vector.source}: expected {vector.expected}, got {got}"


def test_the_table_lists_every_vector() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    section = text[text.index("<!-- vectors -->") : text.index("<!-- /vectors -->")]
    assert [v.what for v in VECTORS if f"| {v.what} |" not in section] == []
    assert "**no**" not in section


def test_every_test_that_the_document_names_exists() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    defined = {name for path in TESTS.rglob("test_*.py") for name in re.findall(r"def (test_\w+)", path.read_text())}
    files = {path.stem for path in TESTS.rglob("test_*.py")}
    named = set(re.findall(r"\btest_\w+", text))
    assert named - defined - files == set()
