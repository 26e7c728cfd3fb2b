"""Experiment files: what extends, presets, sweeps and `--set` make of each other."""

from __future__ import annotations

import pytest
from helpers import RANGED, TRAIN, write
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import SpecError, TrainerError
from harness.plugins import trainer_info
from harness.spec import Request, flatten, load, load_experiment, load_scripts, parse_sets

BASE = """\
trainer = "ranged.py"
target = 0.94
margin_pp = 0.1
seeds = 40
[config]
epochs = 10
lr.end = 0.5
[presets.cpu]
seeds = 5
target = 0.9
[presets.cpu.config]
epochs = 2
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "ranged.py", RANGED)
    write(tmp_path, "train.py", TRAIN)
    write(tmp_path, "base.toml", BASE)
    return tmp_path


def experiment(here, text, name="exp.toml", **request):
    write(here, name, text)
    return load_experiment(name, Request(**request))


def configs(found):
    return {arm.name: arm.config for arm in found.arms}


def test_a_lone_experiment(here):
    found = load_experiment("base.toml")
    assert [(arm.name, arm.role) for arm in found.arms] == [("base", "control")]
    assert found.arms[0].config == {"epochs": 10, "kind": "plain", "lr.end": 0.5, "lr.start": 0.2}, "complete"
    assert (found.seeds, found.target, found.margin_pp, found.alpha, found.stage) == (40, 0.94, 0.1, 0.05, "confirm")


def test_extends_inherits_trainer_configuration_and_constants_but_not_seeds(here):
    found = experiment(here, 'extends = "base"\n[config]\nkind = "nesterov"\n')
    assert found.arms[0].config == {"epochs": 10, "kind": "nesterov", "lr.end": 0.5, "lr.start": 0.2}
    assert (found.target, found.margin_pp, found.seeds) == (0.94, 0.1, 25)


def test_a_preset_lies_under_what_the_experiment_changes(here):
    found = experiment(here, 'extends = "base"\n[config]\nepochs = 7\n', preset="cpu")
    assert (found.arms[0].config["epochs"], found.target, found.preset) == (7, 0.9, "cpu")
    assert load_experiment("base.toml", Request(preset="cpu")).arms[0].config["epochs"] == 2
    assert load_experiment("base.toml", Request(preset="cpu", seeds=3)).seeds == 3, "the command line stands above"


def test_a_control_by_name_is_an_arm_beside_it(here):
    found = experiment(here, 'extends = "base"\ncontrol = "base"\n[config]\nepochs = 5\n')
    assert [(arm.name, arm.role) for arm in found.arms] == [("base", "control"), ("exp", "candidate")]
    assert {name: config["epochs"] for name, config in configs(found).items()} == {"base": 10, "exp": 5}


def test_a_grid_is_every_combination(here):
    found = experiment(here, 'extends = "base"\n[sweep.grid]\n"lr.end" = [0.1, 0.5]\nepochs = [10, 20]\n')
    assert [arm.role for arm in found.arms] == ["control"] + ["candidate"] * 4
    assert [arm.name for arm in found.arms][1:] == [
        "lr.end=0.1,epochs=10", "lr.end=0.1,epochs=20", "lr.end=0.5,epochs=10", "lr.end=0.5,epochs=20",
    ]  # fmt: skip
    assert configs(found)["lr.end=0.1,epochs=20"]["lr.end"] == 0.1
    assert found.stage == "screen", "a sweep screens"
    assert found.notes == (
        "lr.end=0.5,epochs=10 has the control's configuration: a built-in A/A, any difference is noise",
    )


def test_one_at_a_time_is_every_value_alone(here):
    found = experiment(here, 'extends = "base"\n[sweep.one_at_a_time]\n"lr.end" = [0.1]\nkind = ["nesterov"]\n')
    assert [arm.name for arm in found.arms] == ["control", "lr.end=0.1", "kind=nesterov"]
    assert configs(found)["kind=nesterov"]["lr.end"] == 0.5


def test_dotted_keys_and_tables_are_the_same(here):
    one = experiment(here, 'trainer = "ranged.py"\n[config]\n"lr.end" = 0.3\n').arms[0]
    two = experiment(here, 'trainer = "ranged.py"\n[config.lr]\nend = 0.3\n').arms[0]
    assert one == two


def test_a_hash_is_of_values_not_of_how_they_are_written(here):
    def hash_of(config, name="exp.toml"):
        return experiment(here, f'trainer = "ranged.py"\n[config]\n{config}\n', name).arms[0].config_hash

    assert hash_of("epochs = 2") == hash_of("") == hash_of("lr.end = 0.1", "other.toml")
    assert hash_of("lr.end = 0") == hash_of("lr.end = 0.0") != hash_of("")


def test_arm_keeps_the_control(here):
    text = 'extends = "base"\n[sweep.grid]\nepochs = [1, 2, 3]\n'
    assert [arm.name for arm in experiment(here, text, arms=("epochs=2",)).arms] == ["control", "epochs=2"]


def test_set(here):
    sets = parse_sets(["lr.end=0.05", "kind=nesterov", "timeout_s=20", "target=0.8"])
    assert sets == {"lr.end": 0.05, "kind": "nesterov", "timeout_s": 20, "target": 0.8}
    found = load_experiment("base.toml", Request(sets=sets))
    assert found.arms[0].config["lr.end"] == 0.05 and (found.timeout_s, found.target) == (20.0, 0.8)
    assert "timeout_s" not in found.arms[0].config


def test_record_is_a_stricter_alpha(here):
    assert experiment(here, 'extends = "base"\nrecord = true\n').alpha == 0.01
    assert experiment(here, 'extends = "base"\nrecord = true\nalpha = 0.02\n').alpha == 0.02


PRESET_RECORD = "[presets.strict]\nrecord = true\n"


@pytest.mark.parametrize(
    ("parent", "own", "request_", "alpha"),
    [
        ("alpha = 0.05\n", "record = true\n", {}, 0.01),
        ("alpha = 0.05\n", "record = true\nalpha = 0.02\n", {}, 0.02),
        ("alpha = 0.03\n", "record = false\n", {}, 0.03),
        ("record = true\n", "alpha = 0.03\n", {}, 0.03),
        ("record = true\n", "record = false\n", {}, 0.05),
        ("alpha = 0.05\n" + PRESET_RECORD, "", {"preset": "strict"}, 0.01),
        ("alpha = 0.05\n" + PRESET_RECORD + "alpha = 0.02\n", "", {"preset": "strict"}, 0.02),
        ("", "alpha = 0.05\n" + PRESET_RECORD, {"preset": "strict"}, 0.01),
        (PRESET_RECORD, "alpha = 0.03\n", {"preset": "strict"}, 0.03),
        ("record = true\n", "[presets.loose]\nalpha = 0.03\n", {"preset": "loose"}, 0.03),
        ("alpha = 0.05\n", "", {"sets": {"record": True}}, 0.01),
        ("", "alpha = 0.05\n", {"sets": {"record": True}}, 0.01),
        ("", "alpha = 0.05\n", {"sets": {"record": True, "alpha": 0.02}}, 0.02),
        ("", "alpha = 0.03\n", {"sets": {"record": False}}, 0.03),
        ("record = true\n", "", {"sets": {"alpha": 0.03}}, 0.03),
    ],
)
def test_of_alpha_and_record_the_nearest_word_holds(here, parent, own, request_, alpha):
    write(here, "parent.toml", 'extends = "base"\n' + parent)
    assert experiment(here, 'extends = "parent"\n' + own, **request_).alpha == alpha


def test_record_holds_in_an_experiment_that_extends_a_shipped_one_with_an_alpha(here):
    assert load_experiment("digits-baseline").alpha == 0.05
    assert experiment(here, 'extends = "digits-baseline"\nrecord = true\n').alpha == 0.01


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[sweep.gird]\nepochs = [1]\n", r"unknown table \[sweep.gird\]. Did you mean 'grid'"),
        ("[sweep.grid]\nepochs = 3\n", r"\[sweep.grid\] key 'epochs': must be a list of values, found 3"),
        ("[sweep.grid]\nepochs = []\n", "must be a list of values"),
        ("[sweep.grid]\nepochs = [1, 99]\n", r"'epochs'.*99 is out of range: allowed is 1 to 50"),
        ("[sweep.grid]\nepoch = [1]\n", "no key 'epoch'. Did you mean 'epochs'"),
        ("config = 3\n", r"'config' must be a table: \[config\]"),
        ("arms = 3\n", r"'arms' must be a list of tables: \[\[arms\]\]"),
        ("[[arms]]\n[arms.config]\nepochs = 3\n", r"\[\[arms\]\] number 1: 'name' is missing"),
        ('[[arms]]\nname = "a"\nseed = 3\n', r"number 1: unknown key 'seed'"),
        ("[presets.cpu]\nsedes = 3\n", r"\[presets.cpu\]: unknown key 'sedes'. Did you mean 'seeds'"),
        ("seeds = 0\n", "key 'seeds': the value 0 is out of range: allowed is 1 to 65536"),
        ("seeds = 2.5\n", "key 'seeds': the value 2.5 must be a whole number"),
        ("seeds = true\n", "key 'seeds': the value True must be a whole number"),
        ("target = nan\n", "key 'target': the value nan must be a finite number"),
        ('stage = "screening"\n', "is not one of the choices: 'screen', 'confirm', 'final'"),
        ("timeout_s = 0\n", "key 'timeout_s'"),
    ],
)
def test_refused(here, text, message):
    head = 'trainer = "ranged.py"\n'
    with pytest.raises(SpecError, match=message) as caught:
        experiment(here, head + text)
    assert str(caught.value).startswith("exp.toml")


def test_set_is_refused_where_arms_differ(here):
    text = 'extends = "base"\n[sweep.grid]\n"lr.end" = [0.1, 0.2]\n'
    with pytest.raises(
        SpecError, match=r"--set lr.end: the arms of this experiment differ in 'lr.end' \(0.1, 0.2, 0.5\)"
    ):
        experiment(here, text, sets={"lr.end": 0.3})
    assert experiment(here, text, sets={"epochs": 3}).arms[2].config["epochs"] == 3


def test_scripts_of_one_name_are_told_apart(here):
    for folder in ("old", "new"):
        write(here, f"{folder}/train.py", TRAIN)
    found = load_scripts(["old/train.py", "new/train.py"])
    assert [arm.name for arm in found.arms] == ["old-train", "new-train"] and found.name == "old-train-vs-new-train"
    assert found.arms[0].config_hash == found.arms[1].config_hash, "the same configuration; the code differs"
    with pytest.raises(SpecError, match="named twice"):
        load_scripts(["old/train.py", "./old/train.py"])
    with pytest.raises(TrainerError, match=r"cannot be mixed.*'base.toml' beside 'train.py'"):
        load(["train.py", "base.toml"], Request())


def test_what_a_function_declares(here):
    write(
        here,
        "f.py",
        "A = 3\n\n\ndef train(seed, steps=10, lr=0.1, *, nesterov=True, shape=(1, 2), width=A, **rest): ...\n",
    )
    info = trainer_info("f.py")
    assert info.defaults() == {"steps": 10, "lr": 0.1, "nesterov": True, "shape": [1, 2]}
    assert info.open_ended and not info.declares_compute
    write(here, "g.py", "def train(seed, width): ...\n")
    with pytest.raises(SpecError, match=r"needs width: state it in \[config\] or with --set width=VALUE"):
        load_scripts(["g.py"])
    assert load_scripts(["g.py"], Request(sets={"width": 4})).arms[0].config == {"width": 4}


def test_a_trainer_in_a_file_declares_ranges(here):
    info = trainer_info("ranged.py")
    assert {k: (v.kind, v.compute) for k, v in info.knobs.items()} == {
        "epochs": (int, True), "kind": (str, False), "lr.start": (float, False), "lr.end": (float, False),
    }  # fmt: skip
    code = info.code_hash({})
    assert info.compute_hash({"epochs": 2, "lr.end": 0.1}, code) == info.compute_hash(
        {"epochs": 2, "lr.end": 0.2}, code
    )
    assert info.compute_hash({"epochs": 2}, code) != info.compute_hash({"epochs": 3}, code)
    assert info.compute_hash({"epochs": 2}, code) != info.compute_hash({"epochs": 2}, "other code")


KEYS = st.text("abcde", min_size=1, max_size=4)
VALUES = st.recursive(
    st.integers() | st.booleans(), lambda inner: st.dictionaries(KEYS, inner, min_size=1), max_leaves=8
)


@given(st.dictionaries(KEYS, VALUES, min_size=1))
def test_flatten_loses_nothing(table):
    def leaves(value):
        return sum(map(leaves, value.values())) if isinstance(value, dict) else 1

    flat = flatten(table)
    assert len(flat) == leaves(table) and flatten(flat) == flat
    for key, value in flat.items():
        node = table
        for part in key.split("."):
            node = node[part]
        assert node == value


@given(st.integers() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.lists(st.integers()))
def test_set_reads_toml(value):
    text = str(value).lower() if isinstance(value, bool) else str(value)
    assert parse_sets([f"a.b={text}"]) == {"a.b": value}


@pytest.mark.parametrize("text", ["", "warm up", "a=b", "0.1.2", "'open"])
def test_set_reads_the_rest_as_text(text):
    assert parse_sets([f"key={text}"]) == {"key": text}


OTHER = """
[[arms]]
name = "plain"
[[arms]]
name = "other"
trainer = "other.py"
config = { width = 3 }
"""


def other_trainer(here):
    """A trainer with `epochs`, as the experiment's own has, and `width` in place of `kind` and `lr`."""
    text = RANGED.replace('"ranged"', '"other"').replace("    lr: Rate = knob(Rate())\n", "")
    write(
        here,
        "other.py",
        text.replace('kind: str = knob("plain", choices=("plain", "nesterov"))', "width: int = knob(1)"),
    )


