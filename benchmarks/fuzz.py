"""Inputs that nobody would write, into everything that reads one: only a refusal in words may come out, and soon.

    python -m benchmarks.fuzz --minutes 5                       # all targets in turn
    python -m benchmarks.fuzz --minutes 1 --only yaml --seed 7
    python -m benchmarks.fuzz --minutes 5 --write docs/faults.md

Inputs come from hypothesis: grammars near the real thing, and real files with pieces cut out, doubled and replaced. Each one has
a limit of time and the whole a limit of memory. What is no HarnessError is a crash; its input is printed, shrunk.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from harness.errors import HarnessError

LIMIT_S = 10.0
MOST_SHOWN = 600
MEMORY_BYTES = 4 * 2**30
BEGIN, END = "<!-- fuzz -->", "<!-- end of fuzz -->"


class TooSlow(Exception):
    """An input that takes longer than any should."""


@dataclass(frozen=True)
class Target:
    """What is read, from which inputs; `read` gets an input and an empty folder."""

    name: str
    inputs: st.SearchStrategy[Any]
    read: Callable[[Any, Path], object]


# --- inputs -------------------------------------------------------------------------------------------------

ODD = [
    "", "0", "-1", "nan", "inf", "1e400", "9" * 400, "9" * 5000, "true", "null", "~", "../x", "a.toml", "\0", "\x1b[31m", "\u2028",
    "\ud7ff", "x" * 300,
    "é", "=1", '"', "'", "[", "{", "#", "\n", "\r\n", "\t", ",", ";", ":", "- ", "&a", "*a", "!!", "<<", "%", "|", ">", "\ufeff",
    "2024-01-01",
]  # fmt: skip
WORD = st.sampled_from(ODD) | st.text(max_size=12)
KEYS = st.sampled_from(
    ["question", "extends", "trainer", "control", "claim", "target", "margin_pp", "max_slowdown", "alpha", "record", "seeds", "stage",
    "seed_root", "invocations", "timeout_s", "warmup", "config", "sweep", "arms", "presets", "aliases", "ladder", "name", "git", "grid",
    "one_at_a_time", "sizes", "keep", "lr", "lr.end", "epochs", "steps", "checks", "history", "baseline", "layers", "expires", "run",
    "experiment", "candidate", "budget_pp", "hard_alpha", "anchor_seeds", "preset"]
) | WORD  # fmt: skip
VALUE: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORD | st.integers(min_value=2**62),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


def toml_text(value: Any) -> str:
    """A value as TOML nearly writes it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(str(k))} = {toml_text(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml_text, value)) + "]"
    return json.dumps(value, allow_nan=True) if not isinstance(value, float) else repr(value)


def toml_file(table: dict[str, Any]) -> str:
    return "".join(
        f"{k if k.replace('.', '').replace('_', '').isalnum() and k.isascii() else json.dumps(k)} = {toml_text(v)}\n"
        for k, v in table.items()
    )


