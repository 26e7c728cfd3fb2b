"""The Slurm executor, by submitit: an array of jobs, one invocation an element, and a spool that they write to.

An element runs its invocation with the machinery of the local executor and writes each attempt to a file of its own on the shared
file system; the driver, wherever it runs, is the only writer of the store and takes them in. A driver that is killed loses nothing:
the jobs go on, and the next `harness run` of the same experiment waits for them and takes in what they wrote. A job that is
preempted, or at its time limit, is requeued and goes on where its file ends. Written against submitit 1.5.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import subprocess
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from harness.errors import UsageError, install
from harness.executors.base import Campaign, Finished, Result
from harness.executors.leases import Lease, Leases, is_lost
from harness.executors.local import State, run_invocation
from harness.executors.place import refusal
from harness.executors.spool import (
    SUBMISSION,
    Intake,
    SpoolReader,
    SpoolWriter,
    Together,
    forget,
    rows_of_shard,
    set_aside,
    spool_of,
    submissions,
    take_late,
)
from harness.model.run import RunRecord, utc_now
from harness.plugins import ACCELERATED
from harness.provenance import host_name
from harness.store.append import LineFile

DEFAULT_MINUTES, DEFAULT_POLL_S, DEFAULT_SIGNAL_S = 240, 2.0, 90
DEFAULT_GRACE_S = 60.0
"""A client of NFS may show for so long (acregmax, acdirmax) what was there before another machine wrote."""
MOST_TIMEOUTS = 20
"""How often an element may reach its time limit and be requeued."""
MOST_ELEMENTS = 1000
"""Of one array: Slurm takes 1001 by default (MaxArraySize); more invocations share elements, one after another."""
CUT_OFF = "the job was preempted, at its time limit, or lost its node"
CLUSTERS = ("slurm", "local", "debug")


class SlurmExecutor:
    """Runs invocations as the elements of a Slurm job array."""

    options: ClassVar[Mapping[str, str]] = {
        "partition": "Slurm's --partition",
        "account": "Slurm's --account",
        "qos": "Slurm's --qos",
        "constraint": "Slurm's --constraint",
        "gres": "Slurm's --gres, in place of gpus",
        "gpus": "GPUs of an element (default: 1 where the trainer names an accelerator's library, else 0)",
        "cpus": "cores of an element (--cpus-per-task)",
        "mem_gb": "memory of an element in GB",
        "minutes": f"time limit of an element (default: {DEFAULT_MINUTES}); it is requeued there and goes on",
        "signal_s": f"seconds before the limit at which an element is told (default: {DEFAULT_SIGNAL_S})",
        "exclusive": "true: no other job on the node, and times count (default without a GPU); false: the shared lane",
        "setup": "a line of shell before each element, such as `module load cuda`",
        "poll": f"seconds between two looks at the spool (default: {DEFAULT_POLL_S:g})",
        "grace": f"seconds in which the files of jobs that are gone are looked at again (default: {DEFAULT_GRACE_S:g})",
        "cluster": "slurm, or submitit's own for a try without Slurm: local (processes) or debug (in this process)",
    }

    def __init__(self) -> None:
        self.settings: dict[str, str] = {}
        self.tell: Callable[[str], None] = lambda line: None
        self.together: Together = contextlib.nullcontext

    def check(self) -> None:
        """Raises UsageError for an option's value that cannot be."""
        Asked.of(self.settings)

    def run(self, campaign: Campaign, on_finished: Callable[[Finished], None]) -> Result:
        asked = Asked.of(self.settings)
        _library()
        leases = Leases(campaign, State(campaign, on_finished))
        lost: list[str] = []
        while batch := list(iter(leases.take, None)):
            lost += _Array(campaign, batch, leases, asked, self.tell, self.together).run()
        return Result(dict(leases.state.given_up), lost)

    def take_up(self, folder: Path, on_finished: Callable[[Finished], None]) -> dict[str, int]:
        """Wait for the jobs of an earlier campaign, storing what they write, until none is left."""
        asked = Asked.of(self.settings)
        intake = Intake(folder, on_finished, self.together)
        take_late(folder, intake)
        for place, description in submissions(spool_of(folder)):
            jobs = Jobs(str(description.get("cluster")), [str(job) for job in description.get("jobs", [])])
            reader, elements = SpoolReader(place), int(description.get("elements", 0))
            if jobs.running():
                self.tell(f"slurm: waiting for jobs of an earlier command ({', '.join(jobs.ids[:3])})")
            grace_s = 0.0 if description.get("cancelled") else asked.grace_s
            for look in _looks(reader, jobs, elements, asked.poll_s, grace_s):
                intake.take_all(look)
            if len(reader.ended) >= elements:
                forget(place)
            else:
                self.tell(f"slurm: elements of {jobs.array} ended early; their logs are in {set_aside(place) / 'logs'}")
        return intake.facts()

    def preview(self, campaign: Campaign) -> str:
        """The script that would be submitted."""
        asked = Asked.of(self.settings)
        submitit = _library()

        class Unasked(submitit.SlurmExecutor):  # type: ignore[misc, name-defined]  # there may be no Slurm on this machine
            @classmethod
            def affinity(cls) -> int:
                return 1

        elements = min(MOST_ELEMENTS, len(campaign.plan.invocations))
        made = Unasked(folder=str(spool_of(campaign.folder or Path.cwd()) / "preview"))
        made.update_parameters(**_slurm_parameters(asked, campaign))
        if elements > 1:
            made.parameters["map_count"] = elements
        return str(made._make_submission_file_text(made._submitit_command_str, "preview"))


