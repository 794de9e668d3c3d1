"""The vision-language families of transformers in vLLM: its Transformers backend, with the learner's way with images.

vLLM's own classes of these families, and its backend's own processor, want torchvision, which a CPU often lacks. What
learner and engine share stands in their place: the sight that makes pixels, the tower, and positions in three
directions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL.Image import Image
from torch import Tensor, nn
from vllm.config import VllmConfig
from vllm.model_executor.models.interfaces import MultiModalEmbeddings
from vllm.model_executor.models.transformers.causal import CausalMixin
from vllm.model_executor.models.transformers.moe import MoEMixin
from vllm.model_executor.models.transformers.multimodal import MultiModalMixin
from vllm.multimodal import MULTIMODAL_REGISTRY
from vllm.multimodal.inputs import MultiModalFeatureSpec

from model.families import SEEING
from model.families.mrope import positions
from model.families.seeing import SeeingFamily
from model.sail_vl2.modeling import silence_image_token
from model.sight import BoundedSight
from model.vllm_inputs import DummyInputs, Processor, SeeingInfo


class FamilyInfo(SeeingInfo):
    """What vLLM asks about a policy's inputs; the family's sight answers."""

    @property
    def family(self) -> SeeingFamily:
        """The policy's family."""
        return SEEING[self.get_hf_config().model_type]

    @cached_property
    def sight(self) -> BoundedSight:
        """The learner's way from images to pixels."""
        return self.family.sight(Path(self.ctx.model_config.model), self.get_hf_config())

    @property
    def image_token(self) -> str:
        """The text of a placeholder."""
        assert self.family.marks is not None
        return self.family.marks.token

    def most_tokens(self, length: int) -> int:
        """Visual tokens that no view has more of."""
        return min(self.sight.most_tokens, length)

    def largest(self, length: int) -> tuple[tuple[int, int], int]:
        """Size and visual tokens of a square view."""
        size = self.sight.square(self.most_tokens(length))
        return size, self.sight.tokens(size, 1)

    def visual_tokens(self, grid: Sequence[int] | None) -> int:
        """Visual tokens of a view."""
        if grid is None:
            return self.sight.most_tokens
        return math.prod(grid) // self.get_hf_config().vision_config.spatial_merge_size ** 2

    def stack(self, images: Sequence[Image]) -> tuple[np.ndarray, np.ndarray | None]:
        """Pixels and grids of views."""
        return self.sight.stack(images)


@MULTIMODAL_REGISTRY.register_processor(Processor, info=FamilyInfo, dummy_inputs=DummyInputs)
class SeeingForCausalLM(MultiModalMixin, CausalMixin):
    """A policy with a dense decoder."""

    config: Any

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        super().__init__(vllm_config=vllm_config, prefix=prefix)
        self.family = SEEING[self.config.model_type]
        levels = len(getattr(self.config.vision_config, "deepstack_visual_indexes", ()))
        tokens = vllm_config.scheduler_config.max_num_batched_tokens
        self._added = torch.zeros(levels, tokens, self.config.text_config.hidden_size)
        """What waits, between the embedding of a step's tokens and its forward pass, to be added to the outputs of the
        first layers; in one place, where a CUDA graph finds it."""
        layers: Any = self.model.get_decoder().layers
        for level, layer in zip(self._added, layers, strict=False):
            layer.register_forward_hook(partial(_add, level))

    def embed_multimodal(self, **kwargs: Any) -> MultiModalEmbeddings:
        """Features of each view, as `SeeingFamily` has them."""
        pixel_values = kwargs.get("pixel_values")
        if pixel_values is None:
            return []
        grids = kwargs.get("image_grids")
        grids = None if grids is None else grids.reshape(-1, 2).to(pixel_values.device)
        return self.family.see(self.model, pixel_values.to(self.model_config.dtype), grids)

    def embed_input_ids(
        self,
        input_ids: Tensor,
        multimodal_embeddings: MultiModalEmbeddings | None = None,
        *,
        is_multimodal: Tensor | None = None,
    ) -> Tensor:
        """Embeddings [tokens, hidden], with features written over the placeholders; the rest of them is put aside."""
        waiting = self._added[:, : len(input_ids)].zero_()
        if multimodal_embeddings is None or not len(multimodal_embeddings):
            return super().embed_input_ids(input_ids, is_multimodal=is_multimodal)
        assert is_multimodal is not None
        features = torch.cat(list(multimodal_embeddings))
        written, *added = features.split(self.config.text_config.hidden_size, dim=-1)
        for level, values in zip(waiting, added, strict=True):
            level[is_multimodal] = values.to(level)
        return super().embed_input_ids(input_ids, [written], is_multimodal=is_multimodal)

    def get_mrope_input_positions(
        self, input_tokens: list[int], mm_features: list[MultiModalFeatureSpec]
    ) -> tuple[Tensor, int]:
        """Positions [3, tokens] of a prompt, and how far those of its answer are from counting on."""
        ordered = sorted(mm_features, key=lambda feature: feature.mm_position.offset)
        grids: Any = MultiModalFeatureSpec.gather_kwargs(ordered, {"image_grids"}).get("image_grids", [])
        merge = self.config.vision_config.spatial_merge_size
        merged = iter([(rows // merge, columns // merge) for rows, columns in (grid.tolist() for grid in grids)])
        found = positions(torch.tensor(input_tokens) == self.config.image_token_id, merged)
        return found, int(found.max()) + 1 - len(input_tokens)

    def compute_logits(self, hidden_states: Tensor) -> Tensor | None:
        """Logits [tokens, vocabulary], where this rank gathers them."""
        logits = super().compute_logits(hidden_states)
        if logits is not None:
            silence_image_token(logits, self.config)
        return logits


@MULTIMODAL_REGISTRY.register_processor(Processor, info=FamilyInfo, dummy_inputs=DummyInputs)
class SeeingMoEForCausalLM(MoEMixin, SeeingForCausalLM):
    """A policy with a decoder of experts."""


def _add(level: Tensor, layer: nn.Module, given: Any, states: Tensor) -> Tensor:  # noqa: ARG001
    """A layer's output [1, tokens, hidden] and what waits for it."""
    return states + level[: states.shape[1]]
