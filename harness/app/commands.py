"""The command that does what was priced: every way is tried as a dry run, and only one with those very runs is told."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.design.ladder import Ladder
from harness.errors import HarnessError

COUNTED = "; where those were judged, it is one more try and counted as one (`harness show`)"
FACTS = ("runs", "trainings", "warmups", "invocations", "hours")


@dataclass(frozen=True)
class Asked:
    """An experiment as the command line named it, and what the command has to state besides (`key=value`)."""

    names: tuple[str, ...]
    results: Path
    experiments: Path | None
    sets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Variant:
    """Where the fresh seeds come from: the experiment's own stage and store, another stage, or another store."""

    stage: str | None = None
    store: str | None = None

    @property
    def words(self) -> list[str]:
        stage = [] if self.stage is None else ["--stage", self.stage]
        return stage + ([] if self.store is None else ["--as", self.store])


def command_for(way: Mapping[str, Any], asked: Asked) -> dict[str, Any]:
    """A command to paste (`command`), the runs that its dry run plans (`dry_run`), and why seeds are fresh (`fresh`).

    `command` is None where no variant does what was priced, with the reason.
    """
    why = reason = ""
    for variant in _variants(way["design"], asked):
        try:
            found = _dry_run(way, asked, variant)
        except HarnessError as problem:
            why = why or str(problem).partition(". ")[0]
            reason = reason or str(problem)
            continue
        if found["runs"] == way["runs"]:
            fresh = f"fresh seeds ({shlex.join(variant.words)}), as {why}{COUNTED}" if why else None
            return {"command": _command(way, asked, variant), "dry_run": found, "fresh": fresh, "command_reason": None}
        done = way["runs"] - found["runs"]
        why = why or f"{done} of the {way['runs']} runs are in {found['store']} already, and may have been looked at"
    return {"command": None, "dry_run": None, "fresh": None, "command_reason": reason or why}


def _variants(design: str, asked: Asked) -> Iterator[Variant]:
    """The experiment as it is, its last stage, and stores of other names; a ladder has every stage."""
    from harness.spec import Request, load

    experiment = load(asked.names, Request(experiments=asked.experiments))[0]
    screens = design == "fixed" and experiment.stage == "screen"
    yield Variant("confirm" if screens else None)
    if "ladder" not in design:
        yield Variant("final")
    for number in range(2, 10):
        yield Variant("confirm" if screens else None, f"{experiment.name}-{number}")


def _dry_run(way: Mapping[str, Any], asked: Asked, variant: Variant) -> dict[str, Any]:
    """What the command would plan, by its own code."""
    from harness import spec
    from harness.app import laddering, preparing, sequential

    seeds = None if "sizes" in way else way["seeds"]
    request = spec.Request(spec.parse_sets(asked.sets), None, (), seeds, variant.stage, asked.experiments)
    experiment = spec.load(asked.names, request)[0]
    options = preparing.RunOptions(asked.results, variant.store)
    if "sizes" in way:
        ladder = Ladder(tuple(way["sizes"]), tuple(way["keep"]))
        found = laddering.dry_run(laddering.planned_ladder(experiment, ladder), ladder, options)
        sums = {key: sum(stage[key] for stage in found["stages"]) for key in ("trainings", "warmups", "invocations")}
        found = found | sums
    elif way["design"] == "until-decided":
        planned = sequential.plan_sequence(
            experiment, options, mode="group-sequential", stage_given=variant.stage is not None
        )
        found = planned.as_dict()
    else:
        found = preparing.prepare_run(experiment, options).as_dict()
    return {key: found[key] for key in (*FACTS, "store")}


def _command(way: Mapping[str, Any], asked: Asked, variant: Variant) -> str:
    climbs = "sizes" in way
    words: Sequence[str] = ["harness", "ladder" if climbs else "run", *asked.names]
    size = [] if climbs else ["--seeds", str(way["seeds"])]
    size += ["--sizes", ",".join(map(str, way["sizes"]))] if way["design"] == "larger-ladder" else []
    how = ["--until-decided"] if way["design"] == "until-decided" else []
    sets = [word for pair in asked.sets for word in ("--set", pair)]
    places = ["--results", str(asked.results)] if asked.results != Path("results") else []
    places += [] if asked.experiments is None else ["--experiments", str(asked.experiments)]
    return shlex.join([*words, *how, *size, *variant.words, *sets, *places])
