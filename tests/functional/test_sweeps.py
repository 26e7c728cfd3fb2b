"""`harness speedup` on stores of the harness's own: which arms are points of a sweep, and which are named as none."""

from __future__ import annotations

import json

import pytest
from helpers import run_cli, says, shared, write

LEARN = """\
import random

from harness.trainer import Metric, Outcome


def train(seed, steps=200, lr=0.1):
    draw = random.Random(seed)
    slow = draw.uniform(0.9, 1.1) * (0.1 / lr) ** 0.5
    curve = [(at, 1 - 0.8 * slow * at**-0.5 - 0.002 * draw.random()) for at in range(25, steps + 1, 25)]
    metrics = [Metric("test_accuracy", value, step=at, unit="fraction") for at, value in curve]
    return Outcome(correct=round(10000 * curve[-1][1]), total=10000, steps=steps, metrics=tuple(metrics))
"""
BASE = 'trainer = "learn.py"\nseeds = 12\ninvocations = 1\ntarget = 0.94\n'
SWEEP = 'extends = "base"\ncontrol = "base"\n'
FILES = {
    "learn.py": LEARN,
    "experiments/base.toml": BASE.replace("learn.py", "../learn.py"),
    "experiments/plain.toml": SWEEP + "[sweep.grid]\nsteps = [50, 100, 400]\n",
    "experiments/hot.toml": SWEEP + "[config]\nlr = 0.2\n[sweep.grid]\nsteps = [50, 100, 200, 400]\n",
    "experiments/both.toml": SWEEP + "[sweep.grid]\nsteps = [50, 100, 400]\nlr = [0.2, 0.4]\n",
}


@pytest.fixture(scope="module")
def sweeps(tmp_path_factory):
    """A sweep of the control's own lengths, one of another learning rate, and one store with two sweeps."""

    def make(folder):
        for name, text in FILES.items():
            write(folder, name, text)
        for name in ("plain", "hot"):
            says(run_cli("run", name, "-q", cwd=folder), 0)
        return run_cli("run", "both", "-q", cwd=folder)

    folder, done = shared(tmp_path_factory, "sweeps", make)
    says(done, 0)
    return folder


def speedup(folder, *arguments):
    done = run_cli("speedup", *arguments, "--json", cwd=folder)
    says(done, 0)
    return json.loads(done.stdout)


def test_a_control_of_another_configuration_is_no_point_of_the_sweep(sweeps):
    found = speedup(sweeps, "plain", "hot")
    assert [p["length"] for p in found["control"]["points"]] == [50, 100, 200, 400]
    assert "base" in [p["arm"] for p in found["control"]["points"]], "in its own sweep the control is a length"
    assert found["control"]["left_out"] == []
    assert len(found["candidate"]["points"]) == 4
    (gone,) = found["candidate"]["left_out"]
    assert gone["arm"] == "base"
    assert gone["reason"].endswith("more than its length: lr (0.1, in the sweep 0.2)")
    low, high = found["speedup"]["ci95"]
    assert low <= 2 <= high, "half the error at equal steps is the square root of the steps"


def test_what_is_left_out_is_printed_with_its_reason(sweeps):
    done = run_cli("speedup", "plain", "hot", cwd=sweeps)
    says(done, 0)
    assert "left out: base (differs from the sweep in more than its length: lr (0.1, in the sweep 0.2))" in done.stdout


def test_two_sweeps_in_one_store_are_told_apart_by_an_arm(sweeps):
    done = run_cli("speedup", "plain", "both", cwd=sweeps)
    says(done, 2, "'both' holds 2 sweeps of 3 training lengths each", "Name one arm of the sweep", "both:")
    arms = {a["name"]: a["config"] for a in json.loads((sweeps / "results/both/experiment.json").read_text())["arms"]}
    ones = [next(n for n, c in arms.items() if c["lr"] == lr) for lr in (0.2, 0.4)]
    found = speedup(sweeps, *(f"both:{one}" for one in ones))
    for side, lr in (("control", 0.2), ("candidate", 0.4)):
        assert {arms[p["arm"]]["lr"] for p in found[side]["points"]} == {lr}
        assert len(found[side]["points"]) == 3
        assert len(found[side]["left_out"]) == 4, "the other sweep and the control"
    assert found["axis"] == "time_s", "one store: the sweeps share their process starts"


def test_a_sweep_is_not_compared_with_itself(sweeps):
    says(run_cli("speedup", "hot", "hot", cwd=sweeps), 2, "Both sweeps hold the same runs (4 arms,", "EXPERIMENT:ARM")
    arm = json.loads((sweeps / "results/hot/experiment.json").read_text())["arms"][1]["name"]
    says(run_cli("speedup", "hot", f"hot:{arm}", cwd=sweeps), 2, "Both sweeps hold the same runs")
