"""The process that runs one invocation (or one arm of it): it answers one request after another.

Requests come as lines of JSON on the pipe whose number is the first argument, answers leave on the second; standard
output and standard error belong to the trainer. The process ends when the pipe closes or its parent dies, and with its parent
(the other end of the third pipe) all that it started.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import resource
import signal
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from harness.processes import die_with_parent_and_all


def main() -> None:
    inward, outward, life = map(int, sys.argv[1:4])
    die_with_parent_and_all(life)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if (
        "SLURM_JOB_ID" in os.environ
    ):  # Slurm announces an end to every process of a job; the parent decides what it means
        for announced in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(announced, signal.SIG_IGN)
    for pipe in (inward, outward, life):
        os.set_inheritable(pipe, False)
    with os.fdopen(inward, "r", encoding="utf-8") as requests, os.fdopen(outward, "w", encoding="utf-8") as answers:
        serve(requests, answers)


def serve(requests: IO[str], answers: IO[str]) -> None:
    """Answer every request: `setup` once, `prepare` once an arm, then `run`."""
    session: Session | None = None
    own = os.getpid()
    for line in requests:
        request = json.loads(line)
        try:
            if request["do"] == "setup":
                session = Session(request)
                answer = session.hello()
            else:
                assert session is not None
                answer = session.prepare(request) if request["do"] == "prepare" else session.run(request)
        except Exception as problem:  # noqa: BLE001 - whatever a trainer raises is recorded, not swallowed
            answer = {"status": "crashed", "error": _described(problem)}
        if (
            os.getpid() != own
        ):  # a child that the trainer forked and that came back here: the answer is its parent's to give
            os._exit(0)
        answer["id"] = request.get("id")
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        try:
            answers.write(json.dumps(answer, allow_nan=True) + "\n")
            answers.flush()
        except BrokenPipeError:
            return


def _described(problem: BaseException) -> str:
    """The exception, and where it was raised: the last frame that is not the harness's own."""
    own = Path(__file__).resolve().parent
    frames = [f for f in traceback.extract_tb(problem.__traceback__) if own not in Path(f.filename).resolve().parents]
    where = f" ({Path(frames[-1].filename).name} line {frames[-1].lineno})" if frames else ""
    return f"{type(problem).__name__}: {problem}{where}"


class Session:
    """The arms of this process, made ready, with what describes the machine."""

    def __init__(self, setup: Mapping[str, Any]) -> None:
        from harness.plugins import build_config, load_trainer, trainer_info
        from harness.provenance import (
            DEFAULT_LIBRARIES,
            Telemetry,
            describe_environment,
            fingerprint,
            row_fields,
            visible_gpus,
        )

        ref = setup["trainer"]
        if setup.get("root"):  # another revision's packages, before those that are installed
            sys.path.insert(0, setup["root"])
        self.trainer = load_trainer(ref)
        self.info = trainer_info(ref)
        self.configs: dict[str, Any] = {}
        self.flat: dict[str, dict[str, Any]] = setup["arms"]
        libraries = self.info.libraries or DEFAULT_LIBRARIES
        gpus = visible_gpus(os.environ) if self.info.accelerated else ()
        gpu = gpus[0] if gpus else None
        self.environment = describe_environment(libraries, dict(self.info.environ), gpu)
        self.fingerprint = fingerprint(self.environment)
        self.fields = row_fields(self.environment)
        self.telemetry = Telemetry(gpu.uuid if gpu else None)
        for name, flat in self.flat.items():
            dataclass_config = self.info.config_class
            typed = dataclass_config is not None and not self.info.open_ended
            self.configs[name] = build_config(dataclass_config, flat) if typed and dataclass_config else dict(flat)
        self.data_hash: dict[str, str | None] = {}

    def hello(self) -> dict[str, Any]:
        return {
            "status": "ready",
            "fingerprint": self.fingerprint,
            "environment": self.environment,
            "fields": self.fields,
        }

    def prepare(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Untimed: data, compilation, whatever is made ready once for an arm."""
        for arm in request["arms"]:
            self.data_hash[arm] = self.trainer.prepare(self.configs[arm])
        return {"status": "ready"}

    def run(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Train once, evaluate for every arm of the request; the answers come in the order of its arms."""
        from harness.model.run import utc_now
        from harness.trainer import Clock

        arms: list[str] = request["arms"]
        started, clock = utc_now(), Clock()
        trained = self.trainer.train(self.configs[arms[0]], seed=request["seed"], clock=clock)
        training_s = clock.elapsed_s
        results = []
        for arm in arms:
            results.append(self._evaluate(arm, trained, training_s) | {"started_at": started})
        return {"status": "completed", "results": results}

    def _evaluate(self, arm: str, trained: Any, training_s: float | None) -> dict[str, Any]:
        from harness.model.run import utc_now
        from harness.trainer import Clock

        clock = Clock()
        outcome = self.trainer.evaluate(trained, self.configs[arm], clock=clock)
        sample = self.telemetry.sample()
        seconds = [s for s in (training_s, clock.elapsed_s) if s is not None]
        if not seconds:
            raise RuntimeError(f"trainer {self.info.name} never started the clock: use `with clock.running():`")
        mask = outcome.correct_mask
        return _checked(outcome) | {
            "arm": arm,
            "time_s": round(sum(seconds), 9),
            "clock": self.info.clock,
            "data_hash": self.data_hash[arm],
            "ended_at": utc_now(),
            "sm_clock_mhz": sample.sm_clock_mhz,
            "temperature_c": sample.temperature_c,
            "throttle": sample.throttle,
            "peak_memory_bytes": peak_memory_bytes(),
            "metrics": [[m.metric, float(m.value), m.step, m.unit] for m in outcome.metrics],
            "mask": None if mask is None else _packed(mask),
        }


def _packed(mask: Any) -> list[Any]:
    import numpy as np

    array = np.asarray(mask, dtype=bool)
    return [len(array), base64.b64encode(np.packbits(array).tobytes()).decode()]


def _checked(outcome: Any) -> dict[str, Any]:
    """The outcome's numbers; an accuracy that cannot be one is an error of the trainer, not a result."""
    correct, total, accuracy = outcome.correct, outcome.total, outcome.accuracy
    if correct is not None and total is not None:
        correct, total = int(correct), int(total)
        if total <= 0 or not 0 <= correct <= total:
            raise ValueError(f"the trainer returned correct={correct}, total={total}; allowed is 0 <= correct <= total")
        accuracy = correct / total
    elif accuracy is None:
        raise ValueError("the trainer returned neither 'accuracy' nor 'correct' and 'total'")
    else:
        correct, total, accuracy = None, None, float(accuracy)
        if not 0 <= accuracy <= 1:
            hint = " (a fraction is wanted, not a percentage)" if 1 < accuracy <= 100 else ""
            raise ValueError(f"the trainer returned an accuracy of {accuracy}; it must lie between 0 and 1{hint}")
    return {
        "correct": correct,
        "total": total,
        "accuracy": accuracy,
        "loss": None if outcome.loss is None else float(outcome.loss),
        "steps": None if outcome.steps is None else int(outcome.steps),
        "epochs": None if outcome.epochs is None else float(outcome.epochs),
    }


def peak_memory_bytes() -> int | None:
    """Peak memory on the accelerator since it was last asked for, or of this process where there is none."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        peak = int(torch.cuda.max_memory_allocated())
        torch.cuda.reset_peak_memory_stats()
        return peak
    scale = 1 if sys.platform == "darwin" else 1024
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * scale


if __name__ == "__main__":
    main()
