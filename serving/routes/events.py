"""The events of a run: as a page, or as they come, in the form that browsers' EventSource reads."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from halyard.runs.reading.lines import Lines
from halyard.runs.reading.runs import events
from serving.routes.parts import TheService, needs
from serving.routes.runs import Most, Start

router = APIRouter(prefix="/v1", dependencies=[needs("consume", "operate")])

STREAM = "text/event-stream"
_NUMBER = re.compile(r"[0-9]{1,9}")
_LOOK_SECONDS = 0.5
_SILENCE_SECONDS = 15.0


@router.get("/runs/{name}/events", response_model=Lines, responses={200: {"content": {STREAM: {}}}})
async def run_events(
    name: str,
    service: TheService,
    request: Request,
    start: Start = 0,
    most: Most = 1000,
) -> Lines | Response:
    """Changes of a run's state from number `start` on; as a stream that goes on for `Accept: text/event-stream`.

    A client that comes back with `Last-Event-ID`, as browsers do by themselves, misses nothing.
    """
    folder = service.runs.folder(name)
    if STREAM not in request.headers.get("accept", ""):
        return await asyncio.to_thread(events, folder, start, most)
    last = request.headers.get("last-event-id", "")
    if _NUMBER.fullmatch(last):
        start = int(last) + 1
    stream = follow(folder, start, over=lambda: service.draining)
    return StreamingResponse(stream, media_type=STREAM, headers={"cache-control": "no-cache"})


async def follow(run: Path, start: int, over: Callable[[], bool]) -> AsyncIterator[str]:
    """Server-sent events, each with its number as id, until the client leaves or `over`; a comment now and then."""
    spoken = time.monotonic()
    while not over():
        found = await asyncio.to_thread(events, run, start)
        for number, event in enumerate(found.lines, start=start):
            yield f"id: {number}\nevent: {event['event']}\ndata: {json.dumps(event)}\n\n"
        start = max(start, found.next)
        if found.lines:
            spoken = time.monotonic()
        elif time.monotonic() - spoken > _SILENCE_SECONDS:
            spoken = time.monotonic()
            yield ": still here\n\n"
        await asyncio.sleep(_LOOK_SECONDS)
