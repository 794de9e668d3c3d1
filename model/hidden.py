"""The forward pass up to the output layer: what a learner computes log-probs from, without a table of logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor
from transformers import PreTrainedModel

from model.families import family_of
from model.share import Share, share_inputs


@dataclass(frozen=True, slots=True)
class DecoderOutput:
    """`states` [tokens, hidden] of a pack, and `router_logits` [tokens, experts] of each layer with experts."""

    states: Tensor
    router_logits: tuple[Tensor, ...] = ()


def hidden_states(
    policy: PreTrainedModel,
    input_ids: Tensor,
    position_ids: Tensor,
    pixel_values: Any,
    image_grids: Any = None,
    *,
    share: Share | None = None,
) -> DecoderOutput:
    """The decoder's output for a pack, or for a share of its tokens: `input_ids` and `position_ids` [1, tokens].

    `pixel_values` are what the family's sight stacked, [images, 3, size, size] for SAIL-VL2, or None; where images
    differ in size they are [patches, ...], with `image_grids` [images, 2]. Policies that read text only take None.
    """
    family = family_of(policy)
    if share is None:
        positions = family.positions(policy.config, input_ids, position_ids, image_grids)
        inputs = family.decoder_inputs(policy, input_ids, positions, pixel_values, image_grids)
    else:
        inputs = share_inputs(family, policy, input_ids, position_ids, pixel_values, image_grids, share)
    if experts_per_token(policy):
        inputs["output_router_logits"] = True
    output = policy.get_decoder()(**inputs, use_cache=False)
    return DecoderOutput(output.last_hidden_state[0], tuple(output.get("router_logits") or ()))


def experts_per_token(policy: PreTrainedModel) -> int:
    """How many experts of a layer a token goes through; 0 for a dense policy."""
    return getattr(policy.config.get_text_config(), "num_experts_per_tok", 0)


def silent_token(policy: PreTrainedModel) -> int | None:
    """The token that the policy never writes (`silence_image_token`), if there is one."""
    return policy.config.image_token_id if family_of(policy).marks else None
