"""`harness report`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from harness.cli.options import ExperimentName, answer, common, promised, write_file
from harness.errors import UsageError


@click.command("report")
@click.argument("names", metavar="EXPERIMENT...", nargs=-1, required=True, type=ExperimentName())
@click.option(
    "--control",
    type=ExperimentName(),
    metavar="NAME",
    help="Hold every experiment against this control instead of its own.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Where to; - is standard output.  [default: report.html or report.md]",
)  # fmt: skip
@click.option(
    "--format", "form", type=click.Choice(("html", "markdown")), help="[default: by the file's ending, else html]"
)
@click.option(
    "--plots",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write every figure to a file there, too.",
)
@click.option(
    "--plots-format", type=click.Choice(("svg", "pdf", "png")), default="svg", show_default=True, help="Of these files."
)
@promised("faster")
@common
def command(
    names: tuple[str, ...],
    control: str | None,
    output: Path | None,
    form: str | None,
    plots: Path | None,
    plots_format: str,
    claim: str | None,
    target: float | None,
    margin_pp: float | None,
    max_slowdown: float | None,
    alpha: float | None,
    stage: str | None,
    results: Path,
    experiments: Path | None,
    quiet: bool,
    as_json: bool,
    json_file: Path | None,
) -> None:
    """One self-contained page with plots: the judgement of `harness compare` on each experiment.

    An EXPERIMENT is the name of a store: its control with all its candidates, or its single arm. The page needs no network and no
    script. Markdown has the same sections without the plots.
    """
    from harness import __version__
    from harness.app import judging, reporting

    on_stdout = str(output) == "-"
    if on_stdout and as_json:
        raise UsageError(
            "-o - and --json both want standard output. Name a file with -o FILE, or with --json-file FILE."
        )
    asked = judging.Asked(claim, target, margin_pp, max_slowdown, alpha, stage)
    shown = reporting.report(names, results, asked, version=__version__, control=control)
    form = form or ("markdown" if output is not None and output.suffix in (".md", ".markdown") else "html")
    path = output or Path("report.md" if form == "markdown" else "report.html")
    text = _text(shown, form)
    drawn = [] if plots is None else reporting.write_plots(shown, plots, plots_format)
    if on_stdout:
        click.echo(text, nl=False)
    else:
        write_file(path, text, "-o")
    document = {
        "schema": 1,
        "format": form,
        "output": str(path),
        "bytes": len(text.encode()),
        "plots": [str(one) for one in drawn],
        "experiments": [{"name": c.name, "comparison": c.comparison.as_dict()} for c in shown.chapters],
    }
    answer(
        lambda: document, lambda: "" if quiet or on_stdout else _said(document), as_json=as_json, json_file=json_file
    )


def _text(shown: Any, form: str) -> str:
    if form == "markdown":
        from harness.report.page_markdown import page_markdown

        return page_markdown(shown)
    from harness.report.page import page_html

    return page_html(shown)


def _said(document: dict[str, Any]) -> str:
    lines = [f"{document['output']}: {document['bytes'] / 1000:.0f} kB, {document['format']}"]
    for one in document["experiments"]:
        verdicts = [c["verdict"] for c in one["comparison"]["comparisons"]]
        counts = ", ".join(f"{verdicts.count(v)} {v}" for v in dict.fromkeys(verdicts)) or "one arm, nothing to judge"
        lines.append(f"  {one['name']}: {counts}")
    return "\n".join(lines + [f"  {path}" for path in document["plots"]])
