"""The gate that every request passes before anything reads it: who asks, how much, how long; and the log of it.

Every path but `/healthz` and `/readyz` asks for a key where there are keys. The dashboard's page comes without one,
as browsers ask for it, and asks for the key itself. Where there are no keys the service listens on loopback, and only
a page from elsewhere in a browser could misuse it: so the host and the origin that a request names must be this
machine too.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
import uuid
from collections.abc import Callable

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from configs.serving import LimitsConfig
from serving.errors import Refusal
from serving.exchange import Exchange, current
from serving.keys import LOCAL, Caller, Keys, is_loopback

access = logging.getLogger("halyard.serving.access")

OPEN = ("/healthz", "/readyz")
_PAGE = ("/", "/favicon.ico")
_PAGE_PARTS = ("/_nicegui/", "/_nicegui_ws/")
_REQUEST_ID = re.compile(r"[\w-]{1,64}", re.ASCII)
Ended = Callable[[Exchange, str], None]


def is_of_page(path: str) -> bool:
    """Whether a path is the dashboard's: the page, what it loads, and the socket that it is updated through."""
    return path in _PAGE or path.startswith(_PAGE_PARTS)


class Gate:
    """Wraps the application."""

    def __init__(self, app: ASGIApp, *, keys: Keys | None, limits: LimitsConfig, ended: Ended) -> None:
        self._app = app
        self._keys = keys
        self._limits = limits
        self._ended = ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = _headers_of(scope)
        exchange = Exchange(id=_request_id(headers), method=scope["method"], path=scope["path"][:200])
        scope.setdefault("state", {})["exchange"] = exchange
        token = current.set(exchange)
        answer = _Answer(exchange, send)
        try:
            exchange.caller = self._caller(scope["path"], headers)
            body = _Body(receive, self._limits, headers)
            await self._app(scope, body.receive, answer.send)
        except Refusal as refusal:
            await answer.refuse(refusal)
        except asyncio.CancelledError:
            exchange.error = exchange.error or "cancelled"
            raise
        except Exception:
            logging.getLogger("halyard.serving").exception("request %s failed", exchange.id)
            await answer.refuse(fault(exchange))
        finally:
            current.reset(token)
            self._end(scope, exchange)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the page's own socket through, and close all others."""
        headers = _headers_of(scope)
        try:
            if not is_of_page(scope["path"]):
                raise Refusal(404, "there is no socket here")
            self._check_page(headers)
        except Refusal:
            await send({"type": "websocket.close", "code": 1008})
            return
        await self._app(scope, receive, send)

    def _check_page(self, headers: dict[str, str]) -> None:
        """Refuse what a page from elsewhere has a browser send to the dashboard."""
        origin = headers.get("origin")
        if self._keys is None:
            _check_local(headers)
        elif origin is not None and origin.partition("://")[2] != headers.get("host"):
            raise Refusal(421, "the dashboard is used from its own page alone", code="wrong_origin")

    def _caller(self, path: str, headers: dict[str, str]) -> Caller | None:
        """Who sends the request.

        Raises:
            Refusal: nobody who may.
        """
        if path in OPEN:
            return None
        if is_of_page(path):
            self._check_page(headers)
            return None
        if self._keys is None:
            _check_local(headers)
            return LOCAL
        kind, _, key = headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not key.strip():
            raise Refusal(401, "send an API key, as `Authorization: Bearer KEY`", code="missing_api_key")
        caller = self._keys.caller(key.strip())
        if caller is None:
            raise Refusal(401, "this API key is not known here", code="invalid_api_key")
        return caller

    def _end(self, scope: Scope, exchange: Exchange) -> None:
        route = getattr(scope.get("route"), "path", "unknown")
        self._ended(exchange, route)
        if exchange.path not in OPEN and not exchange.path.startswith(_PAGE_PARTS):
            access.info("request", extra={"fields": exchange.fields()})


