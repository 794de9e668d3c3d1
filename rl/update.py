"""The learner's part of a step: log-probs of the policies to compare with, then the optimiser steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from rl.losses import PolicyLoss

if TYPE_CHECKING:
    from halyard.cluster.learner import Learner
    from halyard.cluster.types import TrainSequence, Update
    from rl.clock import Clock
    from rl.presets import Algorithm


async def learn(
    batches: Sequence[Sequence[TrainSequence]],
    algorithm: Algorithm,
    learner: Learner,
    temperature: float,
    clock: Clock,
) -> list[Update]:
    """One update for each mini-batch.

    With more than one, the later ones move away from the policy that the step began with: the ratio is
    taken to that policy, whose log-probs are computed before the first. With one, the learner's own
    log-probs are those, and nothing is computed twice.
    """
    if len(batches) > 1:
        with clock.phase("old_logprobs"):
            batches = [await with_old_policy(batch, learner, temperature) for batch in batches]
    if algorithm.kl_coef > 0:
        with clock.phase("reference_logprobs"):
            batches = [await with_reference(batch, learner, temperature) for batch in batches]
    loss = PolicyLoss.of(algorithm)
    return [await learner.update(batch, loss, temperature=temperature) for batch in batches]


async def with_old_policy(batch: Sequence[TrainSequence], learner: Learner, temperature: float) -> list[TrainSequence]:
    """The sequences with their log-probs under the policy as it is now."""
    old = await learner.logprobs(batch, temperature=temperature)
    return [replace(sequence, old_logprobs=values) for sequence, values in zip(batch, old, strict=True)]


async def with_reference(batch: Sequence[TrainSequence], learner: Learner, temperature: float) -> list[TrainSequence]:
    """The sequences with their log-probs under the policy that the stage started from."""
    reference = await learner.reference_logprobs(batch, temperature=temperature)
    return [replace(sequence, reference_logprobs=values) for sequence, values in zip(batch, reference, strict=True)]
