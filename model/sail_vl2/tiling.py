"""What a vision tower is shown of an image: which grid of tiles, or which size, from the image's own size alone.

Pure numbers, so that a prompt's visual tokens are known before any image is opened.
"""

from __future__ import annotations

import math
from functools import lru_cache

Columns = Rows = int
TileGrid = tuple[Columns, Rows]


@lru_cache
def grids(most: int) -> tuple[TileGrid, ...]:
    """All grids of at most `most` tiles, those of fewer tiles first.

    >>> grids(2)
    ((1, 1), (1, 2), (2, 1))
    """
    every = [(columns, rows) for columns in range(1, most + 1) for rows in range(1, most // columns + 1)]
    return tuple(sorted(every, key=lambda grid: (grid[0] * grid[1], grid)))


def closest(size: tuple[int, int], tile: int, candidates: tuple[TileGrid, ...]) -> TileGrid:
    """The grid whose aspect ratio is closest to that of an image of `size` (width, height).

    Of several equally close ones a larger takes the place of a smaller if the image covers more than half of it.

    >>> closest((900, 450), 448, grids(12))
    (2, 1)
    >>> closest((4000, 2000), 448, grids(12))
    (4, 2)

    Source: InternVL 1.5 (arXiv 2404.16821, section 3.2), as in the image processor released with SAIL-VL2-2B. There
    the order of grids with equally many tiles is that of a Python set; it matters to no ratio, since no two of them
    have the same one, but it does to an image exactly between two: here the narrower grid is kept.
    """
    ratio, area = size[0] / size[1], size[0] * size[1]
    best, least = candidates[0], math.inf
    for grid in candidates:
        difference = abs(ratio - grid[0] / grid[1])
        covers = area > 0.5 * tile * tile * grid[0] * grid[1]
        if difference < least or (difference == least and covers):
            best, least = grid, difference
    return best


def tile_grids(size: tuple[int, int], tile: int, most: int, *, second: bool) -> list[TileGrid]:
    """The grids that an image is cut into: the closest, and for `second` one more that does not divide it.

    Source: `use_msac` of the image processor released with SAIL-VL2-2B, where it is off.
    """
    first = closest(size, tile, grids(most))
    if not second:
        return [first]
    others = tuple(grid for grid in grids(most) if first[0] % grid[0] or first[1] % grid[1])
    return [first, closest(size, tile, others)] if others else [first]


def tile_count(size: tuple[int, int], tile: int, most: int, *, second: bool) -> int:
    """How many tiles that makes, the thumbnail of a cut image included."""
    chosen = tile_grids(size, tile, most, second=second)
    return sum(columns * rows for columns, rows in chosen) + (chosen[0] != (1, 1))


def native_size(size: tuple[int, int], step: int, most: int) -> tuple[int, int]:
    """Width and height, in whole steps, that an image of native resolution is scaled to: at most `most` steps².

    Its sides are rounded to the nearest step; an image that is too large is scaled down, its ratio kept as well as
    whole steps allow.

    >>> native_size((1000, 500), 28, 64 * 64)
    (1008, 504)
    >>> native_size((5000, 100), 28, 64)
    (1568, 28)
    """
    width, height = (max(1, round(side / step)) for side in size)
    if width * height > most:
        scale = math.sqrt(most / (size[0] * size[1]))
        width, height = (max(1, math.floor(side * scale)) for side in size)
        width = min(width, most // min(height, most))  # where the short side was less than a step
        height = min(height, most // width)
    return width * step, height * step
