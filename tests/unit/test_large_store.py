"""A large `runs.csv` goes another way than a small one, and means the same."""

from __future__ import annotations

import csv
import io
import random
from pathlib import Path

import numpy as np
import pytest

from harness.app import judging
from harness.comparison.frame import FLAGS, NUMBERS, TEXTS, Frame, concatenate, make_frame, row_keys, text_column
from harness.comparison.samples import make_sample, match_blocks
from harness.errors import StoreError
from harness.model.run import COLUMNS
from harness.store import frames
from harness.store.frames import frame_of, read_columns, read_frame
from harness.store.large import is_regular, large_columns, large_frame
from harness.store.read import Store, read_table

CLOCKS = ('training, evaluation', 'the "whole" run', "", '"', "später, anders", "NA", "null", "1.0")  # fmt: skip


def rows(n: int, seed: int = 1) -> list[dict[str, str]]:
    """Runs with everything that a file may hold: unknown cells, quotes, commas, accents, big seeds, warm-ups."""
    draw = random.Random(seed)
    out = []
    for i in range(n):
        row = dict.fromkeys(COLUMNS, "")
        row |= {"run_id": f"r.{i}", "experiment": "x", "arm": "ab"[i % 2], "stage": "final", "status": "completed"}
        row |= {"seed": str(2**62 + i // 2), "block": str(i // 2), "invocation": f"p{i // 10}", "position": str(i % 2)}
        row |= {"warmup": draw.choice(("true", "false", "false", "", "TRUE", "0")), "clock": draw.choice(CLOCKS)}
        row |= {"accuracy": repr(draw.random()), "time_s": draw.choice(("", repr(draw.expovariate(0.3)), "2", "1e-3"))}
        row |= {"correct": draw.choice(("", str(draw.randrange(900, 1000)))), "total": "1000", "error": "a,\tb"}
        out.append(row)
    return out


def write(path: Path, content: list[dict[str, str]], torn: str = "") -> Path:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(content)
    path.write_bytes((buffer.getvalue() + torn).encode())
    return path


def same(a: Frame, b: Frame) -> None:
    assert a.rows == b.rows
    for name in NUMBERS:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)
    for name in (*FLAGS, *TEXTS):
        assert a[name].tolist() == b[name].tolist(), name
        assert a[name].dtype == b[name].dtype, name


@pytest.mark.parametrize("piece_bytes", [1, 700, 1 << 24])
@pytest.mark.parametrize("torn", ["", "r.x,x,a", 'r.x,x,a,"with, quote'])
def test_both_ways_of_reading_give_the_same_frame(tmp_path: Path, piece_bytes: int, torn: str) -> None:
    path = write(tmp_path / "runs.csv", rows(60), torn)
    table = read_table(path, "x")
    large = large_frame(path, "x", piece_bytes=piece_bytes)
    assert large is not None
    same(large[0], frame_of(table))
    assert large[1] == table.torn == len(torn)


def test_a_file_with_few_columns_in_any_order_is_read_alike(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_text('note,accuracy,arm,seed\n"a,b",.5,x,1\n,,y,\n"",1,"z",3\n')
    large = large_frame(path, "x")
    assert large is not None
    same(large[0], frame_of(read_table(path, "x")))


HEAD = "arm,seed,accuracy,warmup,clock\n"
GOOD = "a,1,0.5,false,c\n" * 3


@pytest.mark.parametrize(
    "line",
    ["a,1,0.5,false\n", "a,1,0.5,false,c,d\n", "\n", 'a,1,0.5,false,c"d\n', 'a,1,0.5,false,"c" \n', "a,1,0.5,false,c\r\n",
     'a,1,0.5,false,"c\nd"\n', 'a,1,0.5,false,"c\n', "a,x,0.5,false,c\n", "a,1,true,false,c\n", "a,1,0.5,maybe,c\n",
     "a,1,0.5,false,c\0\n", "a,1,nan,false,c\n", "a,1_0,0.5,false,c\n", 'a,1,0.5,false,""c""\n', "a,1,0.5,false\na,1,0.5,false,c,c\n"],
)  # fmt: skip
@pytest.mark.parametrize("piece_bytes", [1, 1 << 24])
def test_what_could_be_read_in_two_ways_goes_to_the_careful_reader(tmp_path: Path, line: str, piece_bytes: int) -> None:
    path = tmp_path / "runs.csv"
    path.write_bytes((HEAD + GOOD + line + GOOD).encode())
    assert large_frame(path, "x", piece_bytes=piece_bytes) is None


@pytest.mark.parametrize("words", ["true,false,,", "False,False,False,False", ",,,TRUE"])
def test_a_column_of_numbers_that_holds_only_true_and_false_is_no_column_of_numbers(tmp_path: Path, words: str) -> None:
    path = tmp_path / "runs.csv"
    path.write_text("arm,steps\n" + "".join(f"a,{word}\n" for word in words.split(",")))
    assert large_frame(path, "x") is None


@pytest.mark.parametrize("cells", ["0,1,,0", ",,,", ",,,1", "0.0,1.0,1e0,0"])
def test_a_column_of_zeros_and_ones_is_one(tmp_path: Path, cells: str) -> None:
    path = tmp_path / "runs.csv"
    path.write_text("arm,steps\n" + "".join(f"a,{cell}\n" for cell in cells.split(",")))
    large = large_frame(path, "x")
    assert large is not None
    same(large[0], frame_of(read_table(path, "x")))


@pytest.mark.parametrize(
    "header", ["arm,arm\n", "\n", "arm\n", "arm,\n", "\ufeffarm,seed\n", "arm,seed\r\n", "arm,seed", ""]
)
def test_an_unusual_header_goes_to_the_careful_reader(tmp_path: Path, header: str) -> None:
    path = tmp_path / "runs.csv"
    path.write_bytes((header + "a,1\n").encode())
    assert large_frame(path, "x") is None


def test_bytes_that_are_no_text_are_not_regular() -> None:
    assert is_regular("a,é\n".encode(), 2)
    assert not is_regular("a,é\n".encode("latin-1"), 2)


@pytest.mark.parametrize(
    ("line", "message"),
    [("a,x,0.5,false,c\n", "line 5: column 'seed' holds 'x'"), ("a,1,0.5\n", "line 5: has 3 fields where the header has 5"),
     ("a,1,0.5,maybe,c\n", "line 5: column 'warmup' holds 'maybe'"), ("a,1,1.5,false,c\n", "line 5: the accuracy is 1.5"),
     ("a,1,true,false,c\n", "line 5: column 'accuracy' holds 'true'")],
)  # fmt: skip
def test_a_damaged_large_store_is_reported_as_a_small_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, message: str
) -> None:
    (tmp_path / "runs.csv").write_text(HEAD + GOOD + line + GOOD)
    said = []
    for limit in (0, 10**9):
        monkeypatch.setattr(frames, "LARGE_BYTES", limit)
        with pytest.raises(StoreError, match=message) as problem:
            read_frame(Store("x", tmp_path))
        said.append(str(problem.value))
    assert said[0] == said[1]


def test_a_judgement_does_not_depend_on_the_way_of_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x").mkdir()
    write(tmp_path / "x" / "runs.csv", rows(400), "torn")
    made = []
    for limit in (0, 10**9):
        monkeypatch.setattr(frames, "LARGE_BYTES", limit)
        made.append(judging.judge(["x:a", "x:b"], tmp_path, judging.Asked("faster", 0.5, 0.1)).as_dict())
    assert made[0] == made[1]


def test_columns_of_chosen_rows_are_made_when_they_are_read() -> None:
    frame = make_frame({"seed": np.arange(6.0), "arm": text_column(list("ababab"))}, 6, "x")
    some = frame.where(frame["arm"] == "b").take(np.array([2, 0]))
    assert some["seed"].tolist() == [5, 1]
    assert concatenate([some, frame.where(frame["seed"] < 1)])["arm"].tolist() == ["b", "b", "a"]
    assert set(some.columns) == set(frame.columns)


def test_rows_have_one_key_where_all_columns_are_equal() -> None:
    draw = random.Random(3)
    texts, numbers = (draw.choices("abcé", k=300), draw.choices((0.0, 1.5, 2.0**60, -1.0), k=300))
    keys = row_keys(text_column(texts), np.array(numbers), text_column(texts)).tolist()
    assert len(set(keys)) == len(set(zip(texts, numbers, strict=True)))
    assert len(set(zip(keys, texts, numbers, strict=True))) == len(set(keys))


def test_keys_of_many_columns_do_not_run_over() -> None:
    columns = [np.arange(5000.0)] * 8
    assert np.unique(row_keys(*columns)).size == 5000


def drawn_frame(n: int, seed: int) -> Frame:
    draw = random.Random(seed)
    columns = {
        "invocation": text_column(draw.choices(("p", "q", "r", ""), k=n)),
        "block": np.array(draw.choices((np.nan, *range(12)), k=n), dtype=np.float64),
        "seed": np.array(draw.choices((np.nan, *range(30)), k=n), dtype=np.float64),
        "config_hash": text_column(draw.choices(("c", "d", ""), k=n)),
        "accuracy": np.full(n, 0.5),
        "time_s": np.arange(1.0, n + 1),
    }
    return make_frame(columns, n, "drawn")


@pytest.mark.parametrize("seed", range(20))
def test_blocks_are_matched_as_by_hand(seed: int) -> None:
    left, right = drawn_frame(25, seed), drawn_frame(30, seed + 100)

    def by_hand(frame: Frame) -> dict[tuple[str, float], float]:
        keys = list(zip(frame["invocation"].tolist(), frame["block"].tolist(), strict=True))
        times = frame["time_s"].tolist()
        return {k: t for k, t in zip(keys, times, strict=True) if k[0] and k[1] == k[1] and keys.count(k) == 1}

    a, b = by_hand(left), by_hand(right)
    blocks = match_blocks(left, right)
    assert blocks.control["time_s"].tolist() == [a[k] for k in a if k in b]
    assert blocks.candidate["time_s"].tolist() == [b[k] for k in a if k in b]
    assert blocks.incomplete == sum(k not in a for k in b)


@pytest.mark.parametrize("seed", range(20))
def test_seeds_that_recur_are_counted_as_by_hand(seed: int) -> None:
    stores = [drawn_frame(n, seed + 10 * n) for n in (20, 25, 15)]
    seen: set[tuple[str, float]] = set()
    kept, twice = [], 0
    for number, frame in enumerate(stores):
        keys = list(zip(frame["config_hash"].tolist(), frame["seed"].tolist(), strict=True))
        kept += [(number, row) for row, key in enumerate(keys) if not (key[0] and key in seen)]
        own = [key for key in keys if key[1] == key[1]]
        seeds = [seed for _, seed in own]  # a seed counts once in an arm, whatever its configuration
        twice += len(seeds) - len(set(seeds))
        seen |= set(own)
    sample = make_sample("x", stores)
    assert sample.duplicates == twice
    assert sample.runs["time_s"].tolist() == [stores[number]["time_s"][row] for number, row in kept]


@pytest.mark.parametrize("piece_bytes", [1, 700, 1 << 24])
@pytest.mark.parametrize("torn", ["", "r.x,x,a"])
def test_some_columns_of_a_large_file_are_those_of_the_careful_reader(
    tmp_path: Path, piece_bytes: int, torn: str
) -> None:
    path = write(tmp_path / "runs.csv", rows(300), torn)
    wanted = ("arm", "stage", "replicate", "status", "warmup", "clock", "time_s", "no such column")
    found = large_columns(path, wanted, piece_bytes=piece_bytes)
    table = read_table(path, "x")
    assert found == ({name: table.text(name) for name in wanted if name in table.columns}, len(torn))


def test_some_columns_of_a_file_that_is_not_regular_are_left_to_the_careful_reader(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(frames, "LARGE_BYTES", 0)
    path = write(tmp_path / "runs.csv", rows(20))
    assert read_columns(path, "x", ["arm"]).text("arm") == ["a", "b"] * 10
    path.write_bytes(path.read_bytes() + b"torn")
    assert (read_columns(path, "x", ["arm"]).rows, read_columns(path, "x", ["arm"]).torn) == (20, 4)
    path.write_bytes(path.read_bytes()[:-4])
    path.write_bytes(path.read_bytes() + b"one,two\n")
    with pytest.raises(StoreError, match="line 22: has 2 fields"):
        read_columns(path, "x", ["arm"])