def _library() -> Any:
    try:
        import submitit
    except ImportError as problem:
        raise UsageError(
            f"The executor 'slurm' needs the package submitit, which is not installed here: {install('slurm')}. --executor local runs "
            "on this machine."
        ) from problem
    return submitit


# --- what was asked -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """The options, read."""

    texts: Mapping[str, str]
    cluster: str
    minutes: float
    signal_s: float
    poll_s: float
    grace_s: float
    cpus: int | None
    gpus: int | None
    mem_gb: float | None
    exclusive: bool | None

    @classmethod
    def of(cls, settings: Mapping[str, str]) -> Asked:
        """Raises UsageError for a value that cannot be."""
        cluster = settings.get("cluster", "slurm")
        if cluster not in CLUSTERS:
            raise UsageError(f"--executor-option cluster={cluster}: allowed is {', '.join(CLUSTERS)}.")
        exclusive = settings.get("exclusive")
        if exclusive not in (None, "true", "false"):
            raise UsageError(f"--executor-option exclusive={exclusive}: allowed is true or false.")
        cpus, gpus = _number(settings, "cpus", whole=True, least=1), _number(settings, "gpus", whole=True, least=0)
        return cls(
            texts={k: settings[k] for k in ("partition", "account", "qos", "constraint", "gres") if k in settings}
            | ({"setup": settings["setup"]} if "setup" in settings else {}),
            cluster=cluster,
            minutes=_number(settings, "minutes") or DEFAULT_MINUTES,
            signal_s=_number(settings, "signal_s") or DEFAULT_SIGNAL_S,
            poll_s=_number(settings, "poll") or (0.05 if cluster != "slurm" else DEFAULT_POLL_S),
            grace_s=_number(settings, "grace") or (0.0 if cluster != "slurm" else DEFAULT_GRACE_S),
            cpus=None if cpus is None else int(cpus),
            gpus=None if gpus is None else int(gpus),
            mem_gb=_number(settings, "mem_gb"),
            exclusive=None if exclusive is None else exclusive == "true",
        )


def _number(settings: Mapping[str, str], key: str, *, whole: bool = False, least: float = 0.0) -> float | None:
    if key not in settings:
        return None
    try:
        value = float(settings[key])
    except ValueError:
        value = math.nan
    wrong = not math.isfinite(value) or value < least or (whole and value != int(value)) or (not whole and value == 0)
    if wrong:
        what = f"a whole number of {least:g} or more" if whole else "a number above 0"
        raise UsageError(f"--executor-option {key}={settings[key]}: allowed is {what}.")
    return value


def _gpus(asked: Asked, campaign: Campaign) -> int:
    if asked.gpus is not None:
        return asked.gpus
    named = any(ACCELERATED.intersection(info.libraries or ()) for info in campaign.infos.values())
    return 1 if named and "gres" not in asked.texts else 0


def _is_exclusive(asked: Asked, campaign: Campaign) -> bool:
    """Whether an element has its node to itself: asked for, or by default where it has no device of its own."""
    has_device = _gpus(asked, campaign) > 0 or "gres" in asked.texts
    return asked.exclusive if asked.exclusive is not None else not has_device


