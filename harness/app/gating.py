"""What `gate` does: the judgement of `compare` as one verdict and an exit code."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from harness.app.judging import Asked, judge_question, promise_of, question_of
from harness.errors import UsageError
from harness.model.estimate import Verdict
from harness.model.experiment import Claim, target_in_vain

if TYPE_CHECKING:
    from harness.comparison.compare import CandidateResult, Comparison

OnInconclusive = Literal["fail", "pass"]
WAVED_THROUGH = "GATE: INCONCLUSIVE, let through by --on-inconclusive pass: nothing was proven"
NOT_ENDED = "no judgement: the gate did not end"
"""What its files say from its first moment until it has an answer; a gate that is killed leaves it."""
NOT_ENDED_CODE = 4
EXIT_CODES = {"pass": 0, "fail": 1, "inconclusive": 3, "refused": 4}


class Gated(ABC):
    """What a gate says of its parts together: a verdict, an exit code and one sentence."""

    on_inconclusive: OnInconclusive

    @abstractmethod
    def parts(self) -> Sequence[Verdict]:
        """The verdicts that are joined: a failure outweighs a refusal, that an open question, and all must pass."""

    @abstractmethod
    def told(self) -> str:
        """The verdict in words."""

    @property
    def verdict(self) -> Verdict:
        from harness.comparison.layers import worst

        return worst(self.parts())

    @property
    def waved_through(self) -> bool:
        """Whether nothing was decided, and the caller said to let that pass."""
        return self.verdict == "inconclusive" and self.on_inconclusive == "pass"

    @property
    def exit_code(self) -> int:
        return 0 if self.waved_through else EXIT_CODES[self.verdict]

    @property
    def sentence(self) -> str:
        """What the gate did, in one line."""
        return WAVED_THROUGH if self.waved_through else f"GATE: {self.told()}"

    def head(self) -> dict[str, Any]:
        """The part `gate` of the JSON document."""
        return {
            "verdict": self.verdict,
            "exit_code": self.exit_code,
            "on_inconclusive": self.on_inconclusive,
            "message": self.sentence,
        }


@dataclass(frozen=True)
class GateReport(Gated):
    """One verdict over all candidates."""

    comparison: Comparison
    on_inconclusive: OnInconclusive = "fail"

    def parts(self) -> Sequence[Verdict]:
        return [one.verdict for one in self.comparison.comparisons]

    def told(self) -> str:
        ends = {
            "pass": "PASS",
            "fail": "FAIL",
            "inconclusive": "INCONCLUSIVE: more runs are needed (--on-inconclusive pass lets this through)",
            "refused": "REFUSED: these runs cannot bear the question",
        }
        return ends[self.verdict]

    def as_dict(self) -> dict[str, Any]:
        return self.comparison.as_dict() | {"gate": self.head()}


def gate(names: Sequence[str], results: Path, asked: Asked, on_inconclusive: OnInconclusive) -> GateReport:
    """Raises StoreError where a store is missing, empty or damaged; UsageError where a margin that is needed is missing, or a
    target was asked for that the claim does not use.
    """
    default: Claim = "no-regression"
    question = question_of(names, results, asked, tries=True)
    vain = target_in_vain(asked.target, promise_of(asked, question.promises, default).claim)
    if vain:
        raise UsageError(f"--target: {vain}")
    report = GateReport(judge_question(question, results, asked, default_claim=default), on_inconclusive)
    for one in report.comparison.comparisons:
        missing = _missing_margin(one)
        if missing:
            raise UsageError(
                f"{one.candidate.name}: {missing}. A gate needs it: --margin-pp M on the command line, or margin_pp in the "
                "experiment."
            )
    return report


def _missing_margin(one: CandidateResult) -> str | None:
    reasons = [d.reason for d in one.needed.values() if d.decision == "refused" and d.reason]
    return next((reason for reason in reasons if reason == "no margin was stated"), None)


def broken(why: str, exit_code: int, on_inconclusive: OnInconclusive) -> dict[str, Any]:
    """The JSON of a gate that came to no judgement, so that no older file can be taken for an answer."""
    return {
        "schema": 1,
        "gate": {
            "verdict": "error",
            "exit_code": exit_code,
            "on_inconclusive": on_inconclusive,
            "message": why,
        },
    }
