"""YAML files give the same tables as TOML files, and say where they are wrong."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from harness import yamlfile
from harness.errors import SpecError
from harness.spec import Request, load_experiment

SAME_TOML = """
trainer = "digits"
seeds = 3
margin_pp = 0.5
[config]
epochs = 2.0
lr.end = 1e-3
[sweep.grid]
"lr.peak" = [0.5, 1]
"""
SAME_YAML = """
trainer: digits
seeds: 3
margin_pp: 0.5
config:
  epochs: 2.0
  lr: {end: 1e-3}
sweep:
  grid:
    lr.peak: [0.5, 1]
"""


def test_a_yaml_file_means_what_the_same_toml_file_means(tmp_path: Path) -> None:
    assert yamlfile.parse(SAME_YAML) == tomllib.loads(SAME_TOML)
    (tmp_path / "toml").mkdir()
    (tmp_path / "toml" / "e.toml").write_text(SAME_TOML, encoding="utf-8")
    (tmp_path / "e.yaml").write_text(SAME_YAML, encoding="utf-8")
    assert load_experiment(str(tmp_path / "e.yaml")) == load_experiment(str(tmp_path / "toml" / "e.toml"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("off", "off"),
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("False", False),
        ("1e-3", 0.001),
        ("3E4", 30000.0),
        (".5", 0.5),
        ("-2", -2),
        ("010", "010"),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2024-01-01", "2024-01-01"),
        ("'1'", "1"),
        ("~", None),
        ("", None),
        ("1.5.2", "1.5.2"),
        ("=", "="),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    found = yamlfile.parse(f"x: {text}")["x"]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\na: 2", "the key 'a' stands twice.*line 2"),
        ("config:\n  b: 1\n  b: 1", "the key 'b' stands twice.*line 3"),
        ("1: 2", "the key 1 must be a text"),
        ("a: [1, 2", "line 1"),
        ("a: !!python/object:os.system x", "could not determine a constructor"),
        ("- 1", "must be a table of keys, found list"),
        ("", "must be a table of keys, found NoneType"),
    ],
)
def test_what_is_wrong_is_told_in_one_sentence(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as problem:
        yamlfile.parse(text)
    assert "\n" not in str(problem.value)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("triner: digits", r"e\.yaml: unknown key 'triner'\. Did you mean 'trainer'\?"),
        (
            "trainer: digits\nconfig: {epoch: 1}",
            r"e\.yaml: \[config\]: trainer digits has no key 'epoch'\. Did you mean",
        ),
        (
            "trainer: digits\nconfig: {epochs: lots}",
            r"key 'epochs' of trainer digits: the value 'lots' must be a number",
        ),
        ("trainer: digits\nconfig: {epochs: }", r"key 'epochs' of trainer digits: the value None must be a number"),
        ("trainer: digits\nseeds: 0", r"key 'seeds': the value 0 is out of range"),
        ("trainer: [", r"e\.yaml: not valid YAML: .*line 1"),
    ],
)
def test_errors_name_file_and_key(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "e.yaml"
    path.write_text(line, encoding="utf-8")
    with pytest.raises(SpecError, match=said):
        load_experiment(str(path), Request())


def test_a_yaml_file_extends_others_and_has_presets(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text('trainer = "digits"\n[config]\nepochs = 4.0\n', encoding="utf-8")
    path = tmp_path / "e.yml"
    path.write_text("extends: base\nconfig: {lr.end: 0.05}\npresets: {short: {config: {epochs: 1}}}", encoding="utf-8")
    (arm,) = load_experiment(str(path), Request(preset="short")).arms
    assert (arm.name, arm.config["epochs"], arm.config["lr.end"]) == ("e", 1.0, 0.05)


def test_a_file_that_is_not_there_is_told_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("trainer: digits", encoding="utf-8")
    with pytest.raises(SpecError, match=r"There is no file '.*mein\.yaml'\. Did you mean 'mine\.yaml'\?"):
        load_experiment(str(tmp_path / "mein.yaml"), Request())
