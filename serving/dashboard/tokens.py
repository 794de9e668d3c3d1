"""Answers token by token, each on a ground whose colour says how likely it was."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from halyard.errors import HalyardError
from halyard.runs.reading.runs import processor_folder
from halyard.runs.rollouts import RolloutRecord

if TYPE_CHECKING:
    from model.render import Renderer

Pieces = Sequence[tuple[str, str, float | None]]
"""Text, what to say of it when pointed at, and the log-prob, of each token or of those that make up one character."""
_BROKEN = "\ufffd"


def tokens_of(run: Path, records: Sequence[RolloutRecord]) -> list[Pieces | None]:
    """The tokens of each answer; None where the run has no tokenizer, or none that fits."""
    folder = processor_folder(run)
    if folder is None:
        return [None] * len(records)
    try:
        renderer = _renderer(folder)
    except (HalyardError, OSError, ValueError):  # a folder that is being written, or of another version
        return [None] * len(records)
    return [_pieces(renderer, record.response_token_ids, record.rollout_logprobs) for record in records]


def image_tokens(run: Path, token_ids: Sequence[int]) -> bool:
    """Whether a prompt has places for an image."""
    folder = processor_folder(run)
    return folder is not None and _renderer(folder).image_token_id in token_ids


def coloured(pieces: Pieces) -> str:
    """The tokens as HTML; the more surprising one was, the stronger its ground."""
    spans = []
    for text, said, logprob in pieces:
        share = 0 if logprob is None else round(85 * (1 - math.exp(min(0.0, logprob))) ** 0.8)
        shown = escape(text).replace("\n", "<span class='mark'>↵</span>\n")
        look = f" style='--d:{share}'" if share > 2 else " style='--d:0'"
        spans.append(f"<span{look} title='{escape(said, quote=True)}'>{shown}</span>")
    return f"<div class='tokens'>{''.join(spans)}</div>"


@lru_cache(maxsize=8)
def _renderer(folder: Path) -> Renderer:
    from model.load import load_processor

    return load_processor(folder)


def _pieces(renderer: Renderer, ids: Sequence[int], logprobs: Sequence[float]) -> Pieces:
    """Tokens that are only a part of a character are put together with those after them."""
    pieces: list[tuple[str, str, float | None]] = []
    waiting: list[int] = []
    for place, token in enumerate(ids):
        waiting.append(int(token))
        text = renderer.tokenizer.decode(waiting, skip_special_tokens=False)
        if text.endswith(_BROKEN) and len(waiting) < 4 and place + 1 < len(ids):
            continue
        logprob = float(logprobs[place]) if place < len(logprobs) else None
        pieces.append((text, _said(waiting, logprob), logprob))
        waiting = []
    return pieces


def _said(ids: Sequence[int], logprob: float | None) -> str:
    name = "token " + " ".join(map(str, ids))
    return name if logprob is None else f"{name}: probability {math.exp(logprob):.1%}, log-prob {logprob:.3f}"
