"""What a judgement costs, and how often it is wrong, beside the tools that people use today.

    uv run --group benchmark python -m benchmarks.judgement [--only memory sweep store peers errors]

1. memory: 1000 against 1000 runs, samples already made.            At most 50 ms.
2. sweep: 35 arms of 25 seeds with every selection-adjusted column. At most 1 s.
3. store: 10,000, 100,000 and a million runs in one `runs.csv`, read and judged as `harness compare` does, each in a process of
   its own.                                                         At most 15 s and 2 GB for the million; growth linear.
4. peers: the time of one judgement of two samples of 1000: this harness, `pyperf compare_to`, scipy's BCa bootstrap of the
   difference of means, rliable's interval. They take turns; medians are printed.
5. errors: how often each calls 25 against 1000 runs of one and the same distribution different, over 500 pairs.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
import types
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.comparison.compare import compare_samples
from harness.comparison.frame import Frame, make_frame, text_column
from harness.comparison.pair import Promise
from harness.comparison.samples import Sample, make_sample
from harness.model.run import COLUMNS

FloatArray = NDArray[np.float64]
PROMISE = Promise("faster", target=0.96, margin_pp=0.05)
MEAN, SD, TOTAL = 0.9615, 0.0012, 10_000
RESAMPLES = {"bca": 9_999, "rliable": 50_000}
"""The defaults of both libraries; the error rates use 2,000, which costs the rates nothing that 500 pairs could show."""
PARTS = ("memory", "sweep", "store", "peers", "errors")


# --- runs ---------------------------------------------------------------------------------------------------


def drawn(arm: str, n: int, rng: np.random.Generator, *, invocations: int = 25) -> Sample:
    """`n` runs of an arm with everything that a store knows of them; arms drawn alike share blocks."""
    numbers = np.arange(n)
    process = numbers * invocations // n
    texts = {
        "arm": arm, "stage": "confirm", "lane": "exclusive", "config_hash": f"c-{arm}", "code_hash": "k", "data_hash": "d",
        "status": "completed", "clock": "training", "host": "one", "device": "GPU", "environment": "e", "throttle": "none",
    }  # fmt: skip
    columns: dict[str, Any] = {k: text_column([v] * n) for k, v in texts.items()}
    columns["compute_hash"] = text_column([f"w-{arm}"] * n)
    columns["invocation"] = text_column([f"p{p}" for p in process])
    columns["started_at"] = text_column(
        [f"2026-01-01T00:{i // 3600:02}:{i // 60 % 60:02}.{i % 60:03}Z" for i in numbers]
    )
    columns["seed"] = rng.permutation(10**6)[:n].astype(np.float64)
    columns["block"] = columns["replicate"] = numbers.astype(np.float64)
    columns["total"] = np.full(n, float(TOTAL))
    columns["correct"] = np.rint(rng.normal(MEAN, SD, n) * TOTAL)
    columns["steps"] = np.full(n, 400.0)
    columns["time_s"] = 3.2 * np.exp(rng.normal(0, 0.004, invocations)[process] + rng.normal(0, 0.003, n))
    return make_sample(arm, [make_frame(columns, n, "drawn")])


def fresh(sample: Sample) -> Sample:
    """The same sample with nothing remembered from an earlier judgement."""
    columns = {name: sample.rows[name] for name in sample.rows.columns}
    return make_sample(sample.name, [Frame(columns, sample.rows.rows)])


def write_store(folder: Path, runs: int) -> None:
    """A store of two interleaved arms, `runs` rows in all; every invocation begins with a warm-up of each arm."""
    rng = np.random.default_rng(7)
    folder.mkdir(parents=True)
    arms = [{"name": "baseline", "role": "control"}, {"name": "candidate", "role": "candidate"}]
    (folder / "experiment.json").write_text(json.dumps({"name": folder.name, "arms": arms, "claim": "faster"}))
    with (folder / "runs.csv").open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(COLUMNS) + "\n")
        for start in range(0, runs, 50_000):
            file.writelines(_rows(start, min(runs, start + 50_000), rng, per_invocation=max(100, runs // 500)))


def _rows(start: int, end: int, rng: np.random.Generator, *, per_invocation: int) -> Iterator[str]:
    correct = np.rint(rng.normal(MEAN, SD, end - start) * TOTAL).astype(int).tolist()
    times = (3.2 * np.exp(rng.normal(0, 0.004, end - start))).tolist()
    losses = rng.normal(0.22, 0.01, end - start).tolist()
    for i in range(start, end):
        process, within = divmod(i, per_invocation)
        side, block = i % 2, i // 2 - process - 1
        name, invocation, k = ("baseline", "candidate")[side], f"{process:08x}beef", i - start
        warm = within < 2
        place = ",," if warm else f"{block},{block},{side}"
        clock = f"2026-01-{1 + i // 200_000:02}T{i // 8000 % 24:02}:{i // 134 % 60:02}:{i % 60:02}"
        yield (
            f"{invocation}.{within},large,{name},final,exclusive,c{side}0000000000,w{side}0000000000,80ffb88f26bb,4970ac16861a,"
            f"{2_000_000 + block},{place},{invocation},1,completed,{'true' if warm else 'false'},{correct[k]},{TOTAL},"
            f"{correct[k] / TOTAL!r},{losses[k]!r},{times[k] / (1 + side / 4)!r},"
            f'"initialisation, training with augmentation, evaluation",{400 - 80 * side},{5.0 - side},{clock}.123Z,{clock}.987Z,'
            f"node-1,NVIDIA H100 80GB HBM3,GPU-0123,570.86,12.8,9.10,2.9.0,3.11.7,AMD EPYC,1980,{50 + k % 9},none,45649920,"
            f"9e9fcda3507de44c42d6264d013b897a52fe0fc5,false,5bbd047179f6,,{invocation}.{within},df866228e21d\n"
        )


# --- the harness's own cost ---------------------------------------------------------------------------------


def seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def clocks(work: Callable[[], Any]) -> tuple[float, float]:
    """Seconds on the clock, and of this process at work: the latter hardly hears what else runs on the machine."""
    start = time.process_time()
    wall = seconds(work)
    return wall, time.process_time() - start


def memory() -> None:
    rng = np.random.default_rng(1)
    sides = [drawn(name, 1000, rng) for name in ("control", "candidate")]
    taken = []
    for _ in range(21):
        control, candidate = map(fresh, sides)
        taken.append(clocks(lambda a=control, b=candidate: compare_samples(a, [b], PROMISE).as_dict()))
    wall, cpu = (1000 * statistics.median(t[i] for t in taken[1:]) for i in range(2))
    print(f"memory: 1000 against 1000 runs: {wall:.1f} ms, of which {cpu:.1f} ms of computing (at most 50)")


def sweep() -> None:
    rng = np.random.default_rng(2)
    sides = [drawn(f"arm-{i}", 25, rng, invocations=5) for i in range(36)]
    taken = []
    for _ in range(7):
        control, *candidates = map(fresh, sides)
        taken.append(clocks(lambda a=control, b=candidates: compare_samples(a, b, PROMISE).as_dict()))
    wall, cpu = (statistics.median(t[i] for t in taken) for i in range(2))
    print(f"sweep: 35 candidates of 25 seeds: {wall:.2f} s, of which {cpu:.2f} s of computing (at most 1)")


CHILD = """
import json, resource, sys, time
start = time.perf_counter()
from pathlib import Path
from harness.app import judging
from harness.report.table import table_text
results, name = Path(sys.argv[1]), sys.argv[2]
judged = judging.judge([f"{name}:baseline", f"{name}:candidate"], results, judging.Asked("faster", 0.96, 0.05))
text = table_text(judged)
used = resource.getrusage(resource.RUSAGE_SELF)
cpu = used.ru_utime + used.ru_stime
print(json.dumps([time.perf_counter() - start, cpu, used.ru_maxrss / 2**20, judged.comparisons[0].verdict]))
"""


def store() -> None:
    sizes = (10_000, 100_000, 1_000_000)
    cpu: dict[int, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            name = f"runs-{size}"
            write_store(Path(folder) / name, size)
            megabytes = (Path(folder) / name / "runs.csv").stat().st_size / 1e6
            done = [_judged_apart(folder, name) for _ in range(3)]
            wall, cpu[size] = (statistics.median(d[i] for d in done) for i in range(2))
            limit = " (at most 15 s, 2 GB)" if size == sizes[-1] else ""
            print(
                f"store: {size:>9,} runs ({megabytes:.0f} MB): {wall:.2f} s, of which {cpu[size]:.2f} s of computing, "
                f"peak {max(d[2] for d in done):.2f} GB{limit}, {done[0][3]}"
            )
    slopes = [(cpu[b] - cpu[a]) / (b - a) * 1e6 for a, b in itertools.pairwise(sizes)]
    print(f"store: a further million costs {slopes[0]:.1f} s at the slope of the small, {slopes[1]:.1f} s of the large")


def _judged_apart(folder: str, name: str) -> tuple[float, float, float, str]:
    """Seconds on the clock, seconds of computing (imports included), peak in GB, verdict."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, folder, name], check=True, capture_output=True, text=True
    ).stdout
    wall, cpu, peak, verdict = json.loads(done)
    return wall, cpu, peak, verdict


