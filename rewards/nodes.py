"""The terms of a recipe, live: a tree whose leaves judge, and what is found out about samples on the way."""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Protocol

from configs.rewards import AnswerTerm, FormatTerm, JudgeTerm
from configs.term import BaseTerm
from rewards.sample import Judgement, Sample

Judged = Mapping[int, Judgement]
"""Judgements by a sample's place; a place is missing where nothing applied to it."""
Part = tuple["Node", Judgement]


class Judging(Protocol):
    """What does a term's work.

    `cost` orders terms from cheap to dear: 0 for what takes microseconds, more for processes, for waiting and for
    models. `whole_groups` says whether samples are compared, and all of a group must be seen at once.
    """

    cost: int
    whole_groups: bool

    async def judge(self, samples: Sequence[Sample]) -> list[Judgement]:
        """One judgement a sample, in their order."""
        ...

    def figures(self) -> Mapping[str, float]:
        """What was counted since the last look, by name."""
        return {}

    async def close(self) -> None:
        """Give back processes and connections, where there are any."""
        return


@dataclass(frozen=True, slots=True)
class Failure:
    """A term could not judge a sample; `paid` says whether the reward depends on that."""

    name: str
    reason: str
    paid: bool

    @property
    def kind(self) -> str:
        """What failures are counted by."""
        return self.reason.partition(":")[0]


@dataclass(slots=True)
class Round:
    """Samples that are judged together, and what is found out about each: judgements and failures by component."""

    samples: Sequence[Sample]
    found: list[dict[str, Judgement]] = field(init=False)
    failures: list[list[Failure]] = field(init=False)

    def __post_init__(self) -> None:
        self.found = [{} for _ in self.samples]
        self.failures = [[] for _ in self.samples]


@dataclass(slots=True, kw_only=True)
class Node:
    """A term, live, with the name of its component; `paid` is false below a weight of 0, where it only records."""

    name: str
    term: BaseTerm
    paid: bool = True
    parts: Sequence[Node] = ()

    @property
    def weight(self) -> float:
        """Weight in a sum; elsewhere 0 only records."""
        return self.term.weight

    @property
    def cost(self) -> int:
        """The cost of its dearest part."""
        return max((part.cost for part in self.parts), default=0)

    @property
    def least(self) -> float:
        """A score that it cannot be below."""
        return -math.inf

    def applies(self, sample: Sample) -> bool:
        """Whether the sample is judged by this term: open questions have no answer to compare with."""
        if isinstance(self.term, AnswerTerm) and sample.task == "open":
            return False
        return not self.term.tasks or sample.task in self.term.tasks

    def tree(self) -> Iterator[Node]:
        """All terms of which it is made, parts first, and itself."""
        for part in self.parts:
            yield from part.tree()
        yield self

    async def judge(self, round_: Round, places: Sequence[int]) -> Judged:
        """The judgements on the samples at the places that the term applies to; they are put down in the round."""
        places = [i for i in places if self.applies(round_.samples[i])]
        if not places:
            return {}
        judged = dict(await self._judge(round_, places))
        for i, judgement in judged.items():
            if judgement.score is None and self.term.zero_if_failed:
                judged[i] = Judgement(0.0, f"0 as it failed: {judgement.reason}", judgement.parts)
            if judged[i].score is not None:
                round_.found[i][self.name] = judged[i]
        return judged

    async def _judge(self, round_: Round, places: Sequence[int]) -> Judged:
        raise NotImplementedError

    async def ask(self, nodes: Sequence[Node], round_: Round, places: Sequence[int]) -> dict[int, list[Part]]:
        """What nodes say of the samples, side by side, without those that only record."""
        judged = await asyncio.gather(*(node.judge(round_, places) for node in nodes))
        pairs = [(node, found) for node, found in zip(nodes, judged, strict=True) if node.weight]
        return {i: [(node, found[i]) for node, found in pairs if i in found] for i in places}


@dataclass(slots=True, kw_only=True)
class Leaf(Node):
    """A term that judges by itself."""

    judging: Judging

    @property
    def cost(self) -> int:
        """That of what does the work."""
        return self.judging.cost

    @property
    def least(self) -> float:
        """0 where that is known."""
        return 0.0 if isinstance(self.term, AnswerTerm | FormatTerm | JudgeTerm) else -math.inf

    async def _judge(self, round_: Round, places: Sequence[int]) -> Judged:
        asked = _with_groups(round_.samples, places) if self.judging.whole_groups else places
        judgements = await self.judging.judge([round_.samples[i] for i in asked])
        judged = dict(zip(asked, judgements, strict=True))
        for i in places:
            if judged[i].score is None:
                round_.failures[i].append(Failure(self.name, judged[i].reason, self.paid))
        return {i: judged[i] for i in places}


def group_of(sample: Sample) -> tuple[str, str, str]:
    """What samples that are compared with one another have in common."""
    return sample.group_id, sample.prompt_id, sample.prompt


async def by_group(
    samples: Sequence[Sample], judge: Callable[[list[Sample]], Awaitable[Sequence[Judgement]]]
) -> list[Judgement]:
    """The judgements on samples, in their order, from what judges one group at a time; all groups side by side."""
    groups: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    for i, sample in enumerate(samples):
        groups[group_of(sample)].append(i)
    judged = await asyncio.gather(*(judge([samples[i] for i in places]) for places in groups.values()))
    found = dict(zip(chain(*groups.values()), chain(*judged), strict=True))
    return [found[i] for i in range(len(samples))]


def _with_groups(samples: Sequence[Sample], places: Sequence[int]) -> list[int]:
    """The places, and those of the other samples of their groups."""
    groups = {group_of(samples[i]) for i in places}
    return [i for i, sample in enumerate(samples) if group_of(sample) in groups]
