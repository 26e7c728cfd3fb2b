"""The Ray executor: invocations on the nodes of a Ray cluster, one at a time on a GPU or a CPU node.

Every seat (a GPU; where none is wanted or there, a node) has an actor that runs one invocation after another with the machinery
of the local executor, and is asked for one attempt after another. The driver is the only writer: an attempt is stored before
the next run of its invocation begins. Written against Ray 2.60.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from harness.errors import UsageError, install
from harness.executors.base import Campaign, Finished, Result
from harness.executors.leases import Lease, Leases
from harness.executors.local import State
from harness.executors.place import Facts, Place

LOOK_EVERY_S = 5.0
"""How often the driver looks for nodes that came or went."""
MOST_FAILURES = 3
"""A seat that failed so often without an invocation between, or could not be started, is left alone."""
DEFAULT_PATIENCE_S = 600.0
STARTING_S = 120.0
"""An actor that starts is waited for at least so long, however short the patience."""
KNOCK_S = 10.0
QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": "error", "configure_logging": False}


@dataclass(frozen=True)
class Spot:
    """Where an actor may sit: a share of a node. `address`: the node's; `crowded`: others of this campaign share its device."""

    node: str
    address: str
    cpus: float
    gpus: float = 0.0
    crowded: bool = False
    number: int = 0


@dataclass
class Seat:
    """An actor on a spot; `asked` is its answer to come, `facts` what it said of itself, `lease` what it runs."""

    spot: Spot
    actor: Any
    asked: Any = None
    facts: Facts | None = None
    lease: Lease | None = None
    lane: str = ""


class RayExecutor:
    """Runs invocations on an existing Ray cluster, else on one that it starts on this machine."""

    options: ClassVar[Mapping[str, str]] = {
        "address": "the cluster's, as in RAY_ADDRESS (default: that variable, else a cluster of this machine, else a new one)",
        "cpus": "cores that an invocation reserves (default: all of its node, or its GPU's share of them)",
        "patience": "seconds without any node that can be used, after which the campaign ends (default: 600)",
    }

    def __init__(self) -> None:
        self.settings: dict[str, str] = {}
        self.tell: Callable[[str], None] = lambda line: None

    def check(self) -> None:
        """Raises UsageError for an option's value that cannot be."""
        for key in ("cpus", "patience"):
            _number(self.settings, key)

    def run(self, campaign: Campaign, on_finished: Callable[[Finished], None]) -> Result:
        ray = _library()
        cpus = _number(self.settings, "cpus")
        patience_s = _number(self.settings, "patience") or DEFAULT_PATIENCE_S
        with _connected(ray, self.settings.get("address"), self.tell):
            drive = _Drive(ray, campaign, State(campaign, on_finished), cpus, patience_s, self.tell)
            return drive.run()


def _library() -> Any:
    # Under `uv run` Ray would make an environment of its own for each process by uv; the nodes have theirs.
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    try:
        import ray
    except ImportError as problem:
        raise UsageError(
            f"The executor 'ray' needs the package ray, which is not installed here: {install('ray')}. --executor local runs on this "
            "machine."
        ) from problem
    return ray


def _number(settings: Mapping[str, str], key: str) -> float | None:
    text = settings.get(key)
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise UsageError(f"--executor-option {key}={text}: allowed is a number above 0.")
    return value


