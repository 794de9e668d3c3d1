from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

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


class Largest(TorchDispatchMode):
    """The elements of the largest tensor that any operation makes."""

    elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        self.elements = max([self.elements, *(one.numel() for one in tree_leaves(made) if torch.is_tensor(one))])
        return made


def test_no_tensor_holds_more_than_a_chunk_of_logits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither forward nor backward; of a head written out, the mode sees the table."""
    tokens, vocabulary = 64, 96
    monkeypatch.setattr(logprobs, "CHUNK_ELEMENTS", 8 * vocabulary)
    layer, hidden = nn.Linear(HIDDEN, vocabulary, bias=False), torch.randn(tokens, HIDDEN, requires_grad=True)
    targets = torch.arange(tokens)
    with Largest() as chunked:
        LogProbHead(layer, 3)(hidden, targets, 0.7)[0].sum().backward()
    with Largest() as whole:
        by_the_book(hidden, layer.weight, targets, 0.7, 3)
    assert chunked.elements == 8 * vocabulary
    assert whole.elements == tokens * vocabulary


@pytest.mark.parametrize("chunk", [VOCABULARY, 1 << 20])
def test_logits_in_the_thousands_stay_exact(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    """Against float64: neither an overflow, nor an entropy that is a small difference of large numbers."""
    monkeypatch.setattr(logprobs, "CHUNK_ELEMENTS", chunk)
    torch.manual_seed(0)
    layer = nn.Linear(HIDDEN, VOCABULARY, bias=False)
    hidden = torch.randn(TOKENS, HIDDEN)
    layer.weight.data[5:] = layer.weight.data[5]  # six tokens that are equally likely: an entropy of up to log 6
    with torch.no_grad():
        layer.weight *= 2000
        found = LogProbHead(layer, None)(hidden, torch.arange(TOKENS), 1.0)
        expected = by_the_book(hidden.double(), layer.weight.double(), torch.arange(TOKENS), 1.0, None)
    assert (hidden @ layer.weight.T).abs().max() > 2000
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.double(), other, atol=2e-3, rtol=1e-6)


def test_roundings_of_chunks_in_bfloat16_do_not_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk a token gives the output layer the gradient that one chunk gives it, to bfloat16's last place."""
    torch.manual_seed(0)
    tokens = 2000
    layer = nn.Linear(HIDDEN, VOCABULARY, bias=False, dtype=torch.bfloat16)
    hidden, targets = torch.randn(tokens, HIDDEN, dtype=torch.bfloat16), torch.randint(VOCABULARY, (tokens,))
    gradients = []
    for chunk in (VOCABULARY, tokens * VOCABULARY):
        monkeypatch.setattr(logprobs, "CHUNK_ELEMENTS", chunk)
        found, _ = LogProbHead(layer, None)(hidden, targets, 1.0)
        gradients += torch.autograd.grad(found.sum(), layer.weight)
    scale = gradients[1].abs().max()
    torch.testing.assert_close(gradients[0] / scale, gradients[1] / scale, atol=2**-8, rtol=2**-7)
