"""`harness plan` on stored runs: the spread and the times that a design starts from, and whose runs they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.design.power import Cost, Wish, design_for, designs, recommended
from harness.errors import UsageError, nearest
from harness.selection import Chosen, Shelf
from harness.store.read import open_store

if TYPE_CHECKING:
    from harness.comparison.samples import Sample
    from harness.model.experiment import Experiment

NOT_COUNTED = "evaluations of a network that is trained already are not counted"


@dataclass(frozen=True)
class Stored:
    """A number that stored runs gave: its `value`, the arm and the number of runs (or pairs) behind it."""

    value: float
    store: str
    arm: str
    n: int


@dataclass(frozen=True)
class Known:
    """What is known before a run is spent.

    `sd` of one run and `pair_sd` of a difference on shared networks in points, `seconds` of one run; `shared` candidates that
    are scored on the control's networks, `trainings` networks a seed over all arms, `candidates` arms to choose from.
    """

    sd: Stored | None = None
    pair_sd: Stored | None = None
    seconds: Stored | None = None
    margin_pp: float | None = None
    shared: tuple[str, ...] = ()
    trainings: int = 2
    candidates: int = 1
    notes: tuple[str, ...] = ()


def plan(
    wish: Wish, name: str | None, results: Path, experiments: Path | None, price_per_hour: float | None
) -> dict[str, Any]:
    """What a design needs or shows; what the wish leaves open comes from the stored runs of `name`."""
    known = Known() if name is None else known_of(name, results, experiments)
    if wish.difference_pp is None and wish.seeds is None:
        wish = replace(wish, difference_pp=known.margin_pp)
    if not any((wish.difference_pp, wish.seeds, wish.looks)):
        raise UsageError(
            "Nothing is asked: give --difference-pp D (with --sd-pp S) for the seeds needed, --seeds N for what they show, "
            "or --looks K for the bounds of a sequential plan."
        )
    own = wish.sd_pp is not None
    if not own and (wish.difference_pp or wish.seeds):
        wish = _with_spread(wish, known, name)
    document = design_for(wish) | {"experiment": name}
    document |= _price(document, known, price_per_hour) | {"sources": _sources(wish, known, own=own)}
    document |= _designs(document, known, price_per_hour)
    return document | {"notes": _notes(wish, known, own=own)}


def _notes(wish: Wish, known: Known, *, own: bool) -> list[str]:
    """What the plan does with arms that share networks."""
    if known.shared and (own or wish.control_runs is not None):
        why = "--sd-pp is that of one run" if own else "--control-runs are frozen runs of other networks"
        return [f"{', '.join(known.shared[:6])}: scored on the control's networks, but not planned in pairs: {why}"]
    return list(known.notes)


def _with_spread(wish: Wish, known: Known, name: str | None) -> Wish:
    """The wish with the stored spread. Raises UsageError where there is none, or where it is 0."""
    if known.sd is None:
        where = "" if name is None else f": neither {name} nor its control has two or more stored runs"
        raise UsageError(
            f"The standard deviation of one run is missing{where}. Give --sd-pp S, or name an experiment that has stored runs."
        )
    if known.sd.value == 0:
        raise UsageError(
            f"The stored standard deviation is 0: all {known.sd.n} runs of {known.sd.store}:{known.sd.arm} gave the same accuracy. A "
            "spread above 0 is needed to plan with. Make the training use its seed and run again, or give --sd-pp S."
        )
    paired = None if known.pair_sd is None or wish.control_runs is not None else known.pair_sd.value
    return replace(wish, sd_pp=known.sd.value, pair_sd_pp=paired)


def _sources(wish: Wish, known: Known, *, own: bool) -> dict[str, Any]:
    """Where the spread and the times come from; a text where they come from the command line, null where there are none."""
    sd = "--sd-pp" if own else None if wish.sd_pp is None or known.sd is None else asdict(known.sd)
    pairs = None if wish.pair_sd_pp is None or known.pair_sd is None else asdict(known.pair_sd)
    return {"sd_pp": sd, "pair_sd_pp": pairs, "time_s": None if known.seconds is None else asdict(known.seconds)}


def _price(document: Mapping[str, Any], known: Known, price_per_hour: float | None) -> dict[str, Any]:
    """Networks to train, their hours and their price; the control's are there already where they are frozen."""
    seeds = document.get("seeds") or document.get("given_seeds")
    if seeds is None:
        return {"trainings": None, "hours": None, "price": None}
    frozen = document.get("control_runs") is not None and not known.shared
    trainings = seeds * max(1, known.trainings - (1 if frozen else 0))  # a shared network is trained all the same
    hours = None if known.seconds is None else trainings * known.seconds.value / 3600
    price = None if price_per_hour is None or hours is None else hours * price_per_hour
    return {"trainings": trainings, "hours": hours, "price": price}


def _designs(document: Mapping[str, Any], known: Known, price_per_hour: float | None) -> dict[str, Any]:
    """What the ways to the same answer would cost, and which one to take; only where the seeds for a difference were found."""
    seeds = document.get("seeds")
    if seeds is None:
        return {}
    frozen = document.get("control_runs") is not None and not known.shared
    shape = Cost(known.candidates, known.trainings - known.candidates, frozen)
    out = designs(seeds, shape, alpha=document["alpha"], power=document["power"])
    for way in out:
        for key in ("no_effect", "full_effect", "most"):
            hours = None if known.seconds is None else way[key] * known.seconds.value / 3600
            way[f"hours_{key}"] = hours
            way[f"price_{key}"] = None if hours is None or price_per_hour is None else hours * price_per_hour
    return {"designs": out, "recommended": recommended(known.candidates)}


