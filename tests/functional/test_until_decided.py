"""A campaign that stops when it may: planned, kept, resumed, and never planned over runs that are there already."""

from __future__ import annotations

import json
import random
import shutil
import time

import pytest
from helpers import counted, kill_session, ledger_of, rows_of, says, start_cli, wait_until, write

TRAIN = """\
import random


def train(seed, gain=0.0, pause=0.0):
    import time
    time.sleep(pause)
    draw = random.Random(seed + int(1e6 * gain))
    return round(9000 + 10 * draw.gauss(0, 1) + 1e4 * gain), 10000
"""
EXPERIMENT = """\
trainer = "gains.py"
control = "plain"
claim = "{claim}"
margin_pp = 0.1
seeds = 25
stage = "confirm"
{keys}
[[arms]]
name = "plain"
[[arms]]
name = "better"
config.gain = {gain}
"""


@pytest.fixture
def made(tmp_path):
    def make(*, gain: float = 0.003, claim: str = "accurate", keys: str = "") -> None:
        write(tmp_path, "gains.py", TRAIN)
        write(tmp_path, "gains.toml", EXPERIMENT.format(gain=gain, claim=claim, keys=keys))

    return make


def size(path):
    return path.stat().st_size if path.exists() else 0


def document(result):
    says(result, 0)
    return json.loads(result.stdout)


def test_it_stops_as_soon_as_it_is_decided(cli, made, tmp_path):
    """+.3 pp at a standard deviation of .1: plain after the second of five looks."""
    made()
    planned = document(cli("run", "gains.toml", "--until-decided", "--dry-run", "--json"))
    assert planned["plan"]["runs"] == [6, 11, 17, 22, 28] and not (tmp_path / "results").exists()
    ended = document(cli("run", "gains.toml", "--until-decided", "--json"))
    assert (ended["look"]["stop"], ended["comparison"]["comparisons"][0]["verdict"]) == ("decided", "pass")
    assert ended["look"]["n"] == 11 == len(counted(rows_of(tmp_path, "gains"), "better"))
    looks = [(e["n"], e["stop"]) for e in ledger_of(tmp_path, "gains") if e["event"] == "planned-look"]
    assert looks == [(6, None), (11, "decided")]
    stored = json.loads((tmp_path / "results/gains/experiment.json").read_text())
    assert stored["sequential"]["confirm"]["better"] == planned["plan"], "what was planned before the first run stands"
    again = cli("run", "gains.toml", "--until-decided")
    says(again, 0)
    assert "look 2 of 5: decided" in again.stdout and len(counted(rows_of(tmp_path, "gains"))) == 22
    assert len([e for e in ledger_of(tmp_path, "gains") if e["event"] == "planned-look"]) == 2
    compared = document(cli("compare", "gains", "--json"))["comparisons"][0]
    assert compared["verdict"] == "pass" and "peeked" not in [f["code"] for f in compared["findings"]]


@pytest.mark.slow
def test_time_alone_is_planned_in_process_starts_and_needs_no_margin(cli, tmp_path):
    """A pause of 40 ms in place of 120: decided at the first look that tests time, with accuracies that have no spread."""
    write(
        tmp_path, "pauses.py", "import time\n\n\ndef train(seed, pause=0.12):\n    time.sleep(pause)\n    return 1.0\n"
    )
    text = EXPERIMENT.format(gain=0, claim="time-only", keys="").replace("gains.py", "pauses.py")
    write(
        tmp_path, "pauses.toml", text.replace("margin_pp = 0.1\n", "").replace("config.gain = 0", "config.pause = 0.04")
    )
    ended = document(cli("run", "pauses.toml", "--until-decided", "--json"))
    one = ended["comparison"]["comparisons"][0]
    assert one["verdict"] == "pass" and one["headline"].startswith("FASTER: ")
    assert one["sequential"]["stop"] == "decided" and one["sequential"]["look"] < 5
    assert one["time"]["speedup"]["value"] > 2


def test_it_gives_up_where_there_is_nothing_to_find(cli, made):
    made(gain=-0.0004)
    ended = document(cli("run", "gains.toml", "--until-decided", "--json"))
    assert ended["look"]["stop"] in ("futility", "decided") and ended["look"]["n"] < 28
    assert ended["comparison"]["comparisons"][0]["verdict"] != "pass"


def test_past_futility_goes_on(cli, made):
    made(gain=-0.0001)
    stopped = document(cli("run", "gains.toml", "--until-decided", "--json"))
    assert stopped["look"]["stop"] == "futility"
    further = document(cli("run", "gains.toml", "--until-decided", "--past-futility", "--json"))
    assert further["look"]["n"] > stopped["look"]["n"]


def test_a_likelihood_ratio_in_place_of_five_looks(cli, made, tmp_path):
    made()
    ended = document(cli("run", "gains.toml", "--until-decided", "--mode", "sprt", "--json"))
    assert (ended["look"]["mode"], ended["look"]["n"], ended["look"]["stop"]) == ("sprt", 15, "decided")


