"""Tiny SAIL-VL2 policies with random weights and a tokenizer of their own, as model folders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig, Qwen3Config, Qwen3MoeConfig

from configs.model import TinySize as Size
from model.chat_format import SAIL_VL2
from model.quiet import quiet
from model.sail_vl2 import (
    SailVl2Config,
    SailVl2ForConditionalGeneration,
    SailVl2ImageProcessor,
    SailVl2Processor,
    SailVl2VisionConfig,
)
from model.sail_vl2.processing import IMAGE_TOKEN
from model.tokens import train_tokenizer


@dataclass(frozen=True, slots=True)
class Shape:
    """Widths and depths of a tiny policy, and what makes it unlike the others.

    `image_size` is a tile's side in pixels: 112 are 64 patches and 16 visual tokens. `max_tiles` are those that an
    image is cut into (0: it is fitted into one square); `native` policies see images at their own size, of at most
    four times as many patches. `experts` make a mixture, of which a token goes through two.
    """

    hidden: int
    intermediate: int
    layers: int
    heads: int
    vision_hidden: int
    vision_intermediate: int
    vision_layers: int
    vision_heads: int
    image_size: int = 112
    max_tiles: int = 0
    native: bool = False
    experts: int = 0


_NANO = (64, 192, 3, 2, 48, 96, 1, 2)
_MICRO = (128, 384, 4, 4, 96, 256, 3, 4)
SHAPES: dict[Size, Shape] = {
    "nano": Shape(*_NANO),
    "micro": Shape(*_MICRO),
    "micro-tiles": Shape(*_MICRO, image_size=56, max_tiles=6),
    "micro-native": Shape(*_MICRO, native=True),
    "micro-moe": Shape(*_MICRO, experts=8),
}


def build(size: Size, path: Path, *, seed: int) -> None:
    """Write a model folder: a policy with random weights and a trained tokenizer, the same for a seed."""
    tokenizer: Any = train_tokenizer(seed)
    config = _config(SHAPES[size], tokenizer)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        policy = SailVl2ForConditionalGeneration(config)
    policy.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    with quiet():
        policy.save_pretrained(path)
    images = _image_processor(SHAPES[size], config.vision_config)
    processor = SailVl2Processor(images, tokenizer, image_tokens=config.image_tokens, chat_template=SAIL_VL2.template)
    processor.save_pretrained(path)


def _image_processor(shape: Shape, vision: SailVl2VisionConfig) -> SailVl2ImageProcessor:
    ways: dict[str, Any] = {}
    if shape.max_tiles:
        ways["max_tiles"] = shape.max_tiles
    if shape.native:
        ways["max_patches"] = vision.max_patches
    return SailVl2ImageProcessor(size={"height": shape.image_size, "width": shape.image_size}, **ways)


def _config(shape: Shape, tokenizer: Any) -> SailVl2Config:
    spread = 0.02 * (1024 / shape.hidden) ** 0.5  # 0.02 is for widths near 1024
    vision = SailVl2VisionConfig(
        hidden_size=shape.vision_hidden,
        intermediate_size=shape.vision_intermediate,
        num_hidden_layers=shape.vision_layers,
        num_attention_heads=shape.vision_heads,
        image_size=shape.image_size,
        native_resolution=shape.native,
        initializer_range=spread,
    )
    vision.max_patches = 4 * vision.grid**2
    return SailVl2Config(
        vision_config=vision,
        text_config=_text_config(shape, tokenizer, spread),
        image_token_id=tokenizer.convert_tokens_to_ids(IMAGE_TOKEN),
        initializer_range=spread,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def _text_config(shape: Shape, tokenizer: Any, spread: float) -> Qwen3Config | Qwen3MoeConfig:
    common: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": shape.hidden,
        "intermediate_size": shape.intermediate,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.heads // 2,
        "head_dim": 32,
        "max_position_embeddings": 4096,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0},
        "initializer_range": spread,
        "tie_word_embeddings": True,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    if not shape.experts:
        return Qwen3Config(**common)
    return Qwen3MoeConfig(
        **common,
        num_experts=shape.experts,
        num_experts_per_tok=2,
        moe_intermediate_size=shape.intermediate // 4,
        norm_topk_prob=True,
    )
