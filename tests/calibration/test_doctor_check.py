"""What the check of the doctor calls "the judgement says faster" is the judgement, with its refusals."""

from __future__ import annotations

import numpy as np

from benchmarks.calibration.draws import Campaign
from benchmarks.doctor_check import share_called_faster
from harness.comparison.frame import Frame
from harness.comparison.pair import Pair, Promise
from harness.comparison.samples import make_sample


def _pair(**columns: tuple[str, str]) -> Pair:
    """Twelve process starts of two arms of one configuration; of `columns` the texts of each arm."""
    drawn = Campaign(invocations=12, process=0.02).samples(
        np.random.default_rng(3), control=94.0, candidate=94.0, speedup=1.0
    )
    samples = []
    for side, sample in enumerate(drawn):
        rows = sample.rows.rows
        same = {"steps": np.full(rows, 400.0), "config_hash": np.full(rows, "c", dtype=object)}
        told = {name: np.full(rows, texts[side], dtype=object) for name, texts in columns.items()}
        samples.append(make_sample(sample.name, [Frame(dict(sample.rows.columns) | same | told, rows)]))
    return Pair(samples[0], samples[1], Promise("time-only", 0.05))


def test_equal_arms_are_rarely_called_faster_and_a_large_effect_nearly_always():
    assert share_called_faster(_pair(), 0.0, 200) < 0.12
    assert share_called_faster(_pair(), 0.1, 50) > 0.9


def test_what_the_judgement_refuses_is_not_called_faster():
    assert share_called_faster(_pair(data_hash=("one", "another")), 0.1, 20) == 0.0
