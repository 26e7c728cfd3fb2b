"""The optimisers by name: torch's own, and Muon and SAM of pytorch_optimizer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer


def make(network: nn.Module, config: Any) -> Optimizer:
    """The optimiser that `config` (the keys `optim.*`) asks for, over all parameters of `network`."""
    if config.name == "muon":
        return muon(network, config)
    if config.name == "sam":
        from pytorch_optimizer import SAM

        kind, options = plain(config.base, config)
        return SAM(network.parameters(), kind, rho=config.rho, **options)
    kind, options = plain(config.name, config)
    return kind(network.parameters(), **options)


def plain(name: str, config: Any) -> tuple[type[Any], dict[str, Any]]:
    """One of torch's own optimisers and its options."""
    both = {"lr": config.lr, "weight_decay": config.weight_decay}
    if name == "sgd":
        return torch.optim.SGD, both | {"momentum": config.momentum, "nesterov": config.nesterov}
    if name == "rmsprop":
        return torch.optim.RMSprop, both | {"alpha": config.alpha, "eps": config.eps, "momentum": config.momentum}
    kind = torch.optim.Adam if name == "adam" else torch.optim.AdamW
    return kind, both | {"betas": (config.beta1, config.beta2), "eps": config.eps}


def muon(network: nn.Module, config: Any) -> Optimizer:
    """Muon for the filters and matrices inside; AdamW for norms, biases and the last layer, as its author advises."""
    from pytorch_optimizer import Muon

    last = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
    inside = [p for p in network.parameters() if p.ndim >= 2 and p is not last.weight]
    chosen = {id(p) for p in inside}
    others = [p for p in network.parameters() if id(p) not in chosen]
    groups = [
        {"params": inside, "lr": config.lr, "momentum": config.muon_momentum, "ns_steps": config.muon_steps, "use_muon": True},
        {"params": others, "lr": config.muon_adam_lr, "betas": (config.beta1, config.beta2), "eps": config.eps, "use_muon": False},
    ]  # fmt: skip
    return Muon([{**group, "weight_decay": config.weight_decay} for group in groups if group["params"]])


def scheduled(optimiser: Optimizer) -> Optimizer:
    """The optimiser whose steps a schedule follows: of SAM the one under it."""
    return getattr(optimiser, "base_optimizer", optimiser)


@contextmanager
def statistics_kept(network: nn.Module) -> Iterator[None]:
    """The norms' running statistics stay as they are: SAM's second pass sees weights that the network will not keep."""
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, before, strict=True):
            norm.momentum = momentum
