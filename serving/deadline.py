"""A deadline for all events of a stream together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any


class InTime:
    """Events up to a deadline of the loop's clock, with one timer for all: one for each costs more than an event."""

    def __init__(self, events: AsyncGenerator[str, None], deadline: float) -> None:
        self._events = events
        self._late = False
        self._waits: asyncio.Task[Any] | None = None
        self._timer = asyncio.get_running_loop().call_at(deadline, self._end)

    def __enter__(self) -> InTime:
        """The events; the timer goes with the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is timed any more."""
        self._timer.cancel()

    async def next(self) -> str | None:
        """The next event, or None after the last.

        Raises:
            TimeoutError: it is too late.
        """
        if self._late:
            raise TimeoutError
        self._waits = task = asyncio.current_task()
        try:
            return await anext(self._events, None)
        except asyncio.CancelledError:
            # Whoever else cancelled the task as well wants more than an end to the wait.
            if self._late and task is not None and not task.uncancel():
                raise TimeoutError from None
            raise
        finally:
            self._waits = None

    def _end(self) -> None:
        self._late = True
        if self._waits is not None:
            self._waits.cancel()
