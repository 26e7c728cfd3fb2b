"""What stands on a report, as plain data: the sections of each experiment, with their sentences, tables and figures to be drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness.comparison.compare import Comparison
from harness.comparison.words import counted, look_lines, number, percent_interval
from harness.model.estimate import Estimate
from harness.model.run import is_completed
from harness.report.ladder_text import entry_text, speedup_text
from harness.report.plain import listed, name_of, plain
from harness.report.plan_text import differences, not_run_lines
from harness.report.plots.accuracy_time import NAMED, accuracy_time_of, draw_accuracy_time, reasons_of
from harness.report.plots.drift import Drift, draw_drift, drift_of
from harness.report.plots.ecdf import MOST_STEPS, Distributions, distributions_of, draw_distributions
from harness.report.plots.forest import Forest, draw_forest, forest_of
from harness.report.plots.looks import Path, draw_path, paths_of
from harness.report.plots.shared import Absent, parts_of
from harness.report.plots.style import decimal
from harness.report.plots.sweep import SweepCurve, draw_sweep, sweeps_of
from harness.report.table import excluded_lines, findings_by_code, head_lines, luck_lines, marks_of, table_rows

MOST_OPEN_ARMS = 12
MOST_LEDGER = 40
MOST_MESSAGES = 3
MOST_ROWS = 150
MOST_FAILED = 30
MOST_VALUES = 6
RAW = (
    "arm", "stage", "seed", "block", "invocation", "status", "warmup", "correct", "total", "accuracy", "time_s", "started_at", "host",
)  # fmt: skip
PLACES = (
    "host", "device", "device_uuid", "driver", "cuda", "cudnn", "torch", "python", "cpu", "lane", "clock", "environment", "code_hash",
    "data_hash",
)  # fmt: skip
COLUMNS = frozenset((*RAW, *PLACES, "error", "git_commit", "git_dirty"))
"""What a report reads of every row."""


@dataclass(frozen=True)
class Grid:
    """A table: the columns numbered in `texts` are read from the left, all others are numbers; `note` says what is left out."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    texts: tuple[int, ...] = (0,)
    note: str = ""
    fold: str = ""
    """The line behind which the table is folded; open where it is empty."""
    title: str = ""


@dataclass(frozen=True)
class Drawn:
    """A figure that is still to be drawn; `name` is unique within its experiment, `says` what it shows, for those who cannot see it."""

    name: str
    title: str
    says: str
    caption: str
    draw: Callable[[], Any]
    wide: bool = False


@dataclass(frozen=True)
class Section:
    """One part of an experiment's report. `missing` says, in sentences, what cannot be shown and why."""

    key: str
    title: str
    says: tuple[str, ...] = ()
    figures: tuple[Drawn, ...] = ()
    grids: tuple[Grid, ...] = ()
    missing: tuple[str, ...] = ()
    items: tuple[FindingItem, ...] = ()
    half: bool = False
    """Whether it needs half of a wide page only."""

    @property
    def shows(self) -> bool:
        """Whether it has more to show than why it shows nothing."""
        return bool(self.says or self.figures or self.grids or self.items)


@dataclass(frozen=True)
class FindingItem:
    """One finding: its mark in the table, what it says of which arms (empty where there is one candidate), and what to do next."""

    mark: str
    code: str
    severity: str
    messages: tuple[tuple[str, str], ...]
    advice: tuple[str, ...]


@dataclass(frozen=True)
class StoreFacts:
    """A store as it was read: `columns` of all its rows as text, its ledger, and what its files were (bytes as sha256)."""

    name: str
    experiment: Mapping[str, Any]
    columns: Mapping[str, Sequence[str]]
    rows: int
    ledger: Sequence[Mapping[str, Any]]
    runs_sha256: str
    ledger_sha256: str
    torn: int = 0

    def text(self, name: str) -> Sequence[str]:
        return self.columns.get(name) or [""] * self.rows


@dataclass(frozen=True)
class Chapter:
    """One experiment of a report."""

    name: str
    question: str
    comparison: Comparison
    stores: tuple[StoreFacts, ...]
    sections: tuple[Section, ...] = field(default=())

    @property
    def verdicts(self) -> list[tuple[str, str, str]]:
        """Candidate, verdict, and what it rests on."""
        return [
            (name_of(one.candidate.name), one.verdict, plain(one.headline.removeprefix(f"{one.verdict.upper()}: ")))
            for one in self.comparison.comparisons
        ]

    @property
    def terms(self) -> list[str]:
        return [plain(line) for line in head_lines(self.comparison) if line]


