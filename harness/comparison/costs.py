"""What a pass of each arm's network costs, and whether multiply-adds tell how long it takes.

The rows are runs that were measured by passes: each has its multiply-adds (`macs`) and its median time a pass
(`latency_median`, milliseconds). Arms are compared in rank within one setting: among those whose configuration is the same
but for the network (keys `model.*`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.model.estimate import Estimate, finite
from harness.stats.clustered import clustered_mean
from harness.stats.correlation import kendall, spearman
from harness.stats.moments import moments

NEEDED = ("macs", "latency_median")
NETWORK = "model."
NOT_TOLD = "not measured: on a processor the thread that waits is the one that works"


@dataclass(frozen=True)
class PassRun:
    """One run: its metrics by name, its process start ('' unknown), and the peak of memory in bytes (None unknown)."""

    arm: str
    invocation: str
    values: Mapping[str, float]
    peak_bytes: int | None = None


@dataclass(frozen=True)
class ArmCost:
    """One arm: multiply-adds of an image, parameters, milliseconds a pass, images a second, MB, share of idle time."""

    arm: str
    setting: str
    n: int
    macs: float
    parameters: float | None
    latency_ms: Estimate
    throughput: Estimate
    peak_memory_mb: float | None
    idle: Estimate

    def as_dict(self) -> dict[str, Any]:
        return {
            "arm": self.arm,
            "setting": self.setting,
            "n": self.n,
            "macs": self.macs,
            "parameters": finite(self.parameters),
            "latency_ms": self.latency_ms.as_dict(),
            "throughput": self.throughput.as_dict(),
            "peak_memory_mb": finite(self.peak_memory_mb),
            "device_idle": self.idle.as_dict(),
        }


@dataclass(frozen=True)
class RankAgreement:
    """Rank correlation of multiply-adds and latency over the arms of one setting.

    The intervals take the arms as drawn from a population of networks; `within` is the least and the largest rho of single
    process starts, the share that measuring has in it (None where they are unknown).
    """

    setting: str
    arms: int
    spearman: Estimate
    kendall: Estimate
    within: tuple[float, float] | None

    def as_dict(self) -> dict[str, Any]:
        return {
            "setting": self.setting,
            "arms": self.arms,
            "spearman": self.spearman.as_dict(),
            "kendall": self.kendall.as_dict(),
            "spearman_by_invocation": None if self.within is None else list(self.within),
        }


@dataclass(frozen=True)
class Costs:
    """The arms, cheapest in multiply-adds first within their setting, and how the ranks agree in each setting."""

    arms: tuple[ArmCost, ...]
    agreement: tuple[RankAgreement, ...]
    left_out: int
    """Runs that count for time and lack one of the metrics."""

    def as_dict(self) -> dict[str, Any]:
        return {
            "arms": [arm.as_dict() for arm in self.arms],
            "agreement": [one.as_dict() for one in self.agreement],
            "left_out": self.left_out,
        }


def costs_of(runs: Sequence[PassRun], configs: Mapping[str, Mapping[str, Any]]) -> Costs:
    """`runs` as they count for time; `configs` the flat configuration of each arm, where it is known."""
    told = [run for run in runs if all(name in run.values for name in NEEDED)]
    by_arm: dict[str, list[PassRun]] = {}
    for run in told:
        by_arm.setdefault(run.arm, []).append(run)
    settings = settings_of({arm: configs.get(arm, {}) for arm in by_arm})
    arms = [_arm(arm, settings[arm], own) for arm, own in by_arm.items()]
    names = list(dict.fromkeys(settings.values()))
    arms.sort(key=lambda one: (names.index(one.setting), one.macs, one.arm))
    agreement = tuple(_agreement(name, [a for a in arms if a.setting == name], by_arm) for name in names)
    return Costs(tuple(arms), agreement, len(runs) - len(told))


def settings_of(configs: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The setting of each arm in words: the keys in which arms differ, those of the network apart."""
    keys = list(dict.fromkeys(key for config in configs.values() for key in config if not key.startswith(NETWORK)))
    differ = [key for key in keys if len({str(config.get(key)) for config in configs.values()}) > 1]
    return {arm: ", ".join(f"{key}={config.get(key)}" for key in differ) for arm, config in configs.items()}


def _arm(name: str, setting: str, runs: Sequence[PassRun]) -> ArmCost:
    peaks = [run.peak_bytes for run in runs if run.peak_bytes is not None]
    parameters = [run.values["parameters"] for run in runs if "parameters" in run.values]
    return ArmCost(
        arm=name,
        setting=setting,
        n=len(runs),
        macs=float(np.median([run.values["macs"] for run in runs])),
        parameters=float(np.median(parameters)) if parameters else None,
        latency_ms=_mean(runs, "latency_median"),
        throughput=_mean(runs, "throughput"),
        peak_memory_mb=float(np.median(peaks)) / 2**20 if peaks else None,
        idle=_mean(runs, "device_idle", absent=NOT_TOLD),
    )


def _mean(runs: Sequence[PassRun], metric: str, *, absent: str = "not measured") -> Estimate:
    """The mean over runs with the error of process starts; without an interval where these are unknown."""
    there = [run for run in runs if metric in run.values]
    if not there:
        return Estimate(None, method="mean", reason=absent)
    values = [run.values[metric] for run in there]
    if any(not run.invocation for run in there):
        return Estimate(moments(values).mean, method="mean", reason="which runs shared a process is unknown")
    return clustered_mean(values, [run.invocation for run in there]).contrast.estimate()


def _agreement(setting: str, arms: Sequence[ArmCost], by_arm: Mapping[str, Sequence[PassRun]]) -> RankAgreement:
    macs, latency = [arm.macs for arm in arms], [arm.latency_ms.value or 0.0 for arm in arms]
    return RankAgreement(setting, len(arms), spearman(macs, latency), kendall(macs, latency), _within(arms, by_arm))


def _within(arms: Sequence[ArmCost], by_arm: Mapping[str, Sequence[PassRun]]) -> tuple[float, float] | None:
    """The range of rho over the process starts in which every arm ran."""
    starts: dict[str, dict[str, list[float]]] = {}
    for arm in arms:
        for run in by_arm[arm.arm]:
            if run.invocation:
                starts.setdefault(run.invocation, {}).setdefault(arm.arm, []).append(run.values["latency_median"])
    macs = [arm.macs for arm in arms]
    rhos = [
        spearman(macs, [float(np.mean(of[arm.arm])) for arm in arms]).value
        for of in starts.values()
        if len(of) == len(arms)
    ]
    known = [rho for rho in rhos if rho is not None]
    return (min(known), max(known)) if known else None
