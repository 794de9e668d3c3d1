"""An engine finds as many visual tokens as the learner wrote placeholders, where it wrote them, of the same pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from model.load import load_policy, load_processor
from model.placeholders import pixels, starts, tokens
from model.render import ChatMessage, Renderer
from model.sail_vl2 import SailVl2ImageProcessor
from model.video import Video

WAYS: list[dict[str, Any]] = [
    {},
    {"max_tiles": 10},
    {"max_tiles": 12, "second_grid": True},
    {"max_patches": 16384},
    {"max_patches": 100},
]
ANY = st.tuples(st.integers(1, 4000), st.integers(1, 3000))
LONG = st.tuples(st.integers(1, 80), st.integers(1, 50), st.booleans()).map(
    lambda one: (one[0] * one[1], one[0])[:: 1 if one[2] else -1]
)
"""Sizes of any shape, and of aspect ratios up to 50:1."""


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(ANY | LONG, min_size=1, max_size=5), st.sampled_from(WAYS))
@example([(1, 1)], {})
@example([(1, 1), (4000, 3000)], {"max_patches": 16384})
@example([(4000, 80), (80, 4000)], {"max_patches": 100})
@example([(4000, 3000)] * 5, {"max_tiles": 12, "second_grid": True})
def test_sizes_alone_give_both_sides_the_same_count(sizes: list[tuple[int, int]], way: dict[str, Any]) -> None:
    """At the released size: tiles of 448 pixels. The engine counts patches, the learner what the sizes say."""
    visual = SailVl2ImageProcessor(**way)
    budget = visual.budget(len(sizes))
    for size in sizes:
        views = visual.view_sizes(size, budget)
        counts = [tokens((height // 14, width // 14), 2) for width, height in views]
        assert sum(counts) == visual.tokens(size, budget)
        assert all(count >= 1 for count in counts)


def picture(size: tuple[int, int]) -> Image.Image:
    """A gradient that differs from one size to another."""
    return Image.linear_gradient("L").rotate(size[0] % 360).resize(size).convert("RGB")


def check(renderer: Renderer, visual: SailVl2ImageProcessor, message: ChatMessage) -> None:
    rendered = renderer.prompt([message], thinking=True)
    ids = rendered.token_ids.tolist()
    assert renderer.image_token_id is not None
    values, grids = pixels(visual, rendered.images)
    assert rendered.pixel_values is not None
    np.testing.assert_array_equal(values, rendered.pixel_values)
    np.testing.assert_array_equal(grids, rendered.image_grids)
    side = visual.side // 14
    counts = [tokens(grid, 2) for grid in (grids if grids is not None else [(side, side)] * len(rendered.images))]
    found = starts(ids, renderer.image_token_id, counts)
    filled = [place for start, count in zip(found, counts, strict=True) for place in range(start, start + count)]
    assert filled == [place for place, one in enumerate(ids) if one == renderer.image_token_id]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(images=st.lists(ANY | LONG, max_size=2), frames=st.lists(LONG, max_size=3), name=st.integers(0, 2))
@example(images=[(1, 1), (4000, 3000)], frames=[(50, 1)], name=1)
@example(images=[(4000, 80)], frames=[(320, 240)] * 3, name=2)
def test_an_engine_puts_each_image_and_frame_where_the_learner_does(
    variants: dict[str, Path],
    nano_folder: Path,
    images: list[tuple[int, int]],
    frames: list[tuple[int, int]],
    name: int,
) -> None:
    if not images and not frames:
        images = [(7, 5)]
    folder = [nano_folder, variants["micro-tiles"], variants["micro-native"]][name]
    renderer, visual = loaded(folder)
    videos = (Video(tuple(map(picture, frames)), tuple(float(n) for n in range(len(frames)))),) if frames else ()
    check(renderer, visual, ChatMessage("user", "what is it?", tuple(map(picture, images)), videos=videos))


_LOADED: dict[Path, tuple[Renderer, SailVl2ImageProcessor]] = {}


def loaded(folder: Path) -> tuple[Renderer, SailVl2ImageProcessor]:
    if folder not in _LOADED:
        _LOADED[folder] = load_processor(folder), SailVl2ImageProcessor.from_pretrained(folder)
    return _LOADED[folder]


@pytest.mark.parametrize("name", ["micro-tiles", "micro-native"])
def test_the_tower_makes_as_many_tokens_as_the_engine_counts(variants: dict[str, Path], name: str) -> None:
    renderer, visual = loaded(variants[name])
    rendered = renderer.prompt([ChatMessage("user", "?", (picture((300, 80)), picture((20, 500))))], thinking=True)
    values, grids = pixels(visual, rendered.images)
    arguments = {} if grids is None else {"image_grids": torch.from_numpy(grids)}
    policy: Any = load_policy(variants[name], dtype=torch.float32)
    with torch.no_grad():
        seen = policy.get_image_features(torch.from_numpy(values), **arguments).pooler_output
    side = visual.side // 14
    counts = [tokens(grid, 2) for grid in (grids if grids is not None else [(side, side)] * len(values))]
    assert [len(one) for one in seen] == counts


def test_other_images_than_the_ids_speak_of_are_refused() -> None:
    with pytest.raises(ValueError, match=r"4 image placeholders, but 1 images make 3 visual tokens"):
        starts([1, 9, 9, 9, 9], 9, [3])
    with pytest.raises(ValueError, match=r"0 image placeholders, but 1 images make 2"):
        starts([1, 2], 9, [2])
    with pytest.raises(ValueError, match=r"the 3 placeholders of image 2 of 2 do not stand together"):
        starts([9, 9, 1, 9, 2, 9, 9], 9, [2, 3])
    assert starts([1, 2, 3], 9, []) == []


def test_an_uncut_image_is_no_tile() -> None:
    way: dict[str, Any] = {"max_tiles": 6, "size": {"height": 56, "width": 56}}
    visual = SailVl2ImageProcessor(**way)
    with pytest.raises(ValueError, match=r"an image of 90x40 pixels .* tiles of 56x56"):
        pixels(visual, [picture((90, 40))])
