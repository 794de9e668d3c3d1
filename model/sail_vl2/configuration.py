"""Shapes of a SAIL-VL2 policy: vision tower, adapter, language model."""

from __future__ import annotations

from typing import Any

from transformers import PreTrainedConfig, Qwen3Config


class SailVl2VisionConfig(PreTrainedConfig):
    """Shape of the vision tower. The defaults are SAIL-ViT-Huge: 448x448 pixels, patches of 14, 24 layers.

    Source: AIMv2 (Fini et al., arXiv 2411.14402), as taken over by SAIL-VL2 (arXiv 2509.14033, section 2.1).
    """

    model_type = "sail_vl2_vision"
    base_config_key = "vision_config"

    hidden_size: int = 1536
    intermediate_size: int = 4096
    num_hidden_layers: int = 24
    num_attention_heads: int = 12
    num_channels: int = 3
    image_size: int = 448
    patch_size: int = 14
    rms_norm_eps: float = 1e-5
    initializer_range: float = 0.02

    @property
    def grid(self) -> int:
        """Patches along one side of an image."""
        return self.image_size // self.patch_size


class SailVl2Config(PreTrainedConfig):
    """Shape of a whole policy; `image_token_id` marks the places that image features are put into.

    >>> SailVl2Config().image_tokens
    256
    """

    model_type = "sail_vl2"
    sub_configs = {"vision_config": SailVl2VisionConfig, "text_config": Qwen3Config}  # noqa: RUF012

    vision_config: SailVl2VisionConfig = None  # pyright: ignore[reportAssignmentType]
    text_config: Qwen3Config = None  # pyright: ignore[reportAssignmentType]
    image_token_id: int = 151671
    downsample: int = 2
    initializer_range: float = 0.02
    tie_word_embeddings: bool = True
    eos_token_id: int | None = None
    pad_token_id: int | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        """Turn parts that are missing, or came as JSON, into configurations."""
        if not isinstance(self.vision_config, SailVl2VisionConfig):
            self.vision_config = SailVl2VisionConfig(**(self.vision_config or {}))
        if not isinstance(self.text_config, Qwen3Config):
            self.text_config = Qwen3Config(**(self.text_config or {}))
        super().__post_init__(**kwargs)

    @property
    def image_tokens(self) -> int:
        """Visual tokens of one image after the pixel shuffle."""
        return (self.vision_config.grid // self.downsample) ** 2