# --- beside others ------------------------------------------------------------------------------------------

Judge = Callable[[FloatArray, FloatArray], bool]


def ours(control: FloatArray, candidate: FloatArray) -> bool:
    """The whole judgement from arrays; "different" where the interval of the difference excludes 0."""
    sides = [
        make_sample(name, [make_frame({"accuracy": x, "seed": np.arange(x.size) + 10_000.0 * i}, x.size, name)])
        for i, (name, x) in enumerate((("control", control), ("candidate", candidate)))
    ]
    p = compare_samples(sides[0], sides[1:], PROMISE).comparisons[0].p
    return p is not None and p < 0.05


def bca_tool(resamples: int) -> Judge:
    """scipy's BCa interval of the difference of means."""
    from scipy import stats

    def difference(a: FloatArray, b: FloatArray, axis: int = -1) -> Any:
        return a.mean(axis=axis) - b.mean(axis=axis)

    def judge(control: FloatArray, candidate: FloatArray) -> bool:
        made = stats.bootstrap(
            (candidate, control),
            difference,
            method="BCa",
            n_resamples=resamples,
            rng=np.random.default_rng(3),
            batch=500,
        )
        low, high = made.confidence_interval
        return not low <= 0 <= high

    return judge


def pyperf_tool() -> Judge:
    """What `pyperf compare_to` computes from two loaded files: its significance test and the ratio of means."""
    import pyperf
    from pyperf._compare import CompareData, CompareResult

    def loaded(values: FloatArray) -> Any:
        facts = {"name": "judgement", "unit": "second"}
        return pyperf.Benchmark(
            [pyperf.Run([value], metadata=facts, collect_metadata=False) for value in values.tolist()]
        )

    def judge(control: FloatArray, candidate: FloatArray) -> bool:
        sides = [CompareData(str(i), loaded(values)) for i, values in enumerate((control, candidate))]
        result = CompareResult(*sides)
        result.format()
        return bool(result.significant)

    return judge


