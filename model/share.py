"""One rank's share of a pack whose tokens several ranks have cut among themselves (sequence parallelism).

A rank's tower sees the images whose placeholders are among the rank's tokens, and no others. An image that a cut goes
through is seen on both sides of it, and each side keeps the features of its own placeholders.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from torch import Tensor

from model.attention import Exchange, Packing
from model.families.family import Family
from model.sail_vl2.vision import patches_of


@dataclass(frozen=True, slots=True)
class Share:
    """The tokens from `start` to below `stop` of a pack."""

    start: int
    stop: int
    exchange: Exchange


@dataclass(frozen=True, slots=True)
class _Images:
    """Some of a pack's images, and the first token and the one after the last that stand for them."""

    pixel_values: Tensor | None
    grids: Tensor | None
    start: int
    stop: int


def share_inputs(
    family: Family,
    policy: Any,
    input_ids: Tensor,
    position_ids: Tensor,
    pixel_values: Tensor | None,
    grids: Tensor | None,
    share: Share,
) -> dict[str, Any]:
    """Arguments of the decoder for a share of a pack; all but `share` are the whole pack's.

    Raises:
        ValueError: the images do not fit the placeholders in `input_ids`.
    """
    positions = family.positions(policy.config, input_ids, position_ids, grids)
    seen = _Images(pixel_values, grids, share.start, share.stop)
    if pixel_values is not None and family.marks is not None:
        places = (input_ids[0] == policy.config.image_token_id).nonzero().flatten().tolist()
        seen = _images_within(share, places, pixel_values, grids)
    wide = slice(seen.start, seen.stop)
    inputs = family.decoder_inputs(policy, input_ids[:, wide], positions[..., wide], seen.pixel_values, seen.grids)
    own = slice(share.start - seen.start, share.stop - seen.start)
    return _trimmed(inputs, own) | {"packing": Packing.of(position_ids), "exchange": share.exchange}


def _images_within(share: Share, places: list[int], pixel_values: Tensor, grids: Tensor | None) -> _Images:
    """The images with a placeholder in the share; their tokens and the share's, from the first to the last of both."""
    patches = [1] * len(pixel_values) if grids is None else patches_of(pixel_values, grids.tolist())
    if not places or (grids is None and len(places) % len(patches)):
        raise ValueError(f"the token ids have {len(places)} image placeholders for {len(patches)} images")
    ends = list(accumulate(patches))
    lasts = [places[len(places) * end // ends[-1] - 1] for end in ends]
    firsts = [places[len(places) * (end - own) // ends[-1]] for end, own in zip(ends, patches, strict=True)]
    within = [n for n in range(len(patches)) if firsts[n] < share.stop and lasts[n] >= share.start]
    if not within:
        return _Images(None, None, share.start, share.stop)
    first, last = within[0], within[-1]
    return _Images(
        pixel_values[ends[first] - patches[first] : ends[last]],
        None if grids is None else grids[first : last + 1],
        min(share.start, firsts[first]),
        max(share.stop, lasts[last] + 1),
    )


def _trimmed(inputs: dict[str, Any], own: slice) -> dict[str, Any]:
    """The decoder's arguments for some of the tokens that they are for."""
    trimmed = {name: values[..., own] for name, values in inputs.items() if name in ("input_ids", "position_ids")}
    if "inputs_embeds" in inputs:
        trimmed["inputs_embeds"] = inputs["inputs_embeds"][:, own]
    if "visual_pos_masks" in inputs:
        masks = inputs["visual_pos_masks"]
        before, kept = int(masks[:, : own.start].sum()), int(masks[:, own].sum())
        added = [level[before : before + kept] for level in inputs["deepstack_visual_embeds"]]
        trimmed |= {"visual_pos_masks": masks[:, own], "deepstack_visual_embeds": added}
    return trimmed
