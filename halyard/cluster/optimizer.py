"""AdamW over a policy: what is trained, and what decays."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn

from configs.training import OptimizerConfig
from halyard.errors import ConfigError
from model.components import COMPONENTS, belongs, component


def freeze(policy: nn.Module, parts: Sequence[str]) -> None:
    """Stop the gradients of all parameters that belong to one of `parts`.

    Raises:
        ConfigError: no parameter does (near names are offered), or nothing is left to train.
    """
    for part in parts:
        below = [p for name, p in policy.named_parameters() if belongs(name, part)]
        if not below:
            raise ConfigError(f"optimizer.freeze: the policy has no part {part!r}{_offer(policy, part)}")
        for parameter in below:
            parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in policy.parameters()):
        raise ConfigError(f"optimizer.freeze: {', '.join(parts)} is the whole policy, so nothing is left to train")


def adamw(weights: Iterable[tuple[str, nn.Parameter]], config: OptimizerConfig) -> torch.optim.AdamW:
    """AdamW over named weights: matrices decay; biases, norms and other vectors do not.

    Parts with a learning rate of their own have groups of their own, whose `share` is that rate over the others'.

    Raises:
        ConfigError: a part has a rate, but nothing of it is there to be trained.
    """
    own: dict[str | None, float] = {part: rate for part, rate in config.rates if rate is not None}
    members: dict[str | None, list[nn.Parameter]] = {part: [] for part in (None, *own)}
    for name, parameter in weights:
        if parameter.requires_grad:
            part = component(name)
            members[part if part in own else None].append(parameter)
    for part in own:
        if not members[part]:
            raise ConfigError(f"optimizer.rates.{part}: the policy has no such part to train; leave the rate out")
    groups = [group for part, trained in members.items() for group in _groups(trained, own.get(part), config)]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas, eps=config.eps, fused=True)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of all groups, each by its share."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["share"]


def _groups(trained: Sequence[nn.Parameter], rate: float | None, config: OptimizerConfig) -> list[dict[str, Any]]:
    share = 1.0 if rate is None else rate / config.learning_rate
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": config.weight_decay, "share": share},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0, "share": share},
    ]
    return [group for group in groups if group["params"]]


def _offer(policy: nn.Module, prefix: str) -> str:
    parts = {part for part in COMPONENTS if any(belongs(name, part) for name, _ in policy.named_parameters())}
    parts |= {part for name, _ in policy.named_parameters() for part in _prefixes(name)}
    near = difflib.get_close_matches(prefix, sorted(parts), n=3, cutoff=0.4)
    top = sorted({name.partition(".")[0] for name in parts})
    return (
        f"; did you mean {' or '.join(near)}?" if near else f"; its parts are {', '.join(top)} and what is below them"
    )


def _prefixes(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts) + 1)]
