"""`harness speedup` on stores of the harness's own: which arms are points of a sweep, and which are named as none."""

from __future__ import annotations

import json

import pytest
from helpers import rows_of, run_cli, says, shared, write

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
SWEEP = 'extends = "base"\ncontrol = "base"\nseeds = 12\ninvocations = 3\n'
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
    assert found["axis"] == "time_s", "one store: the sweeps share their three process starts"


def test_a_sweep_is_not_compared_with_itself(sweeps):
    says(run_cli("speedup", "hot", "hot", cwd=sweeps), 2, "Both sweeps hold the same runs (4 arms,", "EXPERIMENT:ARM")
    arm = json.loads((sweeps / "results/hot/experiment.json").read_text())["arms"][1]["name"]
    says(run_cli("speedup", "hot", f"hot:{arm}", cwd=sweeps), 2, "Both sweeps hold the same runs")


# --- along the run ------------------------------------------------------------------------------------------


def long_arm(folder, store):
    arms = json.loads((folder / f"results/{store}/experiment.json").read_text())["arms"]
    return f"{store}:{next(arm['name'] for arm in arms if arm['config']['steps'] == 400)}"


def test_steps_to_the_target_are_followed_along_the_run(sweeps):
    """Error .8 u s^-.5 with u up to 1.1: at 94 % all runs of lr .2 are there by step 125, of lr .1 from step 150 to 250."""
    found = speedup(sweeps, long_arm(sweeps, "plain"), long_arm(sweeps, "hot"), "--along-run", "--target", "0.94")
    control, candidate = found["control"], found["candidate"]
    assert (control["n"], control["reached"], control["censored"]) == (12, 12, 0)
    assert (control["name"], candidate["name"]) == ("plain:steps=400", "hot:steps=400"), "two arms of one name"
    assert 150 <= control["median"] <= 250
    assert candidate["median"] <= 125
    assert control["grid"] == {"evaluations": [16, 16], "gap": [25, 25]}
    low, high = found["rmst_difference"]["ci95"]
    assert low < found["rmst_difference"]["value"] < high < 0
    assert found["rmst_difference"]["value"] == pytest.approx(candidate["rmst"]["value"] - control["rmst"]["value"])
    assert found["logrank"]["p"] < 0.001
    assert found["logrank"]["z"] > 0
    assert any("artefact of the schedule" in note for note in found["notes"]), "never without what it assumes"


def test_runs_that_never_reach_the_target_are_censored_and_counted(sweeps):
    done = run_cli(
        "speedup", long_arm(sweeps, "plain"), long_arm(sweeps, "hot"), "--along-run", "--target", "0.961", cwd=sweeps
    )
    says(done, 0)
    assert "16 evaluations a run, every 25 steps" in done.stdout
    assert "mean up to step 400, candidate - control: -" in done.stdout
    assert "note: only right where the learning rate does not anneal" in done.stdout
    found = speedup(sweeps, long_arm(sweeps, "plain"), long_arm(sweeps, "hot"), "--along-run", "--target", "0.961")
    control = found["control"]
    assert 0 < control["censored"] < 12
    assert control["reached"] + control["censored"] == control["n"] == 12
    assert f"{control['censored']} censored" in done.stdout
    assert found["horizon"] == 400
    assert any("were set beforehand" in note for note in found["notes"])


def test_what_was_not_followed_is_refused_with_what_there_is(sweeps):
    arms = (long_arm(sweeps, "plain"), long_arm(sweeps, "hot"))
    done = run_cli("speedup", *arms, "--along-run", "--metric", "val_accuracy", cwd=sweeps)
    says(done, 2, "has the metric 'val_accuracy'", "stored are: test_accuracy", "--metric", "step=...")
    done = run_cli("speedup", "plain", "hot", "--along-run", cwd=sweeps)
    says(done, 2, "'hot' holds 4 candidates", "--along-run compares two arms")


def test_runs_without_the_metric_are_counted(sweeps, tmp_path):
    import shutil

    shutil.copytree(sweeps / "results", tmp_path / "results")
    path = tmp_path / "results/plain/metrics.csv"
    arm = long_arm(tmp_path, "plain")
    lines = path.read_text().splitlines(keepends=True)
    run = next(
        row["run_id"] for row in rows_of(tmp_path, "plain") if row["arm"] == arm[6:] and row["warmup"] == "false"
    )
    path.write_text("".join(line for line in lines if not line.startswith(run + ",")))
    found = speedup(tmp_path, arm, long_arm(tmp_path, "hot"), "--along-run")
    assert found["control"]["n"] == 11
    assert found["control"]["excluded"]["without the metric at any step"] == 1
    path.write_text("".join([*lines, lines[-1]]))
    last = lines[-1].split(",")[3]
    done = run_cli("speedup", arm, long_arm(tmp_path, "hot"), "--along-run", cwd=tmp_path)
    says(done, 4, f"two values of 'test_accuracy' at step {last}; one is allowed")
