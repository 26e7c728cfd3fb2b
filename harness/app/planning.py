"""What `harness plan` does: a design from what is asked, what stored runs say, and the command that does it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from harness.app.commands import Asked, command_for
from harness.app.known import Known, known_of
from harness.app.starts import time_of
from harness.design.ladder import Ladder
from harness.design.power import Wish, design_for, seeds_for
from harness.design.ways import Level, Setting, family_level, recommended, ways
from harness.errors import UsageError
from harness.files import is_file
from harness.plugins import is_script, split_ref


def plan(
    wish: Wish,
    names: Sequence[str],
    results: Path,
    experiments: Path | None,
    price_per_hour: float | None,
    alpha: float | None,
) -> dict[str, Any]:
    """What a design needs or shows; what the wish leaves open comes from the stored runs and promises of `names`.

    `alpha` None is that of the experiment, else .05.
    """
    known = known_of(names, results, experiments) if names else Known()
    wish = replace(wish, alpha=alpha or known.stated("alpha") or 0.05)
    if wish.alpha == wish.power == 0.5:
        raise UsageError("--alpha 0.5 with --power 0.5 asks for a coin, not a test. Lower alpha or raise the power.")
    own_difference = wish.difference_pp
    if wish.difference_pp is None and wish.seeds is None:
        wish = replace(wish, difference_pp=known.stated("margin_pp") or None)
    if not any((wish.difference_pp, wish.seeds, wish.looks)):
        silent = f"{' '.join(names)} states no margin_pp to plan for" if names else "Nothing is asked"
        sd = "" if names else " (with --sd-pp S)"
        raise UsageError(
            f"{silent}: give --difference-pp D{sd} for the seeds needed, --seeds N for what they show, "
            "or --looks K for the bounds of a sequential plan."
        )
    own = wish.sd_pp is not None
    name = " ".join(names) or None
    if not own and (wish.difference_pp or wish.seeds):
        wish = _with_spread(wish, known, name)
    document = design_for(wish) | {"experiment": name}
    document |= _price(document, known, price_per_hour) | {"sources": _sources(wish, known, own=own)}
    asked = Asked(tuple(names), results, experiments, _sets(known, alpha, own_difference))
    document |= _ways(wish, document, known, asked, price_per_hour)
    return document | {"notes": _notes(wish, known, own=own)}


def _notes(wish: Wish, known: Known, *, own: bool) -> list[str]:
    """What the plan does with arms that share networks."""
    if known.shared and (own or wish.control_runs is not None):
        why = "--sd-pp is that of one run" if own else "--control-runs are frozen runs of other networks"
        return [f"{', '.join(known.shared[:6])}: scored on the control's networks, but not planned in pairs: {why}"]
    return list(known.notes)


def _with_spread(wish: Wish, known: Known, name: str | None) -> Wish:
    """The wish with the stored spreads. Raises UsageError where there are none, or where they are 0."""
    found = [one for one in (known.sd, known.candidate_sd) if one is not None]
    if not found:
        where = "" if name is None else f": neither {name} nor its control has two or more stored runs"
        ask = "" if known.experiment is None else f" (a first `harness run {name} --seeds 10` makes some)"
        raise UsageError(
            f"The standard deviation of one run is missing{where}. Give --sd-pp S, or name an experiment that has stored runs{ask}."
        )
    together = math.sqrt(sum(one.value**2 for one in found) / len(found))
    if together == 0:
        one = found[0]
        raise UsageError(
            f"The stored standard deviation is 0: all {one.n} runs of {one.store}:{one.arm} gave the same accuracy. A "
            "spread above 0 is needed to plan with. Make the training use its seed and run again, or give --sd-pp S."
        )
    paired = None if known.pair_sd is None or wish.control_runs is not None else known.pair_sd.value
    apart = (found[0].value, found[1].value) if len(found) == 2 else (None, None)
    return replace(wish, sd_pp=together, pair_sd_pp=paired, control_sd_pp=apart[0], candidate_sd_pp=apart[1])


def _sources(wish: Wish, known: Known, *, own: bool) -> dict[str, Any]:
    """Where the spreads and the times come from; a text where they come from the command line, null where there are none."""
    used = not own and wish.sd_pp is not None
    sd = "--sd-pp" if own else asdict(known.sd) if used and known.sd is not None else None
    candidate = asdict(known.candidate_sd) if used and known.candidate_sd is not None else None
    pairs = None if wish.pair_sd_pp is None or known.pair_sd is None else asdict(known.pair_sd)
    time = None if known.seconds is None else asdict(known.seconds)
    return {"sd_pp": sd, "candidate_sd_pp": candidate, "pair_sd_pp": pairs, "time_s": time}


def _price(document: Mapping[str, Any], known: Known, price_per_hour: float | None) -> dict[str, Any]:
    """Networks to train, their hours and their price; the control's are there already where they are frozen.

    Of the seeds that a difference needs at least so many are counted as a pass takes.
    """
    from harness.comparison.checks import ENOUGH_RUNS

    need = document.get("seeds")
    seeds = document.get("given_seeds") if need is None else max(need, ENOUGH_RUNS)
    if seeds is None:
        return {"trainings": None, "hours": None, "price": None}
    frozen = document.get("control_runs") is not None and not known.shared
    trainings = seeds * max(1, known.trainings - (1 if frozen else 0))  # a shared network is trained all the same
    hours = None if known.seconds is None else trainings * known.seconds.value / 3600
    price = None if price_per_hour is None or hours is None else hours * price_per_hour
    return {"trainings": trainings, "hours": hours, "price": price}


# --- the ways to the answer ------------------------------------------------------------------------------------


def _ways(
    wish: Wish, document: Mapping[str, Any], known: Known, asked: Asked, price_per_hour: float | None
) -> dict[str, Any]:
    """What the ways to the answer cost, which one to take and by which command; only where the seeds were found."""
    from harness.comparison.checks import ENOUGH_RUNS

    need = document.get("seeds")
    if need is None or wish.difference_pp is None or wish.sd_pp is None:
        return {}
    difference, sd = wish.difference_pp, wish.sd_pp
    frozen = wish.control_runs is not None and not known.shared
    setting = _setting(known, ENOUGH_RUNS, frozen=frozen)
    ladder = _stated_ladder(known, asked)
    family = family_level(wish.alpha, setting.candidates, dunnett=wish.pair_sd_pp is None)
    priced = ways(
        setting,
        Level(wish.alpha, wish.power, need, family),
        lambda level: seeds_for(replace(wish, alpha=level), difference, sd),
        ladder if setting.candidates > 1 else None,
    )
    for way in priced:
        _add_hours(way, setting, known, price_per_hour)
    best, why = recommended(priced, need)
    way = next(one for one in priced if one["design"] == best)
    out: dict[str, Any] = {
        "least_seeds": ENOUGH_RUNS,
        "designs": priced,
        "recommended": best,
        "why": why,
        "command": None,
        "dry_run": None,
        "fresh": None,
        "command_reason": None,
    }
    if known.experiment is None:
        out["command_reason"] = _no_experiment(known, asked.names[0]) if asked.names else None
    elif frozen:
        out["command_reason"] = (
            "a run makes the control's runs anew, interleaved; against frozen ones time decides nothing"
        )
    else:
        out |= command_for(way, asked)
    return out | {"time": time_of(wish, way, setting, known)}


def _no_experiment(known: Known, store: str) -> str:
    """A store that is not named like an experiment: its file where that lies here, and with which preset it was made."""
    from harness.spec import SUFFIXES

    preset = known.stated("preset")
    file = next((f"{store}{ending}" for ending in SUFFIXES if is_file(Path(f"{store}{ending}"))), None)
    scripts = dict.fromkeys(str(arm.get("trainer")) for arm in known.stated("arms") or () if isinstance(arm, Mapping))
    if file is None and scripts and all(is_script(one) and is_file(Path(split_ref(one)[0])) for one in scripts):
        file = " ".join(scripts) if store == "-vs-".join(Path(split_ref(one)[0]).stem for one in scripts) else None
    what = ": name its experiment" if file is None else f", and its experiment can: `harness plan {file}`"
    return f"a store cannot be run{what}" + (f" (these runs are of preset {preset})" if preset else "")


def _setting(known: Known, least: int, *, frozen: bool) -> Setting:
    experiment = known.experiment
    networks = tuple(max(1, n - 1) for n in known.networks) if frozen else known.networks
    return Setting(
        networks=networks,
        least=least,
        control=0 if frozen else 1,
        timed=_timed(known),
        invocations=None if experiment is None else experiment.invocations,
        warmup=experiment is None or experiment.warmup,
    )


def _timed(known: Known) -> bool:
    """Whether the claim needs time to be judged."""
    if not known.promises or (known.experiment is not None and not known.experiment.candidates):
        return False
    claim = known.stated("claim") or "faster"
    slow = known.stated("max_slowdown") is not None
    return claim in ("faster", "time-only") or (claim in ("no-regression", "equivalent") and slow)


def _stated_ladder(known: Known, asked: Asked) -> Ladder:
    """The plan of `[ladder]` in the experiment's own file, else the default one."""
    from harness import spec
    from harness.design.ladder import parse_ladder

    if known.experiment is None or known.candidates < 2:
        return Ladder()
    return parse_ladder(None, None, spec.stated_ladder(asked.names[0], spec.Request(experiments=asked.experiments)))


def _sets(known: Known, alpha: float | None, difference: float | None) -> tuple[str, ...]:
    """What the command has to state, for it to be judged as it was planned: another alpha, and a margin where there is none."""
    out = [] if alpha is None or alpha == known.stated("alpha") else [f"alpha={alpha:g}"]
    if difference is not None and known.stated("margin_pp") is None and known.stated("claim") != "accurate":
        out.append(f"margin_pp={difference:g}")
    return tuple(out)


def _add_hours(way: dict[str, Any], setting: Setting, known: Known, price_per_hour: float | None) -> None:
    """Hours and price of a way, its warm-ups among them: as many for a network as at most."""
    arms = setting.candidates + setting.control
    warm = 1 + way["warmups"] / way["runs"]
    seconds = (
        known.run_seconds if not known.shared and arms > 1 else None if known.seconds is None else known.seconds.value
    )
    for key in ("no_effect", "full_effect", "most"):
        hours = None if seconds is None else way[key] * warm * seconds / 3600
        way[f"hours_{key}"] = hours
        way[f"price_{key}"] = None if hours is None or price_per_hour is None else hours * price_per_hour
