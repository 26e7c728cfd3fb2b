"""The plan: the same blocks whatever is done already, balanced orders, and seeds that no two purposes share."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.design.plan import block_order, default_invocations, make_plan
from harness.design.seeds import SEEDS_PER_STREAM, SLOTS, STREAMS, choose_slot, seed_of
from harness.errors import UsageError

ARMS = ("control", "a", "b")


def plan(seeds, done=(), arms=ARMS, **changes):
    facts = {"experiment": "x", "stage": "confirm", "seed_root": 0, "slot": 3} | changes
    return make_plan(arms, seeds=seeds, done=set(done), **facts)


def blocks_of(made):
    return [block for invocation in made.invocations for block in invocation.blocks]


@given(st.integers(1, 60), st.sets(st.tuples(st.sampled_from(ARMS), st.integers(0, 59)), max_size=100))
def test_what_is_missing_and_nothing_else(seeds, done):
    whole, left = plan(seeds), plan(seeds, done)
    wanted = {(arm, r) for arm in ARMS for r in range(seeds)}
    pairs = [(arm, block.replicate) for block in blocks_of(left) for arm in block.arms]
    assert sorted(pairs) == sorted(wanted - done) and left.runs == len(pairs)
    order = {block.replicate: block.arms for block in blocks_of(whole)}
    seed = {block.replicate: block.seed for block in blocks_of(whole)}
    for block in blocks_of(left):
        assert block.seed == seed[block.replicate]
        assert block.arms == tuple(arm for arm in order[block.replicate] if (arm, block.replicate) not in done)
    assert all(invocation.blocks for invocation in left.invocations)


@given(st.integers(1, 40), st.integers(0, 60))
def test_more_seeds_leave_the_first_blocks_as_they_are(seeds, more):
    assert blocks_of(plan(seeds + more))[:seeds] == blocks_of(plan(seeds))


@given(st.integers(1, 2000))
def test_invocations(seeds):
    made = plan(seeds, arms=("a",))
    sizes = [len(invocation.blocks) for invocation in made.invocations]
    assert sum(sizes) == seeds and max(sizes) - min(sizes) <= 1
    assert len(sizes) == default_invocations(seeds) and min(5, seeds) <= len(sizes) <= 20
    replicates = [block.replicate for block in blocks_of(made)]
    assert replicates == sorted(replicates), "invocations follow one another in time"


def test_as_many_invocations_as_asked_for():
    assert len(plan(25, invocations=3).invocations) == 3
    assert len(plan(4, invocations=100).invocations) == 4
    assert len(plan(25, done=[(arm, r) for arm in ARMS for r in range(20)]).invocations) == 1, (
        "the share of what is left"
    )
    assert plan(3, done=[(arm, r) for arm in ARMS for r in range(3)]).invocations == ()


def test_the_root_seed_decides_the_order():
    assert plan(50) == plan(50)
    orders = [[b.arms for b in blocks_of(plan(50, **change))] for change in ({}, {"seed_root": 1}, {"experiment": "y"})]
    assert orders[0] != orders[1] != orders[2] != orders[0]


def test_every_order_comes_as_often_as_chance_says():
    counts = Counter(block.arms for block in blocks_of(plan(6000)))
    assert len(counts) == 6
    assert all(abs(n - 1000) < 6 * 28.9 for n in counts.values()), "six standard deviations"


def test_the_order_does_not_depend_on_how_the_arms_are_listed():
    assert block_order(ARMS, 1) == block_order(ARMS[::-1], 1)
    assert sorted(block_order(ARMS, 1)) == sorted(ARMS)


@given(*[st.tuples(st.integers(0, SLOTS - 1), st.sampled_from(STREAMS), st.integers(0, SEEDS_PER_STREAM - 1))] * 2)
def test_seeds_never_meet(one, other):
    assert 0 <= seed_of(*one) < 2**31
    assert (seed_of(*one) == seed_of(*other)) == (one == other)


@pytest.mark.parametrize("index", [-1, SEEDS_PER_STREAM])
def test_a_stream_ends(index):
    with pytest.raises(UsageError, match=rf"65536 seeds; number {index} was asked for"):
        seed_of(0, "confirm", index)


def test_an_experiment_keeps_its_slot_and_moves_on_where_it_is_taken():
    slot = choose_slot("x", 0, ())
    assert slot == choose_slot("x", 0, ()) != choose_slot("x", 1, ()) and 0 <= slot < SLOTS
    assert len({choose_slot(f"experiment {n}", 0, ()) for n in range(200)}) > 190
    assert choose_slot("x", 0, {slot}) == (slot + 1) % SLOTS
    assert choose_slot("x", 0, set(range(SLOTS)) - {slot - 1}) == slot - 1, "round the end"
    with pytest.raises(UsageError, match="All 8192 seed ranges"):
        choose_slot("x", 0, range(SLOTS))
