"""Tiny text policies with random weights and a tokenizer with a chat template, as model folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import Qwen3Config, Qwen3ForCausalLM, Qwen3MoeConfig, Qwen3MoeForCausalLM

from model.tokens import train_tokenizer

# What the template in Qwen3's folders does with texts, written down anew: only the last answer has its reasoning.
QWEN3_TEMPLATE = """\
{%- for message in messages -%}
{{- '<|im_start|>' + message.role + '\\n' -}}
{%- if message.role == 'assistant' and loop.last -%}
{{- '<think>\\n' + (message.reasoning_content or '').strip('\\n') + '\\n</think>\\n\\n' -}}
{%- endif -%}
{{- message.content + '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant\\n' -}}
{%- if enable_thinking is defined and enable_thinking is false -%}
{{- '<think>\\n\\n</think>\\n\\n' -}}
{%- endif -%}
{%- endif -%}
"""


def save_dense(
    path: Path, *, seed: int = 0, chat_template: str | None = None, heads: int = 4, key_value_heads: int = 2
) -> Path:
    """A dense Qwen3 of about 0.2M parameters, embeddings tied; returns its folder."""
    torch.manual_seed(seed)
    shape: dict[str, Any] = _shape() | {"num_attention_heads": heads, "num_key_value_heads": key_value_heads}
    return _save(Qwen3ForCausalLM(Qwen3Config(**shape, tie_word_embeddings=True)), path, chat_template)


def save_moe(path: Path, *, seed: int = 0) -> Path:
    """A Qwen3 mixture of 4 experts, 2 active, embeddings not tied; returns its folder."""
    torch.manual_seed(seed)
    experts = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 64, "norm_topk_prob": True}
    return _save(Qwen3MoeForCausalLM(Qwen3MoeConfig(**_shape(), **experts, tie_word_embeddings=False)), path, None)


def _shape() -> dict[str, Any]:
    return {
        "vocab_size": 640,
        "hidden_size": 64,
        "intermediate_size": 160,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "max_position_embeddings": 1024,
        "initializer_range": 0.1,
        "bos_token_id": None,
        "eos_token_id": 2,
        "pad_token_id": 0,
    }


def _save(policy: Any, path: Path, chat_template: str | None) -> Path:
    policy.save_pretrained(path)
    tokenizer = train_tokenizer(0)
    if chat_template is not None:
        tokenizer.chat_template = chat_template
    tokenizer.save_pretrained(path)
    return path
