"""AdamW over a policy: what is trained, and what decays."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from configs.training import OptimizerConfig
from halyard.errors import ConfigError


def freeze(policy: nn.Module, prefixes: Sequence[str]) -> None:
    """Stop the gradients of all parameters whose name is one of `prefixes` or lies below it.

    Raises:
        ConfigError: no parameter has such a name (near ones are offered), or nothing is left to train.
    """
    for prefix in prefixes:
        below = [p for name, p in policy.named_parameters() if f"{name}.".startswith(f"{prefix.rstrip('.')}.")]
        if not below:
            raise ConfigError(f"optimizer.freeze: the policy has no part {prefix!r}{_offer(policy, prefix)}")
        for parameter in below:
            parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in policy.parameters()):
        raise ConfigError(f"optimizer.freeze: {', '.join(prefixes)} is the whole policy, so nothing is left to train")


def adamw(module: nn.Module, config: OptimizerConfig) -> torch.optim.AdamW:
    """AdamW in two groups: matrices decay; biases, norms and other vectors do not."""
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=config.learning_rate,
        betas=config.betas,
        eps=config.eps,
        fused=True,
    )


def _offer(policy: nn.Module, prefix: str) -> str:
    parts = {part for name, _ in policy.named_parameters() for part in _prefixes(name)}
    near = difflib.get_close_matches(prefix, sorted(parts), n=3, cutoff=0.4)
    top = sorted({name.partition(".")[0] for name in parts})
    return (
        f"; did you mean {' or '.join(near)}?" if near else f"; its parts are {', '.join(top)} and what is below them"
    )


def _prefixes(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts) + 1)]
