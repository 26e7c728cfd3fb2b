"""`harness data`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from harness.cli.options import answer, common


@click.group("data")
def command() -> None:
    """Fetch data sets into the cache (the variable HARNESS_DATA names its folder), verify and list them."""


@command.command("fetch")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@common
def fetch(names: tuple[str, ...], quiet: bool, as_json: bool, json_file: Path | None, **_: Any) -> None:
    """Bring data sets into the cache unless they are there, and verify them."""
    from harness import datasets
    from harness.report import data_text

    say = (lambda text: None) if quiet else (lambda text: click.echo(text, err=True))
    document = datasets.fetch(names, say)
    answer(lambda: document, lambda: data_text.facts_text(document), as_json=as_json, json_file=json_file)


@command.command("verify")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@common
def verify(names: tuple[str, ...], quiet: bool, as_json: bool, json_file: Path | None, **_: Any) -> None:
    """Read cached data sets again and compare them with their hashes."""
    from harness import datasets
    from harness.report import data_text

    document = datasets.verify(names)
    answer(lambda: document, lambda: data_text.facts_text(document), as_json=as_json, json_file=json_file)


@command.command("list")
@common
def show(quiet: bool, as_json: bool, json_file: Path | None, **_: Any) -> None:
    """The data sets that can be had, and which of them are in the cache."""
    from harness import datasets
    from harness.report import data_text

    document = datasets.listed()
    answer(lambda: document, lambda: data_text.list_text(document), as_json=as_json, json_file=json_file)
