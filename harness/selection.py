"""From the names of a command line to samples: stores, arms, and which control runs belong to a comparison."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness.comparison.frame import Frame
from harness.comparison.samples import FAILED, Sample, Seen, make_sample, timed, told_apart
from harness.comparison.sweeps import SweepArm
from harness.errors import StoreError, UsageError, nearest
from harness.model.experiment import PROMISES, STAGES
from harness.store.frames import read_columns, read_frame
from harness.store.read import Store, existing_store, first_value, ledger_of, open_store, store_names

if TYPE_CHECKING:
    from harness.design.looks import LookPlan


@dataclass(frozen=True)
class Chosen:
    """One arm of one store."""

    store: Store
    arm: str
    rows: Frame
    role: str = ""

    @property
    def config_hash(self) -> str:
        hashes = self.rows.known("config_hash")
        return next(iter(hashes)) if len(hashes) == 1 else ""

    @property
    def config(self) -> Mapping[str, Any] | None:
        """The configuration by dotted key; None where the store does not tell it."""
        described = next((a for a in self.store.arms() if str(a.get("name")) == self.arm), {})
        config = described.get("config")
        return config if isinstance(config, Mapping) else None

    @property
    def epochs_asked(self) -> float | None:
        """See `Sample.epochs_asked`; None where the store does not tell the configuration."""
        config = self.config or {}
        epochs = None if config.get("steps") else config.get("epochs")
        return float(epochs) if isinstance(epochs, int | float) and not isinstance(epochs, bool) else None

    def ran_like(self, other: Chosen) -> bool:
        """Whether both are runs of one known configuration, and of one version of the code where that is known."""
        codes, others = self.rows.known("code_hash"), other.rows.known("code_hash")
        same_code = not codes or not others or bool(codes & others)
        return bool(self.config_hash) and self.config_hash == other.config_hash and same_code


class Shelf:
    """The stores of a results folder, each read once."""

    def __init__(self, results: Path) -> None:
        self.results = results
        self._frames: dict[str, Frame] = {}
        self.torn: dict[str, int] = {}

    def frame(self, store: Store) -> Frame:
        if store.name not in self._frames:
            frame, torn = read_frame(store)
            if torn:
                self.torn[store.name] = torn
            self._frames[store.name] = frame
        return self._frames[store.name]

    @property
    def stores_read(self) -> list[Store]:
        """The stores whose runs were read so far."""
        return [open_store(self.results, name) for name in self._frames]

    def arms(self, store: Store) -> list[Chosen]:
        """The arms of a store in the order of its description, with their roles."""
        frame = self.frame(store)
        there = list(dict.fromkeys(frame["arm"].tolist()))
        roles = {str(a.get("name")): str(a.get("role", "")) for a in store.arms()}
        names = [n for n in roles if n in there] + [n for n in there if n not in roles]
        return [Chosen(store, n, frame.where(frame["arm"] == n), roles.get(n, "")) for n in names]

    def find(self, name: str) -> list[Chosen]:
        """The arms that a name means: a store's, `STORE:ARM`, or the one arm of that name in any store."""
        if open_store(self.results, name).exists:
            return self.arms(existing_store(self.results, name))
        head, colon, arm = name.partition(":")
        if colon:
            return [self._arm_of(existing_store(self.results, head), arm)]
        from harness.spec import canonical  # only here: it brings the reading of experiments with it

        meant = canonical(name, None)
        if meant != name and open_store(self.results, meant).exists:
            return self.arms(existing_store(self.results, meant))
        homes = [s for s in store_names(self.results) if self._has_arm(s, name)]
        if len(homes) == 1:
            return [self._arm_of(open_store(self.results, homes[0]), name)]
        if homes:
            ways = ", ".join(f"{home}:{name}" for home in homes)
            raise UsageError(f"{name!r} is an arm of several stores. Name one of them: {ways}.")
        return self.arms(existing_store(self.results, name, others=self._arm_names()))

    def _arm_names(self) -> set[str]:
        """What else a name could have meant; stores that cannot be read name none."""
        out: set[str] = set()
        for store in store_names(self.results):
            with suppress(StoreError):
                out |= {str(arm.get("name")) for arm in open_store(self.results, store).arms()}
        return out

    def _has_arm(self, store_name: str, arm: str) -> bool:
        """Whether a store's description names the arm. Raises StoreError where it cannot be read: it might."""
        try:
            return arm in [str(a.get("name")) for a in open_store(self.results, store_name).arms()]
        except StoreError as problem:
            raise StoreError(
                f"{problem} That store may hold an arm {arm!r} too; to leave it aside, name the store that you mean: STORE:{arm}."
            ) from problem

    def _arm_of(self, store: Store, arm: str) -> Chosen:
        arms = self.arms(store)
        for one in arms:
            if one.arm == arm:
                return one
        raise StoreError(f"The store {store.name!r} has no arm {arm!r}. {nearest(arm, [a.arm for a in arms])}")


