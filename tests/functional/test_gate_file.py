"""`harness gate gate.toml` through real processes: every exit code, what must never pass, layers, anchors, history."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import random
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from helpers import counted, kill_session, rows_of, run_cli, says, shared, start_cli, wait_until, write

import harness.cli

Done = subprocess.CompletedProcess[str]


def table(folder: Path, name: str, accuracy: float, seconds: float = 1.0, n: int = 60, environment: str = "e") -> None:
    """An imported store of two arms, base (.94, 1 s) and mine, interleaved over 6 process starts."""
    rng = random.Random(name)
    with (folder / f"{name}.csv").open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["arm", "seed", "correct", "total", "time_s", "invocation", "block", "environment"])
        for i in range(n):
            for arm, mean, s in (("base", 0.94, 1.0), ("mine", accuracy, seconds)):
                correct = round(10_000 * rng.gauss(mean, 0.0015))
                rows.writerow([arm, i, correct, 10_000, rng.gauss(s, 0.002), f"p{i * 6 // n}", i, environment])
    assert call(folder, "import", f"{name}.csv", "--as", name).returncode == 0


def make(folder: Path) -> Done:
    table(folder, "same", 0.94)
    table(folder, "like", 0.94)
    table(folder, "worse", 0.937)
    table(folder, "slower", 0.94, 1.05)
    table(folder, "few", 0.94, n=12)
    for number in range(8):
        table(folder, f"creep{number}", 0.939)
    table(folder, "elsewhere", 0.94, environment="f")
    return run_cli("list", cwd=folder)


@pytest.fixture
def folder(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stores of the test's own: copies of those that are made once."""
    made, _ = shared(tmp_path_factory, "gate-file", make)
    shutil.copytree(made / "results", tmp_path / "results")
    return tmp_path


def check(store: str, keys: str = 'layers = ["hard"]\nmargin_pp = 0.1\nmax_slowdown = "1%"', name: str = "") -> str:
    return f'[[checks]]\nname = "{name or store}"\ncontrol = "{store}:base"\ncandidate = "{store}:mine"\n{keys}\n'


def call(folder: Path, *arguments: str) -> Done:
    """The program: a process of its own where runs are made, inside this one where stored runs are judged."""
    if (folder / ".git").exists():
        return run_cli(*arguments, cwd=folder)
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
    ):
        code = harness.cli.run_cli(list(arguments))
    return Done(arguments, code, out.getvalue(), err.getvalue())


