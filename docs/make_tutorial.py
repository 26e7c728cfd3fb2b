"""Runs the tutorial, in an empty folder: every command of its page, whose output replaces what stood below it.

python docs/make_tutorial.py
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parent / "tutorial.md"
BLOCK = re.compile(r"^```(?P<kind>\w+)(?: file=(?P<file>\S+))?\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
BEGIN, END = "<!-- times -->", "<!-- end of times -->"


@dataclass(frozen=True)
class Step:
    """One command of the page: what it printed, its exit status, and how long it took."""

    command: str
    output: str
    status: int
    seconds: float


def walk(page: str, folder: Path) -> Iterator[Step | tuple[re.Match[str], str]]:
    """The steps of a page, done in `folder`; after each shell block the block of its output with what to put into it."""
    printed = ""
    for block in BLOCK.finditer(page):
        if block["file"]:
            (folder / block["file"]).write_text(block["text"], encoding="utf-8")
        elif block["kind"] == "sh":
            steps = [run(line, folder) for line in block["text"].splitlines() if line.strip()]
            yield from steps
            printed = "".join(step.output for step in steps)
        elif block["kind"] == "text":
            yield block, printed


def run(command: str, folder: Path) -> Step:
    """A command line as a reader types it, with this Python and its harness."""
    words = command.split()
    python = {"python": [sys.executable], "harness": [sys.executable, "-m", "harness"]}
    begun = time.perf_counter()
    done = subprocess.run(
        [*python[words[0]], *words[1:]],
        cwd=folder,
        env=os.environ | {"NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line.rstrip() for line in (done.stdout + done.stderr).strip().splitlines()]
    return Step(command, "\n".join(lines) + "\n", done.returncode, time.perf_counter() - begun)


def main() -> None:
    page = PAGE.read_text(encoding="utf-8")
    steps: list[Step] = []
    texts: list[tuple[re.Match[str], str]] = []
    with tempfile.TemporaryDirectory() as name:
        for found in walk(page, Path(name)):
            if isinstance(found, Step):
                steps.append(found)
                if found.status != 0:
                    sys.exit(f"{found.command}: exit {found.status}\n{found.output}")
            else:
                texts.append(found)
    for block, printed in reversed(texts):
        page = page[: block.start("text")] + printed + page[block.end("text") :]
    rows = [f"| `{step.command}` | {step.seconds:.1f} |" for step in steps]
    rows.append(f"| together | {sum(step.seconds for step in steps):.1f} |")
    before, _, rest = page.partition(BEGIN)
    table = "\n".join(["| command | seconds on two cores |", "|---|---|", *rows])
    PAGE.write_text(f"{before}{BEGIN}\n{table}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    shutil.rmtree(PAGE.parent / "__pycache__", ignore_errors=True)


if __name__ == "__main__":
    main()
