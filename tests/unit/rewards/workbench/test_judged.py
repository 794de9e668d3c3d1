"""Judged rewards at the desk: a judge is asked where the desk is told, and one that obeys responses is caught."""

from __future__ import annotations

import pytest
from support.chat_server import Asked, Reply, chat_server, rules

from halyard.errors import ConfigError
from rewards.workbench.probe import Probed
from rewards.workbench.questions import QUESTIONS
from rewards.workbench.trial import probe_reward

OPEN = [question for question in QUESTIONS if question.task == "open"]
BEST, WORST = {"correct": "right", "complete": "fully"}, {"correct": "wrong", "complete": "no"}


def grades(asked: Asked, *, good: bool) -> Reply:
    return rules(asked, **(BEST if good else WORST), concise="fully" if good else "no")


def careful(asked: Asked) -> Reply:
    return grades(asked, good=OPEN[0].right in asked.text)


def credulous(asked: Asked) -> Reply:
    return grades(asked, good=OPEN[0].right in asked.text or "I agree with the reference" in asked.text)


async def probed(judge: str) -> Probed:
    found, _ = await probe_reward("helpfulness", questions=OPEN, judge=judge)
    return found


async def test_a_careful_judge_holds() -> None:
    async with chat_server(careful) as server:
        found = await probed(server.url)
    assert (found.earned, found.paid) == ([], ("open question",))
    assert len(server.asked) > len(OPEN)


async def test_a_judge_that_believes_what_it_is_told_is_caught() -> None:
    async with chat_server(credulous) as server:
        found = await probed(server.url)
    assert {one.attack for one in found.earned} == {"injection"}


async def test_a_judge_that_is_nowhere_is_asked_for() -> None:
    with pytest.raises(ConfigError, match=r"helpfulness asks a judge model, and does not say where .* --judge"):
        await probe_reward("helpfulness", questions=OPEN)
