"""The sizes that SAIL-VL2 is published in, as configurations.

Source: SAIL-VL2 (arXiv 2509.14033), Table 1 and section 6.1: every model has SAIL-ViT-Huge; the language models are
Qwen3-0.6B, 1.7B, 8B and 30B-A3B. Their shapes are those of Qwen3's own folders; SAIL-VL2-2B's was compared with the
`config.json` that it was released with. Qwen3-16B-A2.5B, which the report names too, has no published shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedConfig, Qwen3Config, Qwen3MoeConfig

from model.sail_vl2 import SailVl2Config, SailVl2ForConditionalGeneration, SailVl2VisionConfig

_QWEN3: dict[str, Any] = {
    "vocab_size": 151936,
    "head_dim": 128,
    "max_position_embeddings": 40960,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1_000_000.0},
    "bos_token_id": 151643,
    "eos_token_id": 151645,
    "pad_token_id": 151643,
}


def _dense(hidden: int, intermediate: int, layers: int, heads: int, *, tied: bool) -> Qwen3Config:
    return Qwen3Config(
        **_QWEN3,
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=8,
        tie_word_embeddings=tied,
    )


def _experts() -> Qwen3MoeConfig:
    return Qwen3MoeConfig(
        **_QWEN3,
        hidden_size=2048,
        intermediate_size=6144,
        num_hidden_layers=48,
        num_attention_heads=32,
        num_key_value_heads=4,
        moe_intermediate_size=768,
        num_experts=128,
        num_experts_per_tok=8,
        norm_topk_prob=True,
        tie_word_embeddings=False,
    )


def published() -> dict[str, SailVl2Config]:
    """The published sizes by name; smallest first.

    The released 2B stores its output layer beside the embedding, and so do the other small ones here: the report's
    "2.0B" for Qwen3-1.7B counts it. SAIL-VL2-1B and the AnyRes models are not released.
    """
    return {
        "1B": _policy(_dense(1024, 3072, 28, 16, tied=False)),
        "2B": _policy(_dense(2048, 6144, 28, 16, tied=False)),
        "AnyRes-2B": _policy(_dense(2048, 6144, 28, 16, tied=False), native=True),
        "8B": _policy(_dense(4096, 12288, 36, 32, tied=False)),
        "30B-A3B": _policy(_experts()),
    }


def _policy(text: Qwen3Config | Qwen3MoeConfig, *, native: bool = False) -> SailVl2Config:
    return SailVl2Config(
        vision_config=SailVl2VisionConfig(native_resolution=native),
        text_config=text,
        tie_word_embeddings=text.tie_word_embeddings,
        eos_token_id=151645,
        pad_token_id=151643,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """Parameters of a policy by part; `active` are those that one token of text goes through."""

    vision: int
    connector: int
    language: int
    active: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.vision + self.connector + self.language


def count(config: SailVl2Config) -> Parameters:
    """The parameters of a policy of this shape, counted on the meta device: no memory is taken for them."""
    with torch.device("meta"):
        policy = SailVl2ForConditionalGeneration(config)
    language = _size(policy.language_model)
    return Parameters(
        vision=_size(policy.vision_model),
        connector=_size(policy.mlp1),
        language=language,
        active=language - _idle(policy.language_model, config.text_config),
    )


def _size(part: nn.Module) -> int:
    return sum(parameter.numel() for parameter in part.parameters())


def _idle(decoder: nn.Module, text: PreTrainedConfig) -> int:
    """Parameters of the experts that one token is not sent to."""
    experts = sum(p.numel() for name, p in decoder.named_parameters() if ".experts." in name)
    if not experts:
        return 0
    shape: Any = text
    return experts * (shape.num_experts - shape.num_experts_per_tok) // shape.num_experts


def name_of(config: SailVl2Config) -> str | None:
    """The published size that a policy has, if it has one; what is not of the shape is not compared."""
    for name, size in published().items():
        if _shape(size) == _shape(config):
            return name
    return None


def _shape(config: SailVl2Config) -> tuple[Any, ...]:
    vision, text = config.vision_config, config.text_config
    return (
        *(getattr(vision, key) for key in ("hidden_size", "num_hidden_layers", "native_resolution", "image_size")),
        *(getattr(text, key) for key in ("model_type", "vocab_size", "hidden_size", "num_hidden_layers")),
        getattr(text, "num_experts", 0),
    )
