"""Judges inside a reward: asked only where it matters, failed where they failed, together where they compare."""

from __future__ import annotations

import re
from typing import Any

from support.chat_server import Asked, Reply, chat_server, rules

from configs.rewards import RewardsConfig
from halyard.data.types import Verdict
from rewards.sample import Sample
from rewards.scorer import Scorer

SOUND = {"logic": "yes", "grounding": "no", "consistency": "yes"}


async def scored(config: dict[str, Any], *samples: Sample) -> tuple[list[Verdict], dict[str, dict[str, float]]]:
    scorer = await Scorer.start(RewardsConfig.model_validate(config))
    try:
        return await scorer.score(samples), scorer.figures()
    finally:
        await scorer.close()


async def test_the_mixed_reward_asks_only_about_what_it_may_pay(sample) -> None:
    async with chat_server(lambda asked: rules(asked, **SOUND)) as server:
        term = {"type": "sail_mixed", "judge": {"type": "judge", "rubric": "thinking", "url": server.url}}
        (right, wrong), _ = await scored({"terms": [term]}, sample(5), sample(6))
    assert abs((right.reward or 0) - (0.9 * 2 / 3 + 0.1)) < 1e-9  # Source: SAIL-RL, 0.9 (judge · think · answer) + 0.1
    assert wrong.reward == 0.1
    assert len(server.asked) == 1


async def test_a_judge_that_is_down_fails_the_verdict_and_is_no_zero(sample) -> None:
    async with chat_server(lambda asked: Reply(503)) as server:
        judge = {"type": "judge", "rubric": "thinking", "url": server.url, "patience": 0.2}
        config = {"terms": [{"type": "answer"}, judge], "max_failure_share": 1.0}
        (verdict,), figures = await scored(config, sample())
    assert (verdict.reward, verdict.status) == (None, "failed")
    assert "judge: down" in verdict.reason
    assert verdict.components == {"answer": 1.0}
    assert figures["thinking"]["lost"] == 1


async def test_comparisons_see_their_whole_group(sample) -> None:
    def answer(asked: Asked) -> Reply:
        shown = re.findall(r"(first|second) answer\]\n(.*)\n", asked.text)
        return rules(asked, better=next((which for which, text in shown if "good" in text), "tie"))

    async with chat_server(answer) as server:
        config = {"terms": [{"type": "judge", "rubric": "pairwise", "url": server.url}]}
        group = [sample(text, task="open", prompt_id="p") for text in ("a good one", "a bad one", "one more")]
        verdicts, _ = await scored(config, *group)
    assert [verdict.reward for verdict in verdicts] == [1.0, 0.25, 0.25]
