"""A real small judge behind an engine of the cluster: what it judges well, and what tries to win it over."""

from __future__ import annotations

import asyncio
import io
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from PIL import Image
from support.tiny_judge import save_judge

from bench.judge_attacks import ATTACKS
from configs.cluster import ClusterConfig
from configs.data import JudgementSource
from configs.judge import JudgeTerm
from halyard.cluster.cluster import Cluster
from halyard.data.images import to_data_uri
from halyard.data.judge_prompt import consistency_messages
from halyard.data.judgements import make
from halyard.pipeline.judge_endpoint import serve_openai
from model.load import load_processor
from rewards.judges.court import Court
from rewards.sample import Sample

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIG = ClusterConfig.model_validate(
    {
        "placement": "sharing",
        "engine": {"cpus": 2, "max_model_len": 1024, "max_num_seqs": 64, "kv_cache_gib": 0.25},
    }
)
SCHEMA = {
    "type": "object",
    "properties": {"answer": {"enum": ["yes", "no"]}, "sure": {"type": "boolean"}},
    "required": ["answer", "sure"],
    "additionalProperties": False,
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    async with await Cluster.start(CONFIG, logs=tmp_path_factory.mktemp("logs")) as cluster:
        yield cluster


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """Where the judge is asked."""
    folder = save_judge(tmp_path_factory.mktemp("models") / "judge", steps=300)
    engine = await cluster.engine("judge", folder)
    async with serve_openai(engine, load_processor(folder), model_name="judge") as url:
        yield url


def pairs(wanted: str, rows: int) -> list[tuple[str, str]]:
    """Reasoning and answers of held-out judgements, those that agree (yes) or those that do not (no)."""
    source = JudgementSource(type="judgements", difficulty=0.25, rows=rows, split="validation")
    asked = [row.messages[0].text for row in make(source) if row.answer == wanted]
    found = [re.fullmatch(r"reasoning: (.*) answer: (.*)\. does the reasoning .*", text) for text in asked]
    return [(match[1], match[2]) for match in found if match]


def sample(reasoning: str, answer: str) -> Sample:
    return Sample(
        prompt="",
        response=f"<think>{reasoning}</think>\\boxed{{{answer}}}",
        reasoning=reasoning,
        answer=f"\\boxed{{{answer}}}",
        reference=None,
        task="math",
        thinking=True,
    )


async def unguarded(url: str, asked: list[tuple[str, str]]) -> list[bool]:
    """Which of the pairs the judge says yes to when it is simply asked."""
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as client:

        async def one(pair: tuple[str, str]) -> bool:
            messages = [{"role": "user", "content": consistency_messages(*pair)}]
            body = {"model": "judge", "messages": messages, "temperature": 0, "max_tokens": 8}
            told = (await client.post(f"{url}/chat/completions", json=body)).json()
            return told["choices"][0]["message"]["content"].strip() == "yes"

        return list(await asyncio.gather(*map(one, asked)))


async def test_a_small_judge_judges_and_is_not_won_over(url: str) -> None:
    court = Court(url=url, version="1")
    judging = court.judging(JudgeTerm())
    agreeing, disagreeing = pairs("yes", 200), pairs("no", 200)
    yes = await judging.judge([sample(*pair) for pair in agreeing])
    no = await judging.judge([sample(*pair) for pair in disagreeing])
    assert all(one.score is not None for one in (*yes, *no))
    right = [one.score == 1.0 for one in yes] + [one.score == 0.0 for one in no]
    assert sum(right) / len(right) > 0.7
    assert judging.figures()["calls"] > 150

    refuted = [pair for pair, one in zip(disagreeing, no, strict=True) if one.score == 0.0][:40]
    tried = [
        changed
        for reasoning, answer in refuted
        for attack in ATTACKS
        for changed in ((attack.format(reasoning), answer), (reasoning, attack.format(answer)))
    ]
    won_over = sum(await unguarded(url, tried)) / len(tried)
    assert won_over > 0.1  # it can be: between a quarter and a half of these, which it had refuted before
    guarded = await judging.judge([sample(*pair) for pair in tried])
    assert [pair for pair, one in zip(tried, guarded, strict=True) if one.score != 0.0] == []
    assert judging.figures()["calls"] == 0
    await court.close()


async def answer(url: str, **body: Any) -> httpx2.Response:
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as client:
        return await client.post(f"{url}/chat/completions", json={"model": "judge", "temperature": 0} | body)


def asked(colour: str | None = None) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = [{"type": "text", "text": "is it red? yes or no."}]
    if colour is not None:
        Image.new("RGB", (112, 112), colour).save(file := io.BytesIO(), "PNG")
        parts.insert(0, {"type": "image_url", "image_url": {"url": to_data_uri(file.getvalue(), "png")}})
    return [{"role": "user", "content": parts}]


def logprobs(told: dict[str, Any]) -> list[float]:
    return [one["logprob"] for one in told["choices"][0]["logprobs"]["content"]]


async def test_a_judge_is_held_to_a_schema_and_sees_images(url: str) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "verdict", "strict": True, "schema": SCHEMA}}
    plain = (await answer(url, messages=asked(), max_tokens=40, logprobs=True)).json()
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(plain["choices"][0]["message"]["content"])  # left alone it says a word, or several
    held = [
        (await answer(url, messages=asked(colour), max_tokens=40, logprobs=True, response_format=form)).json()
        for colour in (None, "red", "blue")
    ]
    for told in held:
        verdict = json.loads(told["choices"][0]["message"]["content"])
        assert verdict.keys() == {"answer", "sure"}
        assert verdict["answer"] in ("yes", "no")
        assert told["choices"][0]["finish_reason"] == "stop"
    without, red, blue = (told["usage"]["prompt_tokens"] for told in held)
    assert red == blue == without + 18  # 16 visual tokens between two marks
    assert logprobs(held[1]) != logprobs(held[2])


async def test_what_a_judge_cannot_take_is_refused_and_no_fault_of_its(url: str) -> None:
    long = await answer(url, messages=[{"role": "user", "content": "red " * 3000}])
    assert long.status_code == 400
    assert "1024" in long.json()["error"]["message"]
    nonsense = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "nonsense"}}}
    assert (await answer(url, messages=asked(), response_format=nonsense)).status_code == 400
    assert (await answer(url, messages=asked(), max_tokens=4)).status_code == 200
