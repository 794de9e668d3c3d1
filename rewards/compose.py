"""Terms put together: sums, products, minima, gates, clips and routes.

Cheap terms are asked first, and dearer ones only about the samples that they can still make a difference for.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from rewards.nodes import Judged, Node, Part, Round
from rewards.sample import Judgement


@dataclass(slots=True, kw_only=True)
class Sum(Node):
    """Weighted; `scaled` makes the weights of what applies add up to 1."""

    scaled: bool = True

    async def _judge(self, round_: Round, places: Sequence[int]) -> Judged:
        asked = await self.ask(self.parts, round_, places)
        return {i: self._total(parts) for i, parts in asked.items() if parts}

    def _total(self, parts: list[Part]) -> Judgement:
        scores, failure = _scores(parts)
        if failure:
            return failure
        total = sum(part.weight for part, _ in parts) if self.scaled else 1.0
        score = sum(part.weight * score for (part, _), score in zip(parts, scores, strict=True)) / total
        return Judgement(score, f"{score:g}")


class InSteps(Node):
    """Parts asked from cheap to dear, until nothing that is left could change the outcome."""

    async def _judge(self, round_: Round, places: Sequence[int]) -> Judged:
        known: dict[int, list[Part]] = {i: [] for i in places}
        open_ = list(places)
        left = sorted(self.parts, key=lambda part: (bool(part.weight), part.cost))
        for _, tier in groupby(list(left), key=lambda part: (bool(part.weight), part.cost)):
            nodes = list(tier)
            left = left[len(nodes) :]
            for i, parts in (await self.ask(nodes, round_, open_)).items():
                known[i] += parts
            open_ = [i for i in open_ if not self._decided(known[i], left)]
        return {i: self._outcome(parts) for i, parts in known.items() if parts}

    def _decided(self, parts: list[Part], left: Sequence[Node], /) -> bool:
        raise NotImplementedError

    def _outcome(self, parts: list[Part]) -> Judgement:
        raise NotImplementedError


class Product(InSteps):
    """0 as soon as one part is 0, whatever another that failed would have said."""

    def _decided(self, parts: list[Part], _: Sequence[Node], /) -> bool:
        return any(judgement.score in (0, None) for _, judgement in parts)

    def _outcome(self, parts: list[Part]) -> Judgement:
        zero = next((part.name for part, judgement in parts if judgement.score == 0), None)
        if zero is not None:
            return Judgement(0.0, f"0 as {zero} is 0")
        scores, failure = _scores(parts)
        return failure or Judgement(math.prod(scores), " x ".join(f"{score:g}" for score in scores))


class Min(InSteps):
    """The least of the parts."""

    def _decided(self, parts: list[Part], left: Sequence[Node], /) -> bool:
        scores, failure = _scores(parts)
        least = min((part.least for part in left), default=math.inf)
        return failure is not None or (bool(scores) and min(scores) <= least)

    def _outcome(self, parts: list[Part]) -> Judgement:
        scores, failure = _scores(parts)
        return failure or Judgement(min(scores), f"the least of {len(scores)}")


class Route(Node):
    """Each sample goes to the first part that applies to it."""

    async def _judge(self, round_: Round, places: Sequence[int]) -> Judged:
        taken: dict[int, list[int]] = {}
        for i in places:
            number = next((n for n, part in enumerate(self.parts) if part.applies(round_.samples[i])), None)
            if number is not None:
                taken.setdefault(number, []).append(i)
        judged = await asyncio.gather(*(self.parts[n].judge(round_, its) for n, its in taken.items()))
        return {i: judgement for found in judged for i, judgement in found.items()}


@dataclass(slots=True, kw_only=True)
class Gate(Node):
    """The second part where the first reaches `at_least` or does not apply, else `otherwise`."""

    at_least: float
    otherwise: float

    async def _judge(self, round_: Round, places: Sequence[int]) -> Judged:
        when, then = self.parts
        condition = await when.judge(round_, places)
        closed = {i: self._closed(when, judgement) for i, judgement in condition.items() if self._shuts(judgement)}
        return {**closed, **await then.judge(round_, [i for i in places if i not in closed])}

    def _shuts(self, judgement: Judgement) -> bool:
        return judgement.score is None or judgement.score < self.at_least

    def _closed(self, when: Node, judgement: Judgement) -> Judgement:
        if judgement.score is None:
            return _failure([(when, judgement)])
        return Judgement(self.otherwise, f"closed: {when.name} is {judgement.score:g}, below {self.at_least:g}")


@dataclass(slots=True, kw_only=True)
class Clip(Node):
    """The part held between `low` and `high`."""

    low: float
    high: float

    async def _judge(self, round_: Round, places: Sequence[int]) -> Judged:
        (part,) = self.parts
        return {i: self._clipped(part, judgement) for i, judgement in (await part.judge(round_, places)).items()}

    def _clipped(self, part: Node, judgement: Judgement) -> Judgement:
        if judgement.score is None:
            return _failure([(part, judgement)])
        return Judgement(min(max(judgement.score, self.low), self.high), f"of {judgement.score:g}")


def _scores(parts: Sequence[Part]) -> tuple[list[float], Judgement | None]:
    """The scores of the parts; and a failure, if one of them failed."""
    failed = [(part, judgement) for part, judgement in parts if judgement.score is None]
    return [one.score for _, one in parts if one.score is not None], _failure(failed) if failed else None


def _failure(failed: Sequence[Part]) -> Judgement:
    """The failure of what is put together of parts that failed, with the names of those at the ends."""
    reasons = [one.reason if part.parts else f"{part.name}: {one.reason}" for part, one in failed]
    return Judgement(None, "; ".join(reasons))
