from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from serving.deadline import InTime


class Source:
    """Three events, of which only the first `ready` come; `ended` is how the wait for another ended."""

    def __init__(self, ready: int) -> None:
        self.ready = ready
        self.ended = ""

    async def events(self) -> AsyncGenerator[str, None]:
        try:
            for number in range(3):
                if number >= self.ready:
                    await asyncio.Event().wait()
                yield str(number)
        except asyncio.CancelledError:
            self.ended = "cancelled"
            raise


def soon(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


async def test_all_events_come_in_time_and_the_timer_goes() -> None:
    with InTime(Source(3).events(), soon(0.05)) as events:
        assert [await events.next() for _ in range(4)] == ["0", "1", "2", None]
    await asyncio.sleep(0.1)  # nothing is left that could cancel this task


async def test_who_waits_too_long_is_told_and_goes_on() -> None:
    source = Source(1)
    with InTime(source.events(), soon(0.05)) as events:
        assert await events.next() == "0"
        with pytest.raises(TimeoutError):
            await events.next()
        with pytest.raises(TimeoutError):
            await events.next()
    assert source.ended == "cancelled"
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_time_that_passes_between_events_counts() -> None:
    with InTime(Source(3).events(), soon(0.02)) as events:
        assert await events.next() == "0"
        await asyncio.sleep(0.05)
        with pytest.raises(TimeoutError):
            await events.next()


async def test_a_task_that_is_cancelled_by_another_stays_so() -> None:
    async def follow() -> None:
        with InTime(Source(0).events(), soon(30)) as events:
            await events.next()

    task = asyncio.create_task(follow())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
