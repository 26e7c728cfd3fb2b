"""Scripts that know nothing of the harness: what they are told, what they may print, and what is said where it goes wrong."""

from __future__ import annotations

import json
import math
import sys

import pytest
from helpers import counted, rows_of, says, write

from harness.comparison.findings import crashed_runs, not_interleaved
from harness.comparison.words import shortened
from harness.errors import install
from harness.foreign import printed, script_command
from harness.spec import parse_sets

SCRIPT = """\
import argparse, json

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int)
parser.add_argument("--lr", type=float, default=0.5)
parser.add_argument("--weight_decay", type=float, default=0.0)
parser.add_argument("--amp", action="store_true")
given = parser.parse_args()
print(f"accuracy: {90 + given.lr + given.seed % 7 / 10 + given.amp} %")
"""

TWO = """\
trainer = "script.py"
claim = "accurate"
invocations = 1

[config]
weight_decay = 0.01

[[arms]]
name = "slow"
config.lr = 0.1

[[arms]]
name = "fast"
config.lr = 0.25
config.amp = true
"""


@pytest.mark.parametrize(
    ("line", "accuracy"),
    [
        ("0.9402", 0.9402),
        ("accuracy 0.9035", 0.9035),
        ("Accuracy: 90.35%", 0.9035),
        ("accuracy=90.35 %", 0.9035),
        ("accuracy : .5", 0.5),
        ("accuracy 1", 1.0),
        ('{"accuracy": 0.25}', {"accuracy": 0.25}),
        ("[90, 100]", [90, 100]),
    ],
)
def test_what_a_last_line_may_say(line, accuracy):
    assert printed(line) == accuracy


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "the program printed nothing"),
        ("accuracy: 90.35", "a percentage with its % sign"),
        ("100%", "tells no accuracy"),
        ("accuracy 0.9 loss 0.3", "tells no accuracy"),
        ("train accuracy 0.9", "tells no accuracy"),
        ("accuracy nan", "tells no accuracy"),
        ("accuracy -0.5", "tells no accuracy"),
        ("accuracy0.5", "tells no accuracy"),
        ("inaccuracy 0.5", "tells no accuracy"),
    ],
)
def test_what_a_last_line_may_not_say(line, words):
    with pytest.raises(ValueError, match=words) as caught:
        printed(line)
    assert "foreign.py" not in str(caught.value) and ("train(seed)" in str(caught.value)) is ("% sign" not in words)


def test_two_settings_of_one_script(cli_inside, tmp_path):
    write(tmp_path, "script.py", SCRIPT)
    write(tmp_path, "two.toml", TWO)
    shown = cli_inside("run", "two.toml", "--seeds", 2, "--dry-run")
    says(shown, 0)
    assert "slow  python script.py --seed SEED --lr 0.1 --weight_decay 0.01\n" in shown.stdout
    assert "fast  python script.py --seed SEED --amp --lr 0.25 --weight_decay 0.01\n" in shown.stdout
    says(cli_inside("run", "two.toml", "--seeds", 2), 0)
    rows = counted(rows_of(tmp_path, "two"))
    assert len(rows) == 4
    for row in rows:
        wanted = 90 + int(row["seed"]) % 7 / 10 + (1.25 if row["arm"] == "fast" else 0.1)
        assert math.isclose(float(row["accuracy"]), wanted / 100, abs_tol=1e-9)
    assert {row["block"] for row in rows if row["arm"] == "slow"} == {
        row["block"] for row in rows if row["arm"] == "fast"
    }
    seeds = [{row["seed"] for row in rows if row["arm"] == arm} for arm in ("slow", "fast")]
    assert seeds[0] == seeds[1] and len(seeds[0]) == 2


def test_how_keys_become_options(tmp_path):
    trainer = script_command(write(tmp_path, "script.py", SCRIPT))
    config = {"amp": True, "compile": False, "lr": 0.1, "name": "a b", "sizes": [1, 2], "lr.end": 2, "on": "true"}
    assert trainer._filled(config, 7)[2:] == [
        "--seed", "7", "--amp", "--lr", "0.1", "--name", "a b", "--sizes", "[1, 2]", "--lr.end", "2", "--on", "true"
    ]  # fmt: skip
    assert trainer._filled(config, 7)[0] == sys.executable


