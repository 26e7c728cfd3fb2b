"""A figure as a file, and as a part of a page: the same bytes whenever it is drawn from the same numbers."""

from __future__ import annotations

import io
import re
from typing import Any
from xml.etree import ElementTree

from harness.report.plots.style import VARIABLES, applied

SVG = "{http://www.w3.org/2000/svg}"
LINK = "{http://www.w3.org/1999/xlink}href"
UNUSED = ("metadata", "style", "title")
_NUMBER = re.compile(r"-?\d+\.\d+")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_FAMILY = re.compile(r";?\s*font-family:[^;]*")
ROUNDED = ("d", "x", "y", "width", "height", "transform", "points")


def file_of(figure: Any, ending: str, *, salt: str) -> bytes:
    """The figure as an SVG, PDF or PNG file: no date, no version, no chance in it."""
    import matplotlib

    fixed = {"svg": {"Date": None, "Creator": None}, "pdf": {"CreationDate": None, "Creator": None, "Producer": None}}
    buffer = io.BytesIO()
    with applied(), matplotlib.rc_context({"svg.hashsalt": salt}):
        figure.savefig(buffer, format=ending, metadata=fixed.get(ending, {"Software": None}))
    return buffer.getvalue()


def inline(figure: Any, *, key: str, title: str, description: str) -> str:
    """The figure as an <svg> element of a page, with the page's colours and letters.

    Its ids begin with `key`, which must be the figure's own on the page; `title` and `description` are read aloud in its place.
    """
    import matplotlib

    buffer = io.StringIO()
    with applied(), matplotlib.rc_context({"svg.hashsalt": "page", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    root = ElementTree.fromstring(buffer.getvalue())
    _without(root, UNUSED)
    for element in root.iter():
        element.tag = element.tag.removeprefix(SVG)
        _cleaned(element)
    _own_ids(root, key)
    width = float(root.get("viewBox", "0 0 1 1").split()[2])
    _named(root, key, title, description)
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.attrib |= {"class": "plot", "role": "img", "style": f"--w:{width:g}px"}
    root.attrib |= {"aria-labelledby": f"{key}-title {key}-desc"}
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=True)


def _without(parent: Any, names: tuple[str, ...]) -> None:
    """Take out elements of these names, and groups that they leave empty."""
    for child in list(parent):
        _without(child, names)
        name = child.tag.removeprefix(SVG) if isinstance(child.tag, str) else ""
        if not name or name in names or (name in ("g", "defs") and not len(child)):
            parent.remove(child)


def _cleaned(element: Any) -> None:
    """Colours by their role, no family of letters, and no more digits than can be seen."""
    if LINK in element.attrib:
        element.attrib["href"] = element.attrib.pop(LINK)
    style = element.attrib.get("style")
    if style is not None:
        for colour, variable in VARIABLES.items():
            style = style.replace(colour, f"var({variable})")
        style = _FAMILY.sub("", style).strip("; ")
        element.attrib["style"] = _NUMBER.sub(_shorter, style).replace(": ", ":").replace("; ", ";")
    for name in ROUNDED:
        if name in element.attrib:
            element.attrib[name] = " ".join(_NUMBER.sub(_shorter, element.attrib[name]).split())
    if element.tag != "text" and element.text and not element.text.strip():
        element.text = None
    element.tail = None


def _shorter(match: re.Match[str]) -> str:
    text = f"{float(match[0]):.2f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def _own_ids(root: Any, key: str) -> None:
    """Ids that are referred to get the figure's key; all others go."""
    used = {e.attrib["href"][1:] for e in root.iter() if e.attrib.get("href", "").startswith("#")}
    for element in root.iter():
        used |= {name for value in element.attrib.values() for name in _REFERENCE.findall(value)}
    there = [e.attrib["id"] for e in root.iter() if e.attrib.get("id") in used]
    new = {name: f"{key}-{i}" for i, name in enumerate(there)}
    for element in root.iter():
        for attribute, value in list(element.attrib.items()):
            if attribute == "id":
                if value in new:
                    element.attrib["id"] = new[value]
                else:
                    del element.attrib["id"]
            elif attribute == "href":
                element.attrib["href"] = f"#{new[value[1:]]}"
            else:
                element.attrib[attribute] = _REFERENCE.sub(lambda m: f"url(#{new[m[1]]})", value)


def _named(root: Any, key: str, title: str, description: str) -> None:
    for place, (tag, text) in enumerate((("title", title), ("desc", description))):
        element = ElementTree.Element(tag, {"id": f"{key}-{tag}"})
        element.text = text
        root.insert(place, element)
