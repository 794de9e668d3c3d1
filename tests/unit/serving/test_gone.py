from __future__ import annotations

import asyncio
from typing import Any

import pytest

from serving.errors import Refusal
from serving.gone import unless_gone


class Client:
    """A client that stays until it is told to go."""

    def __init__(self) -> None:
        self.going = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        await self.going.wait()
        return {"type": "http.disconnect"}


class Work:
    """Work that ends when it is let go on; `ended` is how it did."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.ended = ""

    async def __call__(self) -> str:
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.ended = "given up"
            raise
        self.ended = "done"
        return "answer"


async def test_the_work_of_a_client_that_stays_is_done_and_nobody_watches_on() -> None:
    client, work = Client(), Work()
    work.gate.set()
    assert await unless_gone(work(), client.receive) == "answer"
    client.going.set()
    await asyncio.sleep(0.01)  # what still watched would cancel this task
    assert len(asyncio.all_tasks()) == 1


async def test_the_work_of_a_client_that_goes_is_given_up() -> None:
    client, work = Client(), Work()
    asyncio.get_running_loop().call_later(0.01, client.going.set)
    with pytest.raises(Refusal, match="has gone") as refused:
        await unless_gone(work(), client.receive)
    assert (refused.value.status, work.ended) == (499, "given up")
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_client_that_goes_in_the_moment_of_its_answer_harms_nobody() -> None:
    client, work = Client(), Work()

    def both() -> None:
        client.going.set()
        work.gate.set()

    asyncio.get_running_loop().call_later(0.01, both)
    try:
        assert await unless_gone(work(), client.receive) == "answer"
    except Refusal:
        assert work.ended == "given up"
    await asyncio.sleep(0.01)


async def test_whoever_else_cancels_the_task_has_it_cancelled() -> None:
    client, work = Client(), Work()
    task = asyncio.create_task(unless_gone(work(), client.receive))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.ended == "given up"


async def test_what_the_work_refuses_is_refused() -> None:
    async def refuse() -> None:
        raise Refusal(429, "full")

    with pytest.raises(Refusal, match="full"):
        await unless_gone(refuse(), Client().receive)
