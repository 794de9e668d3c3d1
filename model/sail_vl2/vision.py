"""The vision tower: an AIMv2-style transformer over the patches of images of fixed or of native size.

Images of fixed size are a batch, an image a row. Images of native size are a pack: their patches lie end to end in
one row, and no image sees another. Parameter names are those of the released SAIL-VL2 checkpoints.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from model.sail_vl2.configuration import SailVl2VisionConfig


def pixel_shuffle(features: Tensor, downsample: int = 2) -> Tensor:
    """Neighbouring patches merged into the channels: [images, h, w, c] to [images, h/d, w/d, c·d·d].

    The channels of the d x d neighbours follow each other row by row: (0, 0), (0, 1), (1, 0), (1, 1).

    Source: InternVL's `pixel_shuffle` (ps_version v2), whose two reshapes come to the same order.
    """
    images, height, width, channels = features.shape
    blocks = features.view(images, height // downsample, downsample, width // downsample, downsample, channels)
    blocks = blocks.permute(0, 1, 3, 2, 4, 5)
    return blocks.reshape(images, height // downsample, width // downsample, channels * downsample**2)


Grid = tuple[int, int]
"""Patches of an image from top to bottom, and from left to right."""


def patches_of(pixel_values: Tensor, grids: Sequence[Grid]) -> list[int]:
    """Patches of each image.

    Raises:
        ValueError: the grids are not those of the pixels.
    """
    patches = [height * width for height, width in grids]
    if sum(patches) != len(pixel_values):
        raise ValueError(f"the grids of {len(patches)} images hold {sum(patches)} patches, not {len(pixel_values)}")
    return patches


def interpolated(table: Tensor, side: int, grid: Grid) -> Tensor:
    """Positions [height * width, width of the tower] of a grid from a table [side * side, width of the tower].

    Bicubic, the corners of both grids aligned as areas; a grid of the table's own size gets the table itself.
    """
    if grid == (side, side):
        return table
    square = table.view(1, side, side, -1).permute(0, 3, 1, 2)
    resized = F.interpolate(square.float(), size=grid, mode="bicubic", align_corners=False, antialias=True)
    return resized.flatten(2)[0].T.to(table.dtype)


class Patchifier(nn.Module):
    """Pixels [images, 3, height, width] to patches [images, patches, width of the tower], normed."""

    def __init__(self, config: SailVl2VisionConfig) -> None:
        super().__init__()
        self.proj = nn.Conv2d(config.num_channels, config.hidden_size, config.patch_size, stride=config.patch_size)
        self.norm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Patches, row by row."""
        return self.norm(self.proj(pixel_values).flatten(2).transpose(1, 2))


class Preprocessor(nn.Module):
    """Patches with learned positions added."""

    def __init__(self, config: SailVl2VisionConfig) -> None:
        super().__init__()
        self.side = config.grid
        self.patchifier = Patchifier(config)
        self.pos_embed = nn.Parameter(torch.zeros(1, config.grid**2, config.hidden_size))

    def forward(self, pixel_values: Tensor, grids: Sequence[Grid] | None = None) -> Tensor:
        """Embedded patches [images, patches, width]; with grids [1, patches, width], from pixels a patch a row."""
        if grids is None:
            return self.patchifier(pixel_values) + self.pos_embed
        patches = self.patchifier(pixel_values).transpose(0, 1)
        return patches + torch.cat([interpolated(self.pos_embed[0], self.side, grid) for grid in grids])


def eager_attention(
    module: nn.Module,  # noqa: ARG001
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,  # noqa: ARG001
    scaling: float,
    **_: Any,
) -> tuple[Tensor, Tensor]:
    """Attention step by step, as transformers' interface has it: [images, patches, heads, head dim] and weights."""
    weights = (query @ key.transpose(2, 3) * scaling).softmax(dim=-1, dtype=torch.float32).to(query.dtype)
    return (weights @ value).transpose(1, 2), weights


