"""How long a command takes to answer, as ratios of whole processes that take turns.

    uv run python -m benchmarks.latency

`harness --help` against `python -c "import click"`; `harness compare` of 1000 against 1000 runs (the shipped stores)
against `python -c "import numpy, scipy.special"`. Bytecode is compiled first.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time

PAIRS = (
    ("harness --help", ["-m", "harness", "--help"], "import click", "import click", 2.5),
    (
        "harness compare, 1000 against 1000 runs",
        ["-m", "harness", "compare", "digits-final:digits-baseline", "digits-final:digits-final"],
        "import numpy, scipy.special",
        "import numpy, scipy.special",
        1.5,
    ),
    (
        "harness compare digits-baseline digits-final (2000 against 1000)",
        ["-m", "harness", "compare", "digits-baseline", "digits-final"],
        "import numpy, scipy.special",
        "import numpy, scipy.special",
        1.5,
    ),
)


def seconds(arguments: list[str], environ: dict[str, str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True, env=environ)
    return time.perf_counter() - start


def main() -> None:
    environ = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    for name, ours, label, theirs, limit in PAIRS:
        seconds(ours, environ), seconds(["-c", theirs], environ)
        ratios, mine = [], []
        for _ in range(15):
            a, b = seconds(ours, environ), seconds(["-c", theirs], environ)
            ratios.append(a / b)
            mine.append(a)
        print(
            f"{name}: {1000 * statistics.median(mine):.0f} ms, {statistics.median(ratios):.2f} × `{label}` (at most {limit})"
        )


if __name__ == "__main__":
    main()
