"""Two engines behind one service: they share the work, one goes on when the other dies, and each can hold a version."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator

import pytest
from support.chats import wait_until
from support.serving_load import CLIENTS, Seen, ask, load
from support.serving_process import Server, make_run, serving

SETTINGS = "engine: {count: 2, max_model_len: 512, max_num_seqs: 16, kv_cache_gib: 0.25}\ndwell_seconds: 0.5\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    run = make_run(tmp_path_factory.mktemp("runs") / "tiny", ("01-a", "02-b"))
    with serving(run, tmp_path_factory.mktemp("service"), settings=SETTINGS) as server:
        wait_until(lambda: held(server) == ["tiny@02-b"] * 2, seconds=120)
        yield server


def held(server: Server) -> list[str | None]:
    """What the engines hold."""
    return [engine["snapshot"] for engine in server.engines()["data"]]


def in_flight(server: Server) -> list[int]:
    """Sequences in each engine."""
    return [engine["in_flight"] for engine in server.engines()["data"]]


async def test_two_engines_share_the_requests_for_one_version(server) -> None:
    until, seen, shares = asyncio.Event(), Seen(), []
    working = asyncio.create_task(load(server, "tiny@latest", until, seen))
    for _ in range(10):
        await asyncio.sleep(0.2)
        shares.append(await asyncio.to_thread(in_flight, server))
    until.set()
    await working
    assert any(min(share) > 0 for share in shares), shares
    assert (seen.failed, seen.mixed) == ([], 0)


async def test_two_versions_in_demand_stay_in_an_engine_each(server) -> None:
    seen = Seen()
    async with server.async_client() as client:
        for version in ("01-a", "02-b"):
            await ask(client, f"tiny@{version}", 0, stream=False, seen=seen)
        assert sorted(held(server)) == ["tiny@01-a", "tiny@02-b"]
        swaps = server.engines()["swaps"]["count"]
        asked = [(f"tiny@{version}", seed) for seed in range(8) for version in ("01-a", "02-b")]
        await asyncio.gather(*(ask(client, model, seed, stream=seed % 2 == 0, seen=seen) for model, seed in asked))
    assert seen.failed == []
    assert {(model, seed) for model, seed, _ in seen.answers} == set(asked)
    assert server.engines()["swaps"]["count"] == swaps


async def test_an_engine_that_lives_takes_over_from_one_that_died_and_no_whole_answer_is_lost(server) -> None:
    """The last test: one engine is still starting when it ends."""
    pids = server.engine_pids()
    number = held(server).index("tiny@02-b")
    until, seen = asyncio.Event(), Seen()
    working = asyncio.create_task(load(server, "tiny@02-b", until, seen, streams=False))
    await asyncio.sleep(1.5)
    before = seen.answers.total()
    os.kill(pids[number], signal.SIGKILL)
    killed = time.monotonic()
    while seen.answers.total() < before + 2 * CLIENTS:  # of the first of these some may have been on their way
        assert time.monotonic() - killed < 15
        await asyncio.sleep(0.05)
    again = time.monotonic() - killed
    until.set()
    await working
    engines = server.engines()
    print(f"{CLIENTS} clients had {2 * CLIENTS} answers within {again:.1f} s of the death")
    assert seen.failed == []
    assert engines["restarts"] == 1
    assert "tiny@02-b" in [engine["snapshot"] for engine in engines["data"] if engine["state"] == "serving"]
