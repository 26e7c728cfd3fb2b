"""The words of the project as frozen dataclasses; standard library only."""

from harness.model.estimate import NO_ESTIMATE, Decision, Estimate, Finding, Severity, Verdict
from harness.model.experiment import Arm, Claim, Experiment, Stage
from harness.model.run import COLUMNS, EXTRA_COLUMNS, RunRecord

__all__ = [
    "COLUMNS",
    "EXTRA_COLUMNS",
    "NO_ESTIMATE",
    "Arm",
    "Claim",
    "Decision",
    "Estimate",
    "Experiment",
    "Finding",
    "RunRecord",
    "Severity",
    "Stage",
    "Verdict",
]
