"""What a lost machine costs, which seats a cluster has, and a machine's end of a campaign: without any engine."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.app.preparing import trainer_infos
from harness.design.plan import Block, Invocation, make_plan
from harness.errors import UsageError
from harness.executors.base import Campaign, Finished, Provenance
from harness.executors.leases import MOST_LOSSES, Lease, Leases, is_lost
from harness.executors.local import State
from harness.executors.place import Ended, Place, refusal
from harness.executors.ray import RayExecutor, Spot, spots_of
from harness.executors.slurm import SlurmExecutor
from harness.spec import Request, load

TRAIN = "def train(seed):\n    return seed % 100, 100\n"


@pytest.fixture
def campaign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Campaign:
    """Two arms, four seeds, two invocations."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_text(TRAIN)
    (experiment,) = load(["a.py", "b.py"], Request(seeds=4))
    infos = trainer_infos(experiment)
    plan = make_plan(["a", "b"], experiment="x", stage="confirm", seeds=4, seed_root=0, slot=5, done=(), invocations=2)
    known = {arm: Provenance(info.code_hash({})) for arm, info in infos.items()}
    return Campaign(experiment, plan, infos, known, slot=5, experiment_hash="h")


def leases_of(campaign: Campaign) -> tuple[Leases, list[Finished]]:
    rows: list[Finished] = []
    return Leases(campaign, State(campaign, rows.append)), rows


def made(
    campaign: Campaign, lease: Lease, arm: str, number: int, *, warmup: bool = False, status: str = "completed"
) -> Finished:
    """What a machine gives back of the lease's first block."""
    block = None if warmup else lease.blocks[number]
    record = campaign.attempt(
        arm, block, run_id=f"i{lease.warmups}.{arm}{number}{warmup}{status}", invocation=f"i{lease.warmups}", lane="exclusive", tried=0,
        warmup=warmup,
    )  # fmt: skip
    return Finished(replace(record, status=status, accuracy=0.9 if status == "completed" else None))


def test_a_lost_machine_costs_the_run_that_it_was_at(campaign: Campaign) -> None:
    leases, rows = leases_of(campaign)
    lease = leases.take()
    assert lease is not None and len(lease.blocks) == 2
    first, second = lease.blocks[0].arms
    for arm in (first, second):
        leases.note(lease, made(campaign, lease, arm, 0, warmup=True))
    leases.note(lease, made(campaign, lease, first, 0))
    lost = leases.lost(lease, why="gone", host="node", lane="exclusive")
    assert (lost.arm, lost.replicate, lost.warmup, lost.status) == (second, lease.blocks[0].replicate, False, "crashed")
    assert (lost.invocation, lost.host, lost.error, lost.attempt) == ("i0", "node", "gone", 1)
    assert is_lost(lost) and rows[-1].record is lost
    assert leases.has(lost) and not leases.has(replace(lost, run_id="another.lost")), "a loss is stored once as well"
    again = leases.take()
    assert again is lease and again.invocation == ""
    assert [block.arms for block in again.blocks] == [(second,), campaign.plan.invocations[0].blocks[1].arms]
    tried, spared = leases.counts_of(again)
    assert tried == spared == {(second, again.blocks[0].replicate): 1}, "it is numbered, and uses up no retry"
    assert not leases.state.given_up


def test_before_its_arms_are_warm_a_machine_was_at_a_warm_up(campaign: Campaign) -> None:
    leases, _ = leases_of(campaign)
    lease = leases.take()
    assert lease is not None
    leases.note(lease, made(campaign, lease, "a", 0, warmup=True))
    lost = leases.lost(lease, why="gone", host=None, lane="exclusive")
    assert lost.warmup and lost.replicate is None and lost.seed is None
    assert leases.counts_of(lease) == ({}, {})


