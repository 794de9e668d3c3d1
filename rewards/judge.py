"""A model as judge: asked over HTTP, answering yes or no; whatever else happens is a failure, never a no."""

from __future__ import annotations

import asyncio
import email.utils
import json
import os
import random
import time
from collections.abc import Sequence
from typing import Any, Literal, Protocol

import httpx2

from configs.rewards import JudgeTerm
from halyard.data.judge_prompt import consistency_messages
from halyard.errors import ConfigError
from rewards.sample import Judgement, Sample, brief
from rewards.structure import last_boxed

Criterion = Literal["consistency"]
LONGEST_REPLY = 8
"""Tokens of a judge's reply: yes or no."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 20.0
"""Seconds between tries: doubled each time, and shortened by chance so that questions do not return together."""
TRANSIENT = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
REMEMBERED = 50_000


class Judge(Protocol):
    """Anyone who can be asked about samples."""

    async def ask(self, samples: Sequence[Sample], criterion: Criterion) -> list[Judgement]:
        """One judgement a sample: 1 for yes, 0 for no, failed where there was no clear answer."""
        ...


def question(sample: Sample, criterion: Criterion) -> str:
    """What a judge is asked of a sample: the wording that it was trained on."""
    assert criterion == "consistency"
    return consistency_messages(sample.reasoning or "", last_boxed(sample.answer) or sample.answer)


def read_reply(reply: str) -> Judgement:
    """1 for yes, 0 for no, and failed for anything else.

    >>> read_reply(" Yes. ").score
    1.0
    """
    word = reply.strip().rstrip(".!").casefold()
    if word not in ("yes", "no"):
        return Judgement(None, f"the judge said neither yes nor no: {brief(reply)!r}")
    return Judgement(float(word == "yes"), f"the judge said {word}")


class _Unanswered(Exception):
    """A try without an answer; `again` says after how many seconds it is worth another, None for never."""

    def __init__(self, reason: str, again: float | None = None) -> None:
        super().__init__(reason)
        self.again = again


class HttpJudge:
    """A judge behind an OpenAI-compatible endpoint.

    At most `term.concurrency` questions are under way; each is tried `term.retries` times, and has
    `term.timeout` seconds a try in all, pauses included. The same question is asked once.
    """

    def __init__(self, term: JudgeTerm) -> None:
        """Prepare a client; nothing is sent yet.

        Raises:
            ConfigError: the term has no URL or a wrong one, or the variable for its key is not set.
        """
        if term.url is None:
            raise ConfigError("a judge term without url has no endpoint to ask")
        self._term = term
        self._url = _endpoint(term.url)
        self._turn = asyncio.Semaphore(term.concurrency)
        self._known: dict[str, Judgement] = {}
        limits = httpx2.Limits(max_connections=term.concurrency, max_keepalive_connections=term.concurrency)
        self._client = httpx2.AsyncClient(headers=_headers(term), timeout=term.timeout, limits=limits)

    async def ask(self, samples: Sequence[Sample], criterion: Criterion) -> list[Judgement]:
        """The judgements on samples; an endpoint that does not answer makes them failed."""
        questions = [question(sample, criterion) for sample in samples]
        new = [text for text in dict.fromkeys(questions) if text not in self._known]
        answered = dict(zip(new, await asyncio.gather(*map(self._answer, new)), strict=True))
        found = [answered.get(text) or self._known[text] for text in questions]
        if len(self._known) > REMEMBERED:
            self._known.clear()
        self._known.update({text: one for text, one in answered.items() if one.score is not None})
        return found

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _answer(self, text: str) -> Judgement:
        async with self._turn:
            try:
                return read_reply(await self._persist(text))
            except _Unanswered as failure:
                return Judgement(None, str(failure))

    async def _persist(self, text: str) -> str:
        """The judge's reply, after as many tries as it may take.

        Raises:
            _Unanswered: none brought an answer.
        """
        end = time.monotonic() + self._term.timeout * self._term.retries
        pause = FIRST_PAUSE
        for attempt in range(1, self._term.retries + 1):
            try:
                return await self._try(text, end - time.monotonic())
            except _Unanswered as failure:
                wait = None if failure.again is None else max(failure.again, pause * random.uniform(0.5, 1.0))
                if wait is None or attempt == self._term.retries or time.monotonic() + wait >= end:
                    raise _Unanswered(f"{failure} (tries: {attempt})") from failure
                await asyncio.sleep(wait)
                pause = min(2 * pause, LONGEST_PAUSE)
        raise AssertionError("the last try returns or raises")

    async def _try(self, text: str, seconds: float) -> str:
        body = {
            "model": self._term.model,
            "messages": [{"role": "user", "content": text}],
            "temperature": 0,
            "max_tokens": LONGEST_REPLY,
        }
        try:
            async with asyncio.timeout(min(seconds, self._term.timeout)):
                response = await self._client.post(self._url, json=body)
        except (TimeoutError, httpx2.TimeoutException):
            raise _Unanswered("the judge did not answer in time", again=0) from None
        except httpx2.HTTPError as error:
            raise _Unanswered(f"the judge is out of reach: {type(error).__name__}: {error}", again=0) from None
        if response.status_code in TRANSIENT:
            raise _Unanswered(f"the judge answered {response.status_code}", again=_retry_after(response))
        if response.status_code != 200:
            raise _Unanswered(f"the judge answered {response.status_code}: {brief(response.text)}")
        return _content(response)


def _endpoint(url: str) -> str:
    try:
        parsed = httpx2.URL(f"{url.rstrip('/')}/chat/completions")
    except httpx2.InvalidURL as error:
        raise ConfigError(f"the judge's url is {url}, which is none: {error}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ConfigError(f"the judge's url is {url}, expected one like http://localhost:8000/v1")
    return str(parsed)


def _headers(term: JudgeTerm) -> dict[str, str]:
    if term.api_key_env is None:
        return {}
    key = os.environ.get(term.api_key_env)
    if not key:
        raise ConfigError(f"the judge's api_key_env names {term.api_key_env}, which is not set: export it")
    return {"Authorization": f"Bearer {key}"}


def _retry_after(response: httpx2.Response) -> float:
    """Seconds that the endpoint asks to be left alone, given as a number or as a date; 0 if it asks nothing."""
    asked = response.headers.get("retry-after", "")
    if asked.isdigit():
        return float(asked)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(asked).timestamp() - time.time())
    except ValueError:
        return 0.0


def _content(response: httpx2.Response) -> str:
    """The reply's text out of a completion.

    Raises:
        _Unanswered: the body is something else, as from a login page that answers everything with 200.
    """
    try:
        body: Any = response.json()
        content = body["choices"][0]["message"]["content"]
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise _Unanswered(f"the judge answered no JSON: {brief(response.text)!r}") from None
    except (KeyError, IndexError, TypeError):
        raise _Unanswered(f"the judge answered no completion: {brief(response.text)!r}") from None
    if not isinstance(content, str):
        raise _Unanswered(f"the judge answered no completion: {brief(response.text)!r}")
    return content
