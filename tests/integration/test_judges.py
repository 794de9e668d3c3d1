"""A real small judge behind an engine of the cluster: what it judges well, and what tries to win it over."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from support.judge_attacks import ATTACKS
from support.tiny_judge import save_judge

from configs.cluster import ClusterConfig
from configs.data import JudgementSource
from configs.judge import JudgeTerm
from halyard.cluster.cluster import Cluster
from halyard.cluster.openai_endpoint import serve_openai
from halyard.data.judge_prompt import consistency_messages
from halyard.data.judgements import make
from model.load import load_processor
from rewards.judges.court import Court
from rewards.judges.judging import JudgeJudging
from rewards.sample import Sample

CONFIG = ClusterConfig.model_validate(
    {
        "placement": "sharing",
        "engine": {"cpus": 2, "max_model_len": 384, "max_num_seqs": 64, "kv_cache_gib": 0.25},
    }
)


@pytest.fixture
async def judge(tmp_path: Path) -> AsyncIterator[tuple[JudgeJudging, str]]:
    folder = save_judge(tmp_path / "judge", steps=300)
    async with await Cluster.start(CONFIG, logs=tmp_path / "logs") as cluster:
        engine = await cluster.engine("judge", folder)
        async with serve_openai(engine, load_processor(folder), model_name="judge") as url:
            court = Court(url=url, version="1")
            yield court.judging(JudgeTerm()), url
            await court.close()


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


async def test_a_small_judge_judges_and_is_not_won_over(judge: tuple[JudgeJudging, str]) -> None:
    judging, url = judge
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
