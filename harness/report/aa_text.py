"""The answer of `harness aa` in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

WHAT = {
    "accuracy": "accuracy called higher, between halves of {0} and {1} runs",
    "time": "time called shorter, over {0} blocks in {1} process starts",
}


def aa_text(document: Mapping[str, Any]) -> str:
    """What was shuffled and what the intervals are, then one line an endpoint: its false-alarm rate, or why there is none."""
    lines = [
        f"A/A on {document['name']}: false alarms where nothing differs, one-sided alpha {document['alpha']:g}",
        f"shuffled, so that nothing differs: {document['shuffled']}",
        f"in brackets: {document['interval']}",
    ]
    width = max(len(alarm["name"]) for alarm in document["alarms"]) + 1
    return "\n".join(lines + [_line(alarm, width) for alarm in document["alarms"]])


def _line(alarm: Mapping[str, Any], width: int) -> str:
    if "reason" in alarm:
        return f"  {alarm['name']:<{width}} cannot be said: {alarm['reason']}"
    low, high = (100 * x for x in alarm["ci95"])
    shown = f"all {alarm['repeats']} patterns" if alarm["exhaustive"] else f"[{low:.2f}, {high:.2f}]"
    counted = f"{alarm['false_alarms']} of {alarm['repeats']}"
    claim = alarm["name"].removeprefix("verdict ")
    what = WHAT[alarm["name"]].format(*alarm["sizes"]) if alarm["name"] in WHAT else f"the whole claim `{claim}` passes"
    return f"  {alarm['name']:<{width}} {100 * alarm['rate']:5.2f} % {shown}  {counted}: {what}"