@contextlib.contextmanager
def _connected(ray: Any, address: str | None, tell: Callable[[str], None]) -> Iterator[None]:
    """A connection to a cluster: the caller's own, the one that was named, one that runs on this machine, or a new one."""
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    wanted = address or os.environ.get("RAY_ADDRESS")
    try:
        _knock(wanted)
        ray.init(address=wanted or "auto", **QUIET)
        where = "the cluster"
    except RuntimeError as problem:  # of another version of Ray or Python
        raise UsageError(
            f"The Ray cluster cannot be used from here: {' '.join(str(problem).split())[:400]} Install the same versions of Ray and "
            "Python on this machine and on its nodes."
        ) from problem
    except (OSError, ValueError) as problem:
        if wanted:
            raise UsageError(
                f"There is no Ray cluster at {wanted!r} ({_first_line(problem)}). Start one with `ray start --head`, name another with "
                "--executor-option address=HOST:PORT, or unset RAY_ADDRESS: then one is started on this machine."
            ) from problem
        os.environ.setdefault("RAY_worker_niceness", "0")
        ray.init(address="local", include_dashboard=False, **QUIET)
        where = "a cluster of its own on this machine, as none was running,"
    try:
        nodes = _alive(ray)
        cores, gpus = (sum(n["Resources"].get(kind, 0) for n in nodes) for kind in ("CPU", "GPU"))
        tell(f"ray: {where} with {len(nodes)} nodes, {cores:g} cores, {gpus:g} GPUs")
        yield
    finally:
        ray.shutdown()


def _knock(address: str | None) -> None:
    """Raises OSError where nothing listens at HOST:PORT: Ray itself would try for minutes."""
    host, colon, port = (address or "").rpartition(":")
    if colon and port.isdecimal() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK_S).close()


def _first_line(problem: BaseException) -> str:
    return (str(problem).strip().splitlines() or [type(problem).__name__])[0][:200]


