"""Short content hashes: of configurations, of files, of anything JSON can say."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

LENGTH = 12  # hex digits shown and stored: 48 bits


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spare spaces: equal values give equal text on every machine."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def digest(value: Any) -> str:
    """First 12 hex digits of the SHA-256 of the canonical JSON of `value`."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:LENGTH]


def digest_files(paths: Iterable[Path]) -> str:
    """First 12 hex digits of the SHA-256 over the files' contents, in the order of their names; paths do not count."""
    whole = hashlib.sha256()
    for path in sorted(paths, key=lambda p: p.name):
        content = path.read_bytes()
        whole.update(f"{path.name}\0{len(content)}\0".encode())
        whole.update(content)
    return whole.hexdigest()[:LENGTH]
