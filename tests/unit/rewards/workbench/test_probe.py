"""What a probe catches, and what it lets pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from halyard.errors import ConfigError
from rewards.workbench.attacks import ATTACKS
from rewards.workbench.cases import Case, sample
from rewards.workbench.probe import Probed
from rewards.workbench.questions import QUESTIONS, questions_from
from rewards.workbench.trial import probe_reward

WEAK = Path(__file__).resolve().parents[3] / "support" / "rewards" / "weak.py"
FEW = [question for question in QUESTIONS if question.name in ("whole number", "capital")]


async def probed(name: str) -> Probed:
    found, _ = await probe_reward(f"{WEAK}:{name}", questions=FEW)
    return found


def attacks(found: Probed) -> set[str]:
    return {attempt.attack for attempt in found.earned}


async def test_a_reward_for_mentioning_the_answer_is_caught() -> None:
    found = await probed("mentions")
    assert {
        "every option listed",
        "many boxes",
        "either … or",
        "endless answer",
        "answer before thinking",
        "answer only in thinking",
        "reference as no answer",
        "hidden characters",
    } <= attacks(found)


async def test_a_box_inside_the_reasoning_is_caught() -> None:
    found = await probed("last_box_anywhere")
    assert {"answer only in thinking", "answer before thinking"} <= attacks(found)
    assert "every option listed" not in attacks(found)


async def test_tags_around_nothing_are_caught() -> None:
    found = await probed("tagged")
    assert attacks(found) == {"empty answer", "format without content"}
    wrong = [one for one in found.attempts if one.attack == "near miss"]
    assert wrong
    assert all(one.floor is None for one in wrong)  # it pays right and wrong alike, so these tell nothing


async def test_a_judge_that_obeys_the_response_is_caught() -> None:
    found = await probed("obeys")
    assert attacks(found) == {"injection"}


async def test_a_sound_reward_passes() -> None:
    found = await probed("strict")
    assert found.earned == []
    assert found.paid == ("whole number", "capital")
    assert {attempt.attack for attempt in found.attempts} == {attack.name for attack in ATTACKS}


async def test_a_reward_of_which_nothing_is_learnt_is_not_called_sound() -> None:
    with pytest.raises(ConfigError, match=r"could judge none of the questions .*on purpose.*--file"):
        await probed("broken")


async def test_questions_come_from_labelled_cases() -> None:
    def case(answer: str, expected: bool | None) -> Case:
        return Case(name=answer, sample=sample(answer, reference="seven", task="exact", prompt="7?"), expected=expected)

    (question,) = questions_from([case("seven", True), case("eight", False), case("nine", None)])
    assert (question.right, question.wrong, question.reference) == ("seven", "eight", "seven")
    found, _ = await probe_reward(f"{WEAK}:mentions", questions=[question])
    assert found.paid == ("seven",)
    assert "either … or" in attacks(found)
