"""Where an engine puts visual tokens: pixels of the pieces it is handed, how many tokens each makes, and which ids.

Nothing here loads vLLM; `model.vllm_inputs` hands this to it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL.Image import Image

from model.sail_vl2.images import SailVl2ImageProcessor


def pixels(visual: SailVl2ImageProcessor, pieces: Sequence[Image]) -> tuple[np.ndarray, np.ndarray | None]:
    """Pixels and grids of pieces as `Rendered.images` has them: those of `Rendered`, whatever else is in the call.

    An image that is no piece yet is made one, unless it would be cut into tiles.

    Raises:
        ValueError: the policy sees tiles, and an image is not of a tile's size.
    """
    if visual.max_tiles:
        for piece in pieces:
            if piece.size != (visual.side, visual.side):
                raise ValueError(
                    f"an image of {piece.width}x{piece.height} pixels was handed in, where this policy sees tiles of "
                    f"{visual.side}x{visual.side}: hand in the tiles, as `Rendered.images` has them"
                )
    return visual.stack(visual.views(piece, 1)[0] for piece in pieces)


def tokens(grid: Sequence[int], downsample: int) -> int:
    """Visual tokens of an image of so many patches from top to bottom, and from left to right.

    >>> tokens((8, 8), 2)
    16
    """
    height, width = (int(side) for side in grid)
    return (height // downsample) * (width // downsample)


def starts(token_ids: Sequence[int], image_token_id: int, counts: Sequence[int]) -> list[int]:
    """Where the placeholders of each image begin; `counts` are those of the images, in order.

    >>> starts([5, 9, 9, 9, 9, 6, 9, 9], 9, [2, 2, 2])
    [1, 3, 6]

    Raises:
        ValueError: the ids have more or fewer placeholders than that, or others between those of one image.
    """
    places = np.flatnonzero(np.asarray(token_ids) == image_token_id)
    if len(places) != sum(counts):
        raise ValueError(
            f"the token ids have {len(places)} image placeholders, but {len(counts)} images make {sum(counts)} visual "
            "tokens: ids and images must come from the same rendering"
        )
    found, end = [], 0
    for number, count in enumerate(counts, start=1):
        start, end = end, end + count
        if places[end - 1] - places[start] != count - 1:
            raise ValueError(
                f"the {count} placeholders of image {number} of {len(counts)} do not stand together: ids and images "
                "must come from the same rendering"
            )
        found.append(int(places[start]))
    return found