def gate(folder: Path, text: str | None, *arguments: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, gate.json and all output of a gate on these checks (None: on the file that is there)."""
    if text is not None:
        write(folder, "gate.toml", text)
    (folder / "gate.json").unlink(missing_ok=True)
    done = call(folder, "gate", "gate.toml", *arguments)
    assert "Traceback" not in done.stderr + done.stdout and "internal error" not in done.stderr, done.stderr
    return done.returncode, json.loads((folder / "gate.json").read_text()), done.stdout + done.stderr


def layers(document: dict[str, Any], number: int = 0) -> dict[str, str]:
    return {one["layer"]: one["verdict"] for one in document["checks"][number]["layers"]}


def history(folder: Path) -> list[dict[str, Any]]:
    path = folder / "gate-history.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


# --- exit codes ---------------------------------------------------------------------------------------------


def test_nothing_lost_is_0(folder: Path) -> None:
    code, found, text = gate(folder, check("same"))
    assert (code, found["gate"]["verdict"]) == (0, "pass"), text
    assert layers(found) == {"hard accuracy": "pass", "hard time": "pass"}
    assert "red from" in text and "GATE: PASS: 1 of 1 check passes" in text


@pytest.mark.parametrize(("store", "red"), [("worse", "hard accuracy"), ("slower", "hard time")])
def test_a_planted_regression_is_1(folder: Path, store: str, red: str) -> None:
    code, found, text = gate(folder, check("same") + check(store))
    assert code == 1, text
    assert [name for name, verdict in layers(found, 1).items() if verdict == "fail"] == [red]
    assert "1 of 2 checks pass" in text


def test_a_loss_within_the_margin_is_not_red(folder: Path) -> None:
    code, found, _ = gate(folder, check("worse", 'layers = ["hard"]\nmargin_pp = 0.5'))
    assert (code, layers(found)) == (0, {"hard accuracy": "pass"}), (
        "the rule needs both: proof, and a loss that matters"
    )
    assert found["checks"][0]["layers"][0]["p"] < 0.001


def test_an_open_claim_is_3_and_0_where_the_caller_says_so(folder: Path) -> None:
    claim = check("few", 'claim = "no-regression"\nlayers = ["claim"]\nmargin_pp = 0.02')
    assert gate(folder, claim)[0] == 3
    code, found, text = gate(folder, None, "--on-inconclusive", "pass")
    assert (code, found["gate"]["verdict"]) == (0, "inconclusive") and "let through" in text


def test_what_cannot_be_judged_is_4_and_a_failure_outweighs_it(folder: Path) -> None:
    missing = check("nosuch")
    code, found, _ = gate(folder, check("same") + missing)
    assert (code, found["checks"][1]["verdict"]) == (4, "refused") and "no store" in found["checks"][1]["problem"]
    assert gate(folder, missing + check("worse"))[0] == 1
    assert gate(folder, missing + check("few", 'claim = "no-regression"\nlayers = ["claim"]\nmargin_pp = 0.02'))[0] == 4


def test_an_unreadable_or_empty_store_never_passes(folder: Path) -> None:
    runs = folder / "results" / "same" / "runs.csv"
    header, *rows = runs.read_text().splitlines(keepends=True)
    nobody = [row for row in rows if ",mine," not in row]
    assert 0 < len(nobody) < len(rows)
    for content in ("", header, "not,a,store\n1,2,3\n", "\x00\x01\x02", header + "".join(nobody)):
        runs.write_text(content)
        code, found, text = gate(folder, check("same"))
        assert (code, found["gate"]["verdict"]) == (4, "refused"), text


def test_a_check_without_runs_names_the_command_that_makes_them(folder: Path) -> None:
    write(folder, "train.py", TRAIN)
    write(
        folder,
        "sub/x.toml",
        'trainer = "../train.py"\nmargin_pp = 1\nseeds = 2\n[[arms]]\nname = "a"\n[[arms]]\nname = "b"\n',
    )
    code, found, _ = gate(folder, '[[checks]]\nname = "mine"\nexperiment = "sub/x.toml"\nlayers = ["hard"]\n')
    problem = found["checks"][0]["problem"]
    assert code == 4 and "run = true" in problem
    assert call(folder, *problem.partition("`harness ")[2].partition("`")[0].split()).returncode == 0
    assert gate(folder, None)[0] == 3, "two runs decide nothing"


def test_too_few_runs_never_pass(folder: Path) -> None:
    table(folder, "handful", 0.94, n=6)
    assert gate(folder, check("handful", 'layers = ["hard"]\nmargin_pp = 5'))[0] == 3


def test_times_that_cannot_be_compared_never_pass(folder: Path) -> None:
    text = check("same").replace("same:mine", "few:mine")
    code, found, _ = gate(folder, text)
    assert (code, layers(found)["hard time"]) == (4, "refused")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "could never fail"),
        ("checks = []", "could never fail"),
        ('history = "h.jsonl"', "could never fail"),
        ("margin_pp = 1", "belongs under [[checks]]"),
        (check("same", "margin = 1"), "Did you mean 'margin_pp'?"),
        (check("same", 'layers = ["heard"]'), "Did you mean 'hard'?"),
        (check("same", "layers = []"), "could never fail"),
        (check("same", "run = true"), "needs an 'experiment'"),
        (check("same", 'layers = ["hard"]'), "'margin_pp' is stated neither here"),
        (check("same", 'margin_pp = "x"'), "must be a number"),
        (check("same", "margin_pp = 0.1\nexpires = 0"), "a date such as"),
        (check("same", 'margin_pp = 0.1\ntarget = 0.95\nclaim = "equivalent"'), "'equivalent' does not use one"),
        (check("same", 'margin_pp = 0.1\ntarget = 0.95\nclaim = "no-regression"'), "a target of 95 % is stated"),
        (check("same", "margin_pp = 0.1\ntarget = 0.95"), "a claim that uses it: faster or accurate"),
        (
            check("same", "max_slowdown = 5"),
            'the value 5 would be 500 %; write 0.05 or "5%". Allowed is 0 to 1 (0% to 100%)',
        ),
        (check("same", "max_slowdown = 1.5"), 'would be 150 %; write 0.015 or "1.5%"'),
        (check("same", "max_slowdown = -0.1"), "would be -10 %. Allowed is 0 to 1"),
        (check("same", 'max_slowdown = "500%"'), "would be 500 %. Allowed is 0 to 1"),
        (check("same", 'max_slowdown = "1"'), 'such as 0.01, or in per cent, "1%"'),
        (check("same", "max_slowdown = true"), "must be a number"),
        (check("same", "max_slowdown = nan"), "must be a finite number"),
        (check("same", 'experiment = "quickstart"'), "must be stated once"),
        ('[[checks]]\nname = "x"\n', "found neither"),
        ('[checks]\nname = "x"\n', "write [[checks]], in double brackets"),
        ('[[checks]]\ncontrol = "a"\ncandidate = "b"\n', "'name' is missing"),
        (check("same") + check("same"), "two checks are called"),
        ("[[checks]\n", "not valid TOML"),
    ],
)
def test_a_file_that_is_wrong_is_2_and_leaves_no_old_answer(folder: Path, text: str, words: str) -> None:
    code, found, said = gate(folder, text)
    assert (code, found["gate"]["verdict"]) == (2, "error"), said
    assert words in " ".join(said.split())


def test_usage(folder: Path) -> None:
    write(folder, "gate.toml", check("same"))
    says(call(folder, "gate", "gat.toml"), 2, "There is no file", "Did you mean 'gate.toml'?")
    says(call(folder, "gate", "gate.toml", "--margin-pp", "1"), 2, "each check states it")
    says(call(folder, "gate", "gate.toml", "same"), 2, "stands alone")
    says(call(folder, "gate", "same:base", "same:mine", "--self-test"), 2, "needs a gate file")
    says(call(folder, "gate", "gate.toml", "--self-test", "--re-anchor"), 2, "two commands")
    says(call(folder, "gate", "gate.toml", "--re-anchor"), 2, "no check has the layer 'creep'")


def test_what_a_pipeline_reads(folder: Path) -> None:
    code, found, _ = gate(folder, check("same") + check("slower") + check("nosuch"), *REPORTS)
    assert code == 1
    suites = ElementTree.parse(folder / "junit.xml").getroot()
    counts = [tuple(int(suite.get(key, "0")) for key in ("tests", "failures", "errors", "skipped")) for suite in suites]
    assert counts == [(2, 0, 0, 0), (2, 1, 0, 0), (1, 0, 1, 0)]
    assert [len(suite) for suite in suites] == [2, 2, 1]
    page = (folder / "gate.md").read_text()
    assert page.startswith("**GATE: FAIL: 1 of 3") and "| slower | hard time | fail |" in page and "| mine |" in page
    assert {"same:base", "same:mine", "slower:mine"} <= set(json.loads((folder / "bencher.json").read_text()))
    assert found["checks"][0]["comparison"]["comparisons"][0]["verdict"] == "pass"
    done = run_cli("gate", "gate.toml", "--json", "--json-file", "other.json", cwd=folder)
    assert json.loads(done.stdout) == json.loads((folder / "other.json").read_text())


REPORTS = ("--junitxml", "junit.xml", "--bencher", "bencher.json", "--markdown", "gate.md")


def has_no_judgement(folder: Path, words: str) -> bool:
    """Whether every file of a gate says that there is none, and gate.json why."""
    head = json.loads((folder / "gate.json").read_text())["gate"]
    suite = ElementTree.parse(folder / "junit.xml").getroot()
    return (
        (head["verdict"], words in head["message"], head["exit_code"] > 0) == ("error", True, True)
        and (suite.get("errors"), suite.get("tests"), len(suite.findall(".//error"))) == ("1", "1", 1)
        and (folder / "gate.md").read_text().startswith("**GATE: no judgement**")
        and json.loads((folder / "bencher.json").read_text()) == {}
    )


def test_a_gate_that_could_not_judge_leaves_no_older_answer_in_any_file(folder: Path) -> None:
    assert gate(folder, check("same"), *REPORTS)[0] == 0
    assert not has_no_judgement(folder, "")
    assert gate(folder, check("same", "margin = 1"), *REPORTS)[0] == 2
    assert has_no_judgement(folder, "unknown key 'margin'")


def test_a_gate_file_is_not_written_over(folder: Path) -> None:
    path = write(folder, "gate.toml", check("same"))
    says(call(folder, "gate", "gate.toml", "--markdown", "gate.toml"), 2, "is the gate file itself")
    assert path.read_text() == check("same")


def test_a_gate_that_is_interrupted_leaves_no_older_answer(repository: Path) -> None:
    assert gate(repository, HARD, *REPORTS)[0] == 0
    write(repository, "train.py", TRAIN.replace("    return", "    __import__('time').sleep(60)\n    return"))
    process = start_cli("gate", "gate.toml", *REPORTS, cwd=repository)
    try:
        assert wait_until(lambda: "not end" in (repository / "gate.json").read_text())
        assert wait_until(lambda: len(stores(repository)) == 2), "it measures"
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130, (repository / "output.txt").read_text()
    finally:
        kill_session(process)
    assert has_no_judgement(repository, "the gate did not end")


# --- creep, anchor, history -----------------------------------------------------------------------------------

CREEP = "margin_pp = 0.2\nbudget_pp = 0.15\nexpires = 90"


def test_without_a_baseline_creep_is_refused(folder: Path) -> None:
    code, found, text = gate(folder, check("same", CREEP))
    assert (code, layers(found)["creep"]) == (4, "refused") and "--re-anchor" in text
    assert not history(folder)


def anchored(folder: Path) -> dict[str, Any]:
    code, _, text = gate(folder, check("same", CREEP, "mine"), "--re-anchor")
    assert code == 0, text
    baseline: dict[str, Any] = json.loads((folder / "gate-baseline.json").read_text())["checks"]["mine"]
    return baseline


def test_the_history_grows_once_a_commit_and_slow_creep_is_found(folder: Path) -> None:
    baseline = anchored(folder)
    assert baseline["n"] == 60 and baseline["original"]["mean"] == baseline["mean"] and baseline["cumulative_pp"] == 0
    for _ in range(2):
        code, found, text = gate(folder, check("like", CREEP, "mine"))
        assert (code, layers(found)) == (0, {"hard accuracy": "pass", "creep": "pass", "budget": "pass"}), text
    assert "after 1 commit (" in text
    records = [one for one in history(folder) if one.get("event") != "anchor"]
    assert len(records) == 1
    assert {"commit", "n", "mean", "sd", "z", "log_e", "alarm"} <= set(records[0])
    path, line = folder / "gate-history.jsonl", json.dumps(records[0] | {"z": 9.0}) + "\n"
    assert records[0]["number"] == 1
    path.write_text(path.read_text() + line + '{"torn')
    codes = []
    for number in range(8):
        code, found, _ = gate(folder, check(f"creep{number}", "margin_pp = 0.2", "mine"))
        codes.append(code)
        assert layers(found)["hard accuracy"] == "pass", "less than the margin at a commit stays below the hard rule"
    assert codes[0] == 0 and codes[-1] == 1
    (creep,) = (one for one in found["checks"][0]["layers"] if one["layer"] == "creep")
    assert "after 9 commits" in creep["message"] and "Mend what was lost" in creep["message"]
    assert (
        "once the mended commit is confirmed, begin the chart anew" in creep["message"]
        and "--re-anchor" in creep["message"]
    )
    records = [one for one in history(folder) if one.get("event") != "anchor"]
    assert records.pop(1)["z"] == 9, "a second record of a commit stays, and does not count; a torn line is cut off"
    assert len(records) == 9 and [one["alarm"] for one in records] == [False, *(code == 1 for code in codes)]
    values, log_e = [], 0.0
    for one in records:
        log_e = 0.8 * (one["z"] - one["allowance"]) - 0.32 + max(log_e, 0.0)
        values.append(log_e)
    assert [one["log_e"] for one in records] == pytest.approx(values)


def test_the_anchors_own_runs_are_no_commit(folder: Path) -> None:
    baseline = anchored(folder)
    for _ in range(2):
        code, found, text = gate(folder, check("same", CREEP, "mine"))
        assert (code, layers(found)) == (0, {"hard accuracy": "pass", "creep": "pass", "budget": "pass"}), text
    assert "after 0 commits" in text and "the anchor's own, which is no commit: nothing is entered" in text
    assert [one.get("event") for one in history(folder)] == ["anchor"]
    gate(folder, check("like", CREEP, "mine"))
    code, _, text = gate(folder, check("same", CREEP, "mine"))
    assert code == 0 and "after 1 commit (" in text and "nothing is entered" in text, "the chart as it stands"
    assert len(history(folder)) == 2 and history(folder)[1]["mean"] != baseline["mean"]


def test_an_expired_or_foreign_or_damaged_baseline_never_passes(folder: Path) -> None:
    baseline = anchored(folder)
    path = folder / "gate-baseline.json"
    sound = path.read_text()
    path.write_text(sound.replace(baseline["expires"], "2020-01-01"))
    code, found, text = gate(folder, check("same", CREEP, "mine"))
    assert (code, layers(found)["creep"]) == (4, "refused") and "expired on 2020-01-01" in text
    path.write_text(sound)
    code, found, text = gate(folder, check("elsewhere", CREEP, "mine"))
    assert (code, layers(found)["creep"]) == (4, "refused") and "environment is not the baseline's" in text
    assert "git =" not in text and "Use that machine, or re-anchor" in text, "imported runs have no revision"
    path.write_text(sound.replace(baseline["commit"], "0123456789ab"))
    assert '(git = "0123456789ab"), use that machine' in gate(folder, check("elsewhere", CREEP, "mine"))[2]
    path.write_text(sound.replace(baseline["commit"], "0123456789ab-12345678"))
    assert "git =" not in gate(folder, check("elsewhere", CREEP, "mine"))[2]
    path.write_text(sound)
    path.write_text(sound)
    assert len(history(folder)) == 1, "nothing was recorded on the way"
    (folder / "gate-history.jsonl").write_text('{"check": "mine"}\n')
    code, _, text = gate(folder, check("same", CREEP, "mine"))
    assert code == 4 and "line 1: is no record" in text
    code, found, _ = gate(folder, check("worse", "margin_pp = 0.1", "mine"))
    assert (code, layers(found)) == (1, {"hard accuracy": "fail", "creep": "refused"}), "it hides no loss"


BROKEN = [
    ("", "is no JSON"),
    ("[]", "must be an object with the keys 'schema' and 'checks'"),
    ("{}", "'schema', 'checks' are missing"),
    ('{"schema": 1}', "'checks' is missing"),
    ('{"schema": 7, "checks": {}}', "'schema' is 7; this version of the harness reads 1"),
    ('{"schema": 1, "checks": []}', "'checks' must be an object"),
    ('{"schema": 1, "checks": {"mine": [1]}}', "the baseline of 'mine': it must be an object"),
    ({"sd": -0.1}, "'sd' is -0.1; it must be a number above 0"),
    ({"sd": float("nan")}, "'sd' is nan"),
    ({"sd": True}, "'sd' is True"),
    ({"mean": float("inf")}, "'mean' is inf; it must be a number from 0 to 1"),
    ({"mean": True}, "'mean' is True"),
    ({"n": 60.0}, "'n' is 60.0; it must be a whole number"),
    ({"cumulative_pp": float("nan")}, "'cumulative_pp' is nan"),
    ({"expires": "soon"}, "'expires' is 'soon'; it must be a date"),
    ({"environment": None}, "'environment' is None; it must be a text"),
    ({"original": 1}, "'original.mean' is None"),
    ({"original": {"mean": False}}, "'original.mean' is False"),
]


def test_a_broken_baseline_never_passes_and_says_what_is_wrong(folder: Path) -> None:
    anchored(folder)
    path = folder / "gate-baseline.json"
    sound = json.loads(path.read_text())
    lacking = {key: value for key, value in sound["checks"]["mine"].items() if key != "mean"}
    whole = [(json.dumps(sound | {"checks": {"mine": lacking}}), "the baseline of 'mine': 'mean' is missing")]
    for change, words in [*BROKEN, *whole]:
        one = sound["checks"]["mine"] | (change if isinstance(change, dict) else {})
        path.write_text(change if isinstance(change, str) else json.dumps(sound | {"checks": {"mine": one}}))
        code, found, text = gate(folder, check("same", CREEP, "mine"))
        assert (code, layers(found)["creep"]) == (4, "refused") and words in " ".join(text.split()), text
    assert len(history(folder)) == 1


NO_NUMBERS = [
    *(("z", value) for value in ("NaN", "-Infinity", "1e999", "1e300", "true", '"3"')),
    ("log_e", "NaN"),
    ("number", "1.5"),
]


@pytest.mark.parametrize(("key", "value"), NO_NUMBERS)
def test_a_record_with_what_is_no_number_never_passes(folder: Path, key: str, value: str) -> None:
    anchored(folder)
    gate(folder, check("like", CREEP, "mine"))
    record = json.dumps(history(folder)[-1] | {key: 0, "commit": "another", "number": 2} | {key: 987}).replace(
        "987", value
    )
    with (folder / "gate-history.jsonl").open("a") as file:
        file.write(record + "\n")
    code, found, text = gate(folder, check("same", CREEP, "mine"))
    assert (code, layers(found)["creep"]) == (4, "refused") and f"line 3: is no record of a commit: '{key}' is" in text


def test_a_history_that_lacks_its_anchor_or_a_record_never_passes(folder: Path) -> None:
    baseline = anchored(folder)
    for number in range(8):
        gate(folder, check(f"creep{number}", "margin_pp = 0.2", "mine"))
    path = folder / "gate-history.jsonl"
    first, *others = whole = path.read_text().splitlines(keepends=True)
    assert [json.loads(line)["number"] for line in whole] == list(range(9))
    red = check("creep7", "margin_pp = 0.2", "mine")
    assert gate(folder, red)[0] == 1
    cases = [
        (None, f"is not there, which holds the commits since the anchor {baseline['id']}"),
        ([], f"does not hold the line of the anchor {baseline['id']}"),
        (others, "does not hold the line of the anchor"),
        ([first, *others[2:]], "records 1, 2 of 'mine' since its anchor"),
        ([first, others[0], *others[2:]], "record 2 of 'mine' since its anchor"),
        ([first, *others[:-1], others[-1].replace('"number": 8, ', "")], "has no number"),
    ]
    for lines, words in cases:
        path.unlink(missing_ok=True)
        if lines is not None:
            path.write_text("".join(lines))
        code, found, text = gate(folder, red)
        assert (code, layers(found)["creep"]) == (4, "refused"), text
        assert words in text and "Restore the file from a copy" in text and "--re-anchor" in text
        assert not path.exists() if lines is None else path.read_text() == "".join(lines)
    path.write_text("".join([*whole, others[1]]))
    assert gate(folder, red)[0] == 1, "two pipelines that met at one commit leave two records of one number"


def test_only_a_confirmed_change_becomes_the_anchor(folder: Path) -> None:
    first = anchored(folder)
    before = (folder / "gate-baseline.json").read_text()
    code, _, text = gate(folder, check("worse", "margin_pp = 0.2", "mine"), "--re-anchor")
    assert code == 1 and "only a confirmed change becomes the anchor" in text
    code, _, text = gate(folder, check("same", CREEP, "mine"), "--re-anchor")
    assert code == 3 and "are the anchor already" in text, "nothing new was measured"
    assert gate(folder, check("few", CREEP, "mine"), "--re-anchor")[0] == 3, "fewer runs than the anchor before it"
    assert (folder / "gate-baseline.json").read_text() == before
    code, _, text = gate(folder, check("creep0", "margin_pp = 0.2\nbudget_pp = 0.05", "mine"), "--re-anchor")
    assert code == 1 and "beyond the budget" in text
    assert (folder / "gate-baseline.json").read_text() == before
    code, _, text = gate(folder, check("creep0", CREEP, "mine"), "--re-anchor")
    assert code == 0, text
    second = json.loads((folder / "gate-baseline.json").read_text())["checks"]["mine"]
    assert second["original"] == first["original"] and second["id"] != first["id"]
    assert -0.15 < second["cumulative_pp"] < -0.05, "what is lost by re-anchoring is remembered"
    code, found, text = gate(folder, check("creep1", "margin_pp = 0.2\nbudget_pp = 0.05", "mine"))
    assert (code, layers(found)["creep"], layers(found)["budget"]) == (1, "pass", "fail"), text


# --- measuring ----------------------------------------------------------------------------------------------

TRAIN = """\
import random


def train(seed):
    return random.Random(seed).gauss(0.9, 0.002)
"""
EXPERIMENT = """\
trainer = "train.py"
margin_pp = 0.5
seeds = 12
invocations = 1
[[arms]]
name = "base"
git = "main"
[[arms]]
name = "change"
"""
RUNNING = '[[checks]]\nname = "mine"\nexperiment = "x.toml"\nrun = true\n'
HARD = RUNNING + 'layers = ["hard"]\n'


def commit(folder: Path, message: str) -> str:
    """Everything in the folder committed; the commit."""
    identity = ("-c", "user.email=a@example.org", "-c", "user.name=a", "-c", "commit.gpgsign=false")
    for arguments in (("add", "."), ("commit", "--quiet", "--allow-empty", "-m", message)):
        subprocess.run(["git", *identity, *arguments], cwd=folder, check=True)
    return subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a trainer, an experiment of base against change, and a branch to work on."""
    monkeypatch.setitem(__import__("helpers").ENVIRON, "HARNESS_DATA", str(tmp_path_factory.mktemp("cache")))
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main"], cwd=tmp_path, check=True)
    write(tmp_path, "train.py", TRAIN)
    write(tmp_path, "x.toml", EXPERIMENT)
    write(tmp_path, ".gitignore", "results/\n__pycache__/\ngate.toml\ngate.json\n")
    commit(tmp_path, "one")
    subprocess.run(["git", "checkout", "--quiet", "-b", "work"], cwd=tmp_path, check=True)
    return tmp_path


def stores(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "results").iterdir())


