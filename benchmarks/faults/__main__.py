"""Every fault, made: what was tried, how often, what was lost, what the user saw.

python -m benchmarks.faults --write docs/faults.md      # all of them, into the table of that page
python -m benchmarks.faults --quick writing             # one group, at some of its places, as the tests do
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.faults.common import GROUPS, Shown

MODULES = ("writing", "system", "campaigns", "workers", "stores", "names")
BEGIN, END = "<!-- table -->", "<!-- end of table -->"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("groups", nargs="*", default=list(MODULES), help=f"any of {', '.join(MODULES)}")
    parser.add_argument("--only", help="the fault of that name")
    parser.add_argument("--quick", action="store_true", help="at some of the places, in seconds")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="write the table into this page, between its marks")
    given = parser.parse_args()
    shown: dict[str, Shown] = {}
    for group in given.groups:
        importlib.import_module(f"benchmarks.faults.{group}")
        for name, make in GROUPS.get(group, {}).items():
            if given.only in (None, name):
                begun = time.monotonic()
                with tempfile.TemporaryDirectory() as folder:
                    shown[name] = make(Path(folder), given.quick)
                if given.quick:
                    shown[name] = dataclasses.replace(shown[name], tried=f"{shown[name].tried} (at some places)")
                if given.write:
                    write(given.write, [shown[name]])
                seconds = time.monotonic() - begun
                print(f"{name}: {shown[name].times} times, {seconds:.1f} s", file=sys.stderr, flush=True)
    if given.json:
        print(json.dumps({name: dataclasses.asdict(one) for name, one in shown.items()}))
    else:
        print(table(list(shown.values())))


def write(page: Path, shown: list[Shown]) -> None:
    """Put lines into the table of a page: each in the place of its fault's older one, new ones below."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    older, _, after = rest.partition(END)
    lines = {
        line.split(" | ")[0]: line
        for line in older.splitlines()
        if line.startswith("| ") and "what was tried" not in line
    }
    lines |= {line.split(" | ")[0]: line for line in map(line_of, shown)}
    content = "\n".join([*HEAD, *lines.values()])
    page.write_text(f"{before}{BEGIN}\n{content}\n{END}{after}", encoding="utf-8")


HEAD = ("| fault | what was tried | times | completed runs lost | what the user saw |", "|---|---|---|---|---|")


def table(shown: list[Shown]) -> str:
    return "\n".join([*HEAD, *map(line_of, shown)])


def line_of(s: Shown) -> str:
    return f"| {_cell(s.fault)} | {_cell(s.tried)} | {s.times:,} | {s.lost} | {_cell(s.seen)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    main()