class VisionAttention(nn.Module):
    """Full attention among the patches of one image, with one projection for queries, keys and values."""

    is_causal = False

    def __init__(self, config: SailVl2VisionConfig) -> None:
        super().__init__()
        self.config = config
        self.heads = config.num_attention_heads
        self.scaling = (config.hidden_size // self.heads) ** -0.5
        self.qkv = nn.Linear(config.hidden_size, 3 * config.hidden_size, bias=False)
        self.proj = nn.Linear(config.hidden_size, config.hidden_size, bias=False)

    def forward(self, patches: Tensor, lengths: Sequence[int] | None = None) -> Tensor:
        """Attended patches, of the same shape; `lengths` are those of the images in a pack."""
        images, count, width = patches.shape
        query, key, value = self.qkv(patches).view(images, count, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        if lengths is None:
            attended = self._attend(query, key, value)
        else:
            rows = zip(*(states.split(lengths, dim=2) for states in (query, key, value)), strict=True)
            attended = torch.cat([self._attend(*row) for row in rows], dim=1)
        return self.proj(attended.reshape(images, count, width))

    def _attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(str(self.config._attn_implementation), eager_attention)
        return attend(self, query, key, value, None, scaling=self.scaling, is_causal=False)[0]


class VisionMlp(nn.Module):
    """SwiGLU: fc2(silu(fc1 x) · fc3 x)."""

    def __init__(self, config: SailVl2VisionConfig) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.fc2 = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)
        self.fc3 = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)

    def forward(self, patches: Tensor) -> Tensor:
        """Patches of the same shape."""
        return self.fc2(F.silu(self.fc1(patches)) * self.fc3(patches))


class VisionBlock(GradientCheckpointingLayer):
    """One pre-norm layer of the tower."""

    def __init__(self, config: SailVl2VisionConfig) -> None:
        super().__init__()
        self.norm_1 = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.attn = VisionAttention(config)
        self.norm_2 = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.mlp = VisionMlp(config)

    def forward(self, patches: Tensor, lengths: Sequence[int] | None = None) -> Tensor:
        """Patches of the same shape."""
        patches = patches + self.attn(self.norm_1(patches), lengths)
        return patches + self.mlp(self.norm_2(patches))


class Trunk(nn.Module):
    """All layers and the norm after them."""

    def __init__(self, config: SailVl2VisionConfig) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(VisionBlock(config) for _ in range(config.num_hidden_layers))
        self.post_trunk_norm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)

    def forward(self, patches: Tensor, lengths: Sequence[int] | None = None, layer: int = -1) -> Tensor:
        """Patches of the same shape: normed after the last layer, or as layer `layer` gives them.

        Source: AIMv2's `modeling_aimv2.py`, whose hidden states are the layers' outputs before the last norm.
        """
        used = self.blocks if layer == -1 else self.blocks[: range(len(self.blocks))[layer] + 1]
        for block in used:
            patches = block(patches, lengths)
        return self.post_trunk_norm(patches) if layer == -1 else patches


class SailVl2VisionModel(PreTrainedModel):
    """The tower: pixels [images, 3, size, size] to features [images, patches, width].

    Of native size, pixels are [patches, 3, patch size, patch size], image after image, row by row, and `grids` says
    how they belong together; features are [1, patches, width].
    """

    config: SailVl2VisionConfig
    config_class = SailVl2VisionConfig
    main_input_name = "pixel_values"
    supports_gradient_checkpointing = True
    _no_split_modules = ["VisionBlock"]  # noqa: RUF012
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_attention_backend = True

    def __init__(self, config: SailVl2VisionConfig) -> None:
        super().__init__(config)
        self.preprocessor = Preprocessor(config)
        self.trunk = Trunk(config)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, Preprocessor):
            nn.init.normal_(module.pos_embed, std=self.config.initializer_range)

    def forward(
        self, pixel_values: Tensor, grids: Sequence[Grid] | None = None, select_layer: int = -1, **_: Any
    ) -> Tensor:
        """Features of each patch, row by row.

        Raises:
            ValueError: the grids are not those of the pixels.
        """
        lengths = None if grids is None else patches_of(pixel_values, grids)
        return self.trunk(self.preprocessor(pixel_values, grids), lengths, select_layer)
