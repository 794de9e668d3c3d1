"""Positions in three directions: text counts on in all of them, the tokens of an image by time, row and column."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor


def packed_positions(
    input_ids: Tensor, position_ids: Tensor, grids: Iterable[tuple[int, int]], image_token: int
) -> Tensor:
    """Position ids [4, 1, tokens] of a pack: those of text, by which sequences are told apart, then the three.

    `input_ids` and `position_ids` are [1, tokens]; the latter restart at 0 with each sequence. `grids` are rows and
    columns of visual tokens of the pack's images, in order.
    """
    starts = (position_ids[0] == 0).nonzero().flatten().tolist()
    shown, left = (input_ids[0] == image_token).cpu(), iter(grids)
    parts = [positions(shown[start:stop], left) for start, stop in zip(starts, [*starts[1:], len(shown)], strict=True)]
    return torch.cat([position_ids[None], torch.cat(parts, dim=1)[:, None].to(position_ids.device)])


def positions(shown: Tensor, grids: Iterator[tuple[int, int]]) -> Tensor:
    """Positions [3, tokens] in time, rows and columns of one sequence, of whose images the grids are taken.

    `shown` [tokens] says which of its tokens stand for an image.

    An image's tokens share one time, and its rows and columns are counted from there; the text after it goes on
    behind the longer of its sides.

    Source: Qwen2-VL (Wang et al., arXiv 2409.12191, section 2.1, "Multimodal Rotary Position Embedding"). Videos are
    images here, one a frame.
    """
    places = shown.nonzero().flatten().tolist()
    parts: list[Tensor] = []
    seen = cursor = position = 0
    while seen < len(places):
        rows, columns = next(grids)
        text = places[seen] - cursor
        parts += [_text(text, position), _image(rows, columns, position + text)]
        position += text + max(rows, columns)
        cursor = places[seen] + rows * columns
        seen += rows * columns
    parts.append(_text(len(shown) - cursor, position))
    return torch.cat(parts, dim=1)


def _text(length: int, start: int) -> Tensor:
    return torch.arange(start, start + length).expand(3, -1)


def _image(rows: int, columns: int, start: int) -> Tensor:
    row, column = torch.arange(rows).repeat_interleave(columns), torch.arange(columns).repeat(rows)
    return torch.stack([torch.zeros_like(row), row, column]) + start
