"""The clipped policy loss, with every choice of the algorithm as a field (pure functions on tensors).

All tensors are [learnt tokens]. Nothing here averages: the weights already hold the step's global
denominator, so that sums over micro-batches and ranks are the loss and the means of the metrics.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

from halyard.cluster.types import LossInputs, LossOutput

if TYPE_CHECKING:
    from torch import Tensor

    from rl.presets import Algorithm


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyLoss:
    """The loss that an algorithm means; small enough to send to every rank with each step.

    With r the ratio, A the advantage and w the token's weight, the loss is the sum over tokens of
    `w · (c · -min(r A, clip(r, 1 - clip_low, 1 + clip_high) A) + kl_coef · k3)`, where c is the truncated
    importance correction (1 without it) and k3 estimates the KL divergence to the reference.

    Source: DeepSeekMath, arXiv 2402.03300, eq. 3; DAPO, arXiv 2503.14476, eq. 8; GSPO, arXiv 2507.18071, eq. 5.
    """

    ratio: Literal["token", "sequence"]
    clip_low: float
    clip_high: float
    kl_coef: float
    correction: Literal["none", "truncated"]
    correction_cap: float

    @classmethod
    def of(cls, algorithm: Algorithm) -> PolicyLoss:
        """The loss of a resolved algorithm."""
        return cls(
            ratio=algorithm.ratio,
            clip_low=algorithm.clip_low,
            clip_high=algorithm.clip_high,
            kl_coef=algorithm.kl_coef,
            correction=algorithm.correction,
            correction_cap=algorithm.correction_cap,
        )

    def __call__(self, inputs: LossInputs) -> LossOutput:
        """The weighted loss of a micro-batch, and the weighted sums of its metrics.

        Raises:
            ValueError: the learner was not given what the algorithm needs.
        """
        advantages = _given(inputs.advantages, "advantages")
        log_ratio = inputs.logprobs - inputs.old_logprobs
        if self.ratio == "sequence":
            log_ratio = sequence_mean(log_ratio, inputs.segments)
        ratio = log_ratio.exp()
        losses = -torch.minimum(ratio * advantages, self._clip(ratio) * advantages)
        metrics = self._ratio_metrics(ratio.detach(), advantages) | {"entropy": inputs.entropy}
        if inputs.rollout_logprobs is not None:
            metrics |= drift(inputs.old_logprobs, inputs.rollout_logprobs)
        if self.correction == "truncated":
            correction = self._correction(inputs)
            losses = losses * correction
            metrics["correction"] = correction
        if self.kl_coef > 0:
            divergence = k3(inputs.logprobs, _given(inputs.reference_logprobs, "reference_logprobs"))
            losses = losses + self.kl_coef * divergence
            metrics["reference_kl"] = divergence.detach()
        weights = inputs.weights
        sums = {name: (weights * values).sum() for name, values in metrics.items()}
        return LossOutput(loss=(weights * losses).sum(), metrics=sums)

    def _clip(self, ratio: Tensor) -> Tensor:
        return ratio.clamp(1 - self.clip_low, 1 + self.clip_high)

    def _ratio_metrics(self, ratio: Tensor, advantages: Tensor) -> dict[str, Tensor]:
        """Where the clip stops the gradient, by side, and how far the ratio is from 1."""
        return {
            "clipped_low": ((ratio < 1 - self.clip_low) & (advantages < 0)).to(ratio.dtype),
            "clipped_high": ((ratio > 1 + self.clip_high) & (advantages > 0)).to(ratio.dtype),
            "ratio": ratio,
            "ratio_deviation": (ratio - 1).abs(),
        }

    def _correction(self, inputs: LossInputs) -> Tensor:
        """Probability under the learner over that under the engine, cut at `correction_cap`; no gradient.

        Source: Ionides, Truncated Importance Sampling, 2008.
        """
        rollout = _given(inputs.rollout_logprobs, "rollout_logprobs")
        return (inputs.old_logprobs - rollout).detach().exp().clamp(max=self.correction_cap)


def sequence_mean(values: Tensor, segments: Tensor) -> Tensor:
    """Each token's sequence's mean of `values`.

    For log-ratios this is the log of the geometric mean, GSPO's ratio of a sequence; the gradient of the
    sequence's ratio reaches all its tokens. Source: GSPO, arXiv 2507.18071, eq. 7.
    """
    count = int(segments[-1]) + 1 if segments.numel() else 0
    sums = values.new_zeros(count).index_add(0, segments, values)
    lengths = torch.bincount(segments, minlength=count)
    return (sums / lengths).index_select(0, segments)


def k1(logprobs: Tensor, other: Tensor) -> Tensor:
    """Estimate of KL(policy ‖ other) by token: unbiased, may be negative; for tokens drawn from the policy.

    Source: Schulman, Approximating KL divergence, 2020.
    """
    return logprobs - other


def k3(logprobs: Tensor, other: Tensor) -> Tensor:
    """Estimate of KL(policy ‖ other) by token: unbiased and never negative; for tokens drawn from the policy.

    Source: Schulman, Approximating KL divergence, 2020; DeepSeekMath, arXiv 2402.03300, eq. 4.
    """
    log_ratio = other - logprobs
    return log_ratio.exp() - 1 - log_ratio


def drift(learner: Tensor, engine: Tensor) -> dict[str, Tensor]:
    """How far the learner's log-probs are from those the engine sampled with: |difference|, and KL two ways.

    At staleness 0 this is the numerical difference of two programs; else the age of the rollouts adds to it.
    """
    return {
        "drift": (learner - engine).abs(),
        "drift_k1": k1(engine, learner),
        "drift_k3": k3(engine, learner),
    }


def _given(tensor: Tensor | None, name: str) -> Tensor:
    if tensor is None:
        raise ValueError(f"the policy loss needs {name}, and the learner was given none")
    return tensor
