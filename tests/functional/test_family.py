"""The ledger of a baseline: every arm that was ever held against it counts, also those that nobody talks about."""

from __future__ import annotations

import json

import pytest
from helpers import says, write

TRAIN = """\
import random


def train(seed, gain=0.0):
    draw = random.Random(seed + int(1e6 * gain))
    return round(9000 + 10 * draw.gauss(0, 1) + 1e4 * gain), 10000
"""
SWEEP = """\
trainer = "gains.py"
control = "base"
claim = "accurate"
seeds = 12
stage = "confirm"
[[arms]]
name = "base"
"""


@pytest.fixture
def tried(cli_inside, tmp_path):
    """Three experiments against one configuration: a real gain, two of nothing, and one of them on other seeds again."""
    write(tmp_path, "gains.py", TRAIN)
    for name, gains in (("first", (0.004, 0.0001)), ("second", (0.0002,))):
        arms = "".join(f'[[arms]]\nname = "g{gain}"\nconfig.gain = {gain}\n' for gain in gains)
        write(tmp_path, f"{name}.toml", SWEEP + arms)
        says(cli_inside("run", f"{name}.toml", "-q"), 0)
    says(cli_inside("run", "second.toml", "--as", "again", "-q"), 0)
    return tmp_path


def family(cli_inside, name: str):
    shown = cli_inside("show", name, "--json")
    says(shown, 0)
    return json.loads(shown.stdout)["family"]


def test_every_try_is_counted_and_p_is_held_to_all_of_them(cli_inside, tried) -> None:
    found = family(cli_inside, "first")
    assert found["control"] == "first:base"
    tries = {f"{one['store']}:{one['arm']}": one for one in found["tries"]}
    assert set(tries) == {"first:g0.004", "first:g0.0001", "second:g0.0002", "again:g0.0002"}
    real = tries["first:g0.004"]
    assert (real["verdict"], real["runs"], real["looks"]) == ("pass", {"confirm": 12}, [12])
    assert real["holm_p"] == pytest.approx(4 * real["p"])
    assert all(one["holm_p"] >= one["p"] for one in tries.values())


def test_looking_at_the_family_is_no_look(cli_inside, tried) -> None:
    before = (tried / "results/first/ledger.jsonl").read_bytes()
    family(cli_inside, "first")
    assert (tried / "results/first/ledger.jsonl").read_bytes() == before


def test_seeds_that_were_rolled_again_are_told(cli_inside, tried) -> None:
    text = cli_inside("show", "second").stdout
    assert "4 in 3 experiments" in text and "1 of them also as one of 4 (Holm, alpha 0.05)" in text
    assert "tried more than once, on other seeds: again:g0.0002, second:g0.0002" in text


def test_a_store_that_cannot_be_read_is_told_not_passed_over(cli_inside, tried) -> None:
    (tried / "results/again/experiment.json").write_text("{")
    assert "again" in " ".join(family(cli_inside, "first")["unreadable"])


def test_a_store_without_a_control_has_no_family(cli_inside, tmp_path) -> None:
    write(tmp_path, "gains.py", TRAIN)
    says(cli_inside("run", "gains.py", "--seeds", "3", "-q"), 0)
    assert family(cli_inside, "gains") is None
