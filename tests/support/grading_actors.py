"""Graders inside actors, as a run may have them."""

from __future__ import annotations

import asyncio

from rewards.grader import Answered, Grader

Said = list[tuple[float | None, str]]


async def graded(asked: list[tuple[str, str]]) -> Said:
    """(score, kind of failure) for each answer and reference, by a grader of its own in this thread and loop."""
    grader = Grader(workers=1, deadline=1.0)
    try:
        said = await grader.grade([Answered(f"\\boxed{{{one}}}", reference, "math") for one, reference in asked])
    finally:
        await asyncio.to_thread(grader.close)
    return [(one.score, "" if one.score is not None else one.reason.partition(":")[0]) for one in said]


class Asynchronous:
    """An actor with an event loop, in which no method runs in the main thread."""

    async def grade(self, asked: list[tuple[str, str]]) -> Said:
        """What the grader says."""
        return await graded(asked)


class Threaded:
    """An actor whose calls run in threads."""

    def grade(self, asked: list[tuple[str, str]]) -> Said:
        """What the grader says."""
        return asyncio.run(graded(asked))
