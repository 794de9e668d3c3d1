"""What the vision-language families of transformers have in common: a tower beside a decoder in `policy.model`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from transformers import AutoConfig, AutoTokenizer, PreTrainedConfig, PreTrainedModel

from halyard.errors import SnapshotError
from model.chat_format import ChatFormat
from model.sail_vl2.distinct import distinct_images
from model.sail_vl2.modeling import check_places
from model.sight import BoundedSight, ImageMarks, Sight


class SeeingFamily(ABC):
    """A family whose policies write image features over placeholders.

    Features of an image are [tokens, hidden · (1 + levels)]: what is written over its placeholders, and beside it, for
    families that have it ("deepstack"), what is added to the same places after each of the first layers.
    """

    architecture: type[PreTrainedModel]
    formats: tuple[ChatFormat, ...]
    marks: ImageMarks | None
    decoders: ClassVar[tuple[str, ...]]
    """The `model_type` of the text configurations that the family is taken with."""

    def config(self, path: Path) -> PreTrainedConfig:
        """The configuration of a folder.

        Raises:
            SnapshotError: its decoder is none of the family's `decoders`.
        """
        config: Any = AutoConfig.from_pretrained(path)
        kind = config.text_config.model_type
        if kind not in self.decoders:
            known = ", ".join(self.decoders)
            raise SnapshotError(f"{path / 'config.json'} has a {kind} inside; expected one of {known}")
        return config

    def reader(self, path: Path) -> tuple[Any, Sight]:
        """Tokenizer and sight of a folder."""
        return AutoTokenizer.from_pretrained(path), self.sight(path, self.config(path))

    @abstractmethod
    def sight(self, path: Path, config: Any) -> BoundedSight:
        """How the images of a folder's policy become pixels; without torchvision."""

    @abstractmethod
    def see(self, inner: Any, pixel_values: Tensor, grids: Tensor | None) -> list[Tensor]:
        """Features of each image; `inner` is the policy's `model`, whose decoder takes no part."""

    @abstractmethod
    def blank(self, config: Any) -> tuple[Tensor, Tensor | None]:
        """Pixels and grids of the smallest image."""

    def positions(
        self,
        config: Any,  # noqa: ARG002
        input_ids: Tensor,  # noqa: ARG002
        position_ids: Tensor,
        grids: Tensor | None,  # noqa: ARG002
    ) -> Tensor:
        """Position ids of a pack as the decoder takes them; [1, tokens] unless a family counts otherwise."""
        return position_ids

    def decoder_inputs(
        self, policy: Any, input_ids: Tensor, position_ids: Tensor, pixel_values: Tensor | None, grids: Tensor | None
    ) -> dict[str, Any]:
        """Embeddings with the images written over their placeholders, and what is added in later layers."""
        embeddings = policy.get_input_embeddings()(input_ids)
        places = input_ids == policy.config.image_token_id
        features = [] if pixel_values is None else self._seen(policy, pixel_values, grids)
        check_places(places, features)
        inputs: dict[str, Any] = {"position_ids": position_ids}
        if not features:
            return inputs | {"inputs_embeds": embeddings + self._nothing_seen(policy, embeddings)}
        written, *added = torch.cat(features).to(embeddings.dtype).split(embeddings.shape[-1], dim=-1)
        if added:
            inputs |= {"visual_pos_masks": places, "deepstack_visual_embeds": added}
        return inputs | {"inputs_embeds": embeddings.masked_scatter(places.unsqueeze(-1), written)}

    def _seen(self, policy: Any, pixel_values: Tensor, grids: Tensor | None) -> list[Tensor]:
        """Features of each image; one that occurs several times goes through the tower once."""
        distinct = distinct_images(pixel_values, grids)
        seen = self.see(policy.model, distinct.pixel_values, distinct.image_grids)
        return [seen[number] for number in distinct.order]

    def _nothing_seen(self, policy: Any, embeddings: Tensor) -> Tensor | float:
        """Zero, with a zero gradient for every weight of the tower.

        Under ZeRO-3 every rank has to take part in gathering the tower's weights, whatever its micro-batch holds.
        """
        if not (policy.training or torch.is_grad_enabled()):
            return 0.0
        pixels, grids = self.blank(policy.config)
        grids = None if grids is None else grids.to(embeddings.device)
        return torch.cat(self.see(policy.model, pixels.to(embeddings), grids)).sum() * 0.0
