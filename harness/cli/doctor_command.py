"""`harness doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from harness.cli.options import ExperimentName, Number, answer, coloured, common

QUICK_S = 15.0


@click.command("doctor")
@click.argument("names", metavar="[EXPERIMENT]", nargs=-1, type=ExperimentName())
@click.option(
    "--seconds",
    type=Number(0, 86_400),
    default=60.0,
    show_default=True,
    help="Time for the A/A, which has three process starts at least; 0: none.",
)
@click.option("--quick", is_flag=True, help=f"The same as --seconds {QUICK_S:g}.")
@click.option(
    "--alpha", type=Number(1e-6, 0.5), default=0.05, show_default=True, metavar="A", help="One-sided error rate."
)
@common
def command(
    names: tuple[str, ...], seconds: float, quick: bool, alpha: float, results: Path, experiments: Path | None, quiet: bool,
    as_json: bool, json_file: Path | None,
) -> None:  # fmt: skip
    """Is this machine fit to be timed, and what is the smallest effect worth testing here?

    Looks at clocks, power, temperature, other processes, quotas, memory, disk and the clock, each with what to do. Then a short
    A/A, the same work against itself in interleaved blocks over several process starts, shows how times scatter here, and from
    that which differences can be seen. The work is a small training on one thread, or the control of EXPERIMENT. A report of
    health, no gate: the exit code is 0 whatever is found.
    """
    from harness.app.doctoring import WORKLOAD, Asked, examine
    from harness.report.doctor_text import doctor_text

    asked = Asked(names or (WORKLOAD,), min(seconds, QUICK_S) if quick else seconds, alpha, experiments)
    document = examine(asked, results, _runner(silent=quiet))
    answer(lambda: document, lambda: doctor_text(document, colour=coloured()), as_json=as_json, json_file=json_file)


def _runner(*, silent: bool) -> Any:
    """Runs a campaign with a progress display on standard error."""

    def run(prepared: Any, options: Any) -> Any:
        from harness.app import running
        from harness.cli.progress import progress

        with progress(prepared, silent=silent) as on_finished:
            return running.run(prepared, options, on_finished)

    return run
