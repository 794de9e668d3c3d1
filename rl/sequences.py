"""From judged groups to sequences that the learner can train on: masks, advantages, and one denominator."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from halyard.cluster.types import TrainSequence
from rl.advantages import advantages, all_equal

if TYPE_CHECKING:
    from halyard.data.types import Group, Rollout
    from model.render import Rendered
    from rl.presets import Algorithm
    from rl.types import Scored

Learnt = tuple["Scored", "Rollout", float]


def mini_batches(groups: Sequence[Scored], algorithm: Algorithm) -> list[list[TrainSequence]]:
    """The step's groups cut into `updates_per_step` runs of whole groups, as even as they go."""
    cuts = np.linspace(0, len(groups), algorithm.updates_per_step + 1).astype(int)
    return [to_sequences(groups[start:stop], algorithm) for start, stop in pairwise(cuts)]


def to_sequences(groups: Sequence[Scored], algorithm: Algorithm) -> list[TrainSequence]:
    """One sequence for each answer that is trained on; their weights add up to 1 over the optimiser step.

    The weight of a token is 1 / (learnt tokens of the step) under `token_mean` (DAPO, eq. 8), and
    1 / (sequences · tokens of its own sequence) under `sequence_mean` (GRPO, eq. 3).
    """
    learnt = [one for scored in groups for one in _learnt(scored, algorithm)]
    tokens = sum(len(rollout.response_token_ids) for _, rollout, _ in learnt)
    sequences = []
    for scored, rollout, advantage in learnt:
        length = len(rollout.response_token_ids)
        share = 1 / tokens if algorithm.aggregation == "token_mean" else 1 / (len(learnt) * length)
        sequences.append(sequence(rollout, advantage, share, scored.rendered))
    return sequences


def trainable(rollout: Rollout, algorithm: Algorithm) -> bool:
    """Whether an answer enters the loss: always, unless it was cut at the limit and those are masked."""
    return algorithm.overlong == "keep" or rollout.finish_reason != "length"


def without_signal(group: Group, algorithm: Algorithm) -> str | None:
    """Why nothing can be learnt from a judged group; None when something can."""
    judged = [reward for reward in group.rewards if reward is not None]
    pairs = zip(group.rollouts, group.rewards, strict=True)
    if not any(reward is not None and trainable(rollout, algorithm) for rollout, reward in pairs):
        return "every judged answer was cut at the token limit"
    if algorithm.drop_groups_without_signal and all_equal(judged):
        return f"no signal: every reward is {judged[0]:g}"
    return None


def sequence(rollout: Rollout, advantage: float, share: float, rendered: Rendered) -> TrainSequence:
    """Prompt and response as the engine saw them, the response learnt to its last token.

    `share` is the weight of each of its tokens in the loss; the images are those of the prompt as it was rendered.
    """
    prompt, response = len(rollout.prompt_token_ids), len(rollout.response_token_ids)

    def over_response(values: float | Sequence[float]) -> np.ndarray:
        array = np.zeros(prompt + response, dtype=np.float32)
        array[prompt:] = values
        return array

    return TrainSequence(
        token_ids=np.array(rollout.prompt_token_ids + rollout.response_token_ids, dtype=np.int64),
        loss_mask=over_response(1).astype(bool),
        weights=over_response(share),
        advantages=over_response(advantage),
        rollout_logprobs=over_response(rollout.rollout_logprobs),
        pixel_values=rendered.pixel_values,
        image_grids=rendered.image_grids,
    )


def _learnt(scored: Scored, algorithm: Algorithm) -> Iterator[Learnt]:
    """The answers of a group that enter the loss, with their advantages over all judged ones."""
    values = advantages(scored.group.rewards, algorithm.advantage)
    for rollout, advantage in zip(scored.group.rollouts, values, strict=True):
        if advantage is not None and trainable(rollout, algorithm):
            yield scored, rollout, advantage