def sections_of(comparison: Comparison, stores: Sequence[StoreFacts]) -> tuple[Section, ...]:
    """Every section of one experiment, in the order of the page; those that show nothing say why in the last one."""
    every = (
        _arms(comparison, stores),
        _differences(comparison),
        _by_stage(comparison, _accuracy_time),
        _by_stage(comparison, _distributions),
        _sweep(comparison),
        _sequential(comparison),
        _ladder(stores),
        _by_stage(comparison, _drift),
        _findings(comparison),
        _environment(stores),
        _ledger(stores),
        _raw(stores),
    )
    absent = [(s.title, why) for s in every if not s.shows and s.key != "findings" for why in s.missing]
    there = tuple(s for s in every if s.shows or s.key == "findings")
    return (
        (*there, Section("absent", "Not shown", missing=tuple(f"{title}: {why}" for title, why in absent)))
        if absent
        else there
    )


def _by_stage(comparison: Comparison, section: Callable[[Comparison], Section]) -> Section:
    """A section of what stands on common axes: of candidates of several stages, the figures and tables of one stage after another."""
    parts = parts_of(comparison)
    if len(parts) == 1:
        return section(comparison)
    figures, grids, missing, says = [], [], list[str](), list[str]()
    for stage, part in parts:
        one, of = section(part), f"stage {plain(stage)}"
        figures += [
            replace(f, name=f"{f.name}-{plain(stage)}", title=f"{f.title}, {of}", says=f"{f.says} {of.capitalize()}.")
            for f in one.figures
        ]
        grids += [
            replace(
                g, fold=f"{g.fold}, {of}" if g.fold else "", title=f"{g.title or one.title}, {of}" if not g.fold else ""
            )
            for g in one.grids
        ]
        missing += [f"{of.capitalize()}: {why}" for why in one.missing]
        says += one.says
    return Section(one.key, one.title, tuple(says), tuple(figures), tuple(grids), tuple(missing))


def _arms(c: Comparison, stores: Sequence[StoreFacts]) -> Section:
    """What each arm was told to do: the control's configuration, and what every other one has different."""
    described = {(s.name, a["name"]): _described(a) for s in stores for a in s.experiment.get("arms") or ()}
    told = {} if c.base is None else c.base.config or {}
    named = (c.control.name, c.control.name.rpartition(":")[2])
    base = next((a for (_, name), a in described.items() if name in named and a["config"] == told), None)
    if base is None or not base["trainer"]:
        return Section("arms", "Arms", missing=("What these arms were told to do is not stored with their runs.",))
    rows = [(name_of(c.control.name), "control", f"{plain(base['trainer'], 120)}{_revision(base)}")]
    for one in c.comparisons:
        sample = None if one.pair is None else one.pair.candidate
        arm = None if sample is None else described.get((sample.store, sample.arm))
        what = "not stored" if arm is None else plain(differences(arm, base), 400) + _revision(arm)
        rows.append((name_of(one.candidate.name), "candidate", what))
    fold = f"What the {len(rows)} arms are" if len(rows) > MOST_OPEN_ARMS else ""
    grids = [
        Grid(
            ("arm", "role", "what it is; of a candidate, what differs from the control"),
            tuple(rows),
            texts=(0, 1, 2),
            fold=fold,
        )
    ]
    if base["config"]:
        cells = tuple((plain(key, 80), plain(value, 200)) for key, value in base["config"].items())
        grids.append(
            Grid(
                ("key", "value"),
                cells,
                texts=(0, 1),
                fold=f"The {counted(len(cells), 'setting')} of {name_of(c.control.name)}",
            )
        )
    return Section("arms", "Arms", grids=tuple(grids))


def _described(arm: Mapping[str, Any]) -> dict[str, Any]:
    return {**arm, "trainer": arm.get("trainer") or "", "config": arm.get("config") or {}}


def _revision(arm: Mapping[str, Any]) -> str:
    return f" (revision {plain(arm.get('revision') or '', 60)}, {plain(arm['git'], 12)})" if arm.get("git") else ""


