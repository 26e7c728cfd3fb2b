"""A machine's end of a campaign that is run from elsewhere: it is asked for one attempt after another.

Nothing in here knows which engine carries the questions and answers.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

from harness.design.plan import Invocation
from harness.executors.base import Campaign, Finished
from harness.executors.local import run_invocation
from harness.plugins import TrainerInfo, is_script, trainer_info
from harness.provenance import host_name, machine_id

Counts = Mapping[tuple[str, int], int]


@dataclass(frozen=True)
class Facts:
    """What a machine says of itself; `refusal` is why it cannot run the campaign, empty where it can. `niceness`: its priority."""

    host: str | None
    machine: str
    refusal: str = ""
    niceness: int = 0


@dataclass(frozen=True)
class Ended:
    """An invocation is over; `failure` is what went wrong with the machinery itself, empty where nothing did."""

    failure: str = ""


@dataclass
class Place:
    """One seat on one machine: `begin` an invocation, then ask for what is `following` until that is Ended.

    An attempt that was given away counts as stored when the next is asked for; only then does the next run start.
    `folder` is the directory that the campaign was started in, `niceness` the priority there, which is taken on where that is allowed:
    engines start their processes at a low one, and a run would wait for whatever else the machine does.
    """

    campaign: Campaign
    folder: str
    niceness: int = 0
    _given: queue.SimpleQueue[Finished | Ended] = field(default_factory=queue.SimpleQueue)
    _stored: queue.SimpleQueue[Mapping[str, str]] = field(default_factory=queue.SimpleQueue)
    _waits: bool = False
    _given_up: dict[str, str] = field(default_factory=dict)

    def facts(self) -> Facts:
        with contextlib.suppress(OSError):  # what a program's arguments name relative to it
            os.chdir(self.folder)
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, self.niceness)
        return Facts(host_name(), machine_id(), refusal(self.campaign), os.nice(0))

    def begin(self, invocation: Invocation, lane: str, tried: Counts, spared: Counts, warmups: int) -> None:
        """Start an invocation; returns at once. `tried`: failed attempts by run, `spared` those that use up no retry, `warmups`:
        warm-ups before."""
        self._given_up = {}
        thread = threading.Thread(target=self._serve, args=(invocation, lane, tried, spared, warmups), daemon=True)
        thread.start()

    def following(self, given_up: Mapping[str, str]) -> Finished | Ended:
        """The next attempt, once it is over. `given_up`: arms that are not wanted any more."""
        if self._waits:
            self._waits = False
            self._stored.put(given_up)
        answer = self._given.get()
        self._waits = isinstance(answer, Finished)
        return answer

    def _serve(self, invocation: Invocation, lane: str, tried: Counts, spared: Counts, warmups: int) -> None:
        campaign = replace(self.campaign, attempts=spared, warmups=self.campaign.warmups + warmups)
        try:
            run_invocation(campaign, invocation, self._give, lane=lane, given_up=self._given_up, tried=tried)
        except BaseException as problem:  # noqa: BLE001 - told to whoever asks next
            self._given.put(Ended(f"{type(problem).__name__}: {problem}"))
        else:
            self._given.put(Ended())

    def _give(self, finished: Finished) -> None:
        self._given.put(finished)
        self._given_up |= self._stored.get()


def refusal(campaign: Campaign) -> str:
    """Why this machine cannot run the campaign as it was planned; empty where it can."""
    for arm in campaign.experiment.arms:
        info = campaign.infos[arm.name]
        problem = _code_problem(info, campaign, arm.name)
        if problem:
            return f"{host_name()} cannot run the arm {arm.name!r}: {problem}"
    return ""


def _code_problem(info: TrainerInfo, campaign: Campaign, arm: str) -> str:
    wanted = campaign.provenance[arm].code_hash
    config = campaign.experiment.arm(arm).config
    if info.commit is not None or is_script(info.ref):
        missing = [path for path in info.sources if not Path(path).is_file()]
        if missing:
            return (
                f"there is no file {missing[0]} there. A trainer that is named by its path must lie on a file system that all machines "
                "share; or install it as a package on each (entry point group 'harness.trainers')."
            )
        found = info.code_hash(config)
    else:
        try:
            found = trainer_info(info.ref).code_hash(config)
        except Exception as problem:  # noqa: BLE001 - whatever its plugin raises there
            return f"{problem} Install the trainer's package there too (version {version('speedrun-harness')} of the harness itself)."
    if found != wanted:
        return (
            f"its code there is {found or 'unknown'}, and the campaign was planned with {wanted or 'unknown'}. Bring the machine to the "
            "same version of the trainer and of the files that a command names, or use a shared file system."
        )
    return ""
