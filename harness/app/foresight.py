"""What is known of a verdict before the first run: why it could only be `refused`, after every run was spent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from harness.model.experiment import NO_MARGIN, Experiment

if TYPE_CHECKING:
    from harness.plugins import TrainerInfo


def hopeless(experiment: Experiment, infos: Mapping[str, TrainerInfo]) -> list[str]:
    """Why its claim cannot pass, a sentence each with what to add; of an experiment without a control, which claims nothing, none."""
    claim = experiment.claim or "faster"
    if experiment.control is None or not experiment.candidates:
        return []
    out = []
    if claim not in NO_MARGIN and experiment.margin_pp is None:
        out.append(
            f"claim {claim!r} needs a margin, and nobody stated one: the verdict will be `refused`. State margin_pp (percentage points) in "
            "the experiment, or with --set margin_pp=0.05."
        )
    idle = same_work(experiment, infos) if claim in ("faster", "time-only") else []
    if idle:
        whole = len(idle) == len(experiment.candidates)
        out.append(
            f"{'no arm' if whole else ', '.join(idle)} can be faster{'' if whole else ' than the control'}: steps and work of each are the "
            "control's own, and its verdict would be `compute-neutral`. To ask for accuracy: --set claim=accurate."
        )
    return out


def same_work(experiment: Experiment, infos: Mapping[str, TrainerInfo]) -> list[str]:
    """The candidates that do the control's own work, as far as their trainers say: no clock can call them faster."""
    from harness.plugins import planned_steps

    def work(name: str) -> tuple[str | None, int | None]:
        arm, info = experiment.arm(name), infos[name]
        return info.compute_hash(arm.config, info.code_hash(arm.config)), planned_steps(info, arm.config)

    own = work(experiment.arms[0].name)
    return [arm.name for arm in experiment.candidates if own[0] is not None and work(arm.name) == own]
