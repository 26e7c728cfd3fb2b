"""Whatever stands in a store is only text on a page and in a comment: no element, no link, no mention, no picture."""

from __future__ import annotations

import json
import re
from itertools import cycle

import pytest
from helpers import says
from markdown_it import MarkdownIt
from test_report import parsed, pictures, texts

from harness.model.run import RunRecord
from harness.store.schema import row_of

NASTY = {
    "script": "<script>alert(1)</script>",
    "attribute": '" onmouseover="alert(1)" x=\'',
    "entity": "&lt;b&gt; &amp; <b>bold</b>",
    "markdown": "![x](http://evil.example/a.png) [y](javascript:alert(1)) **b** `code` | pipe",
    "mention": "@everyone see #1 and https://evil.example www.evil.example",
    "lines": "first\n# heading\n| a | b |\n- item",
    "bidi": "abc\u202egnp.exe\u2066\u0007\x1b[31m",
    "math": "$\\frac{1}{0}$ $x_1$ \\textbf{b}",
    "style": "</style><style>*{display:none}</style>",
    "comment": "--> <!-- ]]> <![CDATA[ <svg onload=alert(1)>",
    "template": "{{ 7 * 7 }} {% raw %} {{ config }}",
    "wide": "学習率=0.1 " * 8,
    "hidden": "_hidden",
    "formula": "=cmd|' /C calc'!A0",
    "long": "x" * 3000,
}


def store(folder, *kinds: str) -> None:
    """A real store whose every text is a hostile one: names of arms, hosts, errors, commits, the question and the ledger."""
    from harness.logger import ExperimentLogger
    from harness.store.schema import cell

    said = cycle([cell(NASTY[kind]) for kind in kinds])  # what has several lines stands in one, in every file
    first = next(said)
    arms = [f"c {first}", *(cell(NASTY[kind]) for kind in kinds), *([f"{first} 2"] if len(kinds) == 1 else [])]
    roles = ["control", *["candidate"] * (len(arms) - 1)]
    with ExperimentLogger("odd", results=folder / "results") as log:
        described = [
            {"name": name, "role": role, "trainer": first, "config": {first: float(i), "b": 1}}
            for i, (name, role) in enumerate(zip(arms, roles, strict=True))
        ]
        log.describe(
            {"name": "odd", "question": first, "claim": "faster", "target": 0.94, "margin_pp": 0.2, "arms": described}
        )
        for _ in kinds:
            log.note("campaign", harness=next(said), arm=next(said))
            log.note(next(said), kept=[next(said)], stage=next(said))
        records = [
            RunRecord(
                run_id=f"{seed}.{i}", experiment="odd", arm=name, seed=seed, block=seed, replicate=seed, correct=9400 + 3 * (seed % 5) + i,
                total=10_000, time_s=2 + seed % 3 / 10 - i / 10, started_at=f"2026-01-01T00:{seed:02d}:{i:02d}Z", throttle="none",
                git_dirty=True, invocation=f"{first} {seed % 3}", environment="e", git_commit=next(said), host=first, device=first,
                cpu=first, clock=first, driver=next(said),
            )
            for seed in range(12)
            for i, name in enumerate(arms)
        ]  # fmt: skip
        records += [
            RunRecord(
                run_id=f"x{i}",
                experiment="odd",
                arm=name,
                seed=99,
                status="crashed",
                error=next(said),
                block=99,
                host=next(said),
            )
            for i, name in enumerate(arms)
        ]
        log.write_rows([row_of(record) for record in records])


def test_it_is_only_text_on_a_page_and_in_a_comment(cli_inside, tmp_path) -> None:
    """All kinds in one store."""
    store(tmp_path, *NASTY)
    page_is_text(cli_inside, tmp_path, tuple(NASTY))
    comment_is_text(cli_inside, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(NASTY))
def test_one_kind_in_every_place_is_only_text(cli_inside, tmp_path, kind) -> None:
    store(tmp_path, kind)
    page_is_text(cli_inside, tmp_path, (kind,))
    comment_is_text(cli_inside, tmp_path)


def page_is_text(cli_inside, tmp_path, kinds: tuple[str, ...]) -> None:
    says(cli_inside("report", "odd", "--plots", "plots"), 0)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = parsed(html)
    tags = {tag for tag, _ in page.elements}
    assert (
        not tags & {"script", "img", "iframe", "b-", "svg-"} and [tag for tag, _ in page.elements].count("style") == 1
    )
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    links = {a.get("href") for tag, a in page.elements if tag == "a"}
    assert all((link or "#").startswith("#") for link in links)
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08\x0b-\x1f]", html), "nothing that turns or controls text"
    assert all(p.stat().st_size >= 0 and p.parent == tmp_path / "plots" for p in (tmp_path / "plots").iterdir())
    drawn = pictures(html)
    assert len(drawn) >= 4 and all(texts(picture) for picture in drawn)
    shown, labels = " ".join(" ".join(page.text).split()), [text for picture in drawn for text in texts(picture)]
    for kind in kinds:
        if kind not in ("long", "wide", "lines", "bidi"):
            assert " ".join(NASTY[kind].split()) in shown, "as it stands"
    if "math" in kinds:
        assert any("$" in text for text in labels), "no formula is set"
    if "hidden" in kinds:
        assert any(text.lstrip("0123456789 ").startswith("_hidden") for text in labels), "no name is left out of a key"


def comment_is_text(cli_inside, tmp_path) -> None:
    """A report, and what `compare`, `gate` and `summary` write for a comment."""
    says(cli_inside("report", "odd", "--format", "markdown"), 0)
    says(cli_inside("compare", "odd", "--markdown", "compare.md"), 0)
    says(cli_inside("summary", "odd", "--all", "--markdown", "summary.md"), 0)
    judged = json.loads(cli_inside("compare", "odd", "--json").stdout)
    arms = {"control": judged["control"]["name"], "candidate": judged["comparisons"][0]["candidate"]["name"]}
    check = {"name": "see #1 @you | *x* <b>"} | {role: f"odd:{arm}" for role, arm in arms.items()}
    lines = [f"{key} = {json.dumps(value)}" for key, value in check.items()]
    (tmp_path / "gate.toml").write_text("\n".join(["[[checks]]", *lines]), encoding="utf-8")
    assert cli_inside("gate", "gate.toml", "--markdown", "gate.md").returncode in (0, 1, 3, 4)
    for page in ("report.md", "compare.md", "summary.md", "gate.md"):
        only_text((tmp_path / page).read_text(encoding="utf-8"))


def only_text(text: str) -> None:
    assert len(text) < 65_536
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(text)
    flat = [t for token in tokens for t in (token, *(token.children or ()))]
    kinds = {t.type for t in flat}
    assert not kinds & {"link_open", "image", "html_block", "html_inline", "s_open", "fence", "code_block"}, kinds
    heads = [t for t in flat if t.type == "heading_open"]
    assert all(t.tag in ("h1", "h2", "h3") for t in heads) and len(heads) <= 14
    for t in flat:
        if t.type == "text":
            assert not re.search(r"@\w|#\d|://|www\.", t.content), t.content
    for row in (t for t in flat if t.type == "code_inline"):
        assert "\n" not in row.content


def test_the_summary_that_was_asked_for_as_json_holds_it_too(cli_inside, tmp_path) -> None:
    store(tmp_path, "script")
    document = json.loads(cli_inside("report", "odd", "--json").stdout)
    assert document["experiments"][0]["comparison"]["comparisons"][0]["candidate"]["name"] == NASTY["script"]
