"""A chat-completions endpoint in OpenAI's shape over an engine of the run, on this machine's loopback.

It is how a judge that the pipeline trained is asked: by the same HTTP client as one from elsewhere. Texts and images
go in, answers without reasoning come out, held to a JSON schema where one is asked for; no streaming.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any, Literal

import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from configs.serving import LimitsConfig
from halyard.cluster.types import Completion, GenerationRequest
from halyard.cluster.waits import waiting
from halyard.errors import DataError, DeadlineError, EngineError, RequestError
from serving.errors import Refusal
from serving.fetch import Fetcher
from serving.images import Images
from serving.json_schema import check_schema
from serving.listening import Server
from serving.schema import Message, ResponseFormat

if TYPE_CHECKING:
    from halyard.cluster.engine import Engine
    from model.render import ChatMessage, Renderer

_START_SECONDS = 30
_DEFAULT_MAX_TOKENS = 64
_MOST_IMAGES = 1000
"""Of one question: more than any prompt that the run itself can have has."""


class ChatRequest(BaseModel):
    """The part of OpenAI's request that is served; what else a client sends is left alone."""

    model_config = ConfigDict(extra="ignore")

    model: str
    messages: Annotated[list[Message], Field(min_length=1)]
    temperature: Annotated[float, Field(ge=0, le=2)] = 1.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    seed: int | None = None
    n: Annotated[int, Field(ge=1, le=64)] = 1
    logprobs: bool = False
    stream: Literal[False] = False
    response_format: ResponseFormat | None = None

    @property
    def json_schema(self) -> Mapping[str, Any] | None:
        """What the answers are to be; None leaves them free.

        Raises:
            Refusal: no grammar can be made of the schema.
        """
        form = self.response_format
        if form is None or form.type == "text":
            return None
        if form.json_schema is None:
            return {"type": "object"}
        check_schema(form.json_schema.schema_)
        return form.json_schema.schema_


@asynccontextmanager
async def serve_openai(engine: Engine, renderer: Renderer, *, model_name: str) -> AsyncIterator[str]:
    """Serve an engine for the block; yields the base URL, such as `http://127.0.0.1:41234/v1`."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    settings = uvicorn.Config(_app(engine, renderer, model_name), log_config=None, access_log=False, lifespan="off")
    server = Server(settings)
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


def _app(engine: Engine, renderer: Renderer, model_name: str) -> FastAPI:
    app = FastAPI(openapi_url=None)
    numbers = itertools.count()
    images = Images(LimitsConfig(images=_MOST_IMAGES), Fetcher(()))

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"][1:])
        return _refused(Refusal(400, f"{place}: {first['msg']}"))

    @app.exception_handler(Refusal)
    async def refused(_: Request, error: Refusal) -> JSONResponse:
        return _refused(error)

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [{"id": model_name, "object": "model", "owned_by": "halyard"}]}

    @app.post("/v1/chat/completions")
    async def chat(asked: ChatRequest) -> Any:
        if asked.model != model_name:
            raise Refusal(404, f"there is no model {asked.model!r} here, only {model_name!r}")
        number = next(numbers)
        request = _request(asked, await images.chat(asked.messages), renderer, number)
        return _response(asked, await _answers(engine, request), renderer, number)

    return app


async def _answers(engine: Engine, request: GenerationRequest) -> Sequence[Completion]:
    """What the engine answers.

    Raises:
        Refusal: it does not; 400 says that the question is at fault, and that another try would not help.
    """
    try:
        return await engine.generate(request)
    except RequestError as error:
        raise Refusal(400, str(error)) from error
    except DeadlineError as error:
        raise Refusal(504, str(error)) from error
    except EngineError as error:
        raise Refusal(500, str(error)) from error


def _request(asked: ChatRequest, chat: Sequence[ChatMessage], renderer: Renderer, number: int) -> GenerationRequest:
    """The question as the engine takes it.

    Raises:
        Refusal: the judge takes no images, the chat ends with the assistant, or the schema is none.
    """
    schema = asked.json_schema
    try:
        rendered = renderer.prompt(chat, thinking=False)
    except DataError as error:
        raise Refusal(400, str(error), param="messages") from error
    first = number if asked.seed is None else asked.seed
    return GenerationRequest(
        id=f"chat-{number}",
        token_ids=tuple(rendered.token_ids.tolist()),
        images=rendered.images,
        seeds=tuple(range(first, first + asked.n)),
        max_tokens=asked.max_completion_tokens or asked.max_tokens or _DEFAULT_MAX_TOKENS,
        temperature=asked.temperature,
        top_p=asked.top_p,
        json_schema=schema,
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


def _refused(refusal: Refusal) -> JSONResponse:
    return JSONResponse(refusal.body, status_code=refusal.status)
