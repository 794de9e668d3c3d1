"""Images that occur several times in a pack, as those of a prompt do beside each of its answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model.sail_vl2.vision import patches_of

_SAMPLED = 7
"""Every so many-th value enters an image's sum; images of equal sums are compared in full."""


@dataclass(frozen=True, slots=True)
class DistinctImages:
    """Each image once, in the layout they came in, and for each place in the pack which of them stands there."""

    pixel_values: Tensor
    image_grids: Tensor | None
    order: list[int]


def distinct_images(pixel_values: Tensor, image_grids: Tensor | None) -> DistinctImages:
    """The images that differ in any value, in the order in which they first come.

    Pixels are [images, 3, size, size], or of native size [patches, 3, patch size, patch size] with grids [images, 2].

    Raises:
        ValueError: the grids are not those of the pixels.
    """
    images = pixel_values.split(1 if image_grids is None else patches_of(pixel_values, image_grids.tolist()))
    firsts, order = _first_occurrences(images)
    if len(firsts) == len(images):
        return DistinctImages(pixel_values, image_grids, order)
    grids = None if image_grids is None else image_grids[firsts]
    return DistinctImages(torch.cat([images[index] for index in firsts]), grids, order)


def _first_occurrences(images: Sequence[Tensor]) -> tuple[list[int], list[int]]:
    """Indices of the images that came for the first time, and for each image its number among them."""
    firsts: list[int] = []
    order: list[int] = []
    alike: dict[tuple[torch.Size, float], list[int]] = defaultdict(list)
    for index, (image, total) in enumerate(zip(images, _sums(images), strict=True)):
        numbers = alike[image.shape, total]
        same = [number for number in numbers if torch.equal(images[firsts[number]], image)]
        if not same:
            numbers.append(len(firsts))
            same = numbers[-1:]
            firsts.append(index)
        order += same
    return firsts, order


def _sums(images: Sequence[Tensor]) -> list[float]:
    return torch.stack([image.flatten()[::_SAMPLED].sum(dtype=torch.float64) for image in images]).tolist()
