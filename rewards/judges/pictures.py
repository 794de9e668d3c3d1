"""The images of a prompt as a judge is sent them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from typing import NamedTuple

from halyard.data.types import ImageRef

LONGEST_SIDE = 1568
"""Pixels; larger images are scaled down, which endpoints do anyway."""
TOKENS = 1600
"""Tokens that an image is taken to cost before the endpoint has counted."""


class Picture(NamedTuple):
    """An image as a data URI, and the SHA-256 of what is in it."""

    uri: str
    digest: str


def pictures(images: Sequence[ImageRef]) -> tuple[Picture, ...]:
    """The images as PNG, upright, opened now.

    Raises:
        DataError: one is not there, or damaged.
    """
    return tuple(_encoded(image) for image in images)


def _encoded(image: ImageRef) -> Picture:
    from halyard.data.images import open_image, to_data_uri

    opened = open_image(image).copy()  # it may be shared, and is not to be changed in place
    opened.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    file = io.BytesIO()
    opened.save(file, "PNG")
    content = file.getvalue()
    return Picture(to_data_uri(content, "png"), hashlib.sha256(content).hexdigest())