# --- what is stored ----------------------------------------------------------------------------------------------


def known_of(name: str, results: Path, experiments: Path | None) -> Known:
    """Spread, seconds and margin of an experiment, from its own store, else from its arms' (the control's first).

    Raises UsageError where there is neither an experiment nor a store of that name.
    """
    from harness import spec

    experiment = None
    if name in spec.available(experiments) or name.endswith(spec.SUFFIXES):
        experiment = spec.load_experiment(name, spec.Request(experiments=experiments))
    elif not open_store(results, name).exists:
        raise UsageError(f"{name!r} is neither an experiment nor a store. {nearest(name, spec.available(experiments))}")
    places = [name] if experiment is None else [experiment.name, *(arm.name for arm in experiment.arms)]
    shelf = Shelf(results)
    arms = [shelf.arms(store) for place in dict.fromkeys(places) if (store := open_store(results, place)).exists]
    controls = [_control(found) for found in arms]
    first = arms[0] if arms and arms[0][0].store.name == places[0] else []
    known = Known(
        sd=next((s for c in controls if (s := _spread(c)) is not None), None),
        seconds=next((s for c in controls if (s := _seconds(c)) is not None), None),
        margin_pp=None if experiment is None else experiment.margin_pp,
        candidates=max(1, len(first) - 1 if experiment is None else len(experiment.candidates)),
    )
    return _with_pairs(known, first, experiment)


def _control(arms: Sequence[Chosen]) -> Chosen:
    return next((arm for arm in arms if arm.role == "control"), arms[0])


def _sample(chosen: Chosen) -> Sample:
    from harness.comparison.samples import make_sample

    return make_sample(chosen.arm, [chosen.rows])


def _spread(chosen: Chosen) -> Stored | None:
    """Standard deviation of the accuracy of one run, in points."""
    accuracy = _sample(chosen).accuracy
    if accuracy.size < 2:
        return None
    equal = float(accuracy.min()) == float(accuracy.max())
    sd = 0.0 if equal else 100 * float(accuracy.std(ddof=1))
    return Stored(sd, chosen.store.name, chosen.arm, int(accuracy.size))


def _seconds(chosen: Chosen) -> Stored | None:
    from harness.comparison.samples import timed

    times = timed(_sample(chosen))[0]["time_s"]
    return Stored(float(times.mean()), chosen.store.name, chosen.arm, int(times.size)) if times.size else None


def _with_pairs(known: Known, arms: Sequence[Chosen], experiment: Experiment | None) -> Known:
    """What is known, with the candidates that are scored on the control's networks and the spread of their differences."""
    from harness.executors.base import shared_trainings
    from harness.revisions import info_of

    found = dict(_pairs(arms)) if arms else {}
    if experiment is None:
        own = _control(arms).config_hash
        copies = sum(arm.config_hash == own for arm in arms) - 1 if own else 0
        known = replace(known, shared=tuple(found), trainings=max(2, len(arms)) - len(found))
        return _used(known, found, len(arms) - 1 - copies)
    infos = {arm.name: info_of(arm) for arm in experiment.arms}
    groups = shared_trainings(list(infos), experiment, infos)
    control = experiment.control
    shared = tuple(
        name
        for group in groups
        if control is not None and control.name in group
        for name in group
        if experiment.arm(name).config_hash != control.config_hash  # a copy of the control differs by nothing
    )
    known = replace(known, shared=shared, trainings=len(groups) if len(experiment.arms) > 1 else 2)
    copies = sum(control is not None and a.config_hash == control.config_hash for a in experiment.candidates)
    return _used(known, {arm: found[arm] for arm in shared if arm in found}, len(experiment.candidates) - copies)


def _used(known: Known, found: Mapping[str, Stored], candidates: int) -> Known:
    """Pairs are planned with where every candidate has them, by the widest of their spreads; else a note says why not."""
    if not known.shared:
        return known
    shared = f"{len(known.shared)} of {candidates} candidates are scored on the control's networks"
    if len(known.shared) < candidates:
        return replace(known, notes=(f"{shared}; the seeds are those for networks trained separately",))
    widest = max(found.values(), key=lambda pair: pair.value, default=None)
    if widest is None or not widest.value:
        why = "no such pairs are stored yet" if widest is None else "the stored pairs do not differ at all"
        note = (
            f"{shared}, but {why}: the seeds are those for networks trained separately, more than are needed. Run 10 seeds and plan "
            "again."
        )
        return replace(known, notes=(note,))
    missing = [arm for arm in known.shared if arm not in found]
    note = f"{shared}: planned in pairs, with the widest spread of a difference ({widest.arm}); {NOT_COUNTED}"
    notes = (note, *([f"no pairs are stored of {', '.join(missing[:6])}"] if missing else []))
    return replace(known, pair_sd=widest, notes=notes)


def _pairs(arms: Sequence[Chosen]) -> Iterator[tuple[str, Stored]]:
    """Standard deviation (pp) of candidate − control over shared networks, of each candidate that has two or more."""
    from harness.comparison.pair import Pair, Promise

    control = _control(arms)
    base = _sample(control)
    for arm in arms:
        pair = None if arm is control else Pair(base, _sample(arm), Promise("accurate")).shared_training
        if pair is not None and pair[0].size > 1:
            sd = 100 * float((pair[1] - pair[0]).std(ddof=1))
            yield arm.arm, Stored(sd, arm.store.name, arm.arm, int(pair[0].size))