EXPERIMENTS = [
    'trainer = "digits"\nseeds = 3\nmargin_pp = 0.1\n[sweep.grid]\n"lr.end" = [0.0, 0.1]\nsteps = [10, 20]\n',
    'trainer = "digits"\n[[arms]]\nname = "a"\n[[arms]]\nname = "b"\n[arms.config]\nsteps = 20\n'
    '[presets.p]\nseeds = 2\n[ladder]\nsizes = [25, 200]\nkeep = ["1/3"]\n',
    'extends = "digits-baseline"\ncontrol = "digits-baseline"\nclaim = "faster"\n[sweep.one_at_a_time]\nsteps = [10]\n',
]
GATES = [
    '[[checks]]\nname = "a"\ncontrol = "x"\ncandidate = "y:z"\nmargin_pp = 0.1\nlayers = ["hard", "creep"]\nexpires = 2030-01-31\n',
    'history = "h.jsonl"\n[[checks]]\nname = "b"\nexperiment = "e.toml"\nrun = true\nmax_slowdown = "1%"\nbudget_pp = 0.1\n',
]
YAMLS = [
    "trainer: digits\nseeds: 3\nconfig:\n  steps: 10\n  lr: {end: 0.1}\nsweep:\n  grid:\n    steps: [10, 20]\n",
    "a: &a [1, 2]\nb: *a\nc: !!float 3\nd: !!bool yes\ne: |\n  text\nf: ~\n",
]
CSVS = [
    "seed,arm,accuracy,time_s,status\n1,a,0.5,1.0,completed\n2,b,0.6,2.0,crashed\n",
    'run_id;seed;correct;total;error\nr1;1;9;10;"a ""b"" c"\nr2;2;8;10;\n',
    "seed\taccuracy\tblock\tinvocation\n1\t.5\t0\tx\n",
]
ANSWERS = [
    json.dumps({"id": 1, "status": "completed", "results": [{"arm": "a", "correct": 9, "total": 10, "accuracy": 0.9, "time_s": 1.0,
    "clock": "c", "data_hash": None,
                "metrics": [["loss", 0.5, 1, ""]], "mask": [2, "wA=="], "steps": 3, "ended_at": "2030-01-01T00:00:00Z"}]}),
    json.dumps({"id": 1, "status": "crashed", "error": "x"}),
    json.dumps({"id": 1, "status": "ready", "fields": {}, "environment": {"fingerprinted": {"cpu": {"name": "x"}}, "context": {}}}),
]  # fmt: skip
SETS = ["lr=0.1", "lr.end=[1, 2]", 'x="a"', "margin_pp=.05", "seeds=3", "steps=10", "claim=faster"]


@st.composite
def spoilt(draw: st.DrawFn, real: list[str]) -> str:
    """A real text with pieces cut out, doubled, swapped and replaced."""
    text = draw(st.sampled_from(real))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        to = min(len(text), at + draw(st.integers(0, 12)))
        piece = draw(WORD | st.just(text[at:to] * draw(st.integers(1, 3))))
        text = text[:at] + piece * draw(st.sampled_from([1, 1, 1, 2, 50])) + text[to:]
    return text


def near(real: list[str], made: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return spoilt(real) | made | st.sampled_from(DEEP)


DEEP = [
    "x = " + "[" * 3000, "x = " + "[" * 40 + "]" * 40, "a" + ".a" * 3000 + " = 1", "a: " + "[" * 3000, "a: " + "{a: " * 300, "- " * 3000,
    "[" * 100_000,
    "a: &a [1, 1, 1, 1, 1, 1, 1, 1]\n"
    + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}" + f", *{chr(97 + i)}" * 7 + "]\n" for i in range(9)),
    "a: &a [*a]", "a: &a {b: *a}", "a: !!int ''", "a: !!bool maybe", "a: !!timestamp x", "a: !!python/object:os.system ls",
    "a: !!binary é", "x" * 100_000,
    '[sweep.grid]\n' + "".join(f"k{i} = [1, 2, 3, 4, 5, 6, 7, 8, 9]\n" for i in range(12)), "\x00" * 50, "a,b\n" * 3, '"' * 9999,
    "seed,accuracy\n" + '1,"' * 500,
]  # fmt: skip


# --- what reads them ----------------------------------------------------------------------------------------


