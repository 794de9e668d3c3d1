from __future__ import annotations

import pytest
from torch import nn

from configs.training import OptimizerConfig
from halyard.cluster.optimizer import adamw, freeze
from halyard.errors import ConfigError


def policy() -> nn.Module:
    return nn.ModuleDict(
        {
            "vision_model": nn.Linear(2, 3),
            "layers": nn.ModuleList([nn.Linear(2, 2) for _ in range(11)]),
            "norm": nn.LayerNorm(2),
        }
    )


def frozen(model: nn.Module) -> set[str]:
    return {name for name, parameter in model.named_parameters() if not parameter.requires_grad}


def test_a_prefix_freezes_what_lies_below_it_and_no_more() -> None:
    model = policy()
    freeze(model, ["vision_model", "layers.1"])
    assert frozen(model) == {"vision_model.weight", "vision_model.bias", "layers.1.weight", "layers.1.bias"}


def test_an_unknown_prefix_offers_near_names() -> None:
    with pytest.raises(ConfigError, match="no part 'vision_modl'; did you mean vision_model"):
        freeze(policy(), ["vision_modl"])


def test_an_unknown_prefix_without_near_names_lists_the_parts() -> None:
    with pytest.raises(ConfigError, match="its parts are layers, norm, vision_model"):
        freeze(policy(), ["qqq"])


def test_freezing_all_is_refused() -> None:
    with pytest.raises(ConfigError, match="nothing is left to train"):
        freeze(policy(), ["vision_model", "layers", "norm"])


def test_biases_and_norms_do_not_decay() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3))
    decaying, others = adamw(model, OptimizerConfig(weight_decay=0.1)).param_groups
    assert (decaying["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
    assert [tuple(p.shape) for p in decaying["params"]] == [(3, 2)]
    assert len(others["params"]) == 3
