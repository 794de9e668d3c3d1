"""For those who watch: is it alive, is it ready, and how does it do."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from serving.errors import Refusal
from serving.routes.parts import TheService, needs

router = APIRouter()
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The service answers."""
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(service: TheService) -> dict[str, str]:
    """A snapshot serves, and the service is not being stopped."""
    if service.draining:
        raise Refusal(503, "the service is being stopped", code="shutting_down", retry_after=5)
    if not service.pool.ready:
        there = "an engine is starting" if service.catalogue.all() else "there is no snapshot yet"
        raise Refusal(503, f"nothing serves yet: {there}", code="not_ready", retry_after=5)
    return {"status": "ready"}


@router.get(
    "/metrics",
    dependencies=[needs("operate")],
    response_class=Response,
    responses={200: {"content": {_PROMETHEUS: {}}}},
)
async def metrics(service: TheService) -> Response:
    """Everything that is counted, for Prometheus."""
    return Response(service.metrics.text(), media_type=_PROMETHEUS)
