"""The design: randomised complete blocks, dealt to invocations; fixed by the root seed.

A block is one run of each arm, adjacent in time, in random order, all with one seed (the replicate's). The
order of a block depends on root seed, experiment, stage and replicate alone, so that a campaign that is
interrupted, resumed or topped up runs the same blocks.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from harness.design.seeds import seed_of

MIN_INVOCATIONS, MAX_INVOCATIONS, BLOCKS_PER_INVOCATION = 5, 20, 20


@dataclass(frozen=True)
class Block:
    """The arms of one replicate that are still to run, in their order of running."""

    replicate: int
    seed: int
    arms: tuple[str, ...]


@dataclass(frozen=True)
class Invocation:
    """The blocks of one joint process start."""

    blocks: tuple[Block, ...]

    @property
    def arms(self) -> tuple[str, ...]:
        """Every arm that occurs, in order of first use."""
        return tuple(dict.fromkeys(arm for block in self.blocks for arm in block.arms))

    @property
    def runs(self) -> int:
        return sum(len(block.arms) for block in self.blocks)


@dataclass(frozen=True)
class Plan:
    invocations: tuple[Invocation, ...]

    @property
    def blocks(self) -> int:
        return sum(len(invocation.blocks) for invocation in self.invocations)

    @property
    def runs(self) -> int:
        return sum(invocation.runs for invocation in self.invocations)


def block_order(arms: Sequence[str], *key: object) -> tuple[str, ...]:
    """A random permutation fixed by `key`: sorted by hash, the same on every machine and Python."""

    def rank(arm: str) -> bytes:
        return hashlib.sha256("|".join(map(str, (*key, arm))).encode()).digest()

    return tuple(sorted(arms, key=rank))


def default_invocations(seeds: int) -> int:
    """Five process starts, more in long campaigns: time is replicated by invocations, not by runs."""
    return max(1, min(seeds, max(MIN_INVOCATIONS, min(MAX_INVOCATIONS, seeds // BLOCKS_PER_INVOCATION))))


def make_plan(
    arms: Sequence[str],
    *,
    experiment: str,
    stage: str,
    seeds: int,
    seed_root: int,
    slot: int,
    done: Collection[tuple[str, int]],
    invocations: int | None = None,
    starts: int | None = None,
) -> Plan:
    """What is missing up to `seeds` replicates of every arm; `done` holds (arm, replicate) pairs that are there.

    `invocations` are those of all `seeds`, of which the missing ones get their share; `starts` those of the missing ones.
    """
    blocks = []
    for replicate in range(seeds):
        order = block_order(arms, seed_root, experiment, stage, replicate)
        missing = tuple(arm for arm in order if (arm, replicate) not in done)
        if missing:
            blocks.append(Block(replicate, seed_of(slot, stage, replicate), missing))
    planned = min(seeds, invocations) if invocations else default_invocations(seeds)
    count = min(len(blocks), starts or math.ceil(planned * len(blocks) / seeds))
    return Plan(tuple(Invocation(tuple(part)) for part in _deal(blocks, count)))


def _deal(blocks: Sequence[Block], count: int) -> list[Sequence[Block]]:
    """`count` contiguous parts whose sizes differ by at most one."""
    edges = [round(i * len(blocks) / count) for i in range(count + 1)] if count else []
    return [blocks[a:b] for a, b in itertools.pairwise(edges)]
