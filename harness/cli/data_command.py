"""`harness data`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from harness.cli.options import DatasetName, answer, common


@click.group("data")
def command() -> None:
    """Fetch data sets into the cache (the variable HARNESS_DATA names its folder), verify and list them."""


@command.command("fetch")
@click.argument("names", nargs=-1, required=True, metavar="NAME...", type=DatasetName())
@common
def fetch(names: tuple[str, ...], quiet: bool, as_json: bool, json_file: Path | None, **_: Any) -> int:
    """Bring data sets into the cache unless they are there, and verify them."""
    from harness import datasets
    from harness.report import data_text

    say = (lambda text: None) if quiet else (lambda text: click.echo(text, err=True))
    try:
        document = datasets.fetch(names, say)
    except KeyboardInterrupt:
        click.echo(
            "harness: interrupted. Of an unfinished data set nothing was kept; give the command again.", err=True
        )
        return 130
    answer(lambda: document, lambda: data_text.facts_text(document), as_json=as_json, json_file=json_file)
    datasets.require_all(document)
    return 0


@command.command("verify")
@click.argument("names", nargs=-1, required=True, metavar="NAME...", type=DatasetName())
@common
def verify(names: tuple[str, ...], quiet: bool, as_json: bool, json_file: Path | None, **_: Any) -> None:
    """Read cached data sets again and compare them with their hashes."""
    from harness import datasets
    from harness.report import data_text

    document = datasets.verify(names)
    answer(lambda: document, lambda: data_text.facts_text(document), as_json=as_json, json_file=json_file)
    datasets.require_all(document)


@command.command("list")
@common
def show(quiet: bool, as_json: bool, json_file: Path | None, **_: Any) -> None:
    """The data sets that can be had, and which of them are in the cache."""
    from harness import datasets
    from harness.report import data_text

    document = datasets.listed()
    answer(lambda: document, lambda: data_text.list_text(document), as_json=as_json, json_file=json_file)
