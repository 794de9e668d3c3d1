"""Answers graded at speed and without danger: strings and numbers here, algebra in a pool of processes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from halyard.tasks import Task
from rewards.answer import Question, quick
from rewards.pool import Pool
from rewards.sample import Judgement
from rewards.worker import Job

MEMORY_GIB = 1.0
"""Address space of a process that does algebra; it needs about a tenth of it."""
REMEMBERED = 10_000


class Answered(NamedTuple):
    """An answer to grade: its text without the reasoning, the reference, and the task."""

    answer: str
    reference: str | None
    task: Task


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
        decided = [quick(*answer) for answer in answers]
        unknown = {one: None for one in decided if isinstance(one, Question) and one not in self._known}
        if not unknown:
            return [self._known[one] if isinstance(one, Question) else one for one in decided]
        judged = dict(zip(unknown, await self._pool.judge(list(unknown)), strict=True))
        found = {**self._known, **judged}
        self._remember(judged)
        return [found[one] if isinstance(one, Question) else one for one in decided]

    def close(self) -> None:
        """End the processes."""
        self._pool.close()

    def _remember(self, judged: dict[Question, Judgement]) -> None:
        """Samples of one prompt repeat each other; failures are tried again."""
        if len(self._known) > REMEMBERED:
            self._known.clear()
        self._known.update({question: one for question, one in judged.items() if one.score is not None})