def test_a_night_of_losses_gives_no_arm_up_and_a_run_that_kills_machines_is_left_out(campaign: Campaign) -> None:
    leases, _rows = leases_of(campaign)
    both = [leases.take(), leases.take()]
    for lease in both:  # a run of each of two invocations, on two machines that go at once
        assert lease is not None
        for arm in ("a", "b"):
            leases.note(lease, made(campaign, lease, arm, 0, warmup=True))
        leases.lost(lease, why="gone", host=None, lane="exclusive")
    assert not leases.state.given_up
    poison = {}
    for _ in range(MOST_LOSSES - 1):
        lease = leases.take()
        assert lease is not None
        for arm in ("a", "b"):
            leases.note(lease, made(campaign, lease, arm, 0, warmup=True))
        poison = leases.lost(lease, why="gone", host=None, lane="exclusive").__dict__
    assert poison["attempt"] == MOST_LOSSES
    lease = leases.take()
    assert lease is not None
    assert (poison["arm"], poison["replicate"]) not in {(a, b.replicate) for b in lease.blocks for a in b.arms}
    assert leases.state.failures == {(poison["arm"], ""): 1}, "now, and only now, it counts as a failure of its arm"


def test_an_arm_that_was_given_up_on_one_machine_is_tried_elsewhere_and_not_for_ever(campaign: Campaign) -> None:
    leases, _ = leases_of(campaign)
    starts = 0
    while (lease := leases.take()) is not None:
        starts += 1
        for number, block in enumerate(lease.blocks):
            if "a" in block.arms:
                leases.note(lease, made(campaign, lease, "a", number))
        leases.ended(lease)
    assert starts == 2 * MOST_LOSSES and not leases.unfinished


def test_an_arm_that_only_fails_on_one_of_several_machines_is_not_given_up_everywhere(campaign: Campaign) -> None:
    leases, _ = leases_of(campaign)
    leases.state.machines = {"sick", "well"}
    lease, other = leases.take(), leases.take()
    assert lease is not None and other is not None
    for number in (0, 1, 0):
        leases.note(lease, made(campaign, lease, "a", number, status="crashed"), "sick")
    assert leases.state.failing("sick") == {"a"} and not leases.state.given_up
    for number in (0, 1):
        leases.note(other, made(campaign, other, "a", number, status="crashed"), "well")
    assert not leases.state.given_up
    leases.note(other, made(campaign, other, "a", 0, status="crashed"), "well")
    assert set(leases.state.given_up) == {"a"}, "two machines agree"


def test_an_arm_that_only_fails_where_no_other_machine_is_left_is_given_up(campaign: Campaign) -> None:
    leases, _ = leases_of(campaign)
    leases.state.machines = {"alone"}
    lease = leases.take()
    assert lease is not None
    for number in (0, 1, 0):
        leases.note(lease, made(campaign, lease, "a", number, status="crashed"), "alone")
    assert set(leases.state.given_up) == {"a"}


def test_what_a_driver_remembers_of_a_run_that_is_done_is_a_byte(campaign: Campaign) -> None:
    replicates, arms = 4_000, ("a", "b")
    blocks = tuple(Block(number, number, arms) for number in range(replicates))
    leases, _ = leases_of(replace(campaign, plan=replace(campaign.plan, invocations=(Invocation(blocks),))))
    lease = leases.take()
    assert lease is not None
    failed, completed = made(campaign, lease, "a", 0, status="crashed").record, made(campaign, lease, "a", 0).record
    tracemalloc.start()
    for number in range(replicates):
        for arm in arms:
            leases.count(replace(failed, arm=arm, replicate=number))
            leases.count(replace(completed, arm=arm, replicate=number))
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 4 * replicates * len(arms), "bytes: a set of pairs takes a hundred a run"
    assert not leases.left_of(lease) and leases.counts_of(lease) == ({}, {})


def test_a_lease_that_nobody_began_waits_as_often_as_that_happens(campaign: Campaign) -> None:
    leases, _ = leases_of(campaign)
    for _ in range(3 * MOST_LOSSES):
        lease = leases.take()
        assert lease is not None
        leases.give_back(lease)
    assert [lease.warmups for lease in leases.waiting] in ([0, 2], [2, 0]) and not leases.out


def node(name: str, cores: float, gpus: float = 0) -> dict[str, Any]:
    return {"NodeID": name, "NodeManagerAddress": f"10.0.0.{name}", "Resources": {"CPU": cores, "GPU": gpus}}


def test_a_gpu_is_a_seat_with_its_share_of_the_cores() -> None:
    nodes = [node("1", 16, 2), node("2", 8), node("3", 8, 1)]
    spots = spots_of(nodes, accelerated=True, workers=None, cpus=None)
    assert [(s.node, s.cpus, s.gpus, s.crowded) for s in spots] == [
        ("1", 8, 1, False),
        ("3", 8, 1, False),
        ("1", 8, 1, False),
    ]


