"""The application: routers over a service, the gate around them, and one shape for everything that goes wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

import halyard
from serving.dashboard.front import Front
from serving.dashboard.view import Desk
from serving.errors import Failed, Refusal
from serving.gate import Gate, fault, refusal_of
from serving.keys import Keys
from serving.routes import events, openai, probes, runs, snapshots
from serving.service import Service

_TAGS = ("body", "plain", "parts", "query", "path")
"""Steps in the place of a fault that are of the schema and not of the request."""

_ERRORS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": Failed, "description": "The request is not served, and why."},
    "5XX": {"model": Failed, "description": "The service cannot serve it now, or failed."},
}
"""In place of FastAPI's 422, which is never sent."""


def make_app(service: Service, keys: Keys | None) -> ASGIApp:
    """The whole application over a service that the caller starts and closes."""
    app = FastAPI(
        title="Halyard",
        version=halyard.__version__,
        openapi_url="/v1/openapi.json",
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        responses=_ERRORS,
    )
    app.state.service = service
    for router in (probes.router, openai.router, snapshots.router, events.router, runs.read, runs.write):
        app.include_router(router)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _failed)
    app.add_exception_handler(RequestValidationError, _invalid)
    front = Front(app, Desk(service=service, keys=keys))
    return Gate(front, keys=keys, limits=service.config.limits, ended=service.ended)


async def _refused(request: Request, error: Any) -> Response:
    request.scope["state"]["exchange"].error = error.code or f"refused_{error.status}"
    return JSONResponse(error.body, status_code=error.status, headers=error.headers)


async def _failed(request: Request, _: Any) -> Response:
    """The answer to a fault of the service itself; the gate logs it."""
    return await _refused(request, fault(request.scope["state"]["exchange"]))


async def _http(request: Request, error: Any) -> Response:
    refusal = refusal_of(error)
    if refusal.status == 404:
        refusal = Refusal(404, f"there is nothing at {request.url.path[:200]!r}; /v1/openapi.json lists what there is")
    elif refusal.status == 400:
        refusal = Refusal(400, "the body cannot be read: it is no JSON, or goes too deep, or has a number too long")
    elif refusal.status == 405:
        refusal = Refusal(405, f"{request.method} is not what is done at {request.url.path[:200]!r}")
    return await _refused(request, refusal)


async def _invalid(request: Request, error: Any) -> Response:
    return await _refused(request, _fault(error.errors()))


def _fault(errors: Sequence[Any]) -> Refusal:
    """The first thing that is wrong with a request, in one sentence."""
    first = errors[0]
    place = [str(step) for step in first["loc"] if step not in _TAGS]
    if first["type"] == "json_invalid":
        return Refusal(400, "the body is not JSON", code="invalid_json")
    name = ".".join(place)
    if first["type"] == "missing" and not name:
        return Refusal(400, "the request has no body; expected JSON", code="invalid_json")
    message = str(first["msg"]).removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    return Refusal(400, f"{name}: {message}" if name else message, param=name or None, code="invalid_value")
