"""Which arms of a store form one sweep over training length: those that differ from one another in their length alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.comparison.samples import Sample
from harness.errors import UsageError
from harness.model.hashing import canonical

LENGTH_NAMES = frozenset(("steps", "epochs"))
LEAST_LENGTHS = 3
NOT_THERE = "nothing"


@dataclass(frozen=True)
class SweepArm:
    """One arm of a store; `facts` is its flat configuration with trainer and revision, None where nobody stored it."""

    store: str
    sample: Sample
    facts: Mapping[str, Any] | None
    role: str = ""

    @property
    def name(self) -> str:
        return self.sample.name


@dataclass(frozen=True)
class LeftOut:
    """An arm that is no point of a sweep, and why."""

    arm: str
    reason: str

    def as_dict(self) -> dict[str, str]:
        return {"arm": self.arm, "reason": self.reason}


@dataclass(frozen=True)
class Family:
    """The arms of one sweep, and those of the same store that are none of it; `facts` is what its arms share."""

    arms: tuple[SweepArm, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def facts(self) -> dict[str, Any] | None:
        """All that acts but the length; None where no configuration is stored."""
        known = self.arms[0].facts if self.arms else None
        return None if known is None else _but_length(known)

    def without(self, names: Iterable[str], reason: str) -> Family:
        gone = set(names)
        out = tuple(LeftOut(arm.name, reason) for arm in self.arms if arm.name in gone)
        return Family(tuple(arm for arm in self.arms if arm.name not in gone), (*self.left_out, *out))


def is_length(key: str) -> bool:
    """Whether a dotted key says how long is trained: `steps` or `epochs`, however deeply nested."""
    return key.rpartition(".")[2] in LENGTH_NAMES


def _but_length(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in facts.items() if not is_length(key)}


def family_of(arms: Sequence[SweepArm], wanted: str | None = None) -> Family:
    """The sweep among the arms of one store: the family of the arm `wanted`, else the one with the most arms.

    Arms of one family differ in keys of length alone. Of equally large families too small for a sweep, the one without the
    control is the store's own. Raises UsageError where two families are equally large sweeps.
    """
    groups: dict[str, list[SweepArm]] = {}
    for arm in arms:
        groups.setdefault(canonical(None if arm.facts is None else _but_length(arm.facts)), []).append(arm)
    if wanted is None:
        chosen = _largest(list(groups.values()))
    else:
        chosen = next(group for group in groups.values() if any(arm.name == wanted for arm in group))
    others = [arm for arm in arms if arm not in chosen]
    return Family(tuple(chosen), tuple(LeftOut(arm.name, _difference(arm, chosen[0])) for arm in others))


def _largest(groups: Sequence[list[SweepArm]]) -> list[SweepArm]:
    most = max(len(group) for group in groups)
    largest = [group for group in groups if len(group) == most]
    if len(largest) > 1 and most >= LEAST_LENGTHS:
        store = largest[0][0].store
        ways = ", ".join(f"{store}:{group[0].name}" for group in largest[:8])
        raise UsageError(
            f"{store!r} holds {len(largest)} sweeps of {most} training lengths each, which differ in other keys than the "
            f"length. Name one arm of the sweep that you mean: {ways}."
        )
    own = (group for group in largest if all(arm.role != "control" for arm in group))
    return next(own, largest[0])


def _difference(arm: SweepArm, of_sweep: SweepArm) -> str:
    """In which keys an arm differs from a sweep, but for its length."""
    if arm.facts is None or of_sweep.facts is None:
        return "its configuration is not stored, that of the sweep is"
    own, sweep = _but_length(arm.facts), _but_length(of_sweep.facts)
    keys = [key for key in dict.fromkeys((*own, *sweep)) if own.get(key) != sweep.get(key)]
    shown = ", ".join(
        f"{key} ({own.get(key, NOT_THERE)}, in the sweep {sweep.get(key, NOT_THERE)})" for key in keys[:4]
    )
    more = f" and {len(keys) - 4} more keys" if len(keys) > 4 else ""
    return f"differs from the sweep in more than its length: {shown}{more}"


def apart(control: Family, candidate: Family) -> tuple[Family, Family]:
    """Two sweeps that share no arm. Raises UsageError where they are the same runs.

    An arm of one configuration may stand in two stores (the control of both). Where configurations are stored it belongs to
    the sweep whose family it is of; where they are not, nobody knows whose it is, and it is left out of both.
    """
    same = {(arm.store, arm.name) for arm in control.arms} & {(arm.store, arm.name) for arm in candidate.arms}
    if same:
        store, arm = min(same)
        count = "1 arm" if len(same) == 1 else f"{len(same)} arms"
        raise UsageError(
            f"Both sweeps hold the same runs ({count}, {store}:{arm} for one): a sweep is as fast as itself. "
            "Name two sweeps over training length: two stores, or an arm of each sweep as EXPERIMENT:ARM."
        )
    if control.facts is not None and candidate.facts is not None:
        return control, candidate
    shared = _configurations(control) & _configurations(candidate)
    reason = "stands in both sweeps, and without a stored configuration nobody knows which of them it belongs to"
    sides = [
        side.without([a.name for a in side.arms if a.sample.rows.known("config_hash") & shared], reason)
        for side in (control, candidate)
    ]
    return sides[0], sides[1]


def _configurations(family: Family) -> set[str]:
    return {known for arm in family.arms for known in arm.sample.rows.known("config_hash")}
