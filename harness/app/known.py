"""What stored runs say before a run is spent: spreads, times, and which arms share their networks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
class Speeds:
    """The stored log speed-up of a candidate over the control, and how it spreads within and between `n` process starts.

    `starts_sd` is the standard deviation of the process starts' means; `within_sd` None where each start has a single block.
    """

    log_speedup: float
    starts_sd: float
    within_sd: float | None
    between_sd: float | None
    store: str
    arm: str
    n: int

    def sd_of_a_start(self, blocks: float) -> float:
        """Standard deviation of the mean of so many blocks of one process start."""
        if self.within_sd is None or self.between_sd is None:
            return self.starts_sd
        return float((self.between_sd**2 + self.within_sd**2 / blocks) ** 0.5)


@dataclass(frozen=True)
class Known:
    """What is known before a run is spent.

    `sd` of one run of the control, `candidate_sd` of the candidate that spreads most, `pair_sd` of a difference on shared networks, in
    points; `seconds` of one run of the control, `run_seconds` of one run over all stored arms. `shared` candidates that are scored on
    the control's networks; `networks` trained for a seed of the control and none, one, two ... candidates. `speeds` of the candidate
    whose time is least sure, with `no_speeds` why there are none.
    """

    experiment: Experiment | None = None
    promises: Mapping[str, Any] | None = None
    sd: Stored | None = None
    candidate_sd: Stored | None = None
    pair_sd: Stored | None = None
    seconds: Stored | None = None
    run_seconds: float | None = None
    speeds: Speeds | None = None
    no_speeds: str = ""
    shared: tuple[str, ...] = ()
    networks: tuple[int, ...] = (1, 2)
    notes: tuple[str, ...] = ()

    @property
    def candidates(self) -> int:
        return len(self.networks) - 1

    @property
    def trainings(self) -> int:
        """Networks a seed, over all arms."""
        return self.networks[-1]

    def stated(self, key: str) -> Any:
        """What the experiment promises (claim, margin_pp, max_slowdown, alpha); None where it is silent."""
        return (self.promises or {}).get(key)


def known_of(names: Sequence[str], results: Path, experiments: Path | None) -> Known:
    """Spreads, times and promises of an experiment, from its own store, else from its arms' (the control's first).

    `names` is one experiment, TOML file, store or Python file, or several Python files. Raises UsageError where they are none.
    """
    experiment = _experiment(names, results, experiments)
    places = [names[0]] if experiment is None else [experiment.name, *(arm.name for arm in experiment.arms)]
    shelf = Shelf(results)
    arms = [shelf.arms(store) for place in dict.fromkeys(places) if (store := open_store(results, place)).exists]
    arms = [found for found in arms if found]
    controls = [_control(found) for found in arms]
    first = arms[0] if arms and arms[0][0].store.name == places[0] else []
    known = Known(
        experiment=experiment,
        promises=first[0].store.experiment if experiment is None and first else _promises(experiment),
        sd=next((s for c in controls if (s := _spread(c)) is not None), None),
        candidate_sd=_widest(arms, experiment),
        seconds=next((s for c in controls if (s := _seconds(c)) is not None), None),
    )
    times = [s.value for chosen in first if (s := _seconds(chosen)) is not None]
    mean = sum(times) / len(times) if times else None if known.seconds is None else known.seconds.value
    return _with_speeds(_with_pairs(replace(known, run_seconds=mean), first, experiment), first)


def _experiment(names: Sequence[str], results: Path, experiments: Path | None) -> Experiment | None:
    """The experiment that the names mean; None for the name of a store."""
    from harness import spec
    from harness.plugins import is_script

    if len(names) > 1 and not all(map(is_script, names)):
        raise UsageError(
            f"harness plan takes one experiment, found {', '.join(names)}. Allowed is a name, a TOML file, a store, or Python files "
            "(of several the first is the control)."
        )
    request = spec.Request(experiments=experiments)
    name = names[0]
    known = spec.canonical(name, experiments) in spec.available(experiments)
    if is_script(name) or name.endswith((".toml", ".yaml", ".yml")) or known:
        return spec.load(names, request)[0]
    head, colon, _ = name.partition(":")
    if colon and open_store(results, head).exists:
        raise UsageError(
            f"harness plan takes the whole of a store, not one of its arms ({name!r}): `harness plan {head}` uses all of them."
        )
    if open_store(results, name).exists:
        return None
    raise UsageError(
        f"{name!r} is neither an experiment nor a store. {nearest(name, spec.available(experiments))} A TOML file, or your own "
        "train.py, works too."
    )


def _promises(experiment: Experiment | None) -> Mapping[str, Any]:
    return {} if experiment is None else experiment.as_dict()


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


def _widest(arms: Sequence[Sequence[Chosen]], experiment: Experiment | None) -> Stored | None:
    """The spread of the candidate that spreads most, each from the first store that has its runs."""
    if experiment is None:
        found = [arm for arm in arms[0] if arm is not _control(arms[0])] if arms else []
    else:
        names = [arm.name for arm in experiment.candidates]
        stored = [arm for place in arms for arm in place if arm.arm in names]
        found = [next(arm for arm in stored if arm.arm == name) for name in names if any(a.arm == name for a in stored)]
    spreads = [s for arm in found if (s := _spread(arm)) is not None]
    return max(spreads, key=lambda s: s.value, default=None)


def _seconds(chosen: Chosen) -> Stored | None:
    from harness.comparison.samples import timed

    times = timed(_sample(chosen))[0]["time_s"]
    return Stored(float(times.mean()), chosen.store.name, chosen.arm, int(times.size)) if times.size else None


# --- pairs on shared networks --------------------------------------------------------------------------------


def _with_pairs(known: Known, arms: Sequence[Chosen], experiment: Experiment | None) -> Known:
    """What is known, with the candidates that are scored on the control's networks and the spread of their differences."""
    from harness.executors.base import shared_trainings
    from harness.revisions import info_of

    found = dict(_pairs(arms)) if arms else {}
    if experiment is None:
        own = _control(arms).config_hash if arms else ""
        copies = sum(arm.config_hash == own for arm in arms) - 1 if own else 0
        candidates = max(1, len(arms) - 1)
        whole = max(2, len(arms)) - len(found)
        networks = tuple(max(1, whole - candidates + c) for c in range(candidates + 1))
        found = {arm.arm: found[arm.arm] for arm in arms if arm.arm in found and (not own or arm.config_hash != own)}
        return _used(replace(known, shared=tuple(found), networks=networks), found, len(arms) - 1 - copies)
    control, names = experiment.control, [arm.name for arm in experiment.candidates]
    if control is None or not names:
        return known
    infos = {arm.name: info_of(arm) for arm in experiment.arms}
    shared = tuple(
        name
        for group in shared_trainings([control.name, *names], experiment, infos)
        if control.name in group
        for name in group
        if experiment.arm(name).config_hash != control.config_hash  # a copy of the control differs by nothing
    )
    networks = tuple(
        len(shared_trainings([control.name, *names[:c]], experiment, infos)) for c in range(len(names) + 1)
    )
    known = replace(known, shared=shared, networks=networks)
    copies = sum(a.config_hash == control.config_hash for a in experiment.candidates)
    return _used(known, {arm: found[arm] for arm in shared if arm in found}, len(names) - copies)


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


