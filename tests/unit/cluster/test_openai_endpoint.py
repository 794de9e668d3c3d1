from __future__ import annotations

from types import SimpleNamespace

import httpx2
import numpy as np
import pytest

from halyard.cluster.openai_endpoint import serve_openai
from halyard.cluster.types import Completion, GenerationRequest
from halyard.errors import EngineError


class Echo:
    """An engine that answers with the reversed prompt."""

    def __init__(self) -> None:
        self.asked: list[GenerationRequest] = []

    async def generate(self, request: GenerationRequest) -> tuple[Completion, ...]:
        self.asked.append(request)
        if len(request.token_ids) > 20:
            raise EngineError("engine-0 died")
        ids = request.token_ids[::-1][: request.max_tokens]
        logprobs = (0.0,) * len(ids)
        return (
            Completion(
                prompt_token_ids=request.token_ids,
                token_ids=ids,
                logprobs=logprobs,
                finish_reason="stop",
                spans=((0, len(ids), 0),),
                seed=request.seeds[0],
            ),
        )


RENDERER = SimpleNamespace(
    prompt=lambda chat, thinking: SimpleNamespace(token_ids=np.array([ord(c) for c in chat[-1].text])),
    decode=lambda ids: "".join(map(chr, ids)),
)


def body(text: str, **more: object) -> dict[str, object]:
    return {"model": "judge", "messages": [{"role": "user", "content": text}], **more}


async def test_a_question_is_answered_in_openai_shape() -> None:
    engine = Echo()
    async with serve_openai(engine, RENDERER, model_name="judge") as url, httpx2.AsyncClient(base_url=url) as client:
        answer = (await client.post("/chat/completions", json=body("abc", temperature=0, seed=7))).json()
        assert answer["choices"][0]["message"] == {"role": "assistant", "content": "cba"}
        assert answer["usage"] == {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6}
        assert (engine.asked[0].seeds, engine.asked[0].temperature) == ((7,), 0)
        assert (await client.get("/models")).json()["data"][0]["id"] == "judge"


@pytest.mark.parametrize(
    ("sent", "status", "said"),
    [
        (body("a", tools=[]), 400, "tools"),
        (body("a", max_tokens=0), 400, "max_tokens"),
        (body("a") | {"messages": []}, 400, "messages"),
        (body("a") | {"model": "other"}, 404, "other"),
        (body("a" * 21), 503, "engine-0 died"),
    ],
)
async def test_what_cannot_be_answered_is_an_error_that_says_why(sent: dict, status: int, said: str) -> None:
    async with serve_openai(Echo(), RENDERER, model_name="judge") as url, httpx2.AsyncClient(base_url=url) as client:
        response = await client.post("/chat/completions", json=sent)
        assert response.status_code == status
        assert said in response.json()["error"]["message"]