def test_a_commit_is_measured_once_and_judged_against_its_base(repository: Path) -> None:
    write(repository, "train.py", TRAIN.replace("0.9,", "0.901,"))
    head = commit(repository, "better")
    for _ in range(2):
        code, found, text = gate(repository, HARD)
        assert code == 0, text
    assert stores(repository) == [f"mine-{head[:12]}"] and found["checks"][0]["commit"] == head[:12]
    assert len(counted(rows_of(repository, f"mine-{head[:12]}"))) == 24


def test_red_is_measured_again_on_fresh_seeds_first(repository: Path) -> None:
    write(repository, "train.py", TRAIN.replace("0.9,", "0.88,"))
    head = commit(repository, "worse")[:12]
    code, found, text = gate(repository, HARD)
    assert code == 1 and "confirmed on fresh seeds" in text
    assert stores(repository) == [f"mine-{head}", f"mine-{head}-confirm"]
    first, second = (counted(rows_of(repository, name), "change") for name in stores(repository))
    assert (len(first), len(second)) == (12, 48)
    assert {row["seed"] for row in first}.isdisjoint(row["seed"] for row in second)
    assert found["checks"][0]["confirmation"]["control"]["n"] == 48


def test_a_red_that_is_not_confirmed_stays_green_and_says_so(repository: Path) -> None:
    worse_at_first = "import random\nfrom pathlib import Path\n\n\ndef train(seed):\n" + (
        '    again = list(Path("results").glob("*-confirm"))\n    return random.Random(seed).gauss(0.9 if again else 0.88, 0.002)\n'
    )
    write(repository, "train.py", worse_at_first)
    commit(repository, "a fluke")
    code, found, text = gate(repository, HARD)
    assert code == 0 and "not confirmed on fresh seeds, so it stays green" in text
    layer = found["checks"][0]["layers"][0]
    assert (layer["first"]["verdict"], layer["confirmation"]["verdict"]) == ("fail", "pass")


