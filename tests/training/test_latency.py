"""Trainer `latency`: what it counts, that its networks are the same in any process, and what it says where it cannot."""

from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from harness.plugins import build_config, trainer_info  # noqa: E402
from harness.testing import TrainerChecks  # noqa: E402
from harness.trainer import Clock, Outcome  # noqa: E402
from trainers import latency_recipe as recipe  # noqa: E402
from trainers.latency import DTYPES, MODELS, STEMS, TRAINER, LatencyConfig, Model  # noqa: E402
from trainers.vision import models  # noqa: E402

pytestmark = pytest.mark.train
SMALL = {
    "model.name": "mlp",
    "model.size": 8,
    "model.hidden": [16],
    "batch": 8,
    "iterations": 3,
    "warmup": 1,
    "check_images": 12,
    "device": "cpu",
}
TINY = LatencyConfig(Model("mlp", size=8, hidden=(16,)), batch=8, iterations=3, warmup=1, check_images=12, device="cpu")
BOTTLENECK = replace(TINY, model=Model("bottleneck", size=8, width=0.25, depth=0.3))


def run(config: LatencyConfig, seed: int = 3) -> Outcome:
    clock = Clock()
    return TRAINER.evaluate(TRAINER.train(config, seed=seed, clock=clock), config, clock=clock)


def told(outcome: Outcome) -> dict[str, float]:
    return {m.metric: m.value for m in outcome.metrics}


class TestConformance(TrainerChecks):
    trainer = TRAINER
    config = SMALL


class TestConformanceOfSteps(TrainerChecks):
    trainer = TRAINER
    config = SMALL | {"mode": "step", "model.name": "bottleneck", "model.width": 0.25, "model.depth": 0.3}


def test_the_declared_choices_are_those_of_the_networks() -> None:
    assert MODELS == models.NAMES
    assert STEMS == models.STEMS
    assert set(DTYPES) == set(recipe.DTYPES)


# --- counting -----------------------------------------------------------------------------------------------


def test_multiply_adds_are_those_counted_by_hand() -> None:
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False),  # 16x16 from 32x32: 8 * 16 * 16 * (3 * 3 * 3)
        torch.nn.BatchNorm2d(8),
        torch.nn.SiLU(),
        torch.nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False),  # depthwise: 8 * 16 * 16 * (1 * 3 * 3)
        torch.nn.Conv2d(8, 12, 1),  # pointwise: 12 * 16 * 16 * 8
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(12, 10),  # 12 * 10
    )
    by_hand = 8 * 16 * 16 * 27 + 8 * 16 * 16 * 9 + 12 * 16 * 16 * 8 + 120
    assert recipe.multiply_adds(network, (1, 3, 32, 32)) == by_hand


def test_a_multilayer_perceptron_is_counted_by_hand_too() -> None:
    facts = told(run(TINY))
    assert facts["macs"] == 3 * 8 * 8 * 16 + 16 * 10
    assert facts["parameters"] == 3 * 8 * 8 * 16 + 16 + 16 * 10 + 10


@pytest.mark.parametrize(
    ("model", "millions"),
    [(Model("resnet18"), 555), (Model("bottleneck", width=1.2), 130), (Model("bottleneck", width=0.5), 28)],
)
def test_the_networks_of_the_experiment_cost_what_it_says(model: Model, millions: int) -> None:
    network = recipe.build(replace(TINY, model=model), 0)
    assert round(recipe.multiply_adds(network, (1, 3, 32, 32)) / 1e6) == pytest.approx(millions, abs=3)


def test_times_are_of_the_passes_alone() -> None:
    waits: list[None] = []
    times = recipe.awaited(lambda: waits.append(None), 7)
    assert len(times) == len(waits) == 7
    facts = {m.metric: m for m in recipe.latencies([0.002, 0.003, 0.007], 12)}
    assert facts["latency_median"].value == pytest.approx(3.0) and facts["latency_median"].unit == "ms"
    assert facts["latency_mean"].value == pytest.approx(4.0)
    assert facts["throughput"].value == pytest.approx(12 / 0.004)


