"""`harness gate`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.options import (
    ExperimentName,
    coloured,
    columns,
    common,
    promised,
    to_json,
    write_file,
)

if TYPE_CHECKING:
    from harness.app.gate_file import FileReport

SUMMARY = "GITHUB_STEP_SUMMARY"
PROMISED = ("claim", "target", "margin_pp", "max_slowdown", "alpha", "stage")
FILES = ("junitxml", "markdown", "bencher")
ANSWER = "gate.json"


class GateCommand(click.Command):
    """A command line that cannot be read leaves no older answer behind, either."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        words = tuple(args)
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as problem:
            self.unread(words, problem.format_message())
            raise

    def unread(self, words: Sequence[str], why: str) -> None:
        """Write the files that these words name, or gate.json, without a judgement. What ends in .toml is never written to."""
        from harness.errors import HarnessError

        named = {option: _named(words, option) for option in ("json_file", *FILES, "on_inconclusive")}
        given: dict[str, Any] = {option: Path(named[option]) if named[option] else None for option in FILES}
        given["on_inconclusive"] = "pass" if named["on_inconclusive"] == "pass" else "fail"
        read = (*words, *named.values())
        with suppress(HarnessError):  # the mistake itself is what is told
            _write_broken(Path(named["json_file"] or ANSWER), why, 2, read, given)
        with suppress(OSError):
            _step_summary(_no_judgement(why))


def _named(words: Sequence[str], option: str) -> str:
    """The last value of an option among the words of a command line, as far as it can be told; else nothing."""
    flag, found = f"--{option.replace('_', '-')}", ""
    for word, following in zip(words, [*words[1:], ""], strict=False):
        name, equals, joined = word.partition("=")
        if name == flag:
            found = joined if equals else "" if following.startswith("-") else following
    return found


@click.command("gate", cls=GateCommand)
@click.argument("names", metavar="CONTROL CANDIDATE... | gate.toml", nargs=-1, required=True, type=ExperimentName())
@promised("no-regression")
@click.option(
    "--on-inconclusive",
    type=click.Choice(("fail", "pass")),
    default="fail",
    show_default=True,
    help="Whether an open question stops the pipeline (exit 3) or not (exit 0, and it says so).",
)
@click.option(
    "--re-anchor", is_flag=True, help="With a gate file: make this commit the baseline, once it is confirmed."
)
@click.option(
    "--self-test", is_flag=True, help="With a gate file: plant regressions; exit 0 only if every one turns red."
)
@click.option("--markdown", type=click.Path(path_type=Path, dir_okay=False), help="Write the table as Markdown.")
@click.option("--junitxml", type=click.Path(path_type=Path, dir_okay=False), help="Write JUnit XML.")
@click.option("--bencher", type=click.Path(path_type=Path, dir_okay=False), help="Write Bencher's metric format.")
@common
def command(names: tuple[str, ...], results: Path, as_json: bool, json_file: Path | None, **given: Any) -> int:
    """The judgement of `compare` as an exit code; of a file gate.toml, of all its checks and layers.

    \b
    0  pass                     3  inconclusive
    1  fail: refuted            4  refused; a store missing, empty or damaged; a file that cannot be written
    2  usage or configuration

    Writes gate.json (--json-file names another file), and Markdown into $GITHUB_STEP_SUMMARY where that is set.
    """
    from harness.app.gating import NOT_ENDED, NOT_ENDED_CODE
    from harness.errors import HarnessError
    from harness.report.escaping import terminal

    wanted = json_file or Path(ANSWER)
    try:
        _write_broken(wanted, NOT_ENDED, NOT_ENDED_CODE, names, given)
        from_file = any(name.endswith(".toml") for name in names)
        code, document, text, pages = (_file if from_file else _stores)(names, results, given | {"json_file": wanted})
        _write(wanted, to_json(document), pages, given)
    except HarnessError as problem:
        with suppress(HarnessError):  # what cannot be written is told as it was the first time
            _write_broken(wanted, str(problem), problem.exit_code, names, given)
        _step_summary(_no_judgement(str(problem)))
        raise
    except BaseException:
        _step_summary(_no_judgement(NOT_ENDED))
        raise
    _step_summary(pages["markdown"])
    if as_json:
        click.echo(to_json(document))
    else:
        click.echo(terminal(text), color=coloured() or None)
        click.echo(terminal(f"\n{document['gate']['message']} (exit {code}; {wanted})"))
    return code


Answer = tuple[int, dict[str, Any], str, dict[str, str]]
"""Exit code, JSON document, text, and the content of each file by its option."""