def test_the_same_code_with_the_same_results_needs_no_proof(repository: Path) -> None:
    claim = RUNNING + 'layers = ["claim"]\nmargin_pp = 0.001\n'
    code, found, text = gate(repository, claim)
    assert (code, layers(found)) == (0, {"claim": "pass"}) and "the same code and configuration" in text
    write(repository, "train.py", TRAIN + "# other code\n")
    assert gate(repository, claim)[0] == 3, "with other code the same results on a few seeds prove nothing so fine"


def test_a_target_that_only_the_experiment_states_may_stand(repository: Path) -> None:
    for claim in ("", 'claim = "no-regression"\n'):
        write(repository, "x.toml", f"target = 0.95\n{claim}{EXPERIMENT}")
        code, _, text = gate(repository, HARD + "target = 0.95\n")
        assert code == 2 and "the claim 'no-regression' does not use one" in " ".join(text.split())
        assert not (repository / "results").exists(), "it is said before the first run"
    assert gate(repository, HARD)[0] == 0


@pytest.mark.slow
def test_a_slowdown_is_measured_again_over_four_times_the_process_starts(repository: Path) -> None:
    slow = TRAIN.replace("import random\n", "import random\nimport time\n").replace(
        "    return", "    time.sleep(0.01)\n    return"
    )
    write(repository, "train.py", slow)
    write(
        repository,
        "x.toml",
        EXPERIMENT.replace("invocations = 1", "invocations = 5\nmax_slowdown = 0.1").replace("main", "HEAD"),
    )
    commit(repository, "timed")
    write(repository, "train.py", slow.replace("0.01)", "0.04)"))
    code, found, text = gate(repository, HARD)
    assert (code, layers(found)) == (1, {"hard accuracy": "pass", "hard time": "fail"}), text
    starts = [{row["invocation"] for row in rows_of(repository, name)} for name in stores(repository)]
    assert [len(one) for one in starts] == [5, 20]


