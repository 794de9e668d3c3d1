"""Shapes of a SAIL-VL2 policy: vision tower, adapter, language model."""

from __future__ import annotations

from typing import Any, ClassVar

from transformers import AutoConfig, PreTrainedConfig, Qwen3Config, Qwen3MoeConfig

TEXT_CONFIGS: dict[str, type[PreTrainedConfig]] = {"qwen3": Qwen3Config, "qwen3_moe": Qwen3MoeConfig}


class SailVl2VisionConfig(PreTrainedConfig):
    """Shape of the vision tower. The defaults are SAIL-ViT-Huge: 448x448 pixels, patches of 14, 24 layers.

    With `native_resolution` (the report's AnyRes) an image keeps its aspect ratio and may have up to `max_patches`
    patches; the table of learned positions is still that of `image_size`, and is interpolated to the image's grid.

    Source: AIMv2 (Fini et al., arXiv 2411.14402), as taken over by SAIL-VL2 (arXiv 2509.14033, section 2.1); the
    numbers are those of `vision_config` in the released SAIL-VL2-2B. The weights of AnyRes are not released:
    `max_patches` is the report's 1792x1792 pixels, and its text says positions are interpolated, a figure "2D RoPE".
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
    native_resolution: bool = False
    max_patches: int = 16384

    @property
    def grid(self) -> int:
        """Patches along one side of an image of `image_size`."""
        return self.image_size // self.patch_size


class SailVl2Config(PreTrainedConfig):
    """Shape of a whole policy; `image_token_id` marks the places that image features are put into.

    `select_layer` says which layer's features the adapter sees: -1 is the tower's output, normed; any other number
    indexes the outputs of its layers, as they are, and the layers above it take no part.

    >>> SailVl2Config().image_tokens
    256
    """

    model_type = "sail_vl2"
    sub_configs: ClassVar[dict[str, Any]] = {"vision_config": SailVl2VisionConfig, "text_config": AutoConfig}

    vision_config: SailVl2VisionConfig = None  # pyright: ignore[reportAssignmentType]
    text_config: Qwen3Config | Qwen3MoeConfig = None  # pyright: ignore[reportAssignmentType]
    image_token_id: int = 151671
    downsample: int = 2
    select_layer: int = -1
    initializer_range: float = 0.02
    tie_word_embeddings: bool = True
    eos_token_id: int | None = None
    pad_token_id: int | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        """Turn parts that are missing, or came as JSON, into configurations."""
        if not isinstance(self.vision_config, SailVl2VisionConfig):
            self.vision_config = SailVl2VisionConfig(**(self.vision_config or {}))
        if not isinstance(self.text_config, (Qwen3Config, Qwen3MoeConfig)):
            self.text_config = _text_config(self.text_config or {})
        layers = self.vision_config.num_hidden_layers
        if not -layers <= self.select_layer < layers:
            raise ValueError(f"select_layer is {self.select_layer}, but the vision tower has {layers} layers")
        super().__post_init__(**kwargs)

    @property
    def image_tokens(self) -> int:
        """Visual tokens of one image of the tower's size after the pixel shuffle."""
        return (self.vision_config.grid // self.downsample) ** 2


def _text_config(values: dict[str, Any]) -> Any:
    kind = values.get("model_type", Qwen3Config.model_type)
    if kind not in TEXT_CONFIGS:
        raise ValueError(f"the language model is {kind}, expected one of {', '.join(TEXT_CONFIGS)}")
    return TEXT_CONFIGS[kind](**values)
