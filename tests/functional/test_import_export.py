"""CSVs from elsewhere come in whole or not at all; stores go out as they are."""

from __future__ import annotations

import csv
import json

import pytest
from helpers import TRAIN, counted, rows_of, says, write

GOOD = (
    "seed,arm,accuracy,time_s,warmup\n1,a,0.91,2.5,False\n2,a,0.92,2.6,false\n1,b,0.93,2.4,TRUE\n1,b,0.94,2.3,False\n"
)


def test_a_foreign_file(cli, tmp_path):
    write(tmp_path, "runs.csv", GOOD.rstrip("\n"))  # the last line has no newline
    done = cli("import", "runs.csv", "--as", "theirs", "--json")
    says(done, 0)
    document = json.loads(done.stdout)
    assert document["rows"] == 4 and document["arms"] == {"a": 2, "b": 2} and document["ignored_columns"] == []
    assert {"invocation", "block", "environment", "correct"} <= set(document["unknown_columns"])
    rows = rows_of(tmp_path, "theirs")
    assert [(r["arm"], r["seed"], r["accuracy"], r["warmup"]) for r in rows] == [
        ("a", "1", "0.91", "false"), ("a", "2", "0.92", "false"), ("b", "1", "0.93", "true"), ("b", "1", "0.94", "false"),
    ]  # fmt: skip
    assert all(r["status"] == "completed" and r["replicate"] == r["correct"] == r["invocation"] == "" for r in rows)
    assert len({r["run_id"] for r in rows}) == 4
    says(cli("verify", "theirs", "--no-rerun"), 0)


def test_other_names_and_spare_columns(cli_inside, tmp_path):
    write(tmp_path, "runs.csv", "trial,acc,gpu,invocation\r\n3,0.9,A100,x1\r\n4,0.8,A100,x1\r\n")
    done = cli_inside("import", "runs.csv", "--as", "theirs", "--map", "seed=trial", "--map", "accuracy=acc")
    says(done, 0)
    assert "Imported 2 rows into results/theirs: theirs 2." in done.stdout
    assert "Left aside, since a store has no such columns: gpu." in done.stdout
    rows = rows_of(tmp_path, "theirs")
    assert [(r["seed"], r["accuracy"], r["arm"], r["invocation"]) for r in rows] == [
        ("3", "0.9", "theirs", "theirs/x1"), ("4", "0.8", "theirs", "theirs/x1"),
    ]  # fmt: skip


@pytest.mark.parametrize(("sign", "word"), [(";", "semicolons"), ("\t", "tabs")])
def test_another_separator_is_read_where_the_header_leaves_no_doubt(sign, word, cli_inside, tmp_path):
    write(tmp_path, "runs.csv", "\ufeff" + GOOD.replace(",", sign).replace("0.91", '"0.91"').rstrip("\n"))
    done = cli_inside("import", "runs.csv", "--as", "theirs")
    says(done, 0)
    assert f"Read as separated by {word}" in done.stdout
    assert next((r["arm"], r["seed"], r["accuracy"]) for r in rows_of(tmp_path, "theirs")) == ("a", "1", "0.91")


