"""From conversations to sequences that the learner can train on: rendered once, weighted by the step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from halyard.cluster.types import TrainSequence
from halyard.data.chat import to_chat
from halyard.errors import DataError

if TYPE_CHECKING:
    from halyard.data.types import Row
    from model.render import Renderer

CACHE_BYTES = 512 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A rendered row: `token_ids` and `loss_mask` are [tokens]; the images as in `TrainSequence`."""

    token_ids: np.ndarray
    loss_mask: np.ndarray
    pixel_values: np.ndarray | None
    image_grids: np.ndarray | None = None

    @property
    def bytes(self) -> int:
        """Memory that its arrays take."""
        pixels = 0 if self.pixel_values is None else self.pixel_values.nbytes
        return self.token_ids.nbytes + self.loss_mask.nbytes + pixels


class Conversations:
    """Renders rows, and keeps what was rendered, since the same row comes again in each epoch.

    Once the cache is full it stays as it is: every row comes once an epoch, so that whatever is in it is
    as good as what might replace it.
    """

    def __init__(self, renderer: Renderer, *, window: int, cache_bytes: int = CACHE_BYTES) -> None:
        self._renderer = renderer
        self._window = window
        self._cache: dict[str, Conversation] = {}
        self._room = cache_bytes

    def render(self, row: Row) -> Conversation:
        """The row in tokens; only what the assistant says is learnt, its reasoning and end of turn included.

        Raises:
            DataError: the row is too long (it is never cut), has nothing to learn, or an image does not open.
        """
        if row.id in self._cache:
            return self._cache[row.id]
        thinking = row.messages[-1].reasoning is not None
        rendered = self._renderer.conversation(to_chat(row.messages), thinking=thinking)
        tokens, learnt = len(rendered.token_ids), int(rendered.loss_mask.sum())
        if tokens > self._window:
            raise DataError(f"{_place(row)} has {tokens} tokens, more than the {self._window} that a pack holds")
        if not learnt:
            raise DataError(f"{_place(row)} has no token of the assistant to learn from")
        conversation = Conversation(
            token_ids=rendered.token_ids,
            loss_mask=rendered.loss_mask,
            pixel_values=rendered.pixel_values,
            image_grids=rendered.image_grids,
        )
        if conversation.bytes <= self._room:
            self._room -= conversation.bytes
            self._cache[row.id] = conversation
        return conversation


def to_sequences(conversations: Sequence[Conversation]) -> list[TrainSequence]:
    """One sequence a conversation; each learnt token counts 1 / (learnt tokens of them all), so the loss is a mean."""
    learnt = sum(int(one.loss_mask.sum()) for one in conversations)
    return [
        TrainSequence(
            token_ids=one.token_ids,
            loss_mask=one.loss_mask,
            weights=one.loss_mask.astype(np.float32) / np.float32(learnt),
            pixel_values=one.pixel_values,
            image_grids=one.image_grids,
        )
        for one in conversations
    ]


def _place(row: Row) -> str:
    return f"row {row.id} ({row.source})" if row.source else f"row {row.id}"
