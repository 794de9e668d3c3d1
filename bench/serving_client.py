"""Clients that stream chats from an OpenAI server, one after another, and what they measure."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

_TEXTS = ("content", "reasoning", "reasoning_content")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One chat: tokens of its prompt and its answer, seconds to the first text."""

    prompt_tokens: int
    tokens: int
    first: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a number of clients got from one server: tokens a second of all together, and seconds of single chats."""

    tokens_per_second: float
    first_median: float
    first_p90: float

    @classmethod
    def of(cls, answers: Sequence[Answer], seconds: float) -> Load:
        """The figures of chats that took so long altogether."""
        firsts = [answer.first for answer in answers]
        return cls(
            tokens_per_second=sum(answer.tokens for answer in answers) / seconds,
            first_median=statistics.median(firsts),
            first_p90=statistics.quantiles(firsts, n=10)[-1],
        )


async def load(url: str, chats: Sequence[Mapping[str, Any]], clients: int) -> tuple[Load, list[Answer]]:
    """What so many clients get that share these chats among them."""
    left, answers = iter(chats), []
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=120)) as session:
        began = time.perf_counter()
        await asyncio.gather(*(_client(session, url, left, answers) for _ in range(clients)))
        return Load.of(answers, time.perf_counter() - began), answers


async def _client(
    session: aiohttp.ClientSession, url: str, left: Iterator[Mapping[str, Any]], answers: list[Answer]
) -> None:
    for chat in left:
        answers.append(await _ask(session, url, chat))


async def _ask(session: aiohttp.ClientSession, url: str, chat: Mapping[str, Any]) -> Answer:
    """One chat, streamed; only the events until the first text, and the usage, are taken apart."""
    body = {**chat, "stream": True, "stream_options": {"include_usage": True}}
    began = time.perf_counter()
    first, usage = None, b""
    async with session.post(f"{url}/v1/chat/completions", json=body) as response:
        if response.status != 200:
            raise RuntimeError(f"{url} answered {response.status}: {await response.text()}")
        async for line in response.content:
            if first is None and line.startswith(b"data: {") and _has_text(line):
                first = time.perf_counter() - began
            if b'"usage":{' in line:
                usage = line
    if first is None or not usage:
        raise RuntimeError(f"{url} broke a stream off")
    counts = json.loads(usage.removeprefix(b"data: "))["usage"]
    return Answer(prompt_tokens=counts["prompt_tokens"], tokens=counts["completion_tokens"], first=first)


def _has_text(line: bytes) -> bool:
    choices = json.loads(line.removeprefix(b"data: "))["choices"]
    return any(choice["delta"].get(name) for choice in choices for name in _TEXTS)
