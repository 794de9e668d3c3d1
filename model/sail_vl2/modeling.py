"""The policy: vision tower, adapter and Qwen3, image features written over the image placeholders."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import GenerationMixin, PreTrainedModel, Qwen3ForCausalLM
from transformers.modeling_outputs import BaseModelOutputWithPooling, CausalLMOutputWithPast

from model.sail_vl2.configuration import SailVl2Config
from model.sail_vl2.vision import SailVl2VisionModel, pixel_shuffle

NEVER = -1e4


def adapter(config: SailVl2Config) -> nn.Sequential:
    """The two-layer MLP from merged patches to the language model's width."""
    merged = config.vision_config.hidden_size * config.downsample**2
    hidden = config.text_config.hidden_size
    return nn.Sequential(nn.LayerNorm(merged), nn.Linear(merged, hidden), nn.GELU(), nn.Linear(hidden, hidden))


def silence_image_token(logits: Tensor, config: SailVl2Config) -> None:
    """Make sure that a policy never writes an image placeholder: its logit [..., vocabulary] is set, in place.

    A sampled placeholder would have no image behind it. The value is finite, so that an entropy stays a number;
    its probability is exactly 0. Learner and engine both do this, and so agree on all other probabilities.
    """
    logits[..., config.image_token_id] = NEVER


def visual_tokens(vision_model: nn.Module, mlp1: nn.Module, pixel_values: Tensor, downsample: int) -> Tensor:
    """Visual tokens [images, tokens, hidden] of images [images, 3, size, size]: tower, pixel shuffle, adapter."""
    patches = vision_model(pixel_values)
    side = int(patches.shape[1] ** 0.5)
    merged = pixel_shuffle(patches.unflatten(1, (side, side)), downsample)
    return mlp1(merged.flatten(1, 2))


class SailVl2ForConditionalGeneration(PreTrainedModel, GenerationMixin):
    """A SAIL-VL2 policy. Parameter names are those of the released checkpoints.

    A batch without images still runs the tower, on one black image whose features are multiplied by zero: under
    ZeRO-3 every rank has to take part in gathering the tower's weights, whatever its micro-batch holds.
    """

    config: SailVl2Config
    config_class = SailVl2Config
    base_model_prefix = ""
    supports_gradient_checkpointing = True
    _no_split_modules = ["VisionBlock", "Qwen3DecoderLayer"]  # noqa: RUF012
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_attention_backend = True
    _tied_weights_keys = {  # noqa: RUF012
        "language_model.lm_head.weight": "language_model.model.embed_tokens.weight",
    }

    def __init__(self, config: SailVl2Config) -> None:
        super().__init__(config)
        self.vision_model = SailVl2VisionModel._from_config(config.vision_config)
        self.mlp1 = adapter(config)
        self.language_model = Qwen3ForCausalLM._from_config(config.text_config)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """The token embedding."""
        return self.language_model.model.embed_tokens

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the token embedding."""
        self.language_model.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Module:
        """The output layer."""
        return self.language_model.lm_head

    def set_output_embeddings(self, new_embeddings: nn.Linear) -> None:
        """Replace the output layer."""
        self.language_model.lm_head = new_embeddings

    def get_decoder(self) -> nn.Module:
        """The decoder's layers, without the output layer."""
        return self.language_model.model

    def get_image_features(self, pixel_values: Tensor, **_: Any) -> BaseModelOutputWithPooling:
        """An output whose `pooler_output` is [images, tokens, hidden], for images [images, 3, size, size]."""
        return BaseModelOutputWithPooling(pooler_output=self._see(pixel_values))  # pyright: ignore[reportArgumentType]

    def _see(self, pixel_values: Tensor) -> Tensor:
        return visual_tokens(self.vision_model, self.mlp1, pixel_values, self.config.downsample)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Logits [batch, tokens, vocabulary]; `pixel_values` [images, 3, size, size] fill the placeholders in order.

        Raises:
            ValueError: the images do not fit the placeholders in `input_ids`.
        """
        embeddings = self._embed(input_ids, pixel_values)
        output = self.language_model(
            inputs_embeds=embeddings, attention_mask=attention_mask, position_ids=position_ids, **kwargs
        )
        silence_image_token(output.logits, self.config)
        return output

    def prepare_inputs_for_generation(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Inputs of one step of `generate`: the images go in with the prompt only."""
        pixel_values = kwargs.pop("pixel_values", None)
        inputs = super().prepare_inputs_for_generation(*args, **kwargs)  # pyright: ignore[reportAttributeAccessIssue]
        first = kwargs.get("is_first_iteration") or not kwargs.get("use_cache", True)
        return {**inputs, "pixel_values": pixel_values if first else None}

    def _embed(self, input_ids: Tensor, pixel_values: Tensor | None) -> Tensor:
        embeddings = self.get_input_embeddings()(input_ids)
        places = input_ids == self.config.image_token_id
        if pixel_values is None:
            _check_places(places, 0, self.config.image_tokens)
            return embeddings + self._nothing_seen(embeddings)
        _check_places(places, len(pixel_values), self.config.image_tokens)
        return embeddings.masked_scatter(places.unsqueeze(-1), self._see(pixel_values.to(embeddings.dtype)))

    def _nothing_seen(self, embeddings: Tensor) -> Tensor | float:
        """Zero, with a zero gradient for every weight of tower and adapter. Not needed where nothing is trained.

        A learner's forward passes without gradient need it, too: its ranks gather weights together.
        """
        if not (self.training or torch.is_grad_enabled()):
            return 0.0
        vision = self.config.vision_config
        black = embeddings.new_zeros(1, vision.num_channels, vision.image_size, vision.image_size)
        return self._see(black).sum() * 0.0


def _check_places(places: Tensor, images: int, tokens: int) -> None:
    """Raise unless there are exactly as many placeholders as image features.

    Raises:
        ValueError: more or fewer.
    """
    found = int(places.sum())
    if found != images * tokens:
        raise ValueError(
            f"the token ids have {found} image placeholders, but {images} images make {images} x {tokens} = "
            f"{images * tokens} image features: ids and images must come from the same rendering"
        )
