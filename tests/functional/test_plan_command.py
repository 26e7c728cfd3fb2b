"""What `harness plan` recommends can be pasted, does what was priced, and leads to a verdict; and what it says of time."""

from __future__ import annotations

import itertools
import json
import math
import shlex
from pathlib import Path

import numpy as np
import pytest
from helpers import counted, rows_of, run_cli, says, shared, write

from harness.cli import run_cli as run_inside
from harness.stats.power import invocations, power_one_sample

TRAIN = """\
import random
import time


def train(seed, spread=0.1, pause=0.004):
    time.sleep(pause)
    draw = random.Random(f"{seed} {spread} {pause}")
    return round(9500 + 100 * draw.gauss(0, spread)), 10000
"""
BASE = 'trainer = "../gains.py"\ncontrol = "plain"\nclaim = "{claim}"\nmargin_pp = 0.5\nseeds = 25\nstage = "confirm"\n{keys}\n'
ARMS = '[[arms]]\nname = "plain"\n[[arms]]\nname = "quick"\nconfig.pause = 0.002\nconfig.spread = 0.3\n'
SWEEP = 'trainer = "../gains.py"\ncontrol = "plain"\nclaim = "accurate"\nmargin_pp = 0.5\n{keys}\n[[arms]]\nname = "plain"\n'
SWEPT = "".join(f'[[arms]]\nname = "s{k}"\nconfig.spread = 0.1{k}\n' for k in range(5))
LADDER = '[ladder]\nsizes = [4, 12, 40]\nkeep = ["1/2", "1"]\n'
FILES = {
    "gains.py": TRAIN,
    "other.py": TRAIN.replace("9500", "9510"),
    "experiments/pair.toml": BASE.format(claim="faster", keys="") + ARMS,
    "experiments/fresh.toml": BASE.format(claim="faster", keys="") + ARMS,
    "experiments/strict.toml": BASE.format(claim="no-regression", keys="max_slowdown = 0.05\nalpha = 0.01\nwarmup = false") + ARMS,
    "experiments/untimed.toml": BASE.format(claim="accurate", keys="invocations = 2") + ARMS,
    "experiments/safe.toml": BASE.format(claim="no-regression", keys="invocations = 2") + ARMS,
    "experiments/sweep.toml": SWEEP.format(keys="") + SWEPT,
    "experiments/own.toml": SWEEP.format(keys="invocations = 3") + SWEPT + LADDER,
    "experiments/alone.toml": 'trainer = "../gains.py"\n',
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Six seeds of `pair`, in stage confirm and without any plan."""

    def make(folder):
        for name, text in FILES.items():
            write(folder, name, text)
        return run_cli("run", "pair", "--seeds", 6, "-q", cwd=folder)

    folder, done = shared(tmp_path_factory, "plan-command", make)
    says(done, 0)
    return folder


@pytest.fixture
def say(made, monkeypatch, capfd):
    """A command in the folder: its exit code, output and errors."""
    monkeypatch.chdir(made)
    monkeypatch.setenv("NO_COLOR", "1")

    def call(*arguments: object) -> tuple[int, str, str]:
        capfd.readouterr()
        code = run_inside([str(argument) for argument in arguments])
        return code, *capfd.readouterr()

    return call


@pytest.fixture
def plan(say):
    def call(*arguments: object):
        code, out, err = say("plan", *arguments, "--json")
        assert code == 0, err
        return json.loads(out)

    return call


def way_of(found, name):
    return next(way for way in found["designs"] if way["design"] == name)


# --- the command does what was priced -----------------------------------------------------------------------------

WAYS = [
    (("pair",), "until-decided"),
    (("fresh", "--sd-pp", 0.3), "until-decided"),
    (("fresh", "--sd-pp", 2), "until-decided"),
    (("strict", "--sd-pp", 0.7), "until-decided"),
    (("untimed", "--sd-pp", 0.7), "until-decided"),
    (("fresh", "--sd-pp", 0.3, "--alpha", 0.01, "--power", 0.8), "until-decided"),
    (("sweep", "--sd-pp", 0.3, "--difference-pp", 0.2), "fixed"),
    (("sweep", "--sd-pp", 0.3, "--difference-pp", 0.05), "ladder"),
    (("sweep", "--sd-pp", 0.3, "--difference-pp", 0.035), "larger-ladder"),
    (("own", "--sd-pp", 0.3, "--difference-pp", 0.2), "ladder"),
    (("own", "--sd-pp", 0.3, "--difference-pp", 0.1), "larger-ladder"),
    (("gains.py", "other.py", "--sd-pp", 0.3, "--difference-pp", 0.2), "until-decided"),
]


@pytest.mark.parametrize(("arguments", "design"), WAYS)
def test_the_dry_run_of_the_command_has_the_runs_that_were_priced(plan, say, arguments, design) -> None:
    found = plan(*arguments)
    assert found["recommended"] == design, found["why"]
    way, words = way_of(found, design), shlex.split(found["command"])
    code, out, err = say(*words[1:], "--dry-run", "--json")
    assert code == 0, err
    dry = json.loads(out)
    stages = dry.get("stages", [dry])
    counts = {key: sum(stage[key] for stage in stages) for key in ("runs", "trainings", "warmups", "invocations")}
    assert counts == {key: found["dry_run"][key] for key in counts}
    assert counts == {key: way["most" if key == "trainings" else key] for key in counts}
    assert dry["hours"] == found["dry_run"]["hours"]
    if design == "until-decided":
        assert way["looks"] == dry["plan"]["runs"]
        assert dry["plan"]["alpha"] == found["alpha"], "judged at the level that was planned with"
        assert counts["runs"] == 2 * dry["plan"]["runs"][-1]


def test_what_is_printed_is_what_the_json_has(plan, say) -> None:
    found = plan("fresh", "--sd-pp", 2)
    text = say("plan", "fresh", "--sd-pp", 2)[1]
    dry = found["dry_run"]
    assert f"recommended: `{found['command']}`" in text
    assert f"at most {dry['runs']} runs and {dry['warmups']} warm-ups in {dry['invocations']} process starts" in text


def test_runs_made_before_any_plan_are_not_planned_with(plan, say) -> None:
    """Six runs are in stage confirm: the experiment's own command would be refused."""
    assert say("run", "pair", "--until-decided", "--dry-run")[0] == 2
    found = plan("pair")
    assert "--stage final" in found["command"] and "made before any plan" in found["fresh"]
    assert "one more try and counted as one" in found["fresh"]
    assert plan("fresh", "--sd-pp", 0.3)["fresh"] is None


def test_places_that_were_named_are_in_the_command(made, say, tmp_path) -> None:
    code, out, err = say(
        "plan", "fresh", "--sd-pp", 0.3, "--results", tmp_path / "my runs", "--experiments", "experiments", "--json"
    )
    assert code == 0, err
    words = shlex.split(json.loads(out)["command"])
    assert words[words.index("--results") + 1] == str(tmp_path / "my runs") and "--experiments" in words


@pytest.mark.slow
def test_the_command_leads_to_a_verdict_that_its_statistical_size_could_not(tmp_path) -> None:
    for name, text in FILES.items():
        write(tmp_path, name, text)
    done = run_cli("plan", "safe", "--sd-pp", 0.2, "--json", cwd=tmp_path)
    says(done, 0)
    found = json.loads(done.stdout)
    assert (found["seeds"], found["least_seeds"], way_of(found, "until-decided")["seeds"]) == (3, 10, 10)
    done = run_cli(*shlex.split(found["command"])[1:], "--json", cwd=tmp_path)
    says(done, 0)
    ended = json.loads(done.stdout)
    assert ended["look"]["n"] in way_of(found, "until-decided")["looks"] and ended["look"]["stop"] == "decided"
    assert ended["look"]["n"] >= 10 and len(counted(rows_of(tmp_path, "safe"), "quick")) == ended["look"]["n"]


# --- how many seeds -----------------------------------------------------------------------------------------------


def test_no_fewer_seeds_than_a_pass_takes(plan, say) -> None:
    found = plan("fresh", "--sd-pp", 0.3)
    assert found["seeds"] == math.ceil(2 * ((1.6448536 + 1.2815516) * 0.3 / 0.5) ** 2) == 7
    assert [way["seeds"] for way in found["designs"]] == [10, 10]
    assert found["trainings"] == 20
    assert "with fewer than 10 runs an arm nothing passes" in say("plan", "fresh", "--sd-pp", 0.3)[1]
    assert "nothing passes" not in say("plan", "fresh", "--sd-pp", 3)[1]


def test_several_at_once_are_planned_at_the_level_of_a_family(plan) -> None:
    """Five candidates beside one control: Dunnett's one-sided .05 is 2.234 (Dunnett 1955, table 1a, infinite degrees of freedom)."""
    found = plan("sweep", "--sd-pp", 0.3, "--difference-pp", 0.1)
    wanted = math.ceil(2 * ((2.234 + 1.2815516) * 3) ** 2)
    assert abs(way_of(found, "fixed")["seeds"] - wanted) <= 1
    assert found["seeds"] == math.ceil(2 * ((1.6448536 + 1.2815516) * 3) ** 2)


def test_the_spread_is_that_of_both_arms(made, plan, say) -> None:
    rows = {arm: counted(rows_of(made, "pair"), arm) for arm in ("plain", "quick")}
    sds = [np.std([100 * float(r["accuracy"]) for r in rows[arm]], ddof=1) for arm in rows]
    found = plan("pair")
    assert found["sd_pp"] == pytest.approx(math.hypot(*sds) / math.sqrt(2))
    assert sds[1] > 2 * sds[0], "the candidate was made to spread more"
    assert found["sources"]["sd_pp"] == {"value": pytest.approx(sds[0]), "store": "pair", "arm": "plain", "n": 6}
    assert found["sources"]["candidate_sd_pp"] == {
        "value": pytest.approx(sds[1]), "store": "pair", "arm": "quick", "n": 6
    }  # fmt: skip
    z = 1.6448536 + 1.2815516
    small = plan("pair", "--difference-pp", 0.1)
    assert small["seeds"] == math.ceil((z / 0.1) ** 2 * (sds[0] ** 2 + sds[1] ** 2))
    assert small["seeds_against_bar"] == math.ceil((z * sds[1] / 0.1) ** 2), "the candidate's own"
    frozen = plan("pair", "--difference-pp", 0.1, "--control-runs", 1000)
    assert frozen["seeds"] == math.ceil(sds[1] ** 2 / ((0.1 / z) ** 2 - sds[0] ** 2 / 1000))
    text = say("plan", "pair")[1]
    assert "from 6 runs of pair:plain" in text and "from 6 runs of pair:quick" in text


# --- the ladder ---------------------------------------------------------------------------------------------------


def test_an_experiments_own_ladder_is_priced(plan) -> None:
    """4 runs of 5 arms and the control, 12 of 3, 40 of 1."""
    way = way_of(plan("own", "--sd-pp", 0.3, "--difference-pp", 0.2), "ladder")
    assert (way["sizes"], way["keep"]) == ([4, 12, 40], ["1/2", "1"])
    assert way["runs"] == way["most"] == 4 * 6 + 12 * 4 + 40 * 2
    assert way["warmups"] == 3 * (6 + 4 + 2)
    assert way_of(plan("sweep", "--sd-pp", 0.3, "--difference-pp", 0.2), "ladder")["sizes"] == [25, 200, 1000]


def test_why_a_ladder_is_recommended_or_not(plan, say) -> None:
    dear = plan("sweep", "--sd-pp", 0.3, "--difference-pp", 0.2)
    assert dear["recommended"] == "fixed" and way_of(dear, "ladder")["most"] > way_of(dear, "fixed")["most"]
    assert "whatever the difference asked for" in say("plan", "sweep", "--sd-pp", 0.3, "--difference-pp", 0.2)[1]
    fine = plan("sweep", "--sd-pp", 0.3, "--difference-pp", 0.05)
    assert fine["recommended"] == "ladder" and way_of(fine, "ladder")["most"] < way_of(fine, "fixed")["most"]
    short = plan("own", "--sd-pp", 0.3, "--difference-pp", 0.1)
    larger = way_of(short, "larger-ladder")
    assert (
        larger["sizes"] == [4, 12, short["seeds"]]
        and short["seeds"] > 40
        and "its last 40 runs are fewer" in short["why"]
    )
    assert (short["recommended"] == "larger-ladder") == (larger["most"] < way_of(short, "fixed")["most"])


# --- time ---------------------------------------------------------------------------------------------------------


def test_what_the_process_starts_show_of_time(made, plan, say) -> None:
    found = plan("pair")
    time, way = found["time"], way_of(found, "until-decided")
    assert time["starts"] == way["invocations"] and time["reason"] is None
    stored = time["stored"]
    assert (stored["store"], stored["arm"], stored["n"]) == ("pair", "quick", 5)
    logs: dict[str, list[float]] = {}
    rows = {arm: {r["block"]: r for r in counted(rows_of(made, "pair"), arm)} for arm in ("plain", "quick")}
    for block, row in rows["plain"].items():
        logs.setdefault(row["invocation"], []).append(
            math.log(float(row["time_s"]) / float(rows["quick"][block]["time_s"]))
        )
    assert stored["log_speedup"] == pytest.approx(np.mean([np.mean(v) for v in logs.values()]))
    assert stored["starts_sd"] == pytest.approx(np.std([np.mean(v) for v in logs.values()], ddof=1))
    blocks = way["looks"][-1] / time["starts"]
    sd = math.sqrt(stored["between_sd"] ** 2 + stored["within_sd"] ** 2 / blocks)
    effect = math.log1p(time["detectable"]) / sd
    assert power_one_sample(effect=effect, n=time["starts"], alpha=way["level"]) == pytest.approx(0.9)
    assert time["starts_needed"] == invocations(log_ratio=stored["log_speedup"], sd_between=sd, alpha=way["level"])
    assert "the seeds are for accuracy alone" in say("plan", "pair")[1]


def test_where_time_takes_more_process_starts_the_plan_says_which_seeds_have_them(plan, say, made, tmp_path) -> None:
    """The stored blocks with the candidate's times drawn nearer: a speed-up that twelve or so process starts show."""
    rows = (made / "results/pair/runs.csv").read_text().splitlines()
    header = rows[0].split(",")
    arm, block, time = (header.index(name) for name in ("arm", "block", "time_s"))
    near = [0.6, 1.9, 0.7, 2.2, 1.5, 0.9]
    for i, row in enumerate(rows[1:], 1):
        cells = row.split(",")
        cells[time] = "1.0" if cells[arm] == "plain" else f"{1 - near[int(cells[block] or 0) % 6] / 100:.4f}"
        rows[i] = ",".join(cells)
    write(tmp_path, "results/pair/runs.csv", "\n".join(rows) + "\n")
    write(tmp_path, "results/pair/experiment.json", (made / "results/pair/experiment.json").read_text())
    found = plan("pair", "--results", tmp_path / "results", "--difference-pp", 1, "--power", 0.999)
    known = found["time"]
    assert known["starts"] == 9 < known["starts_needed"] <= 15 and found["seeds"] <= 10
    words = [*shlex.split(found["command"])[1:], "--dry-run", "--json"]
    words[words.index("--seeds") + 1] = str(known["seeds_for_starts"])
    code, out, err = say(*words)
    assert code == 0, err
    assert json.loads(out)["invocations"] >= known["starts_needed"]


def test_where_no_times_are_stored_time_cannot_be_planned(plan, say) -> None:
    time = plan("fresh", "--sd-pp", 0.3)["time"]
    assert time["detectable"] is None and "no runs of both arms are stored together" in time["reason"]
    text = say("plan", "fresh", "--sd-pp", 0.3)[1]
    assert "cannot be planned" in text and "the seeds are for accuracy alone" in text


def test_a_claim_without_time_says_nothing_of_it(plan) -> None:
    assert plan("untimed", "--sd-pp", 0.3)["time"] is None
    assert plan("--sd-pp", 0.3, "--difference-pp", 0.1)["time"] is None


# --- what may be named --------------------------------------------------------------------------------------------


def test_a_file_a_store_and_scripts_can_be_named(plan) -> None:
    by_name, by_file = plan("pair"), plan("experiments/pair.toml")
    assert by_file["designs"] == by_name["designs"]
    assert shlex.split(by_file["command"])[2] == "experiments/pair.toml"
    alone = plan("gains.py", "--sd-pp", 0.3, "--difference-pp", 0.2)
    assert alone["command"] is None and "there is none" in alone["command_reason"]
    assert shlex.split(plan("gains.py", "other.py", "--sd-pp", 0.3, "--difference-pp", 0.2)["command"])[:4] == [
        "harness", "run", "gains.py", "other.py"
    ]  # fmt: skip


def test_a_store_without_its_experiment_is_planned_from_its_runs(made, plan, say, tmp_path) -> None:
    elsewhere = plan("pair", "--experiments", tmp_path, "--difference-pp", 0.1)
    assert elsewhere["seeds"] == plan("pair", "--difference-pp", 0.1)["seeds"]
    assert elsewhere["command"] is None and "a store cannot be run" in elsewhere["command_reason"]
    assert elsewhere["time"]["detectable"] is not None, "the store says what was claimed"


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("pair", "own"), "one experiment"),
        (("pair", "gains.py"), "one experiment"),
        (("pair:quick",), "`harness plan pair`"),
        (("nobody",), "neither an experiment nor a store"),
        (("nobody.toml",), "no file"),
        (("nobody.py",), "no file"),
        (("alone",), "harness run alone --seeds 10"),
    ],
)
def test_other_names_are_told_what_is_allowed(say, names, words) -> None:
    code, out, err = say("plan", *names, "--difference-pp", 0.1)
    assert (code, out) == (2, "") and words in err, err


