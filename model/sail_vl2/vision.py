"""The vision tower: an AIMv2-style transformer over the patches of one image of fixed size.

Parameter names are those of the released SAIL-VL2 checkpoints.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
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
        self.patchifier = Patchifier(config)
        self.pos_embed = nn.Parameter(torch.zeros(1, config.grid**2, config.hidden_size))

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Embedded patches [images, patches, width]."""
        return self.patchifier(pixel_values) + self.pos_embed


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

    def forward(self, patches: Tensor) -> Tensor:
        """Attended patches, of the same shape."""
        images, count, width = patches.shape
        query, key, value = self.qkv(patches).view(images, count, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(str(self.config._attn_implementation), sdpa_attention_forward)
        attended, _ = attend(self, query, key, value, None, scaling=self.scaling, is_causal=False)
        return self.proj(attended.reshape(images, count, width))


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

    def forward(self, patches: Tensor) -> Tensor:
        """Patches of the same shape."""
        patches = patches + self.attn(self.norm_1(patches))
        return patches + self.mlp(self.norm_2(patches))


class Trunk(nn.Module):
    """All layers and the norm after them."""

    def __init__(self, config: SailVl2VisionConfig) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(VisionBlock(config) for _ in range(config.num_hidden_layers))
        self.post_trunk_norm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)

    def forward(self, patches: Tensor) -> Tensor:
        """Patches of the same shape."""
        for block in self.blocks:
            patches = block(patches)
        return self.post_trunk_norm(patches)


class SailVl2VisionModel(PreTrainedModel):
    """The tower: pixels [images, 3, size, size] to features [images, patches, width]."""

    config: SailVl2VisionConfig
    config_class = SailVl2VisionConfig
    main_input_name = "pixel_values"
    supports_gradient_checkpointing = True
    _no_split_modules = ["VisionBlock"]  # noqa: RUF012
    _supports_sdpa = True
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

    def forward(self, pixel_values: Tensor, **_: Any) -> Tensor:
        """Features of each patch, row by row."""
        return self.trunk(self.preprocessor(pixel_values))
