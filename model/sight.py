"""What a renderer asks of a family's way with images, and the tokens that stand around and for an image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from PIL.Image import Image

from model.sail_vl2.processing import IMAGE_END, IMAGE_START, IMAGE_TOKEN


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageMarks:
    """The control tokens of an image: `start`, as many times `token` as it has visual tokens, `end`."""

    start: str
    token: str
    end: str


SAIL_VL2_MARKS = ImageMarks(start=IMAGE_START, token=IMAGE_TOKEN, end=IMAGE_END)


class Sight(Protocol):
    """Pixels from images. Sizes are (width, height); a view is a piece of an image as the tower sees it.

    A view given again is left as it is: an engine, which is handed views, sees the very pixels that a learner does.
    """

    def budget(self, images: int) -> int:
        """Tiles that each of so many images in a conversation may be cut into."""
        ...

    def tokens(self, size: tuple[int, int], tiles: int | None = None) -> int:
        """Visual tokens of an image of `size`, which need not be open.

        Raises:
            DataError: the tower cannot see images of that size.
        """
        ...

    def views(self, image: Image, tiles: int | None = None) -> list[Image]:
        """The views of an image of at most so many tiles, in order."""
        ...

    def stack(self, views: Iterable[Image]) -> tuple[np.ndarray, np.ndarray | None]:
        """Pixels of views, one after the other along the first dimension, float32.

        Where views differ in size there are also their grids [images, 2], rows and columns of patches.
        """
        ...


class BoundedSight(Sight, Protocol):
    """A sight that says how much one view may hold, for which an engine makes room."""

    most_tokens: int
    """Visual tokens that no view has more of."""

    def square(self, tokens: int) -> tuple[int, int]:
        """Size of a square view of at most so many visual tokens, or of the smallest that there is."""
        ...
