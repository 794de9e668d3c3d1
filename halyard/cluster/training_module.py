"""The policy as DeepSpeed trains it: from a pack to a loss, in one forward pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import distributed, nn
from transformers import PreTrainedModel

from halyard.cluster.batch import Pack
from halyard.cluster.logprobs import LogProbHead
from halyard.cluster.sequence_group import SequenceGroup
from halyard.cluster.types import LossFunction, LossInputs
from model.experts import Routing
from model.hidden import DecoderOutput, experts_per_token, hidden_states, silent_token


@dataclass(frozen=True, slots=True, kw_only=True)
class PackResult:
    """What a loss made of a pack; `problem` says why it cannot be trained on, and its gradient is then 0."""

    loss: torch.Tensor
    metrics: Mapping[str, torch.Tensor] = field(default_factory=dict)
    problem: str | None = None


class TrainingModule(nn.Module):
    """A policy with a head that gives log-probs; its parameters are the policy's own."""

    def __init__(
        self, policy: PreTrainedModel, *, load_balance: float = 0.0, group: SequenceGroup | None = None
    ) -> None:
        """Make the module of a policy.

        `load_balance` is the weight of the loss that balances its experts; `group` are the ranks that share each pack.
        """
        super().__init__()
        self._load_balance = load_balance
        self._group = group
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
        for every parameter: the ranks' collective operations then still meet. Of ranks that share a pack only the
        first has its loss and metrics in the result, so that they are counted once.
        """
        output, logprobs, entropy = self._score(pack, temperature)
        if loss is None:
            return logprobs, None
        result = _judge(pack, logprobs, entropy, loss)
        value = logprobs.sum() * 0.0 if result.problem else result.loss
        if self._group and self._group.rank:
            result = PackResult(loss=torch.zeros_like(value), problem=result.problem)
        if not (output.router_logits and torch.is_grad_enabled()):
            return value, result
        balance, result = self._balance(pack, output.router_logits, result)
        return value + balance, result

    def _score(self, pack: Pack, temperature: float) -> tuple[DecoderOutput, torch.Tensor, torch.Tensor]:
        """What the decoder makes of this rank's tokens, and log-probs and entropies of all targets."""
        ids, images = (pack.input_ids, pack.position_ids), (pack.pixel_values, pack.image_grids)
        if self._group is None:
            output = hidden_states(self.policy, *ids, *images)
            return output, *self.head(output.states[pack.sources], pack.targets, temperature)
        share, total = self._group.share(ids[0].shape[1]), len(pack.targets)
        output = hidden_states(self.policy, *ids, *images, share=share)
        before, behind = (int((pack.sources < bound).sum()) for bound in (share.start, share.stop))
        sources = pack.sources[before:behind] - share.start
        logprobs, entropy = self.head(output.states[sources], pack.targets[before:behind], temperature)
        return output, self._group.gather(logprobs, before, total), self._group.gather(entropy, before, total)

    def _balance(
        self, pack: Pack, router_logits: tuple[torch.Tensor, ...], result: PackResult
    ) -> tuple[torch.Tensor, PackResult]:
        """The weighted load-balancing loss of a pack, and its result with the router's figures.

        A pack counts for what its learnt tokens count for in the step, so that the sums over all packs are means; a
        rank's share of a pack, for its part of the tokens.
        """
        routing = Routing.of(router_logits, experts_per_token(self.policy), _add_over_ranks)
        share = pack.weights.sum() * len(router_logits[0]) / pack.input_ids.shape[1]
        figures = {name: share * figure for name, figure in routing.figures().items()}
        return self._load_balance * share * routing.loss, replace(result, metrics={**result.metrics, **figures})


def _add_over_ranks(tensor: torch.Tensor) -> None:
    if distributed.is_initialized():
        distributed.all_reduce(tensor)


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
