from __future__ import annotations

from typing import Any

import pytest

from halyard.data.types import Group, Prompt, Rollout, Verdict, VersionSpan
from rl.rewarding import reward_figures


def group(task: Any, *verdicts: Verdict) -> Group:
    prompt = Prompt(id="p", messages=(), answer="5", task=task)
    rollouts = tuple(
        Rollout(
            prompt_id="p",
            index=index,
            prompt_token_ids=(1,),
            response_token_ids=(2,),
            rollout_logprobs=(0.0,),
            text="5",
            finish_reason="stop",
            spans=(VersionSpan(start=0, stop=1, policy_version=0),),
            seed=index,
        )
        for index in range(len(verdicts))
    )
    return Group(prompt=prompt, rollouts=rollouts, verdicts=verdicts)


def paid(reward: float, **components: float) -> Verdict:
    return Verdict(reward=reward, components=components)


LOST = Verdict(reward=None, status="failed", reason="x", failures={"answer": "timeout: killed after 1.0 s"})
NOTED = Verdict(reward=1.0, components={"answer": 1.0}, failures={"length": "raised: ZeroDivisionError"})


def test_rewards_by_component_and_task() -> None:
    groups = [
        group("math", paid(1.0, answer=1.0, format=1.0), paid(0.0, answer=0.0, format=0.0), LOST),
        group("open", paid(0.5, judge=0.5), paid(0.5, judge=0.5)),
        group("math", NOTED, LOST),
    ]
    figures = reward_figures(groups)
    assert figures["reward"] == pytest.approx((1 + 0 + 0.5 + 0.5 + 1) / 5)
    assert figures["components"] == pytest.approx({"answer": 2 / 3, "format": 0.5, "judge": 0.5})
    assert figures["accuracy"] == pytest.approx(2 / 3)
    assert figures["rewards"]["math"]["reward"] == pytest.approx({"mean": 2 / 3, "std": (2 / 9) ** 0.5, "count": 3})
    assert figures["rewards"]["open"] == {
        "judge": {"mean": 0.5, "std": 0.0, "count": 2},
        "reward": {"mean": 0.5, "std": 0.0, "count": 2},
    }
    assert figures["rewards"]["all"]["reward"]["count"] == 5
    assert (figures["verdicts"], figures["verdicts_failed"]) == (7, 2)
    assert figures["failures"] == {"answer: timeout": 2, "length: raised": 1}
    assert (figures["groups_without_signal"], figures["share_without_signal"]) == (2, pytest.approx(2 / 3))


def test_groups_that_were_not_judged_have_no_say_about_signal() -> None:
    figures = reward_figures([group("math", LOST, LOST), group("math", paid(0.0), paid(1.0))])
    assert (figures["groups_without_signal"], figures["share_without_signal"]) == (0, 0.0)
