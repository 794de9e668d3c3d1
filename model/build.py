"""Tiny SAIL-VL2 policies with random weights and a tokenizer of their own, as model folders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import GenerationConfig, Qwen3Config

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

Size = Literal["nano", "micro"]


@dataclass(frozen=True, slots=True)
class Shape:
    """Widths and depths of a tiny policy; images are 112 x 112 pixels, 64 patches, 16 visual tokens."""

    hidden: int
    intermediate: int
    layers: int
    heads: int
    vision_hidden: int
    vision_intermediate: int
    vision_layers: int
    vision_heads: int


SHAPES: dict[Size, Shape] = {
    "nano": Shape(64, 192, 3, 2, 48, 96, 1, 2),
    "micro": Shape(128, 384, 4, 4, 96, 256, 3, 4),
}
IMAGE_SIZE = 112


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
    images = SailVl2ImageProcessor(size={"height": IMAGE_SIZE, "width": IMAGE_SIZE})
    processor = SailVl2Processor(images, tokenizer, image_tokens=config.image_tokens, chat_template=SAIL_VL2.template)
    processor.save_pretrained(path)


def _config(shape: Shape, tokenizer: Any) -> SailVl2Config:
    spread = 0.02 * (1024 / shape.hidden) ** 0.5  # 0.02 is for widths near 1024
    vision = SailVl2VisionConfig(
        hidden_size=shape.vision_hidden,
        intermediate_size=shape.vision_intermediate,
        num_hidden_layers=shape.vision_layers,
        num_attention_heads=shape.vision_heads,
        image_size=IMAGE_SIZE,
        initializer_range=spread,
    )
    text = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads // 2,
        head_dim=32,
        max_position_embeddings=4096,
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
        initializer_range=spread,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return SailVl2Config(
        vision_config=vision,
        text_config=text,
        image_token_id=tokenizer.convert_tokens_to_ids(IMAGE_TOKEN),
        initializer_range=spread,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
