"""What `list` and `show` do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.app.family import family_lines, family_of
from harness.app.preparing import trainer_infos
from harness.comparison.words import counted, shortened
from harness.errors import OutputError, StoreError, UsageError, nearest
from harness.model.run import is_completed
from harness.report.plan_text import differences

if TYPE_CHECKING:
    from harness.store.read import Store

LEDGER_LINES = 12
"""So many of the latest entries are shown."""


def listing(results: Path, experiments: Path | None) -> dict[str, Any]:
    """Experiments, stores, trainers and data sets, as JSON."""
    from harness import datasets, spec
    from harness.plugins import entry_points

    known = {}
    for name, path in spec.available(experiments).items():
        try:
            known[name] = {"question": spec.read_file(path).get("question", ""), "file": str(path)}
        except UsageError as problem:
            known[name] = {"question": "", "file": str(path), "error": str(problem)}
    return {
        "schema": 1,
        "experiments": [{"name": name, **facts} for name, facts in known.items()],
        "stores": [_store_line(results, name) for name in _names_of_stores(results)],
        "trainers": sorted(entry_points()),
        "datasets": datasets.names(),
    }


def _names_of_stores(results: Path) -> list[str]:
    from harness.store.read import store_names

    return store_names(results)


def _store_line(results: Path, name: str) -> dict[str, Any]:
    from harness.store.read import read_table

    try:
        table = read_table(results / name / "runs.csv", name)
        warm = table.flags("warmup")
    except StoreError as problem:
        return {"name": name, "runs": 0, "arms": {}, "error": str(problem)}
    counts: dict[str, int] = {}
    for arm, status, is_warm in zip(table.text("arm"), table.text("status"), warm, strict=True):
        if is_completed(status) and not is_warm:
            counts[arm] = counts.get(arm, 0) + 1
    return {"name": name, "runs": sum(counts.values()), "arms": counts}


def listing_text(document: Mapping[str, Any]) -> str:
    """`harness list` as people read it."""
    experiments, stores = document["experiments"], document["stores"]
    width = max((len(e["name"]) for e in [*experiments, *stores]), default=0)
    lines = ["experiments"]
    lines += [f"  {e['name']:<{width}}  {e.get('error') or e['question']}" for e in experiments] or ["  none"]
    lines += ["", "stores"]
    lines += [f"  {s['name']:<{width}}  {s.get('error') or _store_text(s)}" for s in stores] or [
        "  none yet: `harness run quickstart` makes one"
    ]
    lines += ["", "trainers", "  " + ", ".join(document["trainers"])]
    lines += ["", "data sets (`harness data list` says more)", "  " + (", ".join(document["datasets"]) or "none")]
    return "\n".join(lines)


def _store_text(store: Mapping[str, Any]) -> str:
    return f"{counted(store['runs'], 'run')}: {shortened(_counts(store['arms']), 90)}"


def _counts(arms: Mapping[str, int]) -> str:
    return ", ".join(f"{arm} {count}" for arm, count in arms.items())


def show(name: str, results: Path, experiments: Path | None, preset: str | None) -> dict[str, Any]:
    """An experiment (by name or TOML path), a trainer (by name or .py path) and a store, as JSON: what there is under this name."""
    from harness import spec
    from harness.plugins import entry_points, is_script, split_ref, trainer_info
    from harness.report.trainer_text import trainer_document
    from harness.store.read import ledger_of, open_store, store_names

    document: dict[str, Any] = {
        "schema": 1,
        "name": name,
        "experiment": None,
        "trainer": None,
        "store": None,
        "family": None,
        "costs": None,
        "ledger": [],
    }
    place = name
    if name.endswith(spec.SUFFIXES) or name in spec.available(experiments):
        experiment = spec.load_experiment(name, spec.Request(preset=preset, experiments=experiments))
        clocks = {info.name: info.clock for info in trainer_infos(experiment).values()}
        document["experiment"] = experiment.as_dict() | {"clocks": clocks, "notes": list(experiment.notes)}
        place = experiment.name
    if name in entry_points() or is_script(name):
        document["trainer"] = trainer_document(trainer_info(name))
        place = Path(split_ref(name)[0]).stem if is_script(name) else name
    store = open_store(results, place)
    if not (document["experiment"] or document["trainer"] or store.exists):
        known = [*spec.available(experiments), *store_names(results), *entry_points()]
        raise UsageError(f"{name!r} is neither an experiment nor a store nor a trainer. {nearest(name, known)}")
    if store.exists:
        from harness.summary import summarise

        target = store.experiment.get("target")
        document["store"] = {
            "folder": str(store.folder),
            "arms": [s.as_dict() for s in summarise(store.table(), target)],
            **({"not_run": store.experiment["not_run"]} if store.experiment.get("not_run") else {}),
        }
        document["family"] = family_of(store.name, results)
        document["costs"] = _costs(store)
        document["ledger"] = ledger_of(store)
    return document


def _costs(store: Store) -> dict[str, Any] | None:
    """What passes cost, where the store's runs were measured by passes; None elsewhere."""
    from harness.comparison.costs import NEEDED, PassRun, costs_of
    from harness.comparison.samples import make_sample, timed
    from harness.store.frames import frame_of
    from harness.store.metrics import mentions, read_values

    if not mentions(store, *NEEDED):
        return None
    table, values = store.table(), read_values(store)
    frame = frame_of(table)
    peaks = dict(zip(table.text("run_id"), table.integers("peak_memory_bytes"), strict=True))
    runs = []
    for arm in dict.fromkeys(frame["arm"].tolist()):
        mine = timed(make_sample(arm, [frame.where(frame["arm"] == arm)]))[0]
        told = zip(mine["run_id"].tolist(), mine["invocation"].tolist(), strict=True)
        runs += [PassRun(arm, invocation, values.get(run, {}), peaks[run]) for run, invocation in told]
    configs = {arm["name"]: arm.get("config") or {} for arm in store.arms()}
    return costs_of(runs, configs).as_dict()


