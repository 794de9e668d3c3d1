"""Pictures as small JSON-able drawings, and the rendering of them.

A drawing is `{"size": [width, height], "marks": [...]}` on white, painted in order. A mark is one of

    {"text": "7", "at": [14, 42], "size": 34}                   centred at `at`; size in pixels
    {"shape": "circle", "at": [42, 14], "size": 22}             circle, square or triangle
    {"box": [4, 60, 24, 104]}                                   left, top, right, bottom
    {"line": [56, 0, 56, 112], "width": 2}

each with a `colour`: a name (black if left out) or `#rrggbb`. The synthetic problems draw on a grid of
4 × 4 cells, so that one thing to read fills one visual token of a 112 × 112 picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from halyard.errors import DataError

Drawing = Mapping[str, Any]
Mark = dict[str, Any]

SIZE = 112
CELL = 28
"""Pixels of a grid cell: two patches of 14, merged into one visual token by the 2 × 2 pixel shuffle."""
LARGEST = 4096
"""Pixels that either side of a drawing may have at most."""

PALETTE = {
    "red": "#d62020",
    "blue": "#2050e0",
    "green": "#10a040",
    "yellow": "#f5c000",
    "black": "#000000",
    "grey": "#c0c0c0",
    "white": "#ffffff",
}


def drawing(marks: list[Mark], *, width: int = SIZE, height: int = SIZE) -> Drawing:
    """A drawing of these marks, painted in order."""
    return {"size": [width, height], "marks": marks}


def centre(row: int, column: int) -> tuple[int, int]:
    """Pixel position (x, y) of the middle of a grid cell."""
    return column * CELL + CELL // 2, row * CELL + CELL // 2


def glyphs(text: str, *, row: int, column: int, colour: str = "black") -> list[Mark]:
    """Marks of a word or number, one character to a grid cell, from a cell to the right."""
    return [_text(char, row, column + i, 32, colour) for i, char in enumerate(text)]


def label(text: str, *, row: int, column: int, colour: str = "black") -> Mark:
    """Mark of a whole word or number inside one grid cell, as large as fits."""
    return _text(text, row, column, 32 if len(text) == 1 else 22, colour)


def _text(text: str, row: int, column: int, size: int, colour: str) -> Mark:
    return {"text": text, "at": list(centre(row, column)), "size": size, "colour": colour}


def shape(kind: str, colour: str, *, row: int, column: int) -> Mark:
    """Mark of a circle, square or triangle in a grid cell."""
    return {"shape": kind, "at": list(centre(row, column)), "size": 22, "colour": colour}


def render(picture: Drawing) -> Image.Image:
    """The drawing as an RGB image.

    Raises:
        DataError: the drawing does not have the form that this module describes.
    """
    try:
        width, height = picture["size"]
        if not (1 <= width <= LARGEST and 1 <= height <= LARGEST):
            raise DataError(f"a drawing of {width} × {height} pixels: each side must be from 1 to {LARGEST}")
        image = Image.new("RGB", (width, height), "white")
        brush = ImageDraw.Draw(image)
        for mark in picture["marks"]:
            _paint(brush, mark)
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise DataError(f"the drawing {str(picture)[:120]} cannot be painted: {error!r}") from error
    return image


def _paint(brush: ImageDraw.ImageDraw, mark: Mark) -> None:
    name: str = mark.get("colour") or "black"
    colour = PALETTE.get(name, name)
    if mark.get("text") is not None:  # a Parquet file holds every key in every mark, most of them empty
        x, y = mark["at"]
        brush.text((x, y), mark["text"], fill=colour, font=_font(mark["size"]), anchor="mm", stroke_width=0.6)
    elif mark.get("shape") is not None:
        _paint_shape(brush, mark, colour)
    elif mark.get("box") is not None:
        left, top, right, bottom = mark["box"]
        brush.rectangle((left, top, right - 1, bottom - 1), fill=colour)
    else:
        brush.line(tuple(mark["line"]), fill=colour, width=mark.get("width") or 1)


def _paint_shape(brush: ImageDraw.ImageDraw, mark: Mark, colour: str) -> None:
    (x, y), half = mark["at"], mark["size"] / 2
    corners = (x - half, y - half, x + half, y + half)
    if mark["shape"] == "circle":
        brush.ellipse(corners, fill=colour)
    elif mark["shape"] == "square":
        brush.rectangle(corners, fill=colour)
    elif mark["shape"] == "triangle":
        brush.polygon([(x, y - half), (x + half, y + half), (x - half, y + half)], fill=colour)
    else:
        raise ValueError(f"no shape is called {mark['shape']!r}")


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own embedded font: the same on every machine."""
    return ImageFont.load_default(size)
