"""Positions in three directions: text counts on in all of them, the tokens of an image by time, row and column."""

from __future__ import annotations

import torch
from torch import Tensor

Grids = list[tuple[int, int]]


def packed_positions(input_ids: Tensor, position_ids: Tensor, grids: Grids, image_token: int) -> Tensor:
    """Position ids [4, 1, tokens] of a pack: those of text, by which sequences are told apart, then the three.

    `input_ids` and `position_ids` are [1, tokens]; the latter restart at 0 with each sequence. `grids` are rows and
    columns of visual tokens of the pack's images, in order.
    """
    starts = (position_ids[0] == 0).nonzero().flatten().tolist()
    left, parts = list(grids), []
    for start, stop in zip(starts, [*starts[1:], input_ids.shape[1]], strict=True):
        found, left = positions(input_ids[0, start:stop], left, image_token)
        parts.append(found)
    return torch.cat([position_ids[None], torch.cat(parts, dim=1)[:, None]])


def positions(token_ids: Tensor, grids: Grids, image_token: int) -> tuple[Tensor, Grids]:
    """Positions [3, tokens] in time, rows and columns of one sequence, and the grids that it has no images for.

    An image's tokens share one time, and its rows and columns are counted from there; the text after it goes on
    behind the longer of its sides.

    Source: Qwen2-VL (Wang et al., arXiv 2409.12191, section 2.1, "Multimodal Rotary Position Embedding"). Videos are
    images here, one a frame.
    """
    places = (token_ids == image_token).nonzero().flatten().tolist()
    parts: list[Tensor] = []
    seen = cursor = position = 0
    while seen < len(places):
        (rows, columns), grids = grids[0], grids[1:]
        text = places[seen] - cursor
        parts += [_text(text, position), _image(rows, columns, position + text)]
        position += text + max(rows, columns)
        cursor = places[seen] + rows * columns
        seen += rows * columns
    parts.append(_text(len(token_ids) - cursor, position))
    return torch.cat(parts, dim=1).to(token_ids.device), grids


def _text(length: int, start: int) -> Tensor:
    return torch.arange(start, start + length).expand(3, -1)


def _image(rows: int, columns: int, start: int) -> Tensor:
    row, column = torch.arange(rows).repeat_interleave(columns), torch.arange(columns).repeat(rows)
    return torch.stack([torch.zeros_like(row), row, column]) + start
