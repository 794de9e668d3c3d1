"""Tiny policies of other vision-language families with random weights, a tokenizer and image settings, as folders.

No folder of these families is at hand: configurations are made here, and chat templates are written down anew after
what the families' own templates do with texts and images.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tokenizers import AddedToken
from transformers import (
    InternVLConfig,
    InternVLForConditionalGeneration,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)

from halyard.cluster.types import TrainSequence
from model.load import load_processor
from model.render import ChatMessage
from model.tokens import train_tokenizer
from sft.sequences import Conversation, to_sequences

_TURNS = """\
{%- for message in messages -%}
@SYSTEM@{{- '<|im_start|>' + message.role + '\\n' -}}
{%- if message.content is string -%}
{{- message.content -}}
{%- else -%}
{%- for part in message.content -%}
{{- part.text if part.type == 'text' else '@IMAGE@' -}}
{%- endfor -%}
{%- endif -%}
{{- '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}
"""
_HELPFUL = """\
{%- if loop.first and message.role != 'system' -%}
{{- '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' -}}
{%- endif -%}
"""
_QWEN_IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"
_QWEN_MARKS = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")


def save_internvl(path: Path, *, experts: bool = False) -> Path:
    """An InternVL with a Qwen3 inside: images of 112 pixels, patches of 14, 16 visual tokens; returns its folder."""
    tokenizer = _tokenizer((), _template("<IMG_CONTEXT>\\n"))
    routed = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 64, "norm_topk_prob": True}
    decoder = {"model_type": "qwen3_moe", **routed} if experts else {"model_type": "qwen3"}
    config = InternVLConfig(
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": [112, 112],
            "patch_size": [14, 14],
            "attention_bias": True,
        },
        text_config=_text(tokenizer) | decoder,
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=16,
        tie_word_embeddings=True,
    )
    images = {
        "image_processor_type": "GotOcr2ImageProcessor",
        "size": {"height": 112, "width": 112},
        "crop_to_patches": True,
        "min_patches": 1,
        "max_patches": 6,
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
    }
    return _save(InternVLForConditionalGeneration, config, tokenizer, images, path)


def save_qwen3_vl(path: Path) -> Path:
    """A Qwen3-VL with features of two layers of its tower added to its first layers; returns its folder."""
    tokenizer = _tokenizer(_QWEN_MARKS, _template(_QWEN_IMAGE))
    config = Qwen3VLConfig(
        vision_config={
            "depth": 3,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "patch_size": 16,
            "out_hidden_size": 64,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0, 1],
            "initializer_range": 0.1,
        },
        text_config={**_text(tokenizer), "rope_parameters": _rope([6, 5, 5]) | {"mrope_interleaved": True}},
        **_qwen_ids(tokenizer),
        tie_word_embeddings=True,
    )
    return _save(Qwen3VLForConditionalGeneration, config, tokenizer, _qwen_images(16, 0.5), path)


def save_qwen2_5_vl(path: Path) -> Path:
    """A Qwen2.5-VL whose tower attends in windows in all layers but one; returns its folder."""
    tokenizer = _tokenizer(_QWEN_MARKS, _template(_QWEN_IMAGE, _HELPFUL), plain=("<think>", "</think>"))
    text = {key: value for key, value in _text(tokenizer).items() if key != "head_dim"}
    text |= {"num_attention_heads": 2, "num_key_value_heads": 1}
    config = Qwen2_5_VLConfig(
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "patch_size": 14,
            "out_hidden_size": 64,
            "window_size": 56,
            "fullatt_block_indexes": [1],
            "initializer_range": 0.1,
        },
        text_config={**text, "rope_parameters": _rope([4, 6, 6])},
        **_qwen_ids(tokenizer),
        tie_word_embeddings=False,
    )
    return _save(Qwen2_5_VLForConditionalGeneration, config, tokenizer, _qwen_images(14, None), path)


FAMILIES: dict[str, Callable[[Path], Path]] = {
    "internvl": save_internvl,
    "qwen3_vl": save_qwen3_vl,
    "qwen2_5_vl": save_qwen2_5_vl,
}


def save_text_inside(path: Path, kind: str) -> Path:
    """The configuration of an InternVL with another decoder inside, and no weights; returns its folder."""
    InternVLConfig(text_config={"model_type": kind}).save_pretrained(path)
    return path


def _template(image: str, system: str = "") -> str:
    return _TURNS.replace("@IMAGE@", image).replace("@SYSTEM@", system)


def _tokenizer(marks: tuple[str, ...], template: str, plain: tuple[str, ...] = ()) -> Any:
    """The tiny policies' tokenizer with marks added; those named `plain` are no tokens of it."""
    tokenizer: Any = train_tokenizer(0)
    if plain:
        state = json.loads(tokenizer.backend_tokenizer.to_str())
        state["added_tokens"] = [one for one in state["added_tokens"] if one["content"] not in plain]
        for number, text in enumerate(plain):
            state["model"]["vocab"][f"<unused {number}>"] = state["model"]["vocab"].pop(text)
        kept = [token for token in tokenizer.extra_special_tokens if token not in plain]
        tokenizer = type(tokenizer)(
            tokenizer_object=type(tokenizer.backend_tokenizer).from_str(json.dumps(state)),
            pad_token=tokenizer.pad_token,
            eos_token=tokenizer.eos_token,
            additional_special_tokens=kept,
            clean_up_tokenization_spaces=False,
        )
    tokenizer.add_tokens([AddedToken(mark, special=True) for mark in marks], special_tokens=True)
    tokenizer.chat_template = template
    return tokenizer


def _text(tokenizer: Any) -> dict[str, Any]:
    return {
        "vocab_size": 672,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "max_position_embeddings": 1024,
        "initializer_range": 0.1,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }


def _rope(sections: list[int]) -> dict[str, Any]:
    return {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": sections}


def _qwen_ids(tokenizer: Any) -> dict[str, Any]:
    start, end, image, video = tokenizer.convert_tokens_to_ids(list(_QWEN_MARKS))
    return {
        "vision_start_token_id": start,
        "vision_end_token_id": end,
        "image_token_id": image,
        "video_token_id": video,
    }


def _qwen_images(patch: int, middle: float | None) -> dict[str, Any]:
    """Image settings as in the families' folders, for images of 4 to 64 visual tokens."""
    side = 2 * patch
    settings: dict[str, Any] = {
        "image_processor_type": "Qwen2VLImageProcessorFast",
        "size": {"shortest_edge": 4 * side**2, "longest_edge": 64 * side**2},
        "patch_size": patch,
        "temporal_patch_size": 2,
        "merge_size": 2,
    }
    if middle is not None:
        settings |= {"image_mean": [middle] * 3, "image_std": [0.5] * 3}
    return settings


def _save(architecture: Any, config: Any, tokenizer: Any, images: dict[str, Any], path: Path) -> Path:
    torch.manual_seed(0)
    architecture(config).save_pretrained(path)
    tokenizer.save_pretrained(path)
    (path / "preprocessor_config.json").write_text(json.dumps(images))
    return path


def conversations(folder: Path) -> list[TrainSequence]:
    """Sequences of texts and of images of several sizes, weighted for supervised training."""
    renderer, random = load_processor(folder), np.random.default_rng(0)
    made = []
    for sizes, answer in (((), "five"), (((112, 112),), "red"), (((150, 100), (60, 200)), "two")):
        images = tuple(Image.fromarray(random.integers(0, 255, (*size, 3), dtype=np.uint8)) for size in sizes)
        chat = [ChatMessage("user", "what?", images), ChatMessage("assistant", answer, reasoning="so")]
        one = renderer.conversation(chat, thinking=True)
        made.append(
            Conversation(
                token_ids=one.token_ids,
                loss_mask=one.loss_mask,
                pixel_values=one.pixel_values,
                image_grids=one.image_grids,
            )
        )
    return to_sequences(made)