@dataclass(frozen=True)
class Question:
    """A control and its candidates as samples, with what the experiments promised."""

    control: Sample
    candidates: tuple[Sample, ...]
    promises: Mapping[str, Any]


def resolve(
    shelf: Shelf,
    names: Sequence[str],
    stage: str | None = None,
    *,
    alone: bool = False,
    asked: Collection[str] = (),
    tries: bool = False,
    most: int | None = None,
) -> Question:
    """The samples behind `CONTROL CANDIDATE...`, or behind one store that holds both.

    For accuracy the control has its own runs and those that ran interleaved with the candidates under the same
    configuration; blocks find each other by invocation, whichever store they lie in. Arms that share a name are called
    `store:arm`. `alone` accepts a single arm; `asked` names what the command line promises, whatever the experiments state;
    `tries` looks up in which other stores each candidate was tried before. With `most`, replicates from that number on are
    left out of each candidate and of the control beside it.
    """
    control, candidates = _split(shelf, names, alone=alone)
    frames = [control.rows, *_interleaved_controls(shelf, control, candidates)]
    control_name, *names_of_candidates = told_apart([(c.store.name, c.arm) for c in (control, *candidates)])
    samples = []
    for c, name in zip(candidates, names_of_candidates, strict=True):
        sample = _looked_at(shelf, control, c, make_sample(name, [c.rows], stage=stage, latest_stage=True))
        tried = _tried(shelf.results, control, c, sample) if tries else ()
        sample = sample if most is None else sample.first(most)
        against = _against(control_name, frames, c, sample, most)
        against = against and replace(against, epochs_asked=control.epochs_asked, config=control.config)
        samples.append(replace(sample, tried=tried, against=against))
    return Question(
        control=replace(
            make_sample(control_name, frames, stage=None), epochs_asked=control.epochs_asked, config=control.config
        ),
        candidates=tuple(samples),
        promises=_promises(control, candidates, asked),
    )


def _against(name: str, frames: Sequence[Frame], candidate: Chosen, sample: Sample, most: int | None) -> Sample | None:
    """The control's runs that a candidate is held against; None where they are all that there are.

    Of the candidate's own store only those of its stage: those of an earlier one helped to choose it. Where its looks were
    planned, none of other stores: they would come at other times than the looks.
    """
    own = [frame for frame in frames if frame.source == candidate.store.name]
    if sample.stage is None or not any((frame["stage"] == sample.stage).any() for frame in own):
        return None
    if sample.plan is None and most is None and all((frame["stage"] == sample.stage).all() for frame in own):
        return None
    kept = [frame.where((frame["stage"] == sample.stage) & _below(frame, most)) for frame in own]
    others = [] if sample.plan is not None else [f for f in frames if f.source != candidate.store.name]
    return make_sample(name, [*others, *kept])


def samples_so_far(shelf: Shelf, store: Store, arms: Sequence[str], planned: Mapping[str, int]) -> list[Sample]:
    """Each arm's runs of the stages in `planned`, as many of each as planned: whatever was run besides changes nothing."""
    found = {chosen.arm: chosen.rows for chosen in shelf.arms(store)}
    out = []
    for arm in arms:
        rows = found[arm]
        number = [planned.get(stage, 0) for stage in rows["stage"].tolist()]
        out.append(replace(make_sample(arm, [rows.where(rows["replicate"] < number)]), store=store.name, arm=arm))
    return out


def frozen_anchor(shelf: Shelf, store: Store, control: str) -> str | None:
    """The store named like the control that holds runs of its very configuration and code, made apart from `store`; or None."""
    if control == store.name or not open_store(shelf.results, control).exists:
        return None
    own = next(arm for arm in shelf.arms(store) if arm.arm == control)
    return control if own.ran_like(_control_among(shelf.find(control), control)) else None


def require_runs(results: Path, control: Sample, candidates: Sequence[Sample]) -> None:
    """Raise StoreError where nothing can be judged: the control, or every candidate, has no completed run.

    Runs of unknown accuracy are judged where their times are known.
    """
    empty = [c for c in (control,) if not _has_runs(c)] or [c for c in candidates if not _has_runs(c)]
    if _has_runs(control) and len(empty) < max(1, len(candidates)):
        return
    raise StoreError(
        f"There are no completed runs of {', '.join(f'{s.name} ({_instead(s)})' for s in empty)}, so there is nothing to judge. "
        f"Every attempt is in {', '.join(dict.fromkeys(str(results / s.rows.source / 'runs.csv') for s in empty))} (columns status "
        "and error). Mend what fails, or raise timeout_s, and give the `harness run` command again: it tries what is missing."
    )


