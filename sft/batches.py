"""The batches of the steps to come, rendered in a thread while the learner works on the one before."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

from halyard.errors import DataError
from sft.sequences import Conversations, to_sequences

if TYPE_CHECKING:
    from halyard.cluster.types import TrainSequence
    from halyard.data.mixture import Mixture

_PATIENCE = 10  # bad rows for each good one that a step needs, before the data set is given up


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The sequences of one step; `position` is where the stream stands after it; `skipped` says what was left out."""

    sequences: list[TrainSequence]
    position: int
    skipped: tuple[str, ...]


class Batches:
    """Batches in the order of the mixture, one always being rendered ahead, as an async context.

    The stream belongs to the thread while the context is open: its position says what was rendered, not
    what was trained on; that is the batch's own.
    """

    def __init__(
        self, stream: Mixture, conversations: Conversations, *, size: int, on_bad_row: Literal["refuse", "skip"]
    ) -> None:
        self._stream = stream
        self._conversations = conversations
        self._size = size
        self._on_bad_row = on_bad_row
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="render")
        self._ahead: Future[Batch] | None = None

    async def __aenter__(self) -> Self:
        self._ahead = self._thread.submit(self._render)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)

    async def next(self) -> Batch:
        """The next batch; the one after it is already being rendered when this returns.

        Raises:
            DataError: a row cannot be used, and the recipe refuses such rows.
        """
        assert self._ahead is not None, "batches are taken inside `async with`"
        batch = await asyncio.wrap_future(self._ahead)
        self._ahead = self._thread.submit(self._render)
        return batch

    def _render(self) -> Batch:
        """The next `size` rows that can be used."""
        kept, skipped = [], []
        while len(kept) < self._size:
            (row,) = self._stream.take(1)
            try:
                kept.append(self._conversations.render(row))
            except DataError as error:
                if self._on_bad_row == "refuse":
                    raise
                skipped.append(str(error))
                if len(skipped) >= _PATIENCE * self._size:
                    raise DataError(f"{len(skipped)} rows of one step are bad, the last: {error}") from error
        return Batch(sequences=to_sequences(kept), position=self._stream.position, skipped=tuple(skipped))
