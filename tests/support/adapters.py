"""LoRA adapters in the layout that PEFT writes, with random weights."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor


def write_adapter(
    folder: Path, base: Path, modules: Sequence[str] = (), *, rank: int = 4, seed: int = 0, **settings: Any
) -> Path:
    """An adapter of alpha 2 · rank over layers of a policy: those named, or all that are linear."""
    weights = load_file(base / "model.safetensors")
    generator, tensors = torch.Generator().manual_seed(seed), {}
    for module in (targets := list(modules) or linear(weights)):
        outputs, inputs = weights[f"{module}.weight"].shape
        tensors[f"base_model.model.{module}.lora_A.weight"] = 0.2 * torch.randn(rank, inputs, generator=generator)
        tensors[f"base_model.model.{module}.lora_B.weight"] = 0.2 * torch.randn(outputs, rank, generator=generator)
    folder.mkdir(parents=True)
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": rank, "lora_alpha": 2 * rank, "target_modules": targets}
    config["base_model_name_or_path"] = str(base)
    (folder / "adapter_config.json").write_text(json.dumps(config | settings))
    return folder


def linear(weights: dict[str, Tensor]) -> list[str]:
    """The linear layers that adapters change, by their weights: no embedding, no head, no norm."""
    names = [name.removesuffix(".weight") for name, tensor in weights.items() if tensor.dim() == 2]
    return [name for name in names if name.rpartition(".")[2] not in ("embed_tokens", "lm_head", "pos_embed")]


def merge(weights: dict[str, Tensor], adapter: Path) -> dict[str, Tensor]:
    """The weights with the adapter's products added: W + alpha / rank · B A."""
    config = json.loads((adapter / "adapter_config.json").read_text())
    tensors, merged = load_file(adapter / "adapter_model.safetensors"), dict(weights)
    for name, low in tensors.items():
        if name.endswith(".lora_A.weight"):
            module = name.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
            high = tensors[name.replace("lora_A", "lora_B")]
            merged[f"{module}.weight"] = merged[f"{module}.weight"] + config["lora_alpha"] / config["r"] * high @ low
    return merged
