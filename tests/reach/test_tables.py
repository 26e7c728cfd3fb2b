"""Tables that leave the harness, read back by the programs that they are meant for, and the one-liners of the documentation."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from helpers import rows_of, says, write

duckdb = pytest.importorskip("duckdb")
parquet = pytest.importorskip("pyarrow.parquet")
pytestmark = pytest.mark.reach

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs" / "export.md").read_text(encoding="utf-8")
TRAIN = (
    "import random\n\n\ndef train(seed, lr=0.1, name='a'):\n    return random.Random(seed).randrange(900, 1000), 1000\n"
)
SWEEP = 'trainer = "train.py"\nclaim = "accurate"\nseeds = 4\n[sweep.grid]\nlr = [0.1, 0.2]\n'


@pytest.fixture
def store(cli_inside, tmp_path: Path) -> Path:
    write(tmp_path, "train.py", TRAIN)
    write(tmp_path, "sweep.toml", SWEEP)
    says(cli_inside("run", "sweep.toml", "-q"), 0)
    return tmp_path


def test_parquet_is_typed_and_has_what_differs(cli_inside, store: Path) -> None:
    says(cli_inside("export", "sweep", "--format", "parquet", "--completed", "-o", "runs.parquet"), 0)
    table = parquet.read_table(store / "runs.parquet")
    assert table.num_rows == 12
    types = {name: str(table.schema.field(name).type) for name in ("seed", "accuracy", "warmup", "config.lr")}
    assert (
        types["seed"] == "int64" and types["accuracy"] == types["config.lr"] == "double" and types["warmup"] == "bool"
    )
    assert "config.name" not in table.column_names, "what all arms have in common is no column"
    rates = {arm: set() for arm in table["arm"].to_pylist()}
    for arm, rate in zip(table["arm"].to_pylist(), table["config.lr"].to_pylist(), strict=True):
        rates[arm].add(rate)
    assert rates == {"control": {0.1}, "lr=0.1": {0.1}, "lr=0.2": {0.2}}


def one_liners() -> list[str]:
    """The queries that the documentation shows in its DuckDB block."""
    block = re.search(r"<!-- duckdb -->\n```sql\n(.+?)```", DOCS, re.DOTALL)
    assert block is not None
    return [query.strip() for query in block[1].split(";") if query.strip()]


def test_the_documented_queries_answer(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(store)
    queries = one_liners()
    assert len(queries) >= 2
    rows = [row for row in rows_of(store, "sweep") if row["status"] == "completed" and row["warmup"] == "false"]
    answer = {row[:2]: row[2:] for row in duckdb.sql(queries[0]).fetchall()}
    for arm in ("control", "lr=0.1", "lr=0.2"):
        accuracies = [float(row["accuracy"]) for row in rows if row["arm"] == arm]
        n, mean, *_ = answer["sweep", arm]
        assert n == len(accuracies) == 4 and mean == pytest.approx(100 * sum(accuracies) / 4)
    for query in queries[1:]:
        assert duckdb.sql(query).fetchall()


def test_they_also_answer_on_the_shipped_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    answer = {row[:2]: row[2:] for row in duckdb.sql(one_liners()[0]).fetchall()}
    assert answer["digits-baseline", "digits-baseline"][0] == 1000


def test_the_documented_command_line(store: Path) -> None:
    """The same from Python's own command line, as the documentation has it."""
    line = re.search(r"^python -c \"import duckdb.+\"$", DOCS, re.MULTILINE)
    assert line is not None
    done = subprocess.run(["bash", "-c", line[0]], cwd=store, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "lr=0.2" in done.stdout