def test_a_run_that_is_lacking_is_made_before_anything_is_judged(cli, made, tmp_path):
    """As after a crash, with runs beyond the look: the same command fills the gap, and decides as it would have."""
    made()
    whole = document(cli("run", "gains.toml", "--until-decided", "--json"))
    cli("run", "gains.toml", "--stage", "confirm", "--seeds", str(whole["look"]["n"] + 4))
    table = tmp_path / "results" / "gains" / "runs.csv"
    lines = table.read_text().splitlines(keepends=True)
    places = [lines[0].split(",").index(name) for name in ("arm", "replicate", "warmup")]
    wanted = ["better", "2", "false"]
    gone = [k for k, line in enumerate(lines) if [line.split(",")[place].lower() for place in places] == wanted]
    assert len(gone) == 1
    table.write_text("".join(lines[: gone[0]] + lines[gone[0] + 1 :]))
    open_one = document(cli("compare", "gains", "--json"))["comparisons"][0]
    assert (open_one["verdict"], open_one["sequential"]["lacking"]) == ("inconclusive", "replicate 2 of better")
    again = document(cli("run", "gains.toml", "--until-decided", "--json"))
    assert again["comparison"]["comparisons"][0]["accuracy"] == whole["comparison"]["comparisons"][0]["accuracy"]


@pytest.mark.parametrize(
    ("claim", "keys", "arguments", "message"),
    [
        ("accurate", "", ("--until-decided", "--mode", "sprt", "--past-futility"), "leave one of the two out"),
        ("accurate", "", ("--until-decided", "--stage", "screen"), "stage 'screen' decides nothing"),
        ("faster", "", ("--until-decided", "--mode", "sprt"), "time is a matter of process starts"),
        ("accurate", "", ("--mode", "sprt"), "belong to --until-decided"),
        ("accurate", "", ("--until-decided", "--arm", "bettr"), "Did you mean 'better'?"),
    ],
)
def test_what_cannot_be_planned_is_said(cli_inside, made, claim, keys, arguments, message):
    made(claim=claim, keys=keys)
    assert message in says(cli_inside("run", "gains.toml", *arguments), 2)


def test_a_sweep_is_not_decided_as_one(cli_inside, made, tmp_path):
    made()
    text = (tmp_path / "gains.toml").read_text()
    write(tmp_path, "gains.toml", text + '[[arms]]\nname = "best"\nconfig.gain = 0.004\n')
    found = says(cli_inside("run", "gains.toml", "--until-decided"), 2)
    assert "2 candidates (better, best)" in found and "--arm NAME" in found


def test_looks_are_planned_before_the_first_run_or_not_at_all(cli_inside, made):
    made()
    says(cli_inside("run", "gains.toml", "--seeds", "4", "-q"), 0)
    found = says(cli_inside("run", "gains.toml", "--until-decided"), 2)
    assert "holds 4 runs of better in stage confirm, made before any plan" in found


def test_a_plan_stands(cli_inside, made):
    made()
    says(cli_inside("run", "gains.toml", "--until-decided", "-q"), 0)
    found = says(cli_inside("run", "gains.toml", "--until-decided", "--seeds", "40"), 2)
    assert "has a plan already, made with seeds 25 (now 40)" in found


@pytest.mark.parametrize("more", [0, 1], ids=["nothing is missing", "a run is missing"])
def test_a_promise_that_changes_later_is_noted_and_the_planned_one_judges(cli_inside, made, tmp_path, more):
    made()
    decided = document(cli_inside("run", "gains.toml", "--until-decided", "--json"))
    path = tmp_path / "results/gains/experiment.json"
    plan = json.loads(path.read_text())["sequential"]
    seeds = decided["seeds"] + more
    later = document(cli_inside("run", "gains.toml", "--seeds", seeds, "--set", "margin_pp=0.3", "--json"))
    stored = json.loads(path.read_text())
    assert (stored["margin_pp"], stored["sequential"]) == (0.3, plan)
    assert later["comparison"]["margin_pp"] == 0.1, "the plan's"
    noted = [entry for entry in ledger_of(tmp_path, "gains") if entry["event"] == "promises-changed"]
    assert [entry["changes"] for entry in noted] == [{"margin_pp": [0.1, 0.3]}]


def test_killed_and_resumed_it_decides_the_same(cli, made, tmp_path):
    made(gain=0.002, keys="config = { pause = 0.02 }\n")
    whole = document(cli("run", "gains.toml", "--until-decided", "--results", "whole", "--json"))
    choose = random.Random(5)
    runs = tmp_path / "results" / "gains" / "runs.csv"
    for _ in range(2):
        before = size(runs)
        process = start_cli("run", "gains.toml", "--until-decided", cwd=tmp_path)
        wait_until(lambda at=before, p=process: size(runs) > at or p.poll() is not None)
        assert process.poll() is None, "it had ended before it was killed: this test tests nothing"
        time.sleep(choose.uniform(0.05, 0.4))
        kill_session(process)
    resumed = document(cli("run", "gains.toml", "--until-decided", "--json"))
    for key in ("n", "stop", "look"):
        assert resumed["look"][key] == whole["look"][key]
    verdicts = [one["comparison"]["comparisons"][0]["verdict"] for one in (whole, resumed)]
    assert verdicts[0] == verdicts[1]
    shutil.copytree(tmp_path / "whole" / "gains", tmp_path / "results" / "whole")
    runs = [
        sorted((row["arm"], row["seed"], row["correct"]) for row in counted(rows_of(tmp_path, store)))
        for store in ("whole", "gains")
    ]
    assert runs[0] == runs[1]
