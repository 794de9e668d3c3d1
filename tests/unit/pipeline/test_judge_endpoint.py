from __future__ import annotations

import io
from types import SimpleNamespace

import httpx2
import numpy as np
import pytest
from PIL import Image

from halyard.cluster.types import Completion
from halyard.data.images import to_data_uri
from halyard.errors import DataError, DeadlineError, EngineError, RequestError
from halyard.pipeline.judge_endpoint import serve_openai


class Engine:
    """Answers with three tokens a seed, or fails."""

    def __init__(self):
        self.requests = []
        self.failure = None

    async def generate(self, request):
        self.requests.append(request)
        if self.failure:
            raise self.failure
        return tuple(
            Completion(
                prompt_token_ids=request.token_ids,
                token_ids=(seed, 8, 2),
                logprobs=(-0.5, -0.25, -0.125),
                finish_reason="stop",
                spans=((0, 3, 0),),
                seed=seed,
            )
            for seed in request.seeds
        )


class Renderer:
    """One token a word; ids are read back in brackets. It sees one image, and no more."""

    def prompt(self, chat, *, thinking):
        assert not thinking
        words = " ".join(f"{message.role}: {message.text}" for message in chat).split()
        images = tuple(image for message in chat for image in message.images)
        if len(images) > 1:
            raise DataError("too many images")
        return SimpleNamespace(token_ids=np.arange(len(words)), images=images)

    def decode(self, ids):
        return "".join(f"[{token}]" for token in ids)


@pytest.fixture
async def engine():
    return Engine()


@pytest.fixture
async def client(engine):
    async with (
        serve_openai(engine, Renderer(), model_name="judge") as url,
        httpx2.AsyncClient(base_url=url, trust_env=False) as client,
    ):
        yield client


def body(**changes):
    return {"model": "judge", "messages": [{"role": "user", "content": "Does it agree?"}], "seed": 7} | changes


async def test_an_answer_has_openais_shape(client, engine):
    answer = await client.post("/chat/completions", json=body(temperature=0, max_tokens=4, user="a client's own"))
    told = answer.json()
    assert answer.status_code == 200
    assert told["object"] == "chat.completion"
    assert told["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "[7][8][2]"},
            "finish_reason": "stop",
            "logprobs": None,
        }
    ]
    assert told["usage"] == {"prompt_tokens": 4, "completion_tokens": 3, "total_tokens": 7}
    (request,) = engine.requests
    assert (request.token_ids, request.seeds, request.max_tokens) == ((0, 1, 2, 3), (7,), 4)
    assert request.temperature == 0


async def test_several_samples_have_seeds_of_their_own_and_logprobs(client, engine):
    told = (await client.post("/chat/completions", json=body(n=2, logprobs=True))).json()
    assert [choice["message"]["content"] for choice in told["choices"]] == ["[7][8][2]", "[8][8][2]"]
    assert told["choices"][0]["logprobs"]["content"][1] == {"token": "[8]", "logprob": -0.25, "top_logprobs": []}


async def test_without_a_seed_requests_differ(client, engine):
    for _ in range(2):
        await client.post("/chat/completions", json=body(seed=None))
    assert engine.requests[0].seeds != engine.requests[1].seeds


SCHEMA = {"type": "object", "properties": {"answer": {"enum": ["yes", "no"]}}, "required": ["answer"]}
FILE = io.BytesIO()
Image.new("RGB", (3, 2), "red").save(FILE, "PNG")
IMAGE = {"type": "image_url", "image_url": {"url": to_data_uri(FILE.getvalue(), "png")}}


def form(schema):
    return {"type": "json_schema", "json_schema": {"name": "verdict", "strict": True, "schema": schema}}


@pytest.mark.parametrize(
    ("asked", "held"),
    [(None, None), ({"type": "text"}, None), ({"type": "json_object"}, {"type": "object"}), (form(SCHEMA), SCHEMA)],
)
async def test_answers_are_held_to_the_form_that_was_asked_for(client, engine, asked, held):
    assert (await client.post("/chat/completions", json=body(response_format=asked))).status_code == 200
    assert engine.requests[0].json_schema == held


async def test_images_come_with_the_turn_they_belong_to(client, engine):
    content = [IMAGE, {"type": "text", "text": "Is it red?"}]
    answer = await client.post("/chat/completions", json=body(messages=[{"role": "user", "content": content}]))
    assert answer.status_code == 200
    ((seen,),) = [request.images for request in engine.requests]
    assert (seen.size, seen.getpixel((0, 0))) == ((3, 2), (255, 0, 0))


def shown(*urls):
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return {"messages": [{"role": "user", "content": [*parts, {"type": "text", "text": "red?"}]}]}


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        (shown("https://example.com/a.png"), 400, "images by URL are not allowed here"),
        (shown("data:image/png;base64,AAAA"), 400, "cannot be read"),
        (shown(*[IMAGE["image_url"]["url"]] * 2), 400, "too many images"),
        ({"response_format": form({"$ref": "#"})}, 400, "refers to itself without end"),
        ({"messages": []}, 400, "messages: List should have at least 1 item"),
        ({"temperature": -1}, 400, "temperature"),
        ({"stream": True}, 400, "stream"),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, 400, "response_format.json_schema.schema"),
        ({"model": "gpt"}, 404, "no model 'gpt' here, only 'judge'"),
    ],
)
async def test_refusals_have_openais_shape(client, changes, status, words):
    answer = await client.post("/chat/completions", json=body(**changes))
    assert answer.status_code == status
    assert words in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("failure", "status", "kind"),
    [
        (EngineError("it died"), 500, "server_error"),
        (DeadlineError("too slow"), 504, "server_error"),
        (RequestError("the prompt is too long"), 400, "invalid_request_error"),
    ],
)
async def test_a_failure_of_the_engine_is_the_servers_and_what_it_cannot_take_the_clients(
    client, engine, failure, status, kind
):
    engine.failure = failure
    answer = await client.post("/chat/completions", json=body())
    assert answer.status_code == status
    assert answer.json()["error"] == {"message": str(failure), "type": kind, "param": None, "code": None}


async def test_the_models_are_listed(client):
    assert [model["id"] for model in (await client.get("/models")).json()["data"]] == ["judge"]
