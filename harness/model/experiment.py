"""An experiment: a question, its arms and what was promised before the first run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Claim = Literal["faster", "accurate", "equivalent", "no-regression", "time-only"]
Stage = Literal["screen", "confirm", "final"]
Role = Literal["control", "candidate"]

CLAIMS: tuple[Claim, ...] = ("faster", "accurate", "equivalent", "no-regression", "time-only")
NO_MARGIN: tuple[Claim, ...] = ("accurate", "time-only")
"""Claims that need no margin of accuracy."""
TARGET_CLAIMS: tuple[Claim, ...] = ("faster", "accurate")
"""The claims that a target is part of; the others need none."""
PROMISES = ("claim", "target", "margin_pp", "max_slowdown", "alpha")
"""What an experiment states before its first run, and a judgement is held to."""
STAGES: tuple[Stage, ...] = ("screen", "confirm", "final")


def target_in_vain(target: float | None, claim: str) -> str:
    """Why a target that was stated for this claim would not be looked at; empty where there is none, or it would."""
    if target is None or claim in TARGET_CLAIMS:
        return ""
    return (
        f"a target of {100 * target:g} % is stated, and the claim {claim!r} does not use one: nothing would be held to it. Leave it "
        f"out, or state a claim that uses it: {' or '.join(TARGET_CLAIMS)}."
    )


@dataclass(frozen=True)
class Arm:
    """One configuration of one trainer; `config` is flat, with dotted keys, and complete.

    `git` is the commit of its repository that the trainer is run from (None: the working tree), `revision` what was written
    in its place: a branch, a tag or a commit.
    """

    name: str
    role: Role
    trainer: str
    config: dict[str, Any]
    config_hash: str
    git: str | None = None
    revision: str | None = None

    @property
    def source(self) -> str:
        """The revision in words; empty for the working tree."""
        if self.git is None:
            return ""
        known = self.revision and not self.git.startswith(self.revision)
        return f"{self.revision} ({self.git[:12]})" if known else self.git[:12]

    def as_dict(self) -> dict[str, Any]:
        base: dict[str, Any] = {
            "name": self.name,
            "role": self.role,
            "trainer": self.trainer,
            "config": self.config,
            "config_hash": self.config_hash,
        }
        return base | ({"git": self.git, "revision": self.revision or self.git} if self.git else {})


@dataclass(frozen=True)
class NotRun:
    """An arm that was left out because the machine cannot run it, and why."""

    name: str
    reason: str

    def as_dict(self) -> dict[str, str]:
        return {"name": self.name, "reason": self.reason}


@dataclass(frozen=True)
class Experiment:
    """A resolved experiment: nothing in it is left to a default that is read later."""

    name: str
    arms: tuple[Arm, ...]
    question: str = ""
    claim: Claim | None = None
    target: float | None = None
    margin_pp: float | None = None
    max_slowdown: float | None = None
    alpha: float = 0.05
    seeds: int = 25
    stage: Stage = "confirm"
    seed_root: int = 0
    invocations: int | None = None
    timeout_s: float | None = None
    warmup: bool = True
    preset: str | None = None
    ladder: dict[str, Any] | None = None
    """The plan of the ladder that these runs are a stage of."""
    notes: tuple[str, ...] = field(default=())
    skip_impossible: bool = False
    """Whether arms that the machine cannot run are left out and listed, instead of being an error."""
    not_run: tuple[NotRun, ...] = ()

    @property
    def control(self) -> Arm | None:
        return next((arm for arm in self.arms if arm.role == "control"), None)

    @property
    def candidates(self) -> tuple[Arm, ...]:
        return tuple(arm for arm in self.arms if arm.role == "candidate")

    def arm(self, name: str) -> Arm:
        return next(arm for arm in self.arms if arm.name == name)

    def as_dict(self) -> dict[str, Any]:
        unusual: dict[str, Any] = (
            {} if self.warmup else {"warmup": False}
        )  # left out where as always: older hashes stay true
        unusual |= {} if self.ladder is None else {"ladder": self.ladder}
        unusual |= {"not_run": [arm.as_dict() for arm in self.not_run]} if self.not_run else {}
        return unusual | {
            "name": self.name,
            "question": self.question,
            "claim": self.claim,
            "target": self.target,
            "margin_pp": self.margin_pp,
            "max_slowdown": self.max_slowdown,
            "alpha": self.alpha,
            "seeds": self.seeds,
            "stage": self.stage,
            "seed_root": self.seed_root,
            "invocations": self.invocations,
            "timeout_s": self.timeout_s,
            "preset": self.preset,
            "arms": [arm.as_dict() for arm in self.arms],
        }
