"""How a mixture of experts routes its tokens: the loss that keeps it balanced, and figures that show it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """Where the tokens of a pack went: `load` [layers, experts] and `probability` [layers, experts].

    `load` is the mean number of times that a token was sent to an expert (it adds up to the number of experts that a
    token goes through), `probability` the router's mean probability, which carries the gradient.
    """

    load: Tensor
    probability: Tensor

    @classmethod
    def of(cls, router_logits: Sequence[Tensor], chosen: int, gather: Callable[[Tensor], None]) -> Routing:
        """The routing of router logits [tokens, experts] by layer, a token going through `chosen` experts.

        `gather` adds up a tensor over all ranks, in place: the load is that of the whole micro-step.
        """
        probabilities = [logits.float().softmax(dim=-1) for logits in router_logits]
        experts = probabilities[0].shape[1]
        counts = torch.stack(
            [torch.bincount(p.topk(chosen).indices.flatten(), minlength=experts).float() for p in probabilities]
        )
        gather(counts)
        load = counts * chosen / counts.sum(dim=1, keepdim=True)
        return cls(load=load, probability=torch.stack([p.mean(dim=0) for p in probabilities]))

    @property
    def loss(self) -> Tensor:
        """The load-balancing loss, a mean over layers; at even load it is the number of experts a token goes through.

        Source: Switch Transformers (Fedus et al., arXiv 2101.03961, equations 4-6), with loads over all ranks as in
        Qiu et al. (arXiv 2501.11873) and in SAIL-VL2 (arXiv 2509.14033, section 2.2). transformers computes it over
        the tokens of all layers together; here it is each layer's own, so that one layer cannot make up for another.
        """
        return self.load.shape[1] * (self.load * self.probability).sum(dim=1).mean()

    def figures(self) -> dict[str, Tensor]:
        """Means over layers: entropy of the load (1 when even), the busiest expert's load over an even one's, idle.

        `router_idle` is the share of experts that no token was sent to.
        """
        experts = self.load.shape[1]
        shares = self.load / self.load.sum(dim=1, keepdim=True)
        entropy = -(shares * shares.clamp_min(1e-12).log()).sum(dim=1) / math.log(experts)
        return {
            "router_balance_loss": self.loss.detach(),
            "router_entropy": entropy.mean(),
            "router_busiest": shares.amax(dim=1).mean() * experts,
            "router_idle": (self.load == 0).float().mean(),
        }
