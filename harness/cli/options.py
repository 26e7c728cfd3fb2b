"""Options that every command has, and the one way its answer leaves."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

F = TypeVar("F", bound=Callable[..., Any])


def common(function: F) -> F:
    """--results, --experiments, -q, --json, --json-file."""
    for decorate in reversed(
        (
            click.option(
                "--results",
                type=click.Path(path_type=Path),
                default=Path("results"),
                show_default=True,
                help="Folder of the stores.",
            ),
            click.option(
                "--experiments",
                type=click.Path(path_type=Path),
                help="Folder of the experiment files.  [default: experiments/, then the shipped ones]",
            ),
            click.option("-q", "--quiet", is_flag=True, help="Print no progress."),
            click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else."),
            click.option(
                "--json-file", type=click.Path(path_type=Path, dir_okay=False), help="Write that JSON to a file."
            ),
        )
    ):
        function = decorate(function)
    return function


class ExperimentName(click.ParamType[str]):
    """A name that the shell can complete: experiments and stores."""

    name = "experiment"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from harness.spec import available
        from harness.store.read import store_names

        results = ctx.params.get("results") or Path("results")
        names = sorted({*available(ctx.params.get("experiments")), *store_names(results)})
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


class DatasetName(click.ParamType[str]):
    """A name that the shell can complete: data sets."""

    name = "dataset"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from harness.datasets import names

        return [CompletionItem(name) for name in names() if name.startswith(incomplete)]


def answer(
    document: Callable[[], dict[str, Any]], text: Callable[[], str], *, as_json: bool, json_file: Path | None
) -> None:
    """Print the text, or the JSON document alone; write the document to a file where that was asked for."""
    if json_file is not None:
        write_file(json_file, to_json(document()) + "\n")
    if as_json:
        click.echo(to_json(document()))
        return
    shown = text()
    if shown:
        click.echo(shown, color=coloured() or None)


def coloured() -> bool:
    """Whether standard output takes colours: a terminal, or FORCE_COLOR; never with NO_COLOR (no-color.org)."""
    if os.environ.get("NO_COLOR"):
        return False
    return sys.stdout.isatty() or bool(os.environ.get("FORCE_COLOR"))


def columns() -> int | None:
    """Width of the terminal; None where the output is no terminal, so that a file or a pipe gets whole lines."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() or coloured() else None


def to_json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)


def write_file(path: Path, content: str) -> None:
    from harness.errors import UsageError

    try:
        path.write_text(content, encoding="utf-8")
    except OSError as problem:
        raise UsageError(
            f"{path}: cannot be written: {problem.strerror}. Name a file in a folder that exists."
        ) from problem


def fraction(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """`1%` or `0.01`."""
    if value is None:
        return None
    text = value.strip()
    try:
        number = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a share; allowed is for example 1% or 0.01") from None
    if not 0 <= number < 10:
        raise click.BadParameter(f"{value!r} is out of range; allowed is 0 to 10 (0% to 1000%)")
    return number


def target_accuracy(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """A fraction such as 0.94, or 94%."""
    try:
        number = fraction(ctx, param, value)
    except click.BadParameter:
        number = -1.0
    if number is not None and not 0 < number <= 1:
        raise click.BadParameter(f"{value!r} is not a target; an accuracy is a fraction such as 0.94, or 94%")
    return number


CLAIMS = click.Choice(("faster", "accurate", "equivalent", "no-regression", "time-only"))
STAGES = click.Choice(("screen", "confirm", "final"))


def promised(default_claim: str) -> Callable[[F], F]:
    """What a command line can promise of a judgement: --claim, --target, --margin-pp, --max-slowdown, --alpha, --stage."""
    options = (
        click.option(
            "--claim", type=CLAIMS, help=f"What is claimed.  [default: the experiment's, else {default_claim}]"
        ),
        click.option(
            "--target", callback=target_accuracy, metavar="A", help="Accuracy that must be reached, e.g. 0.94."
        ),
        click.option(
            "--margin-pp", type=click.FloatRange(0, 100), metavar="M", help="Accuracy margin in percentage points."
        ),
        click.option("--max-slowdown", callback=fraction, metavar="P", help="Slowdown that is allowed: 1% or 0.01."),
        click.option(
            "--alpha", type=click.FloatRange(1e-6, 0.5), metavar="A", help="One-sided error rate.  [default: .05]"
        ),
        click.option("--stage", type=STAGES, help="Only the candidates' runs of this stage."),
    )

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate
