"""Pixels for the vision tower: any image fitted into a square of fixed size."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image
from transformers.image_processing_backends import PilBackend
from transformers.image_processing_base import BatchFeature
from transformers.image_utils import make_flat_list_of_images

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class SailVl2ImageProcessor(PilBackend):
    """Images as float32 arrays [3, size, size]: scaled to fit, centred on white, normalised as ImageNet's.

    The aspect ratio is kept. An image that already has the size keeps its very pixels.
    """

    model_input_names = ["pixel_values"]  # noqa: RUF012
    resample = Image.Resampling.BICUBIC
    image_mean = IMAGENET_MEAN
    image_std = IMAGENET_STD
    size = {"height": 448, "width": 448}  # noqa: RUF012

    def pixels(self, image: Image.Image) -> np.ndarray:
        """One image as [3, size, size]."""
        square = fit(image, self.size["height"])
        scaled = np.asarray(square, dtype=np.float32) / np.float32(255)
        normed = (scaled - np.array(self.image_mean, np.float32)) / np.array(self.image_std, np.float32)
        return np.ascontiguousarray(normed.transpose(2, 0, 1))

    def preprocess(self, images: Any, *args: Any, **kwargs: Any) -> BatchFeature:  # noqa: ARG002
        """`pixel_values` [images, 3, size, size] of one PIL image or of lists of them."""
        flat: Any = make_flat_list_of_images(images)
        pixels = [self.pixels(image) for image in flat]
        return BatchFeature({"pixel_values": np.stack(pixels)}, tensor_type="pt")


def fit(image: Image.Image, size: int) -> Image.Image:
    """The image in a white square of `size` pixels, as large as fits, in its centre."""
    image = _on_white(image)
    if image.size == (size, size):
        return image
    scale = size / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    square = Image.new("RGB", (size, size), "white")
    square.paste(image.resize((width, height), Image.Resampling.BICUBIC), ((size - width) // 2, (size - height) // 2))
    return square


def _on_white(image: Image.Image) -> Image.Image:
    """The image in RGB; what is transparent becomes white."""
    if image.mode == "RGB":
        return image
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")
