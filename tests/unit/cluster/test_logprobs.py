from __future__ import annotations

import pytest
import torch
from torch import nn

from halyard.cluster import logprobs
from halyard.cluster.logprobs import LogProbHead

TOKENS, HIDDEN, VOCABULARY = 7, 5, 11


def by_the_book(
    hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor, temperature: float, silent: int | None
) -> tuple[torch.Tensor, torch.Tensor]:
    logits = hidden @ weight.T
    if silent is not None:
        logits = logits.index_fill(1, torch.tensor([silent]), -1e4)
    every = torch.log_softmax(logits / temperature, dim=-1)
    return every.gather(1, targets[:, None])[:, 0], -(every.exp() * every).sum(-1)


@pytest.mark.parametrize("silent", [None, 3])
@pytest.mark.parametrize("tokens_at_once", [1, 3, 100])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_values_and_gradients_are_those_of_log_softmax(
    monkeypatch: pytest.MonkeyPatch, temperature: float, tokens_at_once: int, silent: int | None
) -> None:
    monkeypatch.setattr(logprobs, "CHUNK_ELEMENTS", tokens_at_once * VOCABULARY)
    torch.manual_seed(0)
    layer = nn.Linear(HIDDEN, VOCABULARY, bias=False)
    hidden = torch.randn(TOKENS, HIDDEN, requires_grad=True)
    targets, upstream = torch.tensor([0, 1, 2, 4, 4, 9, 10]), torch.randn(TOKENS)

    found, entropy = LogProbHead(layer, silent)(hidden, targets, temperature)
    gradients = torch.autograd.grad((found * upstream).sum(), (hidden, layer.weight))
    expected, expected_entropy = by_the_book(hidden, layer.weight, targets, temperature, silent)
    expected_gradients = torch.autograd.grad((expected * upstream).sum(), (hidden, layer.weight))

    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(entropy, expected_entropy)
    assert not entropy.requires_grad
    torch.testing.assert_close(gradients, expected_gradients)


def test_no_tokens_give_gradients_of_zeros() -> None:
    layer = nn.Linear(HIDDEN, VOCABULARY, bias=False)
    hidden = torch.zeros(0, HIDDEN, requires_grad=True)
    found, _ = LogProbHead(layer, None)(hidden, torch.zeros(0, dtype=torch.int64), 1.0)
    found.sum().backward()
    assert layer.weight.grad is not None
    assert not layer.weight.grad.any()


def test_a_frozen_output_layer_gets_no_gradient() -> None:
    layer = nn.Linear(HIDDEN, VOCABULARY, bias=False).requires_grad_(False)
    hidden = torch.randn(2, HIDDEN, requires_grad=True)
    LogProbHead(layer, None)(hidden, torch.tensor([1, 2]), 1.0)[0].sum().backward()
    assert layer.weight.grad is None
    assert hidden.grad is not None
