"""The public Python functions: `load` and `compare`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.app import judging
from harness.comparison.compare import Comparison, compare_samples
from harness.comparison.frame import FLAGS, NUMBERS, TEXTS, Frame, make_frame, text_column
from harness.comparison.samples import Sample, make_sample, told_apart
from harness.errors import UsageError, nearest
from harness.model.experiment import CLAIMS
from harness.model.hashing import digest

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


class Judgement(Comparison):
    """A comparison that shows itself: the table at a prompt and in a notebook, `.as_dict()` for the JSON."""

    def __repr__(self) -> str:
        from harness.report.table import table_text

        return table_text(self)

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(repr(self))}</pre>"

    def plot_forest(self, what: str = "both") -> Figure:
        """Differences in accuracy ("accuracy"), speed-ups ("time") or "both", with limits for each and for all candidates together.

        This and the others give a matplotlib Figure: `.savefig("x.pdf")` writes it. Raises UsageError where there is nothing to draw.
        """
        from harness.report import plots

        figure: Figure = plots.plot_forest(self, what)
        return figure

    def plot_accuracy_time(self) -> Figure:
        """Mean accuracy against mean time of every arm, with joint 95 % regions and the target."""
        from harness.report import plots

        figure: Figure = plots.plot_accuracy_time(self)
        return figure

    def plot_ecdf(self) -> Figure:
        """The distribution of each arm's accuracies, with the target."""
        from harness.report import plots

        figure: Figure = plots.plot_ecdf(self)
        return figure

    def plot_drift(self) -> Figure:
        """Times along the campaign by process start, with clock, temperature and throttling where they were recorded."""
        from harness.report import plots

        figure: Figure = plots.plot_drift(self)
        return figure

    def plot_looks(self, candidate: str | None = None, endpoint: str | None = None) -> Figure:
        """The path of a sequential campaign between its bounds: of the first candidate and endpoint, or those that are named."""
        from harness.report import plots

        figure: Figure = plots.plot_looks(self, candidate, endpoint)
        return figure

    def plot_sweep(self, key: str | None = None) -> Figure:
        """Differences over the numeric key in which the arms differ, as measured and shrunken."""
        from harness.report import plots

        figure: Figure = plots.plot_sweep(self, key)
        return figure


def load(name: str, results: str | Path = "results") -> pd.DataFrame:
    """The runs of a store as a tidy DataFrame: one row an attempt, typed, unknown values missing.

    Raises StoreError where the store is missing, empty or damaged.
    """
    from harness.store.frames import read_dataframe
    from harness.store.read import existing_store

    return read_dataframe(existing_store(Path(results), name))


def compare(
    control: Any,
    *candidates: Any,
    claim: str | None = None,
    target: float | None = None,
    margin_pp: float | None = None,
    max_slowdown: float | None = None,
    alpha: float | None = None,
    results: str | Path = "results",
) -> Judgement:
    """Compare candidates with a control; each is a name as on the command line, or a DataFrame.

    A DataFrame has the columns of `runs.csv`, of which `seed` and either `correct` and `total` or `accuracy` are
    required; invocations and blocks are taken as they stand. `alpha` defaults to the experiment's, else .05.
    Raises UsageError for arguments that cannot be, StoreError for a store that cannot be read.
    """
    asked = judging.Asked(_claim(claim), _within(target, "target", 1, above_zero=True), _within(margin_pp, "margin_pp", 100),
                      _within(max_slowdown, "max_slowdown", 10), _within(alpha, "alpha", 0.5, above_zero=True))  # fmt: skip
    if all(isinstance(one, str) for one in (control, *candidates)):
        judged = judging.judge((control, *candidates), Path(results), asked)
    else:
        samples = _samples((control, *candidates))
        judged = compare_samples(samples[0], samples[1:], judging.promise_of(asked, {}, "faster"))
    return Judgement(**vars(judged))


def _claim(claim: str | None) -> str | None:
    if claim is not None and claim not in CLAIMS:
        raise UsageError(f"claim is {claim!r}. {nearest(claim, CLAIMS)}")
    return claim


def _within(value: Any, name: str, most: float, *, above_zero: bool = False) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool | str) or not hasattr(value, "__float__"):
        raise UsageError(f"{name} is {value!r}; it must be a number")
    if not 0 <= value <= most or (above_zero and value == 0):
        raise UsageError(f"{name} is {value}; allowed is {'above 0 and at most' if above_zero else '0 to'} {most}")
    return float(value)