def rliable_tool(resamples: int) -> Judge:
    """rliable's 95 % percentile interval of the difference of means, both samples resampled on their own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        library = _rliable()

    def difference(a: FloatArray, b: FloatArray) -> FloatArray:
        return np.array([a.mean() - b.mean()])

    def judge(control: FloatArray, candidate: FloatArray) -> bool:
        sides = {"difference": [candidate[:, None], control[:, None]]}
        np.random.seed(3)  # noqa: NPY002 - rliable draws from the global state, whatever seed it is given
        _, limits = library.get_interval_estimates(sides, difference, reps=resamples)
        low, high = limits["difference"][:, 0]
        return not low <= 0 <= high

    return judge


def _rliable() -> Any:
    """rliable.library; with pandas 3 the package file of its dependency arch fails, of which it needs the bootstrap alone."""
    try:
        return importlib.import_module("rliable.library")
    except TypeError:
        print("peers: rliable's dependency arch does not import with this pandas; its bootstrap is imported by itself")
    found = importlib.util.find_spec("arch")
    bare = types.ModuleType("arch")
    bare.__path__ = list(found.submodule_search_locations or []) if found else []
    for name in [name for name in sys.modules if name.partition(".")[0] == "arch"]:
        del sys.modules[name]
    sys.modules["arch"] = bare
    return importlib.import_module("rliable.library")


def judges(resamples: dict[str, int]) -> dict[str, Judge]:
    """This harness and every peer that is installed; the others are named."""
    makers: dict[str, Callable[[], Judge]] = {
        "this harness": lambda: ours,
        f"scipy BCa, {resamples['bca']:,} resamples": lambda: bca_tool(resamples["bca"]),
        "pyperf compare_to": pyperf_tool,
        f"rliable, {resamples['rliable']:,} resamples": lambda: rliable_tool(resamples["rliable"]),
    }
    found: dict[str, Judge] = {}
    for name, make in makers.items():
        try:
            found[name] = make()
        except ImportError as problem:
            print(f"peers: {name}: not installed here ({problem}): run with `--group benchmark`")
    return found


def peers() -> None:
    rng = np.random.default_rng(4)
    control, candidate = (rng.normal(MEAN, SD, 1000) for _ in range(2))
    tools = judges(RESAMPLES)
    taken: dict[str, list[float]] = {name: [] for name in tools}
    for _ in range(7):
        for name, judge in tools.items():
            taken[name].append(seconds(lambda judge=judge: judge(control, candidate)))
    own = statistics.median(taken["this harness"])
    for name, times in taken.items():
        middle = statistics.median(times)
        print(f"peers: two samples of 1000: {name}: {1000 * middle:.1f} ms, {middle / own:.1f} × this harness")


def errors(pairs: int) -> None:
    for name, judge in judges({"bca": 2_000, "rliable": 2_000}).items():
        rng = np.random.default_rng(5)
        called = 0
        for _ in range(pairs):
            control, candidate = rng.normal(MEAN, SD, 1000), rng.normal(MEAN, SD, 25)
            called += judge(control, candidate)
        print(
            f"errors: 25 against 1000 runs of one distribution: {name}: {called} of {pairs} called different",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=PARTS, default=PARTS)
    parser.add_argument("--pairs", type=int, default=500)
    asked = parser.parse_args()
    work = {"memory": memory, "sweep": sweep, "store": store, "peers": peers, "errors": lambda: errors(asked.pairs)}
    for part in asked.only:
        work[part]()


if __name__ == "__main__":
    main()
