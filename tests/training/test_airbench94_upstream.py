"""Side by side with the upstream package: the same weights and batches give the same losses and the same network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("airbench")

from benchmarks.upstream.shim import on_cpu  # noqa: E402
from harness.trainer import Clock  # noqa: E402
from trainers import airbench94_recipe as recipe  # noqa: E402
from trainers.airbench94 import Airbench94Config, Data, Model, total_steps  # noqa: E402

pytestmark = pytest.mark.train
WIDTHS = (8, 16, 16)
CONFIG = Airbench94Config(
    epochs=4.3, batch_size=128, model=Model(widths=WIDTHS), data=Data(train_images=640, test_images=300), device="cpu"
)


@pytest.fixture
def raw() -> dict[str, dict[str, Any]]:
    from trainers.datasets.sets import CIFAR10

    arrays, _ = CIFAR10.load()
    cut = {"train": CONFIG.data.train_images, "test": CONFIG.data.test_images}
    return {
        part: {
            "images": torch.from_numpy(arrays[f"{part}_images"][:count]),
            "labels": torch.from_numpy(arrays[f"{part}_labels"][:count]).long(),
        }
        for part, count in cut.items()
    }


def recorded_epochs(loader: Any, count: int) -> list[list[tuple[Any, Any]]]:
    """The batches that the upstream loader gives in `count` epochs."""
    return [[(x.clone(), y.clone()) for x, y in loader] for _ in range(count)]


class Replay:
    """The upstream's batches, as epochs of ours: images already in their order."""

    prepared_s = None

    def __init__(self, epochs: list[list[tuple[Any, Any]]]) -> None:
        self.epochs = epochs

    def epoch(self, number: int) -> tuple[Any, Any]:
        batches = self.epochs[number]
        self.count = sum(len(y) for _, y in batches)
        return torch.cat([x for x, _ in batches]).permute(0, 2, 3, 1), torch.cat([y for _, y in batches])

    def order(self) -> Any:
        return torch.arange(self.count)


def test_same_weights_and_batches_give_the_same_losses_and_the_same_network(
    raw: dict[str, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = total_steps(CONFIG)
    with on_cpu(raw, tmp_path) as airbench:
        torch.manual_seed(3)
        widths = dict(zip(("block1", "block2", "block3"), WIDTHS, strict=True))
        start = airbench.make_net94(widths)
        # Upstream copies its slow weights before it whitens, ours after: in so short a run that would show.
        plain = airbench.CifarLoader("cifar10", train=True)
        airbench.utils.init_whitening_conv(start[0], plain.normalize(plain.images[:5000]))
        state = {k: v.clone() for k, v in start.state_dict().items()}
        loader = airbench.CifarLoader("cifar10", batch_size=128, aug={"flip": True, "translate": 2}, altflip=True)
        epochs = recorded_epochs(loader, 5)

        class Recorded(airbench.CifarLoader):
            def __iter__(self) -> Any:
                if self.epoch == 0:
                    self.given = iter(epochs)
                self.epoch += 1
                yield from next(self.given)

        theirs_loader = Recorded("cifar10", batch_size=128, aug={"flip": True, "translate": 2}, altflip=True)
        losses: list[float] = []
        ce = torch.nn.CrossEntropyLoss.forward

        def noted(self: Any, *given: Any) -> Any:
            out = ce(self, *given)
            losses.append(float(out.detach().mean()))
            return out

        monkeypatch.setattr(torch.nn.CrossEntropyLoss, "forward", noted)
        theirs = airbench.train94(theirs_loader, epochs=CONFIG.epochs, make_net=lambda: start, verbose=False)
        monkeypatch.undo()
        their_logits = [
            airbench.infer(theirs, airbench.CifarLoader("cifar10", train=False), level) for level in (0, 1, 2)
        ]
    assert len(losses) == steps

    ours = recipe.build(CONFIG, torch.Generator().manual_seed(0))
    load_upstream(ours, state)
    data = recipe.images_on_device(CONFIG)
    filters = theirs[0].weight.detach()
    recipe.whiten(ours[0], recipe.as_input(recipe.normalised(data.train_x)), CONFIG.whiten.epsilon)
    assert same_up_to_order_and_sign(ours[0].weight.detach(), filters)
    # An eigenvector's sign is anybody's choice, and every later weight depends on it: from here on we take theirs.
    monkeypatch.setattr(recipe, "whiten", lambda first, *_: first.weight.data.copy_(filters))
    monkeypatch.setattr(recipe, "Epochs", lambda *_: Replay(epochs))
    told, _ = recipe.fit(ours, ours, recipe.sgd(ours, CONFIG), data, CONFIG, steps, torch.Generator())
    per_epoch = steps_of(losses, 5)
    assert [step for step, _ in told] == [5, 10, 15, 20, 22]
    assert [loss for _, loss in told] == pytest.approx(per_epoch, rel=2e-5)
    mine, their = ours.state_dict(), theirs.state_dict()
    for (name, a), b in zip(mine.items(), their.values(), strict=True):
        if a.is_floating_point():
            assert torch.allclose(a, b, rtol=1e-3, atol=1e-4), name
    ours.eval()
    test_x = recipe.as_input(recipe.normalised(data.test_x))
    for level, expected in enumerate(their_logits):
        with torch.no_grad():
            found = recipe.views(ours, test_x, level, 0.5)
        assert torch.allclose(found, expected, atol=2e-3), level


def same_up_to_order_and_sign(a: Any, b: Any) -> bool:
    """Within 1 %: half a million patches summed in fp32, in another order, turn the eigenvectors by as much."""
    a, b = a.flatten(1), b.flatten(1)
    near = [torch.cdist(x, y).min(1).values / x.norm(dim=1) for x, y in ((a, b), (b, a))]
    return all(bool((distance < 0.01).all()) for distance in near)


def load_upstream(ours: Any, state: dict[str, Any]) -> None:
    ours.load_state_dict(dict(zip(ours.state_dict(), state.values(), strict=True)))


def steps_of(losses: list[float], size: int) -> list[float]:
    return [sum(losses[i : i + size]) / len(losses[i : i + size]) for i in range(0, len(losses), size)]


def test_clock_is_the_harness_own() -> None:
    clock = Clock()
    recipe.train(CONFIG, 2, seed=0, clock=clock)
    assert clock.elapsed_s is not None and clock.elapsed_s > 0
