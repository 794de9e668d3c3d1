"""Clients that keep a service busy, and what they see of it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field

import openai
from support.serving_process import Server

CLIENTS = 16
SEEDS = 12


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


async def load(server: Server, model: str, until: asyncio.Event, seen: Seen, *, streams: bool = True) -> None:
    """Clients that ask one thing after another, every second one in `streams`, until they are told to stop."""
    async with server.async_client() as client:

        async def one(number: int) -> None:
            seed = number
            while not until.is_set():
                seed += 1
                await ask(client, model, seed % SEEDS, stream=streams and number % 2 == 0, seen=seen)

        await asyncio.gather(*(one(number) for number in range(CLIENTS)))
