"""A user's mistake ends in a message that says what was found, what is allowed and what to do; never in a traceback."""

from __future__ import annotations

import csv
import json

import pytest
from helpers import RANGED, TRAIN, rows_of, says, write

from harness.design.seeds import choose_slot

GOOD = 'trainer = "ranged.py"\n[config]\nepochs = 3\n'
ARMS = 'trainer = "ranged.py"\n[[arms]]\nname = "a"\n[[arms]]\nname = "b"\n[arms.config]\nepochs = 4\n'

TYPED = """\
import os
from typing import Literal, Optional

STEPS = 10


def train(seed, lr: float = 1, steps=STEPS, rule: Literal["sgd", "adam"] = "sgd", top: Optional[int] = None, *, wide: "bool"):
    return 0.5
"""
COMMAND = """\
trainer = "command"
[config]
argv = ["sh", "-c", "echo 0.5 {rat} ${HOME} {{own}}"]
rate = 0.1
"""

FILES = {
    "good.toml": GOOD,
    "arms.toml": ARMS,
    "malformed.toml": 'trainer = "ranged.py"\nseeds = \n',
    "unknown_key.toml": GOOD.replace("trainer", "seedz = 3\ntrainer"),
    "unknown_trainer.toml": 'trainer = "digit"\n',
    "no_trainer.toml": "seeds = 3\n",
    "unknown_config.toml": GOOD.replace("epochs", "epoch"),
    "out_of_range.toml": GOOD.replace("3", "51"),
    "wrong_type.toml": GOOD.replace("3", '"three"'),
    "bad_choice.toml": GOOD.replace("epochs = 3", 'kind = "adam"'),
    "bad_scalar.toml": "alpha = 0.7\n" + GOOD,
    "same_names.toml": ARMS.replace('"b"', '"a"'),
    "round.toml": 'extends = "about"\n',
    "about.toml": 'extends = "round"\n',
    "lost.toml": 'extends = "nowhere"\n',
    "bad_control.toml": ARMS.replace("[[arms]]", 'control = "c"\n[[arms]]', 1),
    "missing_file.toml": 'trainer = "rangd.py"\n',
    "newline_arm.toml": ARMS.replace('"b"', '"b\\nc"'),
    "broken.py": "def train(seed:\n    return 1\n",
    "raises.py": "1 / 0\nTRAINER = None\n",
    "exits.py": "import sys\nsys.exit('no GPU')\nTRAINER = None\n",
    "half.py": "class Half:\n    name = 'half'\n\n\nTRAINER = Half()\n",
    "odd_config.py": RANGED.replace("Config = Config", "Config = int"),
    "train.py": TRAIN,
    "script.py": "print(0.5)\n",
    "typed.py": TYPED,
    "seedless.py": "def train():\n    return 0.5\n\n\nasync def later(seed):\n    return 1\n\n\ndef bare(seed, /):\n    return 1\n",
    "program.toml": COMMAND,
    "programless.toml": 'trainer = "command"\n',
    "untyped.py": "def train(seed, day):\n    return 0.5\n",
    "nul.py": "def train(seed):\n    return 1\0\n",
    "ranged.py": RANGED,
    "experiments/quick.toml": 'trainer = "../ranged.py"\n[presets.laptop]\nseeds = 3\n',
}

