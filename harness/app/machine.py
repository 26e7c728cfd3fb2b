"""Arms that this machine cannot run: told before the first run, as an error, or left out by name and reason."""

from __future__ import annotations

from dataclasses import replace

from harness.errors import UsageError
from harness.model.experiment import Arm, Experiment, NotRun


def impossible(experiment: Experiment) -> dict[str, str]:
    """Why this machine cannot run an arm, by its name, as the arms' trainers say."""
    from harness.plugins import machine_refusal
    from harness.revisions import info_of

    reasons = {arm.name: machine_refusal(info_of(arm), arm.config) for arm in experiment.arms}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def fitting(experiment: Experiment) -> Experiment:
    """The experiment without the candidates that this machine cannot run, which `not_run` then lists.

    Only where it says `skip_impossible`; what is missing of the control, or all that there is, stays for `refuse_impossible`.
    """
    if not experiment.skip_impossible:
        return experiment
    reasons = impossible(experiment)
    left = tuple(arm for arm in experiment.arms if arm.name not in reasons or arm.role == "control")
    gone = tuple(NotRun(arm.name, reasons[arm.name]) for arm in experiment.arms if arm not in left)
    return replace(experiment, arms=left, not_run=(*experiment.not_run, *gone))


def refuse_impossible(experiment: Experiment, missing: tuple[Arm, ...]) -> None:
    """Raises UsageError where runs are missing of arms that this machine cannot run."""
    reasons = impossible(replace(experiment, arms=missing))
    if not reasons:
        return
    told = "; ".join(f"{name}: {why}" for name, why in reasons.items())
    control = experiment.control.name if experiment.control is not None else ""
    if control in reasons or len(experiment.arms) == 1:
        way_out = "Change that key with --set or a preset, or run it on another machine."
    else:
        way_out = (
            "Run it on another machine, or run the others: --skip-impossible (or skip_impossible = true in the file) lists "
            "these as not run."
        )
    raise UsageError(f"{experiment.name}: this machine cannot run {told}. {way_out}")