def _lane(asked: Asked, campaign: Campaign) -> str:
    """Exclusive where nothing else runs on the device of an element: its GPU, or its whole node."""
    if asked.cluster != "slurm":
        return "exclusive" if asked.cluster == "debug" or (campaign.workers or 1) == 1 else "shared"
    has_device = _gpus(asked, campaign) > 0 or "gres" in asked.texts
    return "exclusive" if has_device or _is_exclusive(asked, campaign) else "shared"


def _slurm_parameters(asked: Asked, campaign: Campaign) -> dict[str, Any]:
    """The parameters of submitit's Slurm executor."""
    gpus = _gpus(asked, campaign)
    additional = {key: asked.texts[key] for key in ("account", "qos") if key in asked.texts} | {"requeue": True}
    found: dict[str, Any] = {
        "job_name": f"harness-{campaign.experiment.name}",
        "time": math.ceil(asked.minutes),
        "signal_delay_s": int(asked.signal_s),
        "additional_parameters": additional,
        "array_parallelism": campaign.workers or len(campaign.plan.invocations) or 1,
    }
    found |= {key: asked.texts[key] for key in ("partition", "constraint", "gres") if key in asked.texts}
    found |= {"gpus_per_node": gpus} if gpus and "gres" not in asked.texts else {}
    found |= {} if asked.cpus is None else {"cpus_per_task": asked.cpus}
    found |= {} if asked.mem_gb is None else {"mem": f"{asked.mem_gb:g}GB"}
    found |= {"setup": [asked.texts["setup"]]} if "setup" in asked.texts else {}
    return found | ({"exclusive": True} if _is_exclusive(asked, campaign) else {})


# --- the driver ---------------------------------------------------------------------------------------------


@dataclass
class _Array:
    """One submission: its jobs from their start to the last line of their files."""

    campaign: Campaign
    batch: Sequence[Lease]
    leases: Leases
    asked: Asked
    tell: Callable[[str], None]
    together: Together
    place: Path = field(init=False)
    jobs: Jobs = field(init=False)
    groups: Sequence[Sequence[Lease]] = ()

    def run(self) -> list[str]:
        """Everything that the jobs make, stored, and every lease given back; a sentence where some ended without their last line."""
        elements = self._elements()
        self._submit(elements)
        reader = SpoolReader(self.place)
        try:
            for look in _looks(reader, self.jobs, len(elements), self.asked.poll_s, self.asked.grace_s):
                self._take_all(look)
        except KeyboardInterrupt:
            self._stop()
            self._take_all(reader.new())
            raise
        except BaseException:
            self._stop()
            raise
        return self._after(reader, elements)

    def _elements(self) -> list[Element]:
        if self.campaign.folder is None:
            raise UsageError("The executor 'slurm' needs a store's folder that its jobs can write to.")
        name = f"{utc_now()[:19].replace(':', '')}-{uuid.uuid4().hex[:6]}"
        self.place = spool_of(self.campaign.folder) / name
        lane = _lane(self.asked, self.campaign)
        most = (
            MOST_ELEMENTS if self.asked.cluster == "slurm" else self.campaign.workers or 1
        )  # submitit's own start all at once
        count = min(most, len(self.batch))
        self.groups = [self.batch[i::count] for i in range(count)]
        portable = replace(self.campaign.portable(), plan=replace(self.campaign.plan, invocations=()))
        elements = []
        for number, leases in enumerate(self.groups):
            tried, spared = self.leases.counts_of(*leases)
            plan = replace(portable.plan, invocations=tuple(lease.plan for lease in leases))
            own, warmups = replace(portable, plan=plan, attempts=spared), tuple(lease.warmups for lease in leases)
            elements.append(Element(own, tried, str(self.place / f"{number}.jsonl"), str(Path.cwd()), lane, warmups))
        return elements

    def _submit(self, elements: list[Element]) -> None:
        """Submit, and write down what was: jobs that are not known cannot be waited for."""
        submitit = _library()
        facts = {"at": utc_now(), "executor": "slurm", "cluster": self.asked.cluster, "elements": len(elements)}
        self.place.mkdir(parents=True)
        self._describe(facts | {"jobs": []})
        logs = self.place / "logs"
        if self.asked.cluster == "slurm":
            try:
                made = submitit.SlurmExecutor(folder=str(logs), max_num_timeout=MOST_TIMEOUTS)
            except RuntimeError as problem:
                forget(self.place)
                raise _no_slurm("srun") from problem
            made.update_parameters(**_slurm_parameters(self.asked, self.campaign))
        elif self.asked.cluster == "local":
            made = submitit.LocalExecutor(folder=str(logs), max_num_timeout=MOST_TIMEOUTS)
            made.update_parameters(timeout_min=self.asked.minutes, signal_delay_s=int(self.asked.signal_s))
        else:
            made = submitit.DebugExecutor(folder=str(logs))
        try:
            found = _mapped(made, elements)
        except (submitit.core.utils.FailedJobError, submitit.core.utils.FailedSubmissionError) as problem:
            forget(self.place)
            raise UsageError(f"sbatch refused the jobs: {str(problem).strip()[-600:]}") from problem
        self.jobs = Jobs(self.asked.cluster, [str(job.job_id) for job in found], found)
        self._describe(facts | {"jobs": self.jobs.ids})
        if self.asked.cluster == "slurm":
            self.tell(f"slurm: {len(elements)} elements submitted as {self.jobs.array}; logs in {logs}")

    def _describe(self, facts: Mapping[str, Any]) -> None:
        path = self.place / SUBMISSION
        scratch = path.with_suffix(".new")
        scratch.write_text(json.dumps(facts) + "\n", encoding="utf-8")
        scratch.replace(path)

    def _take_all(self, found: Iterable[Finished]) -> None:
        with self.together():
            for finished in found:
                record = finished.record
                if not self.leases.has(record):
                    self.leases.state.report(finished, blamed=not is_lost(record))
                    self.leases.count(record)

    def _stop(self) -> None:
        try:
            self.jobs.cancel()
        except UsageError as problem:
            self.tell(f"slurm: the jobs go on: {problem}")
        with contextlib.suppress(OSError):
            facts = json.loads((self.place / SUBMISSION).read_text(encoding="utf-8"))
            self._describe(facts | {"cancelled": True})

    def _after(self, reader: SpoolReader, elements: Sequence[Element]) -> list[str]:
        """What went wrong: an element that refused, or one that ended without its last line; its logs are kept."""
        silent = [number for number in range(len(elements)) if str(number) not in reader.ended]
        for number, group in enumerate(self.groups):
            cut = (
                _under_way(self.leases, group, rows_of_shard(Path(elements[number].shard)))
                if number in silent
                else None
            )
            for lease in group:
                if lease is cut:
                    self.leases.lost(lease, why="its job ended early", host=None, lane=elements[number].lane)
                elif number in silent:
                    self.leases.give_back(lease)
                else:
                    self.leases.ended(lease)
        kept = set_aside(self.place) if silent else None
        forget(self.place)
        for facts in reader.ended.values():
            if facts.get("refusal"):
                raise UsageError(f"{facts['refusal']} No run was lost; the same command goes on.")
        if kept is None:
            return []
        shown = ", ".join(map(str, silent[:8]))
        line = f"elements {shown} of {self.jobs.array} ended early; their logs are in {kept / 'logs'}"
        self.tell(f"slurm: {line}")
        return [line]


