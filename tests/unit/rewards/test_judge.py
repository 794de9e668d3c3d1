"""The judge's HTTP client against a real server on this machine."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.utils import formatdate
from typing import Any

import pytest
from support.judge_server import Reply, Server, judge_server, says

from configs.rewards import JudgeTerm
from halyard.data.judge_prompt import consistency_messages
from halyard.errors import ConfigError
from rewards import judge as module
from rewards.judge import HttpJudge, read_reply
from rewards.sample import Judgement, Sample


@pytest.fixture(autouse=True)
def _no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.01)


def sample(number: int = 5) -> Sample:
    return Sample(
        prompt="2+3?",
        response=f"<think>so {number}.</think>\\boxed{{{number}}}",
        reasoning=f"so {number}.",
        answer=f"\\boxed{{{number}}}",
        reference="5",
        task="math",
        thinking=True,
    )


@asynccontextmanager
async def asking(answer: Callable[[int, str], Reply], **term: Any) -> AsyncIterator[tuple[Server, Callable[..., Any]]]:
    with judge_server(answer) as server:
        judge = HttpJudge(JudgeTerm(url=server.url, **{"timeout": 2.0, "retries": 3, **term}))
        try:
            yield server, lambda *samples: judge.ask(samples, "consistency")
        finally:
            await judge.close()


@pytest.mark.parametrize(
    ("reply", "score"),
    [("yes", 1), ("No", 0), (" YES.\n", 1), ("no!", 0), ("yes and no", None), ("", None), ("Yes, it does", None),
     ("I would say yes", None), ("1", None), ("null", None)],
)  # fmt: skip
def test_only_yes_and_no_are_answers(reply: str, score: float | None) -> None:
    assert read_reply(reply).score == score


async def test_the_judge_is_asked_in_the_words_it_was_trained_on() -> None:
    async with asking(lambda n, text: says("yes" if "so 5." in text else "no"), model="tiny") as (server, ask):
        assert [one.score for one in await ask(sample(5), sample(6))] == [1.0, 0.0]
    contents = sorted(one["messages"][0]["content"] for one in server.asked)
    assert contents == [consistency_messages("so 5.", "5"), consistency_messages("so 6.", "6")]
    assert {(one["model"], one["temperature"], one["path"]) for one in server.asked} == {
        ("tiny", 0, "/v1/chat/completions")
    }


async def test_the_same_question_is_asked_once() -> None:
    async with asking(lambda n, text: says("yes")) as (server, ask):
        assert [one.score for one in await ask(sample(), sample(), sample(6))] == [1.0, 1.0, 1.0]
        assert [one.score for one in await ask(sample())] == [1.0]
        assert len(server.asked) == 2


async def test_a_failure_is_asked_about_again() -> None:
    async with asking(lambda n, text: says("maybe" if n == 0 else "yes")) as (_, ask):
        assert [one.score for one in await ask(sample())] == [None]
        assert [one.score for one in await ask(sample())] == [1.0]


HTML = "<html><body>Please log in</body></html>"


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (says("perhaps"), "the judge said neither yes nor no: 'perhaps'"),
        (says(None), "the judge answered no completion"),
        (says({"verdict": "yes"}), "the judge answered no completion"),
        (Reply(body=HTML), f"the judge answered no JSON: {HTML!r}"),
        (Reply(body={"choices": []}), "the judge answered no completion"),
        (Reply(body=["yes"]), "the judge answered no completion"),
        (Reply(body={"error": "no such model"}), "the judge answered no completion"),
        (Reply(status=401, body={"error": "wrong key"}), "the judge answered 401"),
        (Reply(status=404, body=HTML), "the judge answered 404"),
        (Reply(status=302, body=HTML, headers={"location": "/login"}), "the judge answered 302"),
    ],
)
async def test_what_is_no_verdict_fails_at_once(reply: Reply, said: str) -> None:
    async with asking(lambda n, text: reply) as (server, ask):
        (judgement,) = await ask(sample())
    assert judgement.score is None
    assert judgement.reason.startswith(said)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "reply", [Reply(status=429), Reply(status=503, body=HTML), Reply(status=500), Reply(body=None)]
)
async def test_what_passes_is_tried_again(reply: Reply) -> None:
    async with asking(lambda n, text: says("yes") if n == 2 else reply) as (server, ask):
        assert [one.score for one in await ask(sample())] == [1.0]
    assert len(server.asked) == 3


@pytest.mark.parametrize("reply", [Reply(status=429), Reply(status=503), Reply(body=None)])
async def test_an_outage_fails_after_all_tries(reply: Reply) -> None:
    async with asking(lambda n, text: reply) as (server, ask):
        (judgement,) = await ask(sample())
    assert judgement.score is None
    assert "tries: 3" in judgement.reason
    assert len(server.asked) == 3


@pytest.mark.parametrize("as_date", [False, True])
async def test_retry_after_is_honoured(as_date: bool) -> None:
    def answer(n: int, text: str) -> Reply:
        wait = formatdate(time.time() + 2, usegmt=True) if as_date else "1"
        return says("yes") if n else Reply(status=429, headers={"retry-after": wait})

    async with asking(answer, timeout=5.0) as (_, ask):
        began = time.monotonic()
        assert [one.score for one in await ask(sample())] == [1.0]
        assert time.monotonic() - began >= 0.9


async def test_a_wait_beyond_the_deadline_is_not_begun() -> None:
    async with asking(lambda n, text: Reply(status=429, headers={"retry-after": "3600"})) as (_, ask):
        began = time.monotonic()
        (judgement,) = await ask(sample())
        assert judgement[:2] == (None, "the judge answered 429 (tries: 1)")
        assert time.monotonic() - began < 2


async def test_a_silent_judge_fails_in_time() -> None:
    async with asking(lambda n, text: Reply(pause=30), timeout=0.2, retries=2) as (_, ask):
        began = time.monotonic()
        (judgement,) = await ask(sample())
        assert judgement.score is None
        assert "did not answer in time" in judgement.reason
        assert time.monotonic() - began < 2


async def test_nobody_listening_is_a_failure() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        judge = HttpJudge(JudgeTerm(url=f"http://127.0.0.1:{free.getsockname()[1]}/v1", retries=2))
        (judgement,) = await judge.ask([sample()], "consistency")
        await judge.close()
    assert judgement.score is None
    assert "out of reach" in judgement.reason


async def test_no_more_questions_at_once_than_allowed() -> None:
    async with asking(lambda n, text: Reply(**vars(says("yes")) | {"pause": 0.03}), concurrency=3) as (server, ask):
        judgements: list[Judgement] = await ask(*map(sample, range(20)))
    assert all(one.score == 1.0 for one in judgements)
    assert 1 <= server.most_at_once <= 3


async def test_the_key_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUDGE_KEY", "secret")
    async with asking(lambda n, text: Reply(status=403, body="no"), api_key_env="JUDGE_KEY") as (server, ask):
        (judgement,) = await ask(sample())
    assert server.keys == ["Bearer secret"]
    assert "secret" not in judgement.reason


@pytest.mark.parametrize(
    ("term", "said"),
    [
        ({"url": None}, "no endpoint to ask"),
        ({"url": "localhost:8000"}, "expected one like"),
        ({"url": "http://[::1"}, "the judge's url"),
        ({"url": "http://x/v1", "api_key_env": "NO_SUCH_KEY"}, "NO_SUCH_KEY, which is not set"),
    ],
)
async def test_a_wrong_term_is_refused(term: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        HttpJudge(JudgeTerm(**term))


async def test_a_cancelled_question_leaves_the_judge_usable() -> None:
    async with asking(lambda n, text: Reply(pause=30) if n == 0 else says("no"), concurrency=1) as (_, ask):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ask(sample()), 0.1)
        assert [one.score for one in await ask(sample())] == [0.0]
