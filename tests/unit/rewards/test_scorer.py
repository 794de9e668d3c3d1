"""How judgements become verdicts; the terms here are written by hand, the arithmetic is the scorer's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from configs.judge import JudgeTerm
from configs.rewards import AnswerTerm, FormatTerm, PythonTerm, RewardsConfig, SumTerm, Term
from halyard.errors import ConfigError, RewardError
from rewards.compose import Sum
from rewards.grader import Grader
from rewards.judges.court import Court
from rewards.nodes import Judging, Leaf
from rewards.sample import Judgement, Sample
from rewards.scorer import Scorer
from rewards.terms import Builder

RIGHT = r"<think>2 + 3 = 5. so 5.</think>\boxed{5}"


def sample(response: str = RIGHT, task: Any = "math", thinking: bool = True, reasoning: str | None = "so 5.") -> Sample:
    answer = response.rpartition("</think>")[2]
    return Sample(
        prompt="2+3?",
        response=response,
        answer=answer,
        reasoning=reasoning,
        reference="5",
        task=task,
        thinking=thinking,
    )


@dataclass
class Says(Judging):
    """Gives the same judgement on all samples, and remembers which it was asked about."""

    cost = 0
    whole_groups = False
    score: float | None
    reason: str = "because"
    parts: dict[str, float] = field(default_factory=dict)
    asked: list[Sample] = field(default_factory=list)

    async def judge(self, samples: Sequence[Sample]) -> list[Judgement]:
        self.asked += samples
        return [Judgement(self.score, self.reason, self.parts) for _ in samples]


def scorer(*terms: tuple[str, Term, Says], window: int = 256, **config: Any) -> Scorer:
    recipe = RewardsConfig(terms=tuple(term for _, term, _ in terms), **config)
    leaves = [Leaf(name=name, term=term, judging=says, paid=term.weight > 0) for name, term, says in terms]
    whole = Sum(name="", term=SumTerm(terms=recipe.terms), parts=leaves)
    return Scorer(recipe, whole, Grader(workers=1, deadline=1.0), Court(), window)


async def test_weights_of_the_terms_that_apply_add_up_to_one() -> None:
    judged = scorer(
        ("answer", AnswerTerm(weight=0.7), Says(1.0)),
        ("consistency", JudgeTerm(weight=0.2, tasks=("math", "stem"), url="http://x/v1"), Says(0.0)),
        ("format", FormatTerm(weight=0.1), Says(0.5)),
    )
    math, exact, open_ = await judged.score([sample(), sample(task="exact"), sample(task="open")])
    assert math.reward == pytest.approx(0.75)  # (0.7 x 1 + 0.2 x 0 + 0.1 x 0.5) / 1
    assert exact.reward == pytest.approx(0.75 / 0.8)  # (0.7 x 1 + 0.1 x 0.5) / 0.8
    assert open_.reward == pytest.approx(0.5)  # the format alone: an open question has no answer to compare with
    assert math.components == {"answer": 1.0, "consistency": 0.0, "format": 0.5}
    assert set(exact.components) == {"answer", "format"}
    assert math.reason == "answer: because; consistency: because; format: because"


async def test_a_failed_term_fails_the_verdict() -> None:
    judged = scorer(
        ("answer", AnswerTerm(), Says(1.0)), ("format", FormatTerm(), Says(None, "no verdict: details")), window=100
    )
    (verdict,) = await judged.score([sample()])
    assert (verdict.reward, verdict.status, verdict.reason) == (None, "failed", "format: no verdict: details")
    assert verdict.components == {"answer": 1.0}
    assert verdict.failures == {"format": "no verdict: details"}


async def test_a_failure_may_be_paid_nothing() -> None:
    failing = ("answer", AnswerTerm(), Says(None, "killed"))
    (verdict,) = await scorer(failing, on_failure="zero").score([sample()])
    assert (verdict.reward, verdict.status) == (0.0, "ok")
    assert "could not be judged" in verdict.reason


async def test_a_term_without_weight_is_only_recorded() -> None:
    judged = scorer(
        ("answer", AnswerTerm(), Says(1.0)),
        ("length", PythonTerm(path="x.py", name="length", weight=0), Says(17.0, parts={"words": 3.0})),
        ("broken", PythonTerm(path="x.py", name="broken", weight=0), Says(None, "raised")),
    )
    (verdict,) = await judged.score([sample()])
    assert verdict.reward == 1.0
    assert verdict.components == {"answer": 1.0, "length": 17.0, "length.words": 3.0}
    assert verdict.failures == {"broken": "raised"}


async def test_a_task_that_nothing_pays_for_is_refused() -> None:
    judged = scorer(("answer", AnswerTerm(tasks=("math",)), Says(1.0)), ("format", FormatTerm(weight=0), Says(1.0)))
    with pytest.raises(RewardError, match="no reward term with a weight applies to prompts of task exact"):
        await judged.score([sample(task="exact")])


async def test_too_many_failures_stop_the_run_as_soon_as_they_must() -> None:
    says = Says(None, "killed after 1.0 s")
    judged = scorer(("answer", AnswerTerm(), says), window=10, max_failure_share=0.2)
    await judged.score([sample()] * 2)  # 2 of 10 is the share that is allowed
    with pytest.raises(
        RewardError, match=r"3 of the last 3 verdicts failed.*0\.2 of 10.*killed after 1\.0 s \(3 times"
    ):
        await judged.score([sample()])


async def test_old_failures_are_forgotten() -> None:
    says = Says(None)
    judged = scorer(("answer", AnswerTerm(), says), window=10, max_failure_share=0.2)
    await judged.score([sample()] * 2)
    says.score = 1.0
    await judged.score([sample()] * 9)
    says.score = None
    assert [one.status for one in await judged.score([sample()])] == ["failed"]


async def test_all_may_fail_where_all_may_fail() -> None:
    judged = scorer(("answer", AnswerTerm(), Says(None)), window=4, max_failure_share=1.0)
    assert len(await judged.score([sample()] * 20)) == 20


def test_names_that_come_twice_are_numbered() -> None:
    terms = (FormatTerm(), FormatTerm(), JudgeTerm())
    grader = Grader(workers=1, deadline=1.0)
    live = Builder(RewardsConfig(terms=terms), grader, Court(url="http://localhost/v1"), Path()).tree()
    assert [node.name for node in live.parts] == ["format", "format-2", "consistency"]


async def test_a_judge_that_is_not_there_is_missed_at_the_start() -> None:
    with pytest.raises(ConfigError, match="asks the judge that the pipeline trained, and there is none"):
        await Scorer.start(RewardsConfig(terms=(JudgeTerm(),)))


async def test_grading_knows_rules_alone() -> None:
    @dataclass
    class Answer:
        text: str
        reference: str | None
        task: Any
        thinking: bool
        prompt: str = ""

    judged = scorer(("answer", AnswerTerm(), Says(1.0)))
    right, wrong, inside, unknown, chosen = await judged.grade(
        [
            Answer(RIGHT, "5", "math", True),
            Answer(r"\boxed{6}", "5", "math", False),
            Answer(r"<think>\boxed{5}</think>", "5", "math", True),
            Answer("5", None, "exact", False),
            Answer(r"\boxed{\text{carbon dioxide}}", "B", "stem", False, "Which gas? A. oxygen B. carbon dioxide"),
        ]
    )
    assert (right.reward, right.components) == (1.0, {"answer": 1.0, "format": 1.0})
    assert (wrong.reward, wrong.components["format"]) == (0.0, 1.0)
    assert (inside.reward, inside.components["format"]) == (0.0, 0.0)
    assert (unknown.reward, unknown.status) == (None, "failed")
    assert chosen.reward == 1.0
