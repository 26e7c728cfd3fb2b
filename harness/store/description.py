"""Whether `experiment.json` can be what a campaign wrote: its readers take these shapes for granted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from harness.design.seeds import SLOTS

NUMBERS = ("target", "margin_pp", "max_slowdown", "alpha")
TEXTS = ("claim", "question", "stage", "name", "imported")
ARM_TEXTS = ("role", "trainer", "config_hash", "git", "revision")


def fault_of_description(found: Any) -> str:
    """What makes a document no description of an experiment, in words; empty where nothing does."""
    if not isinstance(found, dict):
        return "must hold a JSON object"
    faults = (
        _fault_of_arms(found.get("arms", [])),
        _fault_of_plans(found.get("sequential")),
        *(_fault_of_number(found.get(key), key) for key in NUMBERS),
        *(_not_a(str, "a text", found.get(key), key) for key in TEXTS),
        _not_a(Mapping, "an object", found.get("ladder"), "ladder"),
        _fault_of_not_run(found.get("not_run")),
        _fault_of_slot(found.get("seed_slot")),
    )
    return next((fault for fault in faults if fault), "")


def _not_a(kind: Any, words: str, value: Any, where: str) -> str:
    return "" if value is None or isinstance(value, kind) else f"{where!r} is {_shown(value)}; it must be {words}"


def _fault_of_number(value: Any, key: str) -> str:
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < math.inf):
        return ""
    return f"{key!r} is {_shown(value)}; it must be a finite number or null"


def _fault_of_arms(arms: Any) -> str:
    if not isinstance(arms, list):
        return f"'arms' is {_shown(arms)}; it must be a list"
    for number, arm in enumerate(arms, 1):
        if not isinstance(arm, dict) or not isinstance(arm.get("name"), str):
            return f"arm number {number} is {_shown(arm)}; it must be an object with a 'name'"
        faults = [_not_a(str, "a text", arm.get(key), key) for key in ARM_TEXTS]
        fault = next(
            (fault for fault in (*faults, _not_a(dict, "an object", arm.get("config"), "config")) if fault), ""
        )
        if fault:
            return f"arm {arm['name']!r}: {fault}"
    return ""


def _fault_of_plans(plans: Any) -> str:
    if plans is None or (isinstance(plans, dict) and all(isinstance(arms, dict) for arms in plans.values())):
        return ""
    return f"'sequential' is {_shown(plans)}; it must be an object of plans by stage and arm"


def _fault_of_not_run(arms: Any) -> str:
    if arms is None or (isinstance(arms, list) and all(_is_told(arm) for arm in arms)):
        return ""
    return f"'not_run' is {_shown(arms)}; it must be a list of objects with a 'name' and a 'reason'"


def _is_told(arm: Any) -> bool:
    return isinstance(arm, dict) and all(isinstance(arm.get(key), str) for key in ("name", "reason"))


def _fault_of_slot(slot: Any) -> str:
    if slot is None or (isinstance(slot, int) and not isinstance(slot, bool) and 0 <= slot < SLOTS):
        return ""
    return f"'seed_slot' is {_shown(slot)}; it must be a whole number from 0 to {SLOTS - 1}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "..."
