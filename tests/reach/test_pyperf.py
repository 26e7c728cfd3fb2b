"""A suite that pyperf wrote: its values come in as the library itself reads them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from helpers import rows_of, says

pyperf = pytest.importorskip("pyperf")
pytestmark = pytest.mark.reach

SCRIPT = """
import pyperf
runner = pyperf.Runner(processes=3, values=4, warmups=2, loops=50, min_time=0.001)
runner.bench_func("sorted", sorted, list(range(500, 0, -1)))
runner.bench_func("reversed", lambda x: list(reversed(x)), list(range(500)))
"""


def test_every_value_and_warm_up_comes_in(cli_inside, tmp_path: Path) -> None:
    (tmp_path / "bench.py").write_text(SCRIPT)
    subprocess.run(
        [sys.executable, "bench.py", "-o", "suite.json", "--copy-env", "-q"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    done = cli_inside("import", "suite.json", "--as", "pp")
    says(done, 0)
    assert "from a file of pyperf" in done.stdout and "not-interleaved" in done.stdout
    rows = rows_of(tmp_path, "pp")
    suite = pyperf.BenchmarkSuite.load(str(tmp_path / "suite.json"))
    for benchmark in suite.get_benchmarks():
        mine = [row for row in rows if row["arm"] == benchmark.get_name()]
        values = [float(row["time_s"]) for row in mine if row["warmup"] == "false"]
        assert values == list(benchmark.get_values()) and len(values) == 12
        warm = [float(row["time_s"]) for row in mine if row["warmup"] == "true"]
        theirs = [value for run in benchmark.get_runs() for _, value in run.warmups]
        assert warm == theirs and len(warm) >= 6
        assert len({row["invocation"] for row in mine if row["warmup"] == "false"}) == 3, "a process is an invocation"
    assert all(row["host"] and row["python"].startswith("3.") and row["started_at"] for row in rows)