def _has_runs(sample: Sample) -> bool:
    return sample.n > 0 or (sample.untold is not None and timed(sample)[0].rows > 0)


def _instead(sample: Sample) -> str:
    """What the rows of an arm without completed runs are."""
    attempts = sample.rows.where(~sample.rows["warmup"])
    status = Counter(attempts["status"].tolist())
    parts = [
        f"{status[key]} {words}" for key, words in (("crashed", "crashed"), ("timeout", "timed out")) if status[key]
    ]
    others = {k: n for k, n in sample.excluded.items() if k != FAILED}
    return ", ".join([*parts, *(f"{n} {reason}" for reason, n in others.items())]) or "no attempts"


def _looked_at(shelf: Shelf, control: Chosen, chosen: Chosen, sample: Sample) -> Sample:
    """The sample with the numbers of runs at which this arm, in this stage, was judged before, and its rivals' number."""
    looks = [
        Seen(entry["n"], entry.get("control_n") or 0, tuple(entry.get("control_stores") or ()))
        for entry in ledger_of(chosen.store)
        if entry.get("event") == "look" and entry.get("arm") == chosen.arm and entry.get("stage") == sample.stage
        if isinstance(entry.get("n"), int)
    ]
    rivals = [
        arm
        for arm in shelf.arms(chosen.store)
        if arm.role != "control"
        and arm.arm != chosen.arm
        and not _same(arm, control)
        and (sample.stage is None or sample.stage in arm.rows.known("stage"))
    ]
    return replace(
        sample,
        looks=tuple(looks),
        plan=stored_plan(chosen.store, sample.stage, chosen.arm),
        store=chosen.store.name,
        arm=chosen.arm,
        epochs_asked=chosen.epochs_asked,
        siblings=len(rivals),
        config=chosen.config,
    )


def _tried(results: Path, control: Chosen, chosen: Chosen, sample: Sample) -> tuple[str, ...]:
    """Where else this arm was tried beside this control: other stores, and stages of its own that were judged as this one is.

    Descriptions that cannot be read are told by `show`. Of a ladder the stages are one try. A store without a run of its own, a copy,
    is none.
    """
    if not control.config_hash or not chosen.config_hash or chosen.ran_like(control):
        return ()
    before = set(STAGES[1 : STAGES.index(sample.stage)]) if sample.stage in STAGES[1:] else set()
    judged = {
        e.get("stage") for e in ledger_of(chosen.store) if e.get("event") == "look" and e.get("arm") == chosen.arm
    }
    ladder = chosen.store.experiment.get("ladder")
    out = [f"stage {stage} of {chosen.store.name}" for stage in STAGES if stage in before & judged and not ladder]
    for name in store_names(results):
        if name == chosen.store.name:
            continue
        try:
            store = open_store(results, name)
        except StoreError:
            continue
        hashes = {
            (arm.get("role"), arm.get("config_hash")): str(arm.get("name"))
            for arm in store.arms()
            if isinstance(arm, dict)
        }
        arm, base = hashes.get(("candidate", chosen.config_hash)), hashes.get(("control", control.config_hash))
        if arm is None or base is None:
            continue
        pairs = ((arm, chosen), (base, control))
        same = all(first_value(store, there, "code_hash") in own.rows.known("code_hash") for there, own in pairs)
        if same and _has_others(store, arm, chosen):
            out.append(f"{name}:{arm}")
    return tuple(out)


def _has_others(store: Store, arm: str, chosen: Chosen) -> bool:
    """Whether an arm of another store has rows besides those of `chosen`: the same run ids are the same runs."""
    table = read_columns(store.runs_path, store.name, ("run_id", "arm"))
    there = {run for run, own in zip(table.text("run_id"), table.text("arm"), strict=True) if own == arm}
    return not there <= chosen.rows.known("run_id")


def stored_plan(store: Store, stage: str | None, arm: str) -> LookPlan | None:
    """The looks that were planned for an arm in a stage. Raises StoreError where what is stored is no plan."""
    stored = store.experiment.get("sequential", {}).get(stage, {}).get(arm)
    told = [e for e in ledger_of(store) if e.get("event") == "plan" and (e.get("stage"), e.get("arm")) == (stage, arm)]
    if told and told[0].get("plan") != stored:
        raise StoreError(
            f"{store.folder}: the ledger has the plan of looks that {arm} was run by in stage {stage}, and experiment.json has "
            f"{'another one' if stored else 'none'}. Restore experiment.json from a copy."
        )
    if stored is None:
        return None
    from harness.design.looks import read_look_plan

    try:
        return read_look_plan(stored)
    except ValueError as problem:
        raise StoreError(
            f"{store.folder / 'experiment.json'}: sequential plan of {arm}: {problem}. Restore the file from a copy."
        ) from problem


