"""From a request to its answer: wait for an engine, ask it, and try once more where it died before it said a word."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from vllm.entrypoints.serve import create_error_response
from vllm.entrypoints.serve.engine.protocol import ErrorResponse
from vllm.v1.engine.exceptions import EngineGenerateError

from halyard.errors import DataError, HalyardError
from serving.catalogue import Snapshot
from serving.deadline import InTime
from serving.engine import Frontend
from serving.errors import Refusal
from serving.exchange import Exchange
from serving.gone import unless_gone
from serving.service import Service
from serving.slots import Slot

log = logging.getLogger("halyard.serving")

Ask = Callable[[Frontend], Awaitable[Any]]
_TRIES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One request for an engine: `ask` calls the engine's vLLM; `sequences` is the number of answers."""

    snapshot: Snapshot
    sequences: int
    ask: Ask


class _Died(Exception):
    """The engine died before anything of the answer was sent."""


async def respond(service: Service, job: Job, exchange: Exchange, receive: Receive) -> Response:
    """The answer to a request, whole or as a stream whose first token is there.

    Raises:
        Refusal: there is no answer; the client is told why.
    """
    deadline = asyncio.get_running_loop().time() + service.config.limits.request_seconds
    stack = AsyncExitStack()
    try:
        stack.enter_context(service.admitted(exchange))
        answer = await unless_gone(_begin(service, job, exchange, stack, deadline), receive)
    except BaseException:
        await stack.aclose()
        raise
    if isinstance(answer, dict):
        await stack.aclose()
        service.answered.note(answer["id"], job.snapshot.id)
        # Log-probs of a policy that diverged are no numbers; in streams vLLM writes null, too.
        return Response(to_json(answer, inf_nan_mode="null"), media_type="application/json")
    return Stream(_rest(service, job, exchange, answer, stack, deadline))


class Stream(StreamingResponse):
    """Server-sent events; whatever ends it, the engine is told at once."""

    def __init__(self, events: AsyncGenerator[str, None]) -> None:
        super().__init__(events, media_type="text/event-stream", headers={"cache-control": "no-cache"})
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream."""
        async with aclosing(self._events):
            await super().__call__(scope, receive, send)


async def _begin(service: Service, job: Job, exchange: Exchange, stack: AsyncExitStack, deadline: float) -> Any:
    """A whole body, or a stream's first event with the rest of it; what it holds is left on the stack."""
    for attempt in range(_TRIES):
        async with AsyncExitStack() as attempted:
            asked = time.monotonic()
            slot = await attempted.enter_async_context(service.pool.lease(job.snapshot, job.sequences))
            exchange.waited = (exchange.waited or 0.0) + time.monotonic() - asked
            try:
                async with asyncio.timeout_at(deadline):
                    answer = await _ask(job, slot, attempted)
            except TimeoutError:
                raise _too_slow(service) from None
            except _Died:
                exchange.retries += attempt == 0
                exchange.tokens = exchange.prompt_tokens = 0
                continue
            stack.push_async_exit(attempted.pop_all())
            return answer
    raise Refusal(503, "the engine died twice over this request; try again", code="engine_died", retry_after=5)


async def _ask(job: Job, slot: Slot, stack: AsyncExitStack) -> Any:
    """What the engine answers, or a stream's first event with the rest of it."""
    try:
        answer = await job.ask(slot.engine.frontend_of(job.snapshot))
        if isinstance(answer, ErrorResponse):
            raise _refusal(answer.error.code, answer.error.message, answer.error.param)
        if isinstance(answer, dict):
            return answer
        await stack.enter_async_context(aclosing(answer))
        first = await anext(answer)
    except (Refusal, TimeoutError):
        raise
    except DataError as error:
        raise Refusal(400, str(error), param="messages") from None
    except Exception as error:  # vLLM's refusals are of a dozen classes, which it tells apart itself
        raise _told(slot, error) from error
    error = _error_in(first)
    if error is not None:
        if not slot.engine.alive:
            raise _Died
        raise _refusal(error.get("code", 500), error.get("message", ""), error.get("param"))
    return first, answer


def _told(slot: Slot, error: Exception) -> Exception:
    """What an engine's failure, or its refusal of a request, means for the client."""
    if not slot.engine.alive:
        return _Died()
    if isinstance(error, HalyardError):
        return Refusal(500, str(error), code="engine_failed")
    cause = error.__cause__ if isinstance(error, EngineGenerateError) else error
    found = create_error_response(cause if isinstance(cause, Exception) else error).error
    if found.code < 500:
        return _refusal(found.code, found.message, found.param)
    log.error("%s failed on a request", slot.engine.name, exc_info=error)
    return Refusal(500, "the engine failed on this request", code="engine_failed")


async def _rest(
    service: Service, job: Job, exchange: Exchange, answer: Any, stack: AsyncExitStack, deadline: float
) -> AsyncGenerator[str, None]:
    """All events of a stream; where it cannot go on, its last event is the error."""
    first, more = answer
    exchange.first_token = time.monotonic()
    async with stack:
        yield first
        service.answered.note(_id_in(first), job.snapshot.id)
        events = stack.enter_context(InTime(more, deadline))
        while True:
            try:
                event = await events.next()
            except TimeoutError:
                yield _event(exchange, _too_slow(service))
                return
            if event is None:
                return
            if (error := _error_in(event)) is not None:
                yield _event(exchange, _broken(error))
                return
            yield event


def _broken(error: dict[str, Any]) -> Refusal:
    """Why a stream ended before its answer did."""
    reason = error.get("message") if error.get("code", 500) < 500 else "the engine failed"
    message = f"the answer broke off: {reason}; ask again"
    return Refusal(503, message, code="stream_broken")


def _event(exchange: Exchange, refusal: Refusal) -> str:
    exchange.error = refusal.code
    return f"data: {json.dumps(refusal.body)}\n\n"


def _error_in(event: str) -> dict[str, Any] | None:
    """The error that an event carries, as vLLM writes it."""
    if not event.startswith('data: {"error"'):
        return None
    return json.loads(event.removeprefix("data: "))["error"]


def _id_in(event: str) -> str:
    try:
        return str(json.loads(event.removeprefix("data: "))["id"])
    except (ValueError, KeyError):
        return ""


def _too_slow(service: Service) -> Refusal:
    seconds = service.config.limits.request_seconds
    return Refusal(504, f"the answer took longer than {seconds:g} s; ask for fewer tokens", code="request_timeout")


def _refusal(status: int, message: str, param: str | None) -> Refusal:
    """A refusal of vLLM's, in one line."""
    return Refusal(int(status), " ".join(message.split())[:500], param=param)
