"""Rows that teach a judge: does a piece of reasoning agree with the final answer beside it?

Half agree and half do not, whatever the truth of the matter: a judge that would learn to do the sums again,
instead of comparing, meets wrong reasoning that agrees with its answer as well.
"""

from __future__ import annotations

import re
from random import Random
from typing import TYPE_CHECKING

from halyard.data.judge_prompt import consistency_messages
from halyard.data.synthetic import FAMILIES, problems
from halyard.data.synthetic.problem import another
from halyard.data.types import Message, Row

if TYPE_CHECKING:
    from configs.data import JudgementSource

REASONED = tuple(name for name, family in FAMILIES.items() if family.boxed)


def make(source: JudgementSource) -> list[Row]:
    """The rows of a judgement source: yes and no by turns, over the families that reason in turn."""
    streams = {family: problems(family, source.split, source.difficulty, source.seed) for family in REASONED}
    random = Random(f"judgements {source.split} {source.difficulty} {source.seed}")
    rows = []
    for i in range(source.rows):
        family = REASONED[i % len(REASONED)]
        problem, agrees = next(streams[family]), i % 2 == 0
        pair = (_agreeing if agrees else _disagreeing)(random, problem.reasoning or "", problem.answer)
        verdict = "yes" if agrees else "no"
        rows.append(
            Row(
                id=f"judgement-{source.split}-{source.difficulty}-{source.seed}-{i}",
                messages=(
                    Message(role="user", text=consistency_messages(*pair)),
                    Message(role="assistant", text=verdict),
                ),
                answer=verdict,
                task="exact",
                family="judgement",
                source="judgements",
            )
        )
    return rows


def _agreeing(random: Random, reasoning: str, answer: str) -> tuple[str, str]:
    if random.random() < 0.5:
        return reasoning, answer
    wrong = another(random, answer)
    return _with_result(reasoning, answer, wrong), wrong


def _disagreeing(random: Random, reasoning: str, answer: str) -> tuple[str, str]:
    wrong = another(random, answer)
    kind = random.randrange(3)
    if kind == 0:
        return reasoning, wrong
    if kind == 1:
        return _with_result(reasoning, answer, wrong), answer
    return f"{reasoning.removesuffix(f'so {answer}.')}so {wrong}.", answer


def _with_result(reasoning: str, answer: str, wrong: str) -> str:
    """The reasoning with another result: in its conclusion, and in the step before if that names it."""
    old, new = answer.split(maxsplit=1)[0], wrong.split(maxsplit=1)[0]
    for place in list(re.finditer(rf"(?<![\d.]){old}(?!\d|\.\d)", reasoning))[:-3:-1]:
        reasoning = reasoning[: place.start()] + new + reasoning[place.end() :]
    return reasoning
