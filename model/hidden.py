"""The forward pass up to the output layer: what a learner computes log-probs from, without a table of logits."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers import PreTrainedModel

from model.sail_vl2 import SailVl2ForConditionalGeneration


def hidden_states(policy: PreTrainedModel, input_ids: Tensor, position_ids: Tensor, pixel_values: Any) -> Tensor:
    """Last hidden states [tokens, hidden] of a pack: `input_ids` and `position_ids` [1, tokens].

    `pixel_values` are [images, 3, size, size] or None; policies without a vision tower take None.
    """
    if isinstance(policy, SailVl2ForConditionalGeneration):
        decoder: Any = policy.language_model.model
        inputs = {"inputs_embeds": policy.embed(input_ids, pixel_values)}
    else:
        decoder, inputs = policy.base_model, {"input_ids": input_ids}
    return decoder(**inputs, position_ids=position_ids, use_cache=False).last_hidden_state[0]


def silent_token(policy: PreTrainedModel) -> int | None:
    """The token that the policy never writes (`silence_image_token`), if there is one."""
    return policy.config.image_token_id if isinstance(policy, SailVl2ForConditionalGeneration) else None