def test_a_dry_run_shows_the_keys_that_nobody_declared(cli_inside, tmp_path):
    write(tmp_path, "script.py", SCRIPT)
    write(tmp_path, "open.py", "def train(seed, **config):\n    return 0.5\n")
    write(tmp_path, "closed.py", "def train(seed, lr=0.1):\n    return 0.5\n")
    write(
        tmp_path,
        "any.toml",
        'trainer = "command"\n[config]\nargv = ["./train", "--seed", "{seed}", "--lr", "{lr}"]\nlr = 0.1\n',
    )
    for name, call in (
        ("script.py", "python script.py --seed SEED --margin 1"),
        ("open.py", "train(seed=SEED, margin=1)"),
        ("any.toml", "./train --seed SEED --lr 0.1"),
    ):
        document = cli_inside("run", name, "--set", "margin=1", "--dry-run", "--json")
        says(document, 0)
        assert json.loads(document.stdout)["arms"][0]["call"] == call
    shown = cli_inside("run", "closed.py", "--dry-run")
    says(shown, 0)
    assert "called" not in shown.stdout, "its keys are declared, and checked"


def test_the_seed_is_the_harness_own(cli_inside, tmp_path):
    write(tmp_path, "script.py", SCRIPT)
    write(tmp_path, "open.py", "def train(seed, **config):\n    return 0.5\n")
    write(tmp_path, "file.toml", 'trainer = "script.py"\n[config]\nseed = 3\n')
    for arguments in (("script.py", "--set", "seed=3"), ("open.py", "--set", "seed=3"), ("file.toml",)):
        says(cli_inside("run", *arguments, "--dry-run"), 2, "the key 'seed' is the harness's own", "--seeds N")


def test_a_key_given_twice_is_no_sweep(cli_inside, tmp_path):
    write(tmp_path, "script.py", SCRIPT)
    words = ("--set lr: given twice, as 0.1 and 0.5", "[sweep.grid]", "lr = [0.1, 0.5]", "[[arms]]")
    says(cli_inside("run", "script.py", "--set", "lr=0.1", "--set", "lr=0.5"), 2, *words)
    assert parse_sets(["lr=0.1", "lr=0.1"]) == {"lr": 0.1}
    assert not (tmp_path / "results").exists()


def test_a_key_that_the_script_has_not(cli_inside, tmp_path):
    write(tmp_path, "script.py", SCRIPT)
    done = cli_inside("run", "script.py", "--seeds", 2, "--set", "lrr=1")
    said = says(
        done, 5, "unrecognized arguments: --lrr 1; it refuses its arguments", "Mend the setting (`--dry-run` shows"
    )
    assert "timeout_s" not in said and "foreign.py" not in said
    live = said.partition("harness:")[0]
    assert live.count("unrecognized arguments") == 1 and live.count("crashed: the same again") == 2
    says(cli_inside("run", "script.py", "--seeds", 2, "--set", "lr=1"), 0)


def test_a_script_that_says_nothing_and_one_that_breaks(cli_inside, tmp_path):
    write(tmp_path, "silent.py", "x = 1\n")
    said = says(cli_inside("run", "silent.py", "--seeds", 1, "-q"), 5, "the program printed nothing; print a last line")
    assert ".py line" not in said and "train(seed)" in said
    write(tmp_path, "broken.py", "import sys\n\nsys.exit('no such file: data')\n")
    says(
        cli_inside("run", "broken.py", "--seeds", 1, "-q"),
        5,
        "no such file: data",
        "Mend the trainer or raise timeout_s",
    )


