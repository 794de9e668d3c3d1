"""A chat-completions endpoint in OpenAI's shape over an engine of the run, on this machine's loopback.

It is how a judge that the pipeline trained is asked: by the same HTTP client as one from elsewhere. Text
messages only, answers without reasoning, no streaming, no structured output.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Literal

import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from halyard.cluster.types import Completion, GenerationRequest
from halyard.cluster.waits import waiting
from halyard.errors import DeadlineError, EngineError
from model.render import ChatMessage

if TYPE_CHECKING:
    from halyard.cluster.engine import Engine
    from model.render import Renderer

_START_SECONDS = 30
_DEFAULT_MAX_TOKENS = 64


class TextMessage(BaseModel):
    """One turn, as text."""

    role: Literal["system", "user", "assistant"]
    content: str


class PlainText(BaseModel):
    """The one form of answers that is served."""

    type: Literal["text"]


class ChatRequest(BaseModel):
    """The part of OpenAI's request that is served; what else a client sends is left alone.

    A form that answers are to have cannot be left alone: a client that asks for one relies on it.
    """

    model_config = ConfigDict(extra="ignore")

    model: str
    messages: Annotated[list[TextMessage], Field(min_length=1)]
    temperature: Annotated[float, Field(ge=0, le=2)] = 1.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    seed: int | None = None
    n: Annotated[int, Field(ge=1, le=64)] = 1
    logprobs: bool = False
    stream: Literal[False] = False
    response_format: PlainText | None = None


@asynccontextmanager
async def serve_openai(engine: Engine, renderer: Renderer, *, model_name: str) -> AsyncIterator[str]:
    """Serve an engine for the block; yields the base URL, such as `http://127.0.0.1:41234/v1`."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    settings = uvicorn.Config(_app(engine, renderer, model_name), log_config=None, access_log=False, lifespan="off")
    server = _Server(settings)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        async with waiting(f"the {model_name} endpoint to listen", seconds=_START_SECONDS):
            while not server.started:
                await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.should_exit = True
        await asyncio.gather(task, return_exceptions=True)
        listener.close()


class _Server(uvicorn.Server):
    """A server that leaves signals alone: they belong to the run."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _app(engine: Engine, renderer: Renderer, model_name: str) -> FastAPI:
    app = FastAPI(openapi_url=None)
    numbers = itertools.count()

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"][1:])
        return _refusal(400, f"{place}: {first['msg']}", "invalid_request_error")

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [{"id": model_name, "object": "model", "owned_by": "halyard"}]}

    @app.post("/v1/chat/completions")
    async def chat(asked: ChatRequest) -> Any:
        if asked.model != model_name:
            return _refusal(404, f"there is no model {asked.model!r} here, only {model_name!r}", "not_found_error")
        number = next(numbers)
        try:
            completions = await engine.generate(_request(asked, renderer, number))
        except DeadlineError as error:
            return _refusal(504, str(error), "server_error")
        except EngineError as error:
            return _refusal(500, str(error), "server_error")
        return _response(asked, completions, renderer, number)

    return app


def _request(asked: ChatRequest, renderer: Renderer, number: int) -> GenerationRequest:
    chat = [ChatMessage(message.role, message.content) for message in asked.messages]
    rendered = renderer.prompt(chat, thinking=False)
    first = number if asked.seed is None else asked.seed
    return GenerationRequest(
        id=f"chat-{number}",
        token_ids=tuple(rendered.token_ids.tolist()),
        seeds=tuple(range(first, first + asked.n)),
        max_tokens=asked.max_completion_tokens or asked.max_tokens or _DEFAULT_MAX_TOKENS,
        temperature=asked.temperature,
        top_p=asked.top_p,
    )


def _response(asked: ChatRequest, completions: Sequence[Completion], renderer: Renderer, number: int) -> dict[str, Any]:
    written = sum(len(completion.token_ids) for completion in completions)
    read = len(completions[0].prompt_token_ids)
    return {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": asked.model,
        "choices": [_choice(index, one, renderer, asked.logprobs) for index, one in enumerate(completions)],
        "usage": {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written},
    }


def _choice(index: int, completion: Completion, renderer: Renderer, with_logprobs: bool) -> dict[str, Any]:
    pairs = zip(completion.token_ids, completion.logprobs, strict=True)
    entries = [{"token": renderer.decode([token]), "logprob": value, "top_logprobs": []} for token, value in pairs]
    return {
        "index": index,
        "message": {"role": "assistant", "content": renderer.decode(completion.token_ids)},
        "finish_reason": completion.finish_reason,
        "logprobs": {"content": entries} if with_logprobs else None,
    }


def _refusal(status: int, message: str, kind: str) -> JSONResponse:
    error = {"message": message, "type": kind, "param": None, "code": None}
    return JSONResponse({"error": error}, status_code=status)
