"""The report as a real browser lays it out: desktop and phone, light and dark. `pytest -m reach`."""

from __future__ import annotations

import json
import random
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import NAMES, Browser, chromium
from helpers import run_cli, says

from harness.logger import ExperimentLogger
from harness.model.run import RunRecord
from harness.store.schema import row_of

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "functional"))

pytestmark = [
    pytest.mark.reach,
    pytest.mark.skipif(chromium() is None, reason=f"needs a browser: install chromium (any of {', '.join(NAMES)})"),
]
ROOT = Path(__file__).resolve().parents[2]
CPU = (
    *("final-cpu", "exp230-lr-end-cpu", "exp410-tta-weights-cpu", "exp421-early-stop-lr-cpu", "exp000-airbench94-modified-cpu"),
    *("airbench94-fast-cpu", "baseline-full-cpu"),
)  # fmt: skip
PAGES = {"digits": ("digits-final",), "cpu": CPU, "sweep": ("sweep35",), "odd": ("odd",)}
VIEWS = [(width, dark) for width in (1280, 390) for dark in (False, True)]
MEASURE = """
(() => {
  const near = 1.5, out = {wide: document.documentElement.scrollWidth, window: innerWidth, plots: 0, texts: 0, wrong: []};
  for (const details of document.querySelectorAll("details")) details.open = true;
  const say = (svg, what) => out.wrong.push(svg.querySelector("title").textContent + ": " + what);
  for (const svg of document.querySelectorAll("svg.plot")) {
    const frame = svg.getBoundingClientRect();
    out.plots += 1;
    if (frame.width < 100 || frame.height < 40) say(svg, "has no size");
    if (!svg.querySelector("path, use")) say(svg, "is empty");
    const texts = [...svg.querySelectorAll("text")].map(e => [e.textContent, e.getBoundingClientRect()]);
    out.texts += texts.length;
    texts.forEach(([text, a], i) => {
      if (!a.width) say(svg, text + " has no width");
      if (a.left < frame.left - near || a.right > frame.right + near || a.top < frame.top - near || a.bottom > frame.bottom + near)
        say(svg, text + " leaves the picture");
      for (const [other, b] of texts.slice(i + 1))
        if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > near && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > near)
          say(svg, text + " lies on " + other);
    });
  }
  out.wide_open = document.documentElement.scrollWidth;
  return JSON.stringify(out);
})()
"""
CONTRAST = """
(() => {
  const light = c => c.map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const rgb = (e, what) => getComputedStyle(e)[what].match(/[\\d.]+/g).slice(0, 3).map(Number);
  const paper = light(rgb(document.body, "backgroundColor")), low = [];
  const all = [...document.querySelectorAll("p, td, th, h1, h2, h3, li, summary, figcaption, .verdict, .severity")].map(e => [e, "color"]);
  for (const [e, what] of [...all, ...[...document.querySelectorAll("svg.plot text")].map(e => [e, "fill"])]) {
    const ink = light(rgb(e, what)), ratio = (Math.max(ink, paper) + .05) / (Math.min(ink, paper) + .05);
    if (ratio < 4.5) low.push(e.textContent.slice(0, 40) + " " + ratio.toFixed(2));
  }
  return JSON.stringify([...new Set(low)]);
})()
"""


def drawn_sweep(folder: Path, arms: int = 35, seeds: int = 25, starts: int = 5) -> None:
    """A sweep over one key, drawn from a seed: one control and `arms` values, throttled now and then."""
    draw = random.Random(35)
    names = [("baseline", 0.05), *((f"lr.end={0.01 * i:g}", 0.01 * i) for i in range(1, arms + 1))]
    rows, at = [], 0.0
    for seed in range(seeds):
        start = seed * starts // seeds
        for position, (i, (name, value)) in enumerate(draw.sample(list(enumerate(names)), len(names))):
            at += 3.4
            hot = draw.random() < 0.02
            rows.append(
                RunRecord(
                    run_id=f"{seed}.{i}", experiment="sweep35", arm=name, stage="screen", lane="exclusive", config_hash=f"c{i}",
                    compute_hash=f"w{i}", code_hash="code", data_hash="data", seed=seed, replicate=seed, block=seed, position=position,
                    invocation=f"start{start}", attempt=1, correct=round(9405 - 200 * (value - 0.08) ** 2 + draw.gauss(0, 12)),
                    total=10_000, time_s=3.2 * (1 + 0.004 * (start % 3) + draw.gauss(0, 0.003) + 0.03 * hot), clock="training", steps=990,
                    started_at=f"2026-01-05T{int(at // 3600):02d}:{int(at // 60 % 60):02d}:{at % 60:06.3f}Z", host="one", device="GPU",
                    cpu="CPU", sm_clock_mhz=1320 if hot else 1410, temperature_c=50 + seed % 5 * 4, throttle="thermal" if hot else "none",
                    environment="e1", git_commit="0" * 40, git_dirty=False,
                )
            )  # fmt: skip
    described = [
        {"name": name, "role": "candidate" if i else "control", "trainer": "drawn", "config": {"lr.end": value}}
        for i, (name, value) in enumerate(names)
    ]
    with ExperimentLogger("sweep35", results=folder) as log:
        log.describe(
            {
                "name": "sweep35",
                "question": "Which rate?",
                "claim": "faster",
                "target": 0.94,
                "margin_pp": 0.02,
                "arms": described,
            }
        )
        log.write_rows([row_of(row) for row in rows])


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, Path]:
    """Each page, made by the program."""
    from test_report_hostile import NASTY, store

    folder = tmp_path_factory.mktemp("pages")
    for name in ("digits-final", *CPU):
        shutil.copytree(ROOT / "results" / name, folder / "results" / name)
    drawn_sweep(folder / "results")
    store(folder, *NASTY)
    for page, names in PAGES.items():
        says(run_cli("report", *names, "-o", f"{page}.html", cwd=folder), 0)
    return {page: folder / f"{page}.html" for page in PAGES}


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.mark.parametrize("name", PAGES)
def test_nothing_overlaps_and_nothing_is_cut_off(pages, browser, name) -> None:
    for width, dark in VIEWS:
        page = browser.page(pages[name].as_uri(), width=width, dark=dark)
        found = json.loads(page.evaluate(MEASURE))
        assert not found["wrong"], f"{width} {'dark' if dark else 'light'}: {found['wrong'][:12]}"
        assert max(found["wide"], found["wide_open"]) <= found["window"] == width, "the page scrolls to the side"
        assert found["plots"] >= 4 and found["texts"] > 10 * found["plots"]