CASES = {
    "unknown experiment": (["quik"], ["Unknown experiment 'quik'", "Did you mean 'quick'?", "harness list"]),
    "unknown trainer": (["unknown_trainer.toml"], ["Unknown trainer 'digit'", "Did you mean 'digits'?"]),
    "no trainer": (["no_trainer.toml"], ["no_trainer.toml", "'trainer' is missing"]),
    "trainer file missing": (["missing_file.toml"], ["no file 'rangd.py'", "Did you mean 'ranged.py'?"]),
    "unknown key": (["unknown_key.toml"], ["unknown_key.toml", "unknown key 'seedz'", "Did you mean 'seeds'?"]),
    "unknown configuration": (
        ["unknown_config.toml"],
        ["unknown_config.toml", "no key 'epoch'", "Did you mean 'epochs'?"],
    ),
    "out of range": (["out_of_range.toml"], ["out_of_range.toml", "'epochs'", "51", "1 to 50"]),
    "wrong type": (["wrong_type.toml"], ["wrong_type.toml", "'epochs'", "'three'", "must be a whole number"]),
    "not a choice": (["bad_choice.toml"], ["'kind'", "'adam'", "'plain', 'nesterov'"]),
    "experiment's own key out of range": (["bad_scalar.toml"], ["bad_scalar.toml", "'alpha'", "0.7", "0.5"]),
    "malformed TOML": (["malformed.toml"], ["malformed.toml", "not valid TOML", "line 2"]),
    "two arms of one name": (["same_names.toml"], ["same_names.toml", "two arms are called 'a'"]),
    "arm name of two lines": (["newline_arm.toml"], ["newline_arm.toml", "'b\\nc'"]),
    "extends in a circle": (["round.toml"], ["'extends' goes in a circle", "round → about → round"]),
    "extends nothing": (["lost.toml"], ["lost.toml", "'extends'", "'nowhere'"]),
    "unknown control": (["bad_control.toml"], ["bad_control.toml", "'control'", "'c'", "neither an arm"]),
    "set without value": (["good.toml", "--set", "epochs"], ["--set 'epochs'", "key=value"]),
    "set unknown": (["good.toml", "--set", "lr.ende=0.5"], ["--set", "no key 'lr.ende'", "Did you mean 'lr.end'?"]),
    "set out of range": (["good.toml", "--set", "lr.end=1.5"], ["--set", "'lr.end'", "1.5", "0.0 to 1.0"]),
    "set to text": (["good.toml", "--set", "lr.end=warm"], ["'lr.end'", "'warm'", "must be a number"]),
    "set infinite": (["good.toml", "--set", "lr.end=inf"], ["'lr.end'", "finite"]),
    "set what the arms differ in": (["arms.toml", "--set", "epochs=5"], ["--set epochs", "differ in 'epochs'"]),
    "set a date": (["train.py", "--set", "lr=2024-01-01"], ["'lr'", "must be a number"]),
    "set a date of a script": (["script.py", "--set", "day=2024-01-01"], ["'day'", "2024", "a text", '"2024-01-01"']),
    "set a date without type": (["untyped.py", "--set", "day=2024-01-01"], ["'day'", "2024", "a text"]),
    "set nan of a script": (["script.py", "--set", "rate=nan"], ["'rate'", "nan", "a finite number"]),
    "set unknown of a function": (["typed.py", "--set", "step=3"], ["--set", "no key 'step'", "Did you mean 'steps'?"]),
    "annotated number": (["typed.py", "--set", "lr=fast"], ["'lr'", "'fast'", "must be a number"]),
    "annotated choice": (["typed.py", "--set", "rule=lion"], ["'rule'", "'lion'", "'sgd', 'adam'"]),
    "annotated optional": (["typed.py", "--set", "top=0.5"], ["'top'", "0.5", "must be a whole number"]),
    "annotated without default": (["typed.py", "--set", "wide=3"], ["'wide'", "3", "must be true or false"]),
    "a key that a function needs": (["typed.py", "--set", "lr=3"], ["needs wide", "--set wide=VALUE"]),
    "train without seed": (["seedless.py"], ["'train' has no parameter 'seed'", "none", "seedless.py:__main__"]),
    "async function": (["seedless.py:later"], ["'later' is async"]),
    "seed by position only": (["seedless.py:bare"], ["'bare' takes seed by position only", "Remove the '/'"]),
    "unknown placeholder": (["program.toml"], ["program.toml", "{rat}", "Did you mean 'rate'?", "Write {{rat}}"]),
    "command without argv": (["programless.toml"], ["programless.toml", "the key 'argv' is missing"]),
    "unknown preset": (["quick", "--preset", "laptob"], ["no preset 'laptob'", "Did you mean 'laptop'?"]),
    "preset of a script": (["train.py", "--preset", "cpu"], ["preset", "'cpu'", "train.py"]),
    "unknown arm": (["arms.toml", "--arm", "z"], ["no arm 'z'", "a, b"]),
    "unknown executor": (["good.toml", "--executor", "lokal"], ["Unknown executor 'lokal'", "Did you mean 'local'?"]),
    "no such TOML": (["god.toml"], ["no file 'god.toml'", "Did you mean 'good.toml'?"]),
    "no such script": (["trian.py"], ["no file 'trian.py'", "Did you mean 'train.py'?"]),
    "no such function": (["train.py:trane"], ["no function 'trane'", "Did you mean 'train'?"]),
    "the same script twice": (["train.py", "train.py"], ["named twice"]),
    "scripts and experiments": (["train.py", "quick"], ["cannot be mixed", "'quick'"]),
    "not valid Python": (["broken.py"], ["broken.py", "line 1", "not valid Python"]),
    "a NUL byte in Python": (["nul.py"], ["nul.py", "not valid Python", "null bytes"]),
    "plugin raises at import": (["raises.py"], ["raises.py", "ZeroDivisionError"]),
    "plugin exits at import": (["exits.py"], ["exits.py", "no GPU"]),
    "plugin lacks its methods": (["half.py"], ["half.py", "breaks its contract", "evaluate"]),
    "plugin's Config is no dataclass": (["odd_config.py"], ["odd_config.py", "dataclass"]),
    "no seeds": (["train.py", "--seeds", "0"], ["--seeds", "0", "must be a whole number from 1 to 65536"]),
    "store name that leads away": (["train.py", "--as", "../away"], ["'../away'", "cannot be a store"]),
    "results is a file": (["train.py", "--results", "train.py"], ["train.py"]),
}