# --- what the judgement says ----------------------------------------------------------------------------------


def _differences(c: Comparison) -> Section:
    """Forest plots, and the table of `harness compare`."""
    figures, missing = [], []
    for what, name in (("accuracy", "difference in accuracy"), ("time", "speed-up")):
        found = forest_of(c, what)  # type: ignore[arg-type]
        if isinstance(found, Absent):
            missing.append(found.reason)
        else:
            figures.append(_forest(found, name))
    header, *rows = [tuple(name_of(cell) for cell in row) for row in table_rows(c)]
    grid = Grid(("arm", *(name or "~" for name in header[1:])), tuple(rows), texts=(0,))
    says = (
        ["`~` stands where “no difference” lies within the 95 % limits: the data show neither a gain nor a loss there."]
        if any("~" in cell for row in rows for cell in row[1:])
        else []
    )
    says += [plain(line) for line in (*luck_lines(c), *excluded_lines(c), *not_run_lines(c.not_run))]
    return Section("differences", "Differences from the control", tuple(says), tuple(figures), (grid,), _once(missing))


def _once(sentences: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(plain(s) for s in sentences))


def _forest(forest: Forest, name: str) -> Drawn:
    parts = ["Dot and thick bar: estimate and its own 95 % limits."]
    bare = [row.name for row in forest.rows if row.value is not None and row.low is None]
    if len(bare) == len(forest.rows):
        parts = ["Dot: the estimate; there is no spread, or no planned look, to give it limits."]
    elif bare:
        parts.append(f"Without limits, as none could be estimated: {listed(bare)}.")
    if forest.together:
        parts.append("Thin bar: 95 % limits that hold for all candidates together.")
    if any(row.shrunk is not None for row in forest.rows):
        parts.append("Diamond: shrunken estimate.")
    if forest.margins:
        unit = " pp" if forest.what == "accuracy" else "×"
        shown = " and ".join(
            decimal(m, 2 if forest.what == "accuracy" else 3, sign=unit == " pp") + unit for m in forest.margins
        )
        parts.append(f"Dashed: the margin of the claim ({shown}).")
    parts.append(f"n: {_spread([row.n for row in forest.rows if row.value is not None])} a candidate.")
    says = f"{name.capitalize()} of {counted(len(forest.rows), 'candidate')} against the control; every number is in the table."
    return Drawn(f"forest-{forest.what}", name.capitalize(), says, " ".join(parts), lambda: draw_forest(forest))


def _spread(counts: Sequence[int]) -> str:
    """Numbers of runs in short: 25 runs, 4 to 28 runs."""
    least, most = min(counts), max(counts)
    return counted(most, "run") if least == most else f"{least} to {most} runs"


def _accuracy_time(c: Comparison) -> Section:
    found = accuracy_time_of(c)
    if isinstance(found, Absent):
        return Section("accuracy-time", "Accuracy against time", missing=_once([found.reason]))
    caption = "Cross: the control; each region holds both means of its arm with 95 % confidence (arms one by one, not their difference)."
    if found.target is not None:
        caption += f" Dashed: the accuracy that is asked for, {100 * found.target:g} %."
    caption += f" n: {_spread([p.n for p in found.points])} an arm."
    if len(found.points) > NAMED:
        caption += " Numbers are those of the arms in the order of the table, where there is room for them."
    single = [p.name for p in found.points if p.half_time is None or p.half_accuracy is None]
    if single:
        caption += f" No region: {listed(single)}, as one of its means has no error that could be estimated."
    missing = [f"Not drawn: {why}" for why in reasons_of(found.left_out)[:6]]
    if len(reasons_of(found.left_out)) > 6:
        missing.append("Not drawn are further candidates, for the reasons in the findings.")
    says = f"Mean accuracy against mean time of a run for {len(found.points)} arms; the numbers are in the table above."
    drawn = Drawn("accuracy-time", "Accuracy against time", says, caption, lambda: draw_accuracy_time(found))
    return Section("accuracy-time", "Accuracy against time", (), (drawn,), missing=_once(missing), half=True)