def _mapped(made: Any, elements: Sequence[Element]) -> list[Any]:
    with made.batch():
        return [made.submit(element) for element in elements]


def _looks(
    reader: SpoolReader, jobs: Jobs, elements: int, poll_s: float, grace_s: float
) -> Iterator[Iterator[Finished]]:
    """What each look at a submission finds, until all elements said that they ended, or no job was left for `grace_s`."""
    gone_at = math.inf
    while True:
        before = time.monotonic()
        yield reader.new()
        if len(reader.ended) >= elements or before - gone_at >= grace_s:
            return
        if jobs.running():
            gone_at = math.inf
            time.sleep(poll_s)
        else:
            gone_at = min(gone_at, time.monotonic())
            time.sleep(min(poll_s, grace_s))


@dataclass
class Jobs:
    """The jobs of one submission, as far as their cluster tells. `handles`: submitit's, where this process submitted them."""

    cluster: str
    ids: list[str]
    handles: Sequence[Any] = ()

    @property
    def array(self) -> str:
        return self.ids[0].partition("_")[0] if self.ids else "nothing"

    def running(self) -> bool:
        """Whether any may still write. In submitit's debug cluster this runs the next job."""
        if self.cluster == "slurm":
            return self._in_queue()
        if self.handles:
            return any(_is_at_work(handle) for handle in self.handles)
        return self.cluster == "local" and any(_lives(job) for job in self.ids)

    def _in_queue(self) -> bool:
        """By squeue, which every Slurm has; one that cannot be asked now may still be at work."""
        roots = sorted({job.partition("_")[0] for job in self.ids})
        if not roots:
            return False
        asked = _told_by("squeue", "--noheader", "--format=%i", f"--jobs={','.join(roots)}")
        if asked.returncode != 0:
            return "invalid job id" not in asked.stderr.lower()
        return bool(asked.stdout.strip())

    def cancel(self) -> None:
        if self.cluster == "slurm":
            roots = sorted({job.partition("_")[0] for job in self.ids})
            _told_by("scancel", *roots)
            return
        for handle in self.handles:
            with contextlib.suppress(Exception):
                handle.cancel()


