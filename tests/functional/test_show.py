"""`harness show`: an experiment, a trainer or a store, by name or by path."""

from __future__ import annotations

import json
import subprocess
import sys

from helpers import RANGED, TRAIN, says, write


def keys_of(done) -> dict[str, dict]:
    return {key["key"]: key for key in json.loads(done.stdout)["trainer"]["keys"]}


def test_a_trainer_by_name(cli_inside):
    done = cli_inside("show", "digits", "--json")
    says(done, 0)
    keys = keys_of(done)
    assert (keys["epochs"]["type"], keys["epochs"]["low"], keys["epochs"]["compute"]) == ("a number", 0.01, True)
    assert keys["tta.weight"]["evaluation"] and not keys["lr.end"]["compute"]
    assert json.loads(done.stdout)["trainer"]["clock"] == "initialisation, training with augmentation, evaluation"
    shown = cli_inside("show", "digits").stdout
    assert "on the clock: initialisation" in shown and "compute-relevant" in shown and "evaluation only" in shown


def test_a_trainer_by_path(cli_inside, tmp_path):
    write(tmp_path, "mine/ranged.py", RANGED)
    keys = keys_of(cli_inside("show", "mine/ranged.py", "--json"))
    assert keys["kind"]["choices"] == ["plain", "nesterov"] and keys["lr.end"]["default"] == 0.1
    write(tmp_path, "train.py", "import os\n\n\ndef train(seed, width, steps: int = os.cpu_count()):\n    return 0.5\n")
    done = cli_inside("show", "train.py", "--json")
    keys = keys_of(done)
    assert (keys["width"]["required"], keys["width"]["type"]) == (True, "anything")
    assert (keys["steps"]["required"], keys["steps"]["default_known"], keys["steps"]["default"]) == (False, False, None)
    assert "its own default" in cli_inside("show", "train.py").stdout


def test_an_experiment_by_path_with_its_store(cli_inside, tmp_path):
    write(tmp_path, "mine/train.py", TRAIN)
    write(tmp_path, "mine/quick.toml", 'question = "How long?"\ntrainer = "train.py"\nseeds = 2\n')
    says(cli_inside("run", "mine/quick.toml"), 0)
    document = json.loads(cli_inside("show", "mine/quick.toml", "--json").stdout)
    assert document["experiment"]["question"] == "How long?"
    assert document["store"]["arms"][0]["n"] == 2 and document["ledger"]


def test_a_name_that_is_nothing(cli_inside):
    says(cli_inside("show", "digitz"), 2, "neither an experiment nor a store nor a trainer", "Did you mean 'digits")


def test_showing_a_trainer_imports_nothing_heavy(tmp_path):
    code = "import sys; from harness.cli import run_cli as run; run(['show', 'digits']); print({'torch', 'pandas'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
