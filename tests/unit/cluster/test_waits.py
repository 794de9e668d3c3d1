from __future__ import annotations

import asyncio
import json

import pytest

from halyard.cluster import waits
from halyard.errors import DeadlineError


async def test_a_wait_is_in_the_table_while_it_lasts():
    async with waits.waiting("engine-0 generate", seconds=5, prompt="sum-17"):
        (wait,) = waits.current()
        assert (wait.name, wait.prompt, wait.seconds) == ("engine-0 generate", "sum-17", 5)
    assert waits.current() == []


async def test_a_deadline_names_what_was_awaited_and_cancels_it():
    cancelled = asyncio.Event()

    async def slow() -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with pytest.raises(DeadlineError, match=r"0\.01 s for engine-0 generate \(prompt sum-17\)"):
        async with waits.waiting("engine-0 generate", seconds=0.01, prompt="sum-17"):
            await slow()
    assert cancelled.is_set()
    assert waits.current() == []


async def test_a_timeout_of_the_block_itself_is_not_taken_for_the_deadline():
    with pytest.raises(TimeoutError, match="inner"):
        async with waits.waiting("learner update", seconds=5):
            raise TimeoutError("inner")


async def test_the_oldest_wait_comes_first():
    async with waits.waiting("first", seconds=5), waits.waiting("second", seconds=5):
        assert [wait.name for wait in waits.current()] == ["first", "second"]


async def test_watch_writes_the_table_and_takes_it_away_again(tmp_path):
    path = tmp_path / "waits.json"
    async with waits.watch(path, every=0.01), waits.waiting("score", seconds=5, prompt="sum-3"):
        async with asyncio.timeout(5):
            while not path.exists() or not json.loads(path.read_text())["waits"]:
                await asyncio.sleep(0.01)
        (wait,) = json.loads(path.read_text())["waits"]
        assert (wait["name"], wait["prompt"]) == ("score", "sum-3")
    assert list(tmp_path.iterdir()) == []
