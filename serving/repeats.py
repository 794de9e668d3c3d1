"""Orders that are sent twice and carried out once, by the header `Idempotency-Key`.

Whoever heard no answer to an order sends it again under the same key. The first time it is carried out, after that it
is answered as then, also while the first time still goes on. Another order under a used key is refused. An order that
was refused is forgotten, so that it can be sent again under its key.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from serving.errors import Refusal
from serving.keys import Caller

HEADER = "idempotency-key"
_LONGEST = 255
_KEPT = 1000


@dataclass(frozen=True, slots=True)
class _Done:
    """An order, by the digest of what was asked, and its answer, there already or to come."""

    digest: bytes
    answer: asyncio.Task[Response]


class Repeats:
    """The last orders that had a key. Used from one event loop; a service that starts anew knows none."""

    def __init__(self) -> None:
        self._done: OrderedDict[tuple[Caller | None, str], _Done] = OrderedDict()

    async def once(
        self, caller: Caller | None, key: str, digest: bytes, order: Callable[[], Coroutine[Any, Any, Response]]
    ) -> Response:
        """The answer to an order of this caller, which is carried out only if it was not before.

        Raises:
            Refusal: the key is none, or was used for another order; or the order itself was refused.
        """
        if not (0 < len(key) <= _LONGEST and key.isascii() and key.isprintable()):
            raise Refusal(400, f"an Idempotency-Key has 1 to {_LONGEST} printable characters", code="invalid_key")
        known = self._done.get((caller, key))
        if known is None:
            answer = asyncio.create_task(order())
            self._done[caller, key] = _Done(digest, answer)
            answer.add_done_callback(lambda task: self._settle((caller, key), task))
            return await asyncio.shield(answer)  # who goes before the answer may come back for it
        if known.digest != digest:
            message = "this Idempotency-Key was used for another order; give each order a key of its own"
            raise Refusal(422, message, code="key_used")
        first = await asyncio.shield(known.answer)
        return Response(first.body, first.status_code, {**first.headers, "x-halyard-repeated": "true"})

    def _settle(self, name: tuple[Caller | None, str], task: asyncio.Task[Response]) -> None:
        """Forget an order that was not carried out, and the oldest of too many that were."""
        if task.cancelled() or task.exception() is not None:
            self._done.pop(name, None)  # it may have been the oldest of too many
        while len(self._done) > _KEPT:
            self._done.popitem(last=False)


class OrderRoute(APIRoute):
    """A route whose orders may have a key; what is only read has none."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers a request."""
        handle = super().get_route_handler()

        async def once(request: Request) -> Response:
            key = request.headers.get(HEADER)
            if key is None or request.method == "GET":
                return await handle(request)
            repeats: Repeats = request.app.state.service.repeats
            caller = request.scope["state"]["exchange"].caller
            return await repeats.once(caller, key, await _digest(request), lambda: handle(request))

        return once


async def _digest(request: Request) -> bytes:
    """What tells an order from another."""
    asked = f"{request.method} {request.url.path}?{request.url.query}\n".encode()
    return hashlib.sha256(asked + await request.body()).digest()
