"""The command line: one file a command, each imported only when it is called."""

from __future__ import annotations

import errno
import gc
import importlib
import os
import signal
import sys
from typing import Any

import click

COMMANDS = {
    "run": "Run an experiment: what is missing up to N seeds per arm.",
    "ladder": "Screen many arms, confirm the promising ones, decide on one with fresh seeds.",
    "compare": "Compare candidates with a control: intervals, tests and one verdict.",
    "gate": "The judgement of compare as an exit code, for a CI pipeline.",
    "report": "One self-contained page with plots, or Markdown: what experiments show.",
    "summary": "Several experiments in one table: what each ends with, and the verdict on it.",
    "plan": "Seeds needed, detectable differences, hours and price, before a run is spent.",
    "aa": "A/A: how often this judgement raises a false alarm on these stored runs.",
    "speedup": "How much faster at equal accuracy, from two sweeps over training length.",
    "list": "List experiments, stores, trainers and data sets.",
    "show": "Show an experiment (arms, runs so far, ledger) or a trainer (keys, clock).",
    "doctor": "Is this machine fit to be timed, and what is the smallest effect worth testing here?",
    "data": "Fetch, verify and list data sets.",
    "verify": "Check a store's integrity and re-run one stored seed.",
    "import": "Bring runs of other programs in as a store.",
    "export": "Write stores as one tidy file, or as runs of a tracking service.",
}


UNWRITTEN = (errno.ENOSPC, errno.EIO, errno.EFBIG)
"""What a system answers that cannot take the output."""
COMMON_FLAGS = ("-q", "--quiet", "--json")
COMMON_VALUES = ("--results", "--experiments", "--json-file")


def options_last(args: list[str]) -> list[str]:
    """`-q --results DIR run x` as `run -q --results DIR x`. Raises UsageError for another option before the command."""
    ahead: list[str] = []
    rest = list(args)
    while rest and rest[0].startswith("-") and rest[0] not in ("-h", "--help", "--version"):
        name = rest[0].partition("=")[0]
        if name not in COMMON_FLAGS + COMMON_VALUES:
            command = next((word for word in rest if word in COMMANDS), "COMMAND")
            raise click.UsageError(
                f"No such option {name!r} before the command. Options stand behind it: harness {command} {name} ..."
            )
        width = 2 if name in COMMON_VALUES and "=" not in rest[0] else 1
        ahead, rest = ahead + rest[:width], rest[width:]
    if ahead and not rest:
        raise click.UsageError(f"{' '.join(ahead)}: a command is missing. Allowed: {', '.join(COMMANDS)}.")
    return rest if not ahead or rest[0] not in COMMANDS else [rest[0], *ahead, *rest[1:]]


class LazyGroup(click.Group):
    """Commands by name; the module of a command is imported when it is called, not when help lists it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"harness.cli.{cmd_name}_command").command
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, options_last(args))
        except click.UsageError as problem:
            meant = self.get_command(ctx, next((word for word in args if word in COMMANDS), ""))
            unread = getattr(meant, "unread", None)  # of a command whose answer stands in files
            if unread is not None:
                unread(args, problem.format_message())
            raise

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        from harness.errors import nearest

        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(f"There is no command {args[0]!r}. {nearest(args[0], COMMANDS)}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="speedrun-harness", prog_name="harness")
def harness() -> None:
    """Is this change to my training really faster, or better?

    \b
    harness run quickstart                       two arms, 25 seeds, one verdict
    harness run exp.toml --seeds 25              every seed in randomised interleaved blocks
    harness run old.py new.py --set margin_pp=1  two scripts of your own, of which a point may be lost
    harness compare CONTROL CANDIDATE            intervals, tests, findings, verdict
    """


def main() -> None:
    """Entry point: the exit codes of the contract, and no traceback for a user's mistake; SIGTERM interrupts as Ctrl-C does."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # what its encoding cannot say is shown as an escape
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # SIGHUP stays: a lost connection cancels no jobs
    code = run_cli(sys.argv[1:])
    if "torch" not in sys.modules:  # whose extensions count what is left
        gc.freeze()  # nothing that is still alive needs to be searched for garbage on the way out: 50 ms of a `compare`
    sys.exit(code)


def run_cli(arguments: list[str]) -> int:
    """Run a command line and return its exit code."""
    from harness.cli.options import warn
    from harness.errors import HarnessError

    try:
        code = harness.main(args=arguments, prog_name="harness", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.ClickException as problem:
        problem.show(file=sys.stderr)
        return 2
    except HarnessError as problem:
        warn(str(problem))
        return problem.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("harness: interrupted. Every finished run is stored; the same command goes on from here.", err=True)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as problem:
        if isinstance(problem.__cause__, KeyboardInterrupt):  # Python 3.11 wraps one that comes while a class is made
            click.echo(
                "harness: interrupted. Every finished run is stored; the same command goes on from here.", err=True
            )
            return 130
        if os.environ.get("HARNESS_DEBUG"):
            raise
        if isinstance(problem, OSError) and (problem.filename is not None or problem.errno in UNWRITTEN):
            where = problem.filename or "the output"
            warn(f"{where}: {problem.strerror}. Check that path, its permissions and the disk, and run again.")
            return 4
        click.echo(
            f"harness: internal error: {type(problem).__name__}: {problem}. This is a defect of the harness; "
            "set HARNESS_DEBUG=1 to see where.",
            err=True,
        )
        return 70
