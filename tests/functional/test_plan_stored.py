"""`harness plan EXPERIMENT`: whose runs a plan starts from, pairs on shared networks, and a spread of 0 that is none."""

from __future__ import annotations

import json

import numpy as np
import pytest
from helpers import counted, rows_of, run_cli, says, shared, write

VIEWS = """\
import random
from dataclasses import dataclass
from pathlib import Path

from harness.trainer import Outcome, knob


@dataclass(frozen=True)
class Config:
    width: int = knob(2, compute=True)
    views: float = knob(0.25, evaluation=True)


class Views:
    name = "views"
    Config = Config
    clock = "training"
    sources = (Path(__file__),)
    libraries = ()
    environ = {}
    own_process = False

    def prepare(self, config):
        return "data-1"

    def train(self, config, *, seed, clock):
        with clock.running():
            return random.Random(f"{seed} {config.width}").gauss(9400, 40)

    def evaluate(self, trained, config, *, clock):
        noise = random.Random(f"{trained} {config.views}").gauss(0, 20 * config.views)
        return Outcome(correct=round(trained + noise), total=10000)


TRAINER = Views()
"""
ANCHOR = 'trainer = "../views.py"\nseeds = 20\ninvocations = 1\nmargin_pp = 0.1\n'
SCORED = 'extends = "anchor"\ncontrol = "anchor"\nclaim = "accurate"\nmargin_pp = 0.1\nseeds = 20\ninvocations = 1\n[sweep.grid]\n'
FILES = {
    "views.py": VIEWS,
    "experiments/anchor.toml": ANCHOR,
    "experiments/scored.toml": SCORED + "views = [0.1, 0.25, 0.5]\n",
    "experiments/unseen.toml": SCORED + "views = [0.3]\n",
    "experiments/mixed.toml": SCORED + "views = [0.1]\nwidth = [2, 3]\n",
    "same.py": "def train(seed):\n    return 90, 100\n",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An anchor, and a sweep of three ways to score one network (one of them the anchor's own: an A/A that trains for itself)."""

    def make(folder):
        for name, text in FILES.items():
            write(folder, name, text)
        says(run_cli("run", "anchor", "-q", cwd=folder), 0)
        return run_cli("run", "scored", "-q", cwd=folder)

    folder, done = shared(tmp_path_factory, "plan-stored", make)
    says(done, 0)
    return folder


def plan(folder, *arguments):
    done = run_cli("plan", *arguments, "--json", cwd=folder)
    says(done, 0)
    return json.loads(done.stdout)


def accuracies(folder, arm):
    rows = counted(rows_of(folder, "scored"), arm)
    return np.array([100 * float(r["accuracy"]) for r in sorted(rows, key=lambda r: int(r["seed"]))])


def test_arms_that_share_networks_are_planned_in_pairs(folder):
    found = plan(folder, "scored")
    gap = accuracies(folder, "views=0.5") - accuracies(folder, "anchor")
    assert found["pair_sd_pp"] == pytest.approx(gap.std(ddof=1)), "the wider of the two differences"
    assert found["sources"]["pair_sd_pp"] == {
        "value": found["pair_sd_pp"],
        "store": "scored",
        "arm": "views=0.5",
        "n": 20,
    }
    assert found["design"] == "in pairs, on shared networks"
    wanted = ((1.6448536 + 1.2815516) * gap.std(ddof=1) / 0.1) ** 2
    assert found["seeds"] == max(2, int(np.ceil(wanted)))
    apart = plan(folder, "unseen")
    assert apart["seeds"] > 5 * found["seeds"]


def test_networks_are_counted_and_not_their_scores(folder):
    found = plan(folder, "scored")
    assert found["trainings"] == found["seeds"], "the control, two arms and the copy of the control share one network"
    seconds = found["sources"]["time_s"]["value"]
    assert found["hours"] == pytest.approx(found["trainings"] * seconds / 3600)
    assert plan(folder, "unseen")["trainings"] == plan(folder, "unseen")["seeds"]


def test_without_stored_pairs_the_plan_says_so(folder):
    found = plan(folder, "unseen")
    assert found["pair_sd_pp"] is None
    assert found["sources"]["sd_pp"]["store"] == found["sources"]["sd_pp"]["arm"] == "anchor"
    assert "no such pairs are stored yet" in found["notes"][0]


def test_one_arm_that_trains_for_itself_makes_the_plan_one_of_separate_networks(folder):
    found = plan(folder, "mixed")
    assert found["pair_sd_pp"] is None
    assert found["design"] == "balanced, per arm"
    assert "1 of 2 candidates are scored on the control's networks" in found["notes"][0]
    assert found["trainings"] == 2 * found["seeds"]


def test_the_store_alone_says_the_same(folder, tmp_path):
    inside = plan(folder, "scored")
    done = run_cli(
        "plan",
        "scored",
        "--difference-pp",
        0.1,
        "--results",
        folder / "results",
        "--experiments",
        tmp_path,
        "--json",
        cwd=tmp_path,
    )
    says(done, 0)
    outside = json.loads(done.stdout)
    assert (outside["seeds"], outside["pair_sd_pp"]) == (inside["seeds"], inside["pair_sd_pp"])
    assert outside["trainings"] == inside["trainings"]


def test_frozen_control_runs_and_a_given_spread_are_not_pairs(folder):
    for flags, why in ((("--control-runs", 1000), "frozen"), (("--sd-pp", 0.4), "--sd-pp")):
        found = plan(folder, "scored", *flags)
        assert found["pair_sd_pp"] is None
        assert why in found["notes"][0]
    assert found["sources"]["sd_pp"] == "--sd-pp"


def test_where_a_plan_comes_from_is_printed(folder):
    done = run_cli("plan", "scored", cwd=folder)
    says(done, 0)
    assert "pp, from 20 runs of scored:anchor" in done.stdout
    assert "on shared networks: " in done.stdout
    assert "pp, from 20 pairs of scored:views=0.5" in done.stdout
    assert "s, from 20 runs of scored:anchor" in done.stdout
    assert "evaluations of a network that is trained already are not counted" in done.stdout


def test_a_stored_spread_of_0_is_refused(folder):
    says(run_cli("run", "same.py", "--seeds", 5, "-q", cwd=folder), 0)
    done = run_cli("plan", "same", "--difference-pp", 0.1, cwd=folder)
    says(done, 2, "The stored standard deviation is 0: all 5 runs of same:same gave the same accuracy", "--sd-pp S")
    says(run_cli("plan", "same", "--difference-pp", 0.1, "--sd-pp", 0.2, cwd=folder), 0)