def _file(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    return path


def read_toml(text: str, folder: Path) -> object:
    from harness import spec

    return spec.load_experiment(
        str(_file(folder, "e.toml", text)), spec.Request(preset="p" if "presets" in text else None)
    )


def read_yaml(text: str, folder: Path) -> object:
    from harness import spec

    return spec.load_experiment(str(_file(folder, "e.yaml", text)), spec.Request())


def read_gate(text: str, folder: Path) -> object:
    from harness.gatefile import read_gate_file

    return read_gate_file(_file(folder, "gate.toml", text))


def read_sets(pairs: list[str], folder: Path) -> object:
    from harness import spec

    sets = spec.parse_sets(pairs)
    return spec.load_experiment("quickstart", spec.Request(sets))


def read_csv(text: str, folder: Path) -> object:
    from harness.exchange import import_file
    from harness.store.frames import read_dataframe, read_frame
    from harness.store.read import open_store

    path, results = _file(folder, "in.csv", text), Path(tempfile.mkdtemp(dir=folder))
    import_file(path, "there", results)
    store = open_store(results, "there")
    read_frame(store)
    return read_dataframe(store)


def read_runs(text: str, folder: Path) -> object:
    """A store's own file, and what `compare`, `verify` and the next writer make of it."""
    from harness.logger import ExperimentLogger
    from harness.store.frames import read_frame
    from harness.store.read import open_store
    from harness.verify import problems_of

    results = Path(tempfile.mkdtemp(dir=folder))
    (results / "s").mkdir()
    _file(results / "s", "runs.csv", text)
    store = open_store(results, "s")
    with contextlib.suppress(HarnessError):
        read_frame(store)
    with contextlib.suppress(HarnessError):
        problems_of(store, store.table())
    before = (results / "s/runs.csv").read_bytes()
    ExperimentLogger("s", results=results).close()
    if not (results / "s/runs.csv").read_bytes().startswith(before[: before.rfind(b"\n") + 1]):
        raise AssertionError("whole lines were changed")
    return None


def read_json_beside(text: str, folder: Path) -> object:
    """experiment.json, the ledger, a gate's baseline and history."""
    from harness.anchors import read_baselines, read_history
    from harness.store.read import ledger_of, open_store

    results = Path(tempfile.mkdtemp(dir=folder))
    (results / "s").mkdir()
    for name in ("experiment.json", "ledger.jsonl", "baseline.json", "history.jsonl"):
        _file(results / "s", name, text)
    for read in (
        lambda: open_store(results, "s"),
        lambda: read_baselines(results / "s/baseline.json"),
        lambda: read_history(results / "s/history.jsonl"),
    ):
        with contextlib.suppress(HarnessError):
            read()
    (results / "s/experiment.json").unlink()
    return ledger_of(open_store(results, "s"))


def read_answer(text: str, folder: Path) -> object:
    """A line on a worker's pipe, through the driver's own reading of it."""
    from harness.executors.answers import Garbled, hello_of, results_of, status_of
    from harness.executors.process import Worker, WorkerDied, WorkerTimeout
    from harness.logger import checked_record
    from harness.model.run import RunRecord

    class Silent(Worker):
        def __init__(self) -> None:  # no process: its pipe is filled here
            self._up, self._down = os.pipe()
            self._asked, self._buffer, self._killed = 1, bytearray(), True

        def kill(self) -> None:
            pass

        def _epitaph(self) -> str:
            return "gone"

    worker = Silent()
    try:
        payload = text.encode("utf-8", "surrogatepass")[:60_000]
        os.write(worker._down, payload + b"\n")
        answer = worker.wait(5.0)
        with contextlib.suppress(Garbled):
            hello_of(answer)
        if status_of(answer, "completed") == "completed":
            for one in results_of(answer, ["a"]):
                checked_record(RunRecord(run_id="r", experiment="e", arm="a", **one.facts))
    except (Garbled, WorkerDied, WorkerTimeout):
        pass
    finally:
        os.close(worker._up)
        os.close(worker._down)
    return None


def read_words(words: list[str], folder: Path) -> object:
    """A command line."""
    import harness.cli

    out, err = io.StringIO(), io.StringIO()
    before = Path.cwd()
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = harness.cli.run_cli(words)
    finally:
        os.chdir(before)
    if code == 70:
        raise AssertionError(err.getvalue())
    return None


TABLES = st.dictionaries(KEYS, VALUE, max_size=6)
LINES = st.lists(st.lists(WORD, min_size=1, max_size=5).map(",".join), min_size=1, max_size=5).map("\n".join)
READS = ("compare", "show", "list", "plan", "speedup", "aa", "verify", "export", "import", "summary", "gate")
OPTIONS = [
    "--json",
    "--claim",
    "--target",
    "--margin-pp",
    "--alpha",
    "--seeds",
    "--as",
    "--map",
    "--stage",
    "--arm",
    "--preset",
    "--set",
    "--looks",
    "--difference-pp",
    "--sd-pp",
    "--power",
    "-q",
    "--dry-run",
    "--results",
    "--experiments",
    "--markdown=x.md",
    "--junitxml=x.xml",
    "--completed",
    "--no-rerun",
]
TARGETS = (
    Target("experiment TOML", near(EXPERIMENTS, TABLES.map(toml_file)), read_toml),
    Target("experiment YAML", near(YAMLS, TABLES.map(lambda t: json.dumps(t, ensure_ascii=False))), read_yaml),
    Target("gate.toml", near(GATES, TABLES.map(toml_file)), read_gate),
    Target(
        "--set",
        st.lists(near(SETS, st.tuples(KEYS, VALUE.map(toml_text)).map("=".join)), min_size=1, max_size=3),
        read_sets,
    ),
    Target("CSV import", near(CSVS, LINES), read_csv),
    Target("runs.csv", near(CSVS, LINES), read_runs),
    Target("JSON of a store and a gate", near(ANSWERS, VALUE.map(json.dumps)), read_json_beside),
    Target("worker's answer", near(ANSWERS, VALUE.map(json.dumps)), read_answer),
    Target(
        "command line",
        st.tuples(
            st.sampled_from(READS),
            st.lists(st.sampled_from(OPTIONS) | WORD.filter(lambda w: "\0" not in w), max_size=6),
        ).map(lambda t: [t[0], *t[1]]),
        read_words,
    ),
)


# --- running them -------------------------------------------------------------------------------------------


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    def late(number: int, frame: Any) -> None:
        raise TooSlow(f"no end within {seconds:g} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def tried(target: Target, *, examples: int, seed: int) -> tuple[int, int]:
    """Inputs tried and inputs refused. Raises what a target raised beside HarnessError, for the smallest input that does it."""
    counts = [0, 0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        @settings(
            max_examples=examples, database=None, deadline=None, derandomize=False, suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.target, Phase.shrink), print_blob=False,
        )  # fmt: skip
        @given(target.inputs)
        def once(found: Any) -> None:
            counts[0] += 1
            try:
                with limited(LIMIT_S):
                    target.read(found, folder)
            except HarnessError:
                counts[1] += 1

        from hypothesis import seed as seeded

        seeded(seed)(once)()
    return counts[0], counts[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--only", default="", help="targets whose name holds this")
    parser.add_argument("--seed", type=int, default=random.randrange(2**31))
    parser.add_argument("--write", type=Path, metavar="PAGE", help="write the table into this page, between its marks")
    given_ = parser.parse_args()
    warnings.simplefilter("ignore")  # of hypothesis, about inputs that are long on purpose
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    targets = [target for target in TARGETS if given_.only in target.name]
    counts = {target.name: [0, 0, 0] for target in targets}
    end, number = time.monotonic() + 60 * given_.minutes, given_.seed
    while time.monotonic() < end:
        for target in targets:
            number += 1
            try:
                all_, refused = tried(target, examples=200, seed=number)
            except Exception as problem:  # noqa: BLE001 - what is looked for
                counts[target.name][2] += 1
                print(
                    f"CRASH of {target.name} (seed {number}): {type(problem).__name__}: {str(problem)[:MOST_SHOWN]}",
                    file=sys.stderr,
                )
                print("\n".join(getattr(problem, "__notes__", []))[:MOST_SHOWN], file=sys.stderr)
                traceback.print_tb(problem.__traceback__, limit=-4)
            else:
                counts[target.name][0] += all_
                counts[target.name][1] += refused
    table = "\n".join(["| read | inputs tried | refused in words | crashes |", "|---|---|---|---|"] + [
        f"| {name} | {a:,} | {b:,} | {c} |" for name, (a, b, c) in counts.items()
    ])  # fmt: skip
    print(table)
    if given_.write:
        before, _, rest = given_.write.read_text(encoding="utf-8").partition(BEGIN)
        given_.write.write_text(f"{before}{BEGIN}\n{table}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    sys.exit(any(c for _, _, c in counts.values()))


if __name__ == "__main__":
    main()
