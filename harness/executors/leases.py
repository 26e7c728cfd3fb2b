"""What is left of a campaign whose invocations other machines run, and what the loss of one of them costs.

An executor takes a lease (an invocation, or what is left of one), gives it to a machine, notes each attempt that comes back,
and says how the lease ended. A lost machine costs the run that it was at: what is left of its invocation is leased again and
goes on elsewhere, under a new invocation.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace

from harness.design.plan import Block, Invocation
from harness.executors.base import Campaign, Finished
from harness.executors.local import State
from harness.logger import new_invocation
from harness.model.run import RunRecord

MOST_LOSSES = 3
"""A run that was under way in so many losses is tried no more: then it may be what kills its machines."""

LOST = ".lost"
Pair = tuple[str, int]


@dataclass
class Lease:
    """What one machine is to run. `warmups`: made by the leases before it; `invocation`: as its last row says, `warm` the arms that
    were warmed up in that, `ran` whether a run of it came back."""

    blocks: tuple[Block, ...]
    warmups: int
    invocation: str = ""
    warm: set[str] = field(default_factory=set)
    ran: bool = False
    ends: int = 0

    @property
    def plan(self) -> Invocation:
        return Invocation(self.blocks)

    @property
    def replicates(self) -> set[int]:
        return {block.replicate for block in self.blocks}

    def enter(self, invocation: str) -> None:
        """A process start of its own: nothing in it is warm yet."""
        self.invocation, self.warm, self.ran = invocation, set(), False


def is_lost(record: RunRecord) -> bool:
    """Whether an attempt failed because its machine was lost, by what `Leases.lost` called it."""
    return record.run_id.endswith(LOST)


class Runs:
    """A set of runs in a byte each, so that a campaign of any length fits into a driver."""

    def __init__(self) -> None:
        self._arms: dict[str, bytearray] = {}

    def add(self, pair: Pair) -> None:
        arm, replicate = pair
        marks = self._arms.setdefault(arm, bytearray())
        marks.extend(bytes(max(0, replicate + 1 - len(marks))))
        marks[replicate] = 1

    def __contains__(self, pair: Pair) -> bool:
        arm, replicate = pair
        marks = self._arms.get(arm, b"")
        return replicate < len(marks) and marks[replicate] == 1


@dataclass
class Leases:
    """The leases of one campaign; `state` stores their attempts and knows which arms are given up."""

    campaign: Campaign
    state: State
    waiting: deque[Lease] = field(default_factory=deque)
    out: int = 0
    done: Runs = field(default_factory=Runs)
    tried: dict[Pair, int] = field(default_factory=dict)
    spared: dict[Pair, int] = field(default_factory=dict)
    losses: dict[Pair | str, int] = field(default_factory=dict)
    left_out: set[Pair] = field(default_factory=set)
    lost_ids: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.tried, self.spared = dict(self.campaign.attempts), dict(self.campaign.attempts)
        warmups = 0
        for invocation in self.campaign.plan.invocations:
            self.waiting.append(Lease(invocation.blocks, warmups))
            warmups += len(invocation.arms)

    @property
    def unfinished(self) -> bool:
        return bool(self.waiting or self.out)

    def take(self) -> Lease | None:
        """The next lease with a run that is wanted; None where none waits."""
        while self.waiting:
            lease = self.waiting.popleft()
            lease.blocks = self.left_of(lease)
            if lease.blocks:
                lease.enter("")
                self.out += 1
                return lease
        return None

    def left_of(self, lease: Lease) -> tuple[Block, ...]:
        """The runs of a lease that are neither done, tried often enough nor given up."""
        blocks = []
        for block in lease.blocks:
            arms = tuple(arm for arm in self.state.wanted(block.arms) if self._may_run((arm, block.replicate)))
            if arms:
                blocks.append(Block(block.replicate, block.seed, arms))
        return tuple(blocks)

    def _may_run(self, pair: Pair) -> bool:
        allowed = self.spared.get(pair, 0) + self.campaign.retries + 1
        return pair not in self.done and pair not in self.left_out and self.tried.get(pair, 0) < allowed

    def note(self, lease: Lease, finished: Finished, machine: str = "") -> None:
        """Store an attempt that came back."""
        self.state.report(finished, machine=machine)
        record = finished.record
        if record.invocation != lease.invocation:
            lease.enter(record.invocation or "")
        if record.warmup:
            lease.warm.add(record.arm)
        lease.ran = lease.ran or not record.warmup
        self.count(record)

    def count(self, record: RunRecord) -> None:
        """Know of an attempt that is stored."""
        if is_lost(record):
            self.lost_ids.add(record.run_id)
        if record.warmup or record.replicate is None:
            return
        pair = (record.arm, record.replicate)
        if record.status == "completed":
            self.done.add(pair)
            for counts in (self.tried, self.spared, self.losses):
                counts.pop(pair, None)
            return
        self.tried[pair] = self.tried.get(pair, 0) + 1
        if is_lost(record):
            self._spare(pair)

    def _spare(self, pair: Pair) -> None:
        """An attempt that a machine cost: it is numbered, and does not use up the run's retries, a few times."""
        self.spared[pair] = self.spared.get(pair, 0) + 1
        self.losses[pair] = self.losses.get(pair, 0) + 1
        if self.losses[pair] >= MOST_LOSSES:
            self.left_out.add(pair)

    def counts_of(self, *leases: Lease) -> tuple[dict[Pair, int], dict[Pair, int]]:
        """Of the runs of these leases: attempts so far, and those of them that use up no retry."""
        mine = {(arm, block.replicate) for lease in leases for block in lease.blocks for arm in block.arms}
        tried = {pair: n for pair, n in self.tried.items() if pair in mine}
        return tried, {pair: n for pair, n in self.spared.items() if pair in mine}

    def has(self, record: RunRecord) -> bool:
        """Whether this run, or this loss, is stored already: a machine that was given up for lost may speak again."""
        if is_lost(record):
            return record.run_id in self.lost_ids
        return not record.warmup and record.replicate is not None and (record.arm, record.replicate) in self.done

    def ended(self, lease: Lease) -> None:
        """A machine is through with its lease. Where it gave up an arm that runs elsewhere, others may try what is left, a few times."""
        self.out -= 1
        lease.ends += 1
        if lease.ends < MOST_LOSSES and self.left_of(lease):
            self.waiting.append(lease)

    def give_back(self, lease: Lease) -> None:
        """Nobody has begun what is left of a lease: it waits again, as often as that happens."""
        self.out -= 1
        self.waiting.append(lease)

    def lost(self, lease: Lease, *, why: str, host: str | None, lane: str) -> RunRecord:
        """A machine is gone in the middle of its lease: the run it was at is a failed attempt that nobody is blamed for."""
        self.out -= 1
        left = self.left_of(lease) or lease.blocks
        block, arm = left[0], left[0].arms[0]
        pair = (arm, block.replicate)
        warming = self._is_warming(lease)
        record = self._lost_record(lease, None if warming else block, arm, why=why, host=host, lane=lane)
        key: Pair | str = f"warm-up {arm}" if warming else pair
        if warming:
            self.losses[key] = self.losses.get(key, 0) + 1
        else:
            self.count(record)
        self.state.report(Finished(record), blamed=self.losses[key] >= MOST_LOSSES)
        if self.left_of(lease):
            self.waiting.appendleft(lease)
        return record

    def _is_warming(self, lease: Lease) -> bool:
        """Whether the machine was at its warm-ups still, as far as its rows tell."""
        return self.campaign.experiment.warmup and not lease.ran and not lease.warm >= set(lease.plan.arms)

    def _lost_record(
        self, lease: Lease, block: Block | None, arm: str, *, why: str, host: str | None, lane: str
    ) -> RunRecord:
        invocation = lease.invocation or new_invocation()
        record = self.campaign.attempt(
            arm,
            block,
            run_id=f"{invocation}{LOST}",
            invocation=invocation,
            lane=lane,
            tried=self.tried.get((arm, block.replicate), 0) if block else 0,
            warmup=block is None,
        )
        return replace(record, status="crashed", host=host, error=why)
