"""The gate through real processes: every exit code, what it writes, and what must never pass."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest


def store(folder: Path, name: str, *, accuracy: float, seconds: float, n: int = 60, invocations: int = 6) -> None:
    """An imported store of two arms, base (.94, 1 s) and mine, interleaved."""
    rng = random.Random(7)
    path = folder / f"{name}.csv"
    with path.open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["arm", "seed", "correct", "total", "time_s", "invocation", "block", "environment"])
        for i in range(n):
            for arm, mean, s in (("base", 0.94, 1.0), ("mine", accuracy, seconds)):
                correct = round(10_000 * rng.gauss(mean, 0.0015))
                rows.writerow([arm, i, correct, 10_000, rng.gauss(s, 0.004), f"p{i * invocations // n}", i, "e"])
    assert call(folder, "import", path.name, "--as", name).returncode == 0


def call(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if k != "GITHUB_STEP_SUMMARY"}
    return subprocess.run(
        [sys.executable, "-m", "harness", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        env=clean | environment,
    )


def gate(folder: Path, *arguments: str, **environment: str) -> tuple[int, dict[str, Any], str]:
    done = call(folder, "gate", *arguments, **environment)
    return done.returncode, json.loads((folder / "gate.json").read_text()), done.stdout + done.stderr


LIMITS = ("--margin-pp", "0.1", "--max-slowdown", "1%")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("gate")
    store(place, "same", accuracy=0.94, seconds=1.0)
    store(place, "worse", accuracy=0.937, seconds=1.0)
    store(place, "slower", accuracy=0.94, seconds=1.05)
    store(place, "few", accuracy=0.94, seconds=1.0, n=12)
    return place


def test_no_regression_passes(folder: Path) -> None:
    code, found, text = gate(folder, "same:base", "same:mine", *LIMITS)
    assert (code, found["gate"]["verdict"], found["claim"]) == (0, "pass", "no-regression")
    assert "GATE: PASS (exit 0" in text


@pytest.mark.parametrize("name", ["worse", "slower"])
def test_a_planted_regression_fails(folder: Path, name: str) -> None:
    code, found, text = gate(folder, f"{name}:base", f"{name}:mine", *LIMITS)
    assert (code, found["gate"]["exit_code"], found["gate"]["verdict"]) == (1, 1, "fail")
    assert "GATE: FAIL" in text


def test_an_open_question_is_3_and_0_where_the_caller_says_so(folder: Path) -> None:
    few = ("few:base", "few:mine", "--margin-pp", "0.02", "--max-slowdown", "1%")
    code, found, _ = gate(folder, *few)
    assert (code, found["gate"]["verdict"]) == (3, "inconclusive")
    code, found, text = gate(folder, *few, "--on-inconclusive", "pass")
    assert (code, found["gate"]["verdict"]) == (0, "inconclusive")
    assert "let through by --on-inconclusive pass" in text


def test_runs_that_cannot_bear_the_question_are_4(folder: Path) -> None:
    code, found, _ = gate(folder, "same:base", "worse:mine", *LIMITS, "--claim", "faster", "--target", ".9")
    assert code == 1, "separate runs refuse time; the lower accuracy is proven all the same, and that outweighs it"
    code, found, _ = gate(folder, "same:base", "few:mine", "--margin-pp", "5", "--claim", "faster")
    assert (code, found["gate"]["verdict"]) == (4, "refused")


@pytest.mark.parametrize("names", [("same:base", "nosuch"), ("nosuch", "same:mine"), ("same:base", "same:other")])
def test_a_missing_store_or_arm_never_passes_and_leaves_no_old_answer(folder: Path, names: tuple[str, str]) -> None:
    gate(folder, "same:base", "same:mine", *LIMITS)
    code, found, _ = gate(folder, *names, *LIMITS)
    assert code == 4
    assert (found["gate"]["verdict"], found["gate"]["exit_code"]) == ("error", 4)


@pytest.mark.parametrize("name", ["/tmp", "../x", ".hidden", "a/b:mine"])
def test_what_can_be_neither_store_nor_experiment_is_told_so(folder: Path, name: str) -> None:
    code, found, text = gate(folder, name, *LIMITS)
    assert (code, found["gate"]["verdict"]) == (2, "error")
    assert "can be neither a store nor an experiment" in text and "harness run" not in text


def test_an_unreadable_or_empty_store_never_passes(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "results", tmp_path / "results")
    runs = tmp_path / "results" / "same" / "runs.csv"
    header = runs.read_text().splitlines()[0]
    for content in ("", header + "\n", "not,a,store\n1,2,3\n", "\x00\x01\x02"):
        runs.write_text(content)
        code, found, text = gate(tmp_path, "same:base", "same:mine", *LIMITS)
        assert (code, found["gate"]["verdict"]) == (4, "error"), text
        assert "Traceback" not in text


def test_a_margin_that_nobody_stated_is_a_configuration_error(folder: Path) -> None:
    code, found, text = gate(folder, "same:base", "same:mine")
    assert (code, found["gate"]["verdict"]) == (2, "error")
    assert "--margin-pp" in text


def test_a_target_that_the_claim_does_not_use_is_a_usage_error(folder: Path) -> None:
    same = ("same:base", "same:mine", *LIMITS, "--target", "95%")
    for claim in ((), ("--claim", "no-regression"), ("--claim", "equivalent")):
        code, found, text = gate(folder, *same, *claim)
        assert (code, found["gate"]["verdict"]) == (2, "error") and "--target: a target of 95 % is stated" in text
        assert "faster or accurate" in " ".join(text.split())
    code, found, _ = gate(folder, *same, "--claim", "accurate")
    assert (code, found["target"], found["comparisons"][0]["accuracy"]["bar"]["decision"]) == (1, 0.95, "fail"), (
        "94 % do not reach it"
    )


def test_usage_errors_are_2(folder: Path) -> None:
    assert call(folder, "gate", "same:base", "same:mine", "--claim", "nicer").returncode == 2
    assert call(folder, "gate").returncode == 2
    code, _, text = gate(folder, "gate.toml")
    assert code == 2 and "There is no file 'gate.toml'" in text


SAME = ("same:base", "same:mine", *LIMITS)
PAGES = ("--junitxml", "junit.xml", "--bencher", "bencher.json", "--markdown", "gate.md")


@pytest.fixture
def passed(folder: Path, tmp_path: Path) -> Path:
    """A folder of its own with every file of a gate that passed."""
    green = folder / "green"
    if not green.exists():
        shutil.copytree(folder / "results", green / "results")
        done = call(green, "gate", *SAME, *PAGES)
        assert done.returncode == 0, done.stderr
    shutil.copytree(green, tmp_path, dirs_exist_ok=True)
    return tmp_path


UNREAD = {
    "no number": (*SAME, "--margin-pp", "x"),
    "out of range": (*SAME, "--alpha", "nan"),
    "no share": (*SAME, "--max-slowdown", "much"),
    "no claim": (*SAME, "--claim", "nicer"),
    "no such option": (*SAME, "--margin", "1"),
    "a value is missing": (*SAME, "--stage"),
    "no names": LIMITS,
}


@pytest.mark.parametrize("case", UNREAD)
def test_a_command_line_that_cannot_be_read_leaves_no_old_answer(passed: Path, case: str) -> None:
    summary = passed / "summary.md"
    code, found, text = gate(passed, "--on-inconclusive", "pass", *UNREAD[case], GITHUB_STEP_SUMMARY=str(summary))
    assert code == 2, text
    assert (found["gate"]["verdict"], found["gate"]["exit_code"]) == ("error", 2)
    assert found["gate"]["on_inconclusive"] == "pass"
    said = " ".join(text.split())
    assert " ".join(found["gate"]["message"].split()) in said and "Traceback" not in said
    assert summary.read_text().startswith("**GATE: no judgement**")


@pytest.mark.parametrize("joined", [False, True], ids=["--file NAME", "--file=NAME"])
@pytest.mark.parametrize("ahead", [False, True], ids=["behind the command", "before it"])
def test_it_leaves_none_in_the_files_that_it_names(passed: Path, joined: bool, ahead: bool) -> None:
    named = ("--json-file", "first.json", "--json-file", "my.json", *PAGES)
    if joined:
        named = tuple(f"{option}={name}" for option, name in zip(named[::2], named[1::2], strict=True))
    shutil.copy(passed / "gate.json", passed / "my.json")
    line = ("--alpha", "2", "gate", *SAME, *named) if ahead else ("gate", "--alpha", "2", *SAME, *named)
    done = call(passed, *line)
    assert done.returncode == 2
    found = json.loads((passed / "my.json").read_text())
    assert (found["gate"]["verdict"], found["gate"]["exit_code"]) == ("error", 2)
    assert (passed / "gate.md").read_text().startswith("**GATE: no judgement**")
    assert (passed / "bencher.json").read_text() == "{}\n"
    assert ElementTree.parse(passed / "junit.xml").getroot().get("errors") == "1"
    assert json.loads((passed / "gate.json").read_text())["gate"]["verdict"] == "pass", "of another gate"
    assert not (passed / "first.json").exists()


def test_one_file_that_cannot_be_written_leaves_no_old_answer_in_the_others(passed: Path) -> None:
    done = call(passed, "gate", *SAME, "--json-file", "nowhere/gate.json", *PAGES)
    assert done.returncode == 4 and "nowhere/gate.json: cannot be written" in " ".join(done.stderr.split())
    assert (passed / "gate.md").read_text().startswith("**GATE: no judgement**")
    assert ElementTree.parse(passed / "junit.xml").getroot().get("errors") == "1"
    (passed / "here").mkdir()
    code, found, _ = gate(passed, *SAME, "--markdown", "here")
    assert (code, found["gate"]["verdict"]) == (2, "error")


def test_a_gate_file_is_never_written_over(passed: Path) -> None:
    file = passed / "my.toml"
    file.write_text("[[checks]]\n")
    lines = [
        (*SAME, "--junitxml", "my.toml", "my.toml"),
        ("my.toml", "--markdown=my.toml", "--margin-pp", "x"),
        ("--junitxml", "my.toml"),
        ("--json-file=./my.toml", "--bencher", "my.toml"),
    ]
    answer = (passed / "gate.json").read_text()
    for line in lines:
        (passed / "gate.json").write_text(answer)
        done = call(passed, "gate", *line)
        assert done.returncode == 2 and file.read_text() == "[[checks]]\n", line
        verdict = json.loads((passed / "gate.json").read_text())["gate"]["verdict"]
        assert verdict == ("pass" if "--json-file=./my.toml" in line else "error"), line


def test_the_help_of_the_gate_writes_nothing(tmp_path: Path) -> None:
    for line in (("--help",), ("-h",), (*LIMITS, "--help"), ("same:base", "--help", "--json-file", "x.json")):
        assert call(tmp_path, "gate", *line).returncode == 0
    words = {"COMP_WORDS": "harness gate --margin-pp x --cl", "COMP_CWORD": "4"}
    assert "--claim" in call(tmp_path, **words, _HARNESS_COMPLETE="bash_complete").stdout
    assert not list(tmp_path.iterdir())


def test_what_a_pipeline_reads(folder: Path, tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    names = ("--junitxml", "junit.xml", "--bencher", "bencher.json", "--markdown", "gate.md")
    code, _, _ = gate(folder, "slower:base", "slower:mine", *LIMITS, *names, GITHUB_STEP_SUMMARY=str(summary))
    assert code == 1
    assert summary.read_text().startswith("before\n**GATE: FAIL**") and "| mine |" in summary.read_text()
    assert (folder / "gate.md").read_text().startswith("**GATE: FAIL**")
    suite = ElementTree.parse(folder / "junit.xml").getroot()
    assert int(suite.get("failures", "0")) == 1 and int(suite.get("tests", "0")) == len(suite)
    assert [case.get("name") for case in suite if case.find("failure") is not None]
    metrics = json.loads((folder / "bencher.json").read_text())
    assert metrics["mine"]["time_s"]["lower_value"] < metrics["mine"]["time_s"]["value"]
    assert 0.93 < metrics["base"]["accuracy"]["value"] < 0.95


def test_json_alone_on_standard_output(folder: Path) -> None:
    done = call(folder, "gate", "same:base", "same:mine", *LIMITS, "--json", "--json-file", "other.json")
    assert json.loads(done.stdout) == json.loads((folder / "other.json").read_text())
    assert done.returncode == 0


def test_the_worst_candidate_decides(folder: Path) -> None:
    code, found, _ = gate(folder, "same:base", "same:mine", "worse:mine", *LIMITS)
    assert {c["verdict"] for c in found["comparisons"]} >= {"fail"}
    assert code == 1
