"""Whether what `harness doctor` says of a machine is what is found there afterwards.

    uv run python -m benchmarks.doctor_check [--seconds 60] [--starts 40] [--rounds 1] [--write docs/doctor.md]

A round is `harness doctor`, then `harness run` of an A/A store (two arms of one configuration) and `harness aa` on it, all as
commands of their own. Compared are: the standard deviation of a process start's mean log ratio that the doctor predicts, with its
interval, and the store's; the one-sided level and the false alarms that `harness aa` finds; and the smallest effect that the
doctor promises to be seen nine times in ten with 25 seeds an arm in 5 process starts: in campaigns of 5 process starts drawn from
the store's, without an effect and with that effect laid over the candidate's times, how often
the judgement of `harness compare` passes it as faster.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import special

from harness.comparison.compare import compare_samples
from harness.comparison.frame import Frame, concatenate
from harness.comparison.noise import NoiseFloor, noise_floor
from harness.comparison.pair import Pair, Promise
from harness.comparison.samples import Sample, make_sample
from harness.selection import Shelf, resolve

AA = 'extends = "digits-baseline"\nclaim = "time-only"\n[[arms]]\nname = "a"\n[[arms]]\nname = "b"\n'
BLOCKS, STARTS, ALPHA, POWER, DRAWS = 5, 5, 0.05, 0.9, 2000
MARKS = ("<!-- figures of benchmarks/doctor_check.py -->", "<!-- end of the figures -->")


@dataclass(frozen=True)
class Round:
    """What was told, and what was found."""

    told: dict[str, Any]
    load: dict[str, Any]
    found: NoiseFloor
    alarm: dict[str, Any]
    null: float
    seen: float

    @property
    def p(self) -> float:
        """Two-sided p of equal spreads, F on the process starts less one of both."""
        ratio = (self.told["start_sd"] / self.found.start_sd) ** 2
        tail = float(special.fdtrc(self.told["starts"] - 1, self.found.starts - 1, ratio))
        return 2 * min(tail, 1 - tail)


def harness(folder: Path, *arguments: object) -> str:
    command = [sys.executable, "-m", "harness", *map(str, arguments)]
    environ = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, (str(Path.cwd()), os.environ.get("PYTHONPATH", ""))))
    }
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=True).stdout


def one_round(folder: Path, *, seconds: float, starts: int) -> Round:
    told = json.loads(harness(folder, "doctor", "--seconds", seconds, "-q", "--json"))
    (folder / "aa.toml").write_text(AA)
    harness(folder, "run", "aa.toml", "--seeds", BLOCKS * starts, "--set", f"invocations={starts}", "-q")
    alarms = json.loads(harness(folder, "aa", "aa", "--json"))["alarms"]
    question = resolve(Shelf(folder / "results"), ["aa"])
    pair = Pair(question.control, question.candidates[0], Promise("time-only", ALPHA))
    found = noise_floor(pair, power=POWER)
    assert isinstance(found, NoiseFloor), found
    effect = math.log1p(told["noise"]["reach"][0]["detectable"])
    return Round(
        told=told["noise"],
        load=next(check for check in told["checks"] if check["name"] == "load"),
        found=found,
        alarm=next(alarm for alarm in alarms if alarm["name"] == "time"),
        null=share_called_faster(pair, 0.0),
        seen=share_called_faster(pair, effect),
    )


def share_called_faster(pair: Pair, effect: float, draws: int = DRAWS) -> float:
    """How often the judgement passes campaigns of 5 of these process starts as faster, `effect` laid over the log speed-up.

    In each process start chance says which arm is which, so that nothing differs but the effect.
    """
    rng = np.random.default_rng(0)
    starts = list(dict.fromkeys(pair.blocks.clusters.tolist()))
    called = 0
    for _ in range(draws):
        drawn = rng.choice(starts, STARTS, replace=False)
        control, candidate = campaign(pair, drawn, drawn[rng.random(STARTS) < 0.5], effect)
        called += compare_samples(control, [candidate], pair.promise).comparisons[0].verdict == "pass"
    return called / draws


def campaign(pair: Pair, starts: np.ndarray, swapped: np.ndarray, effect: float) -> tuple[Sample, Sample]:
    """Control and candidate of some process starts (s,), their runs exchanged in those that are `swapped`.

    They are numbered anew, and told to be of different work, as equal work is refused to be called faster whatever its times are.
    """
    sides = (pair.control, pair.candidate)
    samples = []
    for name, side, other, factor in (("a", *sides, 1.0), ("b", *sides[::-1], math.exp(-effect))):
        own, theirs = side.rows["invocation"], other.rows["invocation"]
        frame = concatenate([
            side.rows.where(np.isin(own, starts) & ~np.isin(own, swapped)),
            other.rows.where(np.isin(theirs, swapped)),
        ])  # fmt: skip
        numbers = np.unique(frame["replicate"], return_inverse=True)[1].astype(float)
        numbers[np.isnan(frame["replicate"])] = np.nan
        columns = dict(frame.columns) | {"time_s": factor * frame["time_s"], "replicate": numbers}
        columns["compute_hash"] = np.full(frame.rows, name, dtype=object)
        samples.append(make_sample(name, [Frame(columns, frame.rows, frame.source)]))
    return samples[0], samples[1]


def table(rounds: list[Round]) -> str:
    def percent(x: float) -> str:
        return f"{100 * x:.2f} %"

    lines = [
        "| round | others' load | process starts, doctor and store | sd of a process start: told [95 %] | found | p (equal) | level told | "
        "`harness aa` finds | smallest effect told | seen | called where nothing differs |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for number, r in enumerate(rounds, 1):
        low, high = r.told["start_sd_ci95"]
        lines.append(
            f"| {number} | {r.load['value']['busy_cores']:.1f} cores | {r.told['starts']} and {r.found.starts} | "
            f"{percent(r.told['start_sd'])} [{percent(low)}, {percent(high)}] | {percent(r.found.start_sd)} | {r.p:.2f} | "
            f"{percent(r.told['alpha'])} | {percent(r.alarm['rate'])} | {percent(r.told['reach'][0]['detectable'])} | "
            f"{percent(r.seen)} | {percent(r.null)} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--starts", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--write", type=Path)
    given = parser.parse_args()
    rounds = []
    for number in range(given.rounds):
        with tempfile.TemporaryDirectory() as folder:
            rounds.append(one_round(Path(folder), seconds=given.seconds, starts=given.starts))
        print(f"round {number + 1} of {given.rounds}", file=sys.stderr, flush=True)
    print(table(rounds))
    if given.write is not None:
        text = given.write.read_text(encoding="utf-8")
        head, rest = text.split(MARKS[0])
        given.write.write_text(
            f"{head}{MARKS[0]}\n\n{table(rounds)}\n\n{MARKS[1]}{rest.split(MARKS[1])[1]}", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