def _distributions(c: Comparison) -> Section:
    found = distributions_of(c)
    title = "Distribution of each arm"
    if isinstance(found, Absent):
        return Section("distribution", title, missing=_once([found.reason]))
    caption = "A point of a line: the share of runs with at most that accuracy; the further right, the better."
    if found.many:
        caption += f" Blue: the arm; grey: the control. n: {_spread([arm.n for arm in found.arms])} an arm."
    if found.target is not None:
        inside = found.low <= found.target <= found.high
        caption += f" {'Dashed: the' if inside else 'Beyond the picture: the'} bar of {100 * found.target:g} %."
    for name, count, lowest in found.outside[:6]:
        caption += f" {name}: {count} of its runs lie further left, the lowest at {100 * lowest:.2f} %."
    if found.thinned:
        caption += f" Of more than {MOST_STEPS} steps as many are drawn, at even shares: {listed(found.thinned)}."
    says = f"Empirical distribution functions of accuracy for {len(found.arms)} arms; quartiles are in the table."
    drawn = Drawn("ecdf", title, says, caption, lambda: draw_distributions(found))
    return Section("distribution", title, (), (drawn,), (_quartiles(found),), half=True)


QUARTILES = (0, 0.25, 0.5, 0.75, 1)


def _quartiles(found: Distributions) -> Grid:
    header = ("arm", "n", "lowest", "25 %", "median", "75 %", "highest") + (
        () if found.target is None else ("at the bar",)
    )
    decimals = 3 if found.total > 10_000 or _beside_the_bar(found) else 2
    rows = []
    for arm in found.arms:
        at = [f"{100 * arm.quantile(q):.{decimals}f} %" for q in QUARTILES]
        rows.append((arm.name, f"{arm.n}", *at, *(() if arm.reached is None else (f"{arm.reached}/{arm.n}",))))
    return Grid(header, tuple(rows), fold="Quartiles")


def _beside_the_bar(found: Distributions) -> bool:
    """Whether a quartile would be shown as the bar that it misses or exceeds."""
    if found.target is None:
        return False
    away = [abs(100 * (arm.quantile(q) - found.target)) for arm in found.arms for q in QUARTILES]
    return any(1e-9 < pp <= 0.005 for pp in away)


def _sweep(c: Comparison) -> Section:
    found = sweeps_of(c)
    if isinstance(found, Absent):
        return Section("sweep", "Sweep", missing=_once([found.reason]))
    figures, grids = [], []
    for place, curve in enumerate(found):
        figures.append(_sweep_figure(curve, place))
        grids.append(_sweep_grid(curve))
    return Section("sweep", "Sweep", (), tuple(figures), tuple(grids), half=len(figures) == 1)


def _sweep_figure(curve: SweepCurve, place: int) -> Drawn:
    caption = "Dots and bars: as measured, with 95 % limits that hold for all candidates together; diamonds: shrunken."
    caption += f" n: {_spread([p.n for p in curve.points])} an arm."
    if curve.margin_pp:
        caption += f" Dashed: the margin, {decimal(-curve.margin_pp, 2)} pp."
    says = f"Difference in accuracy from the control over {curve.key} for {len(curve.points)} values; numbers are in the table."
    return Drawn(f"sweep-{place + 1}", f"Sweep over {curve.key}", says, caption, lambda: draw_sweep(curve))


def _sweep_grid(curve: SweepCurve) -> Grid:
    rows = [
        (
            f"{p.at:g}", p.name, f"{p.n}", f"{number(p.value, 3, sign=True)} pp",
            "" if p.low is None or p.high is None else f"[{number(p.low, 3, sign=True)}, {number(p.high, 3, sign=True)}]",
            "" if p.shrunk is None else f"{number(p.shrunk, 3, sign=True)} pp",
        )
        for p in curve.points
    ]  # fmt: skip
    header = (curve.key, "arm", "n", "vs control", "95 % limits, all together", "shrunken")
    return Grid(header, tuple(rows), texts=(1,), fold=f"The values of {curve.key}")


def _sequential(c: Comparison) -> Section:
    found = paths_of(c)
    says = tuple(plain(line) for one in c.comparisons if one.look is not None for line in look_lines(one.look))
    if isinstance(found, Absent):
        return Section("sequential", "Sequential path", says, missing=_once([found.reason]))
    several = len({path.arm for path in found}) > 1
    figures = tuple(_path_figure(path, i, several) for i, path in enumerate(found))
    return Section(
        "sequential",
        "Sequential path",
        says,
        figures,
        tuple(_path_grid(path, several) for path in found),
        half=len(figures) == 1,
    )


