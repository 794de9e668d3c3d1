"""One side of a comparison: a snapshot that is asked, and its answers as they come."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from nicegui import ui
from starlette.responses import JSONResponse, Response

from halyard.errors import HalyardError
from serving.dashboard.parts import card, chip, div, number, text
from serving.dashboard.view import View
from serving.exchange import Exchange, current
from serving.schema import ChatBody

_ROUTE = "/v1/chat/completions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What both sides are asked."""

    text: str
    image: str | None
    thinking: bool
    temperature: float
    tokens: int
    seed: int

    def body(self, model: str) -> ChatBody:
        """The request that an OpenAI client would send."""
        picture = [{"type": "image_url", "image_url": {"url": self.image}}] if self.image else []
        return ChatBody.model_validate(
            {
                "model": model,
                "messages": [{"role": "user", "content": [*picture, {"type": "text", "text": self.text}]}],
                "thinking": self.thinking,
                "temperature": self.temperature,
                "max_tokens": self.tokens,
                "seed": self.seed,
                "stream": True,
                "stream_options": {"include_usage": True},
            }
        )


class Conversation:
    """A column: which snapshot, what it was asked, and what it answered."""

    def __init__(self, view: View, names: tuple[str, ...], chosen: str) -> None:
        self._view = view
        with card("", width=6) as head:
            with head:
                self._model = ui.select(list(names), value=chosen).props("dense outlined options-dense")
                self._model.classes("grow").props("aria-label=snapshot")
            self._talk = div("talk")
        self.clear()

    def offer(self, names: tuple[str, ...]) -> None:
        """Other snapshots to choose from."""
        if list(names) != self._model.options:
            self._model.set_options(list(names), value=self._model.value)

    def clear(self) -> None:
        """Forget what was said."""
        self._talk.clear()
        with self._talk:
            self._hint = text("Its answers stand here: the exact version, its reasoning apart, and how fast it was.")
            self._hint.classes("faint small")

    async def ask(self, asked: Asked) -> None:
        """Show the answer as it comes, or why there is none."""
        self._hint.set_visibility(False)
        with self._talk:
            with div("bubble mine"):
                if asked.image:
                    ui.html(f'<img src="{asked.image}" alt="your image">', sanitize=True)
                text(asked.text, "wrap")
            answer = _Answer()
        try:
            await self._stream(asked, answer)
        except HalyardError as error:
            answer.fail(str(error))
        except ValueError as error:
            answer.fail(f"this cannot be asked: {error}")

    async def _stream(self, asked: Asked, answer: _Answer) -> None:
        """Ask the way the HTTP route does, under the page's own key, counted like any request."""
        from serving.routes.openai import chat  # imports vLLM

        exchange = Exchange(id=secrets.token_hex(16), method="POST", path=_ROUTE, caller=self._view.caller)
        token = current.set(exchange)
        if not self._view.may("consume"):
            raise HalyardError(f"the key {self._view.caller.name} lacks the scope consume")
        try:
            request = Request({"type": "http", "method": "POST", "path": _ROUTE, "headers": []}, _stays)
            response = await chat(asked.body(self._model.value), request, self._view.desk.service, exchange)
            exchange.status = 200
            async for event in _events(response):
                answer.add(event)
            answer.end(exchange)
        finally:
            current.reset(token)
            self._view.desk.service.ended(exchange, _ROUTE)


class _Answer:
    """One answer in the talk: reasoning, text, and what is known of it."""

    def __init__(self) -> None:
        self._thought, self._said, self._version = "", "", ""
        self._start = time.monotonic()
        with div("bubble theirs stack").style("gap: 6px") as self._box:
            self._thinking = text("", "thought wrap")
            self._text = text("", "wrap").style("font-size: 15px")
            self._spin = ui.spinner("dots", size="26px")
            self._foot = div("bits small faint num")
        self._thinking.set_visibility(False)

    def add(self, event: dict[str, Any]) -> None:
        """Take in an event of the stream."""
        if "error" in event:
            raise HalyardError(event["error"]["message"])
        self._version = event.get("model") or self._version
        for choice in event.get("choices", ()):
            delta = choice.get("delta") or choice.get("message") or {}
            self._thought += delta.get("reasoning_content") or ""
            self._said += delta.get("content") or ""
        self._thinking.set_text(self._thought)
        self._thinking.set_visibility(bool(self._thought))
        self._text.set_text(self._said)

    def end(self, exchange: Exchange) -> None:
        """Say which version it was, and how fast."""
        self._spin.delete()
        if not self._said:
            self._text.set_text("(it ended within its reasoning)" if self._thought else "(no text)")
            self._text.classes("faint")
        seconds = time.monotonic() - self._start
        with self._foot:
            chip(self._version, "accent")
            text(f"{exchange.tokens} tokens in {number(seconds, 2)} s")
            if exchange.first_token is not None:
                text(f"first after {number(exchange.first_token - exchange.start, 2)} s")
            if exchange.waited and exchange.waited > 0.05:
                text(f"waited {number(exchange.waited, 2)} s for other weights")

    def fail(self, reason: str) -> None:
        """Say why there is no answer, or why it broke off."""
        self._spin.delete()
        with self._box:
            chip("no answer", "bad")
            text(reason, "wrap soft")


async def _events(response: Response) -> AsyncIterator[dict[str, Any]]:
    """The events of a stream; a whole answer as its only one."""
    if isinstance(response, JSONResponse):
        yield json.loads(bytes(response.body))
        return
    stream: Any = response
    async for event in stream.body_iterator:
        data = str(event).removeprefix("data: ").strip()
        if data and data != "[DONE]":
            yield json.loads(data)


async def _stays() -> dict[str, Any]:
    """A client that does not go away."""
    await asyncio.Event().wait()
    return {"type": "http.disconnect"}
