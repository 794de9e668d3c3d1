"""Work for a client that may go before it is done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from starlette.types import Receive

from serving.errors import Refusal

T = TypeVar("T")


async def unless_gone(work: Awaitable[T], receive: Receive) -> T:
    """The result of some work, which is given up when the client has gone.

    The work goes on in this very task, and another looks after the client: with many requests at a time, each step
    from task to task waits for all the others.

    Raises:
        Refusal: the client has gone.
    """
    task = asyncio.current_task()
    watch = asyncio.create_task(_disconnected(receive))
    working = True

    def stop(_: asyncio.Task[None]) -> None:
        if working and task is not None and not watch.cancelled():
            task.cancel()

    watch.add_done_callback(stop)
    try:
        return await work
    except asyncio.CancelledError:
        # Whoever else cancelled the task as well wants more than an end to the work.
        if watch.done() and task is not None and not task.uncancel():
            raise Refusal(499, "the client has gone", code="client_gone") from None
        raise
    finally:
        working = False
        watch.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue
