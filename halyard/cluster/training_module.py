"""The policy as DeepSpeed trains it: from a pack to a loss, in one forward pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from halyard.cluster.batch import Pack
from halyard.cluster.logprobs import LogProbHead
from halyard.cluster.types import LossFunction, LossInputs
from model.hidden import hidden_states, silent_token


@dataclass(frozen=True, slots=True, kw_only=True)
class PackResult:
    """What a loss made of a pack; `problem` says why it cannot be trained on, and its gradient is then 0."""

    loss: torch.Tensor
    metrics: Mapping[str, torch.Tensor] = field(default_factory=dict)
    problem: str | None = None


class TrainingModule(nn.Module):
    """A policy with a head that gives log-probs; its parameters are the policy's own."""

    def __init__(self, policy: PreTrainedModel) -> None:
        super().__init__()
        self.policy = policy
        output_layer: Any = policy.get_output_embeddings()
        self.head = LogProbHead(output_layer, silent_token(policy))

    def named_weights(self) -> list[tuple[str, nn.Parameter]]:
        """The policy's parameters under their own names, tied ones once."""
        return list(self.policy.named_parameters())

    def named_persistent_buffers(self) -> list[tuple[str, torch.Tensor]]:
        """The policy's buffers that belong into a checkpoint."""
        kept = self.policy.state_dict().keys()
        return [(name, buffer) for name, buffer in self.policy.named_buffers() if name in kept]

    def forward(
        self, pack: Pack, temperature: float, loss: LossFunction | None = None
    ) -> tuple[torch.Tensor, PackResult | None]:
        """The pack's loss and what more there is to say of it; without a loss function, the log-probs.

        A pack that learns nothing, or whose loss has a problem, gets the loss 0 with a gradient of zeros
        for every parameter: the ranks' collective operations then still meet.
        """
        hidden = hidden_states(self.policy, pack.input_ids, pack.position_ids, pack.pixel_values)
        logprobs, entropy = self.head(hidden[pack.sources], pack.targets, temperature)
        if loss is None:
            return logprobs, None
        result = _judge(pack, logprobs, entropy, loss)
        return (logprobs.sum() * 0.0 if result.problem else result.loss), result


def _judge(pack: Pack, logprobs: torch.Tensor, entropy: torch.Tensor, loss: LossFunction) -> PackResult:
    if not len(pack.targets):
        return PackResult(loss=logprobs.sum())
    try:
        output = loss(_loss_inputs(pack, logprobs, entropy))
    except Exception as error:
        return PackResult(loss=logprobs.sum(), problem=f"the loss function failed: {error!r}")
    if output.loss.ndim or not (output.loss.requires_grad or not torch.is_grad_enabled()):
        return PackResult(loss=logprobs.sum(), problem="the loss is no scalar that carries a gradient")
    value = output.loss.item()
    problem = None if torch.isfinite(output.loss) else f"the loss is {value}"
    return PackResult(loss=output.loss, metrics=output.metrics, problem=problem)


def _loss_inputs(pack: Pack, logprobs: torch.Tensor, entropy: torch.Tensor) -> LossInputs:
    return LossInputs(
        logprobs=logprobs,
        entropy=entropy,
        old_logprobs=logprobs.detach() if pack.old_logprobs is None else pack.old_logprobs,
        rollout_logprobs=pack.rollout_logprobs,
        reference_logprobs=pack.reference_logprobs,
        advantages=pack.advantages,
        weights=pack.weights,
        segments=pack.segments,
    )
