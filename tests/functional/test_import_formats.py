"""Files of other programs come in as stores: what they do not say stays unknown, and nothing is dropped uncounted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers import rows_of, says, write

from harness.cli import export_command, import_command
from harness.exchange import READERS, exporting
from harness.tracking import TRACKERS

DATA = Path(__file__).parents[1] / "data"

LINES = """\
{"seed": 1, "arm": "a", "accuracy": 0.91, "time_s": 2.5, "block": 0, "opt": {"lr": 0.1}}

{"seed": 1, "arm": "b", "accuracy": 0.93, "time_s": 2.4, "block": 0, "warmup": true, "note": null}
"""

WANDB = """\
"Name","State","Notes","User","Tags","Created","Runtime","Sweep","optimizer","seed","val_acc"
"brisk-sun-1","finished","-","me","","2025-05-01T10:00:00.000Z","61","","sgd","1","0.91"
"calm-sea-2","finished","-","me","","2025-05-01T10:02:00.000Z","62","","adam","1","0.92"
"dry-oak-3","crashed","-","me","","2025-05-01T10:04:00.000Z","5","","adam","2",""
"wild-fog-4","running","-","me","","2025-05-01T10:06:00.000Z","9","","sgd","2","0.5"
"thin-ice-5","finished","-","me","","2025-05-01T10:08:00.000Z","60","","sgd","3",""
"""


def imported(cli, *arguments):
    done = cli("import", *arguments, "--json")
    says(done, 0)
    return json.loads(done.stdout)


def test_json_lines(cli_inside, tmp_path):
    write(tmp_path, "runs.jsonl", LINES)
    document = imported(cli_inside, "runs.jsonl", "--as", "lines")
    assert document["format"] == "jsonl" and document["arms"] == {"a": 1, "b": 1}
    assert document["ignored_columns"] == ["opt.lr", "note"] and "invocation" in document["unknown_columns"]
    rows = rows_of(tmp_path, "lines")
    assert [(r["seed"], r["arm"], r["accuracy"], r["time_s"], r["warmup"]) for r in rows] == [
        ("1", "a", "0.91", "2.5", "false"), ("1", "b", "0.93", "2.4", "true"),
    ]  # fmt: skip


def test_what_a_store_exports_comes_back_from_json_lines(cli_inside, tmp_path):
    write(tmp_path, "runs.jsonl", LINES)
    imported(cli_inside, "runs.jsonl", "--as", "lines")
    says(cli_inside("export", "lines", "-o", "again.jsonl"), 0)
    imported(cli_inside, "again.jsonl", "--as", "again")
    one, two = rows_of(tmp_path, "lines"), rows_of(tmp_path, "again")
    assert [{**r, "experiment": ""} for r in one] == [{**r, "experiment": ""} for r in two]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"seed": 1, "accuracy": 0.9}\n[1, 2]\n', ["line 2", "is a list", "one object"]),
        ('{"seed": 1, "accuracy": 0.9}\n{"seed": 2, \n', ["line 2", "is not JSON"]),
        ('{"seed": 1, "accuracy": 0.9}\n\n{"seed": 2, "accuracy": "high"}\n', ["line 3", "'accuracy'", "'high'"]),
        ('{"seed": 1}\n', ["'accuracy'", "is missing"]),
        ('{"accuracy": 0.9}\n', ["'seed'", "is missing"]),
        ('{"seed": 1, "accuracy": 0.9, "seed": 2}\n', ["line 1", "'seed' stands twice"]),
        ('{"seed": 1, "accuracy": 0.9, "a.b": 1, "a": {"b": 2}}\n', ["line 1", "'a.b' stands twice"]),
        ('{"seed": 1, "accuracy": 0.9, "a": ' + '{"a": ' * 5000 + "1" + "}" * 5001 + "\n", ["line 1", "is not JSON"]),
        ("[{}]\n", ["is a JSON list", "one object a line"]),
        ("{" * 100_000, ["is not JSON"]),
    ],
)
def test_json_lines_that_are_none(cli_inside, tmp_path, text, words):
    write(tmp_path, "runs.jsonl", text)
    says(cli_inside("import", "runs.jsonl", "--as", "x"), 2, *words)
    assert not (tmp_path / "results/x").exists()


def test_a_table_of_weights_and_biases(cli_inside, tmp_path):
    write(tmp_path, "export.csv", WANDB)
    maps = ["--map", "accuracy=val_acc", "--column", "arm=optimizer"]
    document = imported(cli_inside, "export.csv", "--as", "wb", *maps)
    assert document["format"] == "wandb" and document["arms"] == {"sgd": 1, "adam": 2}
    assert document["left_out"] == {"in state running": 1, "finished without an accuracy": 1}
    assert {"Name", "Runtime", "Sweep"} <= set(document["ignored_columns"])
    rows = rows_of(tmp_path, "wb")
    assert [(r["arm"], r["seed"], r["accuracy"], r["status"], r["time_s"]) for r in rows] == [
        ("sgd", "1", "0.91", "completed", ""), ("adam", "1", "0.92", "completed", ""), ("adam", "2", "", "crashed", ""),
    ]  # fmt: skip
    assert rows[0]["started_at"] == "2025-05-01T10:00:00.000Z"
    ledger = (tmp_path / "results/wb/ledger.jsonl").read_text()
    assert "finished without an accuracy" in ledger, "what was left out is on record"


def test_a_table_of_weights_and_biases_says_what_is_missing(cli_inside, tmp_path):
    write(tmp_path, "export.csv", WANDB)
    says(cli_inside("import", "export.csv", "--as", "wb"), 2, "'accuracy'", "is missing", "--map accuracy=THEIR_NAME")
    says(cli_inside("import", "export.csv", "--as", "wb", "--format", "csv"), 2, "'accuracy'", "is missing")
    write(tmp_path, "runs.csv", "seed,accuracy\n1,0.9\n")
    says(cli_inside("import", "runs.csv", "--as", "wb", "--format", "wandb"), 2, "no column 'State'", "--format csv")


def test_a_table_of_weights_and_biases_whose_runs_are_grouped(cli_inside, tmp_path):
    """The group is the arm; a run that is left out needs none, and one that comes in must have one where others do."""
    grouped = WANDB.replace('"sgd"', '""', 1).replace('"optimizer"', '"Group"')
    maps = ["--map", "accuracy=val_acc"]
    write(tmp_path, "export.csv", grouped)
    done = cli_inside("import", "export.csv", "--as", "wb", *maps)
    says(done, 2, "line 2: the cell of 'Group' is empty", "--map arm=")
    assert not (tmp_path / "results/wb").exists()
    write(tmp_path, "export.csv", grouped.replace('"finished"', '"running"', 1))
    assert imported(cli_inside, "export.csv", "--as", "wb", *maps)["arms"] == {"adam": 2}
    write(tmp_path, "export.csv", grouped.replace('"adam"', '""').replace('"sgd"', '""'))
    assert imported(cli_inside, "export.csv", "--as", "alone", *maps)["arms"] == {"alone": 3}


def test_the_formats_that_are_offered_are_those_that_are_read():
    assert set(import_command.FORMATS) == set(READERS)
    assert set(export_command.TABLES) == set(exporting.FORMATS) and set(export_command.SERVICES) == set(TRACKERS)


def test_hyperfine(cli_inside, tmp_path):
    """`hyperfine 1.15.0 --export-json`, of a command that fails now and then and of one that does not."""
    document = imported(cli_inside, DATA / "hyperfine-1.15.0.json", "--as", "hf")
    assert document["format"] == "hyperfine" and len(document["arms"]) == 2
    raw = json.loads((DATA / "hyperfine-1.15.0.json").read_text())
    rows = rows_of(tmp_path, "hf")
    times = [[float(r["time_s"]) for r in rows if r["arm"] == result["command"]] for result in raw["results"]]
    assert times == [result["times"] for result in raw["results"]], "every time comes in as it stands"
    codes = [code for result in raw["results"] for code in result["exit_codes"]]
    assert [r["status"] for r in rows] == ["completed" if code == 0 else "crashed" for code in codes]
    assert len({r["invocation"] for r in rows}) == len(rows), "each run is a process start of its own"
    assert all(r["accuracy"] == r["seed"] == r["warmup"].replace("false", "") == "" for r in rows)
    assert "not-interleaved" in document["notes"][0]


def test_timings_are_shown_and_judged_as_times_alone(cli_inside):
    imported(cli_inside, DATA / "hyperfine-1.15.0.json", "--as", "hf")
    says(cli_inside("verify", "hf", "--no-rerun"), 0)
    assert "6 runs, 0 warm-ups  0.02234 s, accuracy unknown" in cli_inside("show", "hf").stdout
    arms = ("hf:sleep 0.02", "hf:sh sometimes.sh")
    done = cli_inside("compare", *arms, "--claim", "time-only", "--json")
    says(done, 0)
    document = json.loads(done.stdout)
    (one,) = document["comparisons"]
    assert document["control"]["n_time"] == 6 and document["control"]["n"] == 0 and one["candidate"]["n_time"] == 5
    assert document["control"]["time_s"]["value"] == pytest.approx(0.0223390583)
    assert (
        one["verdict"] == "refused"
        and one["time"]["design"] == "separate"
        and one["time"]["speedup"]["ci95"] == [None, None]
    )
    codes = [finding["code"] for finding in one["findings"]]
    assert "not-interleaved" in codes and codes.count("no-accuracies") == 2 and "crashed-runs" in codes
    assert cli_inside("gate", *arms, "--margin-pp", 1).returncode == 4, "of accuracy nothing can be said"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"results": [{"command": "ls", "mean": 1.0}]}', ["result 1", "no list 'times'", "--export-json"]),
        ('{"results": [{"command": "ls", "times": ["fast"]}]}', ["result 1, run 1", "'time_s'", "'fast'"]),
        ('{"results": [{"command": "ls", "times": [-1.0], "exit_codes": [0]}]}', ["result 1, run 1", "time_s is -1.0"]),
        ('{"results": [{"command": "ls", "times": []}]}', ["holds no runs"]),
        ('{"benchmarks": []}', ["holds no runs"]),
        ('{"version": 6, "benchmarks": []}', ["an older version", "pyperf convert"]),
        ('{"benchmarks": [{"runs": [3]}]}', ["is no file of pyperf"]),
        ('{"benchmarks": [{"metadata": {}}]}', ["is no file of pyperf"]),
        ('{"benchmarks": [{"runs": [{"values": [1.0], "warmups": [3]}]}]}', ["'warmups' must be pairs"]),
    ],
)
def test_times_that_are_none(cli_inside, tmp_path, text, words):
    write(tmp_path, "times.json", text)
    says(cli_inside("import", "times.json", "--as", "x"), 2, *words)
    assert not (tmp_path / "results/x").exists()


def test_a_command_that_a_signal_ended_is_a_crash(cli_inside, tmp_path):
    result = {"command": "sh -c 'kill -9 $$'", "times": [0.1, 0.2, 0.3], "exit_codes": [0, None, 2]}
    write(tmp_path, "times.json", json.dumps({"results": [result]}))
    imported(cli_inside, "times.json", "--as", "hf")
    assert [(r["status"], r["error"]) for r in rows_of(tmp_path, "hf")] == [
        ("completed", ""), ("crashed", "ended by a signal"), ("crashed", "exit code 2"),
    ]  # fmt: skip


def test_a_command_of_several_lines_is_one_arm_everywhere(cli_inside, tmp_path):
    results = [
        {"command": name, "times": [0.1, 0.2]}
        for name in ("for i in 1 2\ndo true\ndone", "=cmd|' /C calc'!A0", "=cmd|' /C calc'!A0")
    ]
    write(tmp_path, "times.json", json.dumps({"results": results}))
    document = imported(cli_inside, "times.json", "--as", "odd")
    described = json.loads((tmp_path / "results/odd/experiment.json").read_text())["arms"]
    assert (
        [arm["name"] for arm in described]
        == list(document["arms"])
        == list(dict.fromkeys(r["arm"] for r in rows_of(tmp_path, "odd")))
    )
    assert len(document["arms"]) == 3, "two results of one name are two arms"


def test_a_compressed_file_and_an_unknown_format(cli_inside, tmp_path):
    (tmp_path / "runs.json.gz").write_bytes(b"\x1f\x8b\x08 rest")
    says(cli_inside("import", "runs.json.gz", "--as", "x"), 2, "is compressed", "gunzip")
    says(cli_inside("import", "runs.json.gz", "--as", "x", "--format", "xml"), 2, "xml", "hyperfine")


def test_pyperf_values_are_runs_of_their_processes(cli_inside, tmp_path):
    suite = {
        "version": "1.0",
        "metadata": {"hostname": "box", "unit": "second", "python_version": "3.11.7 (64-bit) revision x"},
        "benchmarks": [
            {
                "metadata": {"name": "sort"},
                "runs": [
                    {"metadata": {"calibrate_loops": 8}, "warmups": [[1, 0.5], [8, 0.25]]},
                    {"metadata": {"date": "2026-01-02 03:04:05.678901"}, "warmups": [[8, 0.3]], "values": [0.1, 0.2]},
                ],
            },
            {"metadata": {"name": "heap", "unit": "byte"}, "runs": [{"values": [100.0, 200.0]}]},
        ],
    }
    write(tmp_path, "suite.json", json.dumps(suite))
    document = imported(cli_inside, "suite.json", "--as", "pp")
    assert document["format"] == "pyperf" and document["rows"] == 5
    assert document["left_out"] == {"values of 'heap', which are no seconds but byte": 2}
    rows = rows_of(tmp_path, "pp")
    assert [(r["invocation"], r["warmup"], r["time_s"]) for r in rows] == [
        ("pp/1.1", "true", "0.5"), ("pp/1.1", "true", "0.25"), ("pp/1.2", "true", "0.3"), ("pp/1.2", "false", "0.1"),
        ("pp/1.2", "false", "0.2"),
    ]  # fmt: skip
    assert rows[4]["host"] == "box" and rows[4]["python"] == "3.11.7"