class _Answer:
    """Sends an answer, with the headers that all answers have."""

    def __init__(self, exchange: Exchange, send: Send) -> None:
        self._exchange = exchange
        self._send = send
        self._begun = False

    async def send(self, message: Message) -> None:
        """Pass a part of the answer on."""
        if message["type"] == "http.response.start":
            self._begun = True
            self._exchange.status = message["status"]
            headers = [*message["headers"], *((name.encode(), value.encode()) for name, value in self._headers())]
            message = {**message, "headers": headers}
        await self._send(message)

    async def refuse(self, refusal: Refusal) -> None:
        """Send a refusal, unless an answer has begun."""
        self._exchange.error = refusal.code or type(refusal).__name__
        if self._begun:
            return
        content = json.dumps(refusal.body).encode()
        headers = {"content-type": "application/json", "content-length": str(len(content)), **refusal.headers}
        if refusal.status in (408, 413):
            headers["connection"] = "close"  # what is left of the body is not read
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self.send({"type": "http.response.start", "status": refusal.status, "headers": pairs})
        await self._send({"type": "http.response.body", "body": content})

    def _headers(self) -> list[tuple[str, str]]:
        exchange = self._exchange
        found = [("x-request-id", exchange.id), ("x-content-type-options", "nosniff"), ("x-frame-options", "DENY")]
        if exchange.snapshot:
            found.append(("x-halyard-snapshot", exchange.snapshot))
        if exchange.alias:
            found.append(("x-halyard-alias", exchange.alias))
        if exchange.waited is not None:
            found.append(("x-halyard-waited-seconds", f"{exchange.waited:.3f}"))
        if exchange.ignored:
            found.append(("x-halyard-ignored", ",".join(exchange.ignored)))
        return found


class _Body:
    """The request's body as it arrives, up to its limits of size and time."""

    def __init__(self, receive: Receive, limits: LimitsConfig, headers: dict[str, str]) -> None:
        self._receive = receive
        self._most = int(limits.body_mib * 2**20)
        self._deadline = time.monotonic() + limits.body_seconds
        self._seconds = limits.body_seconds
        self._size = 0
        self._whole = False
        length = headers.get("content-length", "")
        if length.isdecimal() and (len(length) > 15 or int(length) > self._most):
            raise self._too_large()

    async def receive(self) -> Message:
        """The next part."""
        if self._whole:
            return await self._receive()
        try:
            async with asyncio.timeout(max(0.0, self._deadline - time.monotonic())):
                message = await self._receive()
        except TimeoutError:
            raise _Http(Refusal(408, f"the request did not arrive within {self._seconds:g} s")) from None
        self._size += len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        if self._size > self._most:
            raise _Http(self._too_large())
        return message

    def _too_large(self) -> Refusal:
        return Refusal(413, f"the request has more than {self._most / 2**20:g} MiB", code="request_too_large")


class _Http(HTTPException):
    """A refusal that FastAPI lets through while it reads a body."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.status, str(refusal))
        self.refusal = refusal


def fault(exchange: Exchange) -> Refusal:
    """What a client is told of a fault of the service: where the operator finds more."""
    message = f"the service failed on this request; its log has more under {exchange.id}"
    return Refusal(500, message, code="internal_error")


def refusal_of(error: HTTPException) -> Refusal:
    """The refusal that an HTTP error of Starlette's stands for."""
    if isinstance(error, _Http):
        return error.refusal
    return Refusal(error.status_code, str(error.detail))


def _headers_of(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def _request_id(headers: dict[str, str]) -> str:
    """The client's own id where it is a plain word, else a new one."""
    given = headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _check_local(headers: dict[str, str]) -> None:
    """Refuse what a page from elsewhere has a browser send here: it names its own host, or its origin."""
    origin = headers.get("origin")
    names = [headers.get("host", ""), *([origin.partition("://")[2]] if origin is not None else [])]
    for host in names:
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
        if not is_loopback(name.strip("[]").lower()):
            raise Refusal(421, "without API keys this service answers to localhost alone", code="wrong_host")