@pytest.mark.slow
def test_a_red_that_cannot_be_measured_again_is_neither_red_nor_green(repository: Path) -> None:
    breaks = "import random\nfrom pathlib import Path\n\n\ndef train(seed):\n" + (
        '    assert not list(Path("results").glob("*-confirm"))\n    return random.Random(seed).gauss(0.88, 0.002)\n'
    )
    write(repository, "train.py", breaks)
    commit(repository, "breaks")
    code, found, text = gate(repository, HARD)
    assert (code, layers(found)) == (4, {"hard accuracy": "refused"}) and "it could not be measured again" in text


def test_runs_that_could_not_be_had_never_pass(repository: Path) -> None:
    write(repository, "train.py", TRAIN.replace("return", "raise ValueError('no')\n    return"))
    commit(repository, "broken")
    code, found, _ = gate(repository, HARD)
    assert code == 4 and "Some runs could not be had" in found["checks"][0]["problem"]


@pytest.mark.slow
def test_what_is_not_committed_is_a_commit_of_its_own(repository: Path) -> None:
    gate(repository, HARD)
    write(repository, "train.py", TRAIN.replace("0.9,", "0.9001,"))
    code, found, text = gate(repository, HARD)
    assert code == 0, text
    assert len(stores(repository)) == 2 and "-" in found["checks"][0]["commit"]


