from __future__ import annotations

import pytest
from torch import nn

from configs.training import OptimizerConfig, PartRates
from halyard.cluster.optimizer import adamw, freeze, set_rate
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
    with pytest.raises(ConfigError, match="its parts are layers, norm, vision, vision_model"):
        freeze(policy(), ["qqq"])


def test_freezing_all_is_refused() -> None:
    with pytest.raises(ConfigError, match="nothing is left to train"):
        freeze(policy(), ["vision_model", "layers", "norm"])


def test_biases_and_norms_do_not_decay() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3))
    decaying, others = adamw(model.named_parameters(), OptimizerConfig(weight_decay=0.1)).param_groups
    assert (decaying["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
    assert [tuple(p.shape) for p in decaying["params"]] == [(3, 2)]
    assert len(others["params"]) == 3


def vision_language() -> nn.Module:
    return nn.ModuleDict(
        {
            "vision_model": nn.Linear(2, 3),
            "mlp1": nn.Sequential(nn.LayerNorm(3), nn.Linear(3, 2)),
            "language_model": nn.ModuleDict({"model": nn.Linear(2, 2), "lm_head": nn.Linear(2, 5)}),
        }
    )


@pytest.mark.parametrize(
    ("parts", "trained"),
    [
        (("vision", "language"), {"mlp1"}),
        (("language",), {"mlp1", "vision_model"}),
        ((), {"mlp1", "vision_model", "language_model"}),
        (("connector", "language_model.lm_head"), {"vision_model", "language_model.model"}),
    ],
)
def test_parts_are_frozen_by_their_names(parts: tuple[str, ...], trained: set[str]) -> None:
    """The first three are the stages of SAIL-ViT: connector; connector and tower; all."""
    model = vision_language()
    freeze(model, parts)
    names = {name for name, p in model.named_parameters() if p.requires_grad}
    assert {one for one in trained if any(name.startswith(one) for name in names)} == trained
    assert all(any(name.startswith(one) for one in trained) for name in names)


def test_a_star_stands_for_anything_in_a_name() -> None:
    model = nn.ModuleDict({"layers": nn.ModuleList([block() for _ in range(2)]), "embed_tokens": nn.Embedding(3, 2)})
    freeze(model, ["*_proj", "*embed_tokens"])
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trained == {"layers.0.norm.weight", "layers.1.norm.weight"}
    with pytest.raises(ConfigError, match=r"no part '\*_poj'"):
        freeze(model, ["*_poj"])


def block() -> nn.Module:
    return nn.ModuleDict({"q_proj": nn.Linear(2, 2), "norm": nn.RMSNorm(2)})


def test_language_is_the_whole_of_a_text_policy() -> None:
    with pytest.raises(ConfigError, match="language is the whole policy"):
        freeze(nn.ModuleDict({"model": nn.Linear(2, 2), "lm_head": nn.Linear(2, 2)}), ["language"])


def test_a_part_that_is_not_there_offers_those_that_are() -> None:
    with pytest.raises(ConfigError, match="no part 'visoin'; did you mean vision"):
        freeze(vision_language(), ["visoin"])


def test_parts_keep_their_rate_over_the_others_through_the_schedule() -> None:
    model = vision_language()
    rates = PartRates(connector=2e-4, vision=2e-5)
    optimizer = adamw(model.named_parameters(), OptimizerConfig(learning_rate=1e-5, rates=rates, weight_decay=0.1))
    set_rate(optimizer, 5e-6)  # half way through a decay
    found = {
        name: (group["lr"], group["weight_decay"])
        for name, parameter in model.named_parameters()
        for group in optimizer.param_groups
        if any(parameter is one for one in group["params"])
    }
    assert found["mlp1.1.weight"] == (pytest.approx(1e-4), 0.1)
    assert found["mlp1.0.weight"] == (pytest.approx(1e-4), 0.0)
    assert found["vision_model.weight"] == (pytest.approx(1e-5), 0.1)
    assert found["language_model.lm_head.bias"] == (5e-6, 0.0)
    assert len(found) == len(list(model.parameters()))


def test_one_rate_makes_the_two_groups_it_always_did() -> None:
    first, second = adamw(vision_language().named_parameters(), OptimizerConfig()).param_groups
    assert (first["share"], second["share"]) == (1.0, 1.0)


def test_a_rate_for_what_is_not_trained_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"optimizer\.rates\.connector: the policy has no such part to train"):
        adamw(policy().named_parameters(), OptimizerConfig(rates=PartRates(connector=1e-4)))
    with pytest.raises(ValueError, match=r"rates\.vision is 0\.0001, but freeze has vision"):
        OptimizerConfig(rates=PartRates(vision=1e-4), freeze=("vision",))