# --- time ----------------------------------------------------------------------------------------------------


def _with_speeds(known: Known, arms: Sequence[Chosen]) -> Known:
    """What is known, with the stored speed-up that spreads most between process starts, or why there is none."""
    from harness.comparison.pair import Pair, Promise

    control = _control(arms) if arms else None
    wanted = None if known.experiment is None else {arm.name for arm in known.experiment.candidates}
    others = [arm for arm in arms if arm is not control and (wanted is None or arm.arm in wanted)]
    if control is None or not others:
        return replace(known, no_speeds="no runs of both arms are stored together")
    base, found = _sample(control), list[Speeds]()
    starts = 0
    for arm in others:
        pair = Pair(base, _sample(arm), Promise("faster"))
        if not pair.blocks.n:
            continue
        result = pair.log_speedup
        starts = max(starts, result.clusters)
        if result.contrast.usable and result.contrast.se is not None and result.contrast.se > 0:
            sd = result.contrast.se * result.clusters**0.5
            spread = (result.within_sd, result.between_sd)
            found.append(Speeds(result.contrast.value, sd, *spread, arm.store.name, arm.arm, result.clusters))
    if found:
        return replace(known, speeds=max(found, key=lambda one: one.starts_sd))
    if starts:
        return replace(
            known,
            no_speeds="the stored runs are of one process start, and two are needed to see how process starts spread",
        )
    return replace(known, no_speeds="no stored block holds the times of both arms")
