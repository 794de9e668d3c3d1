"""One request to an OpenAI-compatible endpoint: its completion, or why there is none."""

from __future__ import annotations

import asyncio
import email.utils
import json
import os
import time
from typing import Any, NamedTuple

import httpx2

from configs.judge import JudgeEndpoint
from halyard.errors import ConfigError
from rewards.judges.unanswered import Late, Nonsense, Refused, Unanswered
from rewards.sample import brief

TRANSIENT = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
LARGEST = 1 << 20
"""Bytes of a reply that are read."""
_LOCAL = ("127.0.0.1", "localhost", "::1")


class Completion(NamedTuple):
    """A reply: its text, the version that the endpoint reports of itself, and the tokens it counted, if it did."""

    text: str
    version: str
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Wire:
    """Connections to an endpoint."""

    def __init__(self, term: JudgeEndpoint, url: str) -> None:
        """Prepare a client; nothing is sent yet.

        Raises:
            ConfigError: the URL is wrong, or the variable for the key is not set.
        """
        self._url = _address(url)
        limits = httpx2.Limits(max_connections=term.concurrency, max_keepalive_connections=term.concurrency)
        self._client = httpx2.AsyncClient(
            headers=_headers(term),
            timeout=term.timeout,
            limits=limits,
            verify=self._url.scheme == "https",  # reading all certificates takes longer than many an answer
            trust_env=self._url.host not in _LOCAL,  # a proxy of the surroundings does not know this machine
        )
        self._seconds = term.timeout

    async def post(self, body: dict[str, Any]) -> Completion:
        """The completion that the endpoint answers a request with.

        Raises:
            Unanswered: there is none, in one of its kinds.
        """
        try:
            async with asyncio.timeout(self._seconds), self._client.stream("POST", self._url, json=body) as response:
                content = await _read(response)
        except (TimeoutError, httpx2.TimeoutException):
            raise Late(f"no answer within {self._seconds:g} s") from None
        except httpx2.HTTPError as error:
            raise Unanswered(f"out of reach: {type(error).__name__}: {error}", again=0) from None
        if response.status_code in TRANSIENT:
            raise Unanswered(f"it answered {response.status_code}: {_said(content)}", again=_retry_after(response))
        if response.status_code != 200:
            raise Refused(f"it answered {response.status_code}: {_said(content)}", response.status_code)
        return _completion(content)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


async def _read(response: httpx2.Response) -> bytes:
    content = bytearray()
    async for chunk in response.aiter_bytes():
        content += chunk
        if len(content) > LARGEST:
            raise Nonsense(f"it answered more than {LARGEST >> 20} MiB")
    return bytes(content)


def _address(url: str) -> httpx2.URL:
    try:
        parsed = httpx2.URL(f"{url.rstrip('/')}/chat/completions")
    except httpx2.InvalidURL as error:
        raise ConfigError(f"the judge's url is {url}, which is none: {error}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ConfigError(f"the judge's url is {url}, expected one like http://localhost:8000/v1")
    return parsed


def _headers(term: JudgeEndpoint) -> dict[str, str]:
    if term.api_key_env is None:
        return {}
    key = os.environ.get(term.api_key_env)
    if not key:
        raise ConfigError(f"the judge's api_key_env names {term.api_key_env}, which is not set: export it")
    return {"Authorization": f"Bearer {key}"}


def _retry_after(response: httpx2.Response) -> float:
    """Seconds that the endpoint asks to be left alone, given as a number or as a date; 0 if it asks nothing."""
    asked = response.headers.get("retry-after", "")
    try:
        return max(0.0, float(asked))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(asked).timestamp() - time.time())
    except ValueError:
        return 0.0


def _said(content: bytes) -> str:
    """The start of a reply, for people."""
    return brief(content[:500].decode(errors="replace"))


def _completion(content: bytes) -> Completion:
    """The completion in a reply.

    Raises:
        Nonsense: it is something else, as from a login page that answers everything with 200.
    """
    try:
        body: Any = json.loads(content)
        text = body["choices"][0]["message"]["content"]
    except (ValueError, RecursionError):
        raise Nonsense(f"it answered no JSON: {_said(content)!r}") from None
    except (KeyError, IndexError, TypeError):
        raise Nonsense(f"it answered no completion: {_said(content)!r}") from None
    if not isinstance(text, str):
        raise Nonsense(f"it answered no completion: {_said(content)!r}")
    usage = body.get("usage")
    counted = usage if isinstance(usage, dict) else {}
    return Completion(text, _version(body), _count(counted, "prompt_tokens"), _count(counted, "completion_tokens"))


def _version(body: dict[str, Any]) -> str:
    reported = (body.get("model"), body.get("system_fingerprint"))
    return " ".join(brief(one, 80) for one in reported if isinstance(one, str) and one)


def _count(usage: dict[str, Any], name: str) -> int | None:
    count = usage.get(name)
    return count if isinstance(count, int) and 0 <= count < 1 << 40 else None