def test_the_clock_holds_the_passes_and_no_warm_up() -> None:
    config = replace(TINY, warmup=1, iterations=20)
    TRAINER.prepare(config)
    clock = Clock()
    trained = TRAINER.train(config, seed=1, clock=clock)
    facts = {m.metric: m.value for m in trained.metrics}
    assert clock.elapsed_s == pytest.approx(20 * facts["latency_mean"] / 1000, rel=0.2, abs=2e-3)


@pytest.mark.parametrize(
    ("ranges", "length"),
    [
        ([], 0.0),
        ([(0, 2), (3, 4)], 3.0),
        ([(0, 5), (1, 2), (4, 7)], 7.0),  # kernels of two streams at once keep the device busy once
        ([(3, 4), (0, 1), (0, 1)], 2.0),
    ],
)
def test_time_that_kernels_share_counts_once(ranges: list[tuple[float, float]], length: float) -> None:
    assert recipe.covered(ranges) == length


def test_only_what_runs_on_the_device_keeps_it_busy() -> None:
    from torch.autograd import DeviceType
    from torch.autograd.profiler_util import FunctionEvent

    def event(name: str, start: int, end: int, device: Any, **facts: Any) -> Any:
        return FunctionEvent(1, name, 1, start, end, device_type=device, **facts)

    seen = [
        event("aten::conv2d", 0, 900, DeviceType.CPU),
        event("kernel", 100, 300, DeviceType.CUDA),
        event("kernel", 250, 400, DeviceType.CUDA),
        event("Optimizer.step", 0, 1000, DeviceType.CUDA, is_user_annotation=True),
    ]
    assert recipe.device_ranges(seen) == [(100, 300), (250, 400)]
    assert recipe.covered(recipe.device_ranges(seen)) == 300


def test_a_processor_has_no_idle_time_of_a_device_rather_than_none_at_all() -> None:
    assert "device_idle" not in told(run(TINY))


# --- what is checked ----------------------------------------------------------------------------------------


def test_fp32_gives_the_answers_of_fp32_and_whole_batches_are_checked() -> None:
    outcome = run(TINY)
    assert (outcome.correct, outcome.total) == (16, 16)  # 12 images asked for, two batches of 8
    assert outcome.steps == 3


def test_answers_that_differ_are_counted() -> None:
    """Weights in bf16, of a network with many classes and noise for an input: some answers must tip over."""
    config = replace(TINY, model=replace(TINY.model, classes=1000, hidden=()), dtype="bf16", batch=64, check_images=512)
    outcome = run(config)
    assert outcome.total == 512
    assert 0.5 * 512 < (outcome.correct or 0) < 512


def test_a_network_with_other_weights_would_be_found_out() -> None:
    what, device = recipe.subject(TINY), torch.device("cpu")
    batches = [recipe.batch(TINY, torch.Generator().manual_seed(5), device) for _ in range(8)]
    expected = recipe.take_weights(what.network, TINY, 5, device, [x for x, _ in batches])
    with torch.no_grad():
        for parameter in what.network.parameters():
            parameter.normal_(generator=torch.Generator().manual_seed(6))
    same, _ = recipe.check(recipe.Passes(what, TINY, *batches[0]), TINY, batches, expected)
    assert int(same.sum()) < len(same)


def test_signals_do_not_vanish_in_a_deep_network() -> None:
    """With the norms' first statistics the bottlenecks' activations end below the smallest normal number."""
    what, device = recipe.subject(BOTTLENECK), torch.device("cpu")
    images, _ = recipe.batch(BOTTLENECK, torch.Generator().manual_seed(5), device)
    recipe.take_weights(what.network, BOTTLENECK, 5, device, [images])
    seen: list[float] = []
    for norm in recipe.norms(what.network):
        norm.register_forward_hook(lambda m, i, out: seen.append(out.std().item()))
    recipe.Passes(what, BOTTLENECK, images, torch.zeros(8)).once()
    recipe.subject.cache_clear()  # the hooks go with it
    assert seen and min(seen) > 0.2 and max(seen) < 5


