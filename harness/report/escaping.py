"""Names and error texts come from files and programs: none of them may act on the page that shows it."""

from __future__ import annotations

import re

_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_FOLLOWED = re.compile(r"\](?=[(\[])")
_BREAK = re.compile(r"[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+\s*")
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_OWN_COLOUR = re.compile("(\x1b\\[(?:0|1;3[1235])m)")


def markdown(text: str) -> str:
    """One line of Markdown in which nothing is a tag of HTML, a link or a picture: what was put in is what is read."""
    return _FOLLOWED.sub("]\\\\", _TAG.sub("&lt;", _BREAK.sub(" ", text)))


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
