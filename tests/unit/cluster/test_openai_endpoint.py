from __future__ import annotations

from types import SimpleNamespace

import httpx2
import numpy as np
import pytest

from halyard.cluster.openai_endpoint import serve_openai
from halyard.cluster.types import Completion
from halyard.errors import DeadlineError, EngineError


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
    """One token a word; ids are read back in brackets."""

    def prompt(self, chat, *, thinking):
        assert not thinking
        words = " ".join(f"{message.role}: {message.text}" for message in chat).split()
        return SimpleNamespace(token_ids=np.arange(len(words)))

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


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"messages": []}, 400, "messages: List should have at least 1 item"),
        ({"temperature": -1}, 400, "temperature"),
        ({"stream": True}, 400, "stream"),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, 400, "response_format.type"),
        ({"model": "gpt"}, 404, "no model 'gpt' here, only 'judge'"),
    ],
)
async def test_refusals_have_openais_shape(client, changes, status, words):
    answer = await client.post("/chat/completions", json=body(**changes))
    assert answer.status_code == status
    assert words in answer.json()["error"]["message"]


@pytest.mark.parametrize(("failure", "status"), [(EngineError("it died"), 500), (DeadlineError("too slow"), 504)])
async def test_a_failure_of_the_engine_is_the_servers(client, engine, failure, status):
    engine.failure = failure
    answer = await client.post("/chat/completions", json=body())
    assert answer.status_code == status
    assert answer.json()["error"] == {"message": str(failure), "type": "server_error", "param": None, "code": None}


async def test_the_models_are_listed(client):
    assert [model["id"] for model in (await client.get("/models")).json()["data"]] == ["judge"]
