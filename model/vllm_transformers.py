"""SAIL-VL2 in vLLM by its Transformers backend, the reference: the learner's own modules, with vLLM's put in for some.

vLLM takes the layers apart that transformers wrote, and gives attention a key-value cache. What `model.vllm_model`
does with tower, adapter and decoder is not used here, so that each can be held against the other.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModel, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPast
from vllm.model_executor.models.interfaces import MultiModalEmbeddings
from vllm.model_executor.models.transformers.causal import CausalMixin
from vllm.model_executor.models.transformers.multimodal import MultiModalMixin
from vllm.multimodal import MULTIMODAL_REGISTRY

from model.sail_vl2.configuration import SailVl2Config
from model.sail_vl2.modeling import adapter, silence_image_token, visual_tokens
from model.sail_vl2.vision import SailVl2VisionModel
from model.vllm_inputs import DummyInputs, ProcessingInfo, Processor, grids_of


class _Decoder(nn.Module):
    """The language model without its output layer, which vLLM adds; named as where it is part of one."""

    def __init__(self, config: SailVl2Config) -> None:
        super().__init__()
        self.model = AutoModel.from_config(config.text_config)

    def get_input_embeddings(self) -> nn.Module:
        """The token embedding."""
        return self.model.embed_tokens


class SailVl2Model(PreTrainedModel):
    """What transformers' `AutoModel` makes of a policy's configuration: all of it but the output layer."""

    config: SailVl2Config
    config_class = SailVl2Config
    base_model_prefix = "model"
    _supports_sdpa = True
    _supports_attention_backend = True

    def __init__(self, config: SailVl2Config) -> None:
        super().__init__(config)
        self.vision_model = SailVl2VisionModel._from_config(config.vision_config)
        self.mlp1 = adapter(config)
        self.language_model = _Decoder(config)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """The token embedding."""
        return self.language_model.get_input_embeddings()

    def get_decoder(self) -> nn.Module:
        """The decoder's layers."""
        return self.language_model.model

    def forward(self, **kwargs: Any) -> BaseModelOutputWithPast:
        """Hidden states [1, tokens, hidden], first in the output."""
        return self.language_model.model(**kwargs)


@MULTIMODAL_REGISTRY.register_processor(Processor, info=ProcessingInfo, dummy_inputs=DummyInputs)
class SailVl2TransformersForCausalLM(MultiModalMixin, CausalMixin):
    """A policy with a dense decoder. What learner and engine share stands in place of what vLLM guesses."""

    config: Any

    def embed_multimodal(self, **kwargs: Any) -> MultiModalEmbeddings:
        """Visual tokens [tokens, hidden] of each image."""
        pixel_values = kwargs.get("pixel_values")
        if pixel_values is None:
            return []
        policy: Any = self.model
        pixel_values = pixel_values.to(policy.mlp1[0].weight.dtype)
        return tuple(visual_tokens(policy.vision_model, policy.mlp1, policy.config, pixel_values, grids_of(kwargs)))

    def compute_logits(self, hidden_states: Tensor) -> torch.Tensor | None:
        """Logits [tokens, vocabulary], where this rank gathers them."""
        logits = super().compute_logits(hidden_states)
        if logits is not None:
            silence_image_token(logits, self.config)
        return logits


AutoModel.register(SailVl2Config, SailVl2Model, exist_ok=True)
