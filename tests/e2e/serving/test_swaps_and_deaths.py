"""A service under load: its weights are swapped, its engine is killed, and it is told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import openai
import psutil
import pytest
from support.serving_process import Server, make_run, serving

SETTINGS = "engine: {max_model_len: 512, max_num_seqs: 32, kv_cache_gib: 0.25}\n"
VERSIONS = ("01-a", "02-b", "03-c")
SECONDS = float(os.environ.get("HALYARD_LOAD_SECONDS", "12"))
"""How long the weights are swapped under load."""
EVERY = float(os.environ.get("HALYARD_SWAP_SECONDS", "2"))
CLIENTS = 16
SEEDS = 12


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    run: Path = make_run(tmp_path_factory.mktemp("runs") / "tiny", VERSIONS)
    with serving(run, tmp_path_factory.mktemp("service"), settings=SETTINGS) as server:
        yield server


@dataclass
class Seen:
    """What clients saw: answers by version, seed and text; and what failed."""

    answers: Counter[tuple[str, int, str]] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    mixed: int = 0
    slowest: float = 0.0


async def ask(client: openai.AsyncOpenAI, model: str, seed: int, *, stream: bool, seen: Seen) -> None:
    """One answer of 60 tokens, whole or streamed."""
    options = {"messages": [{"role": "user", "content": "How many?"}], "seed": seed, "max_tokens": 60}
    begin = time.monotonic()
    try:
        if stream:
            names, text = set(), ""
            async for chunk in await client.chat.completions.create(model=model, stream=True, **options):
                names.add(chunk.model)
                text += "".join(choice.delta.content or "" for choice in chunk.choices)
            seen.mixed += len(names) > 1
            seen.answers[names.pop(), seed, text] += 1
        else:
            answer = await client.chat.completions.create(model=model, **options)
            seen.answers[answer.model, seed, answer.choices[0].message.content or ""] += 1
    except openai.OpenAIError as error:
        seen.failed.append(f"{type(error).__name__}: {error}")
    seen.slowest = max(seen.slowest, time.monotonic() - begin)


async def load(server: Server, model: str, until: asyncio.Event, seen: Seen, *, clients: int = CLIENTS) -> None:
    """Clients that ask one thing after another, every second one in streams, until they are told to stop."""
    async with server.async_client() as client:

        async def one(number: int) -> None:
            seed = number
            while not until.is_set():
                seed += 1
                await ask(client, model, seed % SEEDS, stream=number % 2 == 0, seen=seen)

        await asyncio.gather(*(one(number) for number in range(clients)))


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
    while time.monotonic() < end:
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
    working = asyncio.create_task(load(server, "tiny@stable", until, whole))
    await asyncio.sleep(2)
    answered = whole.answers.total()
    assert answered > 0
    (pid,) = server.engine_pids()
    os.kill(pid, signal.SIGKILL)
    killed = time.monotonic()
    await asyncio.sleep(0.5)
    while server.ask("GET", "/readyz", key=None).status_code != 200:
        assert server.ask("GET", "/healthz", key=None).status_code == 200
        assert time.monotonic() - killed < 60
        await asyncio.sleep(0.2)
    back = time.monotonic() - killed
    await asyncio.sleep(1)
    until.set()
    await working
    print(f"back after {back:.1f} s; {len(whole.failed)} streams broke: {Counter(whole.failed)}")
    assert whole.answers.total() > answered
    assert len(whole.failed) <= CLIENTS // 2
    assert all("the answer broke off" in failure for failure in whole.failed)
    assert server.engines()["restarts"] == 1


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
