"""Texts from files as they may be shown: one line, and nothing in it that turns, hides or controls what stands beside it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

REPLACED = "\ufffd"
_SPACE = re.compile(r"\s+")


NAME = 80
SENTENCE = 900


def plain(text: object, most: int = SENTENCE) -> str:
    """The text in one line; control, formatting and unpaired surrogate characters are shown as �.

    Of more than `most` characters the middle is cut out: names mostly differ at their ends.
    """
    line = _SPACE.sub(" ", str(text)).strip()
    shown = "".join(REPLACED if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Cn", "Co") else c for c in line)
    return shown if len(shown) <= most else f"{shown[: most - most // 3 - 1]}…{shown[len(shown) - most // 3 :]}"


def name_of(text: object) -> str:
    """A name as it may be shown: no longer than 80 characters."""
    return plain(text, NAME)


def listed(names: Iterable[str], most: int = 6) -> str:
    """Names in a row, and how many more there are."""
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
