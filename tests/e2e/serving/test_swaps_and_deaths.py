"""A service under load: its weights are swapped, its engine is killed, and it is told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import openai
import psutil
import pytest
from support.serving_load import SEEDS, Seen, ask, load
from support.serving_process import Server, make_run, serving

SETTINGS = "engine: {max_model_len: 512, max_num_seqs: 32, kv_cache_gib: 0.25}\n"
VERSIONS = ("01-a", "02-b", "03-c")
SECONDS = float(os.environ.get("HALYARD_LOAD_SECONDS", "12"))
"""How long the weights are swapped under load."""
EVERY = float(os.environ.get("HALYARD_SWAP_SECONDS", "2"))


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    run: Path = make_run(tmp_path_factory.mktemp("runs") / "tiny", VERSIONS)
    with serving(run, tmp_path_factory.mktemp("service"), settings=SETTINGS) as server:
        yield server


async def test_weights_are_swapped_under_load_and_nothing_fails_or_mixes(server) -> None:
    for version in VERSIONS:
        server.ask("POST", f"/v1/snapshots/tiny@{version}/promote", json={})
    reference = Seen()
    async with server.async_client() as client:
        for version in VERSIONS:
            for seed in range(SEEDS):
                await ask(client, f"tiny@{version}", seed, stream=False, seen=reference)
    expected = {(version, seed): text for version, seed, text in reference.answers}
    assert len(expected) == len(reference.answers) == len(VERSIONS) * SEEDS

    until, seen, swaps = asyncio.Event(), Seen(), server.engines()["swaps"]["count"]
    working = asyncio.create_task(load(server, "tiny@stable", until, seen))
    end, turn = time.monotonic() + SECONDS, 0
    while time.monotonic() < end or turn < len(VERSIONS):
        await asyncio.sleep(EVERY)
        turn += 1
        path = f"/v1/snapshots/tiny@{VERSIONS[turn % len(VERSIONS)]}/promote"
        promoted = await asyncio.to_thread(server.ask, "POST", path, json={"why": "test"}, timeout=60)
        assert promoted.status_code == 200, promoted.text
    until.set()
    await working

    assert seen.failed == []
    assert seen.mixed == 0
    wrong = [key for key in seen.answers if expected[key[0], key[1]] != key[2]]
    assert wrong == []
    answered = Counter(version for version, _, _ in seen.answers.elements())
    assert len(answered) == len(VERSIONS)
    engines = server.engines()["swaps"]
    assert engines["count"] - swaps >= turn
    last = engines["last"][-turn:]
    print(
        f"{sum(answered.values())} answers, {turn} promotions, {engines['count'] - swaps} swaps; worst load "
        f"{max(swap['load'] for swap in last):.3f} s, worst drain {max(swap['drain'] for swap in last):.3f} s, worst "
        f"wait {engines['worst_wait']:.3f} s, slowest answer {seen.slowest:.3f} s"
    )
    assert engines["worst_wait"] < 10


async def test_a_killed_engine_comes_back_and_only_streams_that_had_begun_break(server) -> None:
    until, whole = asyncio.Event(), Seen()
    server.ask("POST", "/v1/snapshots/tiny@01-a/promote", json={})
    (pid,) = server.engine_pids()
    working = asyncio.create_task(load(server, "tiny@stable", until, whole, streams=False))
    async with server.async_client() as client:
        begun = await asyncio.gather(*(long_stream(client) for _ in range(4)))
        os.kill(pid, signal.SIGKILL)
        killed = time.monotonic()
        for stream in begun:
            with pytest.raises(openai.APIError, match="the answer broke off"):
                _ = [chunk async for chunk in stream]
    while server.ask("GET", "/readyz", key=None).status_code != 200:
        assert server.ask("GET", "/healthz", key=None).status_code == 200
        assert time.monotonic() - killed < 60
        await asyncio.sleep(0.2)
    back, answered = time.monotonic() - killed, whole.answers.total()
    await asyncio.sleep(1)
    until.set()
    await working
    print(f"back after {back:.1f} s; {whole.answers.total()} whole answers, {len(begun)} streams broke")
    assert whole.failed == []
    assert whole.answers.total() > answered
    assert server.engines()["restarts"] == 1


async def long_stream(client: openai.AsyncOpenAI) -> AsyncIterator[Any]:
    """An answer of 400 tokens that has begun."""
    options = {"messages": [{"role": "user", "content": "How many?"}], "extra_body": {"ignore_eos": True}}
    stream = await client.chat.completions.create(model="tiny@stable", stream=True, max_tokens=400, **options)
    chunks = aiter(stream)
    await anext(chunks)
    return chunks


async def test_the_service_finishes_what_it_began_and_leaves_nothing_behind(server) -> None:
    """The last test: the service is gone after it."""
    family = psutil.Process(server.process.pid).children(recursive=True)
    options = {"messages": [{"role": "user", "content": "How many?"}], "extra_body": {"ignore_eos": True}}
    async with server.async_client() as client:
        stream = await client.chat.completions.create(model="tiny@01-a", stream=True, n=16, max_tokens=400, **options)
        chunks = aiter(stream)
        await anext(chunks)
        server.process.send_signal(signal.SIGTERM)
        body = {"model": "tiny@01-a", "messages": [{"role": "user"}], "max_tokens": 1}
        while (refused := server.ask("POST", "/v1/chat/completions", json=body)).status_code == 200:
            continue
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        assert server.ask("GET", "/readyz", key=None).status_code == 503
        reasons = [choice.finish_reason async for chunk in chunks for choice in chunk.choices]
    assert reasons.count("length") == 16
    assert await asyncio.to_thread(server.process.wait, 30) == 0
    _, alive = psutil.wait_procs(family, timeout=5)
    assert alive == []
