"""The policy: vision tower, adapter and Qwen3, dense or of experts; image features written over the placeholders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import GenerationMixin, PreTrainedModel, Qwen3ForCausalLM, Qwen3MoeForCausalLM
from transformers.modeling_outputs import BaseModelOutputWithPooling, CausalLMOutputWithPast

from model.sail_vl2.configuration import SailVl2Config
from model.sail_vl2.distinct import distinct_images
from model.sail_vl2.vision import Grid, SailVl2VisionModel, pixel_shuffle

NEVER = -1e4
DECODERS: dict[str, type[PreTrainedModel]] = {"qwen3": Qwen3ForCausalLM, "qwen3_moe": Qwen3MoeForCausalLM}


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


def visual_tokens(
    vision_model: nn.Module,
    mlp1: nn.Module,
    config: SailVl2Config,
    pixel_values: Tensor,
    grids: Sequence[Grid] | None = None,
) -> list[Tensor]:
    """Visual tokens [tokens, hidden] of each image: tower, pixel shuffle, adapter.

    The adapter runs once over all images. Pixels and grids are those of `SailVl2VisionModel`.
    """
    patches = vision_model(pixel_values, grids, config.select_layer)
    if grids is None:
        side = config.vision_config.grid
        merged = pixel_shuffle(patches.unflatten(1, (side, side)), config.downsample)
        return list(mlp1(merged.flatten(1, 2)))
    images = [one.view(1, *grid, -1) for one, grid in zip(_split(patches[0], grids), grids, strict=True)]
    merged = [pixel_shuffle(image, config.downsample)[0].flatten(0, 1) for image in images]
    return list(mlp1(torch.cat(merged)).split([len(one) for one in merged]))


def _split(patches: Tensor, grids: Sequence[Grid]) -> tuple[Tensor, ...]:
    return patches.split([height * width for height, width in grids])


class SailVl2ForConditionalGeneration(PreTrainedModel, GenerationMixin):
    """A SAIL-VL2 policy. Parameter names are those of the released checkpoints.

    A batch without images still runs the tower, on one black image whose features are multiplied by zero: under
    ZeRO-3 every rank has to take part in gathering the tower's weights, whatever its micro-batch holds.
    """

    config: SailVl2Config
    config_class = SailVl2Config
    base_model_prefix = ""
    supports_gradient_checkpointing = True
    _no_split_modules = ["VisionBlock", "Qwen3DecoderLayer", "Qwen3MoeDecoderLayer"]  # noqa: RUF012
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
        self.language_model: Any = DECODERS[config.text_config.model_type]._from_config(config.text_config)
        self.post_init()
        if config.select_layer != -1:
            self._freeze_unused()

    def _freeze_unused(self) -> None:
        """Stop the gradients of what lies above the selected layer: it takes no part, and would only decay."""
        trunk = self.vision_model.trunk
        above = range(len(trunk.blocks))[self.config.select_layer] + 1
        for part in (*trunk.blocks[above:], trunk.post_trunk_norm):
            part.requires_grad_(False)

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

    def get_image_features(
        self, pixel_values: Tensor, image_grids: Tensor | None = None, **_: Any
    ) -> BaseModelOutputWithPooling:
        """An output whose `pooler_output` is [images, tokens, hidden]; of native size, a list of [tokens, hidden]."""
        features: Any = self._see(pixel_values, image_grids)
        if image_grids is None:
            features = torch.stack(features)
        return BaseModelOutputWithPooling(pooler_output=features)

    def _see(self, pixel_values: Tensor, image_grids: Tensor | None) -> list[Tensor]:
        grids = None if image_grids is None else [(height, width) for height, width in image_grids.tolist()]
        return visual_tokens(self.vision_model, self.mlp1, self.config, pixel_values, grids)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        image_grids: Tensor | None = None,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Logits [batch, tokens, vocabulary]; the images fill the placeholders in order.

        `pixel_values` are [images, 3, size, size], or of native size [patches, 3, patch size, patch size] with
        `image_grids` [images, 2].

        Raises:
            ValueError: the images do not fit the placeholders in `input_ids`.
        """
        embeddings = self.embed(input_ids, pixel_values, image_grids)
        output = self.language_model(
            inputs_embeds=embeddings, attention_mask=attention_mask, position_ids=position_ids, **kwargs
        )
        silence_image_token(output.logits, self.config)
        return output

    def prepare_inputs_for_generation(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Inputs of one step of `generate`: the images go in with the prompt only."""
        seen = {name: kwargs.pop(name, None) for name in ("pixel_values", "image_grids")}
        inputs = super().prepare_inputs_for_generation(*args, **kwargs)  # pyright: ignore[reportAttributeAccessIssue]
        first = kwargs.get("is_first_iteration") or not kwargs.get("use_cache", True)
        return {**inputs, **(seen if first else dict.fromkeys(seen))}

    def embed(self, input_ids: Tensor, pixel_values: Tensor | None, image_grids: Tensor | None = None) -> Tensor:
        """Embeddings [batch, tokens, hidden], image features written over the placeholders; as `forward` takes them.

        An image that occurs several times goes through the tower once; its gradients add up there.
        """
        embeddings = self.get_input_embeddings()(input_ids)
        places = input_ids == self.config.image_token_id
        if pixel_values is None:
            check_places(places, [])
            return embeddings + self._nothing_seen(embeddings)
        distinct = distinct_images(pixel_values, image_grids)
        seen = self._see(distinct.pixel_values.to(embeddings.dtype), distinct.image_grids)
        features = [seen[number] for number in distinct.order]
        check_places(places, features)
        return embeddings.masked_scatter(places.unsqueeze(-1), torch.cat(features))

    def _nothing_seen(self, embeddings: Tensor) -> Tensor | float:
        """Zero, with a zero gradient for every weight of tower and adapter. Not needed where nothing is trained.

        A learner's forward passes without gradient need it, too: its ranks gather weights together.
        """
        if not (self.training or torch.is_grad_enabled()):
            return 0.0
        vision = self.config.vision_config
        black = embeddings.new_zeros(1, vision.num_channels, vision.image_size, vision.image_size)
        return self._see(black, None)[0].sum() * 0.0


def check_places(places: Tensor, features: Sequence[Tensor]) -> None:
    """Raise unless there are exactly as many placeholders as image features.

    Raises:
        ValueError: more or fewer.
    """
    found, counts = int(places.sum()), [len(one) for one in features]
    if found != sum(counts):
        alike = f"{len(counts)} x {counts[0]} = " if len(set(counts)) == 1 else ""
        raise ValueError(
            f"the token ids have {found} image placeholders, but {len(counts)} images make {alike}{sum(counts)} image "
            "features: ids and images must come from the same rendering"
        )
