"""A sequential plan: at which numbers of runs a growing sample is judged, and how surely it must be decided there.

`group-sequential` looks K times with Lan-DeMets O'Brien-Fleming bounds and non-binding futility; its largest sample is
that of the fixed design times the plan's inflation. `sprt` looks every few runs at a likelihood ratio, up to a cap. Either
is fixed before the first run and kept with the store.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from harness.design.plan import default_invocations

Mode = Literal["group-sequential", "sprt"]
LOOKS = 5
MOST_INFLATION = 1.12
LEAST_PER_LOOK = 3
STARTS_PER_LOOK = 3
"""Process starts a look where time is judged: they, not runs, are its sample."""
SPRT_FIRST, SPRT_STEP, SPRT_CAP = 15, 5, 3
"""First look, runs between looks, and the cap in sizes of the fixed design."""


@dataclass(frozen=True)
class LookPlan:
    """Runs of an arm and process starts at each look, with one-sided z bounds where the plan has some.

    `fixed` is the size of the design with a single look; `timed` whether time is among what decides.
    """

    mode: Mode
    fixed: int
    alpha: float
    power: float
    timed: bool
    runs: tuple[int, ...]
    starts: tuple[int, ...]
    efficacy: tuple[float, ...] = ()
    futility: tuple[float, ...] = ()
    promise: Mapping[str, Any] | None = None
    """What was claimed, and by which margins, when the plan was made."""

    @property
    def largest(self) -> int:
        return self.runs[-1]

    @property
    def information(self) -> tuple[float, ...]:
        """Fractions of the largest sample, by runs."""
        return tuple(n / self.largest for n in self.runs)

    @property
    def information_of_time(self) -> tuple[float, ...]:
        """The same by process starts."""
        return tuple(s / self.starts[-1] for s in self.starts)

    def next_after(self, n: int) -> int | None:
        """The runs of the next look; None after the last."""
        return next((runs for runs in self.runs if runs > n), None)

    def as_dict(self) -> dict[str, Any]:
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}


def plan_looks(fixed: int, *, alpha: float, timed: bool, power: float = 0.9, looks: int = LOOKS) -> LookPlan:
    """A group-sequential plan in place of `fixed` runs an arm; fewer looks where these would be of fewer than 3 runs.

    Largest size, bounds and futility (HSD(-2), spending 1 - `power`) by numerical integration; harness/stats/sequential.py.
    """
    from harness.stats.sequential import equal_looks, hwang_shih_decani, plan

    futility = hwang_shih_decani(-2)
    looks = max(1, min(looks, fixed // LEAST_PER_LOOK))
    inflation = plan(equal_looks(looks), alpha=alpha, power=power, futility=futility).inflation
    largest = max(fixed, min(round(fixed * inflation), math.floor(MOST_INFLATION * fixed)))
    runs = tuple(round(largest * (k + 1) / looks) for k in range(looks))
    shape = plan([n / largest for n in runs], alpha=alpha, power=power, futility=futility)
    most = STARTS_PER_LOOK if timed else 1
    a_look = min(max(most, math.ceil(default_invocations(largest) / looks)), runs[0])
    starts = tuple(a_look * (k + 1) for k in range(looks))
    return LookPlan(
        "group-sequential", fixed, alpha, power, timed, runs, starts, shape.efficacy, shape.futility or ()
    )  # fmt: skip


def plan_sprt(fixed: int, *, alpha: float, power: float = 0.9) -> LookPlan:
    """Looks at 15 runs an arm and every 5 runs on, to three times `fixed`; accuracy only."""
    cap = max(SPRT_FIRST, SPRT_CAP * fixed)
    runs = (*range(SPRT_FIRST, cap, SPRT_STEP), cap)
    return LookPlan("sprt", fixed, alpha, power, False, runs, tuple(range(1, len(runs) + 1)))


def read_look_plan(stored: Mapping[str, Any]) -> LookPlan:
    """The plan that `as_dict` wrote. Raises ValueError where it is not one."""
    try:
        known: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in stored.items()}
        found = LookPlan(**known)
        whole = all(isinstance(n, int) for n in (*found.runs, *found.starts))
        bounds = (found.efficacy, found.futility) if found.mode == "group-sequential" else ()
        if not found.runs or not whole or any(len(b) != len(found.runs) for b in (found.starts, *bounds)):
            raise ValueError("its looks and bounds do not belong together")
    except TypeError as problem:
        raise ValueError(f"not a plan of looks: {problem}") from problem
    return found