REFUSED = {
    "no seed": ("trial,accuracy\n1,0.9\n", [], ["'seed'", "is missing", "trial, accuracy", "--map seed=THEIR_NAME"]),
    "neither": ("a,b\n1,0.9\n", [], ["columns 'seed' and 'accuracy' (or 'correct' and 'total') are missing"]),
    "near seed": ("Seed,accuracy\n1,0.9\n", [], ["'seed'", "Did you mean 'Seed'?"]),
    "no accuracy": ("seed,correct\n1,90\n", [], ["'accuracy' (or 'correct' and 'total')", "is missing"]),
    "text for a number": (
        "seed,accuracy\n1,0.9\n2,high\n",
        [],
        ["runs.csv line 3", "'accuracy'", "'high'", "a number"],
    ),
    "half a seed": ("seed,accuracy\n1.5,0.9\n", [], ["line 2", "'seed'", "'1.5'", "a whole number"]),
    "an infinite seed": ("seed,accuracy\ninf,0.9\n", [], ["line 2", "'seed'", "'inf'"]),
    "empty seed": ("seed,accuracy\n1,0.9\n,0.9\n", [], ["line 3", "'seed' is empty"]),
    "a percentage": ("seed,accuracy\n1,94.1\n", [], ["line 2", "94.1", "not a percentage"]),
    "a number that is none": ("seed,accuracy\n1,nan\n", [], ["line 2", "nan", "between 0 and 1"]),
    "too many correct": ("seed,correct,total\n1,11,10\n", [], ["line 2", "correct is 11 of total 10"]),
    "negative time": ("seed,accuracy,time_s\n1,0.9,-1\n", [], ["line 2", "time_s is -1.0"]),
    "unknown status": ("seed,accuracy,status\n1,0.9,ok\n", [], ["line 2", "'status'", "'ok'", "crashed"]),
    "unknown flag": ("seed,accuracy,warmup\n1,0.9,maybe\n", [], ["line 2", "'warmup'", "'maybe'", "true, false"]),
    "run id twice": ("run_id,seed,accuracy\nr,1,0.9\nr,2,0.9\n", [], ["line 3", "'r'", "stands already in line 2"]),
    "another width": ("seed,accuracy\n1,0.9\n2\n", [], ["line 3", "1 fields", "has 2"]),
    "a decimal comma": ("seed;accuracy\n1;0,94\n", [], ["line 2", "'0,94'", "with a decimal point: 0.94"]),
    "two separators": ("seed;accuracy\tarm\n1;0.9\ta\n", [], ["semicolons and tabs", "one of comma"]),
    "no rows": ("seed,accuracy\n", [], ["no rows"]),
    "no bytes": ("", [], ["empty"]),
    "map of an unknown column": ("a,b\n1,2\n", ["--map", "sed=a"], ["no column 'sed'", "Did you mean 'seed'?"]),
    "map to an unknown column": ("a,b\n1,2\n", ["--map", "seed=c"], ["no column 'c'", "a, b"]),
    "map without name": ("a,b\n1,2\n", ["--map", "seed"], ["--map 'seed'", "COLUMN=THEIRS"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case, cli_inside, tmp_path):
    text, flags, words = REFUSED[case]
    write(tmp_path, "runs.csv", text)
    done = cli_inside("import", "runs.csv", "--as", "theirs", *flags)
    says(done, 4 if case in ("another width", "no bytes") else 2, *words)
    assert not (tmp_path / "results/theirs").exists(), "half an import was left"


def test_names_that_are_taken_or_missing(cli_inside, tmp_path):
    write(tmp_path, "runs.csv", GOOD)
    says(cli_inside("import", "runs.csv", "--as", "theirs"), 0)
    before = (tmp_path / "results/theirs/runs.csv").read_bytes()
    says(cli_inside("import", "runs.csv", "--as", "theirs"), 2, "exists already", "--as NAME")
    assert (tmp_path / "results/theirs/runs.csv").read_bytes() == before
    says(cli_inside("import", "run.csv", "--as", "new"), 2, "no file 'run.csv'", "Did you mean 'runs.csv'?")
    says(cli_inside("import", "runs.csv", "--as", "../new"), 2, "'../new' cannot be a store")
    says(cli_inside("import", "runs.csv"), 2, "--as")


@pytest.fixture
def store(cli_inside, tmp_path):
    write(tmp_path, "train.py", TRAIN)
    says(cli_inside("run", "train.py", "--seeds", 3, "--set", "invocations=1"), 0)
    return rows_of(tmp_path, "train")


def test_export_and_back(cli_inside, store, tmp_path):
    says(cli_inside("export", "train", "-o", "all.csv"), 0)
    assert (tmp_path / "all.csv").read_bytes() == (tmp_path / "results/train/runs.csv").read_bytes()
    printed = cli_inside("export", "train")
    assert printed.stdout == (tmp_path / "all.csv").read_text()
    says(cli_inside("export", "train", "--completed", "-o", "runs.csv"), 0)
    says(cli_inside("import", "runs.csv", "--as", "back"), 0)
    same = ("arm", "seed", "correct", "total", "accuracy", "time_s", "block", "config_hash", "run_id")
    back = rows_of(tmp_path, "back")
    assert len(back) == 3
    assert [[r[k] for k in same] for r in back] == [[r[k] for k in same] for r in counted(store)]

    done = cli_inside("export", "train", "-o", "runs.jsonl")
    assert "Wrote 4 rows to runs.jsonl." in done.stdout
    lines = [json.loads(line) for line in (tmp_path / "runs.jsonl").read_text().splitlines()]
    assert len(lines) == len(store) == 4
    for line, row in zip(lines, store, strict=True):
        assert list(line) == list(row)
        assert line["seed"] == int(row["seed"]) and line["warmup"] is (row["warmup"] == "true")
        assert line["accuracy"] == float(row["accuracy"]) and line["loss"] is None and line["arm"] == "train"


def test_several_stores_stand_under_one_another(cli_inside, store, tmp_path):
    write(tmp_path, "theirs.csv", GOOD)
    says(cli_inside("import", "theirs.csv", "--as", "theirs"), 0)
    done = cli_inside("export", "train", "theirs", "--completed")
    rows = list(csv.DictReader(done.stdout.splitlines()))
    assert [row["experiment"] for row in rows] == ["train"] * 3 + ["theirs"] * 3


@pytest.mark.parametrize("status", ["Completed", " completed", ""])
def test_every_command_takes_the_same_runs_for_completed(cli_inside, tmp_path, status):
    rows = "".join(f"{seed},{arm},{0.9 + seed / 1000}\n" for arm in "ab" for seed in range(1, 6))
    write(tmp_path, "theirs.csv", f"seed,arm,accuracy\n{rows}")
    says(cli_inside("import", "theirs.csv", "--as", "theirs"), 0)
    stored = tmp_path / "results/theirs/runs.csv"
    text = stored.read_text()
    assert text.count(",completed,") == 10
    stored.write_text(text.replace(",completed,", f",{status},", 9).replace(",completed,", ",crashed,"))
    judged = json.loads(cli_inside("compare", "theirs:a", "theirs:b", "--claim", "accurate", "--json").stdout)
    assert (judged["control"]["n"], judged["comparisons"][0]["candidate"]["n"]) == (5, 4)
    shown = json.loads(cli_inside("show", "theirs", "--json").stdout)["store"]["arms"]
    assert [(arm["n"], arm["failed"]) for arm in shown] == [(5, 0), (4, 1)]
    assert json.loads(cli_inside("list", "--json").stdout)["stores"][0]["arms"] == {"a": 5, "b": 4}
    assert json.loads(cli_inside("export", "theirs", "--completed", "--json").stdout)["rows"] == 9
    says(cli_inside("report", "theirs:a", "--control", "theirs:b", "--claim", "accurate"), 0)
    assert "1 attempt of theirs that did not complete" in (tmp_path / "report.html").read_text()


def test_export_refuses(cli_inside, store):
    says(cli_inside("export", "train", "train", "-o", "twice.csv"), 2, "'train' is named twice")
    says(cli_inside("export", "train", "-o", "runs.xls"), 2, "runs.xls", ".csv, .jsonl or .parquet")
    says(cli_inside("export", "train", "-o", "nowhere/runs.csv"), 4, "nowhere/runs.csv", "cannot be written")
    says(cli_inside("export", "trian"), 4, "no store 'trian'", "Did you mean 'train'?")
