"""Arms that a machine cannot run: an error before the first run, or left out by name and reason, everywhere where it is told."""

from __future__ import annotations

import json

import pytest
from helpers import RANGED, counted, rows_of, says, write

LIMITED = RANGED.replace(
    "    def prepare(self, config):",
    """    def check_machine(self, config):
        if config.kind == "nesterov" and not (Path.cwd() / "momentum").exists():
            raise ValueError("kind = 'nesterov' needs a momentum, and there is none here")

    def prepare(self, config):""",
)
ARMS = """\
trainer = "ranged.py"
seeds = 3
[[arms]]
name = "plain"
[[arms]]
name = "longer"
config = { epochs = 3 }
[[arms]]
name = "nesterov"
config = { kind = "nesterov" }
"""
TOLD = "not run: nesterov: kind = 'nesterov' needs a momentum, and there is none here"


@pytest.fixture
def arms(tmp_path):
    write(tmp_path, "ranged.py", LIMITED)
    write(tmp_path, "arms.toml", ARMS)
    return tmp_path


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_by_default_it_is_an_error_before_the_first_run(cli_inside, arms, more):
    done = cli_inside("run", "arms.toml", *more)
    says(done, 2, "cannot run nesterov: kind = 'nesterov' needs a momentum", "--skip-impossible")
    assert not (arms / "results").exists()


def test_skipped_arms_are_listed_with_their_reason_wherever_the_experiment_is_told(cli, arms):
    plan = json.loads(cli("run", "arms.toml", "--skip-impossible", "--dry-run", "--json").stdout)
    assert [arm["name"] for arm in plan["arms"]] == ["plain", "longer"] and plan["runs"] == 6
    assert plan["not_run"][0]["name"] == "nesterov"
    assert TOLD in cli("run", "arms.toml", "--skip-impossible", "--dry-run").stdout
    done = cli("run", "arms.toml", "--skip-impossible", "-q")
    says(done, 0)
    assert TOLD in " ".join(done.stdout.split())
    assert {row["arm"] for row in rows_of(arms, "arms")} == {"plain", "longer"}
    stored = json.loads((arms / "results" / "arms" / "experiment.json").read_text())
    assert [arm["name"] for arm in stored["not_run"]] == ["nesterov"]
    for command in (("compare", "arms"), ("show", "arms"), ("compare", "arms", "--markdown", "told.md")):
        assert TOLD in " ".join(cli(*command).stdout.split()), command
    assert TOLD in (arms / "told.md").read_text()
    assert json.loads(cli("compare", "arms", "--json").stdout)["not_run"][0]["name"] == "nesterov"
    again = cli("run", "arms.toml", "--skip-impossible", "-q")
    says(again, 0)
    assert "Nothing to do" in again.stdout and TOLD in " ".join(again.stdout.split())


def test_a_later_stage_of_some_arms_keeps_the_list(cli, arms):
    says(cli("run", "arms.toml", "--skip-impossible", "-q"), 0)
    says(cli("run", "arms.toml", "--skip-impossible", "--stage", "confirm", "--arm", "longer", "-q"), 0)
    assert TOLD in " ".join(cli("compare", "arms").stdout.split())


def test_the_file_can_say_it_and_a_better_machine_runs_what_was_left_out(cli, arms):
    write(arms, "arms.toml", ARMS.replace("seeds = 3", "seeds = 3\nskip_impossible = true"))
    says(cli("run", "arms.toml", "-q"), 0)
    write(arms, "momentum", "")
    says(cli("run", "arms.toml", "-q"), 0)
    assert len(counted(rows_of(arms, "arms"), "nesterov")) == 3
    assert "not_run" not in json.loads((arms / "results" / "arms" / "experiment.json").read_text())
    (arms / "momentum").unlink()
    done = cli("run", "arms.toml", "-q", "--seeds", "4")
    says(done, 0)
    assert len(counted(rows_of(arms, "arms"), "plain")) == 4
    assert "not run" not in cli("compare", "arms").stdout


def test_what_is_complete_is_no_error(cli, arms):
    write(arms, "momentum", "")
    says(cli("run", "arms.toml", "-q"), 0)
    (arms / "momentum").unlink()
    done = cli("run", "arms.toml", "-q")
    says(done, 0)
    assert "Nothing to do" in done.stdout


def test_a_control_that_cannot_run_is_an_error_all_the_same(cli_inside, arms):
    done = cli_inside("run", "arms.toml", "--skip-impossible", "--set", "kind=nesterov")
    says(done, 2, "--set kind: the arms of this experiment differ")
    write(arms, "arms.toml", ARMS.replace('name = "plain"', 'name = "plain"\nconfig = { kind = "nesterov" }'))
    says(cli_inside("run", "arms.toml", "--skip-impossible"), 2, "cannot run plain:", "Change that key with --set")


def test_a_ladder_leaves_out_what_the_file_lets_it_and_says_so(cli, arms):
    write(
        arms, "climb.toml", "skip_impossible = true\n" + ARMS + '[[arms]]\nname = "longest"\nconfig = { epochs = 4 }\n'
    )
    ladder = ("ladder", "climb.toml", "--sizes", "4,6,10", "--keep", "1,1")
    assert TOLD in cli(*ladder, "--dry-run").stdout
    done = cli(*ladder, "-q")
    says(done, 0)
    assert TOLD in " ".join(done.stdout.split())
    assert {row["arm"] for row in rows_of(arms, "climb")} == {"plain", "longer", "longest"}
