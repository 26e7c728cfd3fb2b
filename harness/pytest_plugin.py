"""A gate inside a test suite: the fixture `gate`, which judges stored runs, or DataFrames, as `harness gate` does.

    def test_not_slower_and_not_worse(gate):
        gate("baseline", "candidate", margin_pp=0.1, max_slowdown=0.01)

A refuted claim fails the test with the table as its message, and so does one that the data cannot bear; an open question skips it,
as in the gate's JUnit XML. pytest loads this by its entry point; whatever is heavy is imported when a test judges.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import pytest

if TYPE_CHECKING:
    from harness.api import Judgement

WORST_FIRST = ("fail", "refused", "inconclusive", "pass")


@pytest.fixture
def gate(request: pytest.FixtureRequest) -> Callable[..., Judgement]:
    """`gate(control, *candidates, claim="no-regression", on_inconclusive="skip", ...)`, otherwise as `harness.compare`.

    Stores are those of `results` below pytest's root folder. Returns the judgement where every candidate passes.
    """
    root = request.config.rootpath

    def judge(
        control: Any,
        *candidates: Any,
        claim: str = "no-regression",
        results: Any = "results",
        on_inconclusive: Literal["skip", "fail", "pass"] = "skip",
        **promises: Any,
    ) -> Judgement:
        from harness.api import compare
        from harness.errors import HarnessError, nearest
        from harness.report.escaping import terminal
        from harness.report.table import table_text

        __tracebackhide__ = True
        ends = ("skip", "fail", "pass")
        if on_inconclusive not in ends:
            pytest.fail(f"on_inconclusive is {on_inconclusive!r}. {nearest(str(on_inconclusive), ends)}", pytrace=False)
        try:
            judged = compare(control, *candidates, claim=claim, results=root / results, **promises)
        except HarnessError as problem:
            pytest.fail(terminal(f"no judgement: {problem}"), pytrace=False)
        verdicts = {one.verdict for one in judged.comparisons}
        worst = next((verdict for verdict in WORST_FIRST if verdict in verdicts), "refused")
        message = terminal(f"GATE: {worst.upper()}\n\n{table_text(judged)}")
        if worst == "inconclusive" and on_inconclusive == "skip":
            pytest.skip(message)
        if worst != "pass" and not (worst == "inconclusive" and on_inconclusive == "pass"):
            pytest.fail(message, pytrace=False)
        return judged

    return judge
