"""The networks by name: shapes, sizes, what they cost, seeds, and pretrained weights that cannot be had."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")

from torch import nn  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from harness.datasets import DataError  # noqa: E402
from harness.errors import UsageError  # noqa: E402
from trainers.vision.bottleneck import BottleneckNet, LinearBottleneck  # noqa: E402
from trainers.vision.models import NAMES, TIMM, build  # noqa: E402

pytestmark = pytest.mark.train


def millions(network: nn.Module, channels: int = 3, size: int = 32) -> float:
    """Multiply-adds of one image, in millions."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(torch.zeros(1, channels, size, size))
    return counter.get_total_flops() / 2e6


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("classes", "channels", "size"), [(10, 1, 28), (100, 3, 32)])
def test_every_model_trains_a_step_on_grey_and_colour_images(name, classes, channels, size):
    network = build(name, classes=classes, channels=channels, size=size, seed=3)
    before = {key: p.detach().clone() for key, p in network.named_parameters()}
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(4, channels, size, size, generator=generator)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    for _ in range(2):  # timm begins its blocks' last norms at 0: what lies before them moves in the second step only
        logits = network(images)
        nn.functional.cross_entropy(logits, torch.arange(4)).backward()
        optimiser.step()
    assert logits.shape == (4, classes)
    # Biases that a norm takes away, and the attention on one last pixel, may have no gradient; nothing else stands still.
    still = [key for key, p in network.named_parameters() if torch.equal(p, before[key])]
    assert [key for key in still if ".conv2.fc1." not in key and ".conv2.bn1." not in key] == []


def test_large_images_take_the_large_stem():
    assert build("resnet18", classes=37, channels=3, size=224).conv1.stride == (2, 2)
    assert build("resnet18", classes=10, channels=3, size=32).conv1.stride == (1, 1)
    assert build("resnet18", classes=10, channels=3, size=32, stem="imagenet").conv1.stride == (2, 2)
    assert build("resnest14d", classes=10, channels=3, size=32).conv1[0].stride == (1, 1)
    assert build("bottleneck", classes=37, channels=3, size=224).stem[0].stride == (2, 2)


@pytest.mark.parametrize("name", ["resnet18", "mlp", "bottleneck"])
def test_the_seed_alone_decides_the_weights(name):
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first = build(name, classes=10, channels=3, size=32, seed=1).state_dict()
    assert torch.equal(state, torch.get_rng_state())
    torch.manual_seed(6)
    again = build(name, classes=10, channels=3, size=32, seed=1).state_dict()
    other = build(name, classes=10, channels=3, size=32, seed=2).state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


def test_a_linear_bottleneck_expands_filters_and_projects_without_activation():
    block = LinearBottleneck(16, 24, stride=2, expansion=6)
    convolutions = [m for m in block.body if isinstance(m, nn.Conv2d)]
    assert [(c.in_channels, c.out_channels, c.kernel_size[0], c.groups) for c in convolutions] == [
        (16, 96, 1, 1),
        (96, 96, 3, 96),
        (96, 24, 1, 1),
    ]
    assert isinstance(block.body[-1], nn.BatchNorm2d)
    assert sum(isinstance(m, nn.SiLU) for m in block.body) == 2
    assert block(torch.zeros(2, 16, 8, 8)).shape == (2, 24, 4, 4)


def test_the_input_is_added_where_shapes_allow():
    same = LinearBottleneck(16, 16, stride=1, expansion=6).eval()
    nn.init.zeros_(same.body[-1].weight)
    x = torch.randn(2, 16, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(same(x), x)
    assert not LinearBottleneck(16, 16, stride=2, expansion=6).residual
    assert not LinearBottleneck(16, 24, stride=1, expansion=6).residual


@pytest.mark.parametrize(("width", "low", "high"), [(1.2, 125, 135), (0.5, 26, 32)])
def test_widths_of_about_130_and_30_million_multiply_adds(width, low, high):
    assert low < millions(BottleneckNet(classes=10, channels=3, size=32, width=width)) < high


def test_what_the_networks_cost():
    # ResNet18 with the small stem: 555.4 million in its 20 convolutions and 5,130 in its last layer, by hand.
    assert millions(build("resnet18", classes=10, channels=3, size=32)) == pytest.approx(555.42272, abs=1e-6)
    assert millions(build("mlp", classes=10, channels=1, size=28, hidden=(100,)), 1, 28) == pytest.approx(0.0794)
    shallow = build("bottleneck", classes=10, channels=3, size=32, depth=0.5)
    narrow = build("bottleneck", classes=10, channels=3, size=32, expansion=3)
    whole = build("bottleneck", classes=10, channels=3, size=32)
    assert millions(shallow) < 0.7 * millions(whole)
    assert millions(narrow) < 0.7 * millions(whole)


def test_an_unknown_model_is_told_the_nearest():
    with pytest.raises(UsageError, match="Did you mean 'resnet18'"):
        build("resnet81", classes=10, channels=3, size=32)


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(TIMM)))
def test_models_without_pretrained_weights_say_so(name):
    with pytest.raises(UsageError, match="no pretrained weights"):
        build(name, classes=10, channels=3, size=32, pretrained=True)


def test_weights_that_cannot_be_had_are_told_with_what_to_do(monkeypatch, tmp_path):
    import huggingface_hub.constants as hub

    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(DataError, match=r"pretrained weights of resnet18 could not be had.*model.pretrained=false"):
        build("resnet18", classes=10, channels=3, size=32, pretrained=True)
