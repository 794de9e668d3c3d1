"""Cross-entropy on the learnt tokens (a pure function on tensors)."""

from __future__ import annotations

import math

from halyard.cluster.types import LossInputs, LossOutput


def cross_entropy(inputs: LossInputs) -> LossOutput:
    """The weighted sum of negative log-likelihoods, in nats; with weights of 1 / (learnt tokens), their mean.

    Metrics, weighted alike: `nll` is the loss itself; `entropy` the policy's; `confident` the share of
    tokens that were given more than half of the probability, which is at most the token accuracy.
    """
    weights = inputs.weights
    loss = -(weights * inputs.logprobs).sum()
    confident = (inputs.logprobs.detach() > math.log(0.5)).to(weights.dtype)
    return LossOutput(
        loss=loss,
        metrics={
            "nll": loss.detach(),
            "entropy": (weights * inputs.entropy).sum(),
            "confident": (weights * confident).sum(),
        },
    )