def _samples(frames: Sequence[Any]) -> list[Sample]:
    """DataFrames as samples; several of one arm's name are called `experiment:arm`, or by their place."""
    if len(frames) < 2:
        raise UsageError("compare() needs a control and at least one candidate.")
    found = [_frame_and_place(data, number) for number, data in enumerate(frames)]
    names = told_apart([place for _, place in found])
    if len(set(names)) < len(names):
        names = [_fallback(number) for number in range(len(names))]
    return [
        make_sample(name, [frame], latest_stage=number > 0)
        for number, ((frame, _), name) in enumerate(zip(found, names, strict=True))
    ]


def _fallback(number: int) -> str:
    return "control" if number == 0 else "candidate" if number == 1 else f"candidate {number}"


def _frame_and_place(data: Any, number: int) -> tuple[Frame, tuple[str, str]]:
    """An argument's columns, and its (experiment, arm) as far as they are known and single."""
    if isinstance(data, str) or not hasattr(data, "columns"):
        raise UsageError(
            f"compare() takes names only, or DataFrames only; argument {number + 1} is a {type(data).__name__}. "
            "load(name) gives the DataFrame of a store."
        )
    frame = frame_of_dataframe(data)
    arms = frame.known("arm")
    if len(arms) > 1:
        names = sorted(arms)
        raise UsageError(
            f"The DataFrame of argument {number + 1} holds {len(arms)} arms ({', '.join(names[:6])}); each argument is one arm: "
            f"data[data.arm == {names[0]!r}]."
        )
    stores = frame.known("experiment")
    return frame, (stores.pop() if len(stores) == 1 else "", arms.pop() if arms else _fallback(number))


def frame_of_dataframe(data: Any) -> Frame:
    """A DataFrame's known columns as typed arrays. Raises UsageError for a missing column or a text in a number."""
    import numpy as np

    if "seed" not in data.columns or not ({"correct", "total"} <= set(data.columns) or "accuracy" in data.columns):
        raise UsageError(
            f"The DataFrame needs the columns 'seed' and 'accuracy', or 'seed', 'correct' and 'total'; "
            f"it has {', '.join(map(str, data.columns))}."
        )
    from harness.store.schema import WORDS

    columns: dict[str, Any] = {}
    for name in set(NUMBERS) & set(data.columns):
        try:
            columns[name] = _numeric(data[name])
        except (TypeError, ValueError) as problem:
            raise UsageError(f"The column {name!r} must hold numbers: {problem}.") from problem
    for name in set(FLAGS) & set(data.columns):
        columns[name] = np.array(
            [str(v).strip().lower() in ("true", "1", "1.0", "yes") for v in data[name]], dtype=bool
        )
    for name in set(TEXTS) & set(data.columns):
        columns[name] = text_column([_text(v) for v in data[name].astype(object).where(data[name].notna(), None)])
    for name in set(WORDS) & set(columns):
        columns[name] = text_column([_word(name, text) for text in columns[name].tolist()])
    frame = make_frame(columns, len(data), "DataFrame")
    wrong = frame["accuracy"][(frame["accuracy"] < 0) | (frame["accuracy"] > 1)]
    if wrong.size:
        hint = " (a fraction, not a percentage)" if 1 < wrong[0] <= 100 else ""
        raise UsageError(f"The DataFrame holds an accuracy of {wrong[0]:g}; it must lie between 0 and 1{hint}.")
    return frame


def _word(name: str, text: str) -> str:
    from harness.store.schema import allowed_text, word

    try:
        return word(name, text)
    except ValueError:
        raise UsageError(f"The column {name!r} holds {text!r}; allowed is {allowed_text(name)}.") from None


def _text(value: Any) -> str:
    """A label as text: 3 and 3.0 are one process, whichever of two DataFrames had a gap in the column."""
    if value is None:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _numeric(series: Any) -> Any:
    """Numbers as float64; a block's label that is no number (b1) by a number that is the same in every DataFrame."""
    import numpy as np

    if series.name == "block" and not _is_numeric(series):
        known = zip(series.notna(), series, strict=True)
        return np.array([float(int(digest(str(v)), 16)) if there else np.nan for there, v in known])
    return series.to_numpy(dtype=np.float64, na_value=np.nan)


def _is_numeric(series: Any) -> bool:
    try:
        series.astype(float)
    except (TypeError, ValueError):
        return False
    return True
