"""What passes cost, on a store that a function of one's own filled: the table of `show`, its JSON, its picture."""

from __future__ import annotations

import json

import pytest
from helpers import says, write

PASSES = """
import time

NETWORKS = {"narrow": (2e6, 1.0), "middle": (8e6, 3.0), "wide": (32e6, 2.0)}  # multiply-adds, ms


def train(seed, network: str = "narrow", dtype: str = "fp32"):
    macs, ms = NETWORKS[network]
    time.sleep(ms / 1000)
    took = ms * (1 + seed % 5 / 100) * (2 if dtype == "bf16" else 1)
    return {"correct": 8, "total": 8, "macs": macs, "latency_median": took, "throughput": 8000 / took}
"""
EXPERIMENT = """
question = "Are fewer multiply-adds faster?"
trainer = "passes.py"
claim = "time-only"
seeds = 4
invocations = 2
control = "wide"
[[arms]]
name = "wide"
config.network = "wide"
[[arms]]
name = "middle"
config.network = "middle"
[[arms]]
name = "narrow"
config.network = "narrow"
[[arms]]
name = "narrow-bf16"
config = { network = "narrow", dtype = "bf16" }
"""


@pytest.fixture
def measured(cli_inside, tmp_path):
    write(tmp_path, "experiments/passes.py", PASSES)
    write(tmp_path, "experiments/widths.toml", EXPERIMENT)
    says(cli_inside("run", "widths"), 0)
    return cli_inside


def test_a_store_of_passes_shows_what_they_cost(measured):
    document = json.loads(measured("show", "widths", "--json").stdout)
    costs = document["costs"]
    by_arm = {arm["arm"]: arm for arm in costs["arms"]}
    assert by_arm["wide"]["macs"] == 32e6 and by_arm["wide"]["n"] == 4  # the warm-ups are none of them
    assert 2.0 <= by_arm["wide"]["latency_ms"]["value"] <= 2.08
    shown = measured("show", "widths").stdout
    assert "what a pass costs" in shown and "32 M" in shown


def test_a_store_without_them_shows_none(cli_inside, tmp_path):
    write(tmp_path, "plain.py", "def train(seed):\n    return {'correct': seed % 7, 'total': 10, 'macs': 3.0}\n")
    says(cli_inside("run", "plain.py", "--seeds", "2"), 0)
    document = json.loads(cli_inside("show", "plain", "--json").stdout)
    assert document["costs"] is None
    done = cli_inside("show", "plain", "--plot", "costs.svg")
    says(done, 2, "no runs that were measured by passes")
    assert not (tmp_path / "costs.svg").exists()


def test_the_picture_names_every_arm_and_is_the_same_twice(measured, tmp_path):
    says(measured("show", "widths", "--plot", "costs.svg"), 0)
    picture = (tmp_path / "costs.svg").read_text()
    assert picture.startswith("<?xml") and all(f">{arm}<" in picture for arm in ("wide", "middle", "narrow"))
    says(measured("show", "widths", "--plot", "again.svg"), 0)
    assert (tmp_path / "again.svg").read_text() == picture
    says(measured("show", "widths", "--plot", "costs.png"), 0)
    assert (tmp_path / "costs.png").read_bytes().startswith(b"\x89PNG")
    says(measured("show", "widths", "--plot", "costs.doc"), 2, ".svg, .png, .pdf")
    says(measured("show", "widths", "--plot", "nowhere/costs.svg"), 4, "cannot be written")