def _path_figure(path: Path, place: int, several: bool) -> Drawn:
    name = f"{path.arm}: {path.trail.endpoint}" if several else path.trail.endpoint.capitalize()
    caption = "Above the upper bound the endpoint is proven, at whichever look it gets there."
    if path.floors:
        caption += " Below the lower one it would hardly be proven any more."
    says = f"{path.trail.unit} of {path.trail.endpoint} at {len(path.trail.n)} of {len(path.planned)} looks; numbers are in the table."
    return Drawn(f"looks-{place + 1}", name, says, caption, lambda: draw_path(path))


def _path_grid(path: Path, several: bool) -> Grid:
    trail = path.trail
    bounds = dict(zip(path.planned, path.bounds, strict=True))
    floors = dict(zip(path.planned, path.floors, strict=True)) if path.floors else {}
    seen = dict(zip(trail.n, trail.at, strict=True))
    rows = []
    for n in path.planned:
        at = seen.get(n)
        told = (
            "still to come or not needed" if n not in seen else "unknown" if at is None else decimal(at, 2, sign=True)
        )
        rows.append(
            (f"{n}", told, decimal(bounds[n], 2, sign=True), decimal(floors[n], 2, sign=True) if n in floors else "")
        )
    name = f"{path.arm}: {trail.endpoint}" if several else trail.endpoint
    return Grid(
        ("runs an arm", trail.unit, "proven above", "hopeless below"),
        tuple(rows),
        texts=(),
        fold=f"The looks at {name}",
    )


# --- the campaign ---------------------------------------------------------------------------------------------


def _ladder(stores: Sequence[StoreFacts]) -> Section:
    grids, says = [], []
    for store in stores:
        told = [e for e in store.ledger if e.get("event") in ("ladder", "stage-decision", "left-out")]
        for entry in told:
            if entry.get("event") != "stage-decision":
                says.append(plain(entry_text(entry), 600))
        grids += [grid for e in told if e.get("event") == "stage-decision" for grid in _stage(e)]
    if not grids and not says:
        return Section(
            "ladder",
            "Ladder",
            missing=("These runs are of no ladder (`harness ladder` screens, confirms and decides).",),
        )
    missing = () if grids else ("No stage of the ladder has ended yet.",)
    return Section("ladder", "Ladder", tuple(says), grids=tuple(grids), missing=missing)


def _stage(entry: Mapping[str, Any]) -> Iterator[Grid]:
    """Every arm of a stage with its numbers and its fate; nothing where the entry is of another make."""
    try:
        rows = tuple(
            (
                name_of(arm["arm"]), f"{arm['n']}", f"{100 * arm['accuracy']:.3f} %", f"{number(arm['difference_pp'], 3, sign=True)} pp",
                f"{number(arm['shrunk_pp'], 3, sign=True)} pp", plain(speedup_text(arm)),
                f"{100 * arm['chance']:.0f} %", "went on" if arm["kept"] else plain(f"dropped: {arm['reason']}"),
            )
            for arm in entry["arms"]
        )  # fmt: skip
        kept = sum(1 for arm in entry["arms"] if arm["kept"])
        head = f"Stage {plain(entry['stage'])}: {entry['runs_per_arm']} runs each of {len(rows)} arms, {kept} went on"
    except (KeyError, TypeError, ValueError):
        return
    header = ("arm", "n", "accuracy", "vs control", "shrunken", "speed-up", "chance", "fate")
    yield Grid(header, rows, texts=(0, 7), title=head)


def _drift(c: Comparison) -> Section:
    found = drift_of(c)
    if isinstance(found, Absent):
        return Section("drift", "Drift", missing=_once([found.reason]))
    caption = (
        f"Each of {found.n} runs: its time against the mean of its arm, {found.order}; lines part the process starts."
    )
    drawn = len(found.drawn)
    if drawn < found.n:
        hot = ", and the throttled ones" if found.throttled.any() else ""
        caption += f" {drawn} of {found.n} runs are drawn, evenly chosen{hot}; the means rest on all of them."
    if found.outside:
        caption += f" {found.outside} run{'s lie' if found.outside > 1 else ' lies'} beyond the picture."
    untold = found.untold
    missing = [f"No {' and no '.join(untold)} was recorded with these runs."] if untold else []
    if not found.throttled.any():
        missing.append("No run was marked as throttled.")
    says = f"Deviation of {found.n} run times from their arms' means over {len(found.starts)} process starts; means are in the table."
    figure = Drawn("drift", "Drift", says, caption, lambda: draw_drift(found), wide=True)
    return Section("drift", "Drift", (), (figure,), (_starts(found),), _once(missing))


