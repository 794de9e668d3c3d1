"""The load-balancing loss and the router's figures, against transformers' own function and by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers.models.qwen3_moe.modeling_qwen3_moe import load_balancing_loss_func

from model.experts import Routing
from model.hidden import hidden_states
from model.load import load_policy


def alone(_: torch.Tensor) -> None:
    """One rank: there is nothing to add."""


def test_the_loss_of_a_layer_is_that_of_transformers() -> None:
    torch.manual_seed(0)
    logits = torch.randn(50, 8) * 2
    theirs: Any = load_balancing_loss_func((logits,), num_experts=8, top_k=2)
    torch.testing.assert_close(Routing.of([logits], 2, alone).loss, theirs)


def test_an_even_load_by_hand() -> None:
    """Four tokens, each to another expert with certainty: loss 1, full entropy, nobody idle."""
    routing = Routing.of([torch.eye(4) * 50], 1, alone)
    assert routing.loss.item() == pytest.approx(1.0)
    figures = routing.figures()
    assert figures["router_entropy"].item() == pytest.approx(1.0)
    assert figures["router_busiest"].item() == pytest.approx(1.0)
    assert figures["router_idle"].item() == 0


def test_a_collapsed_layer_by_hand() -> None:
    """All tokens to one of four experts with certainty: loss 4. The other layer is even: means of the two."""
    collapsed = torch.tensor([[50.0, 0, 0, 0]]).expand(4, 4)
    routing = Routing.of([collapsed, torch.eye(4) * 50], 1, alone)
    assert routing.loss.item() == pytest.approx((4 + 1) / 2)
    figures = routing.figures()
    assert figures["router_entropy"].item() == pytest.approx(0.5, abs=1e-6)
    assert figures["router_busiest"].item() == pytest.approx((4 + 1) / 2)
    assert figures["router_idle"].item() == pytest.approx(3 / 8)


def test_loads_are_those_of_all_ranks() -> None:
    """This rank sends all to expert 0, the other ranks twice as many to expert 1."""
    logits = torch.tensor([[5.0, 0.0]]).repeat(3, 1).requires_grad_()
    routing = Routing.of([logits], 1, lambda counts: counts.add_(torch.tensor([[0.0, 6.0]])))
    torch.testing.assert_close(routing.load, torch.tensor([[1 / 3, 2 / 3]]))
    probability = 1 / (1 + math.exp(-5))
    assert routing.loss.item() == pytest.approx(2 * (probability / 3 + (1 - probability) * 2 / 3))
    routing.loss.backward()
    assert logits.grad is not None
    assert (logits.grad[:, 0] < 0).all()  # expert 0 is the idler over all ranks: more of it lowers the loss


@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_gradient_reaches_the_routers(variants: dict[str, Path], checkpointing: bool) -> None:
    policy: Any = load_policy(variants["micro-moe"], dtype=torch.float32)
    if checkpointing:
        policy.gradient_checkpointing_enable({"use_reentrant": False})
    ids = torch.randint(10, 640, (1, 40), generator=torch.Generator().manual_seed(0))
    output = hidden_states(policy, ids, torch.arange(40)[None], None)
    assert [tuple(logits.shape) for logits in output.router_logits] == [(40, 8)] * 4
    Routing.of(output.router_logits, 2, alone).loss.backward()
    layers = policy.language_model.model.layers
    gradients = [layer.mlp.gate.weight.grad for layer in layers]
    assert all(gradient is not None and gradient.abs().sum() > 0 for gradient in gradients)
    reference = hidden_states(
        load_policy(variants["micro-moe"], dtype=torch.float32), ids, torch.arange(40)[None], None
    )
    torch.testing.assert_close(output.router_logits, reference.router_logits)


def test_a_dense_policy_has_no_routers(nano: Any) -> None:
    ids = torch.randint(10, 640, (1, 9))
    assert hidden_states(nano, ids, torch.arange(9)[None], None).router_logits == ()
