"""Qwen2.5-VL and Qwen3-VL: images at their own size, positions in three directions.

Source: Qwen2.5-VL (Bai et al., arXiv 2502.13923), Qwen3-VL (arXiv 2511.21631), and their classes in transformers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers import (
    PreTrainedModel,
    Qwen2_5_VLForConditionalGeneration,
    Qwen3VLForConditionalGeneration,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil, smart_resize

from halyard.errors import DataError
from model.chat_format import CHATML, QWEN2_5_VL, ChatFormat
from model.families.mrope import packed_positions
from model.families.seeing import SeeingFamily
from model.sail_vl2.images import on_white
from model.sight import ImageMarks

_MARKS = ImageMarks(start="<|vision_start|>", token="<|image_pad|>", end="<|vision_end|>")


class OwnSize:
    """Images at their own size, to whole squares of merged patches, within the fewest and the most pixels."""

    def __init__(self, processor: Qwen2VLImageProcessorPil) -> None:
        self._processor: Any = processor
        self._square = int(self._processor.patch_size * self._processor.merge_size)
        self.most_tokens = int(self._processor.size["longest_edge"]) // self._square**2

    def square(self, tokens: int) -> tuple[int, int]:
        """Size of a square image of at most so many visual tokens."""
        side = max(1, math.isqrt(tokens)) * self._square
        return side, side

    def budget(self, images: int) -> int:  # noqa: ARG002
        """An image is one tile."""
        return 1

    def tokens(self, size: tuple[int, int], tiles: int | None = None) -> int:  # noqa: ARG002
        """Visual tokens of an image of `size`."""
        width, height = self._fitted(size)
        return (width // self._square) * (height // self._square)

    def views(self, image: Image.Image, tiles: int | None = None) -> list[Image.Image]:  # noqa: ARG002
        """The image in the size that the tower sees it in."""
        image = on_white(image)
        fitted = self._fitted(image.size)
        return [image if image.size == fitted else image.resize(fitted, self._processor.resample)]

    def stack(self, views: Iterable[Image.Image]) -> tuple[np.ndarray, np.ndarray]:
        """Pixels [patches, values of a patch] and grids [images, 2]."""
        made = self._processor(images=list(views), do_resize=False, return_tensors="np")
        return np.asarray(made["pixel_values"], dtype=np.float32), np.asarray(made["image_grid_thw"])[:, 1:]

    def _fitted(self, size: tuple[int, int]) -> tuple[int, int]:
        """Width and height.

        Raises:
            DataError: the image is too narrow for the family.
        """
        limits = self._processor.size
        try:
            least, most = limits["shortest_edge"], limits["longest_edge"]
            height, width = smart_resize(size[1], size[0], self._square, least, most)
        except ValueError as error:
            raise DataError(
                f"an image of {size[0]}x{size[1]} pixels is too narrow for this policy: one side may be at most 200 "
                "times the other; crop it, or leave it out"
            ) from error
        return width, height


class QwenVlFamily(SeeingFamily):
    """One of the two, which differ in what `see` has beside the tower's output."""

    marks = _MARKS
    decoders: ClassVar = ("qwen2_5_vl_text", "qwen3_vl_text")

    def __init__(self, architecture: type[PreTrainedModel], chat_format: ChatFormat) -> None:
        self.architecture = architecture
        self.formats = (chat_format,)

    def sight(self, path: Path, config: Any) -> OwnSize:  # noqa: ARG002
        """Images at their own size."""
        return OwnSize(Qwen2VLImageProcessorPil.from_pretrained(path))

    def see(self, inner: Any, pixel_values: Tensor, grids: Tensor | None) -> list[Tensor]:
        """Features of each image, and for Qwen3-VL those of the tower's earlier layers beside them."""
        assert grids is not None, "images of their own size come with their grids"
        moments = torch.cat([torch.ones_like(grids[:, :1]), grids], dim=1)
        output = inner.get_image_features(pixel_values, image_grid_thw=moments)
        levels = getattr(output, "deepstack_features", ())
        return [torch.cat(parts, dim=-1) for parts in zip(output.pooler_output, *levels, strict=True)]

    def blank(self, config: Any) -> tuple[Tensor, Tensor]:
        """An image of one visual token."""
        vision = config.vision_config
        side = vision.spatial_merge_size
        values = vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
        return torch.zeros(side**2, values), torch.tensor([[side, side]])

    def positions(self, config: Any, input_ids: Tensor, position_ids: Tensor, grids: Tensor | None) -> Tensor:
        """Positions [4, 1, tokens]."""
        merged = [] if grids is None else (grids // config.vision_config.spatial_merge_size).tolist()
        return packed_positions(input_ids, position_ids, merged, config.image_token_id)


QWEN2_5_VL_FAMILY = QwenVlFamily(Qwen2_5_VLForConditionalGeneration, QWEN2_5_VL)
QWEN3_VL_FAMILY = QwenVlFamily(Qwen3VLForConditionalGeneration, CHATML)
