"""The vision tower and the adapter of vLLM's own layers, spread over its tensor-parallel ranks.

Attention heads and the widths of the MLPs are split, so that a layer sums over the ranks twice; patches, positions
and norms are on every rank. Where the heads do not divide by the ranks, each rank has the whole tower. The modules
have the learner's names, but for `fc1` and `fc3`, which lie in one: `fc13`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from vllm.distributed import get_tensor_model_parallel_world_size
from vllm.model_executor.layers.activation import SiluAndMul
from vllm.model_executor.layers.attention import MMEncoderAttention
from vllm.model_executor.layers.layernorm import RMSNorm
from vllm.model_executor.layers.linear import (
    ColumnParallelLinear,
    MergedColumnParallelLinear,
    QKVParallelLinear,
    RowParallelLinear,
)
from vllm.model_executor.models.utils import AutoWeightsLoader, WeightsMapper

from model.sail_vl2.configuration import SailVl2Config, SailVl2VisionConfig
from model.sail_vl2.vision import Grid, Preprocessor

PACKED = {"fc13": ["fc1", "fc3"], "qkv": ["qkv"]}
"""Which of the learner's modules lie in one of the tower's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Borders:
    """Where the images of a pack begin and end, as the attention kernel at hand wants to be told."""

    cu_seqlens: Tensor
    max_seqlen: Tensor
    sequence_lengths: Tensor | None


class Attention(nn.Module):
    """Full attention among the patches of one image."""

    def __init__(self, config: SailVl2VisionConfig, *, whole: bool, prefix: str) -> None:
        super().__init__()
        width, heads = config.hidden_size, config.num_attention_heads
        self.qkv = QKVParallelLinear(
            width, width // heads, heads, bias=False, prefix=f"{prefix}.qkv", return_bias=False, disable_tp=whole
        )
        self.proj = RowParallelLinear(
            width, width, bias=False, prefix=f"{prefix}.proj", return_bias=False, disable_tp=whole
        )
        self.attn = MMEncoderAttention(self.qkv.num_heads, width // heads, prefix=f"{prefix}.attn")

    def forward(self, patches: Tensor, borders: Borders | None) -> Tensor:
        """Attended patches, of the same shape."""
        query, key, value = self.qkv(patches).chunk(3, dim=-1)
        if borders is None:
            return self.proj(self.attn(query, key, value))
        attended = self.attn(query, key, value, borders.cu_seqlens, borders.max_seqlen, borders.sequence_lengths)
        return self.proj(attended)


class Mlp(nn.Module):
    """SwiGLU: fc2(silu(fc1 x) · fc3 x)."""

    def __init__(self, config: SailVl2VisionConfig, *, whole: bool, prefix: str) -> None:
        super().__init__()
        width, inner = config.hidden_size, config.intermediate_size
        self.fc13 = MergedColumnParallelLinear(
            width, [inner, inner], bias=False, prefix=f"{prefix}.fc13", return_bias=False, disable_tp=whole
        )
        self.fc2 = RowParallelLinear(
            inner, width, bias=False, prefix=f"{prefix}.fc2", return_bias=False, disable_tp=whole
        )
        self.act = SiluAndMul()

    def forward(self, patches: Tensor) -> Tensor:
        """Patches of the same shape."""
        return self.fc2(self.act(self.fc13(patches)))


class Block(nn.Module):
    """One pre-norm layer of the tower."""

    def __init__(self, config: SailVl2VisionConfig, *, whole: bool, prefix: str) -> None:
        super().__init__()
        self.norm_1 = RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.attn = Attention(config, whole=whole, prefix=f"{prefix}.attn")
        self.norm_2 = RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.mlp = Mlp(config, whole=whole, prefix=f"{prefix}.mlp")

    def forward(self, patches: Tensor, borders: Borders | None) -> Tensor:
        """Patches of the same shape."""
        patches = patches + self.attn(self.norm_1(patches), borders)
        return patches + self.mlp(self.norm_2(patches))


class Trunk(nn.Module):
    """All layers and the norm after them."""

    def __init__(self, config: SailVl2VisionConfig, *, prefix: str) -> None:
        super().__init__()
        whole = config.num_attention_heads % get_tensor_model_parallel_world_size() != 0
        self.blocks = nn.ModuleList(
            Block(config, whole=whole, prefix=f"{prefix}.blocks.{number}") for number in range(config.num_hidden_layers)
        )
        self.post_trunk_norm = RMSNorm(config.hidden_size, eps=config.rms_norm_eps)

    def forward(self, patches: Tensor, borders: Borders | None, layer: int) -> Tensor:
        """Patches of the same shape: normed after the last layer, or as layer `layer` gives them."""
        used = self.blocks if layer == -1 else self.blocks[: range(len(self.blocks))[layer] + 1]
        for block in used:
            patches = block(patches, borders)
        return self.post_trunk_norm(patches) if layer == -1 else patches


class VisionTower(nn.Module):
    """The tower; it takes and gives what the learner's `SailVl2VisionModel` does."""

    def __init__(self, config: SailVl2VisionConfig, *, prefix: str) -> None:
        super().__init__()
        self.width = config.hidden_size
        self.preprocessor = Preprocessor(config)
        self.trunk = Trunk(config, prefix=f"{prefix}.trunk")

    def forward(self, pixel_values: Tensor, grids: Sequence[Grid] | None = None, select_layer: int = -1) -> Tensor:
        """Features of each patch, row by row."""
        patches = self.preprocessor(pixel_values, grids)
        borders = None if grids is None else self._borders([height * width for height, width in grids], patches.device)
        return self.trunk(patches, borders, select_layer)

    def _borders(self, lengths: Sequence[int], device: torch.device) -> Borders:
        attention: Attention = self.trunk.blocks[0].attn  # pyright: ignore[reportAssignmentType, reportAttributeAccessIssue]
        backend, ends = attention.attn.attn_backend, np.cumsum([0, *lengths], dtype=np.int32)
        ranks = self.width // (attention.attn.num_heads * attention.attn.head_size)
        return Borders(
            cu_seqlens=MMEncoderAttention.maybe_recompute_cu_seqlens(backend, ends, self.width, ranks, device),
            max_seqlen=torch.tensor(MMEncoderAttention.compute_max_seqlen(backend, ends), dtype=torch.int32),
            sequence_lengths=MMEncoderAttention.maybe_compute_seq_lens(backend, ends, device),
        )

    def load_weights(self, weights: Iterable[tuple[str, Tensor]]) -> set[str]:
        """Take weights by the learner's names; the names taken come back."""
        mapper = WeightsMapper(orig_to_new_stacked={".fc1.": (".fc13.", 0), ".fc3.": (".fc13.", 1)})
        return AutoWeightsLoader(self).load_weights(weights, mapper=mapper)


def parallel_adapter(config: SailVl2Config, *, prefix: str) -> nn.Sequential:
    """The two-layer MLP from merged patches to the language model's width."""
    merged = config.vision_config.hidden_size * config.downsample**2
    hidden = config.text_config.hidden_size
    return nn.Sequential(
        nn.LayerNorm(merged),
        ColumnParallelLinear(merged, hidden, prefix=f"{prefix}.1", return_bias=False),
        nn.GELU(),
        RowParallelLinear(hidden, hidden, prefix=f"{prefix}.3", return_bias=False),
    )
