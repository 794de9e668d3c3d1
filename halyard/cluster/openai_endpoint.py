"""An engine behind the OpenAI chat API, on this machine alone: how a run's own judge is asked.

It answers text questions, one choice each, without thinking. Snapshots for the world are another matter.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any, Literal

import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from halyard.cluster.types import Completion, GenerationRequest
from halyard.errors import EngineError
from model.render import ChatMessage

if TYPE_CHECKING:
    from halyard.cluster.engine import Engine
    from model.render import Renderer

GREEDY_SEED = 0
STARTED_WITHIN = 10.0
"""Seconds that the server may take to listen."""


class Turn(BaseModel):
    """One message of the conversation."""

    model_config = ConfigDict(extra="forbid")

    role: Literal["system", "user", "assistant"]
    content: str


class Question(BaseModel):
    """A request for a chat completion; what is not listed here is refused, not ignored."""

    model_config = ConfigDict(extra="forbid")

    model: str
    messages: Annotated[list[Turn], Field(min_length=1)]
    temperature: Annotated[float, Field(ge=0, le=2)] = 1.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    max_tokens: Annotated[int, Field(ge=1)] = 16
    seed: Annotated[int, Field(ge=0)] = GREEDY_SEED


@asynccontextmanager
async def serve_openai(engine: Engine, renderer: Renderer, *, model_name: str) -> AsyncIterator[str]:
    """Serve the engine's model on a free port of the loopback interface; yields the base URL, `http://…/v1`.

    Raises:
        EngineError: the server did not come up.
    """
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(application(engine, renderer, model_name=model_name), log_config=None, lifespan="off")
        server = _QuietServer(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]), name="openai endpoint")
        try:
            await _listening(server, serving)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        finally:
            server.should_exit = True
            with contextlib.suppress(asyncio.CancelledError):
                await serving


def application(engine: Engine, renderer: Renderer, *, model_name: str) -> FastAPI:
    """The routes over an engine."""
    app = FastAPI(openapi_url=None)

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [{"id": model_name, "object": "model", "owned_by": "halyard"}]}

    @app.post("/v1/chat/completions")
    async def chat(question: Question) -> Any:
        if question.model != model_name:
            return _error(404, f"there is no model {question.model!r} here, only {model_name!r}", "model_not_found")
        chat = [ChatMessage(role=turn.role, text=turn.content) for turn in question.messages]
        prompt = tuple(renderer.prompt(chat, thinking=False).token_ids.tolist())
        request = GenerationRequest(
            id=f"chat-{uuid.uuid4().hex}",
            token_ids=prompt,
            seeds=(question.seed,),
            max_tokens=question.max_tokens,
            temperature=question.temperature,
            top_p=question.top_p,
        )
        (completion,) = await engine.generate(request)
        return _answer(request, completion, renderer.decode(completion.token_ids), model_name)

    @app.exception_handler(RequestValidationError)
    async def wrong(_: Request, error: RequestValidationError) -> JSONResponse:
        faults = "; ".join(f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in error.errors())
        return _error(400, faults, "invalid_request")

    @app.exception_handler(EngineError)
    async def down(_: Request, error: EngineError) -> JSONResponse:
        return _error(503, str(error), "engine_error")

    return app


class _QuietServer(uvicorn.Server):
    """A server inside somebody else's program: Ctrl-C is not its to handle."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


async def _listening(server: uvicorn.Server, serving: asyncio.Task[None]) -> None:
    deadline = time.monotonic() + STARTED_WITHIN
    while not server.started:
        if serving.done() or time.monotonic() > deadline:
            raise EngineError(f"the HTTP endpoint of the engine did not come up within {STARTED_WITHIN:g} s")
        await asyncio.sleep(0.01)


def _answer(request: GenerationRequest, completion: Completion, text: str, model_name: str) -> dict[str, Any]:
    asked, said = len(request.token_ids), len(completion.token_ids)
    return {
        "id": request.id,
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model_name,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "finish_reason": completion.finish_reason,
            }
        ],
        "usage": {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said},
    }


def _error(status: int, message: str, code: str) -> JSONResponse:
    """An error in the shape that OpenAI's clients read."""
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return JSONResponse({"error": {"message": message, "type": kind, "code": code, "param": None}}, status_code=status)
