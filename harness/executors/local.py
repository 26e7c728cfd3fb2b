"""The local executor: invocations on this machine, one at a time on a device unless told otherwise."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from harness.design.plan import Block, Invocation, block_order
from harness.errors import UsageError
from harness.executors.answers import Garbled, Measured, hello_of, results_of, status_of
from harness.executors.base import GIVE_UP_AFTER, WARMUP_FACTOR, Campaign, Finished, Result
from harness.executors.process import Worker, WorkerDied, WorkerTimeout
from harness.logger import checked_record, new_invocation
from harness.model.run import RunRecord, utc_now
from harness.plugins import TrainerInfo
from harness.provenance import visible_gpus

MOST_ERROR_CHARACTERS = 2000


def shares_devices(workers: int, invocations: int, gpus: int) -> bool:
    """Whether several invocations at a time would run on one device: their times are never used."""
    return max(1, min(workers, invocations)) > max(1, gpus)


class LocalExecutor:
    """Runs invocations in worker processes: one a device (exclusive lane), or several at once (shared lane)."""

    def run(self, campaign: Campaign, on_finished: Callable[[Finished], None]) -> Result:
        state = State(campaign, on_finished)
        todo: queue.SimpleQueue[Invocation] = queue.SimpleQueue()
        for invocation in campaign.plan.invocations:
            todo.put(invocation)
        workers = max(1, min(campaign.workers or 1, len(campaign.plan.invocations)))
        accelerated = any(info.accelerated for info in campaign.infos.values())
        gpus = visible_gpus(os.environ) if accelerated else ()
        lane = "shared" if shares_devices(workers, len(campaign.plan.invocations), len(gpus)) else "exclusive"
        devices = [gpus[i % len(gpus)].uuid if gpus else None for i in range(workers)]
        if workers == 1:
            state.serve(todo, lane, devices[0])
        else:
            _in_threads(state, todo, lane, devices)
        return Result(dict(state.given_up))


def run_invocation(
    campaign: Campaign,
    invocation: Invocation,
    on_finished: Callable[[Finished], None],
    *,
    lane: str,
    given_up: dict[str, str] | None = None,
    tried: Mapping[tuple[str, int], int] | None = None,
) -> Result:
    """One planned invocation on this machine: the seam by which other executors run it where they like.

    `on_finished` has stored the attempt, or handed it on, when it returns; it may add to `given_up`, which is asked before every
    run. `tried`: failed attempts by (arm, replicate), where some were made after the campaign began. On a machine with GPUs it
    takes the first that this process sees.
    """
    state = State(campaign, on_finished, {} if given_up is None else given_up)
    accelerated = any(info.accelerated for info in campaign.infos.values())
    gpus = visible_gpus(os.environ) if accelerated else ()
    Turn(state, invocation, lane, gpus[0].uuid if gpus else None, tried).run()
    return Result(dict(state.given_up))


def _in_threads(state: State, todo: queue.SimpleQueue[Invocation], lane: str, devices: Sequence[str | None]) -> None:
    threads = [threading.Thread(target=state.serve_safely, args=(todo, lane, device)) for device in devices]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            while thread.is_alive():
                thread.join(0.2)
    except BaseException:
        state.stop()
        for thread in threads:
            thread.join()
        raise
    if state.failure is not None:
        raise state.failure


@dataclass
class State:
    """What the invocations of one campaign share: where attempts go, and which arms are given up."""

    campaign: Campaign
    on_finished: Callable[[Finished], None]
    given_up: dict[str, str] = field(default_factory=dict)
    failures: dict[tuple[str, str], int] = field(default_factory=dict)
    """In a row, by arm and machine."""
    machines: set[str] = field(default_factory=set)
    """Those that take part, where they are told apart: an arm that fails on one of several may run on the others."""
    failure: BaseException | None = None
    stopped: bool = False
    warmups: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)
    alive: set[Worker] = field(default_factory=set)

    def serve(self, todo: queue.SimpleQueue[Invocation], lane: str, device: str | None) -> None:
        while not self.stopped:
            try:
                invocation = todo.get_nowait()
            except queue.Empty:
                return
            Turn(self, invocation, lane, device).run()

    def serve_safely(self, todo: queue.SimpleQueue[Invocation], lane: str, device: str | None) -> None:
        try:
            self.serve(todo, lane, device)
        except BaseException as problem:  # noqa: BLE001 - handed to the thread that started this one
            with self.lock:
                if not self.stopped:
                    self.failure = problem
            self.stop()

    def stop(self) -> None:
        with self.lock:
            self.stopped = True
            workers = list(self.alive)
        for worker in workers:
            worker.end()

    def next_warmup(self) -> int:
        with self.lock:
            self.warmups += 1
            return self.warmups - 1

    def report(self, finished: Finished, *, blamed: bool = True, machine: str = "") -> None:
        """Store the attempt, and count failures in a row; an arm that only fails is given up: at once, or where `machine` tells
        several apart, once it failed so on two of them. A failure that is not the arm's (`blamed` False: its machine was lost) is
        stored and not counted.
        """
        record = finished.record
        with self.lock:
            if self.stopped:
                return
            self.on_finished(finished)
            if record.status == "completed":
                if not record.warmup:  # an arm whose runs all fail is given up, also where it can be warmed up
                    self.failures[record.arm, machine] = self.failures[record.arm, ""] = 0
                return
            if not blamed:
                return
            self.failures[record.arm, machine] = self.failures.get((record.arm, machine), 0) + 1
            failing = [where for (arm, where), n in self.failures.items() if arm == record.arm and n >= GIVE_UP_AFTER]
            if "" in failing or len(failing) >= max(1, min(2, len(self.machines))):
                self.given_up.setdefault(record.arm, record.error or record.status)

    def failing(self, machine: str) -> set[str]:
        """The arms that only fail there."""
        return {arm for (arm, where), n in self.failures.items() if where == machine and n >= GIVE_UP_AFTER}

    def wanted(self, arms: Sequence[str]) -> tuple[str, ...]:
        with self.lock:
            return tuple(arm for arm in arms if arm not in self.given_up)


class _Restart(Exception):
    """A worker is gone: what is left of the invocation goes on under a new one."""


class Turn:
    """One planned invocation on one device. A lost worker costs its run and a fresh joint start for the rest."""

    def __init__(
        self,
        state: State,
        invocation: Invocation,
        lane: str,
        device: str | None,
        tried: Mapping[tuple[str, int], int] | None = None,
    ) -> None:
        self.state, self.campaign = state, state.campaign
        self.left = list(invocation.blocks)
        self.tried = dict(self.campaign.attempts if tried is None else tried)
        self.done: set[tuple[str, int]] = set()
        self.allowed = {key: n + self.campaign.retries + 1 for key, n in self.campaign.attempts.items()}
        self.lane, self.device = lane, device
        self.name = ""
        self.count = 0
        self.workers: dict[str, Worker] = {}
        self.hello: dict[str, dict[str, Any]] = {}

    def run(self) -> None:
        while self.left and not self.state.stopped:
            arms = self.state.wanted(tuple(dict.fromkeys(arm for block in self.left for arm in block.arms)))
            if not arms:
                return
            self.name, self.count = new_invocation(), 0
            try:
                with self._started(arms):
                    self._warm_up(arms)
                    while self.left and not self.state.stopped:
                        self._run_block(self.left[0])
                        self._forget(self.left.pop(0))
            except _Restart:
                continue

    def _forget(self, block: Block) -> None:
        """A block that was left is never met again: a campaign of any length remembers the open one alone."""
        for key in ((arm, block.replicate) for arm in block.arms):
            self.done.discard(key)
            self.tried.pop(key, None)
            self.allowed.pop(key, None)

    # --- processes ------------------------------------------------------------------------------------------

    @contextmanager
    def _started(self, arms: Sequence[str]) -> Iterator[None]:
        """The joint start: every process of the invocation, made ready together."""
        self.workers, self.hello = {}, {}
        processes: list[Worker] = []
        done = False
        try:
            for group in self._groups(arms):
                info = self.campaign.infos[group[0]]
                pinned = {"CUDA_VISIBLE_DEVICES": self.device} if self.device else {}
                worker = Worker(dict(info.environ) | pinned)
                processes.append(worker)
                with self.state.lock:
                    self.state.alive.add(worker)
                    if self.state.stopped:  # too late to be ended by whoever stopped the campaign
                        raise _Restart
                self.workers |= dict.fromkeys(group, worker)
                configs = {arm: self.campaign.experiment.arm(arm).config for arm in group}
                _tell(worker, {"do": "setup", "trainer": info.ref, "root": _root(info), "arms": configs})
            for worker in processes:
                group = [arm for arm in arms if self.workers[arm] is worker]
                self.hello |= dict.fromkeys(group, self._answer(worker, group, hello_of))
            yield
            done = True
        finally:
            with self.state.lock:
                self.state.alive.difference_update(processes)
            for worker in processes:
                worker.close() if done else worker.kill()

    def _groups(self, arms: Sequence[str]) -> list[list[str]]:
        """Arms that can share a process together, the others alone."""
        groups: dict[str, list[str]] = {}
        for arm in arms:
            info = self.campaign.infos[arm]
            key = arm if info.own_process else info.process_key(self.campaign.experiment.arm(arm).config)
            groups.setdefault(key, []).append(arm)
        return list(groups.values())

    def _answer(
        self, worker: Worker, arms: Sequence[str], read: Callable[[Mapping[str, Any]], dict[str, Any]] = dict
    ) -> dict[str, Any]:
        """A worker's answer before its first run, as `read` takes it; a failure is recorded for `arms` and ends this start."""
        try:
            answer = worker.wait(self.campaign.prepare_timeout_s)
            if status_of(answer, "ready") == "ready":
                return read(answer)
        except Garbled as problem:
            answer = {"status": "crashed", "error": str(worker.mistrusted(str(problem)))}
        except (WorkerDied, WorkerTimeout) as problem:
            answer = {"status": _status(problem), "error": str(problem)}
        for arm in arms:
            record = self._record(arm, None, warmup=True, status=answer["status"], error=answer["error"])
            self.state.report(Finished(record, environment=self._environment(arm)))
        raise _Restart

    # --- runs -----------------------------------------------------------------------------------------------

    def _warm_up(self, arms: Sequence[str]) -> None:
        """Each arm made ready and run once; arms that share a training share that of the warm-up too."""
        for group in self.campaign.trainings(block_order(arms, self.campaign.experiment.seed_root, self.name)):
            for arm in group:
                _tell(self.workers[arm], {"do": "prepare", "arms": [arm]})
                self._answer(self.workers[arm], [arm])
            if self.campaign.experiment.warmup:
                self._attempt(group, self.campaign.warmup_seed(self.state.next_warmup()), None, 0, warmup=True)

    def _run_block(self, block: Block) -> None:
        """The block's arms in their order; arms that differ at evaluation only are scored on one training."""
        position = 0
        for group in self.campaign.trainings(block.arms):
            while todo := [a for a in self.state.wanted(group) if self._may_try(a, block)]:
                if self._attempt(todo, block.seed, block, position):
                    break
            position += len(group)

    def _may_try(self, arm: str, block: Block) -> bool:
        key = (arm, block.replicate)
        return (
            arm in self.workers
            and key not in self.done
            and self.tried.get(key, 0) < self.allowed.get(key, self.campaign.retries + 1)
        )

    def _attempt(self, arms: list[str], seed: int, block: Block | None, position: int, *, warmup: bool = False) -> bool:
        """One request to a worker and the rows that it makes. False: it failed, and the process is still there."""
        started = utc_now()
        limit = self.campaign.timeout_s * len(arms) * (WARMUP_FACTOR if warmup else 1)
        worker, lost = self.workers[arms[0]], False
        finished: list[Finished] = []
        try:
            answer = worker.ask({"do": "run", "arms": arms, "seed": seed}, limit)
            if status_of(answer, "completed") == "completed":
                finished = self._finished(results_of(answer, arms), arms, seed, block, position, warmup)
        except (Garbled, UsageError) as problem:
            answer, lost = {"status": "crashed", "error": str(worker.mistrusted(str(problem)))}, True
        except (WorkerDied, WorkerTimeout) as problem:
            answer, lost = {"status": _status(problem), "error": str(problem)}, True
        if self.state.stopped:
            raise _Restart
        keys = [(arm, block.replicate) for arm in arms] if block else []
        if answer["status"] == "completed":
            for one in finished:
                self.state.report(one)
            self.done.update(keys)
        else:
            for arm in arms:
                facts = {"status": answer["status"], "error": answer["error"], "started_at": started}
                record = self._record(arm, seed, block, position, warmup=warmup, **facts)
                self.state.report(Finished(record, environment=self._environment(arm)))
        for key in keys:
            self.tried[key] = self.tried.get(key, 0) + 1
        if lost:
            raise _Restart
        return bool(answer["status"] == "completed")

    def _finished(
        self,
        results: list[Measured],
        arms: list[str],
        seed: int,
        block: Block | None,
        position: int,
        warmup: bool,
    ) -> list[Finished]:
        """The attempts as they are stored. Raises UsageError for numbers that no run can have."""
        trained_run = f"{self.name}.{self.count}"
        out = []
        for offset, (arm, one) in enumerate(zip(arms, results, strict=True)):
            record = self._record(arm, seed, block, position + offset, warmup=warmup, trained_run=trained_run)
            record = checked_record(replace(record, **one.facts))
            metrics, mask = ((), None) if warmup else (one.metrics, one.correct_mask)
            out.append(Finished(record, metrics, mask, self._environment(arm)))
        return out

    def _environment(self, arm: str) -> Mapping[str, Any] | None:
        """Where the arm's process runs, in full; None where it did not live to tell."""
        told: Mapping[str, Any] | None = self.hello.get(arm, {}).get("environment")
        return told

    def _record(
        self, arm: str, seed: int | None, block: Block | None = None, position: int = 0, *, warmup: bool, **facts: Any
    ) -> RunRecord:
        hello = self.hello.get(arm, {})
        number, self.count = self.count, self.count + 1
        tried = self.tried.get((arm, block.replicate), 0) if block else 0
        record = self.campaign.attempt(
            arm, block, run_id=f"{self.name}.{number}", invocation=self.name, lane=self.lane, tried=tried, warmup=warmup
        )
        record = replace(record, seed=seed, position=position if block else None)
        if "error" in facts:
            facts["error"] = _bounded(facts["error"])
        return replace(record, **(hello.get("fields", {}) | facts))


def _root(info: TrainerInfo) -> str | None:
    """Where another revision's plugin is imported from, instead of the installed one."""
    return str(info.root) if info.root else None


def _tell(worker: Worker, request: dict[str, Any]) -> None:
    """Send a request whose answer is waited for later; that a worker has died shows there."""
    with suppress(WorkerDied):
        worker.send(request)


def _bounded(error: str) -> str:
    """The beginning and the end of a long error text: a row is for people too."""
    spare = len(error) - MOST_ERROR_CHARACTERS
    return error if spare <= 0 else f"{error[:1500]} [{spare} characters left out] {error[1500 + spare :]}"


def _status(problem: Exception) -> str:
    return "timeout" if isinstance(problem, WorkerTimeout) else "crashed"
