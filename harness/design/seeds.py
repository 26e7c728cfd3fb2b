"""Which seed a run gets: ranges that no two experiments, stages or warm-ups share.

The 31-bit seeds (every library takes them) are cut into 8,192 slots; an experiment owns one, chosen by its
name and root seed and moved on where another store of the same results folder holds it already. Within a
slot each stage and the warm-ups have 65,536 seeds of their own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection

from harness.errors import UsageError

SEEDS_PER_STREAM = 2**16
STREAMS = ("screen", "confirm", "final", "warmup")
SLOTS = 2**31 // (SEEDS_PER_STREAM * len(STREAMS))


def choose_slot(experiment: str, seed_root: int, taken: Collection[int]) -> int:
    """The slot of an experiment: fixed by name and root seed, the next free one where it is taken."""
    if len(set(taken)) >= SLOTS:
        raise UsageError(
            f"All {SLOTS} seed ranges of this results folder are in use; start another with --results DIR."
        )
    slot = int.from_bytes(hashlib.sha256(f"{seed_root}|{experiment}".encode()).digest()[:8]) % SLOTS
    while slot in taken:
        slot = (slot + 1) % SLOTS
    return slot


def slot_of(seed: int) -> int:
    """The slot that a seed lies in; a seed from elsewhere (0, 1, 2, ...) lies in one as well."""
    return seed // (SEEDS_PER_STREAM * len(STREAMS))


def seed_of(slot: int, stream: str, index: int) -> int:
    """The seed of replicate `index` of a stage (or of the `index`-th warm-up)."""
    if not 0 <= index < SEEDS_PER_STREAM:
        raise UsageError(
            f"A stage has {SEEDS_PER_STREAM} seeds; number {index} was asked for. Use another experiment name."
        )
    return (slot * len(STREAMS) + STREAMS.index(stream)) * SEEDS_PER_STREAM + index
