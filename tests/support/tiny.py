"""Tiny policies with random weights, as model folders: plain Qwen3 and Qwen3-MoE."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM, Qwen3MoeConfig, Qwen3MoeForCausalLM

SIZE = {
    "vocab_size": 512,
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "max_position_embeddings": 1024,
    "initializer_range": 0.2,
    "bos_token_id": None,
    "eos_token_id": 2,
    "pad_token_id": 0,
}


def save_qwen3(path: Path, *, seed: int = 0, tied: bool = True) -> Path:
    """A dense Qwen3 of about half a million parameters; returns its folder."""
    torch.manual_seed(seed)
    return _save(Qwen3ForCausalLM(Qwen3Config(**SIZE, tie_word_embeddings=tied)), path)


def save_qwen3_moe(path: Path, *, seed: int = 0) -> Path:
    """A Qwen3 mixture of 4 experts, 2 active, with its output layer untied; returns its folder."""
    torch.manual_seed(seed)
    experts = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 96, "norm_topk_prob": True}
    return _save(Qwen3MoeForCausalLM(Qwen3MoeConfig(**SIZE, **experts, tie_word_embeddings=False)), path)


def _save(model: torch.nn.Module, path: Path) -> Path:
    vocabulary = {"<pad>": 0, "<unk>": 1, "<eos>": 2} | {f"w{index}": index for index in range(3, SIZE["vocab_size"])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>", eos_token="<eos>", pad_token="<pad>")
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path
