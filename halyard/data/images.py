"""Images by reference, opened late: files, data URIs and drawings become upright RGB images."""

from __future__ import annotations

import base64
import binascii
import io
import json
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote_to_bytes

from PIL import Image, ImageOps

from halyard.data.drawing import render
from halyard.data.types import ImageRef
from halyard.errors import DataError
from model.video import DAMAGES

MOST_PIXELS = 64_000_000
"""Images of more pixels are refused before they are decoded: a small file can unpack to fill the memory."""
CACHED_DRAWINGS = 2048
"""Rendered drawings that a process keeps: about 75 MB at 112 × 112."""


def open_image(ref: ImageRef) -> Image.Image:
    """The image in mode RGB, upright by its EXIF orientation, transparency on white, the first frame of several.

    Drawings are rendered once and shared: the caller must not change the image in place.

    Raises:
        DataError: there is no such file, it is no image, damaged, or of more than 64 million pixels.
    """
    if ref.drawing is not None:
        return _rendered(json.dumps(ref.drawing, sort_keys=True))
    if ref.uri is not None:
        return read_image(from_data_uri(ref.uri), f"{ref.uri[:40]}…")
    if ref.path is None:
        raise DataError("an image without path, data URI or drawing")
    if not Path(ref.path).is_file():
        raise DataError(f"there is no image file {ref.path}")
    return _decode(Path(ref.path), ref.path)


def read_image(content: bytes, name: str) -> Image.Image:
    """The image in the bytes of a file, as `open_image` gives it; `name` stands for it in messages.

    Raises:
        DataError: it is no image, damaged, or of more than 64 million pixels.
    """
    return _decode(io.BytesIO(content), name)


def to_data_uri(content: bytes, kind: str = "*") -> str:
    """A data URI that holds an image file's bytes; whoever opens it here tells its kind from the bytes."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def from_data_uri(uri: str) -> bytes:
    """The bytes that a data URI holds.

    Raises:
        DataError: it is no data URI, or its base64 is damaged.
    """
    head, comma, body = uri.partition(",")
    if not head.startswith("data:") or not comma:
        raise DataError(f"{uri[:40]!r} is no data URI: expected data:image/png;base64,…")
    if not head.endswith(";base64"):
        return unquote_to_bytes(body)
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise DataError(f"the data URI {uri[:40]!r}… is damaged: {error}") from error


@lru_cache(maxsize=CACHED_DRAWINGS)
def _rendered(drawing: str) -> Image.Image:
    return render(json.loads(drawing))


def _decode(file: Path | io.BytesIO, name: str) -> Image.Image:
    try:
        with Image.open(file) as image:
            _refuse_bomb(image, name)
            return _to_rgb(ImageOps.exif_transpose(image))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"the image {name} is refused: {error}") from error
    except Image.UnidentifiedImageError as error:
        raise DataError(f"{name} is no image of a known format") from error
    except DAMAGES as error:
        raise DataError(f"the image {name} is damaged: {error}") from error


def _refuse_bomb(image: Image.Image, name: str) -> None:
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise DataError(
            f"the image {name} has {width} × {height} pixels, more than {MOST_PIXELS:,}: scale it down before training"
        )


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):  # Pillow would clip 16 bits to 255, which leaves a white picture
        return image.point(lambda value: value / 256).convert("L").convert("RGB")
    if "A" in image.getbands() or "transparency" in image.info:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return image.convert("RGB")