def test_a_store_by_the_name_of_its_file(cli_inside, tmp_path):
    write(tmp_path, "script.py", SCRIPT)
    write(tmp_path, "two.toml", TWO)
    says(cli_inside("run", "two.toml", "--seeds", 2, "-q"), 0)
    checked = cli_inside("verify", "two.toml", "--no-rerun")
    says(checked, 0)
    assert checked.stdout.startswith("two: 6 rows, no problems")
    assert cli_inside("export", "two.toml").stdout == cli_inside("export", "two").stdout
    says(cli_inside("verify", "other.toml"), 4, "no store 'other.toml'")

    says(cli_inside("run", "two"), 2, "there is a file 'two.toml': name it with its ending")
    says(cli_inside("gate", "two.toml"), 2, "is an experiment file (key 'trainer')", "`harness gate two`")
    write(tmp_path, "gate.toml", '[[checks]]\nname = "a"\nexperiment = "two.toml"\n')
    says(cli_inside("run", "gate.toml"), 2, "is a gate file", "`harness gate gate.toml`")
    assert "gate.toml" not in says(cli_inside("run", "gat.toml"), 2, "There is no file 'gat.toml'")

    says(cli_inside("plan", "two"), 2, "two states no margin_pp to plan for: give --difference-pp D")
    planned = cli_inside("plan", "two", "--sd-pp", 1, "--difference-pp", 1)
    says(planned, 0)
    assert "a store cannot be run, and its experiment can: `harness plan two.toml`" in planned.stdout

    write(tmp_path, "script.py", SCRIPT + "\n")
    assert "--no-rerun checks the store's files alone" in cli_inside("verify", "two").stdout


def test_an_export_without_a_row_says_why(cli_inside, tmp_path):
    write(tmp_path, "silent.py", "x = 1\n")
    says(cli_inside("run", "silent.py", "--seeds", 1, "-q"), 5)
    done = cli_inside("export", "silent", "--completed", "-o", "none.csv")
    says(done, 0)
    assert done.stdout.startswith("Wrote 0 rows to none.csv. No run of silent is completed: without --completed")
    says(cli_inside("export", "silent", "--format", "parquet"), 2, "needs a file to write to", "-o FILE")


def test_files_that_cannot_be_written_end_alike(cli_inside, tmp_path):
    write(tmp_path, "script.py", SCRIPT)
    write(tmp_path, "two.toml", TWO)
    says(cli_inside("run", "two.toml", "--seeds", 2, "-q"), 0)
    write(tmp_path, "file", "")
    for arguments, option in (
        (("report", "two", "-o"), "-o"),
        (("compare", "two", "--markdown"), "--markdown"),
        (("compare", "two", "--json-file"), "--json-file"),
        (("gate", "two", "--margin-pp", 1, "--junitxml"), "--junitxml"),
        (("summary", "two", "--markdown"), "--markdown"),
        (("export", "two", "-o"), "-o"),
        (("report", "two", "--plots"), "--plots"),
    ):
        said = says(cli_inside(*arguments, "file/x.csv"), 4, "cannot be written", f"another with {option}.")
        assert "folder that exists" not in said


def test_one_is_no_plural_and_long_errors_end_between_words(cli_inside, tmp_path):
    write(tmp_path, "script.py", SCRIPT)
    shown = cli_inside("run", "script.py", "--seeds", 1, "--dry-run")
    assert "1 run and 1 warm-up in 1 block over 1 invocation, " in shown.stdout
    done = cli_inside("run", "script.py", "--seeds", 1)
    assert "script: 1 run in 1 block over 1 invocation, every arm" in done.stderr and "1/1 run, " in done.stderr
    assert "script: 1 run, 1 warm-up " in cli_inside("show", "script").stdout
    assert "script: 2 rows, no problems" in cli_inside("verify", "script", "--no-rerun").stdout
    assert "1 attempt of a crashed" in crashed_runs("a", 1, 9, "").message
    assert shortened("these are words of a sentence", 20) == "these are words..."
    assert shortened("x" * 30, 20) == "x" * 17 + "..."


def test_arms_that_share_no_block_are_told_of_one_file():
    assert "an [[arms]] table each, also for two settings of one script" in not_interleaved("a", "b").advice


def test_what_an_extra_needs_works_in_a_clone():
    assert (
        install("parquet")
        == "`uv sync --extra parquet` or `pip install '.[parquet]'` in a clone of the harness, or `pip install pyarrow`"
    )