def _alive(ray: Any) -> list[dict[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"]]


def spots_of(
    nodes: Sequence[Mapping[str, Any]],
    *,
    accelerated: bool,
    workers: int | None,
    cpus: float | None,
    without: Collection[str] = (),
) -> list[Spot]:
    """The seats of a cluster, whole devices first: a GPU each where GPUs are wanted and there, else a node each.

    `nodes` as `ray.nodes()` describes them; `workers`: invocations at a time, more than there are devices share them; `cpus`: cores
    of an invocation; `without`: nodes that get none. A CPU invocation that leaves cores to others is crowded, as it cannot know what
    they do.
    """
    wholes: list[Spot] = []
    on_gpus = accelerated and any(node["Resources"].get("GPU", 0) >= 1 for node in nodes)
    for node in nodes:
        name, address = str(node["NodeID"]), str(node["NodeManagerAddress"])
        cores, gpus = float(node["Resources"].get("CPU", 0)), int(node["Resources"].get("GPU", 0))
        if name in without:
            continue
        if on_gpus:
            share = _whole(cores / gpus) if gpus else 0.0
            wholes += [Spot(name, address, min(cpus or share, cores), 1.0, False, number) for number in range(gpus)]
        elif cores > 0:
            wholes.append(Spot(name, address, min(cpus or cores, cores), 0.0, cpus is not None and cpus < cores))
    wholes.sort(key=lambda spot: spot.number)  # one a node before a second one
    if workers is None or workers <= len(wholes) or not wholes:
        return wholes[:workers]
    each = -(-workers // len(wholes))
    parts = [
        Spot(w.node, w.address, _whole(w.cpus / each), w.gpus / each, True, w.number * each + part)
        for part in range(each)
        for w in wholes
    ]
    return parts[:workers]


def _whole(cores: float) -> float:
    """A share that Ray takes: whole cores, or less than one."""
    return float(int(cores)) if cores >= 1 else round(cores, 4)


@dataclass
class _Drive:
    """One campaign on a connected cluster."""

    ray: Any
    campaign: Campaign
    state: State
    cpus: float | None
    patience_s: float
    tell: Callable[[str], None]
    seats: dict[Spot, Seat] = field(default_factory=dict)
    failures: dict[Spot, int] = field(default_factory=dict)
    refusals: dict[str, str] = field(default_factory=dict)
    machines: dict[str, str] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    looked: float = float("-inf")
    heard: float = field(default_factory=time.monotonic)
    leases: Leases = field(init=False)
    packed: Any = field(init=False)

    def __post_init__(self) -> None:
        self.leases = Leases(self.campaign, self.state)
        self.packed = self.ray.put(self.campaign.portable())

    def run(self) -> Result:
        try:
            while self.leases.unfinished and self._staff():
                self._hand_out()
                if not self._listen():
                    break
        finally:
            for seat in self.seats.values():
                self._dismiss(seat)
        return Result(dict(self.state.given_up), self.lost)

    def _staff(self) -> bool:
        """An actor on every spot that has none, as far as there is work for it; False where every node refused or failed."""
        if time.monotonic() - self.looked < LOOK_EVERY_S:
            return True
        self.looked = time.monotonic()
        accelerated = any(info.accelerated for info in self.campaign.infos.values())
        nodes = _alive(self.ray)
        spots = spots_of(
            nodes, accelerated=accelerated, workers=self.campaign.workers, cpus=self.cpus, without=self.refusals
        )
        free = [s for s in spots if s not in self.seats and self.failures.get(s, 0) < MOST_FAILURES]
        if nodes and not free and not self.seats and (spots or self.refusals):
            if not spots:
                raise UsageError(f"{next(iter(self.refusals.values()))} No run was lost; the same command goes on.")
            self._tell_lost("every node failed or refused")
            return False
        idle = sum(1 for seat in self.seats.values() if seat.lease is None)
        most = self.campaign.workers or len(spots)
        for spot in free[: max(0, min(len(self.leases.waiting) - idle, most - len(self.seats)))]:
            self.seats[spot] = self._hire(spot)
        return True

    def _hire(self, spot: Spot) -> Seat:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        made = self.ray.remote(Place).options(
            num_cpus=spot.cpus,
            num_gpus=spot.gpus,
            max_restarts=0,
            scheduling_strategy=NodeAffinitySchedulingStrategy(spot.node, soft=False),
        )
        self.heard = time.monotonic()
        actor = made.remote(self.packed, str(Path.cwd()), os.nice(0))
        return Seat(spot, actor, asked=actor.facts.remote())

    def _hand_out(self) -> None:
        self.state.machines = {spot.node for spot in self.seats}
        doubtful = {spot for spot in self.seats if self._is_doubtful(spot.node)}
        if doubtful == self.seats.keys() and all(seat.lease is None for seat in self.seats.values()):
            doubtful.clear()  # nobody else is there to say whether it is the node or the arm
        for seat in self.seats.values():
            if seat.facts is None or seat.lease is not None or seat.spot in doubtful:
                continue
            lane = self._lane_of(seat)
            lease = self.leases.take() if lane else None
            if lease is None:
                continue
            seat.lease, seat.lane = lease, lane
            seat.actor.begin.remote(lease.plan, lane, *self.leases.counts_of(lease), lease.warmups)
            seat.asked = seat.actor.following.remote(self._unwanted())

    def _is_doubtful(self, node: str) -> bool:
        """Whether an arm that is not given up only fails on this node: others have the word first."""
        return bool(self.state.failing(node) - self.state.given_up.keys())

    def _lane_of(self, seat: Seat) -> str:
        """Shared where others of this campaign may run on the same device; empty where one of them was promised to be alone."""
        if seat.spot.crowded:
            return "shared"
        if seat.spot.gpus:
            return "exclusive"
        beside = [s for s in self.seats.values() if s is not seat and self._machine(s) == self._machine(seat)]
        if any(s.lease is not None and s.lane == "exclusive" for s in beside):
            return ""
        return "shared" if beside else "exclusive"

    def _machine(self, seat: Seat) -> str:
        """What runs the seat's node: several nodes, or containers, may be on one machine."""
        return self.machines.get(seat.spot.address, seat.spot.address)

    def _unwanted(self) -> dict[str, str]:
        return dict(self.state.given_up)

    def _listen(self) -> bool:
        """Hear whoever has something to say, for a second; False once patience is over with a cluster that has no seat."""
        asked = {seat.asked: seat for seat in self.seats.values() if seat.asked is not None}
        if any(seat.facts is not None for seat in self.seats.values()):
            self.heard = time.monotonic()
        patience_s = max(self.patience_s, STARTING_S) if self.seats else self.patience_s
        if time.monotonic() - self.heard > patience_s:
            self._tell_lost(f"no node could be used for {patience_s:g} s")
            return False
        if not asked:
            time.sleep(0.2)
            return True
        ready, _ = self.ray.wait(list(asked), num_returns=1, timeout=1.0)
        if (
            ready and len(asked) > 1
        ):  # all that can be heard now: a question over many costs the more, the more there are
            ready, _ = self.ray.wait(list(asked), num_returns=len(asked), timeout=0)
        for reference in ready:
            self._hear(asked[reference], reference)
        return True

    def _hear(self, seat: Seat, reference: Any) -> None:
        try:
            answer = self.ray.get(reference)
        except self.ray.exceptions.RayTaskError as problem:
            self._fail(seat, f"{type(problem.cause).__name__}: {problem.cause}")
            return
        except self.ray.exceptions.RayError as problem:
            self._bury(seat, problem)
            return
        seat.asked = None
        if isinstance(answer, Facts):
            self._welcome(seat, answer)
            return
        assert seat.lease is not None
        if isinstance(answer, Finished):
            self.leases.note(seat.lease, answer, seat.spot.node)
            seat.asked = seat.actor.following.remote(self._unwanted())
            return
        if answer.failure:
            self._fail(seat, answer.failure)
            return
        self.failures.pop(seat.spot, None)
        lease, seat.lease, seat.lane = seat.lease, None, ""
        self.leases.ended(lease)
        if self._is_doubtful(seat.spot.node):
            arms = ", ".join(sorted(self.state.failing(seat.spot.node) - self.state.given_up.keys()))
            self._tell_lost(
                f"on {_host(seat)} {arms} only fails: it gets nothing more unless another node finds the same"
            )
        self._spread()

    def _welcome(self, seat: Seat, facts: Facts) -> None:
        if facts.refusal:
            self.refusals[seat.spot.node] = facts.refusal
            self._close(seat)
            self.looked = float("-inf")
            self._tell_lost(f"a node is left out: {facts.refusal}")
            return
        seat.facts = facts
        if facts.niceness > os.nice(0):
            self.tell(
                f"ray: {facts.host} runs at a low priority (nice {facts.niceness}), so that other programs there make its runs "
                "slower. Start its node with RAY_worker_niceness=0 in the environment."
            )
        self.machines[seat.spot.address] = facts.machine

    def _spread(self) -> None:
        """More work may wait than a moment ago: look for seats again soon."""
        if self.leases.waiting:
            self.looked = min(self.looked, time.monotonic() - LOOK_EVERY_S + 0.5)

    def _close(self, seat: Seat) -> None:
        del self.seats[seat.spot]
        self._dismiss(seat)

    def _fail(self, seat: Seat, why: str) -> None:
        """What runs the trainers there failed, not a run: its invocation goes on elsewhere, and the seat is tried again, a few times."""
        self._close(seat)
        self.failures[seat.spot] = self.failures.get(seat.spot, 0) + 1
        if seat.lease is not None:
            self.leases.give_back(seat.lease)
        self._tell_lost(f"{_host(seat)} could not run its invocation, which goes on elsewhere: {why}")

    def _bury(self, seat: Seat, problem: BaseException) -> None:
        """An actor is gone, with its node or alone."""
        self._close(seat)
        host = _host(seat)
        if seat.facts is None:
            self.failures[seat.spot] = self.failures.get(seat.spot, 0) + 1
            self._tell_lost(f"nothing could be started on {host}: {type(problem).__name__}: {_first_line(problem)}")
        if seat.lease is None:
            return
        why = f"lost with its machine or its process: {type(problem).__name__} on {host}"
        record = self.leases.lost(seat.lease, why=why, host=host, lane=seat.lane)
        self._tell_lost(f"{host} was lost in invocation {record.invocation}; what was left of it goes on elsewhere")
        self.looked = float("-inf")

    def _tell_lost(self, line: str) -> None:
        self.lost.append(line)
        self.tell(f"ray: {line}")

    def _dismiss(self, seat: Seat) -> None:
        with contextlib.suppress(Exception):
            self.ray.kill(seat.actor, no_restart=True)


def _host(seat: Seat) -> str:
    return (seat.facts.host if seat.facts else None) or seat.spot.address
