"""What can be known of a verdict before the first run is said there, and refuses no run."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import rows_of, says, write

ROOT = Path(__file__).parents[2]
IDLE = 'claim = "faster"\nmargin_pp = 1\nextends = "digits-baseline"\ncontrol = "digits-baseline"\nseeds = 2\n'
SWEEP = IDLE + '[sweep.grid]\n"lr.end" = [0.1]\n'


@pytest.mark.parametrize("way", [("run", "idle.toml"), ("run", "idle.toml", "--until-decided"), ("ladder", "two.toml")])
def test_an_arm_that_cannot_be_faster_is_told_before_the_first_run(cli_inside, tmp_path, way) -> None:
    write(tmp_path, "idle.toml", SWEEP.replace("seeds = 2", "seeds = 20"))
    write(tmp_path, "two.toml", SWEEP.replace("[0.1]", "[0.1, 0.2]"))
    done = cli_inside(*way, "--dry-run", "--experiments", ROOT / "experiments")
    says(done, 0)
    assert done.stderr.count("no arm can be faster") == 1 and "--set claim=accurate" in done.stderr
    other = cli_inside(*way, "--dry-run", "--experiments", ROOT / "experiments", "--set", "claim=accurate")
    says(other, 0)
    assert "can be faster" not in other.stderr


def test_a_run_warns_and_runs_all_the_same(cli_inside, tmp_path) -> None:
    write(tmp_path, "idle.toml", SWEEP)
    done = cli_inside("run", "idle.toml", "-q", "--experiments", ROOT / "experiments")
    assert "no arm can be faster" in done.stderr and "compute-neutral" in says(done, 0)
    again = cli_inside("run", "idle.toml", "-q", "--experiments", ROOT / "experiments")
    assert "can be faster" not in again.stderr, "there is no run before which to say it"


def test_a_margin_that_nobody_stated_is_told_before_the_first_run(cli_inside, tmp_path) -> None:
    for name in ("old.py", "new.py"):
        write(tmp_path, name, f"def train(seed):\n    return 900 + seed % {len(name)}, 1000\n")
    done = cli_inside("run", "old.py", "new.py", "--seeds", 2, "--as", "pair", "-q")
    assert "needs a margin, and nobody stated one" in done.stderr and "--set margin_pp=" in done.stderr
    assert len([r for r in rows_of(tmp_path, "pair") if r["warmup"] != "true"]) == 4, "it is not refused"
    stated = cli_inside("run", "old.py", "new.py", "--seeds", 2, "--set", "margin_pp=1", "--as", "other", "-q")
    assert stated.returncode == 0 and "needs a margin" not in stated.stderr
    assert "warning" not in cli_inside("run", "old.py", "--seeds", 2, "-q").stderr, "a single arm claims nothing"


def test_what_the_help_and_the_readme_show_can_pass(cli_inside, tmp_path) -> None:
    for name in ("old.py", "new.py"):
        write(tmp_path, name, f"def train(seed):\n    return 900 + seed % {len(name)}, 1000\n")
    shown = cli_inside("--help").stdout
    line = next(line for line in shown.splitlines() if "run old.py new.py" in line)
    words = line.split("  two scripts")[0].split()[1:]
    assert "warning" not in cli_inside(*words, "--dry-run").stderr
    readme = (ROOT / "README.md").read_text()
    example = next(block for block in readme.split("```toml\n")[1:] if "extends" in block).split("```")[0]
    write(tmp_path, "example.toml", example)
    for name in ("example.toml", "digits-lr-end"):
        done = cli_inside("run", name, "--dry-run", "--experiments", ROOT / "experiments")
        says(done, 0)
        assert "warning" not in done.stderr
