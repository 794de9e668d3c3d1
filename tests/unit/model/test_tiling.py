"""Which tiles an image is cut into: against the released image processor's rule, written down anew."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from model.sail_vl2 import SailVl2ImageProcessor
from model.sail_vl2.tiling import closest, grids, native_size, tile_count, tile_grids

SIZES = st.tuples(st.integers(1, 4000), st.integers(1, 3000))


def by_the_released_rule(size: tuple[int, int], most: int) -> int:
    """Tiles without the thumbnail: every grid is looked at, the closest ratio wins, a tie by the covered area."""
    found = {(i, j) for n in range(1, most + 1) for i in range(1, n + 1) for j in range(1, n + 1) if i * j <= most}
    best, least = (1, 1), float("inf")
    for grid in sorted(found, key=lambda one: one[0] * one[1]):
        apart = abs(size[0] / size[1] - grid[0] / grid[1])
        if apart < least:
            best, least = grid, apart
        elif apart == least and size[0] * size[1] > 0.5 * 448 * 448 * grid[0] * grid[1]:
            best = grid
    return best[0] * best[1]


@given(SIZES, st.sampled_from([1, 6, 10, 12, 24]))
@example((448, 448), 12)
@example((1, 3000), 12)
@example((4000, 80), 12)
def test_tiles_are_those_of_the_released_rule(size: tuple[int, int], most: int) -> None:
    columns, rows = closest(size, 448, grids(most))
    assert columns * rows == by_the_released_rule(size, most)


def test_by_hand() -> None:
    assert tile_grids((896, 448), 448, 10, second=False) == [(2, 1)]
    assert tile_count((896, 448), 448, 10, second=False) == 3  # and the thumbnail
    assert tile_count((448, 448), 448, 10, second=False) == 1
    # The second grid is the closest in shape that is not (1, 1), (2, 1) or any other divisor of (2, 1): 3 x 2 = 1.5.
    assert tile_grids((896, 448), 448, 6, second=True) == [(2, 1), (3, 2)]
    # A square has no thumbnail, but it is cut a second time: of at most two tiles the one that comes first.
    assert tile_count((100, 100), 448, 2, second=True) == 3


@given(SIZES, st.integers(1, 400))
def test_native_sizes_hold_the_budget_and_the_ratio(size: tuple[int, int], most: int) -> None:
    width, height = native_size(size, 28, most)
    assert width % 28 == 0
    assert height % 28 == 0
    assert 1 <= (width // 28) * (height // 28) <= most
    if min(width, height) > 28 * 6:
        assert math.isclose(width / height, size[0] / size[1], rel_tol=0.2)


PROCESSORS = {
    "square": SailVl2ImageProcessor(size={"height": 56, "width": 56}),
    "tiles": SailVl2ImageProcessor(size={"height": 56, "width": 56}, max_tiles=12),
    "two grids": SailVl2ImageProcessor(size={"height": 56, "width": 56}, max_tiles=6, second_grid=True),
    "native": SailVl2ImageProcessor(size={"height": 56, "width": 56}, max_patches=64),
}


@pytest.mark.parametrize("name", PROCESSORS)
@settings(max_examples=25, deadline=None)
@given(size=st.tuples(st.integers(1, 600), st.integers(1, 400)))
@example(size=(1, 1))
@example(size=(3000, 60))
def test_tokens_are_known_before_the_image(name: str, size: tuple[int, int]) -> None:
    processor = PROCESSORS[name]
    views = processor.views(Image.new("RGB", size))
    assert [view.size for view in views] == processor.view_sizes(size)
    pixels, _ = processor.stack(views)
    patches = len(pixels) * (1 if name == "native" else 16)
    assert processor.tokens(size) == patches / 4


@pytest.mark.parametrize("name", PROCESSORS)
def test_a_view_given_again_is_left_as_it_is(name: str) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (130, 333, 3), dtype=np.uint8))
    processor = PROCESSORS[name]
    for view in processor.views(noise):
        if name != "two grids":  # there a tile would be cut again: an engine has to be given one grid
            assert processor.views(view) == [view]


def test_tiles_stand_row_by_row_and_the_thumbnail_last() -> None:
    image = Image.new("RGB", (112, 56), "red")
    image.paste("blue", (56, 0, 112, 56))
    left, right, thumbnail = PROCESSORS["tiles"].views(image)
    assert left.getcolors() == [(56 * 56, (255, 0, 0))]
    assert right.getcolors() == [(56 * 56, (0, 0, 255))]
    assert thumbnail.getpixel((10, 28)) == (255, 0, 0)
    assert thumbnail.getpixel((45, 28)) == (0, 0, 255)


def test_many_images_share_the_tiles() -> None:
    processor = PROCESSORS["tiles"]
    assert [processor.budget(images) for images in (1, 5, 6, 20, 100)] == [12, 12, 10, 3, 1]


def test_patches_of_native_images_stand_row_by_row() -> None:
    image = Image.fromarray(np.arange(56 * 28 * 3, dtype=np.uint32).astype(np.uint8).reshape(28, 56, 3))
    processor = PROCESSORS["native"]
    pixels, grids_ = processor.stack([image])
    assert grids_ is not None
    assert grids_.tolist() == [[2, 4]]
    whole = PROCESSORS["square"].pixels(image)
    np.testing.assert_array_equal(pixels[5], whole[:, 14:28, 14:28])
