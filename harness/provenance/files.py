"""Small files of the kernel's, read where they are there."""

from __future__ import annotations

from pathlib import Path


def text_of(path: Path) -> str:
    """The file's text, or "" where it is missing or must not be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