def test_an_arm_of_another_trainer_inherits_the_keys_that_both_have_and_names_the_others(here):
    other_trainer(here)
    found = experiment(here, f'extends = "base"\n{OTHER}')
    plain, other = found.arms
    assert plain.config == {"epochs": 10, "kind": "plain", "lr.end": 0.5, "lr.start": 0.2}
    assert other.config == {"epochs": 10, "width": 3}
    assert [note for note in found.notes if note.startswith("other:")] == [
        "other: its trainer other.py has no lr.end: left out, the other keys of [config] hold"
    ]
    assert dict(experiment(here, f'extends = "base"\n{OTHER}', preset="cpu").arms[1].config)["epochs"] == 2


@pytest.mark.parametrize(
    ("config", "message"),
    [("[config]\nlr.ent = 0.3\n", "has no key 'lr.ent'"), ('[config]\nepochs = "ten"\n', "epochs")],
)
def test_a_key_that_no_trainer_has_is_an_error_beside_an_arm_of_another_trainer_too(here, config, message):
    other_trainer(here)
    alone = OTHER.replace('[[arms]]\nname = "plain"\n', "")
    for arms in (OTHER, alone):
        with pytest.raises(SpecError, match=message):
            experiment(here, f'extends = "base"\n{config}{arms}')


def test_an_arm_of_another_trainer_has_its_own_keys_checked(here):
    other_trainer(here)
    with pytest.raises(SpecError, match=r"\[\[arms\]\] number 2.*trainer other has no key 'widht'"):
        experiment(here, f'extends = "base"\n{OTHER.replace("width", "widht")}')
