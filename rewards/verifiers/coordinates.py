r"""Boxes and points as models write them: lists, JSON, tags such as `<box>`, in pixels or as shares of the image."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

Scale = Literal["pixels", "unit", "hundred", "thousand"]
"""What coordinates count: pixels, or the image's width and height as 1, 100 or 1000."""
FULL: dict[Scale, float] = {"unit": 1.0, "hundred": 100.0, "thousand": 1000.0}
LONGEST = 20_000
"""Characters that are read; an answer with more is no list of coordinates."""

_QUOTED = re.compile(r"\"[^\"\n]*\"|(?<![^\s{\[(:,=])'[^'\n]*'")
_TOKEN = re.compile(r"(?<![\w.])[+-]?(?:\d{1,20}(?:\.\d{0,20})?|\.\d{1,20})(?![\w.]*\w)|[\[\](){}<>]")
_CORNERS = (("x1", "y1", "x2", "y2"), ("xmin", "ymin", "xmax", "ymax"), ("left", "top", "right", "bottom"))
_SPOT = ("x", "y")
_EXTENT = ("x", "y", "width", "height")


class Box(NamedTuple):
    """Left, top, right and bottom; a box whose corners are exchanged has no area."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def area(self) -> float:
        """Width times height, 0 for one that is turned inside out."""
        return max(0.0, self.right - self.left) * max(0.0, self.bottom - self.top)


class Point(NamedTuple):
    """How far from the left and from the top."""

    x: float
    y: float


def boxes_in(text: str, extent: bool = False) -> list[Box]:
    """All boxes of a text; with `extent`, four bare numbers are left, top, width and height.

    >>> boxes_in("<box>10, 20, 30, 40</box>"), boxes_in('{"bbox_2d": [1, 2, 3, 4], "label": "cat 5"}')
    ([Box(left=10.0, top=20.0, right=30.0, bottom=40.0)], [Box(left=1.0, top=2.0, right=3.0, bottom=4.0)])
    """
    groups = _groups(text)
    quads = [group for group in groups if len(group) == 4]
    corners = [group for group in groups if len(group) == 2]
    if not quads and len(corners) % 2 == 0:
        quads = [first + second for first, second in zip(corners[::2], corners[1::2], strict=True)]
    return [_box(quad, extent) for quad in quads]


def _box(quad: list[float], extent: bool) -> Box:
    left, top, right, bottom = quad
    return Box(left, top, left + right, top + bottom) if extent else Box(left, top, right, bottom)


def points_in(text: str) -> list[Point]:
    """All points of a text.

    >>> points_in("click (12, 7.5)"), points_in('<point x="61.5" y="40.6" alt="dog 2">dog</point>')
    ([Point(x=12.0, y=7.5)], [Point(x=61.5, y=40.6)])
    """
    return [Point(*group) for group in _groups(text) if len(group) == 2]


def scaled(box: Box, scale: Scale, size: tuple[int, int] | None) -> Box:
    """The box in shares of the image, from 0 to 1; `size` in pixels is needed for pixels alone."""
    width, height = (size or (1, 1)) if scale == "pixels" else (FULL[scale], FULL[scale])
    return Box(box.left / width, box.top / height, box.right / width, box.bottom / height)


def _groups(text: str) -> list[list[float]]:
    """The runs of numbers of a text, in order: of its JSON, if it is JSON, else between its brackets.

    No groups where there is one of more than four: those are no coordinates of one thing.
    """
    groups = _all_groups(text) if len(text) <= LONGEST else []
    return [] if any(len(group) > 4 for group in groups) else groups


def _all_groups(text: str) -> list[list[float]]:
    written = text.strip().removeprefix("```json").strip("` \n")
    if written[:1] in ("[", "{"):
        try:
            return [group for group in _walk(json.loads(written)) if all(map(math.isfinite, group))]
        except (ValueError, RecursionError):
            pass
    return _between_brackets(_QUOTED.sub(_number_or_nothing, text))


def _walk(value: Any) -> Iterator[list[float]]:
    """The groups of a JSON value: its lists of numbers, and objects with named sides."""
    if isinstance(value, Mapping):
        named = _named(value)
        yield from [named] if named else (group for one in value.values() for group in _walk(one))
    elif isinstance(value, list) and value:
        numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in value)
        yield from [list(map(_float, value))] if numbers else (group for one in value for group in _walk(one))


def _float(value: int | float) -> float:
    return float(value) if abs(value) < 1e20 else math.inf


def _named(value: Mapping[str, Any]) -> list[float] | None:
    numbers = {name.lower(): _float(one) for name, one in value.items() if type(one) in (int, float)}
    for names in _CORNERS:
        if all(name in numbers for name in names):
            return [numbers[name] for name in names]
    if all(name in numbers for name in _EXTENT):
        x, y, width, height = (numbers[name] for name in _EXTENT)
        return [x, y, x + width, y + height]
    return [numbers[name] for name in _SPOT] if all(name in numbers for name in _SPOT) else None


def _number_or_nothing(quoted: re.Match[str]) -> str:
    """What counts of a quoted text: numbers, but none that belong to words, as in "cat 5"."""
    return " " if any(map(str.isalpha, quoted[0])) else quoted[0]


def _between_brackets(text: str) -> list[list[float]]:
    groups: list[list[float]] = [[]]
    for token in _TOKEN.finditer(text):
        if token[0] in "[](){}<>":
            groups.append([])
        else:
            groups[-1].append(float(token[0]))
    return [group for group in groups if group]
