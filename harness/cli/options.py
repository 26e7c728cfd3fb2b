"""Options that every command has, and the one way its answer leaves."""

from __future__ import annotations

import json
import math
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


class Count(click.IntRange):
    """A whole number within limits; whoever gives something else is told which are allowed."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return int(super().convert(value, param, ctx))
        except click.BadParameter:
            return self.fail(_allowed(value, "a whole number", self), param, ctx)


class Number(click.FloatRange):
    """A finite number within limits; whoever gives something else is told which are allowed."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            number = float(super().convert(value, param, ctx))
        except click.BadParameter:
            number = math.nan
        return number if math.isfinite(number) else self.fail(_allowed(value, "a number", self), param, ctx)


def _allowed(value: Any, what: str, limits: click.IntRange | click.FloatRange) -> str:
    low, high = limits.min, limits.max
    low_end = f"{low:g} to" if high is not None else f"above {low:g}" if limits.min_open else f"of {low:g} or more"
    shown = low_end if high is None else f"from {low_end} {high:g}"
    return f"{str(value)!r} is not allowed; it must be {what} {shown}."


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
        write_file(json_file, to_json(document()) + "\n", "--json-file")
    if as_json:
        click.echo(to_json(document()))
        return
    shown = text()
    if shown:
        from harness.report.escaping import terminal

        click.echo(terminal(shown), color=coloured() or None)


def warn(text: str) -> None:
    """A line on standard error."""
    from harness.report.escaping import terminal

    click.echo(terminal(f"harness: {text}"), err=True)


def coloured() -> bool:
    """Whether standard output takes colours: a terminal, or FORCE_COLOR; never with NO_COLOR (no-color.org)."""
    if os.environ.get("NO_COLOR"):
        return False
    return sys.stdout.isatty() or bool(os.environ.get("FORCE_COLOR"))


def columns() -> int | None:
    """Width of the terminal; None where the output is no terminal, so that a file or a pipe gets whole lines."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() or coloured() else None


def to_json(document: dict[str, Any]) -> str:
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    # Half a surrogate pair, as in a file name that is no UTF-8, becomes its escape.
    return text.encode("utf-8", "backslashreplace").decode()


def write_file(path: Path, content: str, option: str) -> None:
    """Write a file that `option` names. Raises OutputError."""
    from harness.errors import OutputError

    try:
        path.write_text(content, encoding="utf-8", errors="backslashreplace")
    except OSError as problem:
        raise OutputError.of(path, problem, option) from problem


def fraction(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """`1%` or `0.01`, at most 100 %."""
    if value is None:
        return None
    text = value.strip()
    try:
        number = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a share; allowed is for example 1% or 0.01") from None
    if not 0 <= number <= 1:
        raise click.BadParameter(
            f"{value!r} is {100 * number:g} %; allowed is 0 to 1 (0% to 100%): write 0.05 or 5% for five per cent"
        )
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
        click.option("--margin-pp", type=Number(0, 100), metavar="M", help="Accuracy margin in percentage points."),
        click.option("--max-slowdown", callback=fraction, metavar="P", help="Slowdown that is allowed: 1% or 0.01."),
        click.option(
            "--alpha",
            type=Number(1e-6, 0.5),
            metavar="A",
            help="One-sided error rate.  [default: the experiment's, else .05]",
        ),
        click.option("--stage", type=STAGES, help="Only the candidates' runs of this stage."),
    )

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def campaign_options(function: F) -> F:
    """What every command that makes runs can be told: --set, --preset, --arm, --executor, --executor-option, --workers, --retries, --as,
    --dry-run."""
    for decorate in reversed(
        (
            click.option(
                "--set", "sets", metavar="KEY=VALUE", multiple=True,
                help="Change a key for every arm, e.g. --set lr.end=0.05.",
            ),
            click.option("--preset", help="A preset of the experiment, e.g. cpu."),
            click.option("--arm", "arms", multiple=True, help="Only this arm (and the control); may be given again."),
            click.option("--executor", default="local", show_default=True, help="Where the runs are made: local, ray or slurm."),
            click.option(
                "--executor-option", "settings", metavar="KEY=VALUE", multiple=True,
                help="Tell the executor something, e.g. partition=gpu for slurm (docs/scale.md). May be given again.",
            ),
            click.option(
                "--workers", type=Count(1, 100_000),
                help="Invocations at a time. More than one a device: the shared lane, whose times are never used.  "
                "[default: 1; of a cluster what it has]",
            ),
            click.option(
                "--retries", type=Count(0, 100), default=1, show_default=True, help="Further attempts at a failed run."
            ),
            click.option("--as", "store_name", metavar="NAME", help="Name of the store, where it is not the experiment's."),
            click.option("--dry-run", is_flag=True, help="Show the plan and run nothing."),
        )
    ):  # fmt: skip
        function = decorate(function)
    return function