@pytest.mark.slow
def test_the_anchor_is_measured_and_then_followed(repository: Path) -> None:
    text = RUNNING + 'layers = ["hard", "creep"]\n'
    code, _, said = gate(repository, text, "--re-anchor")
    assert code == 0, said
    baseline = json.loads((repository / "gate-baseline.json").read_text())["checks"]["mine"]
    assert baseline["n"] == 120, "ten times the runs of a commit"
    write(repository, "train.py", TRAIN.replace("0.9,", "0.9001,"))
    commit(repository, "change")
    for _ in range(2):
        code, found, said = gate(repository, text)
        assert (code, layers(found)["creep"]) == (0, "pass"), said
    assert len([one for one in history(repository) if one.get("event") != "anchor"]) == 1
    path = repository / "gate-baseline.json"
    elsewhere = path.read_text().replace(baseline["environment"], "0" * len(baseline["environment"]))
    path.write_text(elsewhere.replace(baseline["id"], "another"))
    lines = repository / "gate-history.jsonl"
    lines.write_text(lines.read_text().replace(baseline["id"], "another"))
    code, found, said = gate(repository, text)
    assert code == 0 and "the anchor's revision, measured again" in said, "the control runs the anchor's code"
    path.write_text(path.read_text().replace(baseline["code_hash"], "0" * 12))
    assert gate(repository, text)[0] == 4


