"""Texts from files as they may be shown: one line, and nothing in it that turns, hides or controls what stands beside it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

REPLACED = "\ufffd"
_SPACE = re.compile(r"\s+")


def plain(text: object, most: int | None = None) -> str:
    """The text in one line; control, formatting and unpaired surrogate characters are shown as �, what is beyond `most` is cut."""
    line = _SPACE.sub(" ", str(text)).strip()
    shown = "".join(REPLACED if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Cn", "Co") else c for c in line)
    return shown if most is None or len(shown) <= most else shown[: most - 1] + "…"


def listed(names: Iterable[str], most: int = 6) -> str:
    """Names in a row, and how many more there are."""
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