@pytest.mark.parametrize("case", CASES)
def test_run_refuses(case, cli_inside, tmp_path):
    arguments, words = CASES[case]
    for name, text in FILES.items():
        write(tmp_path, name, text)
    before = sorted(p.name for p in tmp_path.iterdir())
    done = cli_inside("run", *arguments)
    says(done, 4 if case == "results is a file" else 2, *words)
    assert done.stdout == ""
    assert sorted(p.name for p in tmp_path.iterdir() if p.name != "__pycache__") == before, "something was written"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rnu"], ["no command 'rnu'", "Did you mean 'run'?"]),
        (["run"], ["Missing argument"]),
        (["--seeds", "3", "run", "x"], ["No such option '--seeds' before the command", "harness run --seeds"]),
        (["-q"], ["-q: a command is missing", "run, ladder, compare"]),
        (["-q", "rnu"], ["no command 'rnu'", "Did you mean 'run'?"]),
        (["run", "train.py", "--sed", "3"], ["No such option", "--sed"]),
        (["compare", "a", "b", "--claim", "best"], ["--claim", "best", "no-regression"]),
        (["compare", "a", "b", "--target", "94"], ["94", "fraction"]),
        (["compare", "a", "b", "--max-slowdown", "much"], ["'much'", "1%"]),
        (["show", "nothing-here"], ["'nothing-here'", "neither an experiment nor a store"]),
        (["list", "--experiments", "nowhere"], ["no folder 'nowhere'", "--experiments"]),
    ],
)
def test_usage(arguments, words, cli_inside):
    says(cli_inside(*arguments), 2, *words)


NUMBERS = [
    *((command, option) for command in ("compare", "gate", "aa") for option in ("--margin-pp", "--alpha")),
    *(("plan", o) for o in ("--difference-pp", "--sd-pp", "--alpha", "--power", "--price-per-hour")),
]


@pytest.mark.parametrize(("command", "option"), NUMBERS)
def test_a_number_that_is_none_is_no_value_of_an_option(command, option, cli_inside):
    for value in ("nan", "-nan", "inf"):
        says(
            cli_inside(command, "here", f"{option}={value}"),
            2,
            option,
            f"'{value}' is not allowed; it must be a number",
        )


def test_common_options_may_stand_before_the_command(cli_inside, tmp_path):
    write(tmp_path, "train.py", TRAIN)
    says(cli_inside("-q", "--results", "there", "run", "train.py", "--seeds", 1), 0)
    assert (tmp_path / "there/train/runs.csv").is_file()
    done = cli_inside("--json", "--results=there", "list")
    says(done, 0)
    assert [store["name"] for store in json.loads(done.stdout)["stores"]] == ["train"]
    assert cli_inside("--version").stdout.startswith("harness")


def test_a_mistake_ends_the_real_program_as_well(cli, tmp_path):
    for name, text in FILES.items():
        write(tmp_path, name, text)
    for case in ("unknown experiment", "out of range", "plugin exits at import"):
        arguments, words = CASES[case]
        done = cli("run", *arguments)
        says(done, 2, *words)
        assert done.stdout == ""


STORES = {
    "missing": (None, ["no store 'here'"]),
    "of no bytes": ("", ["here", "empty"]),
    "a header alone": ("run_id,arm,seed,accuracy\n", ["here", "holds no run"]),
    "another width": ("run_id,arm,seed,accuracy\nr1,a,1,0.9\nr2,a,2\n", ["line 3", "3 fields", "has 4"]),
    "text for a number": ("run_id,arm,seed,accuracy\nr1,a,1,0.9\nr2,a,2,good\n", ["line 3", "'accuracy'", "'good'"]),
    "a time beyond all measure": (
        "run_id,arm,seed,accuracy,time_s\nr1,a,1,0.9,2\nr2,a,2,0.9,1e308\n",
        ["line 3", "1e+308", "1e+09"],
    ),
    "bytes that are no text": (b"run_id,arm,seed,accuracy\nr1,a,1,\xff\n", ["not UTF-8"]),
    "a lone carriage return": ("run_id,arm,seed,accuracy\nr1,a\rb,1,0.9\n", ["line 2"]),
    "a column twice": ("run_id,arm,arm,accuracy\nr1,a,1,0.9\n", ["'arm'", "twice"]),
}


@pytest.mark.parametrize("case", STORES)
def test_compare_with_a_store_that_is(case, cli_inside, tmp_path):
    content, words = STORES[case]
    if content is not None:
        path = write(tmp_path, "results/here/runs.csv", "")
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    says(cli_inside("compare", "here"), 4, *words)


