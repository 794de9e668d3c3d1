"""Rewards that are functions, live: in the caller's process, in processes with a deadline, or in its event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from configs.rewards import PythonTerm, RewardsConfig, RewardTerm
from rewards.calls import awaited, safely
from rewards.catalogue import find
from rewards.nodes import Judging, by_group
from rewards.pool import Pool
from rewards.registry import LoadedReward, load
from rewards.sample import Judgement, Sample
from rewards.worker import Job

ASYNC_SECONDS = 60.0
"""What an `async def` reward may take: it waits for something, and the deadline of rules is too short for that."""
GRACE = 3.0
"""Seconds beyond those that a reward gives itself before its process is killed."""
INLINE, POOLED, ASYNC = 0, 2, 3
"""What kinds of functions cost, beside each other."""


def load_term(term: PythonTerm | RewardTerm, root: Path) -> LoadedReward:
    """The term's function with its parameters set.

    Raises:
        ConfigError: there is no such function, or a parameter is wrong.
        RewardError: its file cannot be run.
    """
    path, name = _place(term, root)
    return load(path, name, term.parameters, root=root, signature=term.signature)


def _place(term: PythonTerm | RewardTerm, root: Path) -> tuple[str, str]:
    if isinstance(term, PythonTerm):
        return term.path, term.name
    found = find(term.name, root)
    return found.path, found.function


def live(term: PythonTerm | RewardTerm, config: RewardsConfig, root: Path) -> Judging:
    """The term's function, ready to judge: its processes are warming up.

    Raises:
        ConfigError: there is no such function, or a parameter is wrong.
        RewardError: its file cannot be run.
    """
    loaded = load_term(term, root)
    if loaded.is_async:
        return InLoop(loaded, term.timeout or ASYNC_SECONDS)
    if loaded.mark.inline:
        return Inline(loaded)
    arguments = (*_place(term, root), term.parameters, str(root.resolve()), term.signature)
    pool = Pool(
        Job("rewards.calls", "judge_with", arguments),
        workers=config.workers,
        deadline=term.timeout or (loaded.seconds + GRACE if loaded.seconds else config.deadline),
        memory_gib=config.memory_gib,
    )
    pool.start()
    return InProcesses(loaded, pool)


class _Function(Judging):
    """What all three have in common: how a function's form is called."""

    def __init__(self, loaded: LoadedReward) -> None:
        self._loaded = loaded
        self.whole_groups = loaded.mark.form == "group"

    async def judge(self, samples: Sequence[Sample]) -> list[Judgement]:
        """What the function returned, or how it failed."""
        match self._loaded.mark.form:
            case "single":
                return await self._each(samples)
            case "batch":
                return await self._together(samples)
            case "group":
                return await by_group(samples, self._together)

    async def _each(self, samples: Sequence[Sample]) -> list[Judgement]:
        raise NotImplementedError

    async def _together(self, samples: Sequence[Sample]) -> list[Judgement]:
        raise NotImplementedError


class Inline(_Function):
    """A function that takes microseconds, in the caller's process."""

    cost = INLINE

    async def _each(self, samples: Sequence[Sample]) -> list[Judgement]:
        return [judgement for one in samples for judgement in safely(self._loaded, [one])]

    async def _together(self, samples: Sequence[Sample]) -> list[Judgement]:
        return safely(self._loaded, samples)


class InProcesses(_Function):
    """A function in processes with a deadline."""

    cost = POOLED

    def __init__(self, loaded: LoadedReward, pool: Pool) -> None:
        super().__init__(loaded)
        self._pool = pool

    async def _each(self, samples: Sequence[Sample]) -> list[Judgement]:
        return await self._pool.judge(samples)

    async def _together(self, samples: Sequence[Sample]) -> list[Judgement]:
        return await self._pool.judge_together(samples)

    async def close(self) -> None:
        """End the processes."""
        await asyncio.to_thread(self._pool.close)


class InLoop(_Function):
    """An `async def`, in the caller's event loop."""

    cost = ASYNC

    def __init__(self, loaded: LoadedReward, seconds: float) -> None:
        super().__init__(loaded)
        self._seconds = seconds

    async def _each(self, samples: Sequence[Sample]) -> list[Judgement]:
        found = await asyncio.gather(*(awaited(self._loaded, [one], self._seconds) for one in samples))
        return [judgement for (judgement,) in found]

    async def _together(self, samples: Sequence[Sample]) -> list[Judgement]:
        return await awaited(self._loaded, samples, self._seconds)
