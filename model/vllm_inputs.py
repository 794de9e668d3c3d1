"""How vLLM takes prompts: token ids that stay as they are, and the pieces of images the tower sees.

vLLM's own way is to look for placeholders in the ids, to replace them, and, where it finds none, to turn ids into
text and back. Here the ids come in expanded: each image's place follows from how many visual tokens it makes.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL.Image import Image
from transformers import BatchFeature
from vllm.multimodal.inputs import MultiModalFieldConfig, MultiModalKwargsItems
from vllm.multimodal.parse import MultiModalDataItems
from vllm.multimodal.processing import (
    BaseDummyInputsBuilder,
    BaseMultiModalProcessor,
    BaseProcessingInfo,
    PromptReplacement,
    PromptUpdate,
)
from vllm.multimodal.processing.processor import MultiModalPromptUpdates, PlaceholderFeaturesInfo

from model.placeholders import pixels, starts, tokens
from model.sail_vl2.configuration import SailVl2Config
from model.sail_vl2.processing import IMAGE_TOKEN, SailVl2Processor
from model.sail_vl2.vision import Grid


class SeeingInfo(BaseProcessingInfo):
    """What vLLM asks about the inputs of a policy that sees. Sizes are (width, height) in pixels."""

    @property
    @abstractmethod
    def image_token(self) -> str:
        """The text of a placeholder."""

    def get_supported_mm_limits(self) -> Mapping[str, int | None]:
        """Any number of images, and nothing else: a video comes as its frames."""
        return {"image": None}

    def get_mm_max_tokens_per_item(self, seq_len: int, mm_counts: Mapping[str, int]) -> Mapping[str, int]:  # noqa: ARG002
        """Visual tokens of the largest image that a prompt of `seq_len` may hold."""
        return {"image": self.most_tokens(seq_len)}

    @abstractmethod
    def most_tokens(self, length: int) -> int:
        """Visual tokens that no image has more of, in a prompt of at most so many tokens."""

    @abstractmethod
    def largest(self, length: int) -> tuple[tuple[int, int], int]:
        """Size and visual tokens of a large image in such a prompt, which needs no resizing."""

    @abstractmethod
    def visual_tokens(self, grid: Sequence[int] | None) -> int:
        """Visual tokens of an image of so many patches, down and across; None where all images are alike."""

    @abstractmethod
    def stack(self, images: Sequence[Image]) -> tuple[np.ndarray, np.ndarray | None]:
        """Pixels and grids as the learner has them."""


class ProcessingInfo(SeeingInfo):
    """What vLLM asks about SAIL-VL2's inputs."""

    @property
    def image_token(self) -> str:
        """The text of a placeholder."""
        return IMAGE_TOKEN

    def get_hf_config(self) -> SailVl2Config:
        """The policy's configuration."""
        return self.ctx.get_hf_config(SailVl2Config)

    def most_tokens(self, length: int) -> int:  # noqa: ARG002
        """Visual tokens of the largest image."""
        return self.visual_tokens(self._largest_grid())

    def largest(self, length: int) -> tuple[tuple[int, int], int]:  # noqa: ARG002
        """Size and visual tokens of an image that makes the most."""
        grid = self._largest_grid()
        height, width = (side * self.get_hf_config().vision_config.patch_size for side in grid)
        return (width, height), self.visual_tokens(grid)

    def visual_tokens(self, grid: Sequence[int] | None) -> int:
        """Visual tokens of an image."""
        config = self.get_hf_config()
        return tokens(grid or (config.vision_config.grid,) * 2, config.downsample)

    def stack(self, images: Sequence[Image]) -> tuple[np.ndarray, np.ndarray | None]:
        """Pixels and grids of pieces."""
        return pixels(self.ctx.get_hf_processor(SailVl2Processor).image_processor, images)

    def _largest_grid(self) -> tuple[int, int]:
        config = self.get_hf_config()
        if not config.vision_config.native_resolution:
            return config.vision_config.grid, config.vision_config.grid
        across = config.vision_config.max_patches // config.downsample
        return config.downsample, across - across % config.downsample


