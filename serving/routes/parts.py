"""What all routes are given: the service, the request's exchange, and the check of its scope.

All are coroutines, although none waits: FastAPI would call plain functions in threads, three for each request.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Request

from serving.errors import Refusal
from serving.exchange import Exchange
from serving.keys import Scope
from serving.service import Service


async def _service(request: Request) -> Service:
    return request.app.state.service


async def _exchange(request: Request) -> Exchange:
    return request.scope["state"]["exchange"]


TheService = Annotated[Service, Depends(_service)]
TheExchange = Annotated[Exchange, Depends(_exchange)]


def needs(*scopes: Scope) -> Any:
    """A dependency that refuses callers whose key has none of the scopes."""

    async def check(exchange: TheExchange) -> None:
        caller = exchange.caller
        if caller is None or caller.scopes.isdisjoint(scopes):
            lacking = " or ".join(scopes)
            raise Refusal(403, f"the key {who(exchange)} lacks the scope {lacking}", code="missing_scope")

    return Depends(check)


def who(exchange: Exchange) -> str:
    """The name of the key that a change is recorded under."""
    return exchange.caller.name if exchange.caller else "nobody"