def costs_file(document: Mapping[str, Any], path: Path) -> None:
    """Draw the document's costs into `path`. Raises UsageError where it has none, OutputError where the file cannot be written."""
    from harness.report.costs_plot import costs_picture

    if not document["costs"] or not document["costs"]["arms"]:
        raise UsageError(
            f"{document['name']!r} has no runs that were measured by passes (trainer `latency`), so there is nothing to plot."
        )
    picture = costs_picture(document["costs"], document["name"], path.suffix.removeprefix("."))
    try:
        path.write_bytes(picture)
    except OSError as problem:
        raise OutputError.of(path, problem, "--plot") from problem


def show_text(document: Mapping[str, Any]) -> str:
    """`harness show` as people read it."""
    from harness.report.costs_text import costs_lines
    from harness.report.plan_text import not_run_lines
    from harness.report.trainer_text import trainer_lines

    experiment, trainer, store = document["experiment"], document["trainer"], document["store"]
    lines = [document["name"]]
    if experiment:
        lines += _experiment_lines(experiment)
    if trainer:
        lines += ["", *trainer_lines(trainer)]
    if store:
        lines += ["", f"runs in {store['folder']}"] + [f"  {_arm_line(arm)}" for arm in store["arms"]]
        lines += [f"  {line}" for line in not_run_lines(store.get("not_run", ()))]
    if document["costs"] and document["costs"]["arms"]:
        lines += ["", *costs_lines(document["costs"])]
    if document["family"] and _worth_telling(document["family"], document["name"]):
        lines += ["", *family_lines(document["family"])]
    if document["ledger"]:
        shown = document["ledger"][-LEDGER_LINES:]
        earlier = len(document["ledger"]) - len(shown)
        lines += ["", "ledger" + (f" ({earlier} earlier entries: --json, or ledger.jsonl)" if earlier else "")]
        lines += [f"  {_ledger_line(entry)}" for entry in shown]
    return "\n".join(lines)


def _worth_telling(family: Mapping[str, Any], name: str) -> bool:
    """Whether there is more than the one arm of the store itself."""
    tries = family["tries"]
    return len(tries) > 1 or any(one["store"] != name for one in tries)


def _experiment_lines(e: Mapping[str, Any]) -> list[str]:
    terms = {
        k: e[k] for k in ("claim", "target", "margin_pp", "max_slowdown", "alpha", "stage", "seeds") if e[k] is not None
    }
    base = e["arms"][0]
    lines = [e["question"], "", "  ".join(f"{k} {v}" for k, v in terms.items())]
    lines += [f"clock of {name}: {clock}" for name, clock in e["clocks"].items()]
    at = f" at revision {base['revision']} ({base['git'][:12]})" if base.get("git") else ""
    lines += ["", f"configuration of {base['name']} ({base['role']}){at}"]
    lines += [f"  {key} = {value}" for key, value in base["config"].items()]
    for arm in e["arms"][1:]:
        differs = differences(arm, base)
        at = f"revision {arm['revision']} ({arm['git'][:12]}), " if arm.get("git") else ""
        lines.append(f"{arm['name']} ({arm['role']}): {at}{differs}")
    return lines + [f"note: {note}" for note in e["notes"]]


def _arm_line(arm: Mapping[str, Any]) -> str:
    accuracy, rate = arm["accuracy"], arm["success"]
    shown = "" if accuracy["value"] is None else f"  {100 * accuracy['value']:.3f} %"
    if accuracy["value"] is None and arm["time_s"]["value"] is not None:
        shown = f"  {arm['time_s']['value']:.4g} s, accuracy unknown"
    if accuracy["sd"] is not None:
        shown += f" (sd {100 * accuracy['sd']:.3f} pp)"
    if rate["value"] is not None:
        shown += f"  {round(rate['value'] * arm['n'])}/{arm['n']} at the target"
    failed = f"  {counted(arm['failed'], 'failed attempt')}" if arm["failed"] else ""
    return f"{arm['arm']}: {counted(arm['n'], 'run')}, {counted(arm['warmups'], 'warm-up')}{failed}{shown}"


def _ledger_line(entry: Mapping[str, Any]) -> str:
    from harness.report.ladder_text import entry_text

    return f"{entry.get('at', '?')}  {entry.get('event', '?')}  {entry_text(entry)}"
