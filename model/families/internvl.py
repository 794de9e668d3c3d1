"""InternVL, as transformers has it: square tiles, a pixel shuffle, a two-layer MLP, a Qwen decoder.

Source: InternVL3 (Zhu et al., arXiv 2504.10479); `InternVLProcessor` of transformers, which always cuts into tiles.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers import InternVLForConditionalGeneration
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import (
    GotOcr2ImageProcessorPil,
    get_optimal_tiled_canvas,
)

from halyard.errors import SnapshotError
from model.chat_format import INTERNVL
from model.families.seeing import SeeingFamily
from model.sail_vl2.images import cut, on_white
from model.sight import SAIL_VL2_MARKS


class Tiles:
    """Images stretched over the grid of square tiles that is closest in shape, and a thumbnail after several tiles."""

    def __init__(self, processor: GotOcr2ImageProcessorPil, tile_tokens: int) -> None:
        """`tile_tokens` are the visual tokens of one tile, and so the most of a view."""
        self._processor: Any = processor
        self.most_tokens = tile_tokens
        self._side = int(self._processor.size["height"])

    def square(self, tokens: int) -> tuple[int, int]:  # noqa: ARG002
        """Size of a tile."""
        return self._side, self._side

    def budget(self, images: int) -> int:  # noqa: ARG002
        """The family gives each image its tiles, however many there are."""
        return self._processor.max_patches

    def tokens(self, size: tuple[int, int], tiles: int | None = None) -> int:
        """Visual tokens of an image of `size`."""
        columns, rows = self._grid(size, tiles)
        return self.most_tokens * (columns * rows + (columns * rows > 1))

    def views(self, image: Image.Image, tiles: int | None = None) -> list[Image.Image]:
        """The tiles row by row, then the thumbnail."""
        image = on_white(image)
        grid = self._grid(image.size, tiles)
        pieces = cut(image, grid, self._side, self._processor.resample)
        return pieces if grid == (1, 1) else pieces + cut(image, (1, 1), self._side, self._processor.resample)

    def stack(self, views: Iterable[Image.Image]) -> tuple[np.ndarray, None]:
        """Pixels [views, 3, side, side]; all tiles are alike."""
        made = self._processor(images=list(views), crop_to_patches=False, do_resize=False, return_tensors="np")
        return np.asarray(made["pixel_values"], dtype=np.float32), None

    def _grid(self, size: tuple[int, int], tiles: int | None) -> tuple[int, int]:
        """Columns and rows."""
        most = tiles or self._processor.max_patches
        least = min(self._processor.min_patches, most)
        return get_optimal_tiled_canvas(size[::-1], (self._side, self._side), least, most)


class InternVlFamily(SeeingFamily):
    """InternVL with a Qwen2, Qwen3 or Qwen3-MoE inside."""

    architecture = InternVLForConditionalGeneration
    formats = (INTERNVL,)
    marks = SAIL_VL2_MARKS
    decoders: ClassVar = ("qwen2", "qwen3", "qwen3_moe")

    def sight(self, path: Path, config: Any) -> Tiles:
        """Tiles of the tower's size.

        Raises:
            SnapshotError: the tiles of the folder's image settings are not the tower's.
        """
        processor: Any = GotOcr2ImageProcessorPil.from_pretrained(path)
        side, patch = config.vision_config.image_size[0], config.vision_config.patch_size[0]
        if (processor.size["height"], processor.size["width"]) != (side, side):
            raise SnapshotError(
                f"{path / 'preprocessor_config.json'} makes tiles of {processor.size['width']}x"
                f"{processor.size['height']} pixels, but the tower of config.json sees {side}x{side}"
            )
        return Tiles(processor, int(side // patch * config.downsample_ratio) ** 2)

    def see(self, inner: Any, pixel_values: Tensor, grids: Tensor | None) -> list[Tensor]:  # noqa: ARG002
        """Features of each tile."""
        return list(
            inner.get_image_features(
                pixel_values=pixel_values,
                vision_feature_layer=inner.config.vision_feature_layer,
                vision_feature_select_strategy=inner.config.vision_feature_select_strategy,
            ).pooler_output
        )

    def blank(self, config: Any) -> tuple[Tensor, None]:
        """One tile."""
        return torch.zeros(1, config.vision_config.num_channels, *config.vision_config.image_size), None