def test_compare_names_the_nearest_store(cli_inside, tmp_path):
    write(tmp_path, "results/baseline/runs.csv", "run_id,arm,seed,accuracy\nr1,a,1,0.9\n")
    says(cli_inside("compare", "basline"), 4, "no store 'basline'", "Did you mean 'baseline'?")


def test_a_damaged_description_is_named(cli, cli_inside, tmp_path):
    write(tmp_path, "results/here/runs.csv", "run_id,arm,seed,accuracy\nr1,a,1,0.9\n")
    write(tmp_path, "results/here/experiment.json", '{"name": ')
    for compare in (cli, cli_inside):
        says(compare("compare", "here"), 4, "experiment.json", "JSON")


def test_run_names_the_damaged_cell_of_its_store(cli, tmp_path):
    write(tmp_path, "train.py", TRAIN)
    says(cli("run", "train.py", "--seeds", 1), 0)
    path = tmp_path / "results/train/runs.csv"
    lines = path.read_text().splitlines()
    cells = lines[-1].split(",")
    cells[lines[0].split(",").index("replicate")] = "first"
    path.write_text("\n".join([*lines[:-1], ",".join(cells)]) + "\n")
    says(cli("run", "train.py", "--seeds", 2), 4, "line 3", "'replicate'", "'first'")


def test_a_damaged_description_of_another_store_costs_a_warning_and_no_seed(cli_inside, tmp_path):
    write(tmp_path, "train.py", TRAIN)
    says(cli_inside("run", "train.py", "--seeds", 2, "--as", "first"), 0)
    says(cli_inside("export", "first", "-o", "first.csv"), 0)
    slot = json.loads((tmp_path / "results/first/experiment.json").read_text())["seed_slot"]
    plain = choose_slot("second", 0, ())
    moved = (tmp_path / "first.csv").read_text()
    for row in rows_of(tmp_path, "first"):
        moved = moved.replace(f",{row['seed']},", f",{int(row['seed']) + (plain - slot) * 4 * 65536},")
    write(tmp_path, "results/first/runs.csv", moved + "cut,short\n")  # its seeds are those that 'second' would take
    write(tmp_path, "results/first/experiment.json", '{"name": ')
    done = cli_inside("run", "train.py", "--seeds", 2, "--as", "second")
    says(
        done,
        0,
        "warning",
        "'first' was passed over",
        "results/first/experiment.json",
        "Its seeds were read from runs.csv",
    )
    pairs = [{(r["config_hash"], r["seed"]) for r in csv.DictReader(text.splitlines()) if r["seed"]} for text in (
        moved, (tmp_path / "results/second/runs.csv").read_text())]  # fmt: skip
    assert pairs[0] and pairs[1] and not pairs[0] & pairs[1], "a (configuration, seed) recurs"
    assert cli_inside("run", "train.py", "--seeds", 3, "--as", "second").stderr.count("warning") == 0, (
        "its seeds are fixed"
    )
    says(cli_inside("run", "train.py", "--seeds", 3, "--as", "first"), 4, "results/first/experiment.json", "JSON")


def test_seeds_that_nobody_can_know_stop_a_new_store(cli_inside, tmp_path):
    write(tmp_path, "train.py", TRAIN)
    write(tmp_path, "results/lost/runs.csv", "run_id,config_hash,seed\nr1,c,\n")
    write(tmp_path, "results/lost/experiment.json", "[]")
    words = (
        "results/lost/experiment.json",
        "results/lost/runs.csv shows no seeds",
        "move the folder results/lost",
        "--results",
    )
    says(cli_inside("run", "train.py", "--seeds", 1), 4, *words)
    assert not (tmp_path / "results/train").exists()


def test_seeds_that_came_in_by_an_import_are_not_used_again(cli_inside, tmp_path):
    write(tmp_path, "train.py", TRAIN)
    says(cli_inside("run", "train.py", "--seeds", 2, "--results", "elsewhere"), 0)
    says(cli_inside("export", "train", "--results", "elsewhere", "-o", "runs.csv"), 0)
    says(cli_inside("import", "runs.csv", "--as", "theirs"), 0)
    says(cli_inside("run", "train.py", "--seeds", 2), 0)
    ours, theirs = ({(r["config_hash"], r["seed"]) for r in rows_of(tmp_path, name)} for name in ("train", "theirs"))
    assert len(ours & theirs) == 0


def test_a_damaged_store_does_not_stop_the_others(cli, tmp_path):
    write(tmp_path, "train.py", TRAIN)
    write(tmp_path, "results/empty/runs.csv", "")
    write(tmp_path, "results/torn/runs.csv", "run_id,ar")
    write(tmp_path, "results/bad/runs.csv", "run_id,arm\nr1\n")
    says(cli("run", "train.py", "--seeds", 1), 0)
    done = cli("list")
    says(done, 0)
    assert "train" in done.stdout and "bad" in done.stdout
