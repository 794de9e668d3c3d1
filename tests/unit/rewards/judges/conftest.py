from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from support.chat_server import Asked, Reply, Server, chat_server

from configs.judge import JudgeTerm
from rewards.judges import breaker, endpoint
from rewards.judges.court import Court
from rewards.judges.judging import JudgeJudging
from rewards.sample import Judgement, Sample


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(breaker, "FIRST_PAUSE", 0.05)


class Bench:
    """A term at work against a server, and the events it told of."""

    def __init__(self, server: Server, court: Court, judging: JudgeJudging, events: list[dict[str, Any]]) -> None:
        self.server, self.court, self.judging, self.events = server, court, judging, events

    async def judge(self, *samples: Sample) -> list[Judgement]:
        return await asyncio.wait_for(self.judging.judge(samples), 20)

    def told(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["kind"] == kind]


@asynccontextmanager
async def _benched(
    answer: Callable[[Asked], Reply], folder: Path | None = None, root: Path = Path(), **term: Any
) -> AsyncIterator[Bench]:
    events: list[dict[str, Any]] = []
    async with chat_server(answer) as server:
        url = term.pop("url", server.url)
        court = Court(folder=folder, root=root, event=lambda kind, **fields: events.append({"kind": kind, **fields}))
        settings = {"rubric": "thinking", "timeout": 2.0, "patience": 5.0, **term}
        try:
            yield Bench(server, court, court.judging(JudgeTerm(url=url, **settings)), events)
        finally:
            await court.close()


@pytest.fixture
def benched() -> Callable[..., Any]:
    """A bench for an `answer` function and the keys of a judge term."""
    return _benched


@pytest.fixture
def sample() -> Callable[..., Sample]:
    """A well-formed response: to think so and box a number, or to answer an open question directly."""

    def make(answer: str | int = 5, *, reasoning: str | None = None, task: Any = "math", **changes: Any) -> Sample:
        thinking = changes.pop("thinking", task == "math")
        said = f"\\boxed{{{answer}}}" if task == "math" else str(answer)
        thought = (reasoning or f"2 + 3 = 5. so {answer}.") if thinking else None
        return Sample(
            prompt=changes.pop("prompt", "What is 2 + 3?"),
            response=f"<think>{thought}</think>{said}" if thinking else said,
            reasoning=thought,
            answer=said,
            reference=changes.pop("reference", "5"),
            task=task,
            thinking=thinking,
            **changes,
        )

    return make
