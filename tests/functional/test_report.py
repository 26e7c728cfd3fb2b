"""The report of real stores: one page that needs nothing, holds the numbers of `harness compare`, and is the same every time."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from helpers import run_cli, says, write

ROOT = Path(__file__).resolve().parents[2]
VOID = {"meta", "link", "br", "hr", "img", "input"}


class Strict(HTMLParser):
    """Every element that is opened is closed, in order; ids, elements and attributes are kept."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(data)


def parsed(html: str) -> Strict:
    page = Strict()
    page.feed(html)
    page.close()
    assert not page.open
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids)), "an id stands twice"
    for _, attributes in page.elements:
        for target in (
            attributes.get("href") or "",
            *re.findall(r"url\((#[^)]+)\)", " ".join(filter(None, attributes.values()))),
        ):
            assert not target.startswith("#") or target[1:] in ids, f"{target} leads nowhere"
    return page


def pictures(html: str) -> list[ElementTree.Element]:
    return [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", html, re.DOTALL)]


def texts(picture: ElementTree.Element) -> list[str]:
    return [e.text or "" for e in picture.iter("text")]


def shipped(folder: Path, *names: str) -> Path:
    for name in names:
        shutil.copytree(ROOT / "results" / name, folder / "results" / name)
    return folder


def made(cli_inside, folder: Path, *arguments: str) -> str:
    says(cli_inside("report", *arguments), 0)
    return (folder / "report.html").read_text(encoding="utf-8")


def test_a_page_holds_the_numbers_of_compare(cli_inside, tmp_path) -> None:
    shipped(tmp_path, "exp230-lr-end-cpu", "final-cpu")
    html = made(cli_inside, tmp_path, "exp230-lr-end-cpu", "final-cpu")
    page = parsed(html)
    text = " ".join(" ".join(page.text).split())
    for name in ("exp230-lr-end-cpu", "final-cpu"):
        judged = json.loads(cli_inside("compare", name, "--json").stdout)
        for one in judged["comparisons"]:
            assert one["candidate"]["name"] in text
            said = one["headline"].removeprefix(f"{one['verdict'].upper()}: ")
            assert said in text, said
            for finding in one["findings"]:
                assert finding["code"] in text
    drawn = {(p.find("title").text, p.get("class")): texts(p) for p in pictures(html)}  # type: ignore[union-attr]
    assert all(kind == "plot" for _, kind in drawn)
    table = cli_inside("compare", "final-cpu").stdout
    speed = re.search(r"\d\.\d{3}× \[\d\.\d{3}, \d\.\d{3}\]", table)
    assert speed and speed[0] in drawn[("Speed-up", "plot")]


def test_a_page_is_the_same_when_it_is_made_again_by_another_process(tmp_path) -> None:
    """The first look is noted in the ledger before the page is made, so the second page says no more than the first."""
    shipped(tmp_path, "final-cpu")
    for name in ("first", "second"):
        says(run_cli("report", "final-cpu", "-o", f"{name}.html", "--plots", name, cwd=tmp_path), 0)
    assert (tmp_path / "first.html").read_bytes() == (tmp_path / "second.html").read_bytes()
    plots = sorted(p.name for p in (tmp_path / "first").iterdir())
    assert "final-cpu-forest-accuracy.svg" in plots and len(plots) == 5
    for name in plots:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_a_page_asks_for_nothing(cli_inside, tmp_path) -> None:
    shipped(tmp_path, "exp230-lr-end-cpu")
    html = made(cli_inside, tmp_path, "exp230-lr-end-cpu")
    page = parsed(html)
    assert "http://" not in html and "https://" not in html
    assert not {"script", "img", "iframe", "object", "embed", "form"} & {tag for tag, _ in page.elements}
    for tag, attributes in page.elements:
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        assert not attributes.get("src")
        assert (attributes.get("href") or "#")[:1] == "#" or attributes["href"] == "data:,"
    assert "@import" not in html and not re.search(r"url\((?!#)", html)


def test_pictures_can_be_read_by_those_who_do_not_see_them(cli_inside, tmp_path) -> None:
    shipped(tmp_path, "exp410-tta-weights-cpu")
    html = made(cli_inside, tmp_path, "exp410-tta-weights-cpu")
    assert len(pictures(html)) >= 4
    for picture in pictures(html):
        named = (picture.get("aria-labelledby") or "").split()
        parts = [e for e in picture if e.tag in ("title", "desc")]
        assert [e.get("id") for e in parts] == named and all(e.text for e in parts)
        assert picture.get("role") == "img" and texts(picture)
        colours = set(re.findall(r"#[0-9a-f]{6}", ElementTree.tostring(picture, encoding="unicode")))
        assert not colours, "a colour that does not follow the scheme of the page"
    heads = re.findall(r"<th(?:>| [^>]*>)", html)
    assert heads and all("scope=" in head for head in heads)


def test_the_big_store_gives_a_small_page_that_says_what_it_leaves_out(cli_inside, tmp_path) -> None:
    shipped(tmp_path, "digits-final", "digits-baseline")
    html = made(cli_inside, tmp_path, "digits-final")
    assert len(html.encode()) < 300_000
    text = " ".join(parsed(html).text)
    assert "600 of 2000 runs are drawn" in text
    assert "1890 further rows are left out" in text and "harness export digits-final" in text
    against = made(cli_inside, tmp_path, "digits-final", "--control", "digits-baseline")
    judged = json.loads(cli_inside("compare", "digits-baseline", "digits-final", "--json").stdout)
    assert judged["control"]["n"] == 2000 and "digits-final against digits-baseline" in against
    assert judged["comparisons"][0]["headline"] in " ".join(parsed(against).text)


def test_a_page_says_what_each_arm_is(cli_inside, tmp_path) -> None:
    """The control's configuration is that of the runs it is: `final-cpu` has a small `baseline` of its own."""
    shipped(tmp_path, "final-cpu", "baseline-full-cpu", "tricks-cpu")
    own = made(cli_inside, tmp_path, "final-cpu", "--format", "html")
    against = made(cli_inside, tmp_path, "final-cpu", "--control", "baseline-full-cpu")
    for page, epochs in ((own, 4.0), (against, 9.9)):
        section = page[page.index("<h2>Arms</h2>") : page.index("<h2>Differences")]
        text = " ".join(re.sub(r"<[^>]+>", " ", section).split())
        assert "baseline control airbench94" in text and "epochs=3.92, lr.end=0.05" in text
        assert f" epochs {epochs:g}" in text.replace("4.0", "4"), "the control's own settings are below"
    assert "batch_size=64" in against and "batch_size=64" not in own
    sweep = made(cli_inside, tmp_path, "tricks-cpu")
    assert "What the 23 arms are" in sweep and "optim.lr" in sweep


def test_figures_of_two_stages_stand_apart(cli_inside, tmp_path) -> None:
    """Four arms were confirmed beside ten runs of the control, eighteen were screened beside ten others."""
    shipped(tmp_path, "tricks-cpu")
    html = made(cli_inside, tmp_path, "tricks-cpu")
    drawn = {p.find("title").text: texts(p) for p in pictures(html)}  # type: ignore[union-attr]
    for title in ("Accuracy against time", "Distribution of each arm", "Drift"):
        assert title not in drawn and {f"{title}, stage confirm", f"{title}, stage screen"} <= drawn.keys()
    confirmed = " ".join(drawn["Distribution of each arm, stage confirm"])
    assert "batch_size=64 (n 10)" in confirmed and "control (n 10)" in confirmed and "batch_size=128" not in confirmed
    quartiles = html[html.index("Quartiles, stage screen") :]
    assert re.search(r"control</th><td[^>]*>10<", quartiles)


def test_markdown_has_the_same_sections(cli_inside, tmp_path) -> None:
    shipped(tmp_path, "exp230-lr-end-cpu", "final-cpu")
    html = made(cli_inside, tmp_path, "exp230-lr-end-cpu", "final-cpu")
    says(cli_inside("report", "exp230-lr-end-cpu", "final-cpu", "-o", "report.md"), 0)
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    titles = re.findall(r"<h3>([^<]+)</h3>", html)
    for title in set(titles) - {"Runs", "Verdict", "Verdicts"}:
        assert f"### {title}" in text, title
    assert cli_inside("report", "exp230-lr-end-cpu", "final-cpu", "--format", "markdown", "-o", "-").stdout == text
    assert len(text) < 65_536 and "harness export final-cpu" in text
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(widths) == 1, "rows of a table have as many cells as its head"


# --- stores that lack something ---------------------------------------------------------------------------------

SEEDS = range(12)
BARE = ["seed,accuracy", *(f"{s},{0.94 + s % 5 / 1000}" for s in SEEDS)]
ARMS = ["arm,seed,accuracy", *(f"{a},{s},{0.94 + (s + len(a)) % 5 / 1000}" for s in SEEDS for a in ("a", "bb"))]
FLAT = [
    "arm,seed,accuracy,time_s,invocation,block",
    *(f"{a},{s},0.94,{2 + s % 3 / 10},i{s % 3},{s}" for s in SEEDS for a in ("a", "bb")),
]
ONCE = ["arm,seed,accuracy,time_s,invocation,block", "a,1,0.94,2.0,i,1", "bb,1,0.95,1.0,i,1"]
APART = [
    "arm,seed,correct,total,time_s,invocation,block",
    *(f"{a},{s},{9400 + s % 5},10000,{2 + s % 3 / 10},{a}{s % 3},{s}" for s in SEEDS for a in ("a", "bb")),
]
DIVERGED = [
    "arm,seed,accuracy,time_s,invocation,block",
    *(
        f"{a},{s},{0.1 if s == 3 else 0.94 + s % 5 / 1000},{90 if s == 4 else 2 + s % 3 / 10},i{s % 3},{s}"
        for s in SEEDS
        for a in ("a", "bb")
    ),
]


@pytest.mark.parametrize(
    ("rows", "missing"),
    [
        (BARE, ("There is one arm only", "No arm has both an accuracy and a time", "No run has a time")),
        (ARMS, ("No speed-up is drawn", "No two arms stand on one axis of time: bb: no-times", "these arms are not stored")),
        (FLAT, ("No region: a, bb", "not looked at by a sequential plan")),
        (ONCE, ("No arm has two runs",)),
        (APART, ("No two arms stand on one axis of time: bb: not-interleaved",)),
        (DIVERGED, ("1 of its runs lie further left, the lowest at 10.00 %", "2 runs lie beyond the picture")),
        (ONCE[:2], ("There is one arm only", "a single timed run", "1 run (no limits")),
    ],
    ids=["one bare arm", "no times", "no spread", "one run", "separate", "diverged", "one run of one arm"],
)  # fmt: skip
def test_what_cannot_be_drawn_is_said_in_a_sentence(cli_inside, tmp_path, rows, missing) -> None:
    write(tmp_path, "runs.csv", "\n".join(rows) + "\n")
    says(cli_inside("import", "runs.csv", "--as", "poor"), 0)
    if "bb" in rows[-1]:
        stored = {
            "name": "poor",
            "arms": [{"name": "a", "role": "control"}, {"name": "bb", "role": "candidate"}],
            "margin_pp": 0.2,
        }
        kept = json.loads((tmp_path / "results/poor/experiment.json").read_text())
        write(tmp_path, "results/poor/experiment.json", json.dumps(kept | stored))
    html = made(cli_inside, tmp_path, "poor")
    text = " ".join(" ".join(parsed(html).text).split())
    for sentence in missing:
        assert sentence in text, text
    for picture in pictures(html):
        assert [e for e in picture.iter() if e.tag in ("path", "use") and (e.get("d") or e.get("href"))], (
            "an empty plot"
        )
    says(cli_inside("report", "poor", "-o", "report.md"), 0)


def test_a_sequential_campaign_shows_its_path_and_a_ladder_its_stages(cli_inside, tmp_path) -> None:
    write(tmp_path, "train.py", TRAIN)
    write(
        tmp_path,
        "experiments/base.toml",
        'trainer = "../train.py"\nclaim = "accurate"\ninvocations = 1\nseeds = 6\nstage = "final"\n',
    )
    sweep = 'extends = "base"\ncontrol = "base"\nmargin_pp = 0.1\ninvocations = 1\n[sweep.grid]\nshift = '
    write(tmp_path, "experiments/sweep.toml", sweep + "[-0.3, 0.1, 0.5, 0.3]\n")
    write(
        tmp_path, "experiments/one.toml", sweep.replace("[sweep", 'seeds = 25\nstage = "confirm"\n[sweep') + "[0.3]\n"
    )
    says(cli_inside("run", "one", "--until-decided"), 0)
    says(cli_inside("ladder", "sweep", "--sizes", "4,8,16"), 0)
    html = made(cli_inside, tmp_path, "one", "sweep")
    text = " ".join(" ".join(parsed(html).text).split())
    judged = json.loads(cli_inside("compare", "one", "--json").stdout)["comparisons"][0]["sequential"]
    trail = judged["trails"][0]
    assert trail["endpoint"] == "superiority" and trail["n"] == [6, 11][: len(trail["n"])]
    assert trail["at"][-1] > trail["upper"][-1], "it was proven"
    for z in trail["at"]:
        assert f"+{z:.2f}" in text
    titles = [p.find("title").text for p in pictures(html)]  # type: ignore[union-attr]
    assert "Superiority" in titles and "Sweep over shift" in titles
    assert "Stage screen: 4 runs each of 4 arms" in text and "dropped: NOT MORE ACCURATE" in text


TRAIN = """\
import random


def train(seed, shift=0.0):
    draw = random.Random(f"{seed} {shift}")
    return round(10_000 * (0.94 + shift / 100 + draw.gauss(0, 0.001))), 10_000
"""


def test_an_interrupted_write_is_told_and_left_out(cli_inside, tmp_path) -> None:
    shipped(tmp_path, "exp421-early-stop-lr-cpu")
    runs = tmp_path / "results/exp421-early-stop-lr-cpu/runs.csv"
    whole = runs.read_bytes()
    runs.write_bytes(whole + b"abc,exp421-early")
    text = " ".join(parsed(made(cli_inside, tmp_path, "exp421-early-stop-lr-cpu")).text)
    assert "16 bytes of an unfinished last line are left out" in text
    rows = len(whole.splitlines()) - 1
    assert f"runs.csv of {rows} rows" in text
    for torn in (b'abc,"exp421', "abc,é".encode()[:-1]):
        runs.write_bytes(whole + torn)
        text = " ".join(parsed(made(cli_inside, tmp_path, "exp421-early-stop-lr-cpu")).text)
        assert f"{len(torn)} bytes of an unfinished last line are left out" in text
    runs.write_bytes(whole + b"abc,exp421-early\n" + b"abc,exp421")
    says(cli_inside("report", "exp421-early-stop-lr-cpu"), 4, "has 2 fields where the header has")
    runs.write_bytes(whole + b"abc,exp421-early\n")
    says(cli_inside("report", "exp421-early-stop-lr-cpu"), 4, "has 2 fields where the header has")


def test_a_report_by_file_is_called_as_its_experiment_and_every_chapter_has_its_verdict(cli_inside, tmp_path) -> None:
    shipped(tmp_path, "final-cpu")
    shipped(tmp_path, "exp421-early-stop-lr-cpu")
    write(tmp_path, "final-cpu.toml", 'trainer = "digits"\nquestion = "?"\n')
    page = made(cli_inside, tmp_path, "final-cpu.toml", "exp421-early-stop-lr-cpu")
    assert "<h1>final-cpu, exp421-early-stop-lr-cpu</h1>" in page
    assert 'id="e1-verdicts"' in page and 'id="e2-verdicts"' in page


# --- mistakes ---------------------------------------------------------------------------------------------------


def test_mistakes_are_told(cli_inside, tmp_path) -> None:
    shipped(tmp_path, "final-cpu")
    says(cli_inside("report", "finel-cpu"), 4, "There is no store 'finel-cpu'", "final-cpu")
    says(cli_inside("report", "final-cpu", "final-cpu"), 2, "named twice")
    says(cli_inside("report", "final-cpu", "-o", "no/such/report.html"), 4, "cannot be written")
    says(cli_inside("report", "final-cpu", "--plots", "results/final-cpu/runs.csv/x"), 4, "cannot be written")
    says(cli_inside("report", "final-cpu", "--control", "final-cpu:final"), 2)
    says(cli_inside("report"), 2, "Missing argument")
    says(cli_inside("report", "final-cpu", "-o", "-", "--json"), 2, "both want standard output", "--json-file")
    printed = cli_inside("report", "final-cpu", "-o", "-", "--format", "markdown", "--json-file", "told.json")
    assert printed.stdout.startswith("# final-cpu") and printed.stdout.rstrip().splitlines()[-1].startswith("- final")
    assert json.loads((tmp_path / "told.json").read_text())["output"] == "-"
    done = cli_inside("report", "final-cpu", "--json")
    document = json.loads(done.stdout)
    assert document["bytes"] == (tmp_path / "report.html").stat().st_size
    assert document["experiments"][0]["comparison"]["comparisons"][0]["candidate"]["name"] == "final"
