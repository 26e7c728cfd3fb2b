"""Names and texts that would act on what shows them: paths, line breaks, formulas, HTML, Markdown, escapes of a terminal."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

from benchmarks.faults.common import TRAIN, Shown, environment, excerpt, expect, fault, inside, rows_of, said, write

AWAY = (
    "../away",
    "..",
    ".",
    "/tmp/away",
    "a/b",
    "a\\b",
    ".hidden",
    "a\nb",
    "a\x1b[31m",
    "a\0b",
    "x" * 300,
    "",
    "~",
    "con\r",
    "ü" * 101,
)
EVIL = (
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "[click](https://evil.example)", "![x](https://evil.example/p.png)",
    "a|b|c",
    "`code`", "**bold**", "\x1b[2J\x1b]0;title\x07", "\x9b31m", "\u202egnp.exe", "=1+1", '=cmd|"/C calc"!A0', "@SUM(A1)",
    "-2+3+cmd|' /C calc'!A0",
    "\t=HYPERLINK(\"http://evil.example\")", "a\u2028b", "</td></tr></table>", "<!--", "]]>", "&amp;&#0;", "{{7*7}}", "$(id)",
    "'; DROP TABLE runs; --", "a\x00b",
)  # fmt: skip


@fault
def names_that_lead_away(folder: Path, quick: bool) -> Shown:
    """Of stores, experiments, arms and files: nothing is written outside of the results folder."""
    place = folder / "here"
    write(place, "train.py", TRAIN)
    write(place, "in.csv", "seed,accuracy\n1,0.5\n")
    before = {p.relative_to(folder) for p in folder.rglob("*")}
    told, times = "", 0
    for name in AWAY:
        commands: list[tuple[str, ...]] = [
            ("run", "train.py", "--seeds", "1", "-q", "--as", name),
            ("import", "in.csv", "--as", name),
        ]
        commands += [
            ("compare", name),
            ("show", name),
            ("export", name),
            ("verify", name),
            ("plan", name),
            ("run", f"{name}.toml"),
            ("run", f"{name}.py"),
        ]
        write(place, "x.toml", f"trainer = {json.dumps(name + '.py')}\n")
        write(place, "y.toml", f'trainer = "train.py"\nextends = {json.dumps(name)}\n')
        write(place, "z.toml", f'trainer = "train.py"\ncontrol = {json.dumps(name)}\n[[arms]]\nname = "a"\n')
        gate = f'[[checks]]\nname = {json.dumps(name)}\ncontrol = "a"\ncandidate = "b"\nhistory = 1\n'
        write(place, "gate.toml", gate)
        commands += [
            ("run", "x.toml"),
            ("run", "y.toml"),
            ("run", "z.toml"),
            ("gate", "gate.toml"),
            ("gate", name, "b"),
        ]
        for command in commands:
            done = inside(*command, cwd=place)
            allowed = (0, 1, 2, 3, 4) if name in ("~", "") else (2, 4)  # '~' is a name as any other, '' is none given
            expect(done.returncode in allowed, f"{command}: exit {done.returncode}: {done.stderr}")
            expect("internal error" not in done.stderr, f"{command}: {done.stderr}")
            told = done.stderr if (name, command[0]) == ("../away", "import") else told
            times += 1
    made = {p.relative_to(folder) for p in folder.rglob("*")} - before
    outside = [
        p
        for p in made
        if not re.match(r"here/(results(/(~|train).*)?|[xyz]\.toml|gate\.toml|gate\.json|__pycache__.*)$", str(p))
    ]
    expect(not outside, f"written elsewhere: {outside}")
    return Shown(
        "names that lead elsewhere",
        "paths, breaks, NULs, 300 characters, as stores, experiments, trainers, checks",
        times,
        0,
        excerpt(told),
    )


def _imported(folder: Path) -> list[str]:
    """A store whose arms, hosts and errors have such names."""
    lines = ["seed,accuracy,arm,host,error,status,clock,data_hash,invocation,block,time_s"]
    for name in EVIL:
        quoted = '"' + name.replace('"', '""') + '"'
        lines += [f"{s},0.{80 + s},{quoted},{quoted},,completed,{quoted},{quoted},1,{s},{1 + s}" for s in range(12)]
        lines += [f"99,,{quoted},{quoted},{quoted},crashed,,,,,"]
    lines += [f"{s},0.{80 + s},control,here,,completed,c,d,1,{s},{1 + s}" for s in range(12)]
    write(folder, "in.csv", "\n".join(lines) + "\n")
    said(inside("import", "in.csv", "--as", "evil", cwd=folder), 0)
    return list(dict.fromkeys(row["arm"] for row in rows_of(folder / "results/evil/runs.csv")))


UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@fault
def names_that_act_on_a_page(folder: Path, quick: bool) -> Shown:
    """Terminal, Markdown, JUnit XML, JSON: what was put in is what is read, and nothing more."""
    arms = _imported(folder)
    commands = [
        ("compare", "evil", "--margin-pp", "1"),
        ("show", "evil"),
        ("list",),
        ("verify", "evil", "--no-rerun"),
        ("summary", "evil", "evil"),
    ]
    for command in commands:
        done = inside(*command, cwd=folder)
        expect("internal error" not in done.stderr, f"{command}: {done.stderr}")
        shown = done.stdout + done.stderr
        expect(not UNSEEN.search(shown), f"{command[0]} prints {UNSEEN.search(shown)}")
    page = "page.md"
    said(inside("compare", "evil", "--margin-pp", "1", "--markdown", page, "--json-file", "one.json", cwd=folder), 0)
    pages = [(folder / page).read_text()]
    write(
        folder,
        "gate.toml",
        '[[checks]]\nname = "<b>|check"\ncontrol = "evil:control"\ncandidate = "evil"\nmargin_pp = 1\n'
        'layers = ["claim"]\nclaim = "accurate"\n',
    )
    gate = inside("gate", "gate.toml", "--markdown", "gate.md", "--junitxml", "gate.xml", cwd=folder)
    expect(gate.returncode in (0, 1, 3, 4), gate.stderr)
    inside(
        "gate", "evil:control", "evil", "--margin-pp", "1", "--markdown", "two.md", "--junitxml", "two.xml", cwd=folder
    )
    pages += [(folder / name).read_text() for name in ("gate.md", "two.md")]
    for text in pages:
        active = re.sub(r"\\.", "", text)  # without what a backslash makes a letter
        expect(not re.search(r"<(?=[A-Za-z/!?])", active), f"a tag: {re.search(r'<[A-Za-z/!?].{0,30}', active)}")
        expect(not re.search(r"\]\(|\]\[", active), f"a link: {re.search(r'.{0,20}].{0,20}', active)}")
        for line in text.splitlines():
            if line.startswith("|"):
                header = len(re.findall(r"(?<!\\)\|", line))
                expect(
                    header
                    in (5, *(len(re.findall(r"(?<!\\)\|", h)) for h in text.splitlines() if h.startswith("|---"))),
                    f"a cell too many: {line}",
                )
    for name in ("gate.xml", "two.xml"):
        ElementTree.parse(folder / name)
    for name in ("one.json", "gate.json"):
        json.loads((folder / name).read_text())
    broken = inside("gate", "<b>nowhere](x)", "b", "--junitxml", "three.xml", "--markdown", "three.md", cwd=folder)
    expect(broken.returncode == 4 and not UNSEEN.search(broken.stderr), broken.stderr)
    ElementTree.parse(folder / "three.xml")
    expect("<b>" not in (folder / "three.md").read_text(), "a tag in a broken gate")
    seen = next(line for line in inside("show", "evil", cwd=folder).stdout.splitlines() if "title" in line)
    return Shown("names that act on a page",
    "HTML, Markdown, escapes of a terminal, bidirectional marks, XML, as arms, hosts, errors, checks",
                 len(arms) * (len(commands) + 5), 0, excerpt(seen.partition(":")[0]))  # fmt: skip


@fault
def names_that_are_formulas(folder: Path, quick: bool) -> Shown:
    """What a spreadsheet would run leaves as text, and comes back as it was."""
    arms = _imported(folder)
    said(inside("export", "evil", "-o", "out.csv", cwd=folder), 0)
    cells = {cell for row in rows_of(folder / "out.csv") for cell in row.values()}
    risky = [cell for cell in cells if re.match(r"\s*[=+\-@].*[(|!]", cell, re.DOTALL)]
    expect(not risky, f"formulas: {risky}")
    said(inside("import", "out.csv", "--as", "again", cwd=folder), 0)
    expect({row["arm"] for row in rows_of(folder / "results/again/runs.csv")} == set(arms), "a name did not come back")
    told = next(cell for cell in sorted(cells) if cell.startswith("'=cmd"))
    return Shown(
        "formulas in an export",
        "names of arms, hosts and errors that a spreadsheet would run, out and in again",
        len(arms),
        0,
        f"`{told}`".replace("``", ""),
    )


@fault
def a_trainer_that_talks_to_the_terminal(folder: Path, quick: bool) -> Shown:
    """The error text of a run, as the progress shows it."""
    write(folder, "train.py", 'def train(seed):\n    raise ValueError("\\x1b[2J\\x1b]0;title\\x07 <b> caf\\udce9")\n')
    command = [sys.executable, "-m", "harness", "run", "train.py", "--seeds", "1"]
    done = subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, check=False, errors="surrogateescape"
    )
    told = said(done, 5, "ValueError")
    expect(not UNSEEN.search(done.stderr + done.stdout), f"it prints {UNSEEN.search(done.stderr)}")
    return Shown(
        "an error text full of escapes",
        "cursor, title, half a surrogate",
        1,
        0,
        excerpt(told[told.find("ValueError") :]),
    )