def _starts(drift: Drift) -> Grid:
    device = [name for name in ("clock", "temperature") if name not in drift.untold]
    header = ("start", "first run", "host", "runs", "mean deviation", *device, "throttled")
    rows = []
    for i, s in enumerate(drift.starts[:100], 1):
        told = {"clock": _known(s.clock_mhz, "MHz"), "temperature": _known(s.temperature_c, "°C")}
        rows.append(
            (f"{i}", s.started_at or "unknown", s.host or "unknown", f"{s.runs}", f"{decimal(s.deviation, 2, sign=True)} %",
             *(told[name] for name in device), f"{s.throttled}")
        )  # fmt: skip
    more = len(drift.starts) - len(rows)
    note = f"{more} further process starts are left out here." if more else ""
    return Grid(header, tuple(rows), texts=(1, 2), note=note, fold="The process starts")


def _known(value: float | None, unit: str) -> str:
    return "unknown" if value is None else f"{value:.0f} {unit}"


def _findings(c: Comparison) -> Section:
    marks, several = marks_of(c), len(c.comparisons) > 1
    items = []
    for code, by_message in findings_by_code(c).items():
        every = list(by_message.values())
        told = [(_whom(names) if several else "", plain(finding.message)) for finding, names in every[:MOST_MESSAGES]]
        if len(every) > MOST_MESSAGES:
            others = [name for _, names in every[MOST_MESSAGES:] for name in names]
            told.append((_whom(others), "The same, with other numbers; `harness compare --json` has every one."))
        advice = dict.fromkeys(plain(f.advice) for f, _ in every if f.severity != "info")
        items.append(FindingItem(plain(marks[code]), plain(code), every[0][0].severity, tuple(told), tuple(advice)))
    missing = (
        ()
        if items
        else ("None: the checks of data, design and environment found nothing to tell.",)
        if c.comparisons
        else ("Findings are told of comparisons, and there is one arm only.",)
    )
    return Section("findings", "Findings", items=tuple(items), missing=missing)


def _whom(names: Sequence[str]) -> str:
    return listed(dict.fromkeys(name_of(name) for name in names), 8)


def _environment(stores: Sequence[StoreFacts]) -> Section:
    rows = []
    for store in stores:
        name = (name_of(store.name),) if len(stores) > 1 else ()
        rows += [(*name, what, value, count) for what, value, count in _places(store)]
    header = (("store",) if len(stores) > 1 else ()) + ("what", "value", "runs")
    texts = tuple(range(len(header) - 1))
    unknown = [what for what in PLACES if not any(any(s.text(what)) for s in stores)]
    missing = (f"Not recorded with any of these runs: {', '.join(unknown)}.",) if unknown else ()
    grid = Grid(header, tuple(rows), texts=texts)
    return Section("environment", "Environment and provenance", grids=(grid,) if rows else (), missing=missing)


def _places(store: StoreFacts) -> Iterator[tuple[str, str, str]]:
    """What is known of where the runs were made: each value with the number of rows that carry it."""
    commits = Counter(
        f"{commit} {_state(dirty)}"
        for commit, dirty in zip(store.text("git_commit"), store.text("git_dirty"), strict=True)
        if commit
    )
    yield from _counted("git commit", commits, store.rows)
    versions = Counter(str(e["harness"]) for e in store.ledger if e.get("event") == "campaign" and e.get("harness"))
    for version in sorted(versions):
        yield "harness that ran them", plain(version, 60), ""
    for what in PLACES:
        known = Counter(value for value in store.text(what) if value)
        if known:
            yield from _counted(what, known, store.rows)


def _state(dirty: str) -> str:
    return {"true": "(with uncommitted changes)", "false": "(clean)"}.get(dirty.strip().lower(), "(state unknown)")


