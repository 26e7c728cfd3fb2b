"""The plan of a ladder: how many runs each of its stages adds, and how many arms go on from one to the next."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.design.seeds import SEEDS_PER_STREAM
from harness.errors import UsageError
from harness.model.experiment import Stage

STAGES_BY_NUMBER: dict[int, tuple[Stage, ...]] = {2: ("screen", "final"), 3: ("screen", "confirm", "final")}
DEFAULT_SIZES = (25, 200, 1000)
DEFAULT_SHARE = "1/3"
ENOUGH_TO_DECIDE = 10
"""With fewer runs an arm nothing passes."""
MOST_BY_SHARE = 10
"""A share keeps at most this many arms: more cost runs and hardly make the pick better."""


@dataclass(frozen=True)
class Ladder:
    """`sizes`: fresh runs of every arm in each stage; `keep`: a number of arms, or a share of them, after each but the last."""

    sizes: tuple[int, ...] = DEFAULT_SIZES
    keep: tuple[str, ...] = (DEFAULT_SHARE, "1")

    @property
    def stages(self) -> tuple[tuple[Stage, int], ...]:
        """Each stage with its size, in order."""
        return tuple(zip(STAGES_BY_NUMBER[len(self.sizes)], self.sizes, strict=True))

    def kept(self, number: int, arms: int) -> int:
        """How many of `arms` go on after the stage of that number (from 0): a share is rounded up, and is at most 10."""
        top, slash, whole = self.keep[number].partition("/")
        if not slash:
            return min(arms, int(top))
        return max(1, min(MOST_BY_SHARE, math.ceil(arms * int(top) / int(whole))))

    def check(self, arms: int) -> None:
        """Raises UsageError where a stage would drop none of `arms` candidates, or more would go on than are left."""
        for number, keep in enumerate(self.keep):
            if "/" not in keep and int(keep) > arms:
                raise UsageError(
                    f"keep = {','.join(self.keep)}: {keep} arms cannot go on after stage {self.stages[number][0]}, as {arms} "
                    f"{'is' if arms == 1 else 'are'} in it. Allowed is 1 to {arms}, or a share such as 1/3."
                )
            arms = self.kept(number, arms)

    def as_dict(self) -> dict[str, Any]:
        return {"sizes": list(self.sizes), "keep": list(self.keep)}


def parse_ladder(sizes: str | None, keep: str | None, stated: dict[str, Any] | None = None) -> Ladder:
    """The plan of `--sizes 25,200,1000` and `--keep 1/3,1`, else what the experiment states, else the default."""
    own = stated or {}
    wanted = own.get("sizes", list(DEFAULT_SIZES)) if sizes is None else _listed(sizes)
    given = _sizes(wanted, "--sizes" if sizes is not None else str(own.get("where", "--sizes")))
    if given[-1] < ENOUGH_TO_DECIDE:
        raise UsageError(
            f"{'--sizes' if sizes is not None else own.get('where', '--sizes')}: the last stage has {given[-1]} runs an arm, and below "
            f"{ENOUGH_TO_DECIDE} nothing can pass: the ladder could decide nothing."
        )
    default = [DEFAULT_SHARE, "1"][-(len(given) - 1) :]
    kept = own.get("keep", default) if keep is None else _listed(keep)
    return Ladder(given, _keep(kept, len(given), "--keep" if keep is not None else str(own.get("where", "--keep"))))


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


def _sizes(values: Sequence[Any], where: str) -> tuple[int, ...]:
    shown = ",".join(map(str, values))
    for value in values:
        if isinstance(value, bool) or not re.fullmatch(r"[0-9]{1,6}", str(value)):
            raise UsageError(f"{where}: {value!r} is no number of runs. Allowed is for example 25,200,1000.")
        if not 2 <= int(value) <= SEEDS_PER_STREAM:
            raise UsageError(
                f"{where}: {value} runs an arm; allowed is 2 to {SEEDS_PER_STREAM}: one run shows no spread."
            )
    if len(values) not in STAGES_BY_NUMBER:
        raise UsageError(
            f"{where}: {shown!r} names {len(values)} stage{'' if len(values) == 1 else 's'}; a ladder has two (screen, final) or three "
            "(screen, confirm, final). Allowed is for example 25,200,1000."
        )
    return tuple(int(value) for value in values)


def _keep(values: Sequence[Any], stages: int, where: str) -> tuple[str, ...]:
    shown = ",".join(map(str, values))
    if len(values) != stages - 1:
        raise UsageError(
            f"{where}: {shown!r} says {len(values)} time{'' if len(values) == 1 else 's'} how many arms go on, and {stages} stages need "
            f"it {stages - 1} time{'' if stages == 2 else 's'}. Give --keep too, for example --keep {'1' if stages == 2 else '1/3,1'}."
        )
    for value in values:
        found = re.fullmatch(r"([0-9]{1,5})(?:/([0-9]{1,5}))?", str(value))
        top, whole = (int(found[1]), int(found[2] or found[1])) if found and not isinstance(value, bool) else (0, 0)
        if not 1 <= top <= whole:
            raise UsageError(
                f"{where}: {value!r} is neither a number of arms nor a share of them. Allowed is for example 1/3 (of the arms, "
                f"at most {MOST_BY_SHARE}) or 3."
            )
    return tuple(str(value) for value in values)