@pytest.mark.parametrize("change", [{"dtype": "bf16"}, {"dtype": "bf16", "cast": "autocast"}, {"channels_last": True}])
@pytest.mark.parametrize("mode", ["forward", "step"])
def test_every_number_format_runs_and_agrees_for_the_most_part(change: dict[str, Any], mode: str) -> None:
    outcome = run(replace(BOTTLENECK, mode=mode, check_images=64, batch=16, **change))
    assert outcome.total == (64 if mode == "forward" else 16)
    assert (outcome.correct or 0) >= 0.7 * outcome.total
    assert outcome.loss is not None and math.isfinite(outcome.loss)


def test_a_step_trains() -> None:
    """Many steps on one batch bring its loss down: the backward pass and the update are part of what is timed."""
    what = recipe.subject(replace(TINY, mode="step"))
    config, device = replace(TINY, mode="step"), torch.device("cpu")
    images, labels = recipe.batch(config, torch.Generator().manual_seed(1), device)
    recipe.take_weights(what.network, config, 1, device, [images])
    passes = recipe.Passes(what, config, images, labels)
    first = torch.nn.functional.cross_entropy(passes.once(), labels)
    for _ in range(300):
        passes.once()
    assert torch.nn.functional.cross_entropy(passes.once(), labels) < 0.9 * first


@pytest.mark.slow
def test_a_compiled_network_gives_the_same_answers_and_is_compiled_off_the_clock() -> None:
    config = replace(BOTTLENECK, compile="default")
    TRAINER.prepare(config)
    clock = Clock()
    outcome = TRAINER.evaluate(TRAINER.train(config, seed=3, clock=clock), config, clock=clock)
    assert outcome.correct == outcome.total
    assert outcome.loss == pytest.approx(run(BOTTLENECK).loss, rel=1e-4)
    assert clock.elapsed_s is not None and clock.elapsed_s < 2.0  # compiling takes longer than that


# --- what it says -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"mode": "step", "batch": 1}, "batch norm needs two images"),
        ({"cast": "autocast"}, "nothing to cast"),
        ({"model.hidden": [0]}, "model.hidden"),
    ],
)
def test_keys_that_do_not_go_together_are_told_before_the_first_run(change: dict[str, Any], said: str) -> None:
    defaults = {key: knob.default for key, knob in trainer_info("latency").knobs.items()}
    with pytest.raises(ValueError, match=said):
        TRAINER.check_config(defaults | change)


def test_cuda_where_there_is_none_is_an_error_with_a_way_out() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(ValueError, match="no CUDA device here"):
        TRAINER.prepare(replace(TINY, device="cuda"))


def test_its_configuration_is_read_without_torch() -> None:
    code = (
        "import sys; from harness.plugins import trainer_info; i = trainer_info('latency');"
        "print(len(i.knobs), i.own_process, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[1:] == ["True", "False"]


def test_keys_of_the_command_line_reach_the_network() -> None:
    defaults = {key: knob.default for key, knob in trainer_info("latency").knobs.items()}
    config = build_config(LatencyConfig, defaults | SMALL)
    assert (config.model, config.batch, config.check_images) == (TINY.model, 8, 12)


# --- a campaign ---------------------------------------------------------------------------------------------

EXPERIMENT = """
question = "Does a network of a tenth of the multiply-adds take less time?"
trainer = "latency"
claim = "time-only"
seeds = 6
invocations = 3
control = "wide"
[config]
"model.name" = "mlp"
"model.size" = 16
batch = 64
iterations = 10
check_images = 64
device = "cpu"
threads = 1
[[arms]]
name = "wide"
config."model.hidden" = [3000, 3000]
[[arms]]
name = "narrow"
config."model.hidden" = [300]
"""


@pytest.mark.slow
def test_a_campaign_ends_in_a_verdict_on_time(tmp_path: Path) -> None:
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "widths.toml").write_text(EXPERIMENT)
    command = [sys.executable, "-m", "harness", "run", "widths", "--json", "--seeds", "12"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    one = json.loads(done.stdout)["comparison"]["comparisons"][0]
    assert one["verdict"] == "pass", one["headline"]
    assert one["headline"].startswith("FASTER")
    assert one["time"]["speedup"]["value"] > 3
    with (tmp_path / "results" / "widths" / "metrics.csv").open() as file:
        macs = {row["value"] for row in csv.DictReader(file) if row["metric"] == "macs"}
    assert macs == {str(float(768 * 3000 + 3000 * 3000 + 30_000)), str(float(768 * 300 + 3000))}