def _split(shelf: Shelf, names: Sequence[str], *, alone: bool = False) -> tuple[Chosen, list[Chosen]]:
    first = shelf.find(names[0])
    if len(names) == 1:
        control = _control_among(first, names[0])
        others = [c for c in first if c is not control]
        if not others and not alone:
            raise UsageError(
                f"{names[0]!r} holds the single arm {control.arm!r}: there is nothing to compare it with. "
                f"Name a candidate: `harness compare {names[0]} CANDIDATE`."
            )
        return control, others
    control = _control_among(first, names[0])
    candidates: list[Chosen] = []
    for name in names[1:]:
        found = shelf.find(name)
        fresh = [c for c in found if c.role != "control"] if len(found) > 1 else found
        candidates += [c for c in fresh if not _same(c, control)]
    if not candidates:
        raise UsageError(
            f"{' '.join(names)}: the control and the candidate are the same runs ({control.store.name}:{control.arm}). "
            "Name two different arms, as EXPERIMENT:ARM."
        )
    doubled = [c for i, c in enumerate(candidates) if any(_same(c, d) for d in candidates[:i])]
    if doubled:
        raise UsageError(f"The candidate {doubled[0].store.name}:{doubled[0].arm} is named twice.")
    return control, candidates


def _control_among(arms: Sequence[Chosen], name: str) -> Chosen:
    if len(arms) == 1:
        return arms[0]
    controls = [c for c in arms if c.role == "control"]
    if len(controls) == 1:
        return controls[0]
    ways = ", ".join(f"{c.store.name}:{c.arm}" for c in arms[:8])
    raise UsageError(
        f"{name!r} holds several arms and none of them is marked as the control. Name the one you mean: {ways}."
    )


def _same(a: Chosen, b: Chosen) -> bool:
    return a.store.name == b.store.name and a.arm == b.arm


def _interleaved_controls(shelf: Shelf, control: Chosen, candidates: Sequence[Chosen]) -> list[Frame]:
    """Runs of the control's configuration and code that ran as a control in the candidates' stores."""
    frames = []
    for store in {c.store.name: c.store for c in candidates}.values():
        if store.name == control.store.name:
            continue
        frames += [arm.rows for arm in shelf.arms(store) if arm.role == "control" and arm.ran_like(control)]
    return frames


def _promises(control: Chosen, candidates: Sequence[Chosen], asked: Collection[str]) -> dict[str, Any]:
    """What the candidates' experiment states, and the control's where it is silent. Raises where candidates disagree."""
    out: dict[str, Any] = {}
    for key in (key for key in PROMISES if key not in asked):
        stated = {c.store.name: c.store.experiment.get(key) for c in candidates}
        values = {repr(v): v for v in stated.values() if v is not None}
        if len(values) > 1:
            raise UsageError(
                f"The candidates' experiments state different values of {key!r}: {stated}. Compare them one by one, or state one: "
                f"--{key.replace('_', '-')} VALUE."
            )
        value = next(iter(values.values()), control.store.experiment.get(key))
        if value is not None:
            out[key] = value
    return out


def _below(frame: Frame, most: int | None) -> NDArray[np.bool_]:
    """Which rows are of replicates below `most`, or of unknown ones."""
    return ~(frame["replicate"] >= (np.inf if most is None else most))


@dataclass(frozen=True)
class SweepSide:
    """The arms of the store that a name of `harness speedup` means, the one arm that it named, and the stated target."""

    arms: tuple[SweepArm, ...]
    wanted: str | None
    target: float | None


def sweep_arms(shelf: Shelf, name: str) -> SweepSide:
    """All arms of a store with their configurations; of `STORE:ARM` too, as the arm names a sweep among them."""
    found = shelf.find(name)
    store = found[0].store
    facts = {str(arm.get("name")): _facts(arm) for arm in store.arms()}
    arms = tuple(
        SweepArm(store.name, make_sample(c.arm, [c.rows]), facts.get(c.arm), c.role) for c in shelf.arms(store)
    )
    target = store.experiment.get("target")
    return SweepSide(
        arms, found[0].arm if len(found) == 1 else None, target if isinstance(target, int | float) else None
    )


def _facts(arm: Mapping[str, Any]) -> dict[str, Any] | None:
    config = arm.get("config")
    if not isinstance(config, dict):
        return None
    return config | {"trainer": arm.get("trainer"), "git revision": arm.get("git")}
