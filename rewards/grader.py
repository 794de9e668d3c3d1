"""Answers graded at speed and without danger: strings and numbers here, algebra in a pool of processes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from halyard.tasks import Task
from rewards.answer import Question, quick
from rewards.pool import Pool
from rewards.sample import Judgement
from rewards.worker import Job

MEMORY_GIB = 1.0
"""Address space of a process that does algebra; it needs about a tenth of it."""
REMEMBERED = 10_000
"""Verdicts kept, as the samples of a prompt repeat each other, in one step and the next."""
MEMORABLE = 1000
"""Characters up to which an answer is remembered whole."""
FINAL = ("timeout: ", "memory: ")
"""How failures begin that would come again."""


class Answered(NamedTuple):
    """An answer to grade: its text without the reasoning, the reference, and the task."""

    answer: str
    reference: str | None
    task: Task
    prompt: str = ""


class Grader:
    """Grades like `rewards.answer.grade`, with a deadline for each answer."""

    def __init__(self, *, workers: int, deadline: float) -> None:
        job = Job("rewards.symbolic", "checker", sealed=True)
        self._pool = Pool(job, workers=workers, deadline=deadline, memory_gib=MEMORY_GIB)
        self._known: dict[Question, Judgement] = {}

    def start(self) -> None:
        """Warm the processes up, without waiting for them; else the first question for algebra does."""
        self._pool.start()

    async def grade(self, answers: Sequence[Answered]) -> list[Judgement]:
        """The judgements on answers, in their order; failed ones where a process had to be killed."""
        decided = [_decide(answer) for answer in answers]
        questions = dict.fromkeys(one for one in decided if isinstance(one, Question))
        found = {question: known for question in questions if (known := self._known.get(question))}
        unknown = [question for question in questions if question not in found]
        if unknown:
            judged = dict(zip(unknown, await self._pool.judge(unknown), strict=True))
            found.update(judged)
            self._remember(judged)
        return [found[one] if isinstance(one, Question) else one for one in decided]

    def close(self) -> None:
        """End the processes."""
        self._pool.close()

    def _remember(self, judged: dict[Question, Judgement]) -> None:
        """Keep what would be judged likewise another time, and forget what is oldest."""
        for question, judgement in judged.items():
            if judgement.score is not None or judgement.reason.startswith(FINAL):
                self._known[question] = judgement
        for question in list(itertools.islice(self._known, max(0, len(self._known) - REMEMBERED))):
            self._known.pop(question, None)


def _decide(answer: Answered) -> Judgement | Question:
    return _decided(answer) if len(answer.answer) <= MEMORABLE else quick(*answer)


@lru_cache(maxsize=REMEMBERED)
def _decided(answer: Answered) -> Judgement | Question:
    return quick(*answer)
