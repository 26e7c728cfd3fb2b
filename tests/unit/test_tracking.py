"""Runs as a tracking service takes them, without the service: what needs no library of its own."""

from __future__ import annotations

import importlib.util
import posixpath
import re
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UsageError
from harness.logger import ExperimentLogger
from harness.store.read import existing_store
from harness.tracking import export_runs, nested, tracked_runs
from harness.tracking.to_mlflow import names_of


@pytest.mark.parametrize(
    ("flat", "tables"),
    [
        ({"lr.end": 1, "lr.max": 2, "batch": 3}, {"lr": {"end": 1, "max": 2}, "batch": 3}),
        ({"lr": 1, "lr.end": 2}, {"lr": 1, "lr.end": 2}),
        ({"lr.end": 2, "lr": 1, "lr.end.at": 3}, {"lr": 1, "lr.end": 2, "lr.end.at": 3}),
        ({}, {}),
    ],
)
def test_dotted_keys_become_tables(flat: dict[str, Any], tables: dict[str, Any]) -> None:
    assert nested(flat) == tables


def test_a_run_has_one_identity_in_its_store_and_another_in_a_second(tmp_path: Path) -> None:
    ids = []
    for name in ("one", "two"):
        with ExperimentLogger(name, results=tmp_path) as logger:
            logger.log(run_id="r0", arm="a", seed=1, accuracy=0.5)
            logger.log(run_id="r1", arm="a", seed=2, accuracy=0.5)
        store = existing_store(tmp_path, name)
        ids += [run.id for run in tracked_runs(store, store.table())]
        assert ids[-2:] == [run.id for run in tracked_runs(store, store.table())]
    assert len(set(ids)) == 4


def test_an_unknown_value_is_left_out_and_never_0(tmp_path: Path) -> None:
    with ExperimentLogger("bare", results=tmp_path) as logger:
        logger.describe({"name": "bare", "arms": [{"name": "a", "config": None}]})
        logger.log(arm="a", seed=1, accuracy=0.5)
    store = existing_store(tmp_path, "bare")
    (run,) = tracked_runs(store, store.table())
    assert run.summary == {"accuracy": 0.5} and run.history == ()
    assert "block" not in run.config["harness"] and run.config["harness"]["seed"] == 1
    assert run.settings == {}


def test_a_name_that_mlflow_refuses_has_another_of_its_own() -> None:
    keys = ["loss", "val/loss", "top-5 acc (%)", "top-5 acc [%]", "top-5 acc ___", "a//b", "..", "x" * 300, "f_1"]
    names = names_of(keys)
    assert {key: names[key] for key in ("loss", "val/loss", "f_1", "top-5 acc ___")} == {
        "loss": "loss", "val/loss": "val/loss", "f_1": "f_1", "top-5 acc ___": "top-5 acc ___",
    }  # fmt: skip
    assert len(set(names.values())) == len(keys) and names == names_of(reversed(keys))
    for name in names.values():
        assert re.fullmatch(r"[\w.\-/ :]+", name) and posixpath.normpath(name) == name and not name.startswith("..")
        assert len(f"harness.name.{name}") <= 250


@pytest.mark.skipif(importlib.util.find_spec("wandb") is not None, reason="wandb is installed")
def test_without_the_library_it_says_what_to_install(tmp_path: Path) -> None:
    with ExperimentLogger("bare", results=tmp_path) as logger:
        logger.log(arm="a", seed=1, accuracy=0.5)
    store = existing_store(tmp_path, "bare")
    with pytest.raises(UsageError, match=r"pip install wandb"):
        export_runs("wandb", store, store.table(), tmp_path / "out")
    assert not (tmp_path / "out").exists()
