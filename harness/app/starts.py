"""What the process starts of a plan show of time: they, not its seeds, are the sample that time has."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from harness.app.known import Known, Speeds
from harness.design.power import Wish
from harness.design.ways import Setting, family_level, seeds_for_starts


def time_of(wish: Wish, way: Mapping[str, Any], setting: Setting, known: Known) -> dict[str, Any] | None:
    """What `way` shows of time, or the reason why that cannot be said; None where the claim needs no time.

    `detectable` is the speed-up (or slow-down) less 1 that `starts` process starts show; `starts_needed` what the stored speed-up takes
    and `seeds_for_starts` the seeds of a plan of looks that has them, where the planned one has fewer.
    """
    if not setting.timed:
        return None
    starts = setting.starts(way["seeds"]) if "sizes" in way else way["invocations"]  # a ladder decides on its last runs
    out: dict[str, Any] = {
        "claim": known.stated("claim") or "faster",
        "max_slowdown": known.stated("max_slowdown"),
        "starts": starts,
        "seeds": way["seeds"],
        "detectable": None,
        "stored": None,
        "starts_needed": None,
        "seeds_for_starts": None,
        "reason": None,
    }
    if known.speeds is None:
        return out | {"reason": known.no_speeds or "no times are stored"}
    return out | _shown(wish, way, setting, known.speeds, out["claim"], starts)


def _shown(
    wish: Wish, way: Mapping[str, Any], setting: Setting, speeds: Speeds, claim: str, starts: int
) -> dict[str, Any]:
    from harness.stats.power import detectable_log_ratio, invocations

    several = way["design"] == "fixed" and setting.candidates > 1
    level = family_level(wish.alpha, setting.candidates, dunnett=False) if several else way["level"]
    power = (1 + wish.power) / 2 if claim == "equivalent" else wish.power  # two tests, and both must pass
    blocks = way["looks"][-1] if "looks" in way else way["seeds"]
    sd = speeds.sd_of_a_start(blocks / starts)
    reach = detectable_log_ratio(sd_between=sd, invocations=starts, alpha=level, power=power)
    found: dict[str, Any] = {"stored": asdict(speeds) | {"speedup": math.exp(speeds.log_speedup)}}
    if reach is None:
        return found | {"reason": f"{starts} process starts are too few: below 5 no time is judged"}
    found["detectable"] = math.expm1(min(reach, 700.0))
    if claim not in ("faster", "time-only"):
        return found
    needed = invocations(log_ratio=speeds.log_speedup, sd_between=sd, alpha=level, power=power)
    found["starts_needed"] = needed
    if needed is not None and needed > starts and way["design"] == "until-decided":
        found["seeds_for_starts"] = seeds_for_starts(needed, setting, wish.alpha)
    return found