def _told_by(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What a program of Slurm answers. Raises UsageError where it is not there."""
    try:
        return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError as problem:
        raise _no_slurm(program) from problem


def _no_slurm(program: str) -> UsageError:
    return UsageError(
        f"There is no Slurm on this machine (no program {program} on PATH). Give the command on a login node of the cluster; for a new "
        "store --executor-option cluster=local tries the same with processes here."
    )


def _lives(process: str) -> bool:
    """Whether a process is there and has not ended; a child that nobody asked about stays in the table."""
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(") ")[2][:1] != "Z"
    except OSError:
        return False


def _is_at_work(handle: Any) -> bool:
    try:
        return not handle.done()
    except (KeyboardInterrupt, SystemExit):
        raise
    except Exception:  # noqa: BLE001 - a job that failed has ended; its file says how far it came
        return False


# --- an element ---------------------------------------------------------------------------------------------


@dataclass
class Element:
    """What one job runs: the invocations of its campaign's plan, into the file `shard`. It can be started again at any time.

    `warmups`: those of the whole campaign before each of the invocations, so that no two have a seed in common.
    """

    campaign: Campaign
    tried: Mapping[tuple[str, int], int]
    shard: str
    folder: str
    lane: str
    warmups: Sequence[int]

    def __call__(self) -> None:
        with contextlib.suppress(OSError):
            os.chdir(self.folder)
        path = Path(self.shard)
        mended = LineFile(path)  # a node that lost its power may have left half a line
        mended.mend()
        mended.close()
        before = rows_of_shard(path)
        with contextlib.closing(SpoolWriter(path)) as writer:
            problem = refusal(self.campaign)
            if problem:
                writer.end(refusal=problem)
            else:
                self._run_all(writer, before)

    def _run_all(self, writer: SpoolWriter, before: Sequence[RunRecord]) -> None:
        state = State(self.campaign, writer.append)
        tally = Leases(self.campaign, state)
        tally.tried = dict(self.tried)
        for one, warmups in zip(tally.waiting, self.warmups, strict=True):
            one.warmups = warmups
        leases = list(iter(tally.take, None))
        for record in before:
            tally.count(record)
        cut = _under_way(tally, leases, before) if before else None
        for one in leases:
            if one is cut:
                tally.lost(one, why=CUT_OFF, host=host_name(), lane=self.lane)
            else:
                tally.ended(one)
        while lease := tally.take():
            self._run(tally, lease)
            tally.ended(lease)
        writer.end(given_up=state.given_up)

    def _run(self, tally: Leases, lease: Lease) -> None:
        tried, spared = tally.counts_of(lease)
        campaign = replace(self.campaign, attempts=spared, warmups=self.campaign.warmups + lease.warmups)
        run_invocation(
            campaign,
            lease.plan,
            lambda finished: tally.note(lease, finished),
            lane=self.lane,
            given_up=tally.state.given_up,
            tried=tried,
        )

    def checkpoint(self) -> Any:
        """What submitit submits again when the job is preempted or at its limit: the same; its file says where it was."""
        return _library().helpers.DelayedSubmission(self)

    __submitit_checkpoint__ = checkpoint


def _under_way(leases: Leases, candidates: Sequence[Lease], rows: Sequence[RunRecord]) -> Lease | None:
    """The lease that a job was at after it wrote these rows, set to where it was; None where all its leases were done.

    `candidates` with all the blocks that the job was given. Where the last row is of another lease, or ended its invocation, the
    job was at a process start that no row tells of.
    """
    lease = next((one for one in candidates if leases.left_of(one)), None)
    if lease is None:
        return None
    lease.enter("")
    mine = [row for row in rows if row.invocation == rows[-1].invocation]
    if mine and not is_lost(mine[-1]) and {row.replicate for row in mine if not row.warmup} <= lease.replicates:
        lease.enter(mine[-1].invocation or "")
        lease.warm = {row.arm for row in mine if row.warmup}
        lease.ran = any(not row.warmup for row in mine)
    return lease