# --- numbers at their limits --------------------------------------------------------------------------------------


def test_a_difference_beyond_all_runs_has_its_reason(say) -> None:
    code, out, _ = say("plan", "--difference-pp", 0.0001, "--sd-pp", 5)
    assert code == 0 and "0.0001 pp: more than 1,000,000,000 runs of each arm would be needed" in out


NUMBERS = ("1e-300", "0.1", "100")


@pytest.mark.parametrize("more", [(), ("--control-runs", "2"), ("--control-runs", "1000000000", "--seeds", "2")])
@pytest.mark.parametrize("json_too", [(), ("--json",)])
def test_every_number_that_is_allowed_is_answered(say, more, json_too) -> None:
    for difference, sd in itertools.product(NUMBERS, NUMBERS):
        code, out, err = say("plan", "--difference-pp", difference, "--sd-pp", sd, *more, *json_too)
        assert (code, err) == (0, ""), (difference, sd, err)
        assert "inf" not in out.replace("infinity", "") and "nan" not in out, out


@pytest.mark.parametrize("option", ["--difference-pp", "--sd-pp", "--alpha", "--power", "--price-per-hour", "--seeds"])
@pytest.mark.parametrize("value", ["nan", "inf", "-1", "1e400", "x"])
def test_every_other_number_is_refused(say, option, value) -> None:
    given = {"--difference-pp": "0.1", "--sd-pp": "0.2"} | {option: value}
    code, out, err = say("plan", *itertools.chain(*given.items()))
    assert (code, out) == (2, "") and option in err, err


def test_an_alpha_and_a_power_of_one_half_are_no_test(say) -> None:
    code, _, err = say("plan", "--looks", 3, "--alpha", 0.5, "--power", 0.5)
    assert code == 2 and "a coin, not a test" in err