def _stores(names: tuple[str, ...], results: Path, given: Mapping[str, Any]) -> Answer:
    """The claim alone, of a control and its candidates."""
    from harness.app import gating
    from harness.app.judging import Asked
    from harness.errors import UsageError
    from harness.report.bencher import bencher_metrics
    from harness.report.escaping import markdown
    from harness.report.junit import junit_xml
    from harness.report.table import table_markdown, table_text

    flag = next((flag for flag in ("re_anchor", "self_test") if given[flag]), None)
    if flag:
        raise UsageError(
            f"--{flag.replace('_', '-')} needs a gate file: harness gate gate.toml --{flag.replace('_', '-')}"
        )
    report = gating.gate(names, results, Asked(*(given[key] for key in PROMISED)), given["on_inconclusive"])
    text = table_text(report.comparison, colour=coloured(), width=columns())
    pages = {
        "junitxml": junit_xml(report.comparison),
        "markdown": f"**{markdown(report.sentence)}**\n\n{table_markdown(report.comparison)}",
        "bencher": to_json(bencher_metrics(report.comparison)) + "\n",
    }
    return report.exit_code, report.as_dict(), text, pages


def _file(names: tuple[str, ...], results: Path, given: Mapping[str, Any]) -> Answer:
    """Every check of a gate file."""
    from harness.report.gate_page import gate_bencher, gate_junit, gate_markdown, gate_text

    report = _gate_file(names, results, given)
    document = report.as_dict()
    shown = {check.name: check.comparison for check in report.checks}
    pages = {
        "junitxml": gate_junit(document),
        "markdown": gate_markdown(document, shown),
        "bencher": to_json(gate_bencher(shown)) + "\n",
    }
    return report.exit_code, document, gate_text(document, shown, colour=coloured(), width=columns()), pages


def _gate_file(names: tuple[str, ...], results: Path, given: Mapping[str, Any]) -> FileReport:
    from harness.app.gate_anchor import re_anchor
    from harness.app.gate_file import GateOptions, gate_file
    from harness.app.gate_selftest import self_test
    from harness.errors import UsageError
    from harness.gatefile import read_gate_file

    if len(names) > 1:
        raise UsageError(f"{' '.join(names)}: a gate file stands alone; its checks name their stores themselves.")
    stated = [key for key in PROMISED if given[key] is not None]
    if stated:
        raise UsageError(
            f"--{stated[0].replace('_', '-')}: with a gate file each check states it: {stated[0]} = ... under [[checks]]."
        )
    if given["re_anchor"] and given["self_test"]:
        raise UsageError("--re-anchor and --self-test are two commands: give them one after the other.")
    runner, written = _runner(silent=given["quiet"]), _written(given["json_file"], given)
    options = GateOptions(results, given["experiments"], given["on_inconclusive"], runner, written)
    what = re_anchor if given["re_anchor"] else self_test if given["self_test"] else gate_file
    return what(read_gate_file(Path(names[0])), options)


def _runner(*, silent: bool) -> Any:
    """Runs a campaign with a progress display on standard error."""

    def run(prepared: Any, options: Any) -> Any:
        from harness.app import running
        from harness.cli.progress import progress

        with progress(prepared, silent=silent) as on_finished:
            return running.run(prepared, options, on_finished)

    return run


def _no_judgement(why: str) -> str:
    from harness.report.escaping import markdown_sentence

    return f"**GATE: no judgement**: {markdown_sentence(why)}\n"


def _write_broken(wanted: Path, why: str, code: int, names: Sequence[str], given: Mapping[str, Any]) -> None:
    """Every file that this gate writes, without a judgement: no older answer is left that could be taken for this one's.

    Raises UsageError where one of them is a gate file that is to be read; the others are written all the same.
    """
    from harness.app.gating import broken
    from harness.errors import UsageError
    from harness.report.junit import broken_xml

    read = {Path(name).resolve() for name in names if name.endswith(".toml")}
    lost = [path for path in _written(wanted, given) if path.resolve() in read]
    pages = {"junitxml": broken_xml(why), "markdown": _no_judgement(why), "bencher": "{}\n"}
    _write(wanted, to_json(broken(why, code, given["on_inconclusive"])), pages, given, spared=lost)
    if lost:
        raise UsageError(f"{lost[0]}: is the gate file itself, and would be written over. Name another file to write.")


def _written(wanted: Path, given: Mapping[str, Any]) -> tuple[Path, ...]:
    return (wanted, *(given[option] for option in FILES if given[option] is not None))


def _write(
    wanted: Path, document: str, pages: Mapping[str, str], given: Mapping[str, Any], spared: Sequence[Path] = ()
) -> None:
    """Write the files. Raises OutputError for the first that cannot be written, after all the others."""
    from harness.errors import OutputError

    contents = (document + "\n", *(pages[option] for option in FILES if given[option] is not None))
    options = ("--json-file", *(f"--{option}" for option in FILES if given[option] is not None))
    problems: list[OutputError] = []
    for path, content, option in zip(_written(wanted, given), contents, options, strict=True):
        try:
            if path not in spared:
                write_file(path, content, option)
        except OutputError as problem:
            problems.append(problem)
    if problems:
        raise problems[0]


def _step_summary(page: str) -> None:
    """GitHub shows what is appended to this file, up to 1 MiB, below the job."""
    place = os.environ.get(SUMMARY)
    if place:
        shown = page.encode("utf-8", "backslashreplace")[: 2**20 - 1]
        with Path(place).open("ab") as out:
            out.write(shown.decode("utf-8", "ignore").encode() + b"\n")
