"""Log-probs and entropies straight from hidden states, without a whole table of logits.

With a vocabulary of 150,000, the float32 logits of 8,000 tokens alone are 4.8 GB. Here only a chunk of
tokens has logits at any time; the backward pass computes them again.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable

from model.sail_vl2.modeling import NEVER

CHUNK_ELEMENTS = 1 << 24
"""Logits that exist at the same time: 64 MiB in float32."""


class LogProbHead(nn.Module):
    """The output layer of a policy, which gives log-probs of given tokens instead of logits.

    It shares the output layer's own parameter. All its chunks run within one call: under ZeRO-3 the weight
    is then gathered once, and equally often on all ranks.
    """

    def __init__(self, output_layer: nn.Linear, silent: int | None) -> None:
        """Make the head of a policy that never writes the token `silent`."""
        super().__init__()
        self.weight = output_layer.weight
        self._silent = silent

    def forward(
        self, hidden: torch.Tensor, targets: torch.Tensor, temperature: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-probs of `targets` [tokens] and entropies (no gradient), in nats, float32.

        `hidden` [tokens, hidden size] predicts them, at a softmax of logits / `temperature`.
        """
        return _LinearLogProbs.apply(hidden, self.weight, targets, temperature, self._silent)  # pyright: ignore[reportReturnType]


class _LinearLogProbs(torch.autograd.Function):
    """d logprob / d logit = (onehot(target) - softmax(logit / T)) / T."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        targets: torch.Tensor,
        temperature: float,
        silent: int | None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        logprobs = hidden.new_zeros(len(targets), dtype=torch.float32)
        normalisers, entropies = torch.empty_like(logprobs), torch.empty_like(logprobs)
        for part in _chunks(len(targets), weight.shape[0]):
            logits = _logits(hidden[part], weight, temperature, silent)
            normalisers[part] = torch.logsumexp(logits, dim=-1)
            logprobs[part] = logits.gather(-1, targets[part, None])[:, 0] - normalisers[part]
            shares = (logits - normalisers[part, None]).exp_()
            entropies[part] = normalisers[part] - torch.linalg.vecdot(shares, logits)
        ctx.save_for_backward(hidden, weight, targets, normalisers)
        ctx.temperature, ctx.silent = temperature, silent
        ctx.mark_non_differentiable(entropies)
        return logprobs, entropies

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # pyright: ignore
        hidden, weight, targets, normalisers = ctx.saved_tensors
        upstream = gradients[0] / ctx.temperature
        of_hidden = torch.zeros_like(hidden)
        of_weight = torch.zeros_like(weight) if ctx.needs_input_grad[1] else None
        for part in _chunks(len(targets), weight.shape[0]):
            logits = _logits(hidden[part], weight, ctx.temperature, ctx.silent)
            slope = (logits - normalisers[part, None]).exp_().mul_(-upstream[part, None])
            slope.scatter_add_(-1, targets[part, None], upstream[part, None])
            if ctx.silent is not None:
                slope[:, ctx.silent] = 0.0
            slope = slope.to(hidden.dtype)
            of_hidden[part] = slope @ weight
            if of_weight is not None:
                of_weight.addmm_(slope.T, hidden[part])
        return of_hidden, of_weight, None, None, None


def _logits(hidden: torch.Tensor, weight: torch.Tensor, temperature: float, silent: int | None) -> torch.Tensor:
    """Tempered logits [tokens, vocabulary], float32."""
    logits = (hidden @ weight.T).float()
    if silent is not None:
        logits[:, silent] = NEVER
    return logits.div_(temperature)


def _chunks(tokens: int, vocabulary: int) -> list[slice]:
    size = max(1, CHUNK_ELEMENTS // vocabulary)
    return [slice(start, start + size) for start in range(0, tokens, size)]
