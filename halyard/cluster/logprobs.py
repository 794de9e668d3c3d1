"""Log-probs and entropies straight from hidden states, without a whole table of logits.

With a vocabulary of 150,000, the float32 logits of 8,000 tokens alone are 4.8 GB. Here only a chunk of
tokens has logits at any time, and the backward pass computes them again. Tokens that fit into one chunk keep
their probabilities instead: the memory is there, and a third of the head's time is saved.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable

from model.linear import product
from model.sail_vl2.modeling import NEVER

CHUNK_ELEMENTS = 1 << 24
"""Logits that exist at the same time: 64 MiB in float32, of which there are two while entropies are computed."""


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
        parts, kept = _chunks(len(targets), weight.shape[0]), None
        for part in parts:
            logits = _logits(hidden[part], weight, temperature, silent)
            normalisers[part] = torch.logsumexp(logits, dim=-1)
            every = logits.sub_(normalisers[part, None])
            logprobs[part] = every.gather(-1, targets[part, None])[:, 0]
            shares = every.exp()
            entropies[part] = -torch.linalg.vecdot(shares, every)
            kept = shares if len(parts) == 1 and any(ctx.needs_input_grad) else None
        ctx.save_for_backward(hidden, weight, targets, normalisers, kept)
        ctx.temperature, ctx.silent = temperature, silent
        ctx.mark_non_differentiable(entropies)
        return logprobs, entropies

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # pyright: ignore
        hidden, weight, targets, normalisers, kept = ctx.saved_tensors
        upstream = gradients[0] / ctx.temperature
        of_hidden = torch.zeros_like(hidden)
        # In float32 whatever the weight's type is: the roundings of many chunks would add up.
        of_weight = torch.zeros_like(weight, dtype=torch.float32) if ctx.needs_input_grad[1] else None
        for part in _chunks(len(targets), weight.shape[0]):
            if kept is None:
                logits = _logits(hidden[part], weight, ctx.temperature, ctx.silent)
                slope = logits.sub_(normalisers[part, None]).exp_().mul_(-upstream[part, None])
            else:
                slope = kept * -upstream[part, None]
            slope.scatter_add_(-1, targets[part, None], upstream[part, None])
            if ctx.silent is not None:
                slope[:, ctx.silent] = 0.0
            slope = slope.to(hidden.dtype)
            of_hidden[part] = product(slope, weight.t())
            if of_weight is not None:
                of_weight += product(slope.t(), hidden[part].t())
        return of_hidden, None if of_weight is None else of_weight.to(weight.dtype), None, None, None


def _logits(hidden: torch.Tensor, weight: torch.Tensor, temperature: float, silent: int | None) -> torch.Tensor:
    """Tempered logits [tokens, vocabulary], float32."""
    logits = product(hidden, weight).float()
    if silent is not None:
        logits[:, silent] = NEVER
    return logits.div_(temperature)


def _chunks(tokens: int, vocabulary: int) -> list[slice]:
    size = max(1, CHUNK_ELEMENTS // vocabulary)
    return [slice(start, start + size) for start in range(0, tokens, size)]
