"""`harness doctor` on this machine: what it sees of a busy neighbour, and a noise floor that its own runs bear out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import says

SPIN = "while True: pass"


def check(document, name: str):
    return next(one for one in document["checks"] if one["name"] == name)


def test_a_look_alone_is_quick_and_complete(cli_inside, tmp_path):
    done = cli_inside("doctor", "--seconds", 0, "--json")
    says(done, 0)
    document = json.loads(done.stdout)
    names = [one["name"] for one in document["checks"]]
    assert {
        "governor",
        "turbo",
        "load",
        "stolen time",
        "share of the cores",
        "threads",
        "memory",
        "disk",
        "file system",
        "source",
    } <= set(names)
    assert all(one["state"] in ("ok", "warn", "bad", "unknown") and one["found"] for one in document["checks"])
    assert document["noise"] is None and "--seconds 0" in document["noise_reason"]
    assert not list(tmp_path.iterdir()), "a look leaves nothing behind"


def test_it_reads_as_a_report(cli_inside):
    done = cli_inside("doctor", "--seconds", 0)
    says(done, 0)
    assert "memory and disk" in done.stdout and "noise floor: unknown" in done.stdout


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="no /proc")
def test_a_busy_neighbour_shows(cli_inside):
    with subprocess.Popen([sys.executable, "-c", SPIN]) as neighbour:
        try:
            document = json.loads(cli_inside("doctor", "--seconds", 0, "--json").stdout)
        finally:
            neighbour.kill()
    load = check(document, "load")
    assert load["state"] in ("warn", "bad") and load["value"]["busy_cores"] > 0.3, load
    seen = {one["pid"]: one["cores"] for one in load["value"]["processes"]}
    assert seen.get(neighbour.pid, 0) > 0.05, "the one that keeps a core busy is named"
    assert document["state"] in ("warn", "bad")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no-such-experiment"], ["Unknown experiment", "no-such-experiment"]),
        (["--seconds", "-1"], ["'-1'"]),
        (["--alpha", "2"], ["'2'"]),
    ],
)
def test_mistakes_are_told(cli_inside, arguments, words):
    says(cli_inside("doctor", *arguments), 2, *words)


TRAIN = """\
import random
import time


def train(seed, steps=1):
    time.sleep(0.002)
    return random.Random(seed).randrange(900, 1000), 1000
"""


def test_somebodys_own_training_is_timed_against_itself(cli, tmp_path):
    (tmp_path / "train.py").write_text(TRAIN)
    done = cli("doctor", "train.py", "--seconds", 0.1, "-q", "--json")
    says(done, 0)
    noise = json.loads(done.stdout)["noise"]
    assert noise["workload"] == "train.py" and noise["starts"] == 3 and noise["blocks"] == 15
    assert 0.002 < noise["time_s"] < 0.1 and noise["start_sd"] > 0
    assert noise["start_sd_ci95"][0] < noise["start_sd"] < noise["start_sd_ci95"][1]
    assert "too few invocations" in noise["false_alarms"]["reason"]
    assert sorted(p.name for p in tmp_path.iterdir()) in (["train.py"], ["__pycache__", "train.py"])


def test_a_training_that_fails_leaves_the_rest_of_the_report(cli, tmp_path):
    (tmp_path / "train.py").write_text("def train(seed):\n    raise RuntimeError('broken')\n")
    done = cli("doctor", "train.py", "--seconds", 0.1, "-q", "--json")
    says(done, 0)
    document = json.loads(done.stdout)
    assert document["noise"] is None and "broken" in document["noise_reason"] and len(document["checks"]) > 10


@pytest.mark.slow
def test_the_shipped_workload_has_a_noise_floor_and_sizes(cli, tmp_path):
    done = cli("doctor", "--seconds", 40, "-q", "--json-file", "doctor.json")
    says(done, 0)
    noise = json.loads((tmp_path / "doctor.json").read_text())["noise"]
    assert noise["starts"] >= 3 and noise["blocks"] == 5 * noise["starts"]
    assert noise["starts"] < 6 or noise["false_alarms"]["rate"] < 0.2
    reach = [plan["detectable"] for plan in noise["reach"]]
    assert all(x > 0 for x in reach) and reach[0] > reach[-1], "more seeds in more process starts show less"
    one, five = noise["need"]
    assert one["starts"] >= five["starts"] >= 5
    assert "to see 1 %" in done.stdout and "smallest difference in time worth testing here" in done.stdout
