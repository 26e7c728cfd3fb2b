"""Figures hold the numbers of the JSON, from Python as on a page; what cannot be drawn is an error with its reason."""

from __future__ import annotations

import math
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from frames import PROMISE, bare, pair

import harness
from harness.errors import UsageError
from harness.report.plots.ecdf import distributions_of, draw_distributions
from harness.report.plots.shared import Absent
from harness.report.plots.style import MARKERS, SERIES, decimal, fitted, nice_ticks, widened, width_of

ROOT = Path(__file__).resolve().parents[3]


def lines(axes: Any, **wanted: Any) -> list[Any]:
    return [line for line in axes.lines if all(getattr(line, f"get_{k}")() == v for k, v in wanted.items())]


def sweep(*shifts: float) -> list[Any]:
    """A control and candidates in the same blocks, as DataFrames."""
    control, first = pair(25, accuracy=(0.9650, 0.9650 + shifts[0] / 100))
    others = [pair(25, accuracy=(0.9650, 0.9650 + shift / 100), seed=9 + i)[1] for i, shift in enumerate(shifts[1:])]
    out = [control, first, *others]
    for i, frame in enumerate(out):
        frame["arm"] = f"arm{i}"
        frame["config_hash"] = f"c{i}"
    return out


def test_a_forest_holds_the_differences_and_the_speedups() -> None:
    judged = harness.compare(*sweep(0.02, -0.1, 0.05), **PROMISE)
    document = judged.as_dict()["comparisons"]
    figure = judged.plot_forest()
    accuracy, time = figure.axes
    for axes, numbers in (
        (accuracy, [(c["accuracy"]["difference_pp"], c["selection"]["simultaneous_ci95_pp"]) for c in document]),
        (time, [(c["time"]["speedup"], c["selection"]["simultaneous_ci95_speedup"]) for c in document]),
    ):
        thick, thin = lines(axes, linewidth=3.2), lines(axes, linewidth=1.0, solid_capstyle="butt", color="#0072b2")
        dots = lines(axes, marker="o")
        for place, (own, together) in enumerate(numbers):
            assert list(dots[place].get_xdata()) == [own["value"]] and list(dots[place].get_ydata()) == [place]
            assert list(thick[place].get_xdata()) == own["ci95"]
            assert list(thin[place].get_xdata()) == together
            assert together[0] < own["ci95"][0] < own["ci95"][1] < together[1]
    shrunk = [line.get_xdata()[0] for line in lines(accuracy, marker="D")]
    assert shrunk == [c["selection"]["shrunk_pp"] for c in document]
    margin = [
        line.get_xdata()[0] for line in accuracy.lines if line.get_color() == "#c24e00" and line.get_marker() != "D"
    ]
    assert margin == [-0.2]


def test_accuracy_against_time_holds_the_means_and_their_joint_regions() -> None:
    from matplotlib.patches import Ellipse
    from scipy import stats

    judged = harness.compare(*sweep(0.02, -0.1), **PROMISE)
    one = judged.as_dict()["comparisons"]
    axes = judged.plot_accuracy_time().axes[0]
    arms = [one[0]["control"], *(c["candidate"] for c in one)]
    points = [line for line in axes.lines if line.get_marker() in ("X", "o", "s") and len(line.get_xdata()) == 1]
    assert [p.get_xdata()[0] for p in points] == [1000 * a["time_s"]["value"] for a in arms], "milliseconds"
    assert [p.get_ydata()[0] for p in points] == [100 * a["accuracy"]["value"] for a in arms]
    edges = [p for p in axes.patches if isinstance(p, Ellipse) and p.get_facecolor()[3] == 0]
    for edge, arm in zip(edges, arms, strict=True):
        for size, (e, scale, df) in (
            (edge.width, (arm["time_s"], 1000, 4)),
            (edge.height, (arm["accuracy"], 100, arm["n"] - 1)),
        ):
            se = (e["ci95"][1] - e["ci95"][0]) / 2 / stats.t.ppf(0.975, df)
            assert size / 2 == pytest.approx(scale * se * math.sqrt(2 * stats.f.ppf(0.95, 2, df)), rel=1e-9)
    target = [line for line in axes.lines if set(line.get_ydata()) == {96.0}]
    assert len(target) == 1


