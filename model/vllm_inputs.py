"""How vLLM takes SAIL-VL2's prompts: token ids that stay as they are, and the pieces of images the tower sees.

vLLM's own way is to look for placeholders in the ids, to replace them, and, where it finds none, to turn ids into
text and back. Here the ids come in expanded: each image's place follows from how many visual tokens it makes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

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


class ProcessingInfo(BaseProcessingInfo):
    """What vLLM asks about a policy's inputs."""

    def get_hf_config(self) -> SailVl2Config:
        """The policy's configuration."""
        return self.ctx.get_hf_config(SailVl2Config)

    def get_hf_processor(self, **kwargs: object) -> SailVl2Processor:
        """The policy's processor."""
        return self.ctx.get_hf_processor(SailVl2Processor, **kwargs)

    def get_supported_mm_limits(self) -> Mapping[str, int | None]:
        """Any number of images, and nothing else: a video comes as its frames."""
        return {"image": None}

    def get_mm_max_tokens_per_item(self, seq_len: int, mm_counts: Mapping[str, int]) -> Mapping[str, int]:  # noqa: ARG002
        """Visual tokens of the largest image."""
        return {"image": tokens(self.largest_grid(), self.get_hf_config().downsample)}

    def largest_grid(self) -> tuple[int, int]:
        """Patches, down and across, of an image that makes the most visual tokens."""
        config = self.get_hf_config()
        if not config.vision_config.native_resolution:
            return config.vision_config.grid, config.vision_config.grid
        across = config.vision_config.max_patches // config.downsample
        return config.downsample, across - across % config.downsample


class DummyInputs(BaseDummyInputsBuilder[ProcessingInfo]):
    """What vLLM measures its memory with."""

    def get_dummy_text(self, mm_counts: Mapping[str, int]) -> str:
        """The expanded placeholders of some images."""
        count = tokens(self.info.largest_grid(), self.info.get_hf_config().downsample)
        return IMAGE_TOKEN * (count * mm_counts.get("image", 0))

    def get_dummy_mm_data(self, seq_len: int, mm_counts: Mapping[str, int], mm_options: Any) -> dict[str, Any]:  # noqa: ARG002
        """As many images of the largest size."""
        patch = self.info.get_hf_config().vision_config.patch_size
        height, width = (side * patch for side in self.info.largest_grid())
        return {"image": self._get_dummy_images(width=width, height=height, num_images=mm_counts.get("image", 0))}


class Processor(BaseMultiModalProcessor[ProcessingInfo]):
    """Pixels from images, which vLLM may keep by the image's hash, and the place of each image in the token ids."""

    def _call_hf_processor(self, hf_data: Mapping[str, Any], hf_kwargs: Mapping[str, object]) -> BatchFeature:
        visual = self.info.get_hf_processor(**hf_kwargs).image_processor
        values, grids = pixels(visual, hf_data["images"])
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
        config = self.info.get_hf_config()
        images: Sequence[Any] = out_mm_kwargs.get("image", [])

        def run(item: int) -> list[int]:
            grid = (config.vision_config.grid,) * 2
            if "image_grids" in images[item]:
                grid = images[item]["image_grids"].data.tolist()
            return [config.image_token_id] * tokens(grid, config.downsample)

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
