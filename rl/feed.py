"""The feed: admits prompts as slots allow, answers and judges them in the background, hands over groups in order."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Self

from halyard.cluster.waits import waiting
from halyard.errors import RewardError
from rl.books import Unused
from rl.rollouts import PromptFailure
from rl.sequences import without_signal

if TYPE_CHECKING:
    from configs.cluster import Deadlines
    from configs.stages import RlStage
    from rl.books import Books
    from rl.presets import Algorithm
    from rl.types import Admitted, Scored


class Feed:
    """Prompts on their way from the stream to a step, as an async context.

    Every admitted prompt is a task that runs `roll_out`. What goes wrong in one of them is raised by
    `next_groups`; a failure of the prompt itself is written down, its slot given to another prompt, and
    the run goes on.
    """

    def __init__(
        self,
        stage: RlStage,
        algorithm: Algorithm,
        books: Books,
        deadlines: Deadlines,
        *,
        roll_out: Callable[[Admitted, RlStage], Awaitable[Scored]],
    ) -> None:
        self._stage = stage
        self._algorithm = algorithm
        self._books = books
        self._roll_out = roll_out
        # the longest time without any news: an answer that had to wait for a restarted engine behind an update
        self._patience = sum(value for _, value in deadlines)
        self._tasks: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()
        self._crash: Exception | None = None

    async def __aenter__(self) -> Self:
        for admitted in self._books.slots.in_flight:  # what a checkpoint says was under way
            self._start(admitted)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def next_groups(self, step: int) -> list[Scored]:
        """The groups that `step` trains on, in the order in which their prompts were admitted.

        Raises:
            RewardError: too many prompts gave nothing to train on.
            HalyardError: an engine died too often, too many verdicts failed.
        """
        while True:
            if self._crash is not None:
                raise self._crash
            if (groups := self._books.slots.take()) is not None:
                return groups
            self._lose_patience(step)
            oldest = self._books.slots.in_flight[0].prompt.id
            self._news.clear()
            async with waiting(f"groups of step {step}", prompt=oldest, seconds=self._patience):
                await self._news.wait()

    def release(self, stage: RlStage, algorithm: Algorithm) -> None:
        """Admit new prompts, which go by `stage` as it is now: the weights that the last groups trained are live."""
        self._stage, self._algorithm = stage, algorithm
        self._books.slots.release(self._books.step)
        self._admit()

    def _admit(self) -> None:
        slots = self._books.slots
        for _ in range(slots.free()):
            admitted = self._books.stream.next(slots.version)
            slots.admit(admitted)
            self._start(admitted)

    def _start(self, admitted: Admitted) -> None:
        self._books.ledger.in_flight(admitted.occurrence, admitted.prompt.id)
        task = asyncio.create_task(self._process(admitted), name=f"prompt {admitted.prompt.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _process(self, admitted: Admitted) -> None:
        try:
            await self._answer(admitted)
            self._admit()
        except Exception as error:
            self._crash = self._crash or error
        finally:
            self._news.set()

    async def _answer(self, admitted: Admitted) -> None:
        """Keep the prompt's group for its step, or write down why not."""
        ledger, occurrence = self._books.ledger, admitted.occurrence
        try:
            scored = await self._roll_out(admitted, self._stage)
        except PromptFailure as failure:
            ledger.failed(occurrence, str(failure))
            self._let_go(Unused(admitted=admitted, state="failed", why=str(failure), group=None))
            return
        ledger.scored(occurrence)
        group = scored.group
        failed = [verdict for verdict in group.verdicts if verdict.reward is None]
        if len(group.verdicts) - len(failed) < 2:
            why = f"{len(failed)} of {len(group.verdicts)} answers could not be judged: {failed[0].reason}"
            ledger.failed(occurrence, why)
            self._let_go(Unused(admitted=admitted, state="failed", why=why, group=group))
        elif why := without_signal(group, self._algorithm):
            ledger.dropped(occurrence, why)
            self._let_go(Unused(admitted=admitted, state="dropped", why=why, group=group))
        else:
            self._books.slots.fill(scored)

    def _let_go(self, unused: Unused) -> None:
        self._books.unused.append(unused)
        self._books.slots.vacate(unused.admitted)

    def _lose_patience(self, step: int) -> None:
        """Give a step up for which too many prompts were tried in vain."""
        needed, tried = self._stage.prompts_per_step, len(self._books.unused)
        if tried < self._stage.max_prompts_tried * needed:
            return
        counts = Counter(one.why for one in self._books.unused).most_common(3)
        reasons = "; ".join(f"{why} ({count} times)" for why, count in counts)
        raise RewardError(
            f"step {step}: {tried} prompts gave nothing to train on, before {needed} that do were found "
            f"(max_prompts_tried is {self._stage.max_prompts_tried:g} times as many). Most often: {reasons}. "
            "Take prompts of another difficulty, or raise group_size or sampling.temperature."
        )
