"""SAIL-VL2 in vLLM, of vLLM's own layers: its Qwen3 or Qwen3-MoE behind a tower and an adapter that are split alike.

Modules have the learner's names, so that weights and LoRA adapters go over under the names they have; what vLLM
keeps in one tensor (queries, keys and values; the two halves of a gated MLP) it puts together as weights stream in.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import torch
from torch import nn
from vllm.config import VllmConfig
from vllm.model_executor.models.interfaces import MultiModalEmbeddings, SupportsLoRA, SupportsMultiModal, SupportsPP
from vllm.model_executor.models.module_mapping import MultiModelKeys
from vllm.model_executor.models.utils import AutoWeightsLoader, init_vllm_registered_model, maybe_prefix
from vllm.multimodal import MULTIMODAL_REGISTRY
from vllm.multimodal.inputs import MultiModalKwargsItem
from vllm.sequence import IntermediateTensors

from model.sail_vl2.configuration import SailVl2Config
from model.sail_vl2.modeling import DECODERS, silence_image_token, visual_tokens
from model.sail_vl2.processing import IMAGE_TOKEN
from model.vllm_inputs import DummyInputs, ProcessingInfo, Processor, grids_of
from model.vllm_vision import PACKED, VisionTower, parallel_adapter


@MULTIMODAL_REGISTRY.register_processor(Processor, info=ProcessingInfo, dummy_inputs=DummyInputs)
class SailVl2ForConditionalGeneration(nn.Module, SupportsMultiModal, SupportsPP, SupportsLoRA):
    """The policy as an engine runs it."""

    supports_tower_connector_lora: ClassVar[bool] = True

    @classmethod
    def get_placeholder_str(cls, modality: str, i: int) -> str | None:  # noqa: ARG003
        """The text that stands for an image in vLLM's chat API."""
        return IMAGE_TOKEN if modality == "image" else None

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        super().__init__()
        config: Any = vllm_config.model_config.hf_config
        self.config: SailVl2Config = config
        with self._mark_tower_model(vllm_config, "image"):
            self.vision_model = VisionTower(self.config.vision_config, prefix=maybe_prefix(prefix, "vision_model"))
            self.mlp1 = parallel_adapter(self.config, prefix=maybe_prefix(prefix, "mlp1"))
        with self._mark_language_model(vllm_config):
            language_model: Any = init_vllm_registered_model(
                vllm_config=vllm_config,
                hf_config=self.config.text_config,
                prefix=maybe_prefix(prefix, "language_model"),
                architectures=[DECODERS[self.config.text_config.model_type].__name__],
            )
            self.language_model = language_model
        self.packed_modules_mapping = PACKED | language_model.packed_modules_mapping
        self.make_empty_intermediate_tensors = language_model.make_empty_intermediate_tensors

    def embed_multimodal(self, **kwargs: Any) -> MultiModalEmbeddings:
        """Visual tokens [tokens, hidden] of each image."""
        pixel_values = kwargs.get("pixel_values")
        if pixel_values is None:
            return []
        pixel_values = pixel_values.to(self.mlp1[0].weight.dtype)
        return tuple(visual_tokens(self.vision_model, self.mlp1, self.config, pixel_values, grids_of(kwargs)))

    def forward(
        self,
        input_ids: torch.Tensor | None,
        positions: torch.Tensor,
        intermediate_tensors: IntermediateTensors | None = None,
        inputs_embeds: torch.Tensor | None = None,
        **_: object,
    ) -> torch.Tensor | IntermediateTensors:
        """Hidden states [tokens, hidden]."""
        decoder: Any = self.language_model.model
        return decoder(input_ids, positions, intermediate_tensors, inputs_embeds)

    def compute_logits(self, hidden_states: torch.Tensor) -> torch.Tensor | None:
        """Logits [tokens, vocabulary], where this rank gathers them."""
        language_model: Any = self.language_model
        logits = language_model.compute_logits(hidden_states)
        if logits is not None:
            silence_image_token(logits, self.config)
        return logits

    def load_weights(self, weights: Iterable[tuple[str, torch.Tensor]]) -> set[str]:
        """Take weights by name, as they come; the names taken come back."""
        return AutoWeightsLoader(self).load_weights(weights)

    def get_mm_mapping(self) -> MultiModelKeys:
        """Which part is which."""
        return MultiModelKeys.from_string_field(
            language_model="language_model", connector="mlp1", tower_model="vision_model"
        )

    def get_mm_lora_token_counts(
        self,
        *,
        modality: str,  # noqa: ARG002
        mm_kwargs: MultiModalKwargsItem | None,  # noqa: ARG002
        num_mm_embeds: int,
    ) -> tuple[int, int | None]:
        """Rows that go through the tower and through the connector for so many visual tokens: what LoRA is told."""
        return num_mm_embeds * self.config.downsample**2, num_mm_embeds
