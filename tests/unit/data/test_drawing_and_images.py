"""Pictures: drawn from a description, or opened from files and data URIs, whatever their mode."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from halyard.data.drawing import drawing, render, shape
from halyard.data.images import open_image, to_data_uri
from halyard.data.types import ImageRef
from halyard.errors import DataError


def png(image: Image.Image, **keys) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **keys)
    return buffer.getvalue()


def test_a_shape_is_painted_in_its_cell_alone() -> None:
    pixels = np.asarray(render(drawing([shape("square", "red", row=1, column=2)])))
    coloured = np.argwhere((pixels != 255).any(axis=2))
    assert coloured.min(axis=0).tolist() == [28 + 3, 56 + 3]
    assert coloured.max(axis=0).tolist() == [56 - 3, 84 - 3]
    assert pixels[42, 70].tolist() == [0xD6, 0x20, 0x20]


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"size": [112, 112]},
        {"size": [99999, 10], "marks": []},
        {"size": [0, 10], "marks": []},
        {"size": [112, 112], "marks": [{"shape": "star", "at": [1, 1], "size": 3}]},
        {"size": [112, 112], "marks": [{"shape": "circle", "size": 3}]},
        {"size": [112, 112], "marks": [{"text": "7", "at": [1, 1], "size": 9, "colour": "rainbow"}]},
        {"size": "big", "marks": 3},
    ],
)
def test_a_broken_drawing_is_refused(broken: dict) -> None:
    with pytest.raises(DataError, match="drawing"):
        open_image(ImageRef(drawing=broken))


def test_a_drawing_is_rendered_once() -> None:
    first = open_image(ImageRef(drawing={"size": [8, 8], "marks": []}))
    assert open_image(ImageRef(drawing={"marks": [], "size": [8, 8]})) is first


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_every_mode_becomes_rgb(mode: str, tmp_path: Path) -> None:
    path = tmp_path / f"image.{'tif' if mode == 'CMYK' else 'png'}"
    Image.new(mode, (5, 3)).save(path)
    image = open_image(ImageRef(path=str(path)))
    assert (image.mode, image.size) == ("RGB", (5, 3))


def test_transparency_is_white_and_sixteen_bits_keep_their_greys() -> None:
    clear = open_image(ImageRef(uri=to_data_uri(png(Image.new("RGBA", (1, 1), (9, 9, 9, 0))))))
    assert clear.getpixel((0, 0)) == (255, 255, 255)
    half = Image.fromarray(np.full((1, 1), 0x8000, np.uint16))
    assert open_image(ImageRef(uri=to_data_uri(png(half)))).getpixel((0, 0)) == (128, 128, 128)


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    image = Image.new("RGB", (4, 2), "red")
    exif = image.getexif()
    exif[0x0112] = 6  # turn by 90 degrees
    image.save(tmp_path / "turned.jpg", exif=exif)
    assert open_image(ImageRef(path=str(tmp_path / "turned.jpg"))).size == (2, 4)


def test_a_data_uri_opens() -> None:
    uri = "data:image/png;base64," + base64.b64encode(png(Image.new("RGB", (3, 2), "blue"))).decode()
    assert open_image(ImageRef(uri=uri)).getpixel((0, 0)) == (0, 0, 255)


def _bomb() -> bytes:
    """A PNG of a few bytes that says it has 20000 × 20000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 20000, 20000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def test_bad_images_are_refused_in_a_sentence(tmp_path: Path) -> None:
    whole = png(Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)))
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    files = {"text.png": b"hello", "empty.png": b"", "cut.png": whole[:-2000], "flipped.png": bytes(flipped)}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=name):
            open_image(ImageRef(path=str(tmp_path / name)))
    for uri in ("data:image/png;base64,@@@", "data:nothing", "data:image/png;base64," + "AAAA"):
        with pytest.raises(DataError, match="data:"):
            open_image(ImageRef(uri=uri))
    with pytest.raises(DataError, match="there is no image file"):
        open_image(ImageRef(path=str(tmp_path / "none.png")))
    with pytest.raises(DataError, match="without path"):
        open_image(ImageRef())


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_decompression_bomb_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(DataError, match="pixels"):
        open_image(ImageRef(uri=to_data_uri(_bomb())))