def test_without_gpus_a_node_is_a_seat_as_a_whole() -> None:
    nodes = [node("1", 16), node("2", 8), node("3", 0)]
    for accelerated in (True, False):
        spots = spots_of(nodes, accelerated=accelerated, workers=None, cpus=None)
        assert [(s.node, s.cpus, s.crowded) for s in spots] == [("1", 16, False), ("2", 8, False)]
    assert spots_of([node("1", 16, 4)], accelerated=False, workers=None, cpus=None) == [Spot("1", "10.0.0.1", 16)]


def test_fewer_workers_take_fewer_seats_and_more_share_them() -> None:
    nodes = [node("1", 16), node("2", 1)]
    assert [s.node for s in spots_of(nodes, accelerated=False, workers=1, cpus=None)] == ["1"]
    shared = spots_of(nodes, accelerated=False, workers=5, cpus=None)
    assert [(s.node, s.cpus) for s in shared] == [("1", 5), ("2", 0.3333), ("1", 5), ("2", 0.3333), ("1", 5)]
    assert all(s.crowded for s in shared) and len(set(shared)) == 5
    assert spots_of([], accelerated=False, workers=3, cpus=None) == []


def test_a_node_that_refused_gets_no_seat_and_leaves_the_gpus_wanted() -> None:
    nodes = [node("1", 16, 2), node("2", 8)]
    assert spots_of(nodes, accelerated=True, workers=None, cpus=None, without={"1"}) == []
    assert [s.node for s in spots_of(nodes, accelerated=False, workers=1, cpus=None, without={"1"})] == ["2"]


def test_an_invocation_that_leaves_cores_to_others_is_not_alone() -> None:
    (spot,) = spots_of([node("1", 16)], accelerated=False, workers=None, cpus=4)
    assert (spot.cpus, spot.crowded) == (4, True)


def test_a_place_gives_one_attempt_after_another_and_starts_no_run_unasked(campaign: Campaign, tmp_path: Path) -> None:
    place = Place(campaign.portable(), str(tmp_path), os.nice(0))
    assert place.facts().refusal == ""
    place.begin(campaign.plan.invocations[0], "exclusive", {}, {}, 0)
    found = []
    while not isinstance(answer := place.following({}), Ended):
        found.append(answer)
    assert answer.failure == ""
    assert [f.record.warmup for f in found] == [True, True, False, False, False, False]
    assert len({f.record.invocation for f in found}) == 1
    assert all(f.record.correct == f.record.seed % 100 for f in found)


def test_a_place_stops_with_an_arm_that_was_given_up_elsewhere(campaign: Campaign, tmp_path: Path) -> None:
    place = Place(campaign.portable(), str(tmp_path), os.nice(0))
    place.begin(campaign.plan.invocations[0], "exclusive", {}, {}, 0)
    found = []
    while not isinstance(answer := place.following({"b": "it fails"} if found else {}), Ended):
        found.append(answer)
    assert [f.record.arm for f in found if not f.record.warmup] == ["a", "a"]


def test_a_machine_without_the_campaigns_code_refuses(campaign: Campaign, tmp_path: Path) -> None:
    assert refusal(campaign) == ""
    (tmp_path / "a.py").write_text(TRAIN + "# another version\n")
    assert "cannot run the arm 'a': its code there is" in refusal(campaign)
    (tmp_path / "a.py").unlink()
    assert "there is no file" in refusal(campaign) and "share" in refusal(campaign)


@pytest.mark.parametrize(
    ("executor", "library", "extra"), [(RayExecutor, "ray", "ray"), (SlurmExecutor, "submitit", "slurm")]
)
def test_a_missing_library_names_what_brings_it(
    campaign: Campaign, monkeypatch: pytest.MonkeyPatch, executor: Any, library: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(UsageError, match=rf"uv sync --extra {extra}` or .*, or `pip install {library}`"):
        executor().run(campaign, lambda finished: None)


def test_the_engines_are_not_imported_before_they_are_used() -> None:
    code = (
        "import sys, harness.executors.ray, harness.executors.slurm, harness.testing;"
        "print([m for m in ('ray', 'submitit', 'torch', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
