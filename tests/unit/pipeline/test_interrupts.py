"""Ctrl-C once finishes the step, twice stops at once."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from halyard.errors import Interrupted
from halyard.pipeline.interrupts import Interrupts


async def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    await asyncio.sleep(0.01)


async def test_once_between_steps_is_left_to_the_trainer() -> None:
    told: list[str] = []
    interrupts, steps = Interrupts(told.append), 0

    async def work() -> None:
        nonlocal steps
        with interrupts.handled(), interrupts.in_steps():
            while not interrupts.stop.is_set():
                steps += 1
                if steps == 3:
                    await press()

    with pytest.raises(Interrupted, match="last step"):
        await work()
    assert steps == 3
    assert "finishing this step" in told[0]


async def test_twice_stops_at_once() -> None:
    interrupts = Interrupts(lambda _: None)

    async def work() -> None:
        with interrupts.handled(), interrupts.in_steps():
            asyncio.get_running_loop().call_later(0.01, os.kill, os.getpid(), signal.SIGINT)
            asyncio.get_running_loop().call_later(0.02, os.kill, os.getpid(), signal.SIGINT)
            await asyncio.sleep(30)

    with pytest.raises(Interrupted, match="at once"):
        await asyncio.create_task(work())


async def test_once_where_there_are_no_steps_stops_at_once() -> None:
    interrupts = Interrupts(lambda _: None)
    cleaned = False

    async def work() -> None:
        nonlocal cleaned
        with interrupts.handled():
            asyncio.get_running_loop().call_later(0.01, os.kill, os.getpid(), signal.SIGINT)
            try:
                await asyncio.sleep(30)
            finally:
                await asyncio.sleep(0.01)
                cleaned = True

    with pytest.raises(Interrupted):
        await asyncio.create_task(work())
    assert cleaned