def test_distributions_hold_every_run() -> None:
    control, candidate = pair(25)
    axes = harness.compare(control, candidate, **PROMISE).plot_ecdf().axes[0]
    drawn = [line for line in axes.lines if line.get_drawstyle() == "steps-post"]
    for line, frame in zip(drawn, (control, candidate), strict=True):
        accuracy = np.sort(frame["correct"] / frame["total"])
        x, y = line.get_xdata()[1:-1], line.get_ydata()[1:-1]
        assert x == pytest.approx(100 * np.unique(accuracy))
        assert y == pytest.approx([100 * (accuracy <= value).mean() for value in np.unique(accuracy)])


def test_the_timeline_holds_clock_temperature_and_throttling() -> None:
    frames = pair(25)
    for frame in frames:
        frame["sm_clock_mhz"], frame["temperature_c"] = 1400 - frame["block"], 40 + frame["block"]
        frame.loc[frame["block"] == 7, "throttle"] = "thermal"
    figure = harness.compare(*frames, **PROMISE).plot_drift()
    times, clock, temperature = figure.axes
    assert sorted(clock.lines[0].get_ydata()) == sorted([1400 - b for b in range(25)] * 2)
    assert sorted(temperature.lines[0].get_ydata()) == sorted([40 + b for b in range(25)] * 2)
    assert len(lines(times, marker="|")[0].get_xdata()) == 2
    every = [y for line in times.lines if line.get_marker() in ("X", "o") for y in line.get_ydata()]
    both = np.concatenate([100 * (f["time_s"] / f["time_s"].mean() - 1) for f in frames])
    assert sorted(every) == pytest.approx(sorted(both))
    assert temperature.get_xlabel() == "process start, in the order of running"
    undated = harness.compare(*(frame.assign(started_at="") for frame in frames), **PROMISE).plot_drift()
    assert undated.axes[-1].get_xlabel() == "process start, as stored, block by block (times of day are unknown)"
    starts = [line.get_ydata()[0] for line in times.lines if line.get_linewidth() == 2.2]
    where = np.concatenate([f["invocation"] for f in frames])
    assert starts == pytest.approx([both[where == f"p{i}"].mean() for i in range(5)])


@pytest.mark.parametrize("candidates", [2, 8])
def test_a_candidate_is_no_control_where_the_control_has_no_times(candidates) -> None:
    control, *others = sweep(*[0.02] * candidates)
    control["time_s"] = np.nan
    judged = harness.compare(control, *others, claim="accurate")
    axes = judged.plot_drift().axes[0]
    marks = [(line.get_marker(), line.get_color()) for line in axes.lines if line.get_marker() in ("X", *MARKERS)]
    expected = list(zip(MARKERS, SERIES, strict=True))[:candidates] if candidates < 6 else [("o", SERIES[0])] * 8
    assert marks == expected
    key = [text.get_text() for text in judged.plot_drift().legends[0].get_texts()]
    assert key[:-1] == (["arm1", "arm2"] if candidates < 6 else ["the 8 candidates"])


def test_a_candidate_is_no_control_where_the_control_has_no_accuracies() -> None:
    control, *others = sweep(0.02, 0.03)
    control["correct"] = control["total"] = control["accuracy"] = np.nan
    found = distributions_of(harness.compare(control, *others, claim="accurate"))
    assert not isinstance(found, Absent) and [(arm.place, arm.name) for arm in found.arms] == [(1, "arm1"), (2, "arm2")]
    drawn = [line for line in draw_distributions(found).axes[0].lines if line.get_drawstyle() == "steps-post"]
    assert [line.get_color() for line in drawn] == list(SERIES[:2])


def test_a_sweep_holds_what_was_measured_and_what_is_left_of_it() -> None:
    judged = harness.compare("exp230-lr-end-cpu:baseline", "exp230-lr-end-cpu", results=ROOT / "results")
    document = judged.as_dict()["comparisons"]
    axes = judged.plot_sweep("lr.end").axes[0]
    dots = {line.get_xdata()[0]: line.get_ydata()[0] for line in lines(axes, marker="o")}
    assert dots == {float(c["candidate"]["name"][7:]): c["accuracy"]["difference_pp"]["value"] for c in document}
    pulled = lines(axes, marker="D")[0]
    assert list(pulled.get_ydata()) == [c["selection"]["shrunk_pp"] for c in document]
    tried = {*dots, judged.base.config["lr.end"]}  # type: ignore[union-attr, index]
    assert set(axes.get_xticks()) <= tried and len(axes.get_xticks()) > 2 and axes.get_xlabel() == "lr.end"
    with pytest.raises(UsageError, match=r"lr\.end"):
        judged.plot_sweep("lr.emd")


