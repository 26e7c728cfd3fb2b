"""`action.yml`: what GitHub reads of it, and its own commands run as GitHub runs them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers import ENVIRON, says, three_arms, write

from harness import yamlfile

ROOT = Path(__file__).parents[2]
ACTION = yamlfile.parse((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS: dict[str, dict[str, Any]] = {step["name"]: step for step in ACTION["runs"]["steps"]}
EXPRESSION = re.compile(r"\$\{\{ *([\w.-]+) *\}\}")


def test_it_is_a_composite_action_whose_inputs_all_exist() -> None:
    assert ACTION["runs"]["using"] == "composite" and ACTION["name"] and ACTION["description"]
    text = (ROOT / "action.yml").read_text(encoding="utf-8")
    used = set(re.findall(r"inputs\.([\w-]+)", text))
    assert used == set(ACTION["inputs"])
    for step in STEPS.values():
        assert ("run" in step) != ("uses" in step)
        assert "shell" in step or "uses" in step, "a composite action needs it"
        assert "${{" not in step.get("run", ""), "an input that is pasted into a script is a script itself"
    outputs = {output["value"] for output in ACTION["outputs"].values()}
    assert outputs == {"${{ steps.gate.outputs.verdict }}", "${{ steps.gate.outputs.exit-code }}"}


def run_step(name: str, folder: Path, **inputs: str) -> tuple[int, str, dict[str, str], str]:
    """Exit code, words, outputs and step summary of a step, with the action's inputs (its defaults where none is given)."""
    step = STEPS[name]
    values = {f"inputs.{key}": str(one["default"]) for key, one in ACTION["inputs"].items()}
    values |= {f"inputs.{key.replace('_', '-')}": value for key, value in inputs.items()}
    values |= {"github.action_path": str(ROOT)}

    def filled(text: str) -> str:
        return EXPRESSION.sub(lambda found: values[found[1]], text)

    output, summary = folder / "output.txt", folder / "summary.md"
    output.write_text("")
    summary.write_text("")
    environ = ENVIRON | {key: filled(value) for key, value in step.get("env", {}).items()}
    environ |= {"GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(summary), "PYTHONPATH": str(ROOT)}
    environ["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), environ["PATH"]))
    place = folder / filled(step.get("working-directory", "."))
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]], cwd=place, env=environ, capture_output=True, text=True,
        check=False, timeout=300,
    )  # fmt: skip
    said = done.stdout + done.stderr
    told = dict(line.split("=", 1) for line in output.read_text().splitlines())
    return done.returncode, said, told, summary.read_text()


@pytest.fixture
def project(cli_inside, tmp_path: Path) -> Path:
    """A repository with stored runs of three arms, and gate files for two of them, in a folder with a space."""
    write(tmp_path, "my project/runs.csv", three_arms())
    results = tmp_path / "my project" / "results"
    says(cli_inside("import", tmp_path / "my project" / "runs.csv", "--as", "theirs", "--results", results), 0)
    for arm in ("same", "worse"):
        check = f'[[checks]]\nname = "{arm}"\ncontrol = "theirs:a"\ncandidate = "theirs:{arm}"\nmargin_pp = 0.5\nlayers = ["hard"]\n'
        write(tmp_path, f"my project/{arm}.toml", check)
    return tmp_path


PLACE = {"working_directory": "my project"}


@pytest.mark.parametrize(
    ("inputs", "code", "verdict"),
    [
        ({"gate": "same.toml"}, 0, "pass"),
        ({"gate": "worse.toml"}, 1, "fail"),
        ({"gate": "nowhere.toml"}, 2, "error"),
        ({"arguments": "theirs:a theirs:same --margin-pp 0.5"}, 0, "pass"),
        ({"arguments": "theirs:a theirs:same --margin-pp 0.001"}, 3, "inconclusive"),
        ({"arguments": "theirs:a theirs:same --margin-pp 0.001", "on_inconclusive": "pass"}, 0, "inconclusive"),
        ({"arguments": "theirs:a theirs:same --margin-pp 0.5 --max-slowdown 1%"}, 4, "refused"),
        ({"arguments": "theirs:a 'theirs:no such arm' --margin-pp 0.5"}, 4, "error"),
    ],
)
def test_each_outcome_is_the_step_s_exit_code_and_an_output(project: Path, inputs, code: int, verdict: str) -> None:
    status, said, outputs, summary = run_step("gate", project, **PLACE, **inputs)
    assert status == code, said
    assert outputs == {"verdict": verdict, "exit-code": str(code)} and "Traceback" not in said
    place = project / "my project"
    assert json.loads((place / "gate.json").read_text())["gate"]["exit_code"] == code
    assert (place / "gate.xml").read_text().startswith("<?xml") and "GATE:" in summary


def test_what_is_no_word_of_a_shell_is_told_and_nothing_in_an_input_is_run(project: Path) -> None:
    status, said, outputs, _ = run_step("gate", project, **PLACE, arguments="theirs:a 'theirs:same")
    assert status != 0 and "No closing quotation" in said and outputs == {}
    run_step("gate", project, **PLACE, arguments="theirs:a '$(touch ran)' `touch ran` ; touch ran")
    run_step("gate", project, **PLACE, gate="$(touch ran).toml")
    assert not (project / "my project" / "ran").exists()


def test_it_installs_its_own_revision_unless_told_otherwise() -> None:
    step = STEPS["install"]
    assert step["if"] == "inputs.requirement != 'none'"
    assert step["run"] == 'python -m pip install --quiet "${REQUIREMENT:-$OWN}"'
    assert step["env"] == {"REQUIREMENT": "${{ inputs.requirement }}", "OWN": "${{ github.action_path }}"}


def test_the_evidence_is_kept_also_of_a_red_gate() -> None:
    step = STEPS["keep the evidence"]
    assert step["if"].startswith("always()") and step["uses"].startswith("actions/upload-artifact@")
    kept = [line.rpartition("/")[2] or line.split("/")[-2] for line in step["with"]["path"].split()]
    assert {"gate*.json", "gate.md", "gate.xml", "results"} <= set(" ".join(kept).split())
