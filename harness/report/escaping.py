"""Names and error texts come from files and programs: none of them may act on the page that shows it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from harness.report.plain import plain

_SPECIAL = re.compile(r"[\\`*_\[\]<>|~$&]")
_AT_START = re.compile(r"^([-+#=]|\d+[.)](?=\s|$))")
_ACTIVE = re.compile(r"@|#(?=\w)|(?<=\w):(?=//)|\bwww(?=\.)|\bmailto(?=:)", re.IGNORECASE)
APART = "\u200b"
"""A space without width: it keeps a forge from reading a name as somebody's, or an address as a link."""
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_OWN_COLOUR = re.compile("(\x1b\\[(?:0|1;3[1235])m)")


def markdown(text: str) -> str:
    """One line that Markdown shows as it stands, wherever it begins; mentions, references and addresses are only text, too."""
    return _not_at_start(_within(plain(text)))


def markdown_sentence(text: str) -> str:
    """A sentence of the harness, in which words between backticks are code; what is within them is taken as it stands."""
    parts = re.split(r"`([^`]+)`", plain(text))
    shown = [_within(part) if i % 2 == 0 else _code(part) for i, part in enumerate(parts)]
    return _not_at_start("".join(shown))


def markdown_row(cells: Iterable[str]) -> str:
    """A row of a table, whose cells hold texts alone."""
    return "| " + " | ".join(_within(plain(cell)) or " " for cell in cells) + " |"


def _code(words: str) -> str:
    return _within(f"`{words}`") if "|" in words else f"`{words}`"  # a pipe ends a cell, in code as well


def _within(line: str) -> str:
    return _ACTIVE.sub(lambda m: m[0] + APART, _SPECIAL.sub(lambda m: f"\\{m[0]}", line))


def _not_at_start(line: str) -> str:
    """No heading, item or line below a heading."""
    return _AT_START.sub(lambda m: f"{m[0][:-1]}\\{m[0][-1]}", line)


def xml(text: str) -> str:
    """Text without the characters that no XML 1.0 document can hold; each stays readable as its escape."""
    return _NO_XML.sub(_escape, text)


def terminal(text: str) -> str:
    """Text that cannot move the cursor, change the title or hide a part of itself; the colours of the harness stay."""
    parts = _OWN_COLOUR.split(text)
    return "".join(part if i % 2 else _UNSEEN.sub(_escape, part) for i, part in enumerate(parts))


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
