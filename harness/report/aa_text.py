"""The answer of `harness aa` in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

WHAT = {
    "accuracy": "accuracy called higher between disjoint halves of {0} and {1} runs",
    "time": "time called shorter over {0} blocks with labels swapped in {1} whole invocations",
    "verdict faster": "the whole claim `faster` passes",
}


def aa_text(document: Mapping[str, Any]) -> str:
    """One line an endpoint: the false-alarm rate with its exact 95 % interval, or why there is none."""
    lines = [f"A/A on {document['name']}: nothing differs, one-sided alpha {document['alpha']:g}"]
    for alarm in document["alarms"]:
        if "reason" in alarm:
            lines.append(f"  {alarm['name']:<15} cannot be said: {alarm['reason']}")
            continue
        low, high = (100 * x for x in alarm["ci95"])
        what = WHAT[alarm["name"]].format(*alarm["sizes"])
        lines.append(
            f"  {alarm['name']:<15} {100 * alarm['rate']:5.2f} % [{low:.2f}, {high:.2f}]  "
            f"{alarm['false_alarms']} of {alarm['repeats']}: {what}"
        )
    return "\n".join(lines)