def _counted(what: str, values: Counter[str], rows: int) -> Iterator[tuple[str, str, str]]:
    ordered = sorted(values.items(), key=lambda item: (-item[1], item[0]))
    for value, count in ordered[:MOST_VALUES]:
        yield what, plain(value, 200), f"{count}"
    rest = ordered[MOST_VALUES:]
    if rest:
        yield what, f"{len(rest)} further values", f"{sum(count for _, count in rest)}"
    unknown = rows - values.total()
    if values and unknown > 0:
        yield what, "unknown", f"{unknown}"


def _ledger(stores: Sequence[StoreFacts]) -> Section:
    grids, missing = [], []
    for store in stores:
        if not store.ledger:
            missing.append(
                f"{name_of(store.name)} has no ledger: what was asked of these runs, and when, is not written down."
            )
            continue
        shown = store.ledger[-MOST_LEDGER:]
        rows = tuple(
            (plain(e.get("at", "?"), 40), plain(e.get("event", "?"), 40), plain(entry_text(e), 400)) for e in shown
        )
        gone = len(store.ledger) - len(rows)
        note = (
            f"The first {gone} of {len(store.ledger)} entries are left out: they are in ledger.jsonl." if gone else ""
        )
        fold = f"{len(store.ledger)} entries of {name_of(store.name)}"
        grids.append(Grid(("at", "event", "what"), rows, texts=(0, 1, 2), note=note, fold=fold))
    return Section("ledger", "Ledger", grids=tuple(grids), missing=tuple(missing))


def _raw(stores: Sequence[StoreFacts]) -> Section:
    grids, missing = [], []
    for store in stores:
        grids += [grid for grid in (_failed(store), _rows_of(store)) if grid is not None]
        if store.torn:
            missing.append(
                f"{name_of(store.name)}: {store.torn} bytes of an unfinished last line are left out (an interrupted write)."
            )
    return Section("runs", "Runs", grids=tuple(grids), missing=tuple(missing))


def _failed(store: StoreFacts) -> Grid | None:
    """Attempts that did not complete, with what they said."""
    status = store.text("status")
    gone = [i for i in range(store.rows) if not is_completed(status[i])]
    if not gone:
        return None
    columns = ("arm", "seed", "status", "started_at", "error")
    cells = [store.text(name) for name in columns]
    rows = tuple(tuple(plain(column[i], 240) for column in cells) for i in gone[:MOST_FAILED])
    more = len(gone) - len(rows)
    note = (
        f"{more} further attempts are left out: `harness export {name_of(store.name)}` writes all." if more > 0 else ""
    )
    return Grid(
        columns,
        rows,
        texts=(0, 2, 3, 4),
        note=note,
        fold=f"{counted(len(gone), 'attempt')} of {name_of(store.name)} that did not complete",
    )


def _rows_of(store: StoreFacts) -> Grid:
    """The first rows of a store, as they stand in its file."""
    names = [name for name in RAW if any(store.text(name))]
    cells = [store.text(name) for name in names]
    shown = min(store.rows, MOST_ROWS)
    rows = tuple(tuple(_cell(name, column[i]) for name, column in zip(names, cells, strict=True)) for i in range(shown))
    more = store.rows - shown
    note = f"{more} further rows are left out: `harness export {name_of(store.name)}` writes all." if more else ""
    texts = tuple(
        i
        for i, name in enumerate(names)
        if name in ("arm", "stage", "invocation", "status", "warmup", "started_at", "host")
    )
    return Grid(
        tuple(names), rows, texts=texts, note=note, fold=f"Rows of {name_of(store.name)}: {shown} of {store.rows}"
    )


def _cell(name: str, text: str) -> str:
    """A cell, with no more digits of a fraction than can be read."""
    if name in ("accuracy", "time_s") and text:
        try:
            return f"{float(text):.6g}"
        except ValueError:
            pass
    return plain(text, 60)


def alone_line(c: Comparison) -> str:
    """One arm in a sentence, where there is nothing to judge."""
    e: Estimate = c.control.accuracy
    reach = "" if e.low is not None else " (no limits: fewer than two different runs)"
    return f"{name_of(c.control.name)} alone: accuracy {percent_interval(e)} over {counted(c.control.n, 'run')}{reach}; nothing is judged."
