from __future__ import annotations

from typing import Any

import pytest

from rewards.sample import Sample
from rewards.verifiers.decision import decision
from rewards.verifiers.length import overlong


def sample(
    tokens: int = 1, reasoning: str | None = None, answer: str = "5", thinking: bool = True, **data: Any
) -> Sample:
    return Sample(
        prompt="",
        response="",
        reasoning=reasoning,
        answer=answer,
        reference=None,
        task="math",
        thinking=thinking,
        response_tokens=tokens,
        metadata=data,
    )


@pytest.mark.parametrize(
    ("tokens", "penalty"),
    # DAPO, equation 13, with L_max 20480 and L_cache 4096, as in the paper's own setting
    [(0, 0.0), (16384, 0.0), (16385, -1 / 4096), (18432, -0.5), (20479, -4095 / 4096), (20480, -1.0), (99999, -1.0)],
)
def test_the_soft_limit(tokens: int, penalty: float) -> None:
    assert overlong(sample(tokens), longest=20480, buffer=4096).score == pytest.approx(penalty)


@pytest.mark.parametrize(
    ("reasoning", "thinking", "score"), [("so 5", True, 1.0), (None, True, 0.0), ("so", False, 0.0), (None, False, 1.0)]
)
def test_a_decision_as_the_mode_asks(reasoning: str | None, thinking: bool, score: float) -> None:
    assert decision(sample(reasoning=reasoning, thinking=thinking)).score == score


def test_a_decision_as_the_label_says() -> None:
    assert decision(sample(reasoning="so", thinking=False, hard=True), think_when="hard").score == 1.0
    assert decision(sample(reasoning="so", thinking=True, hard=False), think_when="hard").score == 0.0
    unknown = decision(sample(hard="yes"), think_when="hard")
    assert (unknown.score, unknown.reason) == (None, "bad reference: the metadata has no true or false under hard")


@pytest.mark.parametrize("answer", ["", " \n", r"\boxed{}", "\u200b", r"so \boxed{ }", r"\boxed{\text{}}", "\x00"])
def test_nothing_is_decided_without_an_answer(answer: str) -> None:
    assert decision(sample(reasoning="so", answer=answer)).score == 0.0