@pytest.mark.slow
def test_the_gate_proves_that_it_can_fail(repository: Path) -> None:
    text = RUNNING + 'layers = ["claim", "hard", "creep"]\n'
    assert gate(repository, text, "--re-anchor")[0] == 0
    before = history(repository)
    code, found, said = gate(repository, text, "--self-test")
    assert code == 0, said
    assert list(layers(found)) == ["self-test claim, accuracy", "self-test hard accuracy, accuracy", "self-test creep"]
    assert said.count("turned red") == 3 and "planted accuracy 2 pp lower" in said
    assert history(repository) == before, "what was planted is not remembered"
    assert all("planted" not in name for name in stores(repository))


def wide_enough(folder: Path, words: str, said: str) -> bool:
    """Whether the self-test passes with as many runs as it asked for."""
    runs = int(said.partition(words)[2].split()[0])
    assert 12 < runs < 2000
    table(folder, "many", 0.94, n=runs)
    return gate(folder, check("many", 'layers = ["hard"]\nmargin_pp = 0.01'), "--self-test")[0] == 0


def test_a_slowdown_that_is_not_seen_says_how_many_process_starts_would_do(folder: Path) -> None:
    path = folder / "results" / "same" / "runs.csv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:  # each process start has a pace of its own, for each arm
        pace = random.Random(row["invocation"] + row["arm"]).gauss(1, 0.06)
        row["time_s"] = str(float(row["time_s"]) * pace)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    code, _, said = gate(folder, check("same"), "--self-test")
    assert code == 1 and "hard time" in said and "NOT SEEN" in said, said
    starts = int(" ".join(said.split()).partition("Make more process starts (about ")[2].split()[0])
    assert 6 < starts < 100 and "or allow a larger max_slowdown" in said


def test_a_gate_that_cannot_see_its_margin_fails_the_self_test(folder: Path) -> None:
    code, found, said = gate(folder, check("few", 'layers = ["hard"]\nmargin_pp = 0.01'), "--self-test")
    assert code == 1 and "NOT SEEN (pass)" in said
    assert wide_enough(folder, "Make more runs (about ", said), "as many seeds as it says would do"
    code, found, said = gate(folder, check("same"), "--self-test")
    assert code == 0, said
    assert list(layers(found)) == ["self-test hard accuracy, accuracy", "self-test hard time, time"]
    assert gate(folder, check("same", CREEP), "--self-test")[0] == 1, "without a baseline creep cannot turn red"
    assert gate(folder, check("nosuch"), "--self-test")[0] == 4
