"""Rewards composed as the recipe says: one verdict a sample, from all the terms that apply to it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from configs.rewards import RewardsConfig
from halyard.data.types import Verdict
from halyard.errors import HalyardError, RewardError
from halyard.tasks import Task
from rewards.grader import Answered, Grader
from rewards.judges.court import Court
from rewards.nodes import Failure, Judging, Leaf, Node, Round
from rewards.sample import Judgement, Sample
from rewards.structure import split
from rewards.terms import Builder, judge_format, weigh


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

    @property
    def prompt(self) -> str:
        """The text of the question, which lists the options of a multiple choice."""
        ...


class Scorer:
    """The rewards of a stage, live."""

    def __init__(self, config: RewardsConfig, root: Node, grader: Grader, court: Court, window: int) -> None:
        self._config, self._root, self._grader, self._court = config, root, grader, court
        self._names = [node.name for node in root.tree()]
        self._recent: deque[bool] = deque(maxlen=window)
        self._failures: Counter[str] = Counter()

    @classmethod
    async def start(
        cls, config: RewardsConfig, *, judge: Court | None = None, root: Path = Path(), window: int = 256
    ) -> Scorer:
        """A scorer with its processes warming up; `root` is where the paths of reward files begin.

        `judge` is where judge terms find their models; without one, each needs a URL. `window` is the number of
        verdicts, best those of one step, of which no larger share than `max_failure_share` may fail.

        Raises:
            ConfigError: a term is wrong.
            RewardError: a reward's file cannot be run.
        """
        grader = Grader(workers=config.workers, deadline=config.deadline)
        court = judge or Court(root=root)
        builder = Builder(config, grader, court, root)
        try:
            return cls(config, builder.tree(), grader, court, window)
        except HalyardError:
            await _close(builder.made, grader, court)
            raise

    async def score(self, samples: Sequence[Sample]) -> list[Verdict]:
        """The verdicts on samples, in their order.

        A reward is the sum of the judgements of the terms that apply to the sample's task, by their weights
        (scaled to add up to 1, unless the recipe says otherwise). It fails when one that it depends on failed.
        Samples of one prompt are a group to the rewards that compare.

        Raises:
            RewardError: no term pays for a sample's task, or too large a share of verdicts failed.
        """
        began = time.perf_counter()
        round_ = Round(samples)
        judged = await self._root.judge(round_, range(len(samples)))
        seconds = time.perf_counter() - began
        verdicts = []
        for i, sample in enumerate(samples):
            if i not in judged:
                raise RewardError(
                    f"no reward term with a weight applies to prompts of task {sample.task}: "
                    "add one under rewards.terms, or leave such prompts out of the data"
                )
            verdicts.append(self._verdict(judged[i], round_.found[i], round_.failures[i], seconds))
        self._check_failures()
        return verdicts

    async def grade(self, responses: Sequence[Response]) -> list[Verdict]:
        """The verdicts of rules alone, for benchmarks: the reward is the answer's, "format" a component beside it."""
        split_ = [split(one.text, one.thinking) for one in responses]
        answered = [
            Answered(part.answer, one.reference, one.task, one.prompt)
            for part, one in zip(split_, responses, strict=True)
        ]
        grades = await self._grader.grade(answered)
        forms = [judge_format(one.text, one.thinking, one.task).score or 0.0 for one in responses]
        return [_graded(grade, form) for grade, form in zip(grades, forms, strict=True)]

    def weigh(self, config: RewardsConfig) -> None:
        """Have the terms count by the weights in `config`, which is otherwise the one that they were started with."""
        weigh(self._root.parts, config.terms)

    async def close(self) -> None:
        """End all processes and connections."""
        await _close([leaf.judging for leaf in self._leaves()], self._grader, self._court)

    def figures(self) -> dict[str, dict[str, float]]:
        """What terms counted since the last look, by the names of those that count: a judge's calls, cost, waits."""
        looked = {leaf.name: dict(leaf.judging.figures()) for leaf in self._leaves()}
        return {name: figures for name, figures in looked.items() if figures}

    def _leaves(self) -> list[Leaf]:
        return [node for node in self._root.tree() if isinstance(node, Leaf)]

    def _verdict(
        self, whole: Judgement, found: dict[str, Judgement], failures: list[Failure], seconds: float
    ) -> Verdict:
        """The verdict on one sample, from what its terms said."""
        self._failures.update(f"{one.name}: {one.kind}" for one in failures)
        self._recent.append(any(one.paid for one in failures))
        named = {name: found[name] for name in self._names if name in found}
        said = {**{name: judgement.reason for name, judgement in named.items()}, **{f.name: f.reason for f in failures}}
        reason = "; ".join(f"{name}: {said[name]}" for name in self._names if name in said and name)
        common: dict[str, Any] = {
            "components": _components(named),
            "failures": {one.name: one.reason for one in failures},
            "seconds": seconds,
        }
        if whole.score is not None:
            return Verdict(reward=whole.score, reason=reason, **common)
        if self._config.on_failure == "zero":
            reason = f"paid nothing as it could not be judged (on_failure: zero): {reason}"
            return Verdict(reward=0.0, reason=reason, **common)
        return Verdict(reward=None, status="failed", reason=whole.reason, **common)

    def _check_failures(self) -> None:
        """Raise as soon as so many of a window's verdicts failed that the rest of it cannot make it good."""
        failed, window = sum(self._recent), self._recent.maxlen or 0
        if failed > self._config.max_failure_share * window:
            counts = "; ".join(f"{kind} ({count} times)" for kind, count in self._failures.most_common(5))
            raise RewardError(
                f"{failed} of the last {len(self._recent)} verdicts failed, more than the share of "
                f"{self._config.max_failure_share:g} of {window} that rewards.max_failure_share allows. {counts}"
            )


async def _close(judging: Sequence[Judging], grader: Grader, court: Court) -> None:
    for one in judging:
        await one.close()
    await court.close()
    await asyncio.to_thread(grader.close)


def _components(found: dict[str, Judgement]) -> dict[str, float]:
    """What was judged, by the names of terms, and the parts of a judgement below its term's name."""
    components: dict[str, float] = {}
    for name, judgement in found.items():
        if judgement.score is not None and name:
            components[name] = judgement.score
        components.update({f"{name}.{part}": value for part, value in judgement.parts.items()})
    return components


def _graded(grade: Judgement, form: float) -> Verdict:
    if grade.score is None:
        return Verdict(reward=None, status="failed", components={"format": form}, reason=grade.reason)
    return Verdict(reward=grade.score, components={"answer": grade.score, "format": form}, reason=grade.reason)