@pytest.mark.parametrize("ending", ["svg", "pdf", "png"])
def test_a_figure_is_written_to_a_file(tmp_path, ending) -> None:
    judged = harness.compare(*pair(25), **PROMISE)
    for plot in (judged.plot_forest, judged.plot_accuracy_time, judged.plot_ecdf, judged.plot_drift):
        figure = plot()
        figure.savefig(tmp_path / f"x.{ending}")
        head = (tmp_path / f"x.{ending}").read_bytes()[:200]
        assert {"svg": b"<?xml", "pdf": b"%PDF", "png": b"\x89PNG"}[ending] in head
        assert all(text.get_text().isprintable() for text in figure.texts)


def test_what_cannot_be_drawn_is_an_error_with_its_reason() -> None:
    judged = harness.compare(bare(), bare(seed=2), **PROMISE)
    for plot, why in (
        (judged.plot_accuracy_time, "no-times"),
        (judged.plot_drift, "No run has a time"),
        (judged.plot_looks, "sequential plan"),
        (judged.plot_sweep, "configurations"),
        (lambda: judged.plot_forest("time"), "No speed-up"),
        (lambda: judged.plot_forest("speed"), "what is 'speed'"),
    ):
        with pytest.raises(UsageError, match=why):
            plot()
    assert len(judged.plot_forest().axes) == 1, "the accuracy alone"


def test_plots_leave_the_session_of_the_reader_alone() -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    harness.compare(*pair(25), **PROMISE).plot_forest()
    assert dict(matplotlib.rcParams) == before
    plt = __import__("sys").modules.get("matplotlib.pyplot")
    assert plt is None or not plt.get_fignums()


# --- numbers and letters on axes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "most", "ticks", "decimals"),
    [
        (0.0, 1.0, 6, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0], 1),
        (-0.13, 0.02, 4, [-0.1, -0.05, 0.0], 2),
        (93.81, 94.27, 3, [94.0, 94.2], 1),
        (0.0, 130.0, 4, [0.0, 50.0, 100.0], 0),
        (0.9981, 1.0042, 4, [1.0, 1.002, 1.004], 3),
        (1.0, 1.0, 5, [1.0], 2),
    ],
)
def test_ticks_are_round_numbers(low, high, most, ticks, decimals) -> None:
    assert nice_ticks(low, high, most) == (ticks, decimals)


def test_numbers_have_a_minus_as_wide_as_a_plus() -> None:
    assert [decimal(x, 2, sign=True) for x in (-0.001, 0.0, 0.5, -0.5)] == ["0.00", "0.00", "+0.50", "−0.50"]


def test_a_long_name_is_cut_in_its_middle() -> None:
    name = "learning-rate-schedule-with-a-long-name=0.125"
    short = fitted(name, 120)
    assert width_of(short) <= 120 and short.startswith("learning") and short.endswith("0.125") and "…" in short
    assert fitted("short", 120) == "short" and fitted("x" * 5000, 1) == "…"
    assert width_of("学習率") >= 3 * 11, "letters that the font lacks are as wide as they may be"


def test_limits_that_are_equal_but_for_rounding_get_a_width() -> None:
    assert widened(94.0, 94.0 + 1e-13) == pytest.approx((93.06, 94.94))
    assert widened(0.0, 0.0) == (-1.0, 1.0)
    low, high = widened(1.0, 2.0, 0.1)
    assert (low, high) == pytest.approx((0.9, 2.1))


def test_the_example_of_the_documentation_runs(tmp_path, monkeypatch) -> None:
    shutil.copytree(ROOT / "results/exp230-lr-end-cpu", tmp_path / "results/exp230-lr-end-cpu")
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/report.md").read_text(encoding="utf-8"), re.DOTALL)
    exec(compile(example, "docs/report.md", "exec"), {})
    assert (tmp_path / "forest.pdf").read_bytes().startswith(b"%PDF")
    assert "final learning rate" in example and (tmp_path / "sweep.svg").stat().st_size > 5000
