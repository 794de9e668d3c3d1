"""The terms of a reward, live: each judges the samples that it applies to."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from configs.rewards import AnswerTerm, FormatTerm, JudgeTerm, PythonTerm, RewardsConfig, Term
from halyard.errors import ConfigError
from halyard.tasks import Task
from rewards.calls import judge_async, to_judgement
from rewards.grader import Answered, Grader
from rewards.judge import Criterion, HttpJudge, Judge
from rewards.pool import Pool
from rewards.registry import LoadedReward, load
from rewards.sample import Judgement, Sample
from rewards.structure import format_fault, split
from rewards.worker import Job

ASYNC_SECONDS = 60.0
"""What an `async def` reward may take: it waits for something, and the deadline of rules is too short for that."""


class Judging(Protocol):
    """What a term does."""

    async def judge(self, samples: Sequence[Sample]) -> list[Judgement]:
        """One judgement a sample, in their order."""
        ...

    async def close(self) -> None:
        """Give back processes and connections."""
        ...


@dataclass(frozen=True, slots=True)
class LiveTerm:
    """A term of the recipe with the name of its component and what does its work."""

    name: str
    term: Term
    judging: Judging

    def applies(self, sample: Sample) -> bool:
        """Whether the sample is judged by this term: open questions have no answer to compare with."""
        if isinstance(self.term, AnswerTerm) and sample.task == "open":
            return False
        return not self.term.tasks or sample.task in self.term.tasks


def build(config: RewardsConfig, grader: Grader, judge: Judge | None, root: Path) -> list[LiveTerm]:
    """The live terms of a recipe's rewards; a name that comes twice is numbered.

    Raises:
        ConfigError: a function or its parameters are wrong, or there is no judge to ask.
        RewardError: a function's file cannot be run.
    """
    seen: Counter[str] = Counter()
    live = []
    for term in config.terms:
        name = _name(term)
        seen[name] += 1
        unique = name if seen[name] == 1 else f"{name}-{seen[name]}"
        live.append(LiveTerm(unique, term, _judging(term, config, grader, judge, root)))
    return live


def _name(term: Term) -> str:
    if isinstance(term, PythonTerm):
        return term.name
    return term.criterion if isinstance(term, JudgeTerm) else term.type


def _judging(term: Term, config: RewardsConfig, grader: Grader, judge: Judge | None, root: Path) -> Judging:
    match term:
        case AnswerTerm():
            grader.start()
            return AnswerJudging(grader)
        case FormatTerm():
            return FormatJudging()
        case JudgeTerm():
            return _asking(term, judge)
        case PythonTerm():
            return _function(term, config, root)


def _asking(term: JudgeTerm, judge: Judge | None) -> Judging:
    """The judge at the term's endpoint, or the given one for a term without."""
    if term.url is not None:
        endpoint = HttpJudge(term)
        return ModelJudging(endpoint, term.criterion, owned=endpoint)
    if judge is None:
        raise ConfigError("a judge term without url asks the judge that the pipeline trained, and there is none")
    return ModelJudging(judge, term.criterion, owned=None)


def _function(term: PythonTerm, config: RewardsConfig, root: Path) -> Judging:
    """An `async def` in the caller's loop, any other function in processes of its own."""
    loaded = load(term.path, term.name, term.parameters, root=root)
    if loaded.is_async:
        return AsyncJudging(loaded)
    job = Job("rewards.calls", "judge_with", (term.path, term.name, term.parameters, str(root.resolve())))
    pool = Pool(job, workers=config.workers, deadline=config.deadline)
    pool.start()
    return PoolJudging(pool)


@dataclass(frozen=True, slots=True)
class AnswerJudging:
    """1 if the final answer is right; the grader is the scorer's, which closes it."""

    grader: Grader

    async def judge(self, samples: Sequence[Sample]) -> list[Judgement]:
        """The grades of the samples' answers."""
        return await self.grader.grade([Answered(one.answer, one.reference, one.task) for one in samples])

    async def close(self) -> None:
        """Nothing to give back."""


@dataclass(frozen=True, slots=True)
class FormatJudging:
    """1 if the response has the structure of its mode and task."""

    async def judge(self, samples: Sequence[Sample]) -> list[Judgement]:
        """What the responses look like."""
        return [judge_format(one.response, one.thinking, one.task) for one in samples]

    async def close(self) -> None:
        """Nothing to give back."""


def judge_format(response: str, thinking: bool, task: Task) -> Judgement:
    """1 for a response with the structure of its mode and task, else 0 and what is wrong with it."""
    fault = format_fault(split(response, thinking), task)
    return Judgement(float(not fault), fault or "well-formed")


@dataclass(frozen=True, slots=True)
class ModelJudging:
    """1 if the judge says yes; it is asked only where there is something to ask.

    A malformed response scores 0 unasked, and a direct answer 1: it has no reasoning that could disagree.
    """

    model: Judge
    criterion: Criterion
    owned: HttpJudge | None

    async def judge(self, samples: Sequence[Sample]) -> list[Judgement]:
        """The judge's answers, and what needed none."""
        judgements = {i: known for i, one in enumerate(samples) if (known := _unasked(one)) is not None}
        open_ = [i for i in range(len(samples)) if i not in judgements]
        if open_:
            answers = await self.model.ask([samples[i] for i in open_], self.criterion)
            judgements.update(zip(open_, answers, strict=True))
        return [judgements[i] for i in range(len(samples))]

    async def close(self) -> None:
        """Close the connections of an endpoint of one's own."""
        if self.owned:
            await self.owned.close()


def _unasked(sample: Sample) -> Judgement | None:
    form = judge_format(sample.response, sample.thinking, sample.task)
    if not form.score:
        return Judgement(0.0, f"not asked: {form.reason}")
    return None if sample.thinking else Judgement(1.0, "no reasoning to disagree with")


@dataclass(frozen=True, slots=True)
class PoolJudging:
    """A researcher's function, in processes with a deadline."""

    pool: Pool

    async def judge(self, samples: Sequence[Sample]) -> list[Judgement]:
        """What the function returned, or how it failed."""
        return await self.pool.judge(samples)

    async def close(self) -> None:
        """End the processes."""
        await asyncio.to_thread(self.pool.close)


@dataclass(frozen=True, slots=True)
class AsyncJudging:
    """A researcher's `async def`, in the caller's event loop."""

    loaded: LoadedReward

    async def judge(self, samples: Sequence[Sample]) -> list[Judgement]:
        """What the function returned, or how it failed."""
        returned = await asyncio.gather(*(judge_async(self.loaded, one, ASYNC_SECONDS) for one in samples))
        return [to_judgement(one, self.loaded.name) for one in returned]

    async def close(self) -> None:
        """Nothing to give back."""
