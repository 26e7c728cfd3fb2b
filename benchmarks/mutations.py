"""What if the statistics were wrong: known mistakes, each made in a copy of the package, and the tests that notice.

    uv run --group dev python -m benchmarks.mutations [--only WORD] [--write]

Copies the package and its tests to a temporary folder, checks that the copy is what gets imported and that its tests pass there,
then makes one mistake at a time and runs the tests that should notice. `--write` puts the table into
docs/validation.md. Exits 1 where a mistake survives.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
COPIED = ("harness", "trainers", "tests", "docs", "benchmarks", "experiments", "pyproject.toml", "README.md")
MEANS, NIST, RATES = (f"tests/reference/test_vectors_{n}.py" for n in ("means", "nist", "proportions"))
RATIOS, MANY, POWER = (f"tests/reference/test_vectors_{n}.py" for n in ("ratios", "multiplicity", "power"))
SEQUENTIAL, SERIES = (f"tests/reference/test_vectors_{n}.py" for n in ("sequential", "series"))
TABLE = "tests/reference/test_vectors_table.py"
EDGES = "tests/unit/stats/test_stats_edges.py"
SAMPLES, VERDICTS, FINDINGS = (f"tests/unit/comparison/test_{n}.py" for n in ("samples", "verdicts", "findings"))
GATE, REVISIONS = (f"tests/functional/test_{n}.py" for n in ("gate_file", "revisions"))
COMPARE, PEEKING = (f"tests/functional/test_{n}.py" for n in ("compare", "looks"))
LEVELS = "tests/calibration/test_gate_levels.py"
LOOKS, STOPPING = "tests/unit/comparison/test_planned_looks.py", "tests/unit/stats/test_after_stopping.py"
CAPS, PUBLISHED, METAMORPHIC = (f"tests/unit/comparison/test_{n}.py" for n in ("caps", "published", "metamorphic"))


@dataclass(frozen=True)
class Mutation:
    """One mistake: `old` becomes `new` in `file`, where it stands exactly once; `tests` should notice."""

    what: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


MUTATIONS = (
    Mutation(
        "looks: every look at the full level",
        "comparison/looks.py",
        "level = float(special.ndtr(-self.efficacy[self.index]))",
        "level = self.alpha",
        (LOOKS,),
    ),
    Mutation(
        "looks: runs beyond the look are judged with it",
        "comparison/looks.py",
        "_step(_until(pair, runs), course",
        "_step(pair, course",
        (LOOKS,),
    ),
    Mutation(
        "looks: time tested at three process starts",
        "comparison/looks.py",
        "LEAST_STARTS = 5",
        "LEAST_STARTS = 3",
        (LOOKS,),
    ),
    Mutation(
        "looks: intervals of a single look",
        "comparison/looks.py",
        "bound = sequential.efficacy_bounds(bounds.information, alpha=alpha, spent_by=spent)[-1]",
        "bound = 1.96",
        (LOOKS,),
    ),
    Mutation(
        "looks: the stop taken for every endpoint's own",
        "comparison/looks.py",
        "if any(earlier is not None and earlier < tail for",
        "if any(earlier is not None and earlier < 0 * tail for",
        (LOOKS,),
    ),
    Mutation(
        "looks: the plain estimate after an early stop",
        "comparison/looks.py",
        "asked.null + sign * x * scale for x in (drift.low, drift.median, drift.high)",
        "contrast.value + 0 * x * sign * scale for x in (drift.low, drift.median, drift.high)",
        (LOOKS,),
    ),
    Mutation(
        "looks: a futility bound that was passed taken for a stop",
        "comparison/looks.py",
        "futility = None if asked.refuted or passed_by else bounds.futility",
        "futility = None if asked.refuted else bounds.futility",
        (LOOKS,),
    ),
    Mutation(
        "looks: several arms at the level of one look each",
        "comparison/looks.py",
        "return float(special.ndtr(-sequential.efficacy_bounds(at, alpha=level)[-1]))",
        "return level",
        (LOOKS,),
    ),
    Mutation(
        "looks: the p-value of the last test alone",
        "comparison/looks.py",
        "return sequential.stagewise_p(bounds.information",
        "return p or sequential.stagewise_p(bounds.information",
        (LOOKS,),
    ),
    Mutation(
        "looks: process starts taken to come as planned",
        "comparison/looks.py",
        "clusters = [float(count) for _, count in starts]",
        "clusters = [planned[look] for look, _ in starts]",
        (LOOKS,),
    ),
    Mutation(
        "looks: a gain that is not there refutes the claim",
        "comparison/looks.py",
        "if beyond is not None and beyond < test.mu0:",
        "if beyond is not None:",
        (LOOKS,),
    ),
    Mutation(
        "looks: no spread taken for proof",
        "stats/sprt.py",
        "if not m.variance or m.n < LEAST_RUNS:",
        "if m.variance is None or m.n < LEAST_RUNS:",
        (EDGES,),
    ),
    Mutation(
        "stages: the control's screening runs judge the chosen",
        "selection.py",
        '(frame["stage"] == sample.stage) & _below',
        '(frame["stage"] != "") & _below',
        (COMPARE,),
    ),
    Mutation(
        "family: a second try in another store is not told",
        "comparison/checks.py",
        "if pair.candidate.tried:",
        "if not pair.candidate.tried and pair.candidate.n < 0:",
        (PEEKING,),
    ),
    Mutation(
        "looks: futility left out of what could have come",
        "stats/sequential.py",
        "state = density.cut(low, efficacy[k] * math.sqrt(t))",
        "state = density.cut(-math.inf, efficacy[k] * math.sqrt(t))",
        (STOPPING,),
    ),
    Mutation(
        "looks: a largest sample without inflation",
        "design/looks.py",
        "largest = max(fixed, min(",
        "largest = min(fixed, min(",
        ("tests/unit/stats/test_look_plans.py",),
    ),
    Mutation(
        "variance with divisor n (ddof = 0)",
        "stats/moments.py",
        "math.fsum(rest * rest) / (n - 1)",
        "math.fsum(rest * rest) / n",
        (NIST, MEANS),
    ),
    Mutation(
        "normal for t quantiles",
        "stats/contrast.py",
        "return float(-special.stdtrit(self.df, tail))",
        "return float(-special.ndtri(tail))",
        (MEANS,),
    ),
    Mutation(
        "normal for t p-values",
        "stats/contrast.py",
        "special.ndtr(t) if math.isinf(self.df) else special.stdtr(self.df, t)",
        "special.ndtr(t)",
        (MEANS,),
    ),
    Mutation("one-sided for two-sided p", "stats/contrast.py", "min(1.0, 2 * p)", "p", (MEANS,)),
    Mutation(
        "one-sided for two-sided interval",
        "stats/contrast.py",
        "tail = (1 - confidence) / 2",
        "tail = 1 - confidence",
        (MEANS,),
    ),
    Mutation(
        "two-sided for one-sided bounds of a decision",
        "comparison/judge.py",
        "    if greater < alpha:\n",
        "    if 2 * greater < alpha:\n",
        (VERDICTS, METAMORPHIC),
    ),
    Mutation(
        "> for >= at the threshold of success",
        "comparison/samples.py",
        'runs["correct"] >= threshold',
        'runs["correct"] > threshold',
        (SAMPLES,),
    ),
    Mutation(
        "float32 threshold of success",
        "comparison/samples.py",
        "ceil(Fraction(repr(float(target))) * total)",
        "ceil(float(np.float32(target)) * total)",
        (SAMPLES,),
    ),
    Mutation(
        "threshold of success in floating point",
        "comparison/samples.py",
        "ceil(Fraction(repr(float(target))) * total)",
        "ceil(float(target) * total)",
        (SAMPLES, METAMORPHIC),
    ),
    Mutation(
        "no tolerance where a rounded accuracy is all there is",
        "comparison/samples.py",
        "target - TOLERANCE",
        "target",
        (SAMPLES,),
    ),
    Mutation(
        "pooled for Welch: standard error",
        "stats/means.py",
        "    se = math.sqrt(a.squared_error + b.squared_error)\n",
        "    se = (pooled_sd(a, b) or 0.0) * math.sqrt(1 / a.n + 1 / b.n)\n",
        (MEANS, TABLE),
    ),
    Mutation(
        "pooled for Welch: degrees of freedom",
        "stats/means.py",
        '    return Contrast(difference, se, df, pooled_sd(a, b), "welch")',
        '    return Contrast(difference, se, a.n + b.n - 2.0, pooled_sd(a, b), "welch")',
        (MEANS,),
    ),
    Mutation(
        "forgotten anchor term in sample sizes",
        "stats/power.py",
        "wanted * wanted - control_sd * control_sd / control_runs\n",
        "wanted * wanted\n",
        (POWER,),
    ),
    Mutation(
        "forgotten anchor term in the correlation of candidates",
        "stats/multiplicity.py",
        "np.sqrt(sizes / (sizes + control_runs))",
        "np.sqrt(sizes / (sizes + np.inf))",
        (MANY,),
    ),
    Mutation(
        "forgotten control in the error of a difference",
        "stats/means.py",
        "    se = math.sqrt(a.squared_error + b.squared_error)\n",
        "    se = math.sqrt(a.squared_error)\n",
        (MEANS,),
    ),
    Mutation(
        "unclustered time",
        "stats/clustered.py",
        "    v, codes, sizes = _grouped(values, clusters)\n    parts = _components(v, codes, sizes)\n    deff",
        "    v, codes, sizes = _grouped(values, np.arange(len(np.asarray(values))))\n    parts = _components(v, codes, sizes)\n    deff",
        (NIST, EDGES),
    ),
    Mutation(
        "unclustered time in the comparison only",
        "comparison/pair.py",
        "clustered_mean(self.blocks.log_speedup, self.blocks.clusters)",
        "clustered_mean(self.blocks.log_speedup, list(range(self.blocks.n)))",
        (VERDICTS, FINDINGS, PUBLISHED, "tests/unit/comparison/test_json.py"),
    ),
    Mutation(
        "forgotten S / (S - 1) in the clustered error",
        "stats/clustered.py",
        "math.sqrt(math.fsum(apart * apart) / (count - 1) / count)",
        "math.sqrt(math.fsum(apart * apart) / count / count)",
        (NIST, RATIOS),
    ),
    Mutation(
        "process starts weighed by their blocks",
        "stats/clustered.py",
        "shift, apart = centred(np.bincount(codes, rest) / sizes)",
        "shift, apart = 0.0, np.bincount(codes, rest) * count / v.size",
        (EDGES,),
    ),
    Mutation(
        "hosts taken for one where one is unknown",
        "comparison/samples.py",
        "    if len(set(hosts)) > 1:",
        "    if len(set(hosts)) > 1 and all(hosts):",
        ("tests/unit/comparison/test_dependence.py",),
    ),
    Mutation(
        "one arm of a sweep judged as if it were alone",
        "comparison/compare.py",
        "max(len(own), 1 + c.siblings)",
        "len(own)",
        ("tests/functional/test_siblings.py",),
    ),
    Mutation(
        "degrees of freedom from runs, not from process starts",
        "stats/clustered.py",
        "0.0 if flat else se, count - 1.0, sd",
        "0.0 if flat else se, v.size - 1.0, sd",
        (NIST, RATIOS),
    ),
    Mutation(
        "speed-up upside down",
        "comparison/samples.py",
        'np.log(self.control["time_s"]) - np.log(self.candidate["time_s"])',
        'np.log(self.candidate["time_s"]) - np.log(self.control["time_s"])',
        (PUBLISHED,),
    ),
    Mutation(
        "difference upside down (control - candidate)",
        "comparison/pair.py",
        "welch(self.candidate.accuracy, self.control.accuracy)",
        "welch(self.control.accuracy, self.candidate.accuracy)",
        (PUBLISHED,),
    ),
    Mutation(
        "margin of non-inferiority with the wrong sign",
        "comparison/judge.py",
        "above(difference, -margin, alpha_accuracy)",
        "above(difference, margin, alpha_accuracy)",
        (PUBLISHED, VERDICTS),
    ),
    Mutation(
        "equivalence by the smaller of both p",
        "stats/equivalence.py",
        "else max(above, below)",
        "else min(above, below)",
        (MEANS, METAMORPHIC),
    ),
    Mutation(
        "one passed endpoint is enough (union for intersection)",
        "comparison/judge.py",
        'decisions and all(d == "pass" for d in decisions)',
        'decisions and any(d == "pass" for d in decisions)',
        (VERDICTS, METAMORPHIC),
    ),
    Mutation(
        "a screening run may pass",
        "comparison/judge.py",
        "    if pair.candidate.screening:\n",
        "    if False:\n",
        (CAPS, FINDINGS),
    ),
    Mutation(
        "several candidates at the level of one",
        "comparison/judge.py",
        "    together = {} if simultaneous is None else",
        "    together = {} if simultaneous is None or True else",
        (CAPS, FINDINGS),
    ),
    Mutation(
        "fewer than 10 runs may pass",
        "comparison/judge.py",
        "    if least < ENOUGH_RUNS:\n",
        "    if False:\n",
        (CAPS, VERDICTS),
    ),
    Mutation(
        "the same work may be called faster", "comparison/checks.py", "    check_compute_neutral,\n", "", (FINDINGS,)
    ),
    Mutation("repeated seeds count", "comparison/checks.py", "    check_duplicates,\n", "", (FINDINGS, METAMORPHIC)),
    Mutation(
        "Wald for Wilson",
        "stats/proportions.py",
        "    middle = (p + z2 / (2 * n)) / (1 + z2 / n)\n    reach = math.sqrt(z2 * (p * (1 - p) / n + z2 / (4 * n * n))) / (1 + z2 / n)\n",
        "    middle = p\n    reach = math.sqrt(z2 * p * (1 - p) / n)\n",
        (RATES,),
    ),
    Mutation(
        "no shrinkage",
        "stats/shrinkage.py",
        "    shrunk = middle + weights * (x - middle)\n",
        "    shrunk = x + 0 * weights\n",
        (MANY,),
    ),
    Mutation(
        "Bonferroni for Holm",
        "stats/multiplicity.py",
        "v[order] * (v.size - np.arange(v.size))",
        "v[order] * v.size",
        (MANY,),
    ),
    Mutation(
        "independent candidates for Dunnett",
        "stats/multiplicity.py",
        "    own = np.sqrt(1 - loading**2)\n",
        "    loading = 0 * loading\n    own = np.sqrt(1 - loading**2)\n",
        (MANY,),
    ),
    Mutation(
        "cost of success without the error of the rate",
        "stats/ratios.py",
        "_log_rate_variance(k, n))\n    reason",
        "0.0)\n    reason",
        (RATIOS,),
    ),
    Mutation(
        "order of time series ignored (lag 1)",
        "stats/series.py",
        "math.fsum(rest[1:] * rest[:-1])",
        "math.fsum(rest[1:] * rest[1:])",
        (NIST,),
    ),
    Mutation(
        "gate: a proven loss within the margin is red",
        "comparison/layers.py",
        "beyond = value < -margin_pp",
        "beyond = value < 0",
        (GATE,),
    ),
    Mutation(
        "gate: what was refused passes",
        "comparison/layers.py",
        '("fail", "refused", "inconclusive")',
        '("fail", "inconclusive")',
        (GATE,),
    ),
    Mutation(
        "gate: fewer than 10 runs pass",
        "comparison/layers.py",
        "if n < ENOUGH_RUNS:",
        "if n < 0:",
        (GATE,),
    ),
    Mutation(
        "gate: creep looks for gains",
        "comparison/layers.py",
        "(base - mean) / se",
        "(mean - base) / se",
        (GATE,),
    ),
    Mutation(
        "gate: the anchor's luck is not allowed for",
        "comparison/layers.py",
        "allowance = 0.0 if anew else",
        "allowance = 0.0 if runs else",
        (LEVELS,),
    ),
    Mutation(
        "gate: a commit enters the history each time",
        "app/gate_creep.py",
        "    if at == len(mine):",
        "    if True:",
        (GATE,),
    ),
    Mutation(
        "gate: red without a second measurement",
        "app/gate_file.py",
        "if check.run and any(",
        "if False and any(",
        (GATE,),
    ),
    Mutation(
        "gate: an expired baseline holds",
        "app/gate_creep.py",
        "if today > datetime",
        "if not today > datetime",
        (GATE,),
    ),
    Mutation(
        "gate: a baseline holds in any environment",
        "app/gate_creep.py",
        'if found != {base["environment"]} or',
        "if False and",
        (GATE,),
    ),
    Mutation(
        "gate: an unconfirmed change becomes the anchor",
        "app/gate_anchor.py",
        'if old is not None and claimed.verdict != "pass":',
        "if False:",
        (GATE,),
    ),
    Mutation(
        "gate: the self-test plants nothing",
        "app/gate_selftest.py",
        "            _plant_row(row, plant)",
        "            pass",
        (GATE,),
    ),
    Mutation(
        "gate: a revision imports the working tree's modules",
        "worker.py",
        'sys.path.insert(0, setup["root"])',
        'sys.path.append(setup["root"])',
        (REVISIONS,),
    ),
    Mutation(
        "gate: edited files of a revision are run",
        "provenance/checkout.py",
        "if not _intact(repository, place):\n                _write",
        "if not place.exists():\n                _write",
        (REVISIONS,),
    ),
)


def make_copy(folder: Path) -> None:
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, folder / name)


def environment(folder: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1"}


def run_tests(folder: Path, tests: tuple[str, ...]) -> tuple[int, list[str]]:
    """Exit code of pytest in the copy, and the tests that failed; stops at the third."""
    command = [sys.executable, "-m", "pytest", "-o", "addopts=", "-q", "-m", "not slow", "--maxfail=3", "--tb=no",
               "-p", "no:cacheprovider", "-p", "no:xdist", "-W", "ignore", *tests]  # fmt: skip
    done = subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=600, check=False
    )
    failed = re.findall(r"^(?:FAILED|ERROR) \S*?(\w+\.py)(?:::(\w+))?", done.stdout, flags=re.MULTILINE)
    return done.returncode, list(dict.fromkeys(test or f"{file} (does not load)" for file, test in failed))


def check_copy(folder: Path, chosen: Sequence[Mutation]) -> None:
    """The copy is what gets imported, and every test that will be used passes there unchanged."""
    ask = "import harness, harness.stats.moments as m; print(harness.__file__); print(m.__file__)"
    said = subprocess.run(
        [sys.executable, "-c", ask], cwd=folder, env=environment(folder), capture_output=True, text=True, check=True
    ).stdout.split()
    if not all(Path(path).is_relative_to(folder) for path in said):
        raise SystemExit(f"the copy is not what is imported: {said}")
    used = tuple(sorted({test for mutation in chosen for test in mutation.tests}))
    code, failed = run_tests(folder, used)
    if code:
        raise SystemExit(f"the tests fail without any mistake: {', '.join(failed)}")


def killed_by(mutation: Mutation, folder: Path) -> list[str]:
    """The tests that fail with the mistake made; none where it survives."""
    path = folder / "harness" / mutation.file
    right = path.read_text(encoding="utf-8")
    if right.count(mutation.old) != 1:
        raise SystemExit(
            f"{mutation.what}: {mutation.file} holds {mutation.old!r} {right.count(mutation.old)} times, not once"
        )
    path.write_text(right.replace(mutation.old, mutation.new), encoding="utf-8")
    try:
        return run_tests(folder, mutation.tests)[1]
    finally:
        path.write_text(right, encoding="utf-8")


def write(lines: list[str]) -> None:
    """The table into the document; rows of mistakes that were not made now stay as they were."""
    sys.path.insert(0, str(ROOT / "tests/reference"))
    from vectors import DOCUMENT, put, section  # type: ignore[import-not-found]

    rows = {line.split(" | ")[0]: line for line in [*section(DOCUMENT, "mutations").splitlines(), *lines[2:]]}
    there = [rows[f"| {m.what}"] for m in MUTATIONS if f"| {m.what}" in rows]
    noticed = sum("**survives**" not in row for row in there)
    last = f"{noticed} of {len(there)} mistakes are noticed; at most three tests are named for each."
    put(DOCUMENT, "mutations", "\n".join([*lines[:2], *there, "", last]))


def main() -> None:
    parser = argparse.ArgumentParser(description="Known mistakes, and the tests that notice them.")
    parser.add_argument("--only", default="", help="mistakes whose name holds this")
    parser.add_argument("--write", action="store_true", help="put the table into docs/validation.md")
    asked = parser.parse_args()
    chosen = [m for m in MUTATIONS if asked.only in m.what]
    lines = ["| mistake | in | killed by |", "|---|---|---|"]
    survived = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        make_copy(folder)
        check_copy(folder, chosen)
        print("\n".join(lines))
        for mutation in chosen:
            killers = killed_by(mutation, folder)
            survived += not killers
            shown = ", ".join(f"`{k}`" for k in killers) or "**survives**"
            lines.append(f"| {mutation.what} | `{mutation.file}` | {shown} |")
            print(lines[-1], flush=True)
    lines += [
        "",
        f"{len(chosen) - survived} of {len(chosen)} mistakes are noticed; at most three tests are named for each.",
    ]
    print(lines[-1])
    if asked.write:
        write(lines)
    raise SystemExit(1 if survived else 0)


if __name__ == "__main__":
    main()
