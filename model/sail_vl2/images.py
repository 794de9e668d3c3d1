"""Pixels for the vision tower, with PIL alone: images fitted into a square, cut into tiles, or at their own size."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from PIL import Image
from transformers.image_processing_backends import PilBackend
from transformers.image_processing_base import BatchFeature
from transformers.image_utils import make_flat_list_of_images

from model.sail_vl2.tiling import native_size, tile_count, tile_grids

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class SailVl2ImageProcessor(PilBackend):
    """Images as float32 arrays, normalised as ImageNet's. What is transparent becomes white.

    One of three ways, by what is set:

    - nothing: one square of `size`, the image as large as fits in the middle of white;
    - `max_tiles`: the image is stretched over the grid of tiles that is closest in shape, of at most so many, and a
      thumbnail comes after the tiles if there are several. `second_grid` cuts it a second time, in another grid.
      All images of a conversation together get about `all_tiles`;
    - `max_patches`: its own size, to whole pairs of patches, and no more patches than that.

    Each piece that comes of it (`views`) is an image that, given again, is left as it is: that is how an engine,
    which is handed the pieces, sees the very pixels and counts the very tokens that the learner does.

    Source: the image processor released with SAIL-VL2-2B (`max_dynamic_patch` 10, `use_msac` false); 64 tiles in all
    are VLMEvalKit's `sail_vl.py`. It drops transparency where this one lays it on white.
    """

    model_input_names = ["pixel_values"]  # noqa: RUF012
    resample = Image.Resampling.BICUBIC
    image_mean = IMAGENET_MEAN
    image_std = IMAGENET_STD
    size = {"height": 448, "width": 448}  # noqa: RUF012
    patch_size = 14
    downsample = 2
    max_tiles = 0
    all_tiles = 64
    second_grid = False
    max_patches = 0

    @property
    def side(self) -> int:
        """Pixels along a side of a tile."""
        return self.size["height"]

    def budget(self, images: int) -> int:
        """Tiles that each of so many images in a conversation may be cut into."""
        return max(1, min(self.max_tiles, self.all_tiles // max(1, images)))

    def view_sizes(self, size: tuple[int, int], tiles: int | None = None) -> list[tuple[int, int]]:
        """Width and height of each of the views of an image of `size`, without the image."""
        if self.max_patches:
            return [native_size(size, self.patch_size * self.downsample, self.max_patches // self.downsample**2)]
        count = self._count(size, tiles) if self.max_tiles else 1
        return [(self.side, self.side)] * count

    def tokens(self, size: tuple[int, int], tiles: int | None = None) -> int:
        """Visual tokens of an image of `size` (width, height), as `views` has them, without the image."""
        step = self.patch_size * self.downsample
        return sum((width // step) * (height // step) for width, height in self.view_sizes(size, tiles))

    def views(self, image: Image.Image, tiles: int | None = None) -> list[Image.Image]:
        """What the tower sees of an image, in order; `tiles` is the image's budget, if it has one of its own."""
        image = on_white(image)
        if self.max_patches:
            return [_resized(image, self.view_sizes(image.size)[0])]
        if not self.max_tiles:
            return [fit(image, self.side)]
        chosen = tile_grids(image.size, self.side, tiles or self.max_tiles, second=self.second_grid)
        tiled = [tile for grid in chosen for tile in cut(image, grid, self.side)]
        return tiled if chosen[0] == (1, 1) else [*tiled, _resized(image, (self.side, self.side))]

    def pixels(self, view: Image.Image) -> np.ndarray:
        """One view as [3, height, width]; of native size as [patches, 3, patch size, patch size], row by row."""
        scaled = np.asarray(view, dtype=np.float32) / np.float32(255)
        normed = (scaled - np.array(self.image_mean, np.float32)) / np.array(self.image_std, np.float32)
        return np.ascontiguousarray(
            _patches(normed, self.patch_size) if self.max_patches else normed.transpose(2, 0, 1)
        )

    def stack(self, views: Iterable[Image.Image]) -> tuple[np.ndarray, np.ndarray | None]:
        """Pixels of views, one after the other, and of native size the grids [images, 2] of their patches."""
        listed = list(views)
        if not self.max_patches:
            return np.stack([self.pixels(view) for view in listed]), None
        grids = [(view.height // self.patch_size, view.width // self.patch_size) for view in listed]
        return np.concatenate([self.pixels(view) for view in listed]), np.array(grids, dtype=np.int64)

    def preprocess(self, images: Any, *args: Any, **kwargs: Any) -> BatchFeature:  # noqa: ARG002
        """`pixel_values` of one PIL image or of lists of them, and `num_tiles` or `image_grids` if they vary."""
        flat: Any = make_flat_list_of_images(images)
        views = [self.views(image, self.budget(len(flat)) if self.max_tiles else None) for image in flat]
        pixels, grids = self.stack(view for image in views for view in image)
        made: dict[str, Any] = {"pixel_values": pixels}
        if self.max_tiles:
            made["num_tiles"] = np.array([len(image) for image in views])
        if grids is not None:
            made["image_grids"] = grids
        return BatchFeature(made, tensor_type="pt")

    def _count(self, size: tuple[int, int], tiles: int | None) -> int:
        return tile_count(size, self.side, tiles or self.max_tiles, second=self.second_grid)


def fit(image: Image.Image, size: int) -> Image.Image:
    """The image in a white square of `size` pixels, as large as fits, in its centre."""
    image = on_white(image)
    if image.size == (size, size):
        return image
    scale = size / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    square = Image.new("RGB", (size, size), "white")
    square.paste(image.resize((width, height), Image.Resampling.BICUBIC), ((size - width) // 2, (size - height) // 2))
    return square


def cut(
    image: Image.Image, grid: tuple[int, int], side: int, resample: int = Image.Resampling.BICUBIC
) -> list[Image.Image]:
    """The tiles of an image stretched over a grid of so many columns and rows, row by row."""
    columns, rows = grid
    stretched = _resized(image, (columns * side, rows * side), resample)
    boxes = [(column * side, row * side) for row in range(rows) for column in range(columns)]
    return [stretched.crop((left, top, left + side, top + side)) for left, top in boxes]


def _resized(image: Image.Image, size: tuple[int, int], resample: int = Image.Resampling.BICUBIC) -> Image.Image:
    return image if image.size == size else image.resize(size, resample)


def _patches(pixels: np.ndarray, patch: int) -> np.ndarray:
    """Pixels [height, width, 3] as patches [patches, 3, patch, patch]."""
    height, width, channels = pixels.shape
    blocks = pixels.reshape(height // patch, patch, width // patch, patch, channels).transpose(0, 2, 4, 1, 3)
    return blocks.reshape(-1, channels, patch, patch)


def on_white(image: Image.Image) -> Image.Image:
    """The image in RGB; what is transparent becomes white."""
    if image.mode == "RGB":
        return image
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")