class DummyInputs(BaseDummyInputsBuilder[SeeingInfo]):
    """What vLLM measures its memory with."""

    def get_dummy_text(self, mm_counts: Mapping[str, int]) -> str:
        """The expanded placeholders of some images."""
        _, count = self.info.largest(self.info.ctx.model_config.max_model_len)
        return self.info.image_token * (count * mm_counts.get("image", 0))

    def get_dummy_mm_data(self, seq_len: int, mm_counts: Mapping[str, int], mm_options: Any) -> dict[str, Any]:  # noqa: ARG002
        """As many images of the largest size."""
        (width, height), _ = self.info.largest(self.info.ctx.model_config.max_model_len)
        return {"image": self._get_dummy_images(width=width, height=height, num_images=mm_counts.get("image", 0))}


class Processor(BaseMultiModalProcessor[SeeingInfo]):
    """Pixels from images, which vLLM may keep by the image's hash, and the place of each image in the token ids."""

    def _call_hf_processor(self, hf_data: Mapping[str, Any], hf_kwargs: Mapping[str, object]) -> BatchFeature:  # noqa: ARG002
        values, grids = self.info.stack(hf_data["images"])
        made = {"pixel_values": values} if grids is None else {"pixel_values": values, "image_grids": grids}
        return BatchFeature(made, tensor_type="pt")

    def _get_mm_fields_config(
        self,
        hf_inputs: BatchFeature,
        hf_processor_mm_kwargs: Mapping[str, object],  # noqa: ARG002
    ) -> Mapping[str, MultiModalFieldConfig]:
        grids = hf_inputs.get("image_grids")
        if grids is None:
            return {"pixel_values": MultiModalFieldConfig.batched("image")}
        return {
            "pixel_values": MultiModalFieldConfig.flat_from_sizes("image", grids.prod(-1)),
            "image_grids": MultiModalFieldConfig.batched("image", keep_on_cpu=True),
        }

    def _get_prompt_updates(
        self,
        mm_items: MultiModalDataItems,  # noqa: ARG002
        hf_processor_mm_kwargs: Mapping[str, object],  # noqa: ARG002
        out_mm_kwargs: MultiModalKwargsItems,
    ) -> Sequence[PromptUpdate]:
        """Each image's run of placeholders, in place of itself."""
        image_token: int = self.info.get_hf_config().image_token_id
        images: Sequence[Any] = out_mm_kwargs.get("image", [])

        def run(item: int) -> list[int]:
            grid = images[item]["image_grids"].data.tolist() if "image_grids" in images[item] else None
            return [image_token] * self.info.visual_tokens(grid)

        return [PromptReplacement(modality="image", target=run, replacement=run)]

    def _apply_prompt_updates(
        self, token_ids: list[int], mm_prompt_updates: MultiModalPromptUpdates
    ) -> tuple[list[int], Mapping[str, list[PlaceholderFeaturesInfo]]]:
        """The very ids, and where each image's features go."""
        runs = [update.content.full for (update,) in mm_prompt_updates.get("image", [])]
        found = starts(token_ids, self.info.get_hf_config().image_token_id, [len(run) for run in runs])
        places = [
            PlaceholderFeaturesInfo(modality="image", item_idx=index, start_idx=start, tokens=run, is_embed=None)
            for index, (start, run) in enumerate(zip(found, runs, strict=True))
        ]
        return token_ids, {"image": places} if places else {}


def grids_of(arguments: Mapping[str, Any]) -> list[Grid] | None:
    """The patches of each image, down and across, where images have sizes of their own."""
    grids = arguments.get("image_grids")
    return None if grids is None else [(height, width) for height, width in grids.reshape(-1, 2).tolist()]
