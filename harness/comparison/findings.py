"""Every finding as one named value: what was seen, and what to do about it. `docs/findings.md` has a section each."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from harness.model.estimate import Finding
from harness.model.experiment import STAGES

TIME = frozenset(("time",))
SUPERIORITY = frozenset(("time-superiority",))
ACCURACY = frozenset(("accuracy",))
BOTH = frozenset(("accuracy", "time"))
NOTHING: frozenset[str] = frozenset()


def fresh(stage: str | None) -> str:
    """The option of `harness run` that takes fresh seeds after runs of this stage: the next stage, else another store."""
    following = {str(one): after for one, after in pairwise(STAGES)}.get(stage or "")
    return f"--stage {following}" if following else "--as NAME"


def not_interleaved(control: str, candidate: str) -> Finding:
    return Finding(
        "not-interleaved", "refuse",
        f"{control} and {candidate} share no blocks: they ran at different times, and times drift between hours and "
        "machines by more than most changes are worth.",
        f"Run them together: make {control} the control of the experiment (control = \"...\"), or both arms of one file (an [[arms]] "
        "table each, also for two settings of one script), or `harness run old.py new.py`; each block then holds one run of both. "
        "Accuracy can be compared as it is.",
        TIME,
    )  # fmt: skip


def blocks_unknown(control: str, candidate: str) -> Finding:
    return Finding(
        "not-interleaved", "refuse",
        f"Which runs of {control} and {candidate} belong to one block is unknown (columns 'invocation' and 'block').",
        "Import both arms in one file with the columns 'invocation' and 'block', or let the harness run them: "
        "`harness run old.py new.py`. Accuracy can be compared as it is.",
        TIME,
    )  # fmt: skip


def no_times(control: str, candidate: str, why: str) -> Finding:
    return Finding(
        "no-times", "refuse", f"There are no times to compare between {control} and {candidate}: {why}.",
        "Run both in the exclusive lane (--workers 1 on a CPU, one a GPU), where each run has the device to itself.", TIME,
    )  # fmt: skip


def shared_lane(runs: int, *, nothing_left: bool) -> Finding:
    if not nothing_left:
        return Finding(
            "shared-lane", "info", f"{runs} runs shared their device with others; their times are left out.",
            "Nothing to do: the time rests on the runs that had the device to themselves.", NOTHING,
        )  # fmt: skip
    return Finding(
        "shared-lane", "refuse", f"{runs} runs shared their device with others; their times are never used.",
        "For time, run again with one worker a device (--workers 1 on a CPU). Accuracy can be compared as it is.", TIME,
    )  # fmt: skip


def environment_mismatch(what: str, *, refuses: frozenset[str], across: str) -> Finding:
    return Finding(
        "environment-mismatch", "refuse" if refuses else "warn",
        f"The arms ran in different environments {across}: {what}.",
        "Run both arms on one machine with the same driver and libraries; files under environments/ show what differs.", refuses,
    )  # fmt: skip


def few_invocations(count: int, unit: str, *, planned: bool = False) -> Finding:
    refused = count < 3
    if unit == "host":
        return Finding(
            "few-invocations", "refuse" if refused else "warn",
            f"The arms share {count} hosts. A change can be worth more on one machine than on another, and {count} machines "
            f"{'say too little about that to claim anything' if refused else 'make wide intervals'}.",
            "Compare the runs of one host, or add hosts: five or more are a good number.", TIME if refused else NOTHING,
        )  # fmt: skip
    return Finding(
        "few-invocations", "refuse" if refused else "warn",
        f"The arms share {count} {unit}{'s' if count != 1 else ''}. Time differs from process start to process start, and "
        f"{count} {'says too little about that to claim anything' if refused else 'make wide intervals'}.",
        "Process starts come with the looks of the plan; one for a claim about time has three or more for each." if planned
        else "Add process starts: `harness run ... --seeds N` with a larger N tops up in new invocations; five or more "
        "are the plan's default (key 'invocations').", TIME if refused else NOTHING,
    )  # fmt: skip


def compute_neutral(steps: int, measured: str, *, asked: bool) -> Finding:
    work = f"the same {steps} steps of the same work" if steps else "the same work"
    return Finding(
        "compute-neutral", "refuse",
        f"Both arms do {work} in the same environment{measured}: whatever was measured, the change cannot be faster.",
        ("Ask for what it can change: `--claim accurate`. " if asked else "Nothing to do: no one asks here whether it is faster. ")
        + "If it does change the work, declare the key with compute=True in the trainer.",
        SUPERIORITY,
    )  # fmt: skip


def unequal_training(what: str) -> Finding:
    return Finding(
        "unequal-training", "refuse",
        f"The arms stopped at different points, and not because the change says so: {what}.",
        "Compare time per epoch, or fix the number of epochs (steps) in both arms and run again.", TIME,
    )  # fmt: skip


def data_mismatch(control: str, candidate: str) -> Finding:
    return Finding(
        "data-mismatch", "refuse", f"The arms were trained or tested on different data: {control} against {candidate}.",
        "Run both arms on the same data, then compare again.", BOTH,
    )  # fmt: skip


def seed_ignored(arm: str, runs: int) -> Finding:
    return Finding(
        "seed-ignored", "refuse",
        f"All {runs} runs of {arm} gave the same accuracy from different seeds: the seed does nothing, or every run diverged "
        "to one and the same answer. Without a spread there is no error to judge by.",
        "Make the training use its seed (in a script: argument --seed or the variable SEED), then run again. Where the runs diverged "
        "(column loss), the arm needs no test.", ACCURACY,
    )  # fmt: skip


def duplicate_seeds(arm: str, count: int) -> Finding:
    runs = "1 run" if count == 1 else f"{count} runs"
    return Finding(
        "duplicate-seeds", "refuse",
        f"{runs} of {arm} repeat a seed that the arm has already. The same seed gives the same network: repeats look like "
        "evidence and are none.",
        "Remove the repeats, or run each seed once: the harness gives every run a fresh seed.", BOTH,
    )  # fmt: skip


DRIFT_ADVICE = "Nothing, where the arms are interleaved: blocks cancel it. Never compare such times with another day's."


def drift(percent: float) -> Finding:
    return Finding(
        "drift", "warn", f"The control's time moved by {percent:+.1f} % over the campaign.", DRIFT_ADVICE, NOTHING,
    )  # fmt: skip


def level_step(steps: Sequence[str]) -> Finding:
    """`steps` say of each arm how its level changed, and where."""
    return Finding(
        "drift", "warn", f"{'; '.join(steps)}. The level stayed there: something changed on the machine at that moment.",
        "Look what started or ended there (load, clocks, temperature). " + DRIFT_ADVICE, NOTHING,
    )  # fmt: skip


def autocorrelated(arm: str, r1: float, effective: float, n: int) -> Finding:
    return Finding(
        "autocorrelated", "warn",
        f"Successive times of {arm} resemble each other (lag-1 correlation {r1:.2f}): {n} runs are worth about {effective:.0f}.",
        "Nothing, where the arms are interleaved: the interval rests on invocations. Do not compute one from single runs.", NOTHING,
    )  # fmt: skip


def slow_first_run(count: int) -> Finding:
    return Finding(
        "slow-first-run", "warn",
        "The first run of a process was far slower than the rest and not tagged as a warm-up; with the other runs of such "
        f"blocks {count} are left out of the time.",
        "Mark such runs in a column 'warmup', or let the harness run: it warms every arm up in every process.", NOTHING,
    )  # fmt: skip


def outliers(what: str, count: int, n: int, *, decisive: bool) -> Finding:
    tail = (
        " Without the blocks that lie apart time is decided differently, so it is left open."
        if decisive
        else " Without the blocks that lie apart time is decided the same."
    )
    return Finding(
        "outliers", "warn", f"{count} of {n} {what} lie more than 5 robust deviations from the median.{tail}",
        "Look for what else ran on the machine (column started_at). Nothing is deleted.", NOTHING,
    )  # fmt: skip


def skewed(arm: str, skewness: float, low: int) -> Finding:
    what = (
        f"{low} run{'s lie' if low != 1 else ' lies'} more than 5 robust deviations from the median"
        if low
        else "its tail is long"
    )
    return Finding(
        "skewed", "warn",
        f"The accuracy of {arm} is skewed ({skewness:+.1f}): {what}. One-sided bounds are then a little too optimistic.",
        "Look at the median too, and at the runs far out (diverged?). With 200 runs or more the effect is small.", NOTHING,
    )  # fmt: skip


def spread_differs(what: str, ratio: float) -> Finding:
    return Finding(
        "spread-differs", "warn", f"The standard deviation of {what} differs by a factor of {ratio:.1f} between the arms.",
        "The tests allow for it. Find out why: a warm-up among the runs, another load on the machine, an unstable setting?", NOTHING,
    )  # fmt: skip


def throttled(count: int, n: int, reasons: str) -> Finding:
    return Finding(
        "throttled", "warn", f"The device was throttled in {count} of {n} timed runs ({reasons}).",
        "Lock the clocks below the limit, or improve cooling or the power limit, before a time is published.", NOTHING,
    )  # fmt: skip


def dead_knob(control: str, candidate: str, blocks: int) -> Finding:
    return Finding(
        "dead-knob", "warn",
        f"{candidate} gave exactly the results of {control} in all {blocks} blocks, which share their seeds: the changed key seems "
        "to be wired to nothing.", "Check that the trainer reads the key, and that the arms are not the same configuration.", NOTHING,
    )  # fmt: skip


def missing_runs(what: str) -> Finding:
    return Finding(
        "missing-runs", "warn", f"Runs are missing: {what}.",
        "Give the run command again: it makes what is missing. Results that were left out choose themselves.", NOTHING,
    )  # fmt: skip


def no_accuracies(arm: str, count: int, n: int) -> Finding:
    return Finding(
        "no-accuracies", "refuse",
        f"{count} of {n} runs of {arm} completed and tell no accuracy: if these are the ones that diverged, the mean of the others "
        "flatters it.",
        "Give every completed run the accuracy that it has, however low; a run that gave none has status `crashed`.", ACCURACY,
    )  # fmt: skip


def timings_alone(arm: str, count: int) -> Finding:
    return Finding(
        "no-accuracies", "refuse", f"None of the {count} runs of {arm} tells an accuracy: they are timings alone.",
        "Ask about time: `--claim time-only`. Whether the change costs accuracy cannot be said from such runs.", ACCURACY,
    )  # fmt: skip


def seeds_unknown(arm: str, count: int, n: int) -> Finding:
    return Finding(
        "seeds-unknown", "warn",
        f"The seeds of {count} of {n} runs of {arm} are unknown: whether one seed was run several times, which makes one run look like "
        "many, cannot be seen.",
        "Bring the seeds in with the runs (`harness import FILE --as NAME --map seed=THEIRS`), or let the harness make them.", NOTHING,
    )  # fmt: skip


def crashed_runs(arm: str, count: int, n: int, example: str) -> Finding:
    return Finding(
        "crashed-runs", "warn",
        f"{count} attempt{'' if count == 1 else 's'} of {arm} crashed or timed out beside {n} that completed{example}.",
        "Find the cause: if the change makes runs fail, the mean over the survivors flatters it.", NOTHING,
    )  # fmt: skip


def unreadable_status(arm: str, count: int, words: Sequence[str]) -> Finding:
    shown = ", ".join(repr(word) for word in words[:3]) + (", ..." if len(words) > 3 else "")
    return Finding(
        "crashed-runs", "warn",
        f"{count} attempts of {arm} have a status that is none of completed, crashed, timeout ({shown}): how they ended is unknown, "
        "and they are not counted.",
        "Mend these cells of runs.csv: `harness verify NAME` names their lines.", NOTHING,
    )  # fmt: skip


def low_power(n: int, detectable: float | None, margin: str, *, stage: str | None, planned: bool = False) -> Finding:
    runs = "1 run" if n == 1 else f"{n} runs"
    shown = "no difference" if detectable is None else f"only differences of about {detectable:.2f} pp"
    return Finding(
        "low-power", "warn", f"With {runs} in the smaller arm {shown} can be shown (9 times in 10){margin}.",
        "The plan of looks was made for another difference: a smaller one takes fresh seeds (--as NAME) and more of them (`harness plan`)."
        if planned else f"More seeds, fresh ones (`harness run ... {fresh(stage)} --seeds N`; `harness plan` says how many): "
        "to top these up is a second look at them. Below 10 runs an arm nothing passes.", NOTHING,
    )  # fmt: skip


def clock_mismatch(control: str, candidate: str) -> Finding:
    return Finding(
        "clock-mismatch", "refuse", f"The arms have different things on their clocks: {control!r} against {candidate!r}.",
        "Time both with the same trainer, or both as whole processes (trainer \"command\").", TIME,
    )  # fmt: skip


def inconsistent_success_count(arm: str, k: int, n: int, expected: float) -> Finding:
    return Finding(
        "inconsistent-success-count", "warn",
        f"{k} of {n} runs of {arm} reach the target; mean and standard deviation let expect {expected:.0f}.",
        "Check the threshold (>= on integer counts, not on float32) and whether two kinds of runs are mixed.", NOTHING,
    )  # fmt: skip


def code_mismatch(*, config_too: bool) -> Finding:
    if config_too:
        return Finding(
            "code-mismatch", "warn", "The arms differ in their configuration and in their code: one comparison, two causes.",
            "Change one at a time, or run both arms with the same code.", NOTHING,
        )  # fmt: skip
    return Finding(
        "code-mismatch", "info", "The arms ran different code: the code is what is compared.", "Nothing to do.", NOTHING
    )


def mixed_code(arm: str, count: int) -> Finding:
    return Finding(
        "code-mismatch", "warn", f"The runs of {arm} come from {count} versions of its code.",
        "Compare one version at a time: keep each in a store of its own.", NOTHING,
    )  # fmt: skip


def mixed_settings(arm: str, count: int) -> Finding:
    return Finding(
        "code-mismatch", "warn", f"The runs of {arm} come from {count} configurations: their mean is that of none of them.",
        "Compare one configuration at a time: give each an arm of its own.", NOTHING,
    )  # fmt: skip


def screening_sample(more: int | None) -> Finding:
    count = f"about {more} fresh seeds" if more else "fresh seeds"
    return Finding(
        "screening-sample", "warn",
        "These are screening runs: they choose what to confirm and prove nothing themselves.",
        f"Confirm with {count}: `harness run ... --stage confirm --arm NAME --seeds N`.", NOTHING,
    )  # fmt: skip


GO_ON = "Let it go on to its next look: the same `harness run ... --until-decided` again."


def peeked(arm: str, looks: list[int], n: int, *, stage: str | None) -> Finding:
    shown = ", ".join(map(str, looks[:6])) + (", ..." if len(looks) > 6 else "")
    now = f"now at {n}" if looks != [n] else "now with more of the control"
    return Finding(
        "peeked", "warn",
        f"{arm} was judged before, at {shown} runs, and {now}: a test that is repeated while the runs grow claims too often "
        "(looking at 25, 200 and 1000 runs, 13 times in 100 instead of 5).",
        "Fresh seeds keep the error rate, with the looks planned before their first run: "
        f"`harness run ... {fresh(stage)} --until-decided`. These runs then count as a try of their own.", NOTHING,
    )  # fmt: skip


def between_looks(
    looks: Sequence[int], n: int, extra: int, *, stop: str | None, begun: bool, lacking: str = ""
) -> Finding:
    """Runs that no look has judged: of a campaign that goes on, or that came to its end (`stop`) before them."""
    shown = ", ".join(map(str, looks[:8])) + (", ..." if len(looks) > 8 else "")
    more = f"{extra} run{'s' if extra != 1 else ''} an arm"
    if lacking:
        done = f"Judged is its look of {n}" if begun else f"There are {n}, and nothing is decided yet"
        return Finding(
            "peeked", "warn", f"The plan of this campaign looks at {shown} runs. {done}, as there is no completed run of {lacking}.",
            "Make it: the same `harness run ... --until-decided` again. A look without the runs that failed would be another look.",
            NOTHING,
        )  # fmt: skip
    if not begun:
        return Finding(
            "peeked", "info", f"The plan of this campaign looks at {shown} runs, and there are {n}: nothing is decided yet.",
            GO_ON, NOTHING,
        )  # fmt: skip
    if stop == "decided":
        return Finding(
            "peeked", "info", f"The campaign was decided at its look of {n} runs; {more} that came later change nothing.",
            "Nothing to do. For another answer take fresh seeds (`harness run ... --as NAME`).", NOTHING,
        )  # fmt: skip
    where, advice = "wait for the next one", GO_ON
    if stop == "futility":
        where = "came after it stopped for lack of prospects"
        advice = "That look was the answer. A group-sequential plan goes on with `harness run ... --until-decided --past-futility`."
    elif n >= looks[-1]:
        where = "beyond the last look decide nothing"
        advice = "The last planned look was the answer; for another one take fresh seeds (`harness run ... --as NAME`)."
    return Finding(
        "peeked", "warn", f"The plan of this campaign looks at {shown} runs. Judged is its look of {n}; {more} {where}.",
        advice, NOTHING,
    )  # fmt: skip


def re_rolled(arm: str, places: Sequence[str], *, store: str) -> Finding:
    shown = ", ".join(places[:6]) + (", ..." if len(places) > 6 else "")
    return Finding(
        "re-rolled", "warn",
        f"The configuration and code of {arm} were held against this control before, on other seeds: {shown}. To try again until it "
        f"passes finds something where there is nothing: one of {len(places) + 1} tries does so more often than the stated level.",
        f"Every try counts, this one too: a pass that also stands as one of all tries (Holm, in `harness show {store}`) keeps the level. "
        "A campaign that is planned before its first run (`--until-decided`) is one try, however often it looks.", NOTHING,
    )  # fmt: skip


def best_of_k(k: int, endpoints: Sequence[str], luck_pp: float | None, *, stage: str | None) -> Finding:
    why = f"at the level of {k} tries the {' and the '.join(endpoints)} {'is' if len(endpoints) == 1 else 'are'} not proven"
    if luck_pp is not None:
        why = f"the best of {k} equal arms stands {luck_pp:.2f} pp above by luck"
    return Finding(
        "best-of-k", "warn",
        f"It passes alone, but not as one of {k} candidates: {why}.",
        f"Confirm this arm on fresh seeds: `harness run ... {fresh(stage)} --arm ARM --seeds N`.", NOTHING,
    )  # fmt: skip
