"""SAIL-VL2 in vLLM: vLLM's own Qwen3 behind the vision tower and adapter that the learner trains.

Parameter names are the learner's, so that weights go over under the names they have.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from transformers import BatchFeature
from vllm.config import VllmConfig
from vllm.model_executor.models.interfaces import MultiModalEmbeddings, SupportsMultiModal, SupportsPP
from vllm.model_executor.models.module_mapping import MultiModelKeys
from vllm.model_executor.models.utils import AutoWeightsLoader, init_vllm_registered_model, maybe_prefix
from vllm.multimodal import MULTIMODAL_REGISTRY
from vllm.multimodal.inputs import MultiModalFieldConfig, MultiModalKwargsItems
from vllm.multimodal.parse import MultiModalDataItems
from vllm.multimodal.processing import (
    BaseDummyInputsBuilder,
    BaseMultiModalProcessor,
    BaseProcessingInfo,
    PromptReplacement,
    PromptUpdate,
)
from vllm.sequence import IntermediateTensors

from model.sail_vl2.configuration import SailVl2Config
from model.sail_vl2.modeling import DECODERS, adapter, silence_image_token, visual_tokens
from model.sail_vl2.processing import IMAGE_TOKEN, SailVl2Processor
from model.sail_vl2.vision import SailVl2VisionModel


class ProcessingInfo(BaseProcessingInfo):
    """What vLLM asks about a policy's inputs."""

    def get_hf_config(self) -> SailVl2Config:
        """The policy's configuration."""
        return self.ctx.get_hf_config(SailVl2Config)

    def get_hf_processor(self, **kwargs: object) -> SailVl2Processor:
        """The policy's processor."""
        return self.ctx.get_hf_processor(SailVl2Processor, **kwargs)

    def get_supported_mm_limits(self) -> Mapping[str, int | None]:
        """Any number of images, and nothing else."""
        return {"image": None}

    def get_mm_max_tokens_per_item(self, seq_len: int, mm_counts: Mapping[str, int]) -> Mapping[str, int]:  # noqa: ARG002
        """Visual tokens of an image: all have the same number."""
        return {"image": self.get_hf_config().image_tokens}


class DummyInputs(BaseDummyInputsBuilder[ProcessingInfo]):
    """What vLLM measures its memory with."""

    def get_dummy_text(self, mm_counts: Mapping[str, int]) -> str:
        """The expanded placeholders of some images."""
        return IMAGE_TOKEN * (self.info.get_hf_config().image_tokens * mm_counts.get("image", 0))

    def get_dummy_mm_data(self, seq_len: int, mm_counts: Mapping[str, int], mm_options: Any) -> dict[str, Any]:  # noqa: ARG002
        """As many images of the tower's size."""
        size = self.info.get_hf_config().vision_config.image_size
        return {"image": self._get_dummy_images(width=size, height=size, num_images=mm_counts.get("image", 0))}


class Processor(BaseMultiModalProcessor[ProcessingInfo]):
    """Pixels from images, and the place of each image in the token ids, which stay as they are."""

    def _call_hf_processor(self, hf_data: Mapping[str, Any], hf_kwargs: Mapping[str, object]) -> BatchFeature:
        made = self.info.get_hf_processor(**hf_kwargs).image_processor(hf_data["images"])
        if len(made["pixel_values"]) != len(hf_data["images"]):
            raise ValueError("an image has several tiles: hand in the tiles, as `Rendered.images` has them")
        return BatchFeature({"pixel_values": made["pixel_values"]})

    def _get_mm_fields_config(
        self,
        hf_inputs: BatchFeature,  # noqa: ARG002
        hf_processor_mm_kwargs: Mapping[str, object],  # noqa: ARG002
    ) -> Mapping[str, MultiModalFieldConfig]:
        return {"pixel_values": MultiModalFieldConfig.batched("image")}

    def _get_prompt_updates(
        self,
        mm_items: MultiModalDataItems,  # noqa: ARG002
        hf_processor_mm_kwargs: Mapping[str, object],  # noqa: ARG002
        out_mm_kwargs: MultiModalKwargsItems,  # noqa: ARG002
    ) -> Sequence[PromptUpdate]:
        """Each image's run of placeholders, replaced by itself: the ids come in expanded."""
        config = self.info.get_hf_config()
        run = [config.image_token_id] * config.image_tokens
        return [PromptReplacement(modality="image", target=run, replacement=run)]


@MULTIMODAL_REGISTRY.register_processor(Processor, info=ProcessingInfo, dummy_inputs=DummyInputs)
class SailVl2ForConditionalGeneration(nn.Module, SupportsMultiModal, SupportsPP):
    """The policy as an engine runs it."""

    @classmethod
    def get_placeholder_str(cls, modality: str, i: int) -> str | None:  # noqa: ARG003
        """The text that stands for an image in vLLM's chat API."""
        return IMAGE_TOKEN if modality == "image" else None

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        super().__init__()
        config: Any = vllm_config.model_config.hf_config
        self.config: SailVl2Config = config
        if self.config.vision_config.native_resolution:
            raise ValueError("policies that see images at their native resolution are not served by vLLM yet")
        with self._mark_tower_model(vllm_config, "image"):
            self.vision_model = SailVl2VisionModel._from_config(self.config.vision_config, attn_implementation="sdpa")
            self.mlp1 = adapter(self.config)
        with self._mark_language_model(vllm_config):
            language_model: Any = init_vllm_registered_model(
                vllm_config=vllm_config,
                hf_config=self.config.text_config,
                prefix=maybe_prefix(prefix, "language_model"),
                architectures=[DECODERS[self.config.text_config.model_type].__name__],
            )
            self.language_model = language_model
        self.make_empty_intermediate_tensors = language_model.make_empty_intermediate_tensors

    def embed_multimodal(self, **kwargs: Any) -> MultiModalEmbeddings:
        """Visual tokens [tokens, hidden] of each image."""
        pixel_values = kwargs.get("pixel_values")
        if pixel_values is None:
            return []
        pixel_values = pixel_values.to(self.mlp1[1].weight.dtype)
        return tuple(visual_tokens(self.vision_model, self.mlp1, self.config, pixel_values))

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
        """Take weights by name; the names taken come back."""
        return AutoWeightsLoader(self).load_weights(weights)

    def get_mm_mapping(self) -> MultiModelKeys:
        """Which part is which."""
        return MultiModelKeys.from_string_field(
            language_model="language_model", connector="mlp1", tower_model="vision_model"
        )
