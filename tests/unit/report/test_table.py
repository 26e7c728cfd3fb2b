"""The table of `harness compare`, on a store whose arms went on to another stage: what stands beside what."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from harness.app.judging import judge
from harness.comparison.compare import Comparison
from harness.report.table import table_rows

RESULTS = Path(__file__).resolve().parents[3] / "results"


@pytest.fixture(scope="module")
def tricks(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """Twenty-two arms after screening, four of them confirmed on fresh seeds."""
    results = tmp_path_factory.mktemp("results")
    shutil.copytree(RESULTS / "tricks-cpu", results / "tricks-cpu")  # the judgement is noted in its ledger
    return judge(["tricks-cpu"], results)


def test_candidates_of_two_stages_stand_below_the_control_of_their_own(tricks: Comparison) -> None:
    header, whole, *rows = table_rows(tricks)
    assert (whole[0], whole[1]) == ("control", "20")
    beside: list[str] = []
    for row in rows:
        accuracy = float(re.match(r"[\d.]+", row[header.index("accuracy")])[0])  # type: ignore[index]
        if row[0].startswith("control"):
            beside, base = [*beside, row[0]], accuracy
            continue
        told = float(re.match(r"[−+][\d.]+", row[header.index("vs control")])[0].replace("−", "-"))  # type: ignore[index]
        assert told == pytest.approx(accuracy - base, abs=0.0151), row[0]
    assert beside == ["control (confirm)", "control (screen)"]


def test_candidates_of_one_stage_stand_below_one_control(tricks: Comparison) -> None:
    screened = [one for one in tricks.comparisons if one.candidate.stage == "screen"]
    names = [row[0] for row in table_rows(Comparison(tricks.promise, tricks.control, tuple(screened), tricks.setting))]
    assert names == ["", "control", *(one.candidate.name for one in screened)]
