"""Rewards composed as the recipe says: one verdict a sample, from all the terms that apply to it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from configs.rewards import RewardsConfig
from halyard.data.types import Verdict
from halyard.errors import RewardError
from halyard.tasks import Task
from rewards.grader import Answered, Grader
from rewards.judge import Judge
from rewards.sample import Judgement, Sample
from rewards.structure import split
from rewards.terms import LiveTerm, build, judge_format


class Response(Protocol):
    """What `Scorer.grade` reads of a response to be graded: its whole text, and what was asked."""

    @property
    def text(self) -> str:
        """The whole response."""
        ...

    @property
    def reference(self) -> str | None:
        """The right answer."""
        ...

    @property
    def task(self) -> Task:
        """How it is compared."""
        ...

    @property
    def thinking(self) -> bool:
        """The mode that was asked for."""
        ...


class Scorer:
    """The rewards of a stage, live. `failures` counts judgements that failed, by "TERM: KIND"."""

    def __init__(self, config: RewardsConfig, terms: Sequence[LiveTerm], grader: Grader, window: int) -> None:
        self._config, self._terms, self._grader = config, terms, grader
        self._recent: deque[bool] = deque(maxlen=window)
        self.failures: Counter[str] = Counter()

    @classmethod
    async def start(
        cls, config: RewardsConfig, *, judge: Judge | None = None, root: Path = Path(), window: int = 256
    ) -> Scorer:
        """A scorer with its processes warming up; `root` is where the paths of reward files begin.

        `judge` is asked by judge terms without a URL. `window` is the number of verdicts, best those of one
        step, of which no larger share than `max_failure_share` may fail.

        Raises:
            ConfigError: a term is wrong.
            RewardError: a reward's file cannot be run.
        """
        grader = Grader(workers=config.workers, deadline=config.deadline)
        return cls(config, build(config, grader, judge, root), grader, window)

    async def score(self, samples: Sequence[Sample]) -> list[Verdict]:
        """The verdicts on samples, in their order.

        A reward is the sum of the judgements of the terms that apply to the sample's task, by their weights
        scaled to add up to 1. It fails when one of them that has a weight failed.

        Raises:
            RewardError: no term pays for a sample's task, or too large a share of verdicts failed.
        """
        began = time.perf_counter()
        found: list[dict[str, Judgement]] = [{} for _ in samples]
        await asyncio.gather(*(self._judge(term, samples, found) for term in self._terms))
        verdicts = [self._verdict(one, judgements, began) for one, judgements in zip(samples, found, strict=True)]
        self._check_failures()
        return verdicts

    async def grade(self, responses: Sequence[Response]) -> list[Verdict]:
        """The verdicts of rules alone, for benchmarks: the reward is the answer's, "format" a component beside it."""
        split_ = [split(one.text, one.thinking) for one in responses]
        answered = [Answered(part.answer, one.reference, one.task) for part, one in zip(split_, responses, strict=True)]
        grades = await self._grader.grade(answered)
        forms = [judge_format(one.text, one.thinking, one.task).score or 0.0 for one in responses]
        return [_graded(grade, form) for grade, form in zip(grades, forms, strict=True)]

    async def close(self) -> None:
        """End all processes and connections."""
        for term in self._terms:
            await term.judging.close()
        await asyncio.to_thread(self._grader.close)

    async def _judge(self, term: LiveTerm, samples: Sequence[Sample], found: list[dict[str, Judgement]]) -> None:
        """Put the term's judgements where they belong."""
        concerned = [i for i, sample in enumerate(samples) if term.applies(sample)]
        if concerned:
            judgements = await term.judging.judge([samples[i] for i in concerned])
            for i, judgement in zip(concerned, judgements, strict=True):
                found[i][term.name] = judgement

    def _verdict(self, sample: Sample, judgements: dict[str, Judgement], began: float) -> Verdict:
        """The weighted sum of judgements, or the failure of one that counts."""
        weights = {term.name: term.term.weight for term in self._terms if term.name in judgements}
        total = sum(weights.values())
        if not total:
            raise RewardError(
                f"no reward term with a weight applies to prompts of task {sample.task}: "
                "add one under rewards.terms, or leave such prompts out of the data"
            )
        components = _components(judgements)
        failed = [name for name, judgement in judgements.items() if judgement.score is None]
        self.failures.update(f"{name}: {judgements[name].reason.partition(':')[0]}" for name in failed)
        counting = [name for name in failed if weights[name]]
        self._recent.append(bool(counting))
        reason = "; ".join(f"{name}: {judgement.reason}" for name, judgement in judgements.items())
        seconds = time.perf_counter() - began
        if not counting:
            reward = sum(weights[name] * components[name] for name in judgements if weights[name]) / total
            return Verdict(reward=reward, components=components, reason=reason, seconds=seconds)
        if self._config.on_failure == "zero":
            reason = f"paid nothing as it could not be judged (on_failure: zero): {reason}"
            return Verdict(reward=0.0, components=components, reason=reason, seconds=seconds)
        reason = "; ".join(f"{name}: {judgements[name].reason}" for name in counting)
        return Verdict(reward=None, status="failed", components=components, reason=reason, seconds=seconds)

    def _check_failures(self) -> None:
        """Raise as soon as so many of a window's verdicts failed that the rest of it cannot make it good."""
        failed, window = sum(self._recent), self._recent.maxlen or 0
        if failed > self._config.max_failure_share * window:
            counts = "; ".join(f"{kind} ({count} times)" for kind, count in self.failures.most_common(5))
            raise RewardError(
                f"{failed} of the last {len(self._recent)} verdicts failed, more than the share of "
                f"{self._config.max_failure_share:g} of {window} that rewards.max_failure_share allows. {counts}"
            )


def _components(judgements: dict[str, Judgement]) -> dict[str, float]:
    """What was judged, by the names of terms, and the parts of a judgement below its term's name."""
    components: dict[str, float] = {}
    for name, judgement in judgements.items():
        if judgement.score is not None:
            components[name] = judgement.score
        components.update({f"{name}.{part}": value for part, value in judgement.parts.items()})
    return components


def _graded(grade: Judgement, form: float) -> Verdict:
    if grade.score is None:
        return Verdict(reward=None, status="failed", components={"format": form}, reason=grade.reason)
    return Verdict(reward=grade.score, components={"answer": grade.score, "format": form}, reason=grade.reason)
