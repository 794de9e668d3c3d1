"""What goes in and out of engines and learners."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image
    from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """One prompt, to be answered once for each of `seeds`.

    `token_ids` [prompt tokens] hold the image placeholders already expanded, as the learner sees them;
    `images` are in the order of their placeholders, sent once for all samples. Answers are held to `json_schema`,
    where there is one; their log-probs are then of the tokens that it leaves.
    """

    id: str
    token_ids: tuple[int, ...]
    images: tuple[Image, ...] = ()
    seeds: tuple[int, ...]
    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    json_schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """One sampled answer.

    `token_ids` [response tokens] end with the end-of-turn token when `finish_reason` is "stop".
    `logprobs` [response tokens], in nats, are of the sampled tokens under the tempered distribution.
    `spans` lists (start, stop, policy_version). `prompt_token_ids` are the ids that the engine ran on.
    """

    prompt_token_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    finish_reason: Literal["stop", "length"]
    spans: tuple[tuple[int, int, int], ...]
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSequence:
    """One sequence to train on; all lists are [tokens], aligned to `token_ids`.

    `loss_mask[t]` is True when token t itself is learnt (its log-prob, predicted from the tokens before
    it, enters the loss); it is never True at t = 0. `weights[t]` is what the token counts for in the
    step's loss: the caller has already divided by the step's global count, so that the sum over all
    sequences, micro-batches and ranks is the loss. `advantages` and `rollout_logprobs` are 0 outside
    the mask. `pixel_values` is [images, 3, height, width], float32; of a policy that sees images at their native
    resolution it is [patches, 3, patch size, patch size], and `image_grids` [images, 2] their rows and columns.
    """

    token_ids: np.ndarray
    loss_mask: np.ndarray
    weights: np.ndarray
    advantages: np.ndarray | None = None
    rollout_logprobs: np.ndarray | None = None
    old_logprobs: np.ndarray | None = None
    reference_logprobs: np.ndarray | None = None
    pixel_values: np.ndarray | None = None
    image_grids: np.ndarray | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LossInputs:
    """The learnt tokens of one micro-batch, flat: every tensor is [learnt tokens].

    `logprobs` and `entropy` (detached) carry the policy's; `old_logprobs` default to the detached
    `logprobs`. `segments` numbers the sequences from 0, ascending and without gaps.
    """

    logprobs: Tensor
    entropy: Tensor
    old_logprobs: Tensor
    rollout_logprobs: Tensor | None
    reference_logprobs: Tensor | None
    advantages: Tensor | None
    weights: Tensor
    segments: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class LossOutput:
    """`loss`: the weighted sum over the micro-batch (a scalar that carries the gradient).

    `metrics`: scalars that are summed over all micro-batches and ranks of the step; a mean is a sum of
    terms multiplied by the weights.
    """

    loss: Tensor
    metrics: Mapping[str, Tensor] = field(default_factory=dict)


LossFunction = Callable[[LossInputs], LossOutput]
"""A picklable pure function; the learner knows no algorithm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """What one optimiser step did.

    `version` is the number of optimiser steps taken so far. `metrics` are the loss function's sums.
    `seconds` by phase: pack, forward, backward, optimizer. `tokens` counts all tokens, `loss_tokens`
    the learnt ones. `grad_norm` is before clipping.
    """

    version: int
    loss: float
    grad_norm: float
    learning_rate: float
    tokens: int
    loss_tokens: int
    sequences: int
    packs: int
    metrics: Mapping[str, float]
    seconds: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """What one weight transfer did: seconds of pause that a waiting request saw, and of the whole."""

    version: int
    tensors: int
    bytes: int
    seconds: float
    pause_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineStats:
    """What an engine has done and is doing, summed over its copies.

    `tokens` counts the response tokens of finished answers; `running` and `waiting` the answers in
    flight, those decoded now and those queued behind them.
    """

    tokens: int
    running: int
    waiting: int
