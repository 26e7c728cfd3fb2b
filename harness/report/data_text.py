"""Data sets in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def facts_text(document: Mapping[str, Any]) -> str:
    lines = []
    for row in document["datasets"]:
        sizes = ", ".join(f"{key} {' x '.join(map(str, shape))}" for key, shape in row["shapes"].items())
        lines.append(f"{row['name']}: verified, hash {row['hash']}, from {row['source']}\n  {sizes}\n  {row['path']}")
    return "\n".join(lines)


def list_text(document: Mapping[str, Any]) -> str:
    rows = document["datasets"]
    width = max((len(row["name"]) for row in rows), default=0)
    lines = [
        f"{row['name']:<{width}}  {'cached' if row['cached'] else '-':<6}  {row.get('error') or row['about']}"
        for row in rows
    ]
    return "\n".join([*lines, f"Cache: {document['cache']}"])