def test_the_measurement_sees_what_is_wrong(pages, browser) -> None:
    page = browser.page(pages["digits"].as_uri(), width=390, dark=False)
    page.evaluate("""(() => {
      const text = document.querySelector("svg.plot text"), svg = text.closest("svg");
      text.after(text.cloneNode(true));
      const far = text.cloneNode(true); far.setAttribute("transform", "translate(9999 0)"); text.after(far);
      document.body.append(Object.assign(document.createElement("div"), {style: "width:2000px;height:1px"}));
    })()""")
    found = json.loads(page.evaluate(MEASURE))
    assert any("lies on" in what for what in found["wrong"]) and any(
        "leaves the picture" in what for what in found["wrong"]
    )
    assert found["wide"] > 390


PRINTED = """
(() => {
  const seen = [...document.querySelectorAll(".verdicts td.say")];
  return JSON.stringify({
    wide: Math.max(...[...document.querySelectorAll("table, svg.plot")].map(e => e.getBoundingClientRect().right)),
    verdicts: seen.length, hidden: seen.filter(e => !e.checkVisibility({contentVisibilityAuto: true})).length,
    broken: [...document.querySelectorAll("section[id$=differences] td")].filter(e => e.getClientRects().length > 1).length,
  });
})()
"""
PAPER_WIDTH = 1032
"""CSS pixels of A4 across, without its margins."""


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_on_paper_with_every_verdict(pages, browser, name) -> None:
    page = browser.page(pages[name].as_uri(), width=PAPER_WIDTH, media="print")
    found = json.loads(page.evaluate(PRINTED))
    assert found["wide"] <= PAPER_WIDTH + 1 and not found["broken"], found
    assert found["verdicts"] and not found["hidden"], found
    on_screen = json.loads(browser.page(pages[name].as_uri(), width=PAPER_WIDTH).evaluate(PRINTED))
    assert name != "sweep" or on_screen["hidden"] > 20, "the folded verdicts of a sweep are what printing has to open"


@pytest.mark.parametrize("name", PAGES)
def test_letters_stand_out_from_the_paper(pages, browser, name) -> None:
    for dark in (False, True):
        page = browser.page(pages[name].as_uri(), width=1280, dark=dark)
        assert json.loads(page.evaluate(CONTRAST)) == []
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (paper == "rgb(255, 255, 255)") is not dark


@pytest.mark.parametrize("name", PAGES)
def test_a_page_asks_for_itself_only(pages, browser, name) -> None:
    page = browser.page(pages[name].as_uri(), width=1280, dark=False)
    assert page.requests == [pages[name].as_uri()]
    assert page.evaluate("performance.getEntriesByType('resource').length") == 0


def test_names_stay_in_view_where_a_table_scrolls_on_a_phone(pages, browser) -> None:
    page = browser.page(pages["digits"].as_uri(), width=390, dark=False)
    found = json.loads(
        page.evaluate("""(() => {
      const box = document.querySelector("#e1-differences .scroll:has(table)"), name = box.querySelector("tbody th");
      box.scrollLeft = 999;
      return JSON.stringify([box.scrollLeft, name.getBoundingClientRect().left - box.getBoundingClientRect().left]);
    })()""")
    )
    assert found[0] > 50 and found[1] >= 0


def test_a_sweep_of_35_arms_is_under_a_megabyte(pages) -> None:
    assert pages["sweep"].stat().st_size < 1_000_000 > pages["cpu"].stat().st_size
    assert pages["digits"].stat().st_size < 300_000
